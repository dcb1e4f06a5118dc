package file

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/lapse-audit/lapse/internal/collect"
)

// What of the files that fit a pattern is read.
const (
	Newest = "newest"
	All    = "all"
)

// part is a file that a path stands for.
type part struct {
	name string // in messages: the path as configured, with the file's own name
	path string
	// latest is the end of what the name says that the export was made in; zero where the name tells nothing.
	latest time.Time
}

// parts lists the files of a table, in order. A path is one file, unless Take says that it is a pattern or a folder. Each
// path must come to at least one file, and all of them to as many as Parts says: a lost part is not a smaller company.
func (k *Collector) parts(t *Table) ([]part, error) {
	var out []part
	for _, name := range t.Path {
		if t.Take == "" {
			out = append(out, part{name: name, path: k.path(name)})
			continue
		}
		found, err := k.matches(name)
		if err != nil {
			return nil, err
		}
		if t.Take == Newest {
			if found, err = newest(name, found); err != nil {
				return nil, err
			}
		}
		out = append(out, found...)
	}
	if t.Parts > 0 && len(out) != t.Parts {
		var names []string
		for _, p := range out[:min(len(out), 10)] {
			names = append(names, p.name)
		}
		return nil, fmt.Errorf("%s: there are %d files, parts is %d: %s", strings.Join(t.Path, ", "), len(out), t.Parts, strings.Join(names, ", "))
	}
	return out, nil
}

// matches lists the files that fit a pattern, or that are in a folder. What is hidden is not looked at.
func (k *Collector) matches(name string) ([]part, error) {
	pattern := filepath.ToSlash(name)
	if info, err := os.Stat(k.path(name)); err == nil && info.IsDir() {
		pattern = path.Join(pattern, "*")
	}
	// The part before the first pattern is a folder as it is: its name may hold what would be one.
	root, rest := ".", pattern
	for strings.Contains(rest, "/") {
		first, after, _ := strings.Cut(rest, "/")
		if strings.ContainsAny(first, `*?[\`) {
			break
		}
		root, rest = path.Join(root, first), after
		if first == "" {
			root = "/"
		}
	}
	found, err := fs.Glob(os.DirFS(k.path(filepath.FromSlash(root))), rest)
	if err != nil {
		return nil, fmt.Errorf("%s: %w: write one such as exports/users-*.csv", name, err)
	}
	var out []part
	for _, f := range found {
		full := path.Join(root, f)
		if strings.HasPrefix(path.Base(f), ".") {
			continue
		}
		if info, err := os.Stat(k.path(filepath.FromSlash(full))); err == nil && info.IsDir() {
			continue
		}
		out = append(out, part{name: full, path: k.path(filepath.FromSlash(full)), latest: namedEnd(path.Base(f), k.zone)})
	}
	if len(out) == 0 {
		return nil, fmt.Errorf("%s: no file fits", name)
	}
	return out, nil
}

// newest is the file with the latest date in its name; where no name has one, that which was changed last. What can't be
// told is an error.
func newest(pattern string, found []part) ([]part, error) {
	type dated struct {
		part
		at time.Time
	}
	var list []dated
	named := 0
	for _, p := range found {
		if !p.latest.IsZero() {
			named++
		}
		list = append(list, dated{p, p.latest})
	}
	if named > 0 && named < len(list) {
		i := slices.IndexFunc(list, func(d dated) bool { return d.latest.IsZero() })
		return nil, fmt.Errorf("%s: the names of %d of %d files have a date such as 2026-11-24, %s has none: which is the newest can't be told; narrow the pattern",
			pattern, named, len(list), list[i].name)
	}
	if named == 0 {
		for i := range list {
			info, err := os.Stat(list[i].path)
			if err != nil {
				return nil, fmt.Errorf("%s: %w", list[i].name, cause(err))
			}
			list[i].at = info.ModTime()
		}
	}
	slices.SortFunc(list, func(a, b dated) int { return cmp.Or(b.at.Compare(a.at), cmp.Compare(a.name, b.name)) })
	if len(list) > 1 && list[0].at.Equal(list[1].at) {
		return nil, fmt.Errorf("%s: %s and %s are equally new: narrow the pattern", pattern, list[0].name, list[1].name)
	}
	return []part{list[0].part}, nil
}

// nameDate is a date in a file's name, with a time where there is one: 2026-11-24, 20261124, 2026-11-24T02-00.
var nameDate = regexp.MustCompile(`(?:^|\D)((?:19|20)\d\d)([-_.]?)(0[1-9]|1[0-2])([-_.]?)(0[1-9]|[12]\d|3[01])(?:[T _.-]?([01]\d|2[0-3])[-_.:h]?([0-5]\d)(?:[-_.:]?([0-5]\d))?Z?)?(?:\D|$)`)

// namedEnd is the last second of the day, or the second, that a name says the export is of: of the last date in it. It is zero
// where the name has none.
func namedEnd(name string, zone *time.Location) time.Time {
	all := nameDate.FindAllStringSubmatch(name, -1)
	if len(all) == 0 {
		return time.Time{}
	}
	m := all[len(all)-1]
	number := func(i int) int {
		n, _ := strconv.Atoi(m[i]) // digits, or none
		return n
	}
	d := collect.Date{Year: number(1), Month: time.Month(number(3)), Day: number(5)}
	if at := time.Date(d.Year, d.Month, d.Day, 12, 0, 0, 0, time.UTC); m[2] != m[4] || at.Day() != d.Day {
		return time.Time{}
	}
	if m[6] == "" {
		d.Day++
		return collect.StartOfDay(d, zone).Add(-time.Second)
	}
	return time.Date(d.Year, d.Month, d.Day, number(6), number(7), number(8), 0, zone).UTC()
}

// cause leaves out the operation and the path, which the message has already.
func cause(err error) error {
	var p *os.PathError
	if errors.As(err, &p) {
		return p.Err
	}
	return err
}

package store

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/lapse-audit/lapse/internal/access"
)

// query is the SELECT of a kind's subjects, taken apart, so that less than all of it can be asked for. The files keep to a form
// for that: what WITH names and what is selected stands on lines of its own, each ending in its name, and a join whose rows may
// be missing begins a line.
type query struct {
	with, items []part
	from        string
	joins       []part // LEFT ANY JOIN: without it there are the same rows
}

// part is a piece of a query with the name by which others refer to it.
type part struct{ name, text string }

var (
	namedLine = regexp.MustCompile(` AS (\w+),?$`)
	joinName  = regexp.MustCompile(`(?:^LEFT ANY JOIN \(.*|^.*\)|^LEFT ANY JOIN \w+) AS (\w+)(?:$| ON )`)
)

// takeApart reads a kind's file.
func takeApart(kind access.SubjectKind) (query, error) {
	text := subjectQuery(kind)
	with, rest, ok := strings.Cut(text, "\nSELECT\n")
	if !ok {
		return query{}, fmt.Errorf("sql of %s subjects has no line SELECT", kind)
	}
	selected, from, ok := strings.Cut(rest, "\nFROM ")
	if !ok {
		return query{}, fmt.Errorf("sql of %s subjects has no line that begins with FROM", kind)
	}
	if _, after, ok := strings.Cut(with, "WITH\n"); ok {
		with = after
	}
	q := query{with: parts(with), items: parts(selected)}
	blocks := strings.Split(from, "\nLEFT ANY JOIN ")
	q.from = blocks[0]
	for _, b := range blocks[1:] {
		j := part{text: "LEFT ANY JOIN " + b}
		for line := range strings.SplitSeq(j.text, "\n") { // the last alias is the join's own
			if m := joinName.FindStringSubmatch(line); m != nil {
				j.name = m[1]
			}
		}
		if j.name == "" {
			return query{}, fmt.Errorf("sql of %s subjects has a join without a name: %s", kind, j.text)
		}
		q.joins = append(q.joins, j)
	}
	return q, nil
}

// parts gathers lines up to one that ends in a name.
func parts(lines string) (out []part) {
	var text strings.Builder
	for line := range strings.SplitSeq(lines, "\n") {
		text.WriteString(line + "\n")
		if m := namedLine.FindStringSubmatch(line); m != nil {
			out = append(out, part{m[1], strings.TrimSuffix(strings.TrimSuffix(text.String(), "\n"), ",")})
			text.Reset()
		}
	}
	return out
}

// only selects some columns, and takes no more part in it than these need.
func (q query) only(columns []string) string {
	var items []string
	for _, i := range q.items {
		if i.name == "no" || slices.Contains(columns, i.name) {
			items = append(items, i.text)
		}
	}
	selected := strings.Join(items, ",\n")
	var joins []part
	for i := len(q.joins) - 1; i >= 0; i-- {
		j := q.joins[i]
		used := func(text string) bool { return mentions(text, j.name+".") }
		if used(selected) || slices.ContainsFunc(joins, func(later part) bool { return used(later.text) }) {
			joins = append(joins, j)
		}
	}
	slices.Reverse(joins)
	from := q.from
	for _, j := range joins {
		from += "\n" + j.text
	}
	var with []part
	for i := len(q.with) - 1; i >= 0; i-- {
		w := q.with[i]
		if mentions(selected, w.name) || mentions(from, w.name) || slices.ContainsFunc(with, func(later part) bool { return mentions(later.text, w.name) }) {
			with = append(with, w)
		}
	}
	slices.Reverse(with)
	text := ""
	for i, w := range with {
		text += map[bool]string{true: "WITH\n", false: ",\n"}[i == 0] + w.text
	}
	return text + "\nSELECT\n" + selected + "\nFROM " + from
}

// mentions reports whether a text contains a name that does not go on to the left or, if it ends in a letter, to the right.
func mentions(text, name string) bool {
	for at := 0; ; {
		i := strings.Index(text[at:], name)
		if i < 0 {
			return false
		}
		start, end := at+i, at+i+len(name)
		if (start == 0 || !inName(text[start-1])) && (end == len(text) || !inName(text[end]) || !inName(name[len(name)-1])) {
			return true
		}
		at = end
	}
}

func inName(c byte) bool {
	return c == '_' || '0' <= c && c <= '9' || 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z'
}

// numberRange is how the files say of which subjects they speak.
var numberRange = regexp.MustCompile(`(\w+) BETWEEN \{first:UInt32\} AND \{last:UInt32\}`)

// ofPicked narrows a query to the subjects of a part that was picked.
func ofPicked(kind access.SubjectKind, query string) string {
	return numberRange.ReplaceAllString(query, "${0} AND ${1} IN (SELECT no FROM "+pickedTable(kind)+" WHERE slice = {slice:UInt32})")
}

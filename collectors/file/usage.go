package file

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/lapse-audit/lapse/internal/access"
	"github.com/lapse-audit/lapse/internal/collect"
)

// Beside is a file that says when the accounts of another source were last used: the export of a log that the app doesn't
// give, or that a proxy keeps.
type Beside struct {
	Table `yaml:",inline"`
	// By is what account_id holds in the file: id (the default), username or email.
	By string `yaml:"by"`
	// Zone is the zone of times without one, UTC by default.
	Zone string `yaml:"zone"`
}

// What an account may be named by.
const (
	byID       = "id"
	byUsername = "username"
	byEmail    = "email"
)

// WithUsage returns a collector of the source and the file together. The file is as much a part of the source as its own
// pages: without it there is no snapshot.
func WithUsage(source collect.Collector, b Beside, o Options) (collect.Collector, error) {
	b.By = cmp.Or(b.By, byID)
	if !slices.Contains([]string{byID, byUsername, byEmail}, b.By) {
		return nil, fmt.Errorf("usage.by: %q is none of id, username, email", b.By)
	}
	table := b.Table
	o.Roster = false
	usage, err := New(Config{Zone: b.Zone, Files: Files{Usage: &table}}, o)
	if err != nil {
		return nil, fmt.Errorf("usage: %w", err)
	}
	both := &beside{source: source, usage: usage, by: b.By}
	if d, ok := source.(collect.Doctor); ok {
		return struct {
			*beside
			collect.Doctor
		}{both, d}, nil
	}
	if x, ok := source.(collect.Examiner); ok {
		return examined{both, x}, nil
	}
	return both, nil
}

type beside struct {
	source collect.Collector
	usage  *Collector
	by     string
}

// Collect implements collect.Collector.
func (b *beside) Collect(ctx context.Context, out collect.Sink) (collect.Provenance, error) {
	return b.read(ctx, out, b.source.Collect)
}

// examined is beside a source that says of what it reads what is missing.
type examined struct {
	*beside
	source collect.Examiner
}

// Examine implements collect.Examiner.
func (e examined) Examine(ctx context.Context, out collect.Sink) (prov collect.Provenance, advice []collect.Advice, err error) {
	prov, err = e.read(ctx, out, func(ctx context.Context, out collect.Sink) (prov collect.Provenance, err error) {
		prov, advice, err = e.source.Examine(ctx, out)
		return prov, err
	})
	return prov, advice, err
}

// read reads the source, and then its usage.
func (b *beside) read(ctx context.Context, out collect.Sink, first func(context.Context, collect.Sink) (collect.Provenance, error)) (collect.Provenance, error) {
	names := &accountNames{out: out, by: b.by, ids: map[string]string{}}
	prov, err := first(ctx, names)
	if err != nil {
		return prov, err
	}
	uses := &namedUses{out: out, names: names, unknown: map[string]bool{}}
	if b.usage.config.Files.Usage.Events { // of an account that is written in two ways, too, the last use counts
		uses.last = newLatest(out)
	}
	more, err := b.usage.Collect(ctx, uses)
	if err == nil && uses.last != nil {
		err = uses.last.flush()
	}
	prov.Files = append(slices.Clip(prov.Files), more.Files...)
	if !slices.Contains(prov.Reads, string(collect.Usages)) {
		prov.Reads = append(slices.Clip(prov.Reads), string(collect.Usages))
	}
	note := "when accounts were last used is from " + more.Request
	if !more.AsOf.IsZero() {
		note += " as of " + more.AsOf.Format("2006-01-02 15:04 MST")
	}
	prov.Notes = append(slices.Clip(prov.Notes), note)
	if n := len(uses.unknown); n > 0 {
		prov.Notes = append(prov.Notes, fmt.Sprintf("%s names %d accounts that the source doesn't have, among them %s", more.Request, n, uses.examples()))
	}
	prov.Mapping = fmt.Sprintf("%s %s", prov.Mapping, more.Mapping)
	return prov, err
}

// accountNames passes records on and remembers what the accounts are called.
type accountNames struct {
	out collect.Sink
	by  string
	ids map[string]string // "": several accounts are called so
}

func (n *accountNames) Put(r access.Record) error {
	if a, ok := r.(access.Account); ok && n.by != byID {
		name := a.Username
		if n.by == byEmail {
			name = a.Email
		}
		if name = strings.ToLower(strings.TrimSpace(name)); name != "" {
			if _, twice := n.ids[name]; twice {
				n.ids[name] = ""
			} else {
				n.ids[name] = a.ID
			}
		}
	}
	return n.out.Put(r)
}

func (n *accountNames) Reject(r collect.Rejection) error { return n.out.Reject(r) }

// Locate implements collect.Locator.
func (n *accountNames) Locate(file string, line int64) { locate(n.out, file, line) }

// namedUses gives each use the id of its account. One of an account that isn't there is none: it left, or is somebody
// else's.
type namedUses struct {
	out     collect.Sink
	names   *accountNames
	last    *latest // where rows are events
	unknown map[string]bool
	file    string
	line    int64
}

func (u *namedUses) Put(r access.Record) error {
	use, ok := r.(access.Usage)
	if !ok || u.names.by == byID {
		return u.out.Put(r)
	}
	id, known := u.names.ids[strings.ToLower(use.AccountID)]
	switch {
	case !known:
		if len(u.unknown) < maxKeys {
			u.unknown[use.AccountID] = true
		}
		return nil
	case id == "":
		return u.out.Reject(collect.Rejection{File: u.file, Line: u.line, Column: "account_id", Reason: "several accounts of the source have this " + u.names.by})
	}
	use.AccountID = id
	if u.last != nil {
		return u.last.add(use, place{u.file, u.line})
	}
	return u.out.Put(use)
}

func (u *namedUses) Reject(r collect.Rejection) error { return u.out.Reject(r) }

// Locate implements collect.Locator.
func (u *namedUses) Locate(file string, line int64) {
	u.file, u.line = file, line
	locate(u.out, file, line)
}

func (u *namedUses) examples() string {
	var names []string
	for name := range u.unknown {
		names = append(names, name)
	}
	slices.Sort(names)
	return strings.Join(names[:min(5, len(names))], ", ")
}

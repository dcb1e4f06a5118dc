// Package file collects from exports: people, accounts and their keys, entitlements, grants, licenses, seats and usage in CSV and JSON
// files. Nothing in a file is guessed: not what a date means, not which of two rows is right, not an encoding that the
// bytes don't prove.
package file

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/lapse-audit/lapse/internal/access"
	"github.com/lapse-audit/lapse/internal/collect"
)

// Options are what a Collector needs beside its configuration.
type Options struct {
	// Base is the folder of lapse.yaml: relative paths start there.
	Base string
	// Now is the clock by which a history says which row is in force.
	Now func() time.Time
	// Roster says that the source is a roster: its files must give people.
	Roster bool
	// UID names the source in messages.
	UID string
}

// Collector reads files. It implements collect.Collector.
type Collector struct {
	config Config
	opt    Options
	clock  *collect.Clock
	zone   *time.Location
	watch  *watch // nil where nobody watches
}

// DefaultMaxRecord is the longest row in bytes where the configuration gives none.
const DefaultMaxRecord = 1 << 20

// New returns a collector, or all faults of its configuration. It opens no file.
func New(c Config, o Options) (*Collector, error) {
	c, err := c.templated()
	if err != nil {
		return nil, err
	}
	if err := c.Validate(); err != nil {
		return nil, err
	}
	switch {
	case o.Roster && c.Files.People == nil:
		return nil, fmt.Errorf("files.people: is missing: %s is a roster", o.UID)
	case !o.Roster && c.Files.People != nil:
		return nil, fmt.Errorf("files.people: %s is not a roster", o.UID)
	}
	c.MaxRecord = cmp.Or(c.MaxRecord, DefaultMaxRecord)
	c.MaxUnpacked = cmp.Or(c.MaxUnpacked, DefaultMaxUnpacked)
	c.MaxRatio = cmp.Or(c.MaxRatio, DefaultMaxRatio)
	if o.Now == nil {
		o.Now = time.Now
	}
	k := &Collector{config: c, opt: o}
	roster := Roster{}
	if c.Roster != nil {
		roster = *c.Roster
	}
	if k.clock, err = roster.Clock(); err != nil {
		return nil, err
	}
	if k.zone = k.clock.ZoneOf(""); c.Zone != "" {
		if k.zone, err = collect.LoadZone(c.Zone); err != nil {
			return nil, err
		}
	}
	return k, nil
}

// Collect implements collect.Collector. Each file is read twice: first to find the rows that disagree about one id, which
// are all rejected, then to pass on the others.
func (k *Collector) Collect(ctx context.Context, out collect.Sink) (collect.Provenance, error) {
	prov := collect.Provenance{Mapping: k.mapping(), Coverage: k.config.Coverage, Identity: "local files", Notes: slices.Clone(k.config.notes)}
	var err error
	ring := &keyring{Sink: out, of: map[string][]access.Key{}}
	k.config.Files.each(func(kind collect.Kind, t *Table) {
		to := out
		switch {
		case kind == accountKeys:
			to = ring
		case kind == collect.Accounts && k.config.Files.Keys != nil:
			to = owners{out, ring}
		}
		if kind != accountKeys {
			prov.Reads = append(prov.Reads, string(kind))
		}
		if err != nil {
			return
		}
		var files []readFile
		files, err = k.collect(ctx, kind, t, to)
		for _, f := range files {
			if prov.AsOf.IsZero() || f.asOf.Before(prov.AsOf) {
				prov.AsOf = f.asOf
			}
			if i := slices.IndexFunc(prov.Files, func(g collect.File) bool { return g.Name == f.Name }); i < 0 {
				prov.Files = append(prov.Files, f.File)
			} else if err == nil && prov.Files[i].SHA256 != f.SHA256 {
				err = fmt.Errorf("%s: %w", f.Name, errChanged)
			}
		}
	})
	var names []string
	for _, f := range prov.Files {
		names = append(names, f.Name)
	}
	if prov.AsOf.After(k.opt.Now()) { // a clock set back says nothing about when the export was made
		prov.AsOf = time.Time{}
	}
	if m := k.config.Manual; m != nil {
		prov.Stale = m.stale(prov.AsOf, k.opt.Now())
		prov.Notes = append(prov.Notes, m.note(prov.AsOf))
		if err != nil && ctx.Err() == nil && len(prov.Files) == 0 {
			err = fmt.Errorf("%w (%s)", err, m.note(prov.AsOf))
		}
	}
	prov.Request = strings.Join(names, ", ")
	prov.Filter = k.filter()
	if err == nil {
		err = ctx.Err()
	}
	return prov, err
}

func (k *Collector) collect(ctx context.Context, kind collect.Kind, t *Table, out collect.Sink) ([]readFile, error) {
	switch kind {
	case collect.People:
		return collectTable(ctx, k, people(k.clock), t, out)
	case collect.Accounts:
		return collectTable(ctx, k, accounts(), t, out)
	case accountKeys:
		return collectTable(ctx, k, keys(), t, out)
	case collect.Entitlements:
		return collectTable(ctx, k, entitlements(), t, out)
	case collect.Grants:
		return collectTable(ctx, k, grants(), t, out)
	case collect.Licenses:
		return collectTable(ctx, k, licenses(), t, out)
	case collect.Seats:
		return collectTable(ctx, k, seats(), t, out)
	case collect.Usages:
		return collectTable(ctx, k, usage(), t, out)
	}
	panic(fmt.Sprintf("file: unknown kind %q", kind))
}

// mapping is a hash of the configuration.
func (k *Collector) mapping() string {
	text, err := json.Marshal(k.config)
	if err != nil { // it holds nothing that JSON can't
		panic(err)
	}
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:])
}

// filter says in words which rows are left out.
func (k *Collector) filter() string {
	var parts []string
	k.config.Files.each(func(kind collect.Kind, t *Table) {
		if len(t.Where) > 0 {
			text, err := json.Marshal(t.Where)
			if err != nil {
				panic(err)
			}
			parts = append(parts, fmt.Sprintf("%s where %s", kind, text))
		}
	})
	return strings.Join(parts, "; ")
}

// path of a file as configured.
func (k *Collector) path(name string) string {
	if filepath.IsAbs(name) {
		return name
	}
	return filepath.Join(k.opt.Base, name)
}

// locate tells the sink where the next record is from, if it wants to know.
func locate(out collect.Sink, file string, line int64) {
	if l, ok := out.(collect.Locator); ok {
		l.Locate(file, line)
	}
}

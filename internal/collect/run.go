package collect

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/lapse-audit/lapse/internal/access"
)

// Kind names a kind of record in counts, limits and Provenance.Reads.
type Kind string

// The kinds of record. ActivePeople is a count beside them: the people that have not ended.
const (
	People       Kind = "people"
	Accounts     Kind = "accounts"
	Entitlements Kind = "entitlements"
	Grants       Kind = "grants"
	Licenses     Kind = "licenses"
	Seats        Kind = "seats"
	Usages       Kind = "usage"

	ActivePeople Kind = "active_people"
)

// Kinds lists the kinds of record.
func Kinds() []Kind {
	return []Kind{People, Accounts, Entitlements, Grants, Licenses, Seats, Usages}
}

// KindOf returns the kind of a record.
func KindOf(r access.Record) Kind {
	switch r.(type) {
	case access.Person:
		return People
	case access.Account:
		return Accounts
	case access.Entitlement:
		return Entitlements
	case access.Grant:
		return Grants
	case access.License:
		return Licenses
	case access.Seat:
		return Seats
	case access.Usage:
		return Usages
	}
	panic(fmt.Sprintf("collect: unknown record %T", r))
}

// Locator is a Sink that can be told where the next record comes from. Collectors that know files and lines tell it, so
// that a record refused later is refused with its place.
type Locator interface {
	Locate(file string, line int64)
}

// Options of a run.
type Options struct {
	Limits Limits
	// Now decides which people have ended.
	Now time.Time
	// KeepRejections is how many rejections are kept with their place; all are counted. 0 means 100.
	KeepRejections int
}

// Result is what a run found.
type Result struct {
	Measure
	// Provenance is the collector's, with Coverage and Reads complete.
	Provenance Provenance
	// Rejected counts rows; Rejections are the first of them.
	Rejected   int64
	Rejections []Rejection
	Gaps       []Gap
}

// Measure is what the guard compares from night to night. It is kept with the snapshot, as JSON.
type Measure struct {
	Counts  map[Kind]int64    `json:"counts"`
	Signals map[string]Signal `json:"signals"`
}

// Total is the number of records of all kinds.
func (m Measure) Total() int64 {
	var n int64
	for _, k := range Kinds() {
		n += m.Counts[k]
	}
	return n
}

// Gap counts the rows of a kind that name something the snapshot doesn't hold.
type Gap struct {
	Kind     Kind   // of the rows
	Field    string // that names the missing one
	Missing  Kind   // of what is missing
	Rows     int64
	IDs      int64    // distinct
	Examples []string // up to 10 ids, sorted
}

func (g Gap) String() string {
	return fmt.Sprintf("%d %s name %d %s that the snapshot doesn't hold, among them %s",
		g.Rows, g.Kind, g.IDs, g.Missing, strings.Join(g.Examples, ", "))
}

// RejectedError says that too many rows could not be read.
type RejectedError struct {
	Rejected, Rows int64
	Limit          Share
	First          []Rejection
}

func (e *RejectedError) Error() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%d of %d rows rejected (%s), max_rejected is %s", e.Rejected, e.Rows, shareOf(e.Rejected, e.Rows), e.Limit)
	for _, r := range e.First[:min(3, len(e.First))] {
		fmt.Fprintf(&b, "; %s", r)
	}
	return b.String()
}

// String names the place and the reason.
func (r Rejection) String() string {
	var b strings.Builder
	b.WriteString(r.File)
	if r.Line > 0 {
		fmt.Fprintf(&b, " line %d", r.Line)
	}
	if r.Column != "" {
		fmt.Fprintf(&b, " column %q", r.Column)
	}
	if b.Len() > 0 {
		b.WriteString(": ")
	}
	b.WriteString(r.Reason)
	return b.String()
}

// Run reads c into out. It passes on only records that are valid: with ids that are present and unique within the
// snapshot, in UTF-8, with times that can be stored; the others become rejections. It measures what the guard and the
// policies need to know about the whole. On an error the Result holds what was counted so far and the records that out
// took are not to be used: an error of c, of out, of ctx, or a *RejectedError when the share of rejected rows is above
// its limit.
func Run(ctx context.Context, c Collector, out Sink, o Options) (Result, error) {
	if o.KeepRejections == 0 {
		o.KeepRejections = 100
	}
	s := &meter{out: out, keep: o.KeepRejections, now: o.Now, index: NewIndex(), counts: map[Kind]int64{}, refs: newReferences()}
	prov, err := c.Collect(ctx, s)
	res := s.result(prov)
	switch {
	case s.failed != nil: // also when the collector swallowed it
		return res, s.failed
	case err != nil:
		return res, err
	case ctx.Err() != nil: // a collector that stopped early and said nothing
		return res, ctx.Err()
	}
	if rows := res.Total() + res.Rejected; rows > 0 && float64(res.Rejected) > float64(o.Limits.MaxRejected)*float64(rows) {
		return res, &RejectedError{Rejected: res.Rejected, Rows: rows, Limit: o.Limits.MaxRejected, First: res.Rejections}
	}
	return res, nil
}

// meter is the sink between a collector and the store.
type meter struct {
	out    Sink
	keep   int
	now    time.Time
	failed error

	file    string
	line    int64
	index   *Index
	counts  map[Kind]int64
	signals signals
	refs    *references

	rejected   int64
	rejections []Rejection
}

// Locate implements Locator.
func (m *meter) Locate(file string, line int64) {
	m.file, m.line = file, line
	if l, ok := m.out.(Locator); ok {
		l.Locate(file, line)
	}
}

// Put implements Sink.
func (m *meter) Put(r access.Record) error {
	if m.failed != nil {
		return m.failed
	}
	kind := KindOf(r)
	content, column, reason := inspect(r)
	if reason != "" {
		return m.Reject(Rejection{File: m.file, Line: m.line, Column: column, Reason: reason})
	}
	id, column := identity(r)
	if was, dup := m.index.Add(string(kind), id, content, m.file, m.line); dup {
		return m.Reject(Rejection{File: m.file, Line: m.line, Column: column, Reason: was.reason(column, content)})
	}
	if err := m.out.Put(r); err != nil {
		m.failed = err
		return err
	}
	m.counts[kind]++
	if p, ok := r.(access.Person); ok {
		m.index.Add(space(People), p.ID, 0, "", 0)
		if !ended(p, m.now) {
			m.counts[ActivePeople]++
		}
	}
	m.signals.add(r)
	m.refs.add(r, m.index)
	return nil
}

// Reject implements Sink.
func (m *meter) Reject(r Rejection) error {
	if m.failed != nil {
		return m.failed
	}
	m.rejected++
	if len(m.rejections) < m.keep {
		m.rejections = append(m.rejections, r)
	}
	if err := m.out.Reject(r); err != nil {
		m.failed = err
		return err
	}
	return nil
}

func (m *meter) result(p Provenance) Result {
	for _, k := range Kinds() {
		if m.counts[k] > 0 && !slices.Contains(p.Reads, string(k)) {
			p.Reads = append(slices.Clip(p.Reads), string(k))
		}
	}
	for _, k := range p.Reads { // read and empty is a count, too
		m.counts[Kind(k)] += 0
		if Kind(k) == People {
			m.counts[ActivePeople] += 0
		}
	}
	measured := m.signals.measure(m.counts, p.Reads)
	coverage := make(map[string]access.Coverage, len(measured))
	for name, s := range measured {
		coverage[name] = s.Coverage()
	}
	maps.Copy(coverage, p.Coverage)
	p.Coverage = coverage
	return Result{
		Measure:    Measure{Counts: m.counts, Signals: measured},
		Provenance: p,
		Rejected:   m.rejected,
		Rejections: m.rejections,
		Gaps:       m.refs.gaps(m.index),
	}
}

// ended reports whether a worker record has ended. Dates decide; the status decides only where there is no date.
func ended(p access.Person, now time.Time) bool {
	if p.EndAt != nil {
		return !p.EndAt.After(now)
	}
	return p.Status == access.PersonEnded
}

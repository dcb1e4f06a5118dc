package store

import (
	"context"
	"fmt"
	"maps"
	"slices"

	"github.com/ClickHouse/clickhouse-go/v2"
	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"

	"github.com/lapse-audit/lapse/internal/access"
)

// Wanted are the kinds of subjects to make, and what will be read of each.
type Wanted map[access.SubjectKind]Part

// Part are columns of a kind. If they are asked of (see Run.Ask), BuildSubjects and Subjects can't be called for it.
type Part struct {
	Columns []string
	Asked   bool
}

// plan is what is done to make some columns of some kinds of subjects: the statements of a run, without those that make what
// none of these columns comes from.
type plan struct {
	wanted Wanted
	steps  map[string]string // the statements that are needed, by name
	slices []string          // those of them that cut kinds into slices
}

// steps are a run's statements in their order, and the table that each fills.
var steps = []struct{ name, table string }{
	{"owners", "work_owners"}, {"numbers", "work_numbers"}, {"groups", "work_groups"}, {"entitlements", "work_entitlements"},
	{"usage", "work_usage"}, {"accounts", "work_accounts"}, {"keys", "work_keys"}, {"directory", "work_directory"}, {"seats", "work_seats"},
	{"edges", "work_edges"}, {"direct", "work_direct"}, {closureStep, "work_closure"}, {"effective", "work_effective"}, {"flags", "work_flags"},
	{"peers", "work_peers"}, {"members", "work_members"},
}

// closureStep is no statement: the pairs that are closed outside, from work_edges.
const closureStep = "closure"

// wide are those steps of which columns can be left out.
var wide = []string{"entitlements", "accounts", "direct"}

// newPlan works back from the wanted columns: a statement is needed if one that is needed names its table, and a column of a
// wide one if one that reads the table has a name like it. So what is read is never what was left out.
func newPlan(wanted Wanted) (*plan, error) {
	p := &plan{wanted: wanted, steps: map[string]string{}}
	var needed []string
	for kind := range wanted {
		text, err := insertColumns("", kind, p.columns(kind))
		if err != nil {
			return nil, err
		}
		needed = append(needed, text)
	}
	effective := slices.ContainsFunc([]string{"work_effective", "work_peers", "work_members"}, func(table string) bool { return someMention(needed, table) })
	for _, kind := range slices.Sorted(maps.Keys(wanted)) {
		name := "slices_rest"
		if kind == access.SubjectAccount || kind == access.SubjectPerson {
			if name = "slices_" + string(kind); !effective {
				name += "_plain"
			}
		}
		if p.steps[name] == "" {
			p.slices = append(p.slices, name)
			p.steps[name] = sqlFile(name)
			needed = append(needed, p.steps[name])
		}
	}
	for _, s := range slices.Backward(steps) {
		if !someMention(needed, s.table) {
			continue
		}
		text := "work_edges"
		switch {
		case s.name == closureStep:
		case s.name == "flags" && !effective:
			text = sqlFile("flags_direct")
		default:
			text = sqlFile(s.name)
		}
		if slices.Contains(wide, s.name) {
			var err error
			if text, err = narrow(text, func(c string) bool { return someMention(needed, s.table, c) }); err != nil {
				return nil, fmt.Errorf("make a part of %s: %w", s.name, err)
			}
		}
		p.steps[s.name] = text
		needed = append(needed, text)
	}
	return p, nil
}

// someMention reports whether one of the texts has all the names.
func someMention(texts []string, names ...string) bool {
	return slices.ContainsFunc(texts, func(t string) bool {
		return !slices.ContainsFunc(names, func(n string) bool { return !mentions(t, n) })
	})
}

// do runs a step if it is needed.
func (p *plan) do(ctx context.Context, r *Run, name string, more ...driver.NamedValue) error {
	text, ok := p.steps[name]
	if !ok {
		return nil
	}
	return r.run(ctx, name, text, more...)
}

// numberPart is number for the wanted columns.
func (r *Run) numberPart(ctx context.Context, wanted Wanted) (err error) {
	if r.plan, err = newPlan(wanted); err != nil {
		return err
	}
	if err := r.plan.prepare(ctx, r.s); err != nil {
		return err
	}
	return r.plan.number(ctx, r)
}

func (p *plan) number(ctx context.Context, r *Run) error {
	for _, s := range steps {
		if s.name == "direct" {
			break
		}
		if err := p.do(ctx, r, s.name); err != nil {
			return err
		}
	}
	if _, ok := p.steps["direct"]; !ok {
		return nil
	}
	return r.direct(ctx, p.steps["direct"])
}

// plainSlice is how many subjects without grants are made at a time.
const plainSlice = 100_000

// close is what follows from the closure.
func (p *plan) close(ctx context.Context, r *Run) error {
	cut := []driver.NamedValue{clickhouse.Named("weight", uint64(sliceWeight)), clickhouse.Named("base", uint64(accountWeight)), clickhouse.Named("size", uint64(plainSlice))}
	if _, ok := p.steps["effective"]; ok && p.steps["slices_account"] == "" { // its ranges are those of accounts
		if err := r.do(ctx, "slices_account", cut...); err != nil {
			return err
		}
	}
	if err := p.do(ctx, r, "slices_account", cut...); err != nil {
		return err
	}
	if _, ok := p.steps["effective"]; ok {
		ranges, err := r.ranges(ctx, "account")
		if err != nil {
			return err
		}
		for _, part := range ranges {
			if err := p.do(ctx, r, "effective", part.parameters()...); err != nil {
				return err
			}
		}
	}
	if err := p.do(ctx, r, "flags"); err != nil {
		return err
	}
	for _, name := range p.slices {
		if name == "slices_account" {
			continue
		}
		if err := p.do(ctx, r, name, cut...); err != nil {
			return err
		}
	}
	for _, name := range []string{"peers", "members"} {
		if err := p.do(ctx, r, name); err != nil {
			return err
		}
	}
	return nil
}

// The subjects of a plan have tables of their own, which have no other columns than those that are made: a statement that
// asks for another fails.

func partTable(kind access.SubjectKind) string { return "past_" + subjectTable(kind) }

// columns are those of a kind that are made, in the schema's order.
func (p *plan) columns(kind access.SubjectKind) []access.Column {
	return slices.DeleteFunc(access.SchemaOf(kind).Columns(), func(c access.Column) bool { return !slices.Contains(p.wanted[kind].Columns, c.Name) })
}

func (p *plan) prepare(ctx context.Context, s *Store) error {
	for kind, part := range p.wanted {
		if part.Asked {
			continue
		}
		if err := s.prepareTable(ctx, partTable(kind), placed(p.columns(kind))); err != nil {
			return fmt.Errorf("make table of parts of %s subjects: %w", kind, err)
		}
	}
	return nil
}

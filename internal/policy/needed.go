package policy

import (
	"slices"
	"strings"

	"github.com/lapse-audit/lapse/internal/access"
)

// Columns are those of a kind's table that evaluating its subjects looks at: what the policies read, what their METADATA
// asks for, who the subject is, and what a screen tests, if there is one. A row may hold access.NotBuilt in all others. ok is
// false if that is not known, and then a row has to have all: the kind has policies that are set by source. tested are those
// that a screen tests of every subject: the others are looked at only where a subject is evaluated.
func (e *Engine) Columns(kind access.SubjectKind, screen *Screen) (columns, tested []string, ok bool) {
	l := e.lanes[laneKey{kind, ""}]
	if l == nil || e.bySource(kind) {
		return nil, nil, false
	}
	n := needed{columns: l.columns, wanted: map[int]bool{}}
	if screen != nil {
		n.text(slices.Concat(screen.Atoms, screen.Flags, screen.Verdicts))
		tested = n.names()
	}
	n.object(newDocument(l.columns, l.reads).root)
	for _, r := range l.rules {
		n.applicability(&r.applies)
		n.identity(&l.identity, r.Assignee)
	}
	return n.names(), tested, true
}

// needed gathers columns by their place.
type needed struct {
	columns *columns
	wanted  map[int]bool
}

// names are the gathered columns in the schema's order.
func (n *needed) names() (out []string) {
	for i, c := range n.columns.schema.Columns() {
		if n.wanted[i] {
			out = append(out, c.Name)
		}
	}
	return out
}

func (n *needed) object(o *object) {
	for _, c := range o.columns {
		n.wanted[c] = true
	}
	n.sizes(o)
}

// sizes are the columns by which arrays are counted.
func (n *needed) sizes(o *object) {
	if o.array {
		n.field(&o.size)
	}
	for _, sub := range o.objects {
		n.sizes(sub)
	}
}

func (n *needed) field(f *field) {
	if f == nil {
		return
	}
	for _, c := range f.known {
		n.wanted[c] = true
	}
	for _, c := range []int{f.value, f.size} {
		if c >= 0 {
			n.wanted[c] = true
		}
	}
}

func (n *needed) applicability(a *applicability) {
	for i := range a.scope {
		n.field(&a.scope[i].field)
	}
	for i := range a.needs {
		for j := range a.needs[i].fields {
			n.field(&a.needs[i].fields[j])
		}
	}
	n.field(a.leave)
}

// identity is what fill looks at for a policy.
func (n *needed) identity(i *identity, assignee string) {
	fields := []*field{i.source, i.sourceName, i.id, i.person, i.personName, i.personDepartment}
	fields = append(fields, i.names...)
	if i.kind == access.SubjectEntitlement {
		fields = append(fields, i.owner, i.ownerName, i.ownerDepartment)
	}
	switch assignee {
	case "account_owner":
		fields = append(fields, i.owner, i.ownerStatus)
	case "manager":
		fields = append(fields, i.manager, i.managerStatus)
	}
	for _, f := range fields {
		n.field(f)
	}
}

// text is every column that SQL names.
func (n *needed) text(expressions []string) {
	for _, e := range expressions {
		for word := range strings.FieldsFuncSeq(e, func(c rune) bool {
			return c != '_' && (c < '0' || c > '9') && (c < 'a' || c > 'z') && (c < 'A' || c > 'Z')
		}) {
			if i, ok := n.columns.index[word]; ok {
				n.wanted[i] = true
			}
		}
	}
}

package policy

import (
	"slices"
	"strings"

	"github.com/lapse-audit/lapse/internal/access"
)

// Columns are those of a kind's table that evaluating its subjects looks at: what the policies read, what their METADATA
// asks for, who the subject is, and what a screen tests, if there is one. A row may hold access.Unread in all others. ok is
// false if that is not known, and then a row has to have all: the kind has policies that are set by source.
func (e *Engine) Columns(kind access.SubjectKind, screen *Screen) (columns []string, ok bool) {
	l := e.lanes[laneKey{kind, ""}]
	if l == nil || e.bySource(kind) {
		return nil, false
	}
	some := newDocument(l.columns, l.reads, map[int]*leaf{}).columns()
	for _, r := range l.rules {
		some = append(some, r.applies.columns()...)
		some = append(some, l.identity.columns(r.Assignee)...)
	}
	if screen != nil {
		for _, expression := range slices.Concat(screen.Atoms, screen.Flags, screen.Facts) {
			some = append(some, l.columns.mentioned(expression)...)
		}
	}
	return l.columns.names(some), true
}

// mentioned are the columns that an SQL expression names.
func (c *columns) mentioned(expression string) (some []int) {
	for word := range strings.FieldsFuncSeq(expression, func(c rune) bool {
		return c != '_' && (c < '0' || c > '9') && (c < 'a' || c > 'z') && (c < 'A' || c > 'Z')
	}) {
		if i, ok := c.index[word]; ok {
			some = append(some, i)
		}
	}
	return some
}

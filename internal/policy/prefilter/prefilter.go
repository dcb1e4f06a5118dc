// Package prefilter translates what partial evaluation leaves of a rule into a ClickHouse predicate over the table of the
// rule's subjects. The predicate over-approximates: it holds for every subject that the rule flags, and perhaps for more.
// What it holds for, Rego decides; what it does not hold for need not be looked at.
//
// It rests on one contract: a document is built from the very columns that the predicate reads, and a column is NULL, or the
// presence column of something around it false, exactly where the document lacks the key.
package prefilter

import (
	"fmt"

	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/rego"

	"github.com/lapse-audit/lapse/internal/access"
)

// Rule is a rule as far as it could be translated.
type Rule struct {
	over    pred
	Dropped []Dropped // what Rego alone decides, in the order of the policy's lines
}

// Complete reports whether the predicate is the rule, nothing left out.
func (r *Rule) Complete() bool { return len(r.Dropped) == 0 }

// Always reports whether nothing of the rule was translated, so that it has to judge every subject.
func (r *Rule) Always() bool { return r.over == truth(true) }

// Dropped is a part of a rule that is not translated. The rest of the rule still is.
type Dropped struct {
	File string
	Line int
	Text string // as it is written, or what partial evaluation has made of it
	Why  string // and what to write instead, if there is something
}

func (d Dropped) String() string { return fmt.Sprintf("%s:%d: %s: %s", d.File, d.Line, d.Text, d.Why) }

// Limits on one statement; see Statement.
const (
	maxElements   = 1000      // of an array parameter
	maxText       = 64 << 10  // of all predicates of a statement
	maxParameters = 512       // of a statement
	maxValues     = 256 << 10 // bytes of all parameters: a server takes them in the address of a request
)

// Translate makes a predicate of the queries that partial evaluation has left of a rule, all of input being unknown to it.
// Data looks up what it has left to be looked up, as it does below every; false: there is nothing. Helpers are the compiled
// rules of a name. The fault is NoFault but in tests.
func Translate(schema *access.Schema, left *rego.PartialQueries, data func(ast.Ref) (ast.Value, bool), helpers func(ast.Ref) []*ast.Rule, fault Fault) *Rule {
	t := newTranslator(schema, left)
	t.data, t.helpers, t.fault = data, helpers, fault
	bodies := make([]pair, len(left.Queries))
	for i, q := range left.Queries {
		bodies[i] = t.body(q, &scope{})
	}
	over := anyOf(bodies...).over
	if fault == ForgottenQuery && len(bodies) > 1 {
		over = bodies[0].over
	}
	return &Rule{over: newSimplifier().simplify(over), Dropped: t.dropped}
}

// Unknowns is what partial evaluation must be told not to know. A variable in place of this ref yields no queries and no
// error.
func Unknowns() []*ast.Term { return []*ast.Term{ast.NewTerm(ast.InputRootRef)} }

// nothing is equal to nothing that a document or a policy holds.
var nothing = ast.SetTerm(ast.StringTerm("lapse: whatever is there differs from this"))

// Defined is a condition that holds wherever a term is defined, and that partial evaluation leaves where it is.
func Defined(t *ast.Term) *ast.Expr { return ast.NotEqual.Expr(t, nothing) }

// isDefined reports whether an expression is such a condition, and of what.
func isDefined(x *ast.Expr) (*ast.Term, bool) {
	terms, ok := x.Terms.([]*ast.Term)
	if !ok || len(terms) != 3 || terms[0].String() != ast.NotEqual.Name || !terms[2].Equal(nothing) {
		return nil, false
	}
	return terms[1], true
}

// Fault is an unsoundness that a test plants, to see that it is caught.
type Fault int

// The faults that can be planted.
const (
	NoFault        Fault = iota
	WrongPolarity        // not does not exchange over and under: what is dropped below it is FALSE
	MissingHolds         // below not, a comparison holds where its value is missing
	ForgottenQuery       // only the first of a rule's ways to flag counts
)

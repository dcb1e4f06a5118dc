package policy

import (
	"fmt"

	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/rego"
	"github.com/open-policy-agent/opa/v1/types"

	"github.com/lapse-audit/lapse/internal/access"
)

// Of what a table or a parameter holds OPA learns the type only when it is there. Evaluation then fails on a builtin that gets a
// number in the place of a text. Partial evaluation checks the types of what it leaves, and where they don't fit it leaves
// nothing, as if such a condition never held. So it gets to know no types of builtins, and what it leaves is checked here.

// untyped are builtins that take anything and yield anything.
func untyped(builtins []*ast.Builtin) []*ast.Builtin {
	out := make([]*ast.Builtin, len(builtins))
	for i, b := range builtins {
		args := make([]types.Type, len(b.Decl.FuncArgs().Args))
		for i := range args {
			args[i] = types.A
		}
		result := b.Decl.Result()
		if result != nil {
			result = types.A
		}
		loose := *b
		loose.Decl = types.NewFunction(args, result)
		if b.Decl.FuncArgs().Variadic != nil {
			loose.Decl = types.NewVariadicFunction(args, types.A, result)
		}
		out[i] = &loose
	}
	return out
}

// mistyped finds a call of a builtin, in what partial evaluation has left, that can only fail: a constant or a field in it is of
// another type. Fields are looked at again, as what OPA's types have not followed them through has fallen away.
func mistyped(kind access.SubjectKind, left *rego.PartialQueries) string {
	c := newCompiler(kind)
	c.Compile(nil) // reads the schema
	why := ""
	visit := func(name string, args []*ast.Term, loc *ast.Location) {
		b := ast.BuiltinMap[name]
		if why != "" || b == nil || len(args) < len(b.Decl.FuncArgs().Args) {
			return
		}
		known := false
		terms := []*ast.Term{ast.NewTerm(b.Ref())}
		for i, arg := range args[:len(b.Decl.FuncArgs().Args)] {
			ref, isRef := arg.Value.(ast.Ref)
			typed := (ast.IsConstant(arg.Value) || isRef && ref.HasPrefix(ast.InputRootRef)) && types.Compare(b.Decl.FuncArgs().Args[i], types.A) != 0
			known = known || typed
			if !typed {
				arg = ast.VarTerm("whatever")
			}
			terms = append(terms, arg)
		}
		if known && !c.PassesTypeCheck(ast.NewBody(ast.NewExpr(terms))) {
			why = fmt.Sprintf("%s can fail: something in a table, a parameter or a field is of a type that it does not take", name)
			if loc != nil && loc.File != "" {
				why = fmt.Sprintf("%s:%d: %s", loc.File, loc.Row, why)
			}
		}
	}
	for _, q := range left.Queries {
		eachCall(q, visit)
	}
	for _, m := range left.Support {
		eachCall(m, visit)
	}
	return why
}

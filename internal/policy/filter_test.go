package policy

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/topdown"
)

// TestFilter holds json.filter against OPA's, which it stands in for, over objects and paths of few names, so that paths meet.
func TestFilter(t *testing.T) {
	f := filterer{}
	left := 0
	f.opa = func(bctx topdown.BuiltinContext, operands []*ast.Term, iter func(*ast.Term) error) error {
		left++
		return opaFilter(bctx, operands, iter)
	}
	r := rand.New(rand.NewPCG(7, 1))
	const lists, each = 2000, 10
	for range lists {
		paths := randomPaths(r)
		for range each {
			operands := []*ast.Term{randomObject(r, 3), paths}
			if got, want := filtered(t, f.filter, operands), filtered(t, opaFilter, operands); got != want {
				t.Fatalf("json.filter(%v, %v)\n got %s\nwant %s", operands[0], operands[1], got, want)
			}
		}
	}
	if left < lists || left > lists*each/2 {
		t.Errorf("%d of %d were left to OPA", left, lists*each)
	}
	for range 3 * mostFilters {
		filtered(t, f.filter, []*ast.Term{randomObject(r, 3), randomPaths(r)})
	}
	known := 0
	f.known.Range(func(any, any) bool { known++; return true })
	if known == 0 || known > mostFilters {
		t.Errorf("%d lists of paths are known, want no more than %d", known, mostFilters)
	}
}

// opaFilter is OPA's own, as it was before setBuiltins.
var opaFilter = topdown.GetBuiltin(ast.JSONFilter.Name)

func filtered(t *testing.T, f topdown.BuiltinFunc, operands []*ast.Term) (out string) {
	t.Helper()
	err := f(topdown.BuiltinContext{}, operands, func(r *ast.Term) error {
		out = fmt.Sprintf("%v of hash %d", r, r.Hash())
		return nil
	})
	if err != nil {
		return err.Error()
	}
	return out
}

var fewNames = []string{"a", "b", "c", "d", "0", "1", ""}

func randomObject(r *rand.Rand, depth int) *ast.Term {
	var pairs [][2]*ast.Term
	for _, name := range fewNames {
		if r.IntN(2) == 0 {
			pairs = append(pairs, [2]*ast.Term{ast.StringTerm(name), randomTerm(r, depth-1)})
		}
	}
	return ast.ObjectTerm(pairs...)
}

func randomTerm(r *rand.Rand, depth int) *ast.Term {
	kinds := 8
	if depth > 0 {
		kinds = 14
	}
	switch n := r.IntN(kinds); n {
	case 0:
		return ast.NullTerm()
	case 1:
		return ast.BooleanTerm(r.IntN(2) == 0)
	case 2, 3:
		return ast.IntNumberTerm(r.IntN(3))
	case 4, 5, 6, 7:
		return ast.StringTerm(fewNames[r.IntN(len(fewNames))])
	case 8:
		return ast.ArrayTerm(randomTerm(r, depth-1), randomTerm(r, depth-1))
	case 9:
		return ast.SetTerm(randomTerm(r, depth-1), randomTerm(r, depth-1))
	default:
		return randomObject(r, depth)
	}
}

func randomPaths(r *rand.Rand) *ast.Term {
	var paths []*ast.Term
	for range r.IntN(5) {
		var path []string
		for range 1 + r.IntN(3) {
			path = append(path, fewNames[r.IntN(len(fewNames))])
		}
		switch r.IntN(30) {
		case 0:
			paths = append(paths, ast.StringTerm("/"+strings.Join(path, "/")))
		case 1:
			paths = append(paths, ast.StringTerm(strings.Join(path, "~1")))
		case 2:
			paths = append(paths, ast.ArrayTerm(ast.StringTerm(path[0]), ast.IntNumberTerm(1)))
		case 3:
			paths = append(paths, ast.IntNumberTerm(1))
		default:
			paths = append(paths, ast.StringTerm(strings.Join(path, "/")))
		}
	}
	if r.IntN(20) == 0 {
		return ast.SetTerm(paths...)
	}
	return ast.ArrayTerm(paths...)
}

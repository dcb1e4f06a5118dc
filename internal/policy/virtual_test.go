package policy

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/topdown"
)

// TestVirtualDocs holds the cache against OPA's own, with few and with many documents, frames and all.
func TestVirtualDocs(t *testing.T) {
	r := rand.New(rand.NewPCG(7, 2))
	var docs virtualDocs
	many := 0
	for range 300 {
		docs.reset()
		want, got := topdown.NewVirtualCache(), topdown.VirtualCache(&docs)
		names := 1 + r.IntN(60)
		ref := make(ast.Ref, 0, 5) // which the evaluation uses again and again
		at := func() ast.Ref {
			ref = append(ref[:0], ast.DefaultRootDocument, ast.StringTerm("p"), ast.StringTerm(fmt.Sprintf("r%d", r.IntN(names))))
			if r.IntN(2) == 0 {
				ref = append(ref, randomTerm(r, 2))
			}
			return ref
		}
		put, frames := map[string]bool{}, 0
		for step := range 200 {
			switch n := r.IntN(20); {
			case n == 0:
				want.Push()
				got.Push()
				frames++
			case n == 1 && frames > 0:
				want.Pop()
				got.Pop()
				frames--
			case n < 9:
				ref := at()
				if key := fmt.Sprint(frames, ref); !put[key] { // a document is evaluated once
					put[key] = true
					value := randomTerm(r, 1)
					if r.IntN(4) == 0 {
						value = nil
					}
					want.Put(ref.Copy(), value)
					got.Put(ref, value)
				}
			default:
				ref := at()
				wantValue, wantUndefined := want.Get(ref)
				value, undefined := got.Get(ref)
				if value != wantValue || undefined != wantUndefined {
					t.Fatalf("step %d: %v is %v, undefined %v; want %v, %v", step, ref, value, undefined, wantValue, wantUndefined)
				}
			}
		}
		if docs.more != nil {
			many++
		}
		if got, want := keysOf(got), keysOf(want); !slices.Equal(got, want) {
			t.Fatalf("keys are %v, want %v", got, want)
		}
	}
	if many == 0 || many == 300 {
		t.Errorf("%d of 300 had more than fit into the list", many)
	}
}

func keysOf(c topdown.VirtualCache) (out []string) {
	for _, ref := range c.Keys() {
		out = append(out, ref.String())
	}
	slices.Sort(out)
	return out
}

package policy

import (
	"strings"
	"sync"
	"sync/atomic"

	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/topdown"
)

// Nearly every finding's evidence is what json.filter leaves of the subject. OPA parses the paths for each, which takes longer
// than anything else in the judging of it; but they stand in the policy, and it is the same list of paths every time.

// filterer is json.filter with the paths that it has been asked for before.
type filterer struct {
	opa   topdown.BuiltinFunc
	known sync.Map // *ast.Array to *kept; nil for paths that are left to OPA
	size  atomic.Int64
}

// mostFilters bounds what is known: a list that a policy makes while it is evaluated is not the same the next time, and those of
// policies that were loaded before are not asked for again.
const mostFilters = 4096

// kept is what is left of an object: these of its keys, and what is left of their values.
type kept struct {
	keys  []*ast.Term
	below []*kept // by key; nil: all
}

func (f *filterer) filter(bctx topdown.BuiltinContext, operands []*ast.Term, iter func(*ast.Term) error) error {
	if object, ok := operands[0].Value.(ast.Object); ok {
		if paths, ok := operands[1].Value.(*ast.Array); ok {
			if k := f.of(paths); k != nil {
				if left := k.of(object); left != nil {
					return iter(left)
				}
			}
		}
	}
	return f.opa(bctx, operands, iter)
}

func (f *filterer) of(paths *ast.Array) *kept {
	if known, ok := f.known.Load(paths); ok {
		return known.(*kept)
	}
	k := newKept(paths)
	if f.size.Add(1) > mostFilters {
		f.known.Clear()
		f.size.Store(1)
	}
	f.known.Store(paths, k)
	return k
}

// newKept is nil unless all paths are texts without anything to trim or to unescape.
func newKept(paths *ast.Array) *kept {
	root := &kept{}
	for i := range paths.Len() {
		path, ok := paths.Elem(i).Value.(ast.String)
		if !ok || path == "" || strings.HasPrefix(string(path), "/") || strings.Contains(string(path), "~") {
			return nil
		}
		root.add(strings.Split(string(path), "/"))
	}
	return root
}

func (k *kept) add(path []string) {
	key := ast.InternedTerm(path[0])
	i := 0
	for i < len(k.keys) && !k.keys[i].Equal(key) {
		i++
	}
	if i == len(k.keys) {
		k.keys, k.below = append(k.keys, key), append(k.below, nil)
		if len(path) > 1 {
			k.below[i] = &kept{}
		}
	}
	switch {
	case len(path) == 1:
		k.below[i] = nil
	case k.below[i] != nil:
		k.below[i].add(path[1:])
	}
}

// of returns what is left of an object, nil if it has an array or a set where a part of it is to be left.
func (k *kept) of(o ast.Object) *ast.Term {
	pairs := make([][2]*ast.Term, 0, len(k.keys))
	for i, key := range k.keys {
		value := o.Get(key)
		if value == nil {
			continue
		}
		if k.below[i] != nil {
			switch v := value.Value.(type) {
			case ast.Object:
				if value = k.below[i].of(v); value == nil {
					return nil
				}
			case ast.String, ast.Number, ast.Boolean, ast.Null: // OPA leaves them as they are
			default:
				return nil
			}
		}
		pairs = append(pairs, [2]*ast.Term{key, value})
	}
	return ast.ObjectTerm(pairs...)
}

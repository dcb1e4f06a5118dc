package prefilter

import (
	"slices"

	"github.com/open-policy-agent/opa/v1/ast"

	"github.com/lapse-audit/lapse/internal/access"
)

// place is what a ref leads to: a value, an object or an array.
type place struct {
	node *access.Node
	leaf bool // a scalar, or the value of a key of a map
	x    operand
}

const (
	whyNotHelper = "helpers with else, with a default other than false, or with a value that is computed, are not translated: write helper rules that hold or don't"
	whyNotPlace  = "the indexes of an array, and arrays in it, are not translated: write `some x in …`"
)

// whyNot says why a term is no place.
func whyNot(t *ast.Term) string {
	switch v := t.Value.(type) {
	case ast.Call:
		return v[0].String() + " is not translated: compare a field with a constant or another field"
	case ast.Ref:
		switch {
		case v[0].Equal(ast.DefaultRootDocument):
			return whyNotHelper
		case v.HasPrefix(ast.InputRootRef) && len(v) > 1 && v[1].Equal(ast.StringTerm("run")):
			return "the run is not in the subject's table: use time.now_ns()"
		}
	case ast.Var:
		return "what is compared is computed"
	}
	return whyNotPlace
}

// defined holds where the place is there.
func (p place) defined() pred {
	if !p.leaf {
		return presenceOf(p.x.known)
	}
	return thereOf(p.x)
}

// place follows a ref. Of run the table holds another text than the document.
func (t *translator) place(r ast.Ref, s *scope) (place, bool) {
	r = s.expand(r)
	if !r.HasPrefix(ast.InputRootRef) || len(r) < 2 || r[1].Equal(ast.StringTerm("run")) {
		return place{}, false
	}
	p := place{node: t.schema.Root}
	for i := 1; i < len(r); i++ {
		switch v := r[i].Value.(type) {
		case ast.String:
			if isMap(p.node) {
				if i != len(r)-1 || p.x.element != "" {
					return place{}, false
				}
				key := string(v)
				p.leaf = true
				p.x.column, p.x.key, p.x.kind = p.node.Column, &key, word
				return p, true
			}
			if p.node.Leaf() || p.node.Array && !entered(r, i, s) {
				return place{}, false
			}
			if p.node = p.node.Field(string(v)); p.node == nil {
				return place{}, false
			}
			if p.x.element == "" {
				p.x.known = t.presence(p.node, p.x.known)
			}
		case ast.Var:
			e, ok := s.elements[v]
			if ok && e.array.keys() && isMap(p.node) && i == len(r)-1 && p.x.element == "" {
				p.leaf = true
				p.x.column, p.x.by, p.x.kind = p.node.Column, e.name, word
				return p, true
			}
			if ok && e.array.texts != nil && e.array.node == p.node && i == len(r)-1 && p.x.element == e.array.texts.element {
				p.leaf = true
				p.x = operand{column: textColumn, element: e.name, kind: word}
				return p, true
			}
			if !ok || e.array.node != p.node || e.array.keys() || e.array.texts != nil {
				return place{}, false
			}
			p.x = operand{element: e.name}
		default:
			return place{}, false
		}
	}
	if p.node == t.schema.Root {
		return place{}, false
	}
	p.x.kind = other
	if p.node.Leaf() && !p.node.Array && p.node.Type != access.StringMap {
		p.leaf = true
		p.x.column = p.node.Column
		p.x.nullable = p.x.element == "" || !p.node.Required
		p.x.float = p.node.Type == access.Number
		p.x.kind = map[access.FieldType]kind{access.Bool: boolean, access.Int: number, access.Number: number, access.String: word}[p.node.Type]
	} else if p.node.Leaf() {
		p.x.column = p.node.Column
	}
	return p, true
}

func isMap(n *access.Node) bool { return n.Type == access.StringMap && !n.Array }

// entered reports whether the part of a ref before the i-th is an element's index.
func entered(r ast.Ref, i int, s *scope) bool {
	v, ok := r[i-1].Value.(ast.Var)
	_, element := s.elements[v]
	return ok && element && i > 1
}

// presence adds the presence column of a node outside of arrays, if it has one.
func (t *translator) presence(n *access.Node, known []string) []string {
	if n.Leaf() && !n.Array && n.Type != access.StringMap {
		return known
	}
	if !n.Leaf() && n.Required {
		return known
	}
	return append(slices.Clone(known), n.KnownColumn())
}

// firstLeaf is a column of an array of objects by which its elements can be counted.
func firstLeaf(n *access.Node) *access.Node {
	for !n.Leaf() {
		i := slices.IndexFunc(n.Fields, func(f *access.Node) bool { return f.Required })
		n = n.Fields[max(i, 0)]
	}
	return n
}

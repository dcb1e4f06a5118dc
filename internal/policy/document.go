package policy

import (
	"fmt"
	"slices"
	"strconv"

	"github.com/open-policy-agent/opa/v1/ast"

	"github.com/lapse-audit/lapse/internal/access"
)

// document builds the input of one kind of subject from rows, as the terms that Rego evaluates: no detour by maps. Only
// what some rule reads is built. It keeps caches and is for one goroutine.
type document struct {
	root   *object
	leaves map[int]*leaf  // by column
	sizes  []int          // columns by which arrays are counted
	run    *ast.Term      // the run object, nil if nothing reads it
	pairs  [][2]*ast.Term // scratch
	fault  error
}

// object is an object of the document, or an array of objects.
type object struct {
	key     *ast.Term
	known   int // presence column, -1 if there is none
	array   bool
	size    field
	leaves  []*leaf
	objects []*object
	columns []int // all it is made of
	memo    *memo
}

// leaf is a scalar, a map or an array of scalars.
type leaf struct {
	key    *ast.Term
	column int
	known  int
	name   string // of the column, for errors
	cache  map[string]*ast.Term
	asked  int
	found  int
}

// newDocument compiles the plan of a subject's document; reads says which paths are read. Documents of one goroutine share
// leaves, by column.
func newDocument(c *columns, reads *pathSet, leaves map[int]*leaf) *document {
	d := &document{leaves: leaves}
	d.root = d.plan(c, c.schema.Root, reads)
	return d
}

func (d *document) plan(c *columns, n *access.Node, reads *pathSet) *object {
	o := &object{key: ast.StringTerm(n.Name), known: c.known(n), array: n.Array}
	if n.Array {
		o.size = c.field(n.Path[:len(n.Path)-2])
	}
	for _, f := range n.Fields {
		below := reads.child(f.Name)
		if below == nil {
			continue
		}
		if n == c.schema.Root && f.Name == "run" { // the engine's
			continue
		}
		if !f.Leaf() {
			o.objects = append(o.objects, d.plan(c, f, below))
			continue
		}
		column := c.index[f.Column]
		if d.leaves[column] == nil {
			d.leaves[column] = &leaf{key: ast.StringTerm(f.Name), column: column, known: c.known(f), name: f.Column, cache: map[string]*ast.Term{}}
		}
		o.leaves = append(o.leaves, d.leaves[column])
	}
	o.columns = o.allColumns(nil)
	if o.array {
		d.sizes = append(d.sizes, o.size.size)
	}
	if n != c.schema.Root {
		o.memo = newMemo()
	}
	return o
}

// columns are all that the document is built from.
func (d *document) columns() []int { return slices.Concat(d.root.columns, d.sizes) }

func (o *object) allColumns(to []int) []int {
	if o.known >= 0 {
		to = append(to, o.known)
	}
	for _, l := range o.leaves {
		to = append(to, l.column)
		if l.known >= 0 {
			to = append(to, l.known)
		}
	}
	for _, sub := range o.objects {
		to = sub.allColumns(to)
	}
	return to
}

// build returns the document of a row.
func (d *document) build(row access.Row) (ast.Value, error) {
	d.fault = nil
	d.pairs = d.pairs[:0]
	if d.run != nil {
		d.pairs = append(d.pairs, [2]*ast.Term{runKey, d.run})
	}
	t := d.fresh(d.root, row, -1, 0)
	if d.fault != nil {
		return nil, d.fault
	}
	return t.Value, nil
}

var runKey = ast.StringTerm("run")

// object builds one object; element is the index into nested columns, -1 outside of an array.
func (d *document) object(o *object, row access.Row, element int) *ast.Term {
	if o.memo == nil {
		return d.fresh(o, row, element, len(d.pairs))
	}
	t, hash, off := o.memo.lookup(o.columns, row, element)
	if t == nil {
		t = d.fresh(o, row, element, len(d.pairs))
		if !off && d.fault == nil {
			o.memo.remember(hash, t, o.columns, row, element)
		}
	}
	return t
}

// fresh builds an object of the pairs gathered since from.
func (d *document) fresh(o *object, row access.Row, element, from int) *ast.Term {
	for _, l := range o.leaves {
		if t := d.leaf(l, row, element); t != nil {
			d.pairs = append(d.pairs, [2]*ast.Term{l.key, t})
		}
	}
	for _, sub := range o.objects {
		if sub.known >= 0 && element < 0 {
			if known, ok := row[sub.known].(bool); !ok || !known {
				continue
			}
		}
		var t *ast.Term
		if sub.array {
			t = d.array(sub, row)
		} else {
			t = d.object(sub, row, element)
		}
		d.pairs = append(d.pairs, [2]*ast.Term{sub.key, t})
	}
	t := ast.ObjectTerm(d.pairs[from:]...)
	d.pairs = d.pairs[:from]
	return t
}

func (d *document) array(o *object, row access.Row) *ast.Term {
	n := o.size.length(row)
	if n == 0 {
		return ast.InternedEmptyArray
	}
	terms := make([]*ast.Term, n)
	for i := range n {
		terms[i] = d.object(o, row, i)
	}
	return ast.NewTerm(ast.NewArray(terms...))
}

// leaf returns nil where the value is absent.
func (d *document) leaf(l *leaf, row access.Row, element int) *ast.Term {
	if l.known >= 0 {
		if known, ok := row[l.known].(bool); !ok || !known {
			return nil
		}
	}
	switch v := row[l.column].(type) {
	case nil:
		return nil
	case *bool:
		if v != nil {
			return ast.InternedTerm(*v)
		}
		return nil
	case *int64:
		if v != nil {
			return ast.InternedTerm(int(*v))
		}
		return nil
	case *float64:
		if v != nil {
			return l.number(*v)
		}
		return nil
	case *string:
		if v != nil {
			return l.text(*v)
		}
		return nil
	case map[string]string:
		return l.textMap(v)
	}
	if element < 0 {
		switch v := row[l.column].(type) {
		case []string:
			return l.texts(v)
		case []int64:
			return arrayTerm(len(v), func(i int) *ast.Term { return ast.InternedTerm(int(v[i])) })
		case []float64:
			return arrayTerm(len(v), func(i int) *ast.Term { return l.number(v[i]) })
		case []bool:
			return arrayTerm(len(v), func(i int) *ast.Term { return ast.InternedTerm(v[i]) })
		}
	} else if t, ok := d.element(l, row[l.column], element); ok {
		return t
	}
	if d.fault == nil {
		d.fault = fmt.Errorf("column %s holds a %T", l.name, row[l.column])
	}
	return nil
}

// element reads a nested column; ok is false if it is of a wrong type or too short.
func (d *document) element(l *leaf, column any, i int) (t *ast.Term, ok bool) {
	switch v := column.(type) {
	case []string:
		if i < len(v) {
			return l.text(v[i]), true
		}
	case []bool:
		if i < len(v) {
			return ast.InternedTerm(v[i]), true
		}
	case []int64:
		if i < len(v) {
			return ast.InternedTerm(int(v[i])), true
		}
	case []float64:
		if i < len(v) {
			return l.number(v[i]), true
		}
	case []*string:
		if i < len(v) && v[i] != nil {
			return l.text(*v[i]), true
		}
		return nil, i < len(v)
	case []*bool:
		if i < len(v) && v[i] != nil {
			return ast.InternedTerm(*v[i]), true
		}
		return nil, i < len(v)
	case []*int64:
		if i < len(v) && v[i] != nil {
			return ast.InternedTerm(int(*v[i])), true
		}
		return nil, i < len(v)
	case []*float64:
		if i < len(v) && v[i] != nil {
			return l.number(*v[i]), true
		}
		return nil, i < len(v)
	case [][]string:
		if i < len(v) {
			return l.texts(v[i]), true
		}
	}
	return nil, false
}

const (
	cacheSize  = 4096
	cacheTrial = 2048 // lookups after which a cache must have paid
)

// text returns the term of a string. A column that repeats itself (a department, the name of a group) is cached; one that
// does not (a user name) stops being so.
func (l *leaf) text(s string) *ast.Term {
	if l.cache == nil {
		return ast.StringTerm(s)
	}
	l.asked++
	if t, ok := l.cache[s]; ok {
		l.found++
		return t
	}
	if l.asked >= cacheTrial {
		if l.found*2 < l.asked {
			l.cache = nil
			return ast.StringTerm(s)
		}
		l.asked, l.found = 0, 0
	}
	if len(l.cache) >= cacheSize {
		clear(l.cache)
	}
	t := ast.StringTerm(s)
	l.cache[s] = t
	return t
}

func (l *leaf) number(f float64) *ast.Term {
	return ast.NewTerm(ast.Number(strconv.FormatFloat(f, 'f', -1, 64)))
}

func (l *leaf) texts(list []string) *ast.Term {
	return arrayTerm(len(list), func(i int) *ast.Term { return l.text(list[i]) })
}

func (l *leaf) textMap(m map[string]string) *ast.Term {
	pairs := make([][2]*ast.Term, 0, len(m))
	for k, v := range m {
		pairs = append(pairs, [2]*ast.Term{ast.InternedTerm(k), l.text(v)})
	}
	return ast.ObjectTerm(pairs...)
}

func arrayTerm(n int, at func(int) *ast.Term) *ast.Term {
	if n == 0 {
		return ast.InternedEmptyArray
	}
	terms := make([]*ast.Term, n)
	for i := range terms {
		terms[i] = at(i)
	}
	return ast.NewTerm(ast.NewArray(terms...))
}

package policy

import (
	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/topdown"
)

// virtualDocs is a topdown.VirtualCache: what the rules gave that a query has evaluated so far. OPA's own keeps them in a tree
// of hash tables, a level for each part of a reference, which is built anew for every query. A subject is judged with a dozen
// of them, and a list is found through faster than references are hashed. What is more than fits goes into one of OPA's.
type virtualDocs struct {
	docs   []virtualDoc
	frames []int // where each frame but the first begins
	terms  []*ast.Term
	more   topdown.VirtualCache // nil until there is more
}

type virtualDoc struct {
	ref   ast.Ref
	value *ast.Term // nil: undefined
}

// manyDocs is how many a list may hold.
const manyDocs = 32

// reset forgets everything; the memory is used again.
func (c *virtualDocs) reset() {
	clear(c.docs)
	clear(c.terms)
	c.docs, c.frames, c.terms, c.more = c.docs[:0], c.frames[:0], c.terms[:0], nil
}

// Push implements topdown.VirtualCache.
func (c *virtualDocs) Push() {
	c.frames = append(c.frames, len(c.docs))
	if c.more != nil {
		c.more.Push()
	}
}

// Pop implements topdown.VirtualCache.
func (c *virtualDocs) Pop() {
	last := len(c.frames) - 1
	c.docs, c.frames = c.docs[:c.frames[last]], c.frames[:last]
	if c.more != nil {
		c.more.Pop()
	}
}

// frame are the documents of the frame that is open.
func (c *virtualDocs) frame() []virtualDoc {
	if len(c.frames) == 0 {
		return c.docs
	}
	return c.docs[c.frames[len(c.frames)-1]:]
}

func (c *virtualDocs) find(ref ast.Ref) *virtualDoc {
	frame := c.frame()
	for i := range frame {
		if sameRef(frame[i].ref, ref) {
			return &frame[i]
		}
	}
	return nil
}

// Get implements topdown.VirtualCache.
func (c *virtualDocs) Get(ref ast.Ref) (value *ast.Term, undefined bool) {
	if d := c.find(ref); d != nil {
		return d.value, d.value == nil
	}
	if c.more != nil {
		return c.more.Get(ref)
	}
	return nil, false
}

// Put implements topdown.VirtualCache. The reference may be changed afterwards, its terms not.
func (c *virtualDocs) Put(ref ast.Ref, value *ast.Term) {
	if d := c.find(ref); d != nil {
		d.value = value
		return
	}
	if len(c.docs) < manyDocs {
		from := len(c.terms)
		c.terms = append(c.terms, ref...)
		c.docs = append(c.docs, virtualDoc{c.terms[from:len(c.terms):len(c.terms)], value})
		return
	}
	if c.more == nil {
		c.more = topdown.NewVirtualCache()
		for range c.frames {
			c.more.Push()
		}
	}
	c.more.Put(ref, value)
}

// Keys implements topdown.VirtualCache.
func (c *virtualDocs) Keys() (keys []ast.Ref) {
	for _, d := range c.frame() {
		if d.value != nil {
			keys = append(keys, d.ref.Copy())
		}
	}
	if c.more != nil {
		keys = append(keys, c.more.Keys()...)
	}
	return keys
}

// sameRef compares from the end, where references differ most.
func sameRef(a, b ast.Ref) bool {
	if len(a) != len(b) {
		return false
	}
	for i := len(a) - 1; i >= 0; i-- {
		if a[i] != b[i] && !sameTerm(a[i], b[i]) {
			return false
		}
	}
	return true
}

func sameTerm(a, b *ast.Term) bool {
	switch v := a.Value.(type) {
	case ast.String:
		w, ok := b.Value.(ast.String)
		return ok && v == w
	case *ast.Array, ast.Object, ast.Set: // which know their hash
		if a.Hash() != b.Hash() {
			return false
		}
	}
	return a.Equal(b)
}

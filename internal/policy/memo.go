package policy

import (
	"hash/maphash"
	"maps"
	"math"
	"slices"

	"github.com/open-policy-agent/opa/v1/ast"

	"github.com/lapse-audit/lapse/internal/access"
)

const (
	memoSize  = 4096
	memoTrial = 2048 // lookups after which a memo must have paid
)

// memo remembers the terms of objects by the values that they are made of. The source of an account, an entitlement in a
// grant or a manager are the same in thousands of rows; where objects turn out to differ, as accounts do, it gives up.
type memo struct {
	seed    maphash.Seed
	entries map[uint64]memoEntry
	asked   int
	found   int
}

type memoEntry struct {
	values []any
	term   *ast.Term
}

func newMemo() *memo { return &memo{seed: maphash.MakeSeed(), entries: map[uint64]memoEntry{}} }

// lookup finds the term of an object. The hash is for remember; off says not to.
func (m *memo) lookup(columns []int, row access.Row, element int) (t *ast.Term, hash uint64, off bool) {
	if m.entries == nil {
		return nil, 0, true
	}
	m.asked++
	if m.asked >= memoTrial {
		if m.found*2 < m.asked {
			m.entries = nil
			return nil, 0, true
		}
		m.asked, m.found = 1, 0
	}
	for _, c := range columns {
		hash = hash*31 + m.hash(row[c], element)
	}
	e, ok := m.entries[hash]
	if !ok {
		return nil, hash, false
	}
	for i, c := range columns {
		if !same(e.values[i], row[c], element) {
			return nil, hash, false
		}
	}
	m.found++
	return e.term, hash, false
}

func (m *memo) remember(hash uint64, t *ast.Term, columns []int, row access.Row, element int) {
	if len(m.entries) >= memoSize {
		clear(m.entries)
	}
	e := memoEntry{values: make([]any, len(columns)), term: t}
	for i, c := range columns {
		e.values[i] = detached(row[c], element)
	}
	m.entries[hash] = e
}

func (m *memo) hash(v any, i int) uint64 {
	switch v := v.(type) {
	case bool:
		return number(v)
	case *bool:
		if v != nil {
			return number(*v)
		}
	case *int64:
		if v != nil {
			return uint64(*v) + 7
		}
	case *float64:
		if v != nil {
			return math.Float64bits(*v)
		}
	case *string:
		if v != nil {
			return maphash.String(m.seed, *v)
		}
	case map[string]string:
		var sum uint64 // in whatever order
		for k, e := range v {
			sum += maphash.String(m.seed, k)*31 + maphash.String(m.seed, e)
		}
		return sum
	case []string:
		if i >= 0 && i < len(v) {
			return maphash.String(m.seed, v[i])
		}
		return m.texts(v)
	case []bool:
		if i >= 0 && i < len(v) {
			return number(v[i])
		}
	case []int64:
		if i >= 0 && i < len(v) {
			return uint64(v[i]) + 7
		}
	case []*string:
		if i >= 0 && i < len(v) && v[i] != nil {
			return maphash.String(m.seed, *v[i])
		}
	case []*bool:
		if i >= 0 && i < len(v) && v[i] != nil {
			return number(*v[i])
		}
	case []*int64:
		if i >= 0 && i < len(v) && v[i] != nil {
			return uint64(*v[i]) + 7
		}
	case []*float64:
		if i >= 0 && i < len(v) && v[i] != nil {
			return math.Float64bits(*v[i])
		}
	case [][]string:
		if i >= 0 && i < len(v) {
			return m.texts(v[i])
		}
	}
	return 0
}

func (m *memo) texts(list []string) (hash uint64) {
	for _, s := range list {
		hash = hash*31 + maphash.String(m.seed, s)
	}
	return hash
}

func number(b bool) uint64 {
	if b {
		return 3
	}
	return 5
}

// detached copies a value: the owner of a row may use it again for the next one. An absent value is nil.
func detached(v any, i int) any {
	switch v := v.(type) {
	case bool:
		return v
	case *bool:
		return valueOf(v)
	case *int64:
		return valueOf(v)
	case *float64:
		return valueOf(v)
	case *string:
		return valueOf(v)
	case map[string]string:
		return maps.Clone(v)
	case []string:
		if i < 0 {
			return slices.Clone(v)
		}
		return at(v, i)
	case []bool:
		return at(v, i)
	case []int64:
		return at(v, i)
	case []*string:
		return elementOf(v, i)
	case []*bool:
		return elementOf(v, i)
	case []*int64:
		return elementOf(v, i)
	case []*float64:
		return elementOf(v, i)
	case [][]string:
		if i >= 0 && i < len(v) {
			return slices.Clone(v[i])
		}
	}
	return nil
}

func valueOf[T any](p *T) any {
	if p == nil {
		return nil
	}
	return *p
}

func at[T any](list []T, i int) any {
	if i < 0 || i >= len(list) {
		return nil
	}
	return list[i]
}

func elementOf[T any](list []*T, i int) any {
	if i < 0 || i >= len(list) {
		return nil
	}
	return valueOf(list[i])
}

// same compares a detached value with one of a row.
func same(was, v any, i int) bool {
	switch v := v.(type) {
	case nil:
		return was == nil
	case bool:
		return was == any(v)
	case *bool:
		return equal(was, v)
	case *int64:
		return equal(was, v)
	case *float64:
		return equal(was, v)
	case *string:
		return equal(was, v)
	case map[string]string:
		m, ok := was.(map[string]string)
		return ok && maps.Equal(m, v)
	case []string:
		if i < 0 {
			list, ok := was.([]string)
			return ok && slices.Equal(list, v)
		}
		return i < len(v) && equal(was, &v[i])
	case []bool:
		return i >= 0 && i < len(v) && equal(was, &v[i])
	case []int64:
		return i >= 0 && i < len(v) && equal(was, &v[i])
	case []*string:
		return i >= 0 && i < len(v) && equal(was, v[i])
	case []*bool:
		return i >= 0 && i < len(v) && equal(was, v[i])
	case []*int64:
		return i >= 0 && i < len(v) && equal(was, v[i])
	case []*float64:
		return i >= 0 && i < len(v) && equal(was, v[i])
	case [][]string:
		list, ok := was.([]string)
		return ok && i >= 0 && i < len(v) && slices.Equal(list, v[i])
	}
	return false
}

func equal[T comparable](was any, p *T) bool {
	if p == nil {
		return was == nil
	}
	v, ok := was.(T)
	return ok && v == *p
}

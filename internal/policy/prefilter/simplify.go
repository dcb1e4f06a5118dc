package prefilter

import "slices"

// simplifier makes predicates smaller that mean the same. What partial evaluation leaves of a rule has one query for each way
// through its helpers, and all of them begin alike: what they share is tested once.
type simplifier struct{ constants *Statement } // of all that is compared

func newSimplifier() *simplifier { return &simplifier{NewStatement()} }

// key is the same for predicates that mean the same, whatever their elements are called.
func (s *simplifier) key(p pred) string {
	w := &writer{statement: s.constants, within: 1, names: map[string]string{}}
	w.pred(p)
	return w.text.String()
}

func (s *simplifier) simplify(p pred) pred {
	switch p := p.(type) {
	case and:
		return conjunction(s.each(p)...)
	case or:
		return s.either(s.each(p))
	case not:
		return negation(s.simplify(p.p))
	case exists:
		return existence(p.array, p.name, s.simplify(p.p))
	case tally:
		p.p = s.simplify(p.p)
		return tallying(p.array, p.name, p.p, p.op, p.n)
	}
	return p
}

// each simplifies predicates, and leaves out what is there already.
func (s *simplifier) each(ps []pred) []pred {
	var out []pred
	seen := map[string]bool{}
	for _, p := range ps {
		p = s.simplify(p)
		parts, ok := p.(and)
		if !ok {
			parts = and{p}
		}
		p = conjunction(s.distinct(parts)...)
		if key := s.key(p); !seen[key] {
			seen[key] = true
			out = append(out, p)
		}
	}
	return out
}

func (s *simplifier) distinct(ps []pred) []pred {
	seen := map[string]bool{}
	return slices.DeleteFunc(slices.Clone(ps), func(p pred) bool {
		key := s.key(p)
		had := seen[key]
		seen[key] = true
		return had
	})
}

// either joins ways by or, and takes out what is part of all of them.
func (s *simplifier) either(ways []pred) pred {
	if len(ways) < 2 {
		return disjunction(ways...)
	}
	parts := make([][]pred, len(ways))
	keys := make([][]string, len(ways))
	for i, w := range ways {
		if a, ok := w.(and); ok {
			parts[i] = a
		} else {
			parts[i] = []pred{w}
		}
		for _, p := range parts[i] {
			keys[i] = append(keys[i], s.key(p))
		}
	}
	var shared []pred
	common := map[string]bool{}
	for j, key := range keys[0] {
		if !slices.ContainsFunc(keys[1:], func(k []string) bool { return !slices.Contains(k, key) }) {
			shared, common[key] = append(shared, parts[0][j]), true
		}
	}
	if len(shared) == 0 {
		return disjunction(s.together(ways)...)
	}
	rest := make([]pred, len(ways))
	for i := range ways {
		var own []pred
		for j, p := range parts[i] {
			if !common[keys[i][j]] {
				own = append(own, p)
			}
		}
		rest[i] = conjunction(own...)
	}
	return conjunction(append(shared, s.either(rest))...)
}

// together searches through an array once where several ways do nothing else: for an element of the one kind or the other.
func (s *simplifier) together(ways []pred) []pred {
	var out []pred
	at := map[string]int{} // by array
	kinds := map[string][]pred{}
	for _, w := range ways {
		e, ok := w.(exists)
		array := e.array.size
		if e.array.texts != nil {
			array += " of " + e.array.texts.element
		}
		if ok && kinds[array] != nil {
			ok = !searches(e.p, out[at[array]].(exists).name)
		}
		if !ok {
			out = append(out, w)
			continue
		}
		if kinds[array] == nil {
			at[array] = len(out)
			out = append(out, e)
		}
		first := out[at[array]].(exists)
		kinds[array] = append(kinds[array], renamed(e.p, e.name, first.name))
	}
	for array, some := range kinds {
		if len(some) > 1 {
			e := out[at[array]].(exists)
			e.p = s.either(some)
			out[at[array]] = e
		}
	}
	return out
}

// searches reports whether an element is looked for within a predicate.
func searches(p pred, element string) bool {
	in := func(p pred) bool { return searches(p, element) }
	switch p := p.(type) {
	case and:
		return slices.ContainsFunc(p, in)
	case or:
		return slices.ContainsFunc(p, in)
	case not:
		return in(p.p)
	case exists:
		return p.name == element || in(p.p)
	case tally:
		return p.name == element || in(p.p)
	}
	return false
}

// renamed calls an element otherwise.
func renamed(p pred, from, to string) pred {
	name := func(x operand) operand {
		if x.element == from {
			x.element = to
		}
		if x.by == from {
			x.by = to
		}
		return x
	}
	in := func(a array) array {
		if a.texts != nil {
			x := name(*a.texts)
			a.texts = &x
		}
		return a
	}
	each := func(ps []pred) []pred {
		out := make([]pred, len(ps))
		for i, p := range ps {
			out[i] = renamed(p, from, to)
		}
		return out
	}
	switch p := p.(type) {
	case and:
		return and(each(p))
	case or:
		return or(each(p))
	case not:
		return not{renamed(p.p, from, to)}
	case exists:
		p.array, p.p = in(p.array), renamed(p.p, from, to)
		return p
	case tally:
		p.array, p.p = in(p.array), renamed(p.p, from, to)
		return p
	case filled:
		return filled{in(p.array)}
	case defined:
		return defined{name(p.x)}
	case isTrue:
		return isTrue{name(p.x)}
	case oneOf:
		return oneOf{name(p.x), p.c}
	case compare:
		return compare{p.op, name(p.x), p.c}
	case relate:
		return relate{p.op, name(p.x), name(p.y)}
	case text:
		return text{p.function, name(p.x), p.c}
	case foreign:
		return foreign{name(p.x)}
	case holds:
		return holds{name(p.x), p.c}
	case weigh:
		return weigh{p.op, eachPart(p.a, name), eachPart(p.b, name)}
	}
	return p
}

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
		return disjunction(ways...)
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

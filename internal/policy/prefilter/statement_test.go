package prefilter

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/lapse-audit/lapse/internal/access"
)

func username() operand {
	return operand{column: "account_username", kind: word, nullable: true}
}

func grant(column, element string) operand {
	return operand{column: column, kind: word, element: element}
}

func grants() array {
	return array{node: access.SchemaOf(access.SubjectAccount).Root.Field("grants"), size: "grants_entitlement_id", known: []string{"grants_known"}}
}

// No constant is part of the text, and equal ones share a parameter, as equal tests share an atom.
func TestConstantsAreParameters(t *testing.T) {
	s := NewStatement()
	const odd = `x') OR 1=1 -- {p9:String}`
	first, err := s.Add(&Rule{over: conjunction(oneOf{username(), value(odd)}, not{compare{"<", username(), value("b")}})})
	if err != nil {
		t.Fatal(err)
	}
	if want := "(is1 AND NOT is2)"; first != want {
		t.Errorf("text is %s, want %s", first, want)
	}
	second, err := s.Add(&Rule{over: conjunction(text{"startswith", username(), value(odd)}, compare{"<", username(), value("b")})})
	if err != nil {
		t.Fatal(err)
	}
	if want := "(is3 AND is2)"; second != want {
		t.Errorf("text is %s, want %s", second, want)
	}
	atoms := []string{"ifNull((account_username = {p1:String}), false)", "ifNull((account_username < {p2:String}), false)", "ifNull(startsWith(account_username, {p1:String}), false)"}
	if diff := cmp.Diff(atoms, s.Atoms()); diff != "" {
		t.Errorf("atoms (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]Parameter{{"p1", "String", odd}, {"p2", "String", "b"}}, s.Parameters()); diff != "" {
		t.Errorf("parameters (-want +got):\n%s", diff)
	}
}

// A rule that passes a limit leaves nothing behind.
func TestRefusedRuleLeavesNothing(t *testing.T) {
	s := NewStatement()
	long := &constant{}
	for i := range maxElements + 1 {
		long.values = append(long.values, strings.Repeat("x", i%7)+string(rune('a'+i%26)))
	}
	if _, err := s.Add(&Rule{over: conjunction(oneOf{username(), value("kept?")}, oneOf{username(), long})}); err == nil {
		t.Fatal("a list of 1001 values is taken")
	}
	if got, err := s.Add(&Rule{over: oneOf{username(), value("kept?")}}); err != nil || got != "is1" {
		t.Errorf("then: %s, %v", got, err)
	}
	if len(s.Parameters()) != 1 || len(s.Atoms()) != 1 {
		t.Errorf("parameters: %v, atoms: %v", s.Parameters(), s.Atoms())
	}
}

// Predicates of one shape become one, as far as that is the same from the side that it is needed from.
func TestAlikeAreMerged(t *testing.T) {
	one := func(element, id string) pred {
		return existence(grants(), element, oneOf{grant("grants_entitlement_id", element), value(id)})
	}
	pairOf := func(i int) pred {
		id := string(rune('a' + i))
		return conjunction(one("e1", id), one("e2", id+id))
	}
	under := func(p pred) pair { return noneOf(exact(p)) }
	var pairs, few []pair
	for i := range maxAlike + 1 {
		pairs = append(pairs, exact(pairOf(i)))
	}
	few = append(few, pairs[:3]...)
	for name, c := range map[string]struct {
		p           pair
		over, under int // predicates that are left on either side
	}{
		"one constant":                {anyOf(exact(one("e1", "a")), exact(one("e7", "b")), exact(one("e2", "c"))), 1, 1},
		"the same":                    {anyOf(exact(one("e1", "a")), exact(one("e2", "a"))), 1, 1},
		"two constants, few":          {anyOf(few...), 3, 3},
		"two constants, many":         {anyOf(pairs...), 1, maxAlike + 1},
		"a constant below not":        {anyOf(under(one("e1", "a")), under(one("e1", "b"))), 2, 2},
		"a constant that is compared": {anyOf(exact(compare{"<", username(), value("a")}), exact(compare{"<", username(), value("b")})), 2, 2},
		"another shape":               {anyOf(exact(one("e1", "a")), exact(oneOf{username(), value("a")})), 2, 2},
	} {
		t.Run(name, func(t *testing.T) {
			if got := alternatives(c.p.over); got != c.over {
				t.Errorf("over has %d, want %d", got, c.over)
			}
			if got := alternatives(c.p.under); got != c.under {
				t.Errorf("under has %d, want %d", got, c.under)
			}
		})
	}
}

func alternatives(p pred) int {
	if o, ok := p.(or); ok {
		return len(o)
	}
	return 1
}

package prefilter

import "testing"

// What ways share is tested once, an array is searched once, and elements are told apart by nothing but what is said of them.
func TestSimplifier(t *testing.T) {
	is := func(text string) pred { return oneOf{username(), value(text)} }
	in := func(element, id string) pred { return oneOf{grant("grants_entitlement_id", element), value(id)} }
	some := func(element string, ps ...pred) pred { return existence(grants(), element, conjunction(ps...)) }
	for name, c := range map[string]struct {
		p    pred
		want string
	}{
		"shared":             {or{and{is("a"), is("b")}, and{is("c"), is("a")}}, "(is1 AND (is2 OR is3))"},
		"shared below":       {not{or{and{is("a"), is("b")}, and{is("c"), is("a")}}}, "NOT (is1 AND (is2 OR is3))"},
		"one is all":         {or{and{is("a"), is("b")}, is("a")}, "is1"},
		"twice":              {and{is("a"), is("a"), or{is("b"), is("b")}}, "(is1 AND is2)"},
		"nothing shared":     {or{is("a"), is("b")}, "(is1 OR is2)"},
		"the same search":    {or{some("e1", in("e1", "a")), some("e2", in("e2", "a"))}, "(grants_known AND arrayExists((e1_grants_entitlement_id) -> (e1_grants_entitlement_id = {p1:String}), grants_entitlement_id))"},
		"two searches":       {or{some("e1", in("e1", "a")), some("e2", in("e2", "b"))}, "(grants_known AND arrayExists((e1_grants_entitlement_id) -> ((e1_grants_entitlement_id = {p1:String}) OR (e1_grants_entitlement_id = {p2:String})), grants_entitlement_id))"},
		"searches that join": {and{some("e1", in("e1", "a")), some("e2", in("e2", "b"))}, "((grants_known AND arrayExists((e1_grants_entitlement_id) -> (e1_grants_entitlement_id = {p1:String}), grants_entitlement_id)) AND (grants_known AND arrayExists((e2_grants_entitlement_id) -> (e2_grants_entitlement_id = {p2:String}), grants_entitlement_id)))"},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := NewStatement().Add(&Rule{over: newSimplifier().simplify(c.p)})
			if err != nil || got != c.want {
				t.Errorf("%s, %v\nwant %s", got, err, c.want)
			}
		})
	}
}

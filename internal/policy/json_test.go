package policy

import (
	"testing"

	"github.com/open-policy-agent/opa/v1/ast"
)

// Evidence reads the same whichever way it was written.
func TestEvidenceIsJSON(t *testing.T) {
	written := 0
	for _, text := range []string{
		`{}`, `{"b": 1, "a": {"d": [], "c": [null, true, false, {}]}}`, `{"é": "ß 😀", "\u007f": "~"}`,
		`{"a": 0, "b": -0, "c": -12, "d": 0.5, "e": 57.250, "f": 12345678901234567890123}`, `{"a": 1e3, "b": -2.5E-7}`,
		`{"a": "q\"b\\s\n\t", "b": "<&>"}`, `{"a": "\u2028"}`, `{"a": {1, "x", [2]}}`, `{"a": {1: "x", [2]: "y", null: 1}}`, `{"z\"": 1}`,
		`{"a": ""}`, `{"": "a"}`,
	} {
		term := ast.MustParseTerm(text)
		v, err := ast.JSON(term.Value)
		if err != nil {
			t.Fatal(err)
		}
		want, err := encoded(v)
		if err != nil {
			t.Fatal(err)
		}
		got, err := evidence(term)
		if err != nil || got != want {
			t.Errorf("evidence of %s is %s, %v: want %s", text, got, err, want)
		}
		if direct, ok := appendJSON(nil, term.Value); ok {
			written++
			if string(direct) != want {
				t.Errorf("%s is written as %s, want %s", text, direct, want)
			}
		}
	}
	if written != 6 {
		t.Errorf("%d values are written without a detour, want 6", written)
	}
	invalid := ast.ObjectTerm([2]*ast.Term{ast.StringTerm("a"), ast.StringTerm("\xff")})
	if got, err := evidence(invalid); err != nil || got != `{"a":"\ufffd"}` {
		t.Errorf("evidence of invalid UTF-8 is %s, %v", got, err)
	}
}

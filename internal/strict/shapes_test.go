package strict

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.yaml.in/yaml/v3"
)

func TestShapes(t *testing.T) {
	type shapes struct {
		One, Many   Texts
		List, Named Attributes
		Days, Clock Span
	}
	var got shapes
	if err := yaml.Unmarshal([]byte("{one: a, many: [a, b], list: [x, y], named: {x: X}, days: 90d, clock: 1h30m}"), &got); err != nil {
		t.Fatal(err)
	}
	want := shapes{Texts{"a"}, Texts{"a", "b"}, Attributes{"x": "x", "y": "y"}, Attributes{"x": "X"}, Span(90 * 24 * time.Hour), Span(90 * time.Minute)}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("-want +got\n%s", d)
	}
	if s := got.Days.String() + " " + got.Clock.String(); s != "90d 1h30m0s" {
		t.Errorf("spans are written as %s", s)
	}
	for _, text := range []string{"{one: {a: b}}", "{many: [[a]]}", "{list: {a: [b]}}", "{days: 90}", "{days: -1d}", "{days: 36501d}", "{clock: -1h}", "{days: d}"} {
		if err := yaml.Unmarshal([]byte(text), new(shapes)); err == nil {
			t.Errorf("%s: no error", text)
		}
	}
}

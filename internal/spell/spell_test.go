package spell

import "testing"

func TestNearest(t *testing.T) {
	for word, want := range map[string]string{"acount": "account", "accuont": "account", "xyz": "", "GRANT": "grants", "": ""} {
		if got := Nearest(word, []string{"account", "grants", "seats"}); got != want {
			t.Errorf("Nearest(%q) = %q, want %q", word, got, want)
		}
	}
}

func TestDistance(t *testing.T) {
	for _, c := range []struct {
		a, b string
		want int
	}{{"", "", 0}, {"abc", "ABC", 0}, {"abc", "acb", 1}, {"straße", "strasse", 2}, {"", "abc", 3}, {"kitten", "sitting", 3}} {
		if got := Distance(c.a, c.b); got != c.want {
			t.Errorf("Distance(%q, %q) = %d, want %d", c.a, c.b, got, c.want)
		}
	}
}

package fold

import (
	"strings"
	"testing"
)

func TestText(t *testing.T) {
	for in, want := range map[string]string{
		"": "", " Anna@Example.COM\t": "anna@example.com", "STRASSE": "strasse", "Straße": "strasse", "ＡＢＣ": "abc", "Ⅷ": "viii", "JOSE\u0301": "josé", "ﬁn": "fin", "İ": "i̇",
		"Ångström": "ångström", "A\u030angstro\u0308m": "ångström", "ΣΊΣΥΦΟΣ": "σίσυφοσ", "Σίσυφος": "σίσυφοσ", "\u00a0x\u00a0": "x",
	} {
		if got := Text(in); got != want {
			t.Errorf("Text(%q) = %q, want %q", in, got, want)
		}
	}
}

func FuzzText(f *testing.F) {
	for _, s := range []string{"Anna", "Straße", "\u0345\u03b1", "ǰ\u0323", "\xff", "\u03d3\u0345\u0313"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		once := Text(s)
		if twice := Text(once); twice != once {
			t.Errorf("Text(%q) = %q, folded again %q", s, once, twice)
		}
		if up := Text(strings.ToUpper(once)); len(s) < 100 && ascii(s) && up != once {
			t.Errorf("Text(%q) = %q, of its upper case %q", s, once, up)
		}
	})
}

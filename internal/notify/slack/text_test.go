package slack

import (
	"regexp"
	"strings"
	"testing"
	"unicode/utf8"
)

func TestClean(t *testing.T) {
	for in, want := range map[string]string{
		"Anna Berg":                 "Anna Berg",
		"svc_backup_ad":             "svc_backup_ad",
		"_x_":                       "＿x＿",
		"a_ _b":                     "a＿ ＿b",
		"*bold* ~s~ `c`":            "∗bold∗ ∼s∼ ˋcˋ",
		"<!channel> & <@U1|x>":      "&lt;!channel&gt; &amp; &lt;@U1∣x&gt;",
		"> quoted":                  "› quoted",
		"a > b":                     "a &gt; b",
		"&lt;":                      "&amp;lt;",
		":tada: 10:30 a:b":          "꞉tada꞉ 10:30 a:b",
		"a\r\nb\t c\u2028d":         "a b c d",
		"\u202eabc\u202c\u2066\x00": "abc",
		"x\ufeff\u200by":            "xy",
		"دنا":                       "\u2068دنا\u2069",
		"\xff":                      "\ufffd",
		"":                          "",
	} {
		if got := clean(in); got != want {
			t.Errorf("clean(%q) = %q, want %q", in, got, want)
		}
	}
}

var markup = regexp.MustCompile("[*~`|<>\n\r\u202a-\u202e\u2066\u2067\u200e\u200f]|&(?:[^alg]|$)|(?:^|[^\\pL\\pN])_|_(?:$|[^\\pL\\pN])|:[a-z_]+:")

func FuzzClean(f *testing.F) {
	for _, s := range []string{"_a_", "a__b", ":a:b:", "<!here>", "\u202e", "&amp", "\xff_", "دنا_", "*_~`|"} {
		f.Add(s, 10)
	}
	f.Fuzz(func(t *testing.T, s string, limit int) {
		got := clean(s)
		if m := markup.FindString(got); m != "" {
			t.Errorf("clean(%q) = %q has %q", s, got, m)
		}
		if strings.Count(got, fsi) != strings.Count(got, pdi) {
			t.Errorf("clean(%q) = %q isolates and doesn't end it", s, got)
		}
		limit = 8 + max(limit, -limit)%4000
		pieces := split(got, limit)
		if strings.Join(pieces, "") != got {
			t.Errorf("split loses of %q", got)
		}
		for _, p := range pieces {
			if length(p) > limit || !utf8.ValidString(p) || p == "" && got != "" {
				t.Errorf("split(%q, %d) has %q", got, limit, p)
			}
			if i := strings.LastIndexByte(p, '&'); i >= 0 && !strings.Contains(p[i:], ";") {
				t.Errorf("split(%q, %d) tears an escape: %q", got, limit, p)
			}
		}
		if short := shorten(got, limit); length(short) > limit {
			t.Errorf("shorten(%q, %d) has %d", got, limit, length(short))
		}
	})
}

package policy

import (
	"runtime/debug"
	"strings"
	"testing"
)

// Garbage may lie about for longer while policies are evaluated, and not afterwards; what GOGC says stands.
func TestGarbageLiesAboutForLonger(t *testing.T) {
	defer debug.SetGCPercent(debug.SetGCPercent(usualPercent))
	percent := func() int {
		now := debug.SetGCPercent(usualPercent)
		debug.SetGCPercent(now)
		return now
	}
	h := &heap{limit: defaultMemory}
	if h.ease(); percent() <= usualPercent || percent() > rarestPercent {
		t.Errorf("GOGC is %d", percent())
	}
	if h.unease(); percent() != usualPercent {
		t.Errorf("GOGC is %d afterwards", percent())
	}
	debug.SetGCPercent(50)
	h = &heap{limit: defaultMemory}
	h.ease()
	if h.unease(); percent() != 50 {
		t.Errorf("GOGC was 50 and is %d", percent())
	}
}

// Formats that are bounded without a look at their verbs have none that takes more room than its argument.
func TestPlainVerbs(t *testing.T) {
	for format, want := range map[string]bool{
		"": true, "100": true, "%s": true, "%v of %d%%": true, "%": false, "%5d": false, "%-s": false, "%*d": false, "%[1]s": false, "%.3f": false, "%s %": false, "%é": false,
	} {
		if got := plainVerbs(format); got != want {
			t.Errorf("plainVerbs(%q) is %v", format, got)
		}
		for _, verb := range wide.FindAllString(format, -1) {
			if want && (len(verb) != 2 || strings.ContainsAny(verb, "[*0123456789")) {
				t.Errorf("%q has the verb %q", format, verb)
			}
		}
	}
}

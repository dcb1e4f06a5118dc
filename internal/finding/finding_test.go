package finding

import (
	"testing"

	"github.com/lapse-audit/lapse/internal/access"
)

// Exceptions and histories name fingerprints: this one may never change.
func TestFingerprintIsStable(t *testing.T) {
	got := NewFingerprint("LVR-01", Subject{access.SubjectAccount, "corp-ad", "42"}, "")
	const want = "a31b2d36e4378d46492a32a9c46c6123364bba77994f7424999e479e3a1addb9"
	if len(got) != 64 {
		t.Fatalf("fingerprint %q has %d digits, want 64", got, len(got))
	}
	if got != want {
		t.Errorf("fingerprint = %s, want %s", got, want)
	}
}

func TestFingerprintKeepsPartsApart(t *testing.T) {
	seen := map[Fingerprint]bool{}
	for _, s := range []Subject{{"account", "a", "bc"}, {"account", "ab", "c"}, {"accounta", "", "bc"}} {
		seen[NewFingerprint("X-1", s, "")] = true
		seen[NewFingerprint("X-1", Subject{s.Kind, s.Source, ""}, s.ID)] = true
	}
	if len(seen) != 6 {
		t.Errorf("%d fingerprints of 6 different findings", len(seen))
	}
}

func TestSeverityText(t *testing.T) {
	for s := Info; s <= Critical; s++ {
		text, _ := s.MarshalText()
		var back Severity
		if err := back.UnmarshalText(text); err != nil || back != s {
			t.Errorf("%v read back as %v, %v", s, back, err)
		}
	}
	if _, err := ParseSeverity("urgent"); err == nil {
		t.Error("no error for an unknown severity")
	}
}

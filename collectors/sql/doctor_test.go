//go:build unix

package sql

import (
	"strings"
	"testing"
)

// examine wants these lines of advice for a user.
func (s *server) examine(t *testing.T, user, section string, want ...string) {
	t.Helper()
	as := *s
	as.user = user
	advice, err := as.build(t, section).Diagnose(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var lines []string
	for _, a := range advice {
		mark := "ok "
		if a.Missing {
			mark = "MISSING "
		}
		lines = append(lines, mark+a.What+": "+a.Detail)
	}
	got := strings.Join(lines, "\n")
	for _, line := range want {
		if !strings.Contains(got, line) {
			t.Errorf("lacks %q:\n%s", line, got)
		}
	}
	if strings.Contains(got, s.password) {
		t.Errorf("the password shows:\n%s", got)
	}
}

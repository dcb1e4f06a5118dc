package baton

import (
	"strings"
	"testing"

	"github.com/lapse-audit/lapse/internal/collect"
)

func TestExamine(t *testing.T) {
	k := collector(t, company().v1(t), Config{Attributes: []string{"dept", "floor"}})
	_, advice, err := collect.Examine(t.Context(), k, collect.Options{Limits: collect.Limits{MaxRejected: 1}, Now: clock()})
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
	for _, want := range []string{
		"last_login 1 of 3", "mfa 2 of 3", "ok sync: " + finished + " began 2026-11-23 06:46 UTC", "ok type user: 3, each user; they hold 5 grants", "ok type group: 2, each group; they hold 2 grants",
		"MISSING profile floor: is named in fields: or attributes:, and no user's profile has it",
	} {
		if !strings.Contains(got, want) {
			t.Errorf("lacks %q:\n%s", want, got)
		}
	}
	if strings.Contains(got, "profile dept") {
		t.Errorf("got\n%s", got)
	}
}

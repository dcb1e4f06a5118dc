package email_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/lapse-audit/lapse/internal/finding"
	"github.com/lapse-audit/lapse/internal/notify"
	"github.com/lapse-audit/lapse/internal/notify/email"
	"github.com/lapse-audit/lapse/internal/notify/notifytest"
	"github.com/lapse-audit/lapse/reports/pagetest"
)

// On a phone and on a desk nothing of a letter sticks out, not even names without a blank or from right to left.
func TestLetterFitsTheScreen(t *testing.T) {
	m := notifytest.Large("k", 4)
	for i, name := range []string{strings.Repeat("W", 120), strings.Repeat("\u05d0\u05d1", 60), "svc_backup", strings.Repeat("長", 80)} {
		it := &m.Items[i]
		it.Finding.Title, it.Finding.Name, it.Finding.SourceName, it.Why = name, name, name, name
		it.Finding.Message = name + " left and has an account"
		it.Answers = []notify.Answer{notify.Revoke, notify.Keep, notify.NotMine, notify.Later}
	}
	m.Decided = map[finding.Fingerprint]string{m.Items[0].Finding.Fingerprint: "kept by " + m.Items[0].Finding.Name}
	parts, err := email.Render(m, testLinks(t))
	if err != nil || len(parts) != 1 {
		t.Fatal(len(parts), err)
	}
	if got := fmt.Sprint(pagetest.Measure(t, pagetest.Overflow, []int{375, 760}, parts[0].HTML)); got != "[0 0]" {
		t.Errorf("pixels that stick out at 375 and 760: %s", got)
	}
}

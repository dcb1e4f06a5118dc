package tickets_test

import (
	"strings"
	"testing"

	"github.com/lapse-audit/lapse/internal/notify/tickets"
)

// A task has one open ticket, and is done when that was closed as done: closing it in another way is no word for anything.
func TestTask(t *testing.T) {
	each(t, func(t *testing.T, s *system, ch *tickets.Channel) {
		task := tickets.Task{Key: "plan-1/3", Summary: "erp: disable: ann\n" + strings.Repeat("x", 300), Lines: []string{"To do: disable", "", "On: ann\x00"}, Source: "erp"}
		ask := func() string {
			t.Helper()
			id, err := ch.Ask(t.Context(), task)
			if err != nil {
				t.Fatal(err)
			}
			return id
		}
		done := func(id string) bool {
			t.Helper()
			is, err := ch.Done(t.Context(), task, id)
			if err != nil {
				t.Fatal(err)
			}
			return is
		}
		id := ask()
		if again := ask(); again != id || len(s.issues) != 1 {
			t.Errorf("asked twice: %s and %s", id, again)
		}
		if i := s.issues[0]; len(i.summary) > 160 || strings.ContainsAny(i.summary+i.text, "\x00") || !strings.Contains(i.text, "On: ann") {
			t.Errorf("%q: %q", i.summary, i.text)
		}
		if done(id) {
			t.Error("an open ticket is done")
		}
		s.issues[0].closed, s.issues[0].dropped = true, true
		if done(id) {
			t.Error("a ticket that was given up is done")
		}
		s.issues[0].dropped = false
		if !done(id) {
			t.Error("a closed ticket is not done")
		}
	})
}

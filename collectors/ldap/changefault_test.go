package ldap

import (
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/lapse-audit/lapse/internal/access"
	"github.com/lapse-audit/lapse/internal/strict"
)

// What becomes of a change when the server or the way to it fails: what the change reports, and what a look finds.
func TestFaultsOfChanges(t *testing.T) {
	d := changingDC(t)
	changes := corpChanges(t, d)
	for _, c := range []struct {
		name string
		fault
		want error
		done bool
		only access.Action // as each takes the time of the timeout
	}{
		{"closed after it was accepted", cutAnswered, access.ErrUnsure, true, ""},
		{"no answer, and done", hangAnswered, access.ErrUnsure, true, access.ActionDisable},
		{"no answer, and not done", lost, access.ErrUnsure, false, access.ActionMove},
		{"success answered, and not done", pretended, nil, false, ""},
		{"insufficient rights", denied, access.ErrRefused, false, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			p := newProxy(t, d)
			var mu sync.Mutex
			next := pass
			p.write = func() fault {
				mu.Lock()
				defer mu.Unlock()
				f := next
				next = pass
				return f
			}
			config := d.writing(adminDN)
			config.URL, config.CA = strict.Texts{p.url}, p.ca
			if c.only != "" {
				config.Timeout = strict.Span(2 * time.Second)
			}
			w := changer(t, config)
			for _, ch := range changes {
				if c.only != "" && ch.Action != c.only {
					continue
				}
				was := ch.Witness(t)
				before, err := w.Look(t.Context(), ch.Object)
				if err != nil {
					t.Fatal(err)
				}
				mu.Lock()
				next = c.fault
				mu.Unlock()
				err = w.Apply(t.Context(), ch.Change)
				if c.want == nil && err != nil || c.want != nil && !errors.Is(err, c.want) {
					t.Errorf("%s: error %v, want %v", ch.Action, err, c.want)
				}
				if c.fault == denied && !strings.Contains(err.Error(), "needs the right to ") {
					t.Errorf("%s: no right is named: %v", ch.Action, err)
				}
				if ch.Action == access.ActionResetPassword { // nothing shows it, and nothing undoes it
					continue
				}
				// Several requests: the first one is done, the others are not, or all but the first.
				several := ch.Action == access.ActionHandover || ch.Action == access.ActionRevoke && strings.Contains(was, "primaryGroupID")
				after, err := w.Look(t.Context(), ch.Object)
				if err != nil {
					t.Fatalf("%s: look: %v", ch.Action, err)
				}
				if done, known := ch.Shows(after); !known || done != c.done && !several {
					t.Errorf("%s: a look finds done %v, known %v; want %v", ch.Action, done, known, c.done)
				}
				undo := ch.Change
				undo.Undo, undo.Before = true, &before
				if err := w.Apply(t.Context(), undo); err != nil {
					t.Errorf("undo %s: %v", ch.Action, err)
				}
				if now := ch.Witness(t); now != was {
					t.Errorf("undo %s:\n%s\nbefore it was\n%s", ch.Action, now, was)
				}
			}
		})
	}
}

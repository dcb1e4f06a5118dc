package remediate

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/lapse-audit/lapse/internal/access"
)

// tickets is a desk with one ticket a step.
type tickets struct {
	opened []string // keys, in order
	closed map[string]bool
	down   error
}

func (d *tickets) Ask(_ context.Context, p Plan, s Step) (string, error) {
	if d.down != nil {
		return "", d.down
	}
	d.opened = append(d.opened, s.Subject)
	return "SEC-" + s.Subject, nil
}

func (d *tickets) Done(_ context.Context, _ Plan, _ Step, ticket string) (bool, error) {
	return d.closed[ticket], d.down
}

// A step that a person has to make is asked for once, stays open as long as its ticket is not closed as done, and is attested
// then.
func TestAskedByTicket(t *testing.T) {
	b := newBench(t, newSystem(1))
	b.plan.ID += "x"
	b.plan.Steps = append(b.plan.Steps[:1], Step{N: 2, Source: "erp", Subject: "ann", Manual: "erp is not connected", Change: access.Change{Action: access.ActionDisable, Object: access.Object{Kind: access.HolderAccount, ID: "7"}}})
	b.record()
	desk := &tickets{closed: map[string]bool{}, down: errors.New("503")}
	e := b.engine()
	e.Desk = desk
	want := func(when, status, detail string) {
		t.Helper()
		out := b.apply(e)
		if got := statuses(out); got != "done "+status || !strings.Contains(out[1].Detail, detail) {
			t.Errorf("%s: %s, %q", when, got, out[1].Detail)
		}
	}
	want("with the desk away", "manual", "no ticket could be opened: 503")
	desk.down = nil
	want("asked", "asked", "asked by ticket SEC-ann")
	want("open", "asked", "not closed as done")
	desk.down = errors.New("503")
	want("open, with the desk away", "asked", "can't be looked at now: 503")
	desk.down = nil
	if _, done := Made(b.entries())[2]; done {
		t.Error("what was asked for counts as made")
	}
	desk.closed["SEC-ann"] = true
	want("closed", "attested", "ticket SEC-ann was closed as done")
	want("once more", "attested", "ticket SEC-ann was closed as done")
	if len(desk.opened) != 1 {
		t.Errorf("tickets: %v", desk.opened)
	}
	b.whole()

	b.plan.ID += "y"
	b.plan.Confidential = true
	b.record()
	if out := b.apply(e); out[1].Status != manual || len(desk.opened) != 1 {
		t.Errorf("of a confidential plan: %s, %v", statuses(out), desk.opened)
	}
}

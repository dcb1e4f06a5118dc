package app

import (
	"context"
	"fmt"
	"strings"

	"github.com/lapse-audit/lapse/internal/notify/tickets"
	"github.com/lapse-audit/lapse/internal/remediate"
)

// desk asks people by tickets to make steps of plans.
type desk struct {
	tickets *tickets.Channel
	contact string
}

var _ remediate.Desk = desk{}

// Ask implements [remediate.Desk].
func (d desk) Ask(ctx context.Context, p remediate.Plan, s remediate.Step) (string, error) {
	return d.tickets.Ask(ctx, d.task(p, s))
}

// Done implements [remediate.Desk].
func (d desk) Done(ctx context.Context, p remediate.Plan, s remediate.Step, ticket string) (bool, error) {
	return d.tickets.Done(ctx, d.task(p, s), ticket)
}

func (d desk) task(p remediate.Plan, s remediate.Step) tickets.Task {
	t := tickets.Task{Key: fmt.Sprintf("%s/%d", p.ID, s.N), Source: s.Source, Summary: s.Source + ": " + s.What()}
	if s.What() != s.Manual {
		t.Summary += ": " + s.Subject
		t.Lines = append(t.Lines, s.Manual)
	}
	for _, l := range []struct{ label, text string }{
		{"To do: ", s.What()}, {"On: ", s.Subject}, {"In: ", s.Source}, {"Of: ", s.PersonName}, {"Responsible: ", s.Responsible}, {"Contact: ", d.contact},
	} {
		if l.text != "" {
			t.Lines = append(t.Lines, l.label+l.text)
		}
	}
	for _, w := range s.Why {
		t.Lines = append(t.Lines, "Why: "+w.Message)
	}
	t.Lines = append(t.Lines, fmt.Sprintf("Step %d of Lapse's plan %s. Closing this ticket as done is the word that it was done.", s.N, p.ID))
	for i, l := range t.Lines {
		t.Lines[i] = strings.TrimSpace(l)
	}
	return t
}

package remediate

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/lapse-audit/lapse/internal/access"
	"github.com/lapse-audit/lapse/internal/state"
)

// Desk is where people are asked for what no system can be told to do, by tickets.
type Desk interface {
	// Ask sees to it that there is an open ticket for a step, and gives its id. Asked again, it gives the same.
	Ask(ctx context.Context, p Plan, s Step) (ticket string, err error)
	// Done says whether a ticket was closed as done.
	Done(ctx context.Context, p Plan, s Step, ticket string) (bool, error)
}

// byHand sees to it that somebody is asked to make a step, once, and takes the closing of the ticket for their word. Nobody is
// asked for a confidential plan: a ticket has many readers.
func (r *applying) byHand(ctx context.Context, s Step, entries []state.ChangeEntry) error {
	if r.Desk == nil || r.plan.Confidential {
		r.tell(Outcome{s, "", manual, s.Manual})
		return nil
	}
	ticket, err := asked(entries, s.N)
	if err != nil {
		return err
	}
	if ticket == "" {
		id, err := r.Desk.Ask(ctx, r.plan, s)
		if err != nil {
			if ctx.Err() != nil {
				return ctx.Err()
			}
			r.tell(Outcome{s, "", manual, fmt.Sprintf("%s (no ticket could be opened: %v)", s.Manual, err)})
			return nil
		}
		return r.answer(ctx, s, state.ChangeAsked, id, "asked by ticket "+id)
	}
	switch done, err := r.Desk.Done(ctx, r.plan, s, ticket); {
	case ctx.Err() != nil:
		return ctx.Err()
	case err != nil:
		r.tell(Outcome{s, "", state.ChangeAsked, fmt.Sprintf("asked by ticket %s, which can't be looked at now: %v", ticket, err)})
	case !done:
		r.tell(Outcome{s, "", state.ChangeAsked, "asked by ticket " + ticket + ", which is not closed as done"})
	default:
		return r.answer(ctx, s, state.ChangeAttested, ticket, "ticket "+ticket+" was closed as done")
	}
	return nil
}

// ticketed is what the journal holds of a ticket.
type ticketed struct {
	Ticket string `json:"ticket"`
}

func (r *applying) answer(ctx context.Context, s Step, status state.ChangeStatus, ticket, detail string) error {
	e, err := r.entry(s, s.Change, access.Live{})
	if err != nil {
		return err
	}
	if e.After, err = json.Marshal(ticketed{ticket}); err != nil {
		return err
	}
	e.Detail = detail
	return r.write(ctx, s, e, status)
}

// asked is the ticket by which somebody was asked to make a step, "" for none.
func asked(entries []state.ChangeEntry, step int) (string, error) {
	var t ticketed
	for _, e := range entries {
		if int(e.Step) == step && e.Undoes == "" && e.Status == state.ChangeAsked {
			if err := json.Unmarshal(e.After, &t); err != nil {
				return "", fmt.Errorf("change %s in the journal: %w", e.ID, err)
			}
		}
	}
	return t.Ticket, nil
}

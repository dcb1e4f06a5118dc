package notify

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/lapse-audit/lapse/internal/finding"
	"github.com/lapse-audit/lapse/internal/fold"
	"github.com/lapse-audit/lapse/internal/state"
)

// ChannelCLI is the channel of answers at the command line: Decision.Who is a person's key there, and the operator vouches
// for it.
const ChannelCLI = "cli"

// RefusalError means that an answer is not taken: it is for whoever answered to read, and trying again doesn't help.
type RefusalError struct{ Err error }

func (e *RefusalError) Error() string { return e.Err.Error() }

func (e *RefusalError) Unwrap() error { return e.Err }

func refuse(format string, args ...any) error { return &RefusalError{fmt.Errorf(format, args...)} }

var (
	// ErrNotTheirs means that whoever answers is not who was asked, nor a delegate.
	ErrNotTheirs = errors.New("it is not theirs to answer")
	// ErrGone means that there is nothing to answer any more.
	ErrGone = errors.New("there is nothing to answer any more")
)

// Answer takes an answer: it is authorised, recorded with what it changes and its ledger entry, and only then acknowledged
// by returning. A second Decision with the same ID gives what the first came to. The finding is nil where it is not open
// any more. What is to be taken away stays pending until a plan is made of it.
func (p *Pipeline) Answer(ctx context.Context, d Decision, open *Open) (state.Answered, error) {
	out, err := p.answer(ctx, d, open)
	if err != nil {
		return out, fmt.Errorf("answer to finding %.12s: %w", d.Finding, err)
	}
	return out, nil
}

func (p *Pipeline) answer(ctx context.Context, d Decision, open *Open) (state.Answered, error) {
	if strings.TrimSpace(d.ID) == "" {
		return state.Answered{}, refuse("it has no id")
	}
	given, err := p.Decisions.Answers(ctx, state.AnswerFilter{ID: d.ID})
	if err != nil {
		return state.Answered{}, err
	}
	if len(given) > 0 {
		if given[0].Finding != string(d.Finding) || given[0].Answer != string(d.Answer) {
			return state.Answered{}, refuse("the id %s was used for another answer", d.ID)
		}
		return given[0], nil
	}
	a, by, err := p.may(ctx, d, open)
	if err != nil {
		return state.Answered{}, err
	}
	return p.take(ctx, d, *open, a, by)
}

// May says whether an answer would be taken now, whatever it says beside: a [RefusalError] if not. It changes nothing.
func (p *Pipeline) May(ctx context.Context, d Decision, open *Open) error {
	_, _, err := p.may(ctx, d, open)
	return err
}

// may is how the item stands that an answer is to, and who answers, if they may.
func (p *Pipeline) may(ctx context.Context, d Decision, open *Open) (state.Asked, string, error) {
	a, err := p.Decisions.AskedAbout(ctx, string(d.Finding))
	switch {
	case err != nil && !errors.Is(err, state.ErrNotFound):
		return a, "", err
	case err != nil:
		return a, "", refuse("%w: nobody was asked about it", ErrGone)
	case a.Message == "":
		return a, "", refuse("%w: it was passed on, and somebody else is to be asked", ErrGone)
	case open == nil && a.Status == state.AskedKept:
		return a, "", refuse("%w: it is kept", ErrGone)
	case open == nil || a.Status == state.AskedSettled:
		return a, "", refuse("%w: the finding is not open any more", ErrGone)
	}
	by, err := p.authorised(d, a, *open)
	if err != nil {
		return a, "", err
	}
	if a.Status != state.AskedOpen {
		return a, "", refuse("%w: %w: it is %s", ErrGone, state.ErrExists, a.Status)
	}
	return a, by, nil
}

// take records an authorised answer.
func (p *Pipeline) take(ctx context.Context, d Decision, open Open, a state.Asked, by string) (state.Answered, error) {
	ans := state.Answered{ID: d.ID, Finding: string(d.Finding), By: by, Channel: d.Channel, Answer: string(d.Answer), Reason: d.Reason, Until: d.Until}
	name := p.Owners.name(by)
	after := a
	var accept *state.Exception
	var text string
	switch d.Answer {
	case Keep:
		if strings.TrimSpace(d.Reason) == "" || d.Until.IsZero() {
			return ans, refuse("to keep it takes a reason and a day until which")
		}
		after.Status = state.AskedKept
		if limit := p.Now().Add(state.DefaultMaxException); !d.Until.After(p.Now()) || d.Until.After(limit) {
			return ans, refuse("it can be kept until %s at the latest, and not into the past", p.dated(limit))
		}
		accept = &state.Exception{Scope: state.Scope{Fingerprint: string(d.Finding)}, Reason: d.Reason, By: by, Expires: d.Until}
		if now := p.Now(); now.Before(time.Now()) { // under a run's clock it holds from then on
			accept.Created = now
		}
		text = fmt.Sprintf("kept by %s to the end of %s: %s", name, p.dated(d.Until.Add(-time.Nanosecond)), d.Reason)
	case Later:
		longest := p.Now().Add(time.Duration(p.Owners.Settings.LaterDays) * day)
		if ans.Until.IsZero() {
			ans.Until = p.Now().Add(min(3, time.Duration(p.Owners.Settings.LaterDays)) * day)
		}
		if !ans.Until.After(p.Now()) || ans.Until.After(longest) {
			return ans, refuse("it can be put off until %s at the latest, and not into the past", p.dated(longest))
		}
		after.Later = ans.Until
		text = fmt.Sprintf("%s%s, says %s", saidLater, p.dated(ans.Until), name)
	case NotMine:
		to, err := p.passOn(d, open, a, by)
		if err != nil {
			return ans, err
		}
		ans.To = to
		after.To, after.Message, after.Passed = to, "", append(slices.Clone(a.Passed), a.To)
		if after.Why = "the next in line"; to != "" {
			after.Why = "passed on by " + name
			text = fmt.Sprintf("not theirs, says %s: passed on to %s", name, p.Owners.name(to))
		} else {
			text = fmt.Sprintf("not theirs, says %s: the next in line is asked", name)
		}
	case Revoke:
		if !revocable(open.Finding) {
			return ans, refuse("it is nothing that Lapse can take away: say what is to be done where it is decided, and answer keep or later here")
		}
		after.Status, ans.Pending = state.AskedRevoke, true
		if earliest := p.Now().Add(time.Duration(p.Owners.Settings.EscalateDays) * day); after.Deadline.Before(earliest) {
			after.Deadline = earliest
		}
		text = saidRevoke + name
	default:
		return ans, refuse("%q is no answer: want revoke, keep, not_mine or later", d.Answer)
	}
	actor := p.Actor
	if d.Channel != ChannelCLI {
		actor = state.Actor{ID: by}
	}
	given, err := p.Decisions.Answer(ctx, actor, ans, a, after, accept, Tell(map[finding.Fingerprint]string{d.Finding: text}))
	if errors.Is(err, state.ErrExists) { // somebody else answered meanwhile
		err = &RefusalError{err}
	}
	return given, err
}

// authorised says who answers, if they may: who is asked, who was asked first, a delegate of theirs, or for a role whoever
// has its address or is one of the security team.
func (p *Pipeline) authorised(d Decision, a state.Asked, open Open) (string, error) {
	o := p.Owners
	who := ""
	if d.Channel == ChannelCLI {
		who = d.Who
	} else if d.Email != "" {
		who = o.People.ByEmail(d.Email)
	}
	if who == "" {
		if role := o.Recipient(a.To); role.Person == "" && role.Email != "" && d.Channel != ChannelCLI && fold.Text(role.Email) == fold.Text(d.Email) {
			return a.To, nil
		}
		return "", refuse("%w: nobody knows who %s is: no person in the rosters has this address alone", ErrNotTheirs, d.Who)
	}
	// Whoever has left, or benefits, answers nothing, whoever they were.
	if reason := o.bars(who, open.Finding, open.Case, nil); reason != "" {
		return "", refuse("%w: %s %s", ErrNotTheirs, who, reason)
	}
	for _, asked := range []string{a.To, a.First} {
		switch {
		case asked == "" || slices.Contains(a.Passed, asked):
		case who == asked, slices.Contains(o.Settings.Delegates[asked], who):
			return who, nil
		case asked == RoleSecurity && slices.Contains(o.Settings.Security.People, who):
			return who, nil
		}
	}
	return "", refuse("%w: %s is asked", ErrNotTheirs, a.To)
}

// passOn is who is asked in the place of somebody whose it is not, "" for the next in line.
func (p *Pipeline) passOn(d Decision, open Open, a state.Asked, by string) (string, error) {
	if d.To == "" {
		if a.To == RoleSecurity {
			return "", refuse("behind the security team is nobody: say whose it is")
		}
		return "", nil
	}
	to := p.Owners.People.Find(d.To)
	if to == "" {
		return "", refuse("the rosters know nobody, or several, called %q: give the key (ROSTER:ID) or the address", d.To)
	}
	if to == by || to == a.To {
		return "", refuse("%s is asked already", to)
	}
	if reason := p.Owners.bars(to, open.Finding, open.Case, a.Passed); reason != "" {
		return "", refuse("%s can't be asked: %s %s", to, to, reason)
	}
	return to, nil
}

func (p *Pipeline) dated(t time.Time) string {
	zone := p.Owners.Zone
	if zone == nil {
		zone = time.UTC
	}
	return t.In(zone).Format("2006-01-02")
}

// name is what a recipient is called in a message.
func (o *Owners) name(to string) string {
	if r := o.Recipient(to); r.Name != "" {
		return r.Name
	}
	return to
}

// What is said of an answer that leaves its finding open.
const (
	saidLater  = "asked again on "
	saidRevoke = "to be taken away, says "
)

// Awaits says of a text in Message.Decided that its item is not done with: it was put off, or is still to be taken away.
func Awaits(decided string) bool {
	return strings.HasPrefix(decided, saidLater) || strings.HasPrefix(decided, saidRevoke)
}

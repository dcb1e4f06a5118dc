package notify

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"time"

	"golang.org/x/time/rate"

	"github.com/lapse-audit/lapse/internal/finding"
	"github.com/lapse-audit/lapse/internal/state"
)

// Decisions is where the pipeline keeps what was asked and sent.
type Decisions interface {
	Queue(context.Context, state.Actor, state.Outgoing, []state.Asked) (state.Outgoing, error)
	Outbox(context.Context) ([]state.Outgoing, error)
	Outgoing(ctx context.Context, id string) (state.Outgoing, error)
	ChangeOutgoing(ctx context.Context, actor state.Actor, id string, change func(*state.Outgoing), items ...state.Asked) (state.Outgoing, error)
	AskedAbout(ctx context.Context, fingerprint string) (state.Asked, error)
	SetAsked(context.Context, state.Actor, ...state.Asked) error
	Answers(context.Context, state.AnswerFilter) ([]state.Answered, error)
	Answer(ctx context.Context, actor state.Actor, a state.Answered, before, after state.Asked, accept *state.Exception, told func(*state.Outgoing)) (state.Answered, error)
}

// Pipeline queues what is to be said and sends it. One at a time sends; whoever runs it holds a lease.
type Pipeline struct {
	Decisions Decisions
	Owners    *Owners
	Channels  []Channel // the first that reaches a recipient is used
	Actor     state.Actor
	Now       func() time.Time
	Log       *slog.Logger
	// Patience is how long to wait before a message is tried again at once; nil: 1 s, 5 s. After that it waits in the outbox.
	Patience []time.Duration

	limits  map[string]*rate.Limiter
	reached func(point, key string) error // in tests: the process dies here
}

func (p *Pipeline) reach(point, key string) error {
	if p.reached == nil {
		return nil
	}
	return p.reached(point, key)
}

// Queue records a draft: its messages with what they ask, and what is settled. It can be repeated at any point; nothing is
// queued of a draft that is held.
func (p *Pipeline) Queue(ctx context.Context, d Draft) error {
	if err := p.settle(ctx, d.Settled); err != nil {
		return err
	}
	if d.Hold != "" {
		return nil
	}
	for _, l := range d.Letters {
		body, err := encode(l.Message)
		if err != nil {
			return err
		}
		m := state.Outgoing{ID: l.Message.Key, Kind: string(l.Message.Kind), To: l.Message.To.ID(), Run: l.Message.Run, Body: body}
		if err := p.replace(ctx, l); err != nil {
			return err
		}
		if err := p.reach("before queueing", m.ID); err != nil {
			return err
		}
		if _, err := p.Decisions.Queue(ctx, p.Actor, m, l.Asked); err != nil && !errors.Is(err, state.ErrExists) {
			return err
		}
		if err := p.reach("queued", m.ID); err != nil {
			return err
		}
	}
	return nil
}

// replace lets the messages that asked about a letter's items before say so: an answer is given in the newest. It comes first,
// because once the letter is queued nobody knows them any more.
func (p *Pipeline) replace(ctx context.Context, l Letter) error {
	text := "asked again in a newer message"
	if l.Message.Kind == Escalation {
		text = p.Owners.name(l.Message.To.ID()) + " is asked now"
	}
	before := map[string]map[finding.Fingerprint]string{}
	for _, a := range l.Asked {
		if a.Message == "" || a.Message == l.Message.Key {
			continue
		}
		if before[a.Message] == nil {
			before[a.Message] = map[finding.Fingerprint]string{}
		}
		before[a.Message][finding.Fingerprint(a.ID)] = text
	}
	for _, key := range slices.Sorted(maps.Keys(before)) {
		if _, err := p.Decisions.ChangeOutgoing(ctx, p.Actor, key, Tell(before[key])); err != nil {
			return err
		}
	}
	return nil
}

// settle lets delivered messages say what became of their items, and takes these out of those that were not sent yet.
func (p *Pipeline) settle(ctx context.Context, all []Settled) error {
	byMessage := map[string][]Settled{}
	var order []string
	for _, s := range all {
		if byMessage[s.Asked.Message] == nil {
			order = append(order, s.Asked.Message)
		}
		byMessage[s.Asked.Message] = append(byMessage[s.Asked.Message], s)
	}
	for _, key := range order {
		var items []state.Asked
		texts := map[finding.Fingerprint]string{}
		for _, s := range byMessage[key] {
			items = append(items, s.Asked)
			texts[finding.Fingerprint(s.Asked.ID)] = s.Text
		}
		if key == "" {
			if err := p.Decisions.SetAsked(ctx, p.Actor, items...); err != nil {
				return err
			}
			continue
		}
		if _, err := p.Decisions.ChangeOutgoing(ctx, p.Actor, key, Tell(texts), items...); err != nil {
			return err
		}
	}
	return nil
}

// Tell lets a message say what became of items, after what it said of them before. One that was not sent yet leaves them out,
// and is not sent without any. The same told twice is told once.
func Tell(texts map[finding.Fingerprint]string) func(*state.Outgoing) {
	return func(m *state.Outgoing) {
		msg, err := decode(m.Body)
		if err != nil {
			return // what can't be read is not rewritten; sending it says so
		}
		if m.Status == state.OutboxQueued {
			msg.Items = slices.DeleteFunc(msg.Items, func(i Item) bool { _, ok := texts[i.Finding.Fingerprint]; return ok })
			if len(msg.Items) == 0 {
				m.Status, m.Detail = state.OutboxFailed, "nothing of it needs an answer any more"
			}
		} else {
			if msg.Decided == nil {
				msg.Decided = map[finding.Fingerprint]string{}
			}
			for fp, text := range texts {
				if was := msg.Decided[fp]; was != "" && !strings.HasSuffix(was, text) {
					text = was + "; " + text
				} else if was != "" {
					text = was
				}
				msg.Decided[fp] = text
			}
			m.Stale = m.Status != state.OutboxFailed
		}
		if body, err := encode(msg); err == nil {
			m.Body = body
		}
	}
}

// Sent is what came of sending.
type Sent struct {
	Sent        int `json:"sent"`
	Updated     int `json:"updated"`
	Quiet       int `json:"quiet"`       // wait for the end of their recipients' quiet hours
	Waiting     int `json:"waiting"`     // could not be delivered now, and are tried again
	Unreachable int `json:"unreachable"` // the next in line is to be asked
	Repeated    int `json:"repeated"`    // were sent again though nobody could say whether they had arrived
}

// Send hands over what is in the outbox. A message that may have been delivered is looked for before it is sent again.
func (p *Pipeline) Send(ctx context.Context) (Sent, error) {
	var out Sent
	box, err := p.Decisions.Outbox(ctx)
	if err != nil {
		return out, err
	}
	for _, m := range box {
		if err := ctx.Err(); err != nil {
			return out, err
		}
		msg, err := decode(m.Body)
		if err != nil {
			return out, fmt.Errorf("message %s: %w", m.ID, err)
		}
		msg.To = p.Owners.Recipient(m.To)
		if m.Status == state.OutboxSent {
			if err := p.update(ctx, m, msg, &out); err != nil {
				return out, err
			}
			continue
		}
		switch {
		case m.Status == state.OutboxFailed:
			continue
		case p.Owners.Settings.Quiet.At(p.Now(), msg.To.Zone):
			out.Quiet++
			continue
		case p.Now().Before(m.Next):
			out.Waiting++
			continue
		}
		if err := p.deliver(ctx, m, msg, &out); err != nil {
			return out, err
		}
	}
	return out, nil
}

// update changes a delivered message to say how its items stand. What fails is tried the next time.
func (p *Pipeline) update(ctx context.Context, m state.Outgoing, msg Message, out *Sent) error {
	var r Receipt
	if err := json.Unmarshal(m.Receipt, &r); err != nil {
		return fmt.Errorf("message %s: its receipt: %w", m.ID, err)
	}
	i := slices.IndexFunc(p.Channels, func(c Channel) bool { return c.Name() == m.Channel })
	if i >= 0 {
		if err := p.limit(m.Channel).Wait(ctx); err != nil {
			return err
		}
		if err := p.Channels[i].Update(ctx, r, msg); err != nil {
			p.Log.Warn("a message could not be brought up to date", "message", m.ID, "channel", m.Channel, "error", err)
			out.Waiting++
			return nil
		}
		out.Updated++
	}
	told := m.Hash
	_, err := p.Decisions.ChangeOutgoing(ctx, p.Actor, m.ID, func(now *state.Outgoing) { now.Stale = now.Hash != told })
	return err
}

// maxAttempts is how often a channel is tried before its recipient counts as out of its reach.
const maxAttempts = 30

// deliver sends one message by the first channel that reaches its recipient.
func (p *Pipeline) deliver(ctx context.Context, m state.Outgoing, msg Message, out *Sent) error {
	channels := p.Channels
	if m.Status == state.OutboxSending { // what came of it is settled with the channel that it was handed to
		if i := slices.IndexFunc(channels, func(c Channel) bool { return c.Name() == m.Channel }); i >= 0 {
			channels = channels[i:]
		}
	}
	var reasons []error
	for _, ch := range channels {
		err := p.try(ctx, ch, &m, msg, out)
		switch {
		case err == nil:
			out.Sent++
			return nil
		case errors.Is(err, errKept):
			out.Waiting++
			return nil
		case !errors.Is(err, ErrUnreachable):
			return err
		}
		reasons = append(reasons, fmt.Errorf("%s: %w", ch.Name(), err))
		m.Status = state.OutboxQueued
	}
	return p.unreachable(ctx, m, msg, errors.Join(reasons...), out)
}

// errKept means that a message stays in the outbox and is tried again later.
var errKept = errors.New("tried again later")

// try hands a message to a channel, some times if need be.
func (p *Pipeline) try(ctx context.Context, ch Channel, m *state.Outgoing, msg Message, out *Sent) error {
	patience := p.Patience
	if patience == nil {
		patience = []time.Duration{time.Second, 5 * time.Second}
	}
	unsure := m.Status == state.OutboxSending
	for attempt := 0; ; attempt++ {
		r, err := p.once(ctx, ch, m, msg, unsure, out)
		if err == nil {
			return p.record(ctx, m, ch, r)
		}
		var kept *keptError
		switch {
		case errors.As(err, &kept):
			err, unsure = kept.Err, kept.unsure
		default:
			return err
		}
		if errors.Is(err, ErrUnreachable) {
			return err
		}
		p.Log.Warn("a message could not be delivered", "message", m.ID, "channel", ch.Name(), "attempt", m.Attempts, "error", err)
		var retry *RetryError
		wait := time.Duration(0)
		if errors.As(err, &retry) {
			wait = retry.After
		}
		if attempt >= len(patience) || wait > 30*time.Second {
			return p.keep(ctx, m, ch, err, unsure, wait)
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(max(wait, patience[attempt])):
		}
	}
}

// keptError is a channel's error, as opposed to one of the decisions.
type keptError struct {
	Err    error
	unsure bool
}

func (e *keptError) Error() string { return e.Err.Error() }

// once hands a message to a channel once. Before that is recorded that it may have been; before it is repeated the channel is
// asked for it.
func (p *Pipeline) once(ctx context.Context, ch Channel, m *state.Outgoing, msg Message, unsure bool, out *Sent) (Receipt, error) {
	repeats := m.Repeats
	if unsure {
		r, found, err := ch.Find(ctx, msg)
		if err != nil {
			return r, &keptError{err, true}
		}
		if found {
			return r, nil
		}
		repeats++
		out.Repeated++
	}
	if err := p.limit(ch.Name()).Wait(ctx); err != nil {
		return Receipt{}, err
	}
	if err := p.reach("before marking", m.ID); err != nil {
		return Receipt{}, err
	}
	now, err := p.Decisions.ChangeOutgoing(ctx, p.Actor, m.ID, func(now *state.Outgoing) {
		if now.Status == state.OutboxFailed { // it was settled meanwhile
			return
		}
		now.Status, now.Channel, now.Attempts, now.Repeats = state.OutboxSending, ch.Name(), now.Attempts+1, repeats
	})
	if err != nil {
		return Receipt{}, err
	}
	if *m = now; m.Status == state.OutboxFailed {
		return Receipt{}, errKept
	}
	if err := p.reach("marked", m.ID); err != nil {
		return Receipt{}, err
	}
	r, err := ch.Send(ctx, msg)
	if reached := p.reach("sent", m.ID); reached != nil {
		return r, reached
	}
	if err != nil {
		return r, &keptError{err, errors.Is(err, ErrUnsure)}
	}
	return r, nil
}

func (p *Pipeline) record(ctx context.Context, m *state.Outgoing, ch Channel, r Receipt) error {
	receipt, err := json.Marshal(r)
	if err != nil {
		return err
	}
	_, err = p.Decisions.ChangeOutgoing(ctx, p.Actor, m.ID, func(now *state.Outgoing) {
		now.Status, now.Channel, now.Receipt, now.Ended, now.Next, now.Detail = state.OutboxSent, ch.Name(), receipt, p.Now(), time.Time{}, ""
	})
	if err != nil {
		return err
	}
	return p.reach("recorded", m.ID)
}

// keep leaves a message in the outbox until later: the more often it failed, the longer.
func (p *Pipeline) keep(ctx context.Context, m *state.Outgoing, ch Channel, cause error, unsure bool, wait time.Duration) error {
	if m.Attempts >= maxAttempts {
		return fmt.Errorf("%w after %d attempts: %w", ErrUnreachable, m.Attempts, cause)
	}
	wait = max(wait, min(time.Hour, time.Minute<<min(m.Attempts, 6)))
	_, err := p.Decisions.ChangeOutgoing(ctx, p.Actor, m.ID, func(now *state.Outgoing) {
		now.Next, now.Detail = p.Now().Add(wait), detail(cause)
		if now.Status == state.OutboxSending && !unsure {
			now.Status = state.OutboxQueued
		}
	})
	if err != nil {
		return err
	}
	return errKept
}

// unreachable gives the items of a message that reached nobody to the next in line. Behind the security team is nobody: what
// it is to be told waits.
func (p *Pipeline) unreachable(ctx context.Context, m state.Outgoing, msg Message, cause error, out *Sent) error {
	if cause == nil {
		cause = errors.New("no channel is set up (notify in lapse.yaml)")
	}
	p.Log.Warn("nobody was reached", "recipient", m.To, "message", m.ID, "error", cause)
	if m.To == RoleSecurity {
		out.Waiting++
		_, err := p.Decisions.ChangeOutgoing(ctx, p.Actor, m.ID, func(now *state.Outgoing) {
			now.Status, now.Next, now.Detail = state.OutboxQueued, p.Now().Add(time.Hour), detail(cause)
		})
		return err
	}
	out.Unreachable++
	var items []state.Asked
	for _, i := range msg.Items {
		switch a, err := p.Decisions.AskedAbout(ctx, string(i.Finding.Fingerprint)); {
		case err != nil && !errors.Is(err, state.ErrNotFound):
			return err
		case err == nil && a.Message == m.ID:
			a.Passed, a.To, a.Message = append(a.Passed, a.To), "", ""
			items = append(items, a)
		}
	}
	_, err := p.Decisions.ChangeOutgoing(ctx, p.Actor, m.ID, func(now *state.Outgoing) {
		now.Status, now.Ended, now.Detail = state.OutboxFailed, p.Now(), detail(cause)
	}, items...)
	return err
}

// detail is as much of an error as is kept.
func detail(err error) string {
	text := []rune(err.Error())
	return string(text[:min(len(text), 500)])
}

// limit is how fast messages go out by a channel.
func (p *Pipeline) limit(channel string) *rate.Limiter {
	if p.limits == nil {
		p.limits = map[string]*rate.Limiter{}
	}
	if p.limits[channel] == nil {
		perMinute, burst := p.Owners.Settings.PerMinute[channel], 1
		if perMinute == 0 {
			perMinute, burst = 600, 10
		}
		p.limits[channel] = rate.NewLimiter(rate.Limit(float64(perMinute)/60), burst)
	}
	return p.limits[channel]
}

// encode writes a message for the outbox. Zones are found anew when it is sent.
func encode(m Message) (json.RawMessage, error) {
	m.To.Zone = nil
	body, err := json.Marshal(m)
	if err != nil {
		return nil, fmt.Errorf("message %s: %w", m.Key, err)
	}
	return body, nil
}

func decode(body json.RawMessage) (Message, error) {
	var m Message
	return m, json.Unmarshal(body, &m)
}

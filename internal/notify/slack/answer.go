package slack

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/slack-go/slack"

	"github.com/lapse-audit/lapse/internal/finding"
	"github.com/lapse-audit/lapse/internal/notify"
)

// ackWithin is the time for everything that precedes an acknowledgement, which Slack waits three seconds for.
const ackWithin = 2500 * time.Millisecond

// sayWithin is the time for what follows it.
const sayWithin = 10 * time.Second

// followWithin is the time for what a decision asks for. At a graceful stop it is waited for.
const followWithin = time.Minute

// Asker is who uses Slack, as Slack knows them: an id, and an address or "".
type Asker struct{ ID, Email string }

// Callbacks take what comes from Slack. They are called by several goroutines at once, with a context that ends in time
// for the acknowledgement. Replies are plain text that only the asker sees.
type Callbacks struct {
	// Decide authorises an answer and commits it. It is acknowledged to Slack when Decide returns without error, and only
	// then: a refusal is a reply, an error means that nothing was committed. To is an address where Slack has one, and
	// otherwise a Slack user id. Slack and people repeat themselves: the same ID is the same decision.
	Decide func(ctx context.Context, d notify.Decision) (reply string, err error)
	// Follow does what a decision asks for, after it was acknowledged, and has time for that. Its reply takes the place of
	// Decide's, "" leaves that. What it can't do stays recorded. With nil nothing follows.
	Follow func(ctx context.Context, d notify.Decision) (reply string)
	// Who answers /lapse who USER, where user is an address or what was typed.
	Who func(ctx context.Context, by Asker, user string) (reply string, err error)
	// Mine answers /lapse mine.
	Mine func(ctx context.Context, by Asker) (reply string, err error)
}

// Answers takes clicks, submissions and commands, by HTTP (ServeHTTP) or Socket Mode (Run).
type Answers struct {
	c    *Channel
	call Callbacks
	seen signatures

	pending sync.WaitGroup // what is said after an acknowledgement
}

// Answers makes the way back. All callbacks but Follow are needed.
func (c *Channel) Answers(call Callbacks) *Answers {
	return &Answers{c: c, call: call, seen: signatures{at: map[string]time.Time{}}}
}

// Wait returns when everything that was to be said has been said, at a graceful stop.
func (a *Answers) Wait() { a.pending.Wait() }

// interaction takes a click or a submission and returns what goes back with the acknowledgement, nil for nothing. On an
// error it must not be acknowledged.
func (a *Answers) interaction(ctx context.Context, cb slack.InteractionCallback) (any, error) {
	ctx, cancel := context.WithTimeout(ctx, ackWithin)
	defer cancel()
	switch cb.Type {
	case slack.InteractionTypeBlockActions:
		for _, act := range cb.ActionCallback.BlockActions {
			if err := a.click(ctx, cb, *act); err != nil {
				a.say(ctx, cb, "Your answer was not recorded. Try again in a moment.")
				return nil, err
			}
		}
	case slack.InteractionTypeViewSubmission:
		if cb.View.CallbackID == viewAnswer {
			return a.submission(ctx, cb)
		}
	}
	return nil, nil // other kinds say nothing to us, such as a closed modal
}

func (a *Answers) click(ctx context.Context, cb slack.InteractionCallback, act slack.BlockAction) error {
	if act.ActionID == actionBulk {
		items, answers := parseBulkValue(act.Value)
		view, err := bulkModal(items, answers, cards(cb.Message), a.now())
		return a.open(ctx, cb, view, err)
	}
	name, ok := strings.CutPrefix(act.ActionID, actionAnswer)
	if !ok {
		return nil
	}
	answer, fp := notify.Answer(name), finding.Fingerprint(act.Value)
	switch answer {
	case notify.Keep, notify.NotMine:
		view, err := answerModal(answer, fp, cards(cb.Message)[fp], a.now())
		return a.open(ctx, cb, view, err)
	case notify.Revoke, notify.Later:
	default:
		return fmt.Errorf("slack: a button for %q", answer)
	}
	when := act.ActionTs
	if when == "" {
		when = cb.TriggerID
	}
	if when == "" || fp == "" || cb.User.ID == "" {
		return errors.New("slack: a click that does not say what or by whom")
	}
	email, err := a.c.emailOf(ctx, cb.User.ID)
	if err != nil {
		return err
	}
	d := notify.Decision{
		Channel: Name, Who: cb.User.ID, Email: email, Finding: fp, Answer: answer,
		ID: strings.Join([]string{Name, cb.Container.ChannelID, cb.Container.MessageTs, string(fp), when}, "/"),
	}
	if answer == notify.Later {
		d.Until = a.now().Add(a.c.options.Later)
	}
	reply, err := a.call.Decide(ctx, d)
	if err != nil {
		return err
	}
	if a.call.Follow == nil {
		a.say(ctx, cb, reply)
		return nil
	}
	ctx = context.WithoutCancel(ctx)
	a.pending.Go(func() {
		if text := a.follow(ctx, d); text != "" {
			reply = text
		}
		a.say(ctx, cb, reply)
	})
	return nil
}

// follow is called after the acknowledgement.
func (a *Answers) follow(ctx context.Context, d notify.Decision) string {
	ctx, cancel := context.WithTimeout(ctx, followWithin)
	defer cancel()
	return a.call.Follow(ctx, d)
}

// open shows a modal. It is done after the acknowledgement: what opens it is good for three seconds, and so is the click.
func (a *Answers) open(ctx context.Context, cb slack.InteractionCallback, view slack.ModalViewRequest, err error) error {
	if err != nil {
		return fmt.Errorf("slack: %w", err)
	}
	if cb.TriggerID == "" {
		return errors.New("slack: a click that can't open a modal")
	}
	a.later(ctx, func(ctx context.Context) {
		if _, err := a.c.api.OpenViewContext(ctx, cb.TriggerID, view); err != nil {
			a.c.log.WarnContext(ctx, "slack: a modal can't be opened", "error", a.c.fault("views.open", "modal", err))
			a.say(ctx, cb, "The form could not be opened. Press the button again.")
		}
	})
	return nil
}

func (a *Answers) submission(ctx context.Context, cb slack.InteractionCallback) (any, error) {
	f, faults, err := submitted(cb.View, a.now(), a.c.options.Zone)
	if err != nil {
		return nil, fmt.Errorf("slack: %w", err)
	}
	if len(faults) > 0 {
		return slack.NewErrorsViewSubmissionResponse(faults), nil
	}
	if cb.View.ID == "" || cb.User.ID == "" {
		return nil, errors.New("slack: a submission that does not say of what or by whom")
	}
	var replies []string
	email, err := a.c.emailOf(ctx, cb.User.ID)
	to := f.to
	if err == nil && to != "" {
		if address, toErr := a.c.emailOf(ctx, to); toErr != nil {
			err = toErr
		} else if address != "" {
			to = address
		}
	}
	done := 0
	for _, fp := range f.items {
		if err != nil {
			break
		}
		d := notify.Decision{
			Channel: Name, Who: cb.User.ID, Email: email, Finding: fp, Answer: f.answer, Reason: f.reason, Until: a.until(f), To: to,
			ID: strings.Join([]string{Name, "view", cb.View.ID, string(fp)}, "/"),
		}
		var reply string
		reply, err = a.call.Decide(ctx, d)
		if err == nil {
			done++
			if a.call.Follow != nil {
				after := context.WithoutCancel(ctx)
				a.pending.Go(func() { a.follow(after, d) }) // the modal has said what there is to say
			}
			if !slices.Contains(replies, reply) {
				replies = append(replies, reply)
			}
		}
	}
	if err != nil {
		// The modal stays, with what was written. Sent again, what is recorded already has the same ID.
		a.c.log.WarnContext(ctx, "slack: an answer is not recorded", "user", cb.User.ID, "recorded", done, "of", len(f.items), "error", err)
		text := "It was not recorded. Try again in a moment."
		if done > 0 {
			text = fmt.Sprintf("%d of %d are recorded. Send it again for the others.", done, len(f.items))
		}
		return slack.NewErrorsViewSubmissionResponse(map[string]string{inputOf(cb.View): text}), nil
	}
	if len(f.items) > 1 {
		replies = append([]string{fmt.Sprintf("%d answers:", done)}, replies...)
	}
	return slack.NewUpdateViewSubmissionResponse(doneModal(strings.Join(replies, "\n"))), nil
}

func (a *Answers) until(f filled) time.Time {
	if f.answer == notify.Later {
		return a.now().Add(a.c.options.Later)
	}
	return f.until
}

// inputOf is an input of a modal that a fault can be shown at.
func inputOf(v slack.View) string {
	if v.State != nil {
		for _, id := range []string{inputItems, inputReason, inputTo} {
			if _, ok := v.State.Values[id]; ok {
				return id
			}
		}
	}
	return inputReason
}

const usage = "Say `/lapse mine` for what waits for you, or `/lapse who USER` for what somebody has access to."

// command answers a slash command. Whatever goes wrong, there is something to say.
func (a *Answers) command(ctx context.Context, sc slack.SlashCommand) any {
	ctx, cancel := context.WithTimeout(ctx, ackWithin)
	defer cancel()
	verb, rest, _ := strings.Cut(strings.TrimSpace(sc.Text), " ")
	rest = strings.TrimSpace(rest)
	who := strings.EqualFold(verb, "who")
	if sc.UserID == "" || who && rest == "" || !who && (!strings.EqualFold(verb, "mine") || rest != "") {
		return ephemeral([]slack.Block{section("", usage)})
	}
	reply, err := a.look(ctx, sc.UserID, who, rest)
	if err != nil {
		a.c.log.WarnContext(ctx, "slack: a command is not answered", "user", sc.UserID, "error", err)
		reply = "That could not be looked up. Try again in a moment."
	}
	return ephemeral(replyBlocks(reply))
}

func (a *Answers) look(ctx context.Context, user string, who bool, whom string) (string, error) {
	email, err := a.c.emailOf(ctx, user)
	if err != nil {
		return "", err
	}
	by := Asker{ID: user, Email: email}
	if !who {
		return a.call.Mine(ctx, by)
	}
	if id, ok := mentioned(whom); ok {
		if whom, err = a.c.emailOf(ctx, id); err != nil {
			return "", err
		}
		if whom == "" {
			return "Slack knows no address of that person. Name them by one.", nil
		}
	}
	return a.call.Who(ctx, by, typed(whom))
}

// mentioned reads <@U012ABC|name>, as Slack writes a user who was mentioned.
func mentioned(text string) (id string, ok bool) {
	if text, ok = strings.CutPrefix(text, "<@"); !ok {
		return "", false
	}
	text, ok = strings.CutSuffix(text, ">")
	id, _, _ = strings.Cut(text, "|")
	return id, ok && id != ""
}

// typed undoes what Slack makes of a typed address, <mailto:a@example.com|a@example.com>, and its escapes.
func typed(text string) string {
	if inner, ok := strings.CutPrefix(text, "<mailto:"); ok {
		text, _, _ = strings.Cut(strings.TrimSuffix(inner, ">"), "|")
	}
	return strings.NewReplacer("&lt;", "<", "&gt;", ">", "&amp;", "&").Replace(text)
}

// ephemeral is an answer that only the asker sees.
func ephemeral(blocks []slack.Block) any {
	return map[string]any{"response_type": "ephemeral", "text": "Lapse answers you.", "blocks": blocks}
}

// say tells who clicked, and nobody else, after the acknowledgement.
func (a *Answers) say(ctx context.Context, cb slack.InteractionCallback, text string) {
	channel := cb.Container.ChannelID
	if channel == "" {
		channel = cb.Channel.ID
	}
	if channel == "" || cb.User.ID == "" {
		return
	}
	a.later(ctx, func(ctx context.Context) {
		_, err := a.c.api.PostEphemeralContext(ctx, channel, cb.User.ID, slack.MsgOptionText("Lapse answers you.", false), slack.MsgOptionBlocks(replyBlocks(text)...))
		if err != nil {
			a.c.log.WarnContext(ctx, "slack: a reply is not delivered", "error", a.c.fault("chat.postEphemeral", channel, err))
		}
	})
}

func (a *Answers) later(ctx context.Context, do func(context.Context)) {
	ctx = context.WithoutCancel(ctx)
	a.pending.Go(func() {
		ctx, cancel := context.WithTimeout(ctx, sayWithin)
		defer cancel()
		do(ctx)
	})
}

func (a *Answers) now() time.Time { return a.c.options.Now().In(a.c.options.Zone) }

package cli

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/lapse-audit/lapse/internal/app"
	"github.com/lapse-audit/lapse/internal/notify"
	"github.com/lapse-audit/lapse/internal/state"
)

func newNotify(g *global) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "notify",
		Short: "Ask people about findings, remind them, and take their answers",
		Long: `Ask people about findings: each gets one message with their own items. Nothing is sent before 'lapse notify start', and what
is open then is the backlog, which nobody is ever asked about. After that each 'lapse notify send' says what is new, reminds,
and asks the manager and then the security team where nobody answers. How is set in lapse.yaml under notify.`,
		Example: `  lapse owners
  lapse notify preview
  lapse notify start
  lapse notify send
  lapse notify answer 3fa9c2 --as hr:1001 keep --reason "needed for the audit" --until 2027-01-31`,
	}
	cmd.AddCommand(newNotifyStart(g), newNotifyStatus(g), newNotifyPreview(g), newNotifySend(g), newNotifyRelease(g), newNotifyAnswer(g), newNotifyListen(g))
	return cmd
}

func newNotifyStart(g *global) *cobra.Command {
	var by string
	cmd := &cobra.Command{
		Use:   "start",
		Short: "Let people be asked about what is found from now on",
		RunE: withState(g, func(cmd *cobra.Command, _ []string, a *app.App, _ *state.State) error {
			n, backlog, err := a.StartNotify(cmd.Context(), state.Actor{ID: g.actor(by)})
			if err != nil {
				return fmt.Errorf("notify start: %w", err)
			}
			if g.format == "json" {
				return printJSON(g.sys.Stdout, n)
			}
			_, err = fmt.Fprintf(g.sys.Stdout, "People are asked about what is found after %s. What was open then (%d) is the backlog: nobody is asked about it.\n",
				n.RunTime.In(a.Config.Location).Format("2006-01-02 15:04 MST"), backlog)
			return err
		}),
	}
	cmd.Flags().StringVar(&by, "by", "", "who decides (default LAPSE_ACTOR, else the operating system's user, marked as such)")
	return cmd
}

func newNotifyStatus(g *global) *cobra.Command {
	return &cobra.Command{
		Use:   "status",
		Short: "Say whether people are asked, and how that stands",
		RunE: withState(g, func(cmd *cobra.Command, _ []string, a *app.App, _ *state.State) error {
			s, err := a.NotifyStatus(cmd.Context())
			if err != nil {
				return fmt.Errorf("notify status: %w", err)
			}
			if g.format == "json" {
				return printJSON(g.sys.Stdout, s)
			}
			l := list{columns: []string{"what", "number"}}
			since := "nobody is asked yet"
			if !s.Sending.Started.IsZero() {
				since = "people are asked about what was found after " + s.Sending.RunTime.In(a.Config.Location).Format("2006-01-02 15:04 MST")
			}
			l.add(nil, since, "")
			if s.Sending.HeldRun != 0 {
				l.add(nil, "held: "+s.Sending.HeldWhy, "")
			}
			for _, st := range []state.AskedStatus{state.AskedOpen, state.AskedKept, state.AskedRevoke, state.AskedSettled} {
				l.add(nil, "findings asked about: "+string(st), fmt.Sprint(s.Asked[st]))
			}
			for _, st := range []state.OutboxStatus{state.OutboxQueued, state.OutboxSending, state.OutboxSent, state.OutboxFailed} {
				l.add(nil, "messages: "+string(st), fmt.Sprint(s.Outbox[st]))
			}
			l.add(nil, "answers of which a plan is to be made", fmt.Sprint(s.Pending))
			return l.print(g.sys.Stdout, g.format, "")
		}),
	}
}

func newNotifyPreview(g *global) *cobra.Command {
	return &cobra.Command{
		Use:         "preview",
		Short:       "Print the messages that would be sent now",
		Annotations: formats("table", "json"),
		RunE: withState(g, func(cmd *cobra.Command, _ []string, a *app.App, _ *state.State) error {
			return preview(cmd.Context(), g, a)
		}),
	}
}

func preview(ctx context.Context, g *global, a *app.App) error {
	d, err := a.Preview(ctx)
	if err != nil {
		return fmt.Errorf("notify preview: %w", err)
	}
	if g.format == "json" {
		messages := []notify.Message{}
		for _, l := range d.Letters {
			l.Message.To.Zone = nil
			messages = append(messages, l.Message)
		}
		return printJSON(g.sys.Stdout, map[string]any{"messages": messages, "new": d.New, "backlog": d.Backlog, "silent": d.Silent, "hold": d.Hold})
	}
	for _, l := range d.Letters {
		if err := notify.WriteText(g.sys.Stdout, l.Message); err != nil {
			return err
		}
		fmt.Fprintln(g.sys.Stdout)
	}
	if d.Hold != "" {
		fmt.Fprintln(g.sys.Stdout, "Held:", d.Hold)
	}
	_, err = fmt.Fprintf(g.sys.Stdout, "%s. Findings: %d new, %d asked about and not due, %d in the backlog, %d settled.\n",
		plural(len(d.Letters), "message"), d.New, d.Silent, d.Backlog, len(d.Settled))
	return err
}

func newNotifySend(g *global) *cobra.Command {
	var dry bool
	cmd := &cobra.Command{
		Use:   "send",
		Short: "Send what is new and due",
		Long: `Queue what is to be said after the last scan, and send what is in the outbox. What was said is not said again.

Exit codes: 0 sent, 1 error, 2 usage, 4 held: so much is new that somebody has to look first.`,
		RunE: withState(g, func(cmd *cobra.Command, _ []string, a *app.App, _ *state.State) error {
			if dry {
				return preview(cmd.Context(), g, a)
			}
			return send(cmd.Context(), g, a)
		}),
	}
	cmd.Flags().BoolVar(&dry, "dry-run", false, "print the messages, and send nothing")
	return cmd
}

func send(ctx context.Context, g *global, a *app.App) error {
	out, err := a.Notify(ctx, state.Actor{ID: g.actor("")})
	if err != nil {
		return fmt.Errorf("notify send: %w", err)
	}
	if g.format == "json" {
		err = printJSON(g.sys.Stdout, out)
	} else {
		_, err = fmt.Fprintln(g.sys.Stdout, notified(out))
	}
	if err == nil && out.Hold != "" {
		err = exit{exitIncomplete}
	}
	return err
}

func notified(out app.Notified) string {
	parts := []string{plural(out.Sent.Sent, "message") + " sent"}
	for _, p := range []struct {
		n    int
		text string
	}{
		{out.Updated, "brought up to date"}, {out.Quiet, "wait for the end of quiet hours"}, {out.Waiting, "could not be delivered and are tried again"},
		{out.Unreachable, "reached nobody: the next in line is asked"}, {out.Repeated, "sent again, though they may have arrived"}, {out.Plans, "answers were seen to"},
	} {
		if p.n > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", p.n, p.text))
		}
	}
	text := strings.Join(parts, ", ") + "."
	if out.Hold != "" {
		text += "\nHeld: " + out.Hold
	}
	return text
}

// notify sends after a scan, where lapse.yaml says so. Before it was started a scan is as quiet as ever.
func (o *scanOptions) notify(ctx context.Context, a *app.App) error {
	out, err := a.Notify(ctx, state.Actor{ID: o.actor("")})
	if errors.Is(err, app.ErrNotStarted) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("the scan is complete, but notify: %w", err)
	}
	_, err = fmt.Fprintln(o.sys.Stderr, notified(out))
	return err
}

func newNotifyRelease(g *global) *cobra.Command {
	var by string
	cmd := &cobra.Command{
		Use:   "release",
		Short: "Send what is held because so much is new",
		RunE: withState(g, func(cmd *cobra.Command, _ []string, a *app.App, s *state.State) error {
			_, err := s.ReleaseSending(cmd.Context(), state.Actor{ID: g.actor(by)})
			if errors.Is(err, state.ErrNotFound) {
				err = errors.New("nothing is held")
			}
			if err != nil {
				return fmt.Errorf("notify release: %w", err)
			}
			return send(cmd.Context(), g, a)
		}),
	}
	cmd.Flags().StringVar(&by, "by", "", "who decides (default LAPSE_ACTOR, else the operating system's user, marked as such)")
	return cmd
}

func newNotifyAnswer(g *global) *cobra.Command {
	o := answerOptions{global: g}
	cmd := &cobra.Command{
		Use:   "answer FINDING revoke|keep|not-mine|later",
		Short: "Take an answer that came by word of mouth",
		Long: `Record what somebody who was asked about a finding answered. Only who was asked may answer, or a delegate
(notify.delegates); the ledger has both them and whoever typed it in.

revoke    take it away: a plan for this one account is made, which an approver has to approve
          (or the answer does, with remediation.approve_by_click, for what is not privileged)
keep      accept it until a day, with a reason: an exception
not-mine  somebody else is to be asked: --to, or the next in line
later     ask again on a day`,
		Example: `  lapse notify answer 3fa9c2 --as hr:1001 keep --reason "needed for the audit" --until 2027-01-31
  lapse notify answer 3fa9c2 --as ana@example.com not-mine --to hr:1002`,
		Args: cobra.ExactArgs(2),
		RunE: withState(g, func(cmd *cobra.Command, args []string, a *app.App, _ *state.State) error {
			return o.run(cmd.Context(), a, args[0], args[1])
		}),
	}
	f := cmd.Flags()
	f.StringVar(&o.as, "as", "", "who answers: key, address or user name (required)")
	f.StringVar(&o.reason, "reason", "", "why it is kept")
	f.StringVar(&o.until, "until", "", "until when it is kept or put off: a day, or a number of days such as 30d")
	f.StringVar(&o.to, "to", "", "who is to be asked instead: key, address or user name")
	f.StringVar(&o.id, "id", "", "id of the answer: the same id again is the same answer")
	f.StringVar(&o.by, "by", "", "who records it (default LAPSE_ACTOR, else the operating system's user, marked as such)")
	return cmd
}

type answerOptions struct {
	*global
	as, reason, until, to, id, by string
}

func (o *answerOptions) run(ctx context.Context, a *app.App, name, answer string) error {
	if strings.TrimSpace(o.as) == "" {
		return usagef("--as is missing: say who answers")
	}
	d := notify.Decision{Channel: notify.ChannelCLI, Answer: notify.Answer(strings.ReplaceAll(answer, "-", "_")), Reason: o.reason, To: o.to, ID: o.id}
	var err error
	if o.until != "" {
		if d.Until, err = parseUntil(o.until, a.Now(), a.Config.Location); err != nil {
			return err
		}
	}
	f, err := a.Finding(ctx, name)
	if err != nil {
		return fmt.Errorf("notify answer: %w", err)
	}
	p, err := a.Person(ctx, o.as)
	if err != nil {
		return fmt.Errorf("notify answer: %w", err)
	}
	d.Finding, d.Who, d.Email = f.Fingerprint, p.Key, p.Email
	if d.ID == "" {
		d.ID = fmt.Sprintf("cli-%.12s-%d", f.Fingerprint, time.Now().UnixNano())
	}
	ans, err := a.Answer(ctx, state.Actor{ID: o.actor(o.by)}, d)
	if err != nil {
		return fmt.Errorf("notify answer: %w", err)
	}
	if o.format == "json" {
		return printJSON(o.sys.Stdout, ans)
	}
	_, err = fmt.Fprintf(o.sys.Stdout, "%s answers %s to %.12s: %s\n", ans.By, strings.ReplaceAll(ans.Answer, "_", " "), ans.Finding, a.Answered(ans))
	return err
}

func newNotifyListen(g *global) *cobra.Command {
	var address string
	cmd := &cobra.Command{
		Use:   "listen",
		Short: "Take answers until interrupted",
		Long: `Take the answers of those who were asked: from Slack by Socket Mode, which needs no public address, or with --http by requests
that Slack signs, at /slack, and by the links of e-mails, at /answer/. An answer is acknowledged when it was recorded, and not before.`,
		RunE: withState(g, func(cmd *cobra.Command, _ []string, a *app.App, _ *state.State) error {
			err := a.Listen(cmd.Context(), address)
			if err == nil || cmd.Context().Err() != nil && errors.Is(err, context.Canceled) {
				return nil
			}
			return fmt.Errorf("notify listen: %w", err)
		}),
	}
	cmd.Flags().StringVar(&address, "http", "", "address to take signed requests and links at, such as 127.0.0.1:8080 behind a proxy with TLS; default: Socket Mode")
	return cmd
}

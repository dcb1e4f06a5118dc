package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/spf13/cobra"

	"github.com/lapse-audit/lapse/internal/access"
	"github.com/lapse-audit/lapse/internal/app"
	"github.com/lapse-audit/lapse/internal/remediate"
	"github.com/lapse-audit/lapse/internal/state"
)

func newApply(g *global) *cobra.Command {
	var by string
	var dry, due bool
	cmd := &cobra.Command{
		Use:   "apply PLAN",
		Short: "Carry an approved plan out",
		Long: `Carry out the due steps of a recorded and approved plan. The guards are asked first, and refuse the plan as a whole. Then
each account is read anew, and left alone if the finding doesn't hold any more; each change is written down before it is made, and
read back afterwards. It can be called again after any interruption: what was made is not made twice.

Exit code 4 says that some steps are left: refused, failed, for a person to make, or not due yet.`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if (len(args) == 0) != due {
				return usagef("name a plan, or say --due for all that are approved")
			}
			return withState(g, func(cmd *cobra.Command, args []string, a *app.App, s *state.State) error {
				o := app.ApplyOptions{Actor: state.Actor{ID: g.actor(by)}, Dry: dry, Told: g.told(), Scan: app.ScanOptions{Actor: state.Actor{ID: g.actor(by)}, Progress: g.progress(0)}}
				if due {
					return g.applyDue(cmd.Context(), a, s, o)
				}
				return g.applyOne(cmd.Context(), a, args[0], o)
			})(cmd, args)
		},
	}
	cmd.Flags().StringVar(&by, "by", "", "who applies it (default LAPSE_ACTOR, else the operating system's user, marked as such)")
	cmd.Flags().BoolVar(&dry, "dry-run", false, "ask the guards, and change nothing")
	cmd.Flags().BoolVar(&due, "due", false, "carry out what is due of every plan that is approved and not done with, for the nightly job")
	return cmd
}

func (g *global) applyOne(ctx context.Context, a *app.App, name string, o app.ApplyOptions) error {
	p, recorded, err := a.FindPlan(ctx, name)
	if err != nil {
		return fmt.Errorf("apply: %w", err)
	}
	out, err := a.Apply(ctx, p, recorded, o)
	if err != nil {
		return fmt.Errorf("apply: %w", err)
	}
	return g.applied(a, out, o.Dry)
}

// applyDue goes on with every plan that somebody approved, or that lapse.yaml does. One that is refused doesn't hold the
// others up; the exit code is that of the worst.
func (g *global) applyDue(ctx context.Context, a *app.App, s *state.State, o app.ApplyOptions) error {
	plans, err := s.Plans(ctx, state.PlanFilter{})
	if err != nil {
		return fmt.Errorf("apply: %w", err)
	}
	slices.Reverse(plans) // the oldest first
	worst := exit{exitOK}
	for _, recorded := range plans {
		given, err := s.Approvals(ctx, recorded.ID)
		if err != nil {
			return fmt.Errorf("apply: %w", err)
		}
		p, _, err := a.FindPlan(ctx, recorded.ID)
		if err != nil {
			return fmt.Errorf("apply: %w", err)
		}
		if len(given) == 0 && !p.Auto {
			continue
		}
		var code exit
		switch err := g.applyOne(ctx, a, recorded.ID, o); {
		case errors.As(err, &code):
			if worst.code != exitError {
				worst = code
			}
		case err != nil:
			return err
		}
	}
	if worst.code != exitOK {
		return worst
	}
	return nil
}

// told prints a line for each step as it comes to its end.
func (g *global) told() func(remediate.Outcome) {
	if g.format != "table" {
		return nil
	}
	var mu sync.Mutex
	return func(o remediate.Outcome) {
		mu.Lock()
		defer mu.Unlock()
		fmt.Fprintln(g.sys.Stdout, outcomeLine(o))
	}
}

func outcomeLine(o remediate.Outcome) string {
	line := fmt.Sprintf("%3d  %-8s  %s: %s in %s", o.Step.N, o.Status, printable(o.Step.What()), printable(o.Step.Subject), o.Step.Source)
	if o.Detail != "" && o.Detail != o.Step.What() {
		line += " (" + printable(o.Detail) + ")"
	}
	return line
}

// outcomeJSON is an outcome as the command line prints it.
type outcomeJSON struct {
	Step    int                `json:"step"`
	Change  string             `json:"change,omitempty"`
	Source  string             `json:"source"`
	Object  access.Object      `json:"object"`
	Subject string             `json:"subject"`
	Action  access.Action      `json:"action"`
	Status  state.ChangeStatus `json:"status"`
	Detail  string             `json:"detail,omitempty"`
}

func newOutcomeJSON(o remediate.Outcome) outcomeJSON {
	return outcomeJSON{o.Step.N, o.Change, o.Step.Source, o.Step.Change.Object, o.Step.Subject, o.Step.Change.Action, o.Status, o.Detail}
}

// applied says what came of a plan, and ends with the exit code for it.
func (g *global) applied(a *app.App, out app.Applied, dry bool) error {
	counts := map[state.ChangeStatus]int{}
	all := []outcomeJSON{}
	for _, o := range out.Outcomes {
		counts[o.Status]++
		all = append(all, newOutcomeJSON(o))
	}
	if g.format == "json" {
		refusals := out.Refusals
		if refusals == nil {
			refusals = []remediate.Refusal{}
		}
		err := printJSON(g.sys.Stdout, map[string]any{"plan": out.Plan.ID, "refusals": refusals, "outcomes": all, "waiting": len(out.Waiting), "ended": out.Ended})
		if err != nil {
			return err
		}
	} else if err := g.saySum(g.sys.Stdout, a, out, counts, dry); err != nil {
		return err
	}
	switch {
	case len(out.Refusals) > 0:
		return exit{exitError}
	case !dry && !out.Ended:
		return exit{exitIncomplete}
	}
	return nil
}

func (g *global) saySum(w io.Writer, a *app.App, out app.Applied, counts map[state.ChangeStatus]int, dry bool) error {
	if len(out.Refusals) > 0 {
		fmt.Fprintf(w, "%s is refused, and nothing was changed:\n", out.Plan.ID)
		for _, r := range out.Refusals {
			fmt.Fprintf(w, "  %s\n", printable(r.String()))
		}
		return nil
	}
	if dry {
		_, err := fmt.Fprintf(w, "No guard stands against %s: %s\n", out.Plan.ID, out.Plan.Totals())
		return err
	}
	var parts []string
	for _, s := range []state.ChangeStatus{state.ChangeDone, state.ChangeSent, state.ChangeAlready, state.ChangeAttested, state.ChangeAsked, state.ChangeSkipped, state.ChangeRefused, state.ChangeFailed, state.ChangeUnknown, "manual"} {
		if counts[s] > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", counts[s], s))
		}
	}
	if len(out.Waiting) > 0 {
		next := out.Waiting[0].NotBefore
		for _, s := range out.Waiting {
			if s.NotBefore.Before(next) {
				next = s.NotBefore
			}
		}
		parts = append(parts, fmt.Sprintf("%d not due yet (the next on %s)", len(out.Waiting), next.In(a.Config.Location).Format("2006-01-02 15:04 MST")))
	}
	if len(parts) == 0 {
		parts = []string{"nothing was left to do"}
	}
	_, err := fmt.Fprintf(w, "%s: %s\n", out.Plan.ID, strings.Join(parts, ", "))
	return err
}

func newUndo(g *global) *cobra.Command {
	var by string
	var show bool
	cmd := &cobra.Command{
		Use:   "undo CHANGE|PLAN",
		Short: "Put back what a change, or a whole plan, has changed",
		Long: `Put objects back to what they were before a change, the last change first. Undoing needs the journal and the systems, and
nothing else: no store, no roster, no approval, no cap, no change window. It is recorded like every change.

With --print it changes nothing, and prints the systems' own commands for doing it by hand.`,
		Example: `  lapse actions --since 24h --near payroll
  lapse undo chg-7c2k9
  lapse undo plan-k2m4 --print`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return withState(g, func(cmd *cobra.Command, args []string, a *app.App, _ *state.State) error {
				if show {
					lines, err := a.UndoCommands(cmd.Context(), args[0])
					if err != nil {
						return fmt.Errorf("undo: %w", err)
					}
					_, err = fmt.Fprintln(g.sys.Stdout, strings.Join(lines, "\n"))
					return err
				}
				out, err := a.Undo(cmd.Context(), state.Actor{ID: g.actor(by)}, args[0], g.told())
				if err != nil {
					return fmt.Errorf("undo: %w", err)
				}
				return g.undone(out)
			})(cmd, args)
		},
	}
	cmd.Flags().StringVar(&by, "by", "", "who undoes it (default LAPSE_ACTOR, else the operating system's user, marked as such)")
	cmd.Flags().BoolVar(&show, "print", false, "print the commands by which a person does it, and change nothing")
	return cmd
}

func (g *global) undone(out []remediate.Outcome) error {
	all, left := []outcomeJSON{}, 0
	for _, o := range out {
		all = append(all, newOutcomeJSON(o))
		if o.Status != state.ChangeDone && o.Status != state.ChangeAlready && o.Status != state.ChangeSent {
			left++
		}
	}
	if g.format == "json" {
		if err := printJSON(g.sys.Stdout, all); err != nil {
			return err
		}
	} else if _, err := fmt.Fprintf(g.sys.Stdout, "%d undone, %d left\n", len(out)-left, left); err != nil {
		return err
	}
	if left > 0 {
		return exit{exitIncomplete}
	}
	return nil
}

func newActions(g *global) *cobra.Command {
	var since, near, person string
	var confidential bool
	cmd := &cobra.Command{
		Use:   "actions",
		Short: "List what was changed, and by which plan",
		Example: `  lapse actions --since 24h --near payroll
  lapse actions --person hr:10482 --since 30d`,
		RunE: withState(g, func(cmd *cobra.Command, _ []string, a *app.App, s *state.State) error {
			ago, err := parseAgo(since)
			if err != nil {
				return err
			}
			all, err := s.ChangeEntries(cmd.Context(), state.ChangeFilter{Person: person, Since: time.Now().Add(-ago)})
			if err != nil {
				return fmt.Errorf("actions: %w", err)
			}
			l := list{columns: []string{"change", "plan", "step", "when", "status", "undoes", "action", "source", "object", "name", "person", "by", "detail"}}
			hidden, err := a.Confidential(cmd.Context())
			if err != nil {
				return fmt.Errorf("actions: %w", err)
			}
			for _, c := range all {
				if hidden[c.Plan] && !confidential {
					continue
				}
				change, before := journaled(c)
				name := nameOf(before)
				if near != "" && !strings.Contains(strings.ToLower(strings.Join([]string{name, c.Object, c.Source, change.Entitlement, change.SKU, groupNames(before)}, " ")), strings.ToLower(near)) {
					continue
				}
				l.add(c, c.ID, c.Plan, strconv.FormatInt(c.Step, 10), c.Began.In(a.Config.Location).Format("2006-01-02 15:04:05"), string(c.Status), c.Undoes,
					c.Action, c.Source, c.Object, name, c.Person, c.By, c.Detail)
			}
			return l.print(g.sys.Stdout, g.format, "Nothing was changed.")
		}),
	}
	cmd.Flags().StringVar(&since, "since", "24h", "in the last hours or days: 24h, 7d")
	cmd.Flags().StringVar(&near, "near", "", "only where the name of the account, of one of its groups, or of the source contains this")
	cmd.Flags().StringVar(&person, "person", "", "of this person, as ROSTER:ID")
	cmd.Flags().BoolVar(&confidential, "confidential", false, "those of confidential plans, too")
	cmd.AddCommand(newAttest(g))
	return cmd
}

// journaled reads what an entry says of the change and of the object before. What can't be read is empty: the list goes on.
func journaled(c state.ChangeEntry) (change access.Change, before access.Live) {
	_ = json.Unmarshal(c.Change, &change)
	_ = json.Unmarshal(c.Before, &before)
	return change, before
}

func nameOf(l access.Live) string {
	switch {
	case l.Account != nil && l.Account.Username != "":
		return l.Account.Username
	case l.Account != nil:
		return l.Account.Email
	case l.Entitlement != nil:
		return l.Entitlement.Name
	}
	return ""
}

func groupNames(l access.Live) string {
	var names []string
	for _, e := range l.Entitlements {
		names = append(names, e.Name)
	}
	return strings.Join(names, " ")
}

// parseAgo reads 36h or 7d.
func parseAgo(text string) (time.Duration, error) {
	if days, ok := strings.CutSuffix(text, "d"); ok {
		if n, err := strconv.Atoi(days); err == nil && n > 0 {
			return time.Duration(n) * 24 * time.Hour, nil
		}
	}
	if d, err := time.ParseDuration(text); err == nil && d > 0 {
		return d, nil
	}
	return 0, usagef("--since %q: want hours or days, such as 24h or 7d", text)
}

func newAttest(g *global) *cobra.Command {
	var by, evidence string
	cmd := &cobra.Command{
		Use:   "attest PLAN STEP",
		Short: "Say that you made a step by hand",
		Long: `Record that a person made a step that Lapse can't make, and where that can be looked up. It counts as made; the next
snapshot of the system proves it, or finds it again.`,
		Args: cobra.ExactArgs(2),
		RunE: withState(g, func(cmd *cobra.Command, args []string, a *app.App, _ *state.State) error {
			n, err := strconv.Atoi(args[1])
			if err != nil {
				return usagef("step %q: want its number, as `lapse plan show` prints it", args[1])
			}
			if err := a.Attest(cmd.Context(), state.Actor{ID: g.actor(by)}, args[0], n, evidence); err != nil {
				return fmt.Errorf("actions attest: %w", err)
			}
			_, err = fmt.Fprintf(g.sys.Stdout, "step %d of %s was made by hand, as %s says\n", n, args[0], g.actor(by))
			return err
		}),
	}
	cmd.Flags().StringVar(&by, "by", "", "who made it (default LAPSE_ACTOR, else the operating system's user, marked as such)")
	cmd.Flags().StringVar(&evidence, "evidence", "", "what was done, and where it can be looked up (required)")
	return cmd
}

func newStop(g *global) *cobra.Command {
	var by string
	var lift bool
	cmd := &cobra.Command{
		Use:   "stop [REASON]",
		Short: "Stop all changes at once, until the stop is lifted",
		Example: `  lapse stop "payroll is broken"
  lapse stop --lift`,
		Args: cobra.MaximumNArgs(1),
		RunE: withState(g, func(cmd *cobra.Command, args []string, a *app.App, s *state.State) error {
			actor := state.Actor{ID: g.actor(by)}
			if lift {
				all, err := s.LiftStops(cmd.Context(), actor)
				if errors.Is(err, state.ErrNotFound) {
					return errors.New("stop: no stop is in force: changes may be made")
				}
				if err != nil {
					return fmt.Errorf("stop: %w", err)
				}
				_, err = fmt.Fprintf(g.sys.Stdout, "changes may be made again (%s lifted)\n", plural(len(all), "stop"))
				return err
			}
			if len(args) == 0 {
				return usagef("say why: lapse stop \"payroll is broken\"")
			}
			stop, err := s.SetStop(cmd.Context(), actor, args[0])
			if err != nil {
				return fmt.Errorf("stop: %w", err)
			}
			_, err = fmt.Fprintf(g.sys.Stdout, "%s: nothing is changed until `lapse stop --lift`\n", stop.ID)
			return err
		}),
	}
	cmd.Flags().StringVar(&by, "by", "", "who decides")
	cmd.Flags().BoolVar(&lift, "lift", false, "let changes be made again")
	return cmd
}

package cli

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/lapse-audit/lapse/internal/app"
	"github.com/lapse-audit/lapse/internal/review"
	"github.com/lapse-audit/lapse/internal/state"
)

func newReview(g *global) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "review",
		Short: "Let managers and app owners review who holds what",
		Long: `Ask managers or app owners about grants, whether they are found fault with or not. A review is frozen from the last scan; each
grant is an item of one reviewer: by the same rules as who is asked about findings, and never of whom it benefits. Where the
evidence is clear something is suggested, and nothing is decided by itself. What is decided to be taken away becomes a plan when
the review is closed, which is approved and applied as any other; what nobody decided goes to the security team.`,
		Example: `  lapse review start 2026-q4 --scope source=crm --scope privileged --reviewers owners --due 14d
  lapse review progress 2026-q4
  lapse review show 2026-q4 --reviewer ana@example.com
  lapse review decide 2026-q4 revoke 3 5-9 --as ana@example.com --reason "changed teams"
  lapse review show 2026-q4 --reviewer ana@example.com --format csv > list.csv
  lapse review decide 2026-q4 --file list.csv --as ana@example.com
  lapse review close 2026-q4
  lapse review report 2026-q4 --format html --out review.html`,
	}
	cmd.AddCommand(newReviewStart(g), newReviewList(g), newReviewProgress(g), newReviewShow(g), newReviewDecide(g), newReviewDelegate(g), newReviewRemind(g),
		newReviewClose(g), newReviewPlan(g), newReviewReport(g))
	return cmd
}

const byUsage = "who does it (default LAPSE_ACTOR, else the operating system's user, marked as such)"

func newReviewStart(g *global) *cobra.Command {
	var q app.ReviewQuery
	var scope []string
	var due, by string
	var dry bool
	cmd := &cobra.Command{
		Use:   "start NAME",
		Short: "Freeze the grants of the last scan, and say who reviews each",
		Long: `Freeze the grants of the last scan that are in the scope, and say who reviews each. Scopes of one kind are alternatives, and
every kind that is given has to hold:

  source=UID  entitlement=GLOB  tag=TAG  department=NAME  manager=PERSON  privileged  all`,
		Args: cobra.ExactArgs(1),
		RunE: withState(g, func(cmd *cobra.Command, args []string, a *app.App, _ *state.State) (err error) {
			if q.Scope, err = review.ParseScope(scope); err != nil {
				return usagef("--scope: %w", err)
			}
			q.Name, q.Due = args[0], a.Now().AddDate(0, 0, a.Config.Review.DueDays)
			if due != "" {
				if q.Due, err = parseUntil(due, a.Now(), a.Config.Location); err != nil {
					return usagef("--due %q: want a day such as 2027-01-31, or a number of days such as 14d", due)
				}
			}
			f, err := a.StartReview(cmd.Context(), state.Actor{ID: g.actor(by)}, q, dry)
			if err != nil {
				return fmt.Errorf("review start: %w", err)
			}
			return printStarted(cmd.Context(), g, a, f, dry)
		}),
	}
	f := cmd.Flags()
	f.StringArrayVar(&scope, "scope", nil, "what is reviewed (required; can be repeated)")
	f.StringVar(&q.Reviewers, "reviewers", "managers", "whom it asks first: managers or owners (of apps, notify.owners in lapse.yaml)")
	f.StringVar(&due, "due", "", "a day, or a number of days such as 14d (default: review.due_days of lapse.yaml)")
	f.BoolVar(&dry, "dry-run", false, "say what it would be, and start nothing")
	f.StringVar(&by, "by", "", byUsage)
	return cmd
}

func printStarted(ctx context.Context, g *global, a *app.App, f app.ReviewFile, dry bool) error {
	if g.format == "json" {
		return printJSON(g.sys.Stdout, f.Review)
	}
	counts := map[string]int{}
	hard, privileged := 0, 0
	for _, it := range f.List {
		counts[it.Suggested]++
		if len(it.Hard) > 0 {
			hard++
		}
		if it.Privileged != nil && *it.Privileged {
			privileged++
		}
	}
	var b strings.Builder
	verb := "is started"
	if dry {
		verb = "would be"
	}
	fmt.Fprintf(&b, "Review %s %s: %d grants of run %d (%s), due %s.\n", f.ID, verb, len(f.List), f.Run, f.Scope, f.Due.In(a.Config.Location).Format("2006-01-02 15:04 MST"))
	fmt.Fprintf(&b, "%d are hard (%d privileged) and come first. Suggested: %d to revoke, %d to approve; of %d the evidence says nothing.\n",
		hard, privileged, counts[review.Revoke], counts[review.Approve], counts[""])
	for _, n := range f.Notes {
		fmt.Fprintf(&b, "Note: %s.\n", printable(n))
	}
	b.WriteString("\n")
	if _, err := fmt.Fprint(g.sys.Stdout, b.String()); err != nil {
		return err
	}
	return printProgress(ctx, g, a, f)
}

// printProgress writes a line a reviewer.
func printProgress(ctx context.Context, g *global, a *app.App, f app.ReviewFile) error {
	name, err := a.ReviewerName(ctx)
	if err != nil {
		return err
	}
	l := list{columns: []string{"reviewer", "name", "waiting", "approved", "revoked", "settled", "last decision"}}
	for _, r := range f.Summarise().Reviewers {
		last := ""
		if !r.Last.IsZero() {
			last = r.Last.In(a.Config.Location).Format("2006-01-02 15:04")
		}
		l.add(r, r.Reviewer, name(r.Reviewer), strconv.Itoa(r.Waiting()), strconv.Itoa(r.Approved), strconv.Itoa(r.Revoked), strconv.Itoa(r.Settled), last)
	}
	return l.print(g.sys.Stdout, g.format, "")
}

func newReviewList(g *global) *cobra.Command {
	return &cobra.Command{
		Use:   "list",
		Short: "List the reviews, and how far they are",
		RunE: withState(g, func(cmd *cobra.Command, _ []string, a *app.App, _ *state.State) error {
			all, err := a.Reviews(cmd.Context())
			if err != nil {
				return fmt.Errorf("review list: %w", err)
			}
			l := list{columns: []string{"review", "status", "scope", "due", "grants", "decided", "waiting", "approval rate"}}
			for _, f := range all {
				s := f.Summarise()
				row := reviewJSON{f.Review, reviewStatus(f, a.Now()), f.Closed, s.Progress}
				l.add(row, f.ID, row.Status, f.Scope, f.Due.In(a.Config.Location).Format(time.DateOnly), strconv.Itoa(s.Items), percent(s.Done()), strconv.Itoa(s.Waiting()), rate(s.Progress))
			}
			return l.print(g.sys.Stdout, g.format, "There is no review: `lapse review start` begins one.")
		}),
	}
}

type reviewJSON struct {
	state.Review
	Status string    `json:"status"`
	Closed time.Time `json:"closed,omitzero"`
	review.Progress
}

func reviewStatus(f app.ReviewFile, now time.Time) string {
	switch {
	case !f.Closed.IsZero():
		return "closed"
	case now.After(f.Due):
		return "overdue"
	}
	return "open"
}

func percent(part float64) string { return fmt.Sprintf("%.0f%%", 100*part) }

func rate(p review.Progress) string {
	r, ok := p.ApprovalRate()
	if !ok {
		return ""
	}
	return percent(r)
}

func newReviewProgress(g *global) *cobra.Command {
	return &cobra.Command{
		Use:   "progress NAME",
		Short: "Say who has decided how much, and what waits for whom",
		Args:  cobra.ExactArgs(1),
		RunE: withState(g, func(cmd *cobra.Command, args []string, a *app.App, _ *state.State) error {
			f, err := a.Review(cmd.Context(), args[0])
			if err != nil {
				return fmt.Errorf("review progress: %w", err)
			}
			s := f.Summarise()
			if g.format == "json" {
				return printJSON(g.sys.Stdout, s)
			}
			if g.format == "table" {
				fmt.Fprintf(g.sys.Stdout, "Review %s is %s, due %s: %s of %d grants are decided or settled, %d wait.\n\n", f.ID, reviewStatus(f, a.Now()),
					f.Due.In(a.Config.Location).Format(time.DateOnly), percent(s.Done()), s.Items, s.Waiting())
			}
			return printProgress(cmd.Context(), g, a, f)
		}),
	}
}

func newReviewDelegate(g *global) *cobra.Command {
	var from, to, reason, by string
	cmd := &cobra.Command{
		Use:   "delegate NAME --from PERSON --to PERSON [ITEM...]",
		Short: "Let somebody else decide what waits for a reviewer",
		Args:  cobra.MinimumNArgs(1),
		RunE: withState(g, func(cmd *cobra.Command, args []string, a *app.App, _ *state.State) error {
			items, err := parseItems(args[1:])
			if err != nil {
				return err
			}
			if from == "" || to == "" {
				return usagef("--from and --to are needed: say whose items, and who is to decide them")
			}
			moved, stay, err := a.DelegateReview(cmd.Context(), state.Actor{ID: g.actor(by)}, args[0], from, to, reason, items)
			if err != nil {
				return fmt.Errorf("review delegate: %w", err)
			}
			fmt.Fprintf(g.sys.Stdout, "moved to %s: %d\n", to, moved)
			for _, n := range slices.Sorted(maps.Keys(stay)) {
				fmt.Fprintf(g.sys.Stdout, "item %d stays where it is: %s\n", n, stay[n])
			}
			return nil
		}),
	}
	f := cmd.Flags()
	f.StringVar(&from, "from", "", "whose items: key, address or user name; security for the security team's")
	f.StringVar(&to, "to", "", "who is to decide them: key, address or user name")
	f.StringVar(&reason, "reason", "", "why")
	f.StringVar(&by, "by", "", byUsage)
	return cmd
}

func newReviewClose(g *global) *cobra.Command {
	var by string
	var early, noPlan bool
	cmd := &cobra.Command{
		Use:   "close NAME",
		Short: "End a review: what is undecided goes to the security team, what is revoked becomes a plan",
		Long: `End a review. What nobody has decided is given to the security team, item by item: it is neither approved nor revoked, and they
can decide it still. What was decided to be taken away becomes a plan, of which nothing is carried out before it is approved.`,
		Args: cobra.ExactArgs(1),
		RunE: withState(g, func(cmd *cobra.Command, args []string, a *app.App, _ *state.State) error {
			actor := state.Actor{ID: g.actor(by)}
			f, err := a.CloseReview(cmd.Context(), actor, args[0], early)
			if err != nil {
				return fmt.Errorf("review close: %w", err)
			}
			if err := printClosed(g, f); err != nil || noPlan || len(f.Unplanned(false)) == 0 {
				return err
			}
			return planReview(cmd.Context(), g, a, actor, args[0], false)
		}),
	}
	f := cmd.Flags()
	f.BoolVar(&early, "early", false, "before it is due, though items wait for a decision")
	f.BoolVar(&noPlan, "no-plan", false, "make no plan of what is revoked yet")
	f.StringVar(&by, "by", "", byUsage)
	return cmd
}

func printClosed(g *global, f app.ReviewFile) error {
	s := f.Summarise()
	if g.format == "json" {
		return printJSON(g.sys.Stdout, s)
	}
	var b strings.Builder
	fmt.Fprintf(&b, "Review %s is closed: %d approved, %d revoked, %d settled by themselves, %d undecided.\n", f.ID, s.Approved, s.Revoked, s.Settled, s.Escalated)
	if r := rate(s.Progress); r != "" {
		fmt.Fprintf(&b, "Approval rate %s, median time to a decision %s.\n", r, review.InWords(s.Median))
	}
	for _, sign := range s.Signs {
		fmt.Fprintf(&b, "Worth a question: %s: %s.\n", sign.Reviewer, sign.Text)
	}
	if n := f.Waiting(""); len(n) > 0 {
		fmt.Fprintf(&b, "The security team is asked about items %s.\n", itemNumbers(n))
	}
	_, err := fmt.Fprint(g.sys.Stdout, b.String())
	return err
}

func newReviewPlan(g *global) *cobra.Command {
	var by string
	var again bool
	cmd := &cobra.Command{
		Use:   "plan NAME",
		Short: "Make a plan of what is revoked and in no plan yet",
		Long: `Make a plan of what is revoked and in no plan yet. A plan that has become too old to be carried out is replaced with --again: by
one of all that is revoked and still held.`,
		Args: cobra.ExactArgs(1),
		RunE: withState(g, func(cmd *cobra.Command, args []string, a *app.App, _ *state.State) error {
			return planReview(cmd.Context(), g, a, state.Actor{ID: g.actor(by)}, args[0], again)
		}),
	}
	cmd.Flags().BoolVar(&again, "again", false, "of all that is revoked and still held; plans of this review that are not done with are ended")
	cmd.Flags().StringVar(&by, "by", "", byUsage)
	return cmd
}

func planReview(ctx context.Context, g *global, a *app.App, actor state.Actor, name string, again bool) error {
	d, err := a.PlanReview(ctx, actor, name, again)
	if errors.Is(err, app.ErrNothingToPlan) {
		_, err := fmt.Fprintf(g.sys.Stdout, "Of review %s nothing is to be taken away that is in no plan yet.\n", name)
		return err
	}
	if err != nil {
		return fmt.Errorf("review plan: %w", err)
	}
	return g.show(a, d, "", true)
}

// parseItems reads numbers of items, and ranges of them: 3 5-9 or 3,5-9.
func parseItems(args []string) ([]int64, error) {
	var out []int64
	for _, arg := range args {
		for _, part := range strings.Split(arg, ",") {
			first, last, isRange := strings.Cut(part, "-")
			from, err := strconv.ParseInt(first, 10, 64)
			to := from
			if isRange && err == nil {
				to, err = strconv.ParseInt(last, 10, 64)
			}
			if err != nil || from < 1 || to < from || to-from > 1_000_000 {
				return nil, usagef("%q is no number of an item: write 3, or 5-9 for several", part)
			}
			for n := from; n <= to; n++ {
				out = append(out, n)
			}
		}
	}
	return out, nil
}

// itemNumbers writes sorted numbers so that parseItems reads them.
func itemNumbers(items []int64) string {
	var parts []string
	for i := 0; i < len(items); {
		j := i
		for j+1 < len(items) && items[j+1] == items[j]+1 {
			j++
		}
		if j == i {
			parts = append(parts, strconv.FormatInt(items[i], 10))
		} else {
			parts = append(parts, fmt.Sprintf("%d-%d", items[i], items[j]))
		}
		i = j + 1
	}
	return strings.Join(parts, ",")
}

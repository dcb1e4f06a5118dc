package cli

import (
	"context"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/lapse-audit/lapse/internal/app"
)

func newPolicyBacktest(g *global) *cobra.Command {
	o := policyBacktestOptions{global: g}
	cmd := &cobra.Command{
		Use:   "backtest [FOLDER...]",
		Short: "Judge the kept nights again: what policies would have found, for how long",
		Long: `Judge every kept night since a day again by the policies in the folders named, or by those that differ from what the last
run was judged by: the findings of each night, how long each would have stood, how many the remediator would have been
asked to act on, and which other policies flag the same subjects. Nothing is recorded; nights of which nothing is kept are
named.

Exit code 4 if a policy was broken off on some night.`,
		Example: `  lapse policy backtest policies/acme --since 30d
  lapse policy backtest --policy DOR-01 --since 2026-11-01 --format markdown`,
		Args:        cobra.ArbitraryArgs,
		Annotations: formats("table", "json", "markdown"),
		RunE:        func(cmd *cobra.Command, args []string) error { return o.run(cmd.Context(), args) },
	}
	o.flags(cmd)
	cmd.Flags().StringVar(&o.since, "since", "30d", "30d, 4w, or a day such as 2026-11-01")
	return cmd
}

type policyBacktestOptions struct {
	*global
	choice
	since string
}

func (o *policyBacktestOptions) run(ctx context.Context, folders []string) error {
	a, err := o.open()
	if err != nil {
		return err
	}
	defer a.Close()
	last, err := a.LastRun(ctx)
	if err != nil {
		return err
	}
	since, err := parseSince(o.since, last, a.Config.Location)
	if err != nil {
		return err
	}
	chosen, err := o.chosen(a, folders)
	if err != nil {
		return err
	}
	opts := app.BacktestOptions{Chosen: chosen, Since: since}
	if _, ok := terminal(o.sys.Stderr); ok && !o.quiet {
		opts.Progress = func(night, of int) { fmt.Fprintf(o.sys.Stderr, "\rnight %d of %d\033[K", night, of) }
		defer fmt.Fprintln(o.sys.Stderr)
	}
	b, err := a.Backtest(ctx, opts)
	if err != nil {
		return err
	}
	switch o.format {
	case "json":
		err = printJSON(o.sys.Stdout, newBacktestJSON(b))
	case "markdown":
		err = printBacktestMarkdown(o.sys.Stdout, b)
	default:
		err = printBacktest(o.sys.Stdout, b)
	}
	if err != nil {
		return err
	}
	for _, p := range b.Policies {
		if slices.ContainsFunc(p.Nights, func(n app.NightCount) bool { return n.Failed != "" }) {
			return exit{exitIncomplete}
		}
	}
	return nil
}

// parseSince reads a day, or how long before the last run: 30d is the last run's night and the 29 before it.
func parseSince(text string, last time.Time, zone *time.Location) (time.Time, error) {
	if t, err := time.ParseInLocation(time.DateOnly, text, zone); err == nil {
		return t, nil
	}
	days := map[string]int{"d": 1, "w": 7}
	if len(text) > 1 {
		n, err := strconv.Atoi(text[:len(text)-1])
		if per := days[text[len(text)-1:]]; err == nil && n > 0 && n < 10000 && per > 0 {
			return last.In(zone).AddDate(0, 0, 1-n*per), nil
		}
	}
	return time.Time{}, usagef("--since %q: want a number of days or weeks (30d, 4w), or a day (2026-11-01)", text)
}

// lasted sums up how long findings would have stood.
type lasted struct {
	Ended   int            `json:"ended"`
	Stand   int            `json:"stand"`
	Median  int            `json:"median_days"` // of those that ended
	Longest int            `json:"longest_days"`
	Days    map[string]int `json:"days"` // those that ended, by days
}

var spans = []struct {
	name string
	most int
}{{"1", 1}, {"2-7", 7}, {"8-30", 30}, {"more", 1 << 30}}

func newLasted(lives []app.Stretch) lasted {
	out := lasted{Days: map[string]int{}}
	var ended []int
	for _, s := range lives {
		out.Longest = max(out.Longest, s.Days)
		if s.Stands {
			out.Stand++
			continue
		}
		ended = append(ended, s.Days)
		i := slices.IndexFunc(spans, func(span struct {
			name string
			most int
		}) bool {
			return s.Days <= span.most
		})
		out.Days[spans[i].name]++
	}
	out.Ended = len(ended)
	if len(ended) > 0 {
		slices.Sort(ended)
		out.Median = ended[(len(ended)-1)/2]
	}
	return out
}

func (l lasted) String() string {
	if l.Ended == 0 {
		return fmt.Sprintf("none ended; %d still stand, the oldest for %s", l.Stand, plural(l.Longest, "day"))
	}
	var parts []string
	for _, s := range spans {
		if n := l.Days[s.name]; n > 0 {
			unit := "days"
			if s.name == "1" {
				unit = "day"
			}
			parts = append(parts, fmt.Sprintf("%d within %s %s", n, s.name, unit))
		}
	}
	return strings.Replace(fmt.Sprintf("%d ended (%s; half of them within %s), %d still stand", l.Ended, strings.Join(parts, ", "), plural(l.Median, "day"), l.Stand), "within more days", "later", 1)
}

func plural(n int, of string) string {
	if n == 1 {
		return "1 " + of
	}
	return fmt.Sprintf("%d %ss", n, of)
}

// ranges writes days as ranges of days.
func ranges(days []string) string {
	var parts []string
	for i := 0; i < len(days); {
		j := i
		for j+1 < len(days) && nextDay(days[j]) == days[j+1] {
			j++
		}
		if i == j {
			parts = append(parts, days[i])
		} else {
			parts = append(parts, fmt.Sprintf("%s to %s (%d)", days[i], days[j], j-i+1))
		}
		i = j + 1
	}
	return strings.Join(parts, ", ")
}

func nextDay(day string) string {
	t, err := time.Parse(time.DateOnly, day)
	if err != nil {
		return ""
	}
	return t.AddDate(0, 0, 1).Format(time.DateOnly)
}

// preface says which nights were judged, and which could not be.
func preface(b app.Backtest) []string {
	out := []string{fmt.Sprintf("%s from %s to %s, judged again. Nothing is recorded.", plural(len(b.Nights), "night"), b.Nights[0].Day, b.Nights[len(b.Nights)-1].Day)}
	if len(b.Missing) > 0 {
		out = append(out, fmt.Sprintf("No run is kept of %s: %s.", plural(len(b.Missing), "night"), ranges(b.Missing)))
	}
	for _, n := range b.Nights {
		if n.Incomplete {
			out = append(out, fmt.Sprintf("The run of %s was incomplete.", n.Day))
		}
		if n.Stale != nil {
			out = append(out, fmt.Sprintf("Not fresh on %s: %s.", n.Day, strings.Join(n.Stale, ", ")))
		}
	}
	return out
}

// facts are what a backtest says of one policy, as name and text.
func facts(p app.Backtested) [][2]string {
	acted := fmt.Sprintf("none: its action is %s", p.Policy.Action)
	if p.Acted > 0 {
		acted = fmt.Sprintf("%d, by %s", p.Acted, p.Policy.Action)
	}
	out := [][2]string{
		{"findings", fmt.Sprintf("%d on %s", p.Findings, plural(p.Subjects, "subject"))},
		{"stood", newLasted(p.Lives).String()},
		{"acted on", acted},
	}
	if p.Findings == 0 {
		out = out[:1]
	}
	var overlap []string
	for _, o := range p.Overlap {
		overlap = append(overlap, fmt.Sprintf("%s on %d", o.Policy, o.Subjects))
	}
	if overlap != nil {
		out = append(out, [2]string{"flagged too", strings.Join(overlap, ", ")})
	}
	return out
}

func printBacktest(w io.Writer, b app.Backtest) error {
	for _, line := range preface(b) {
		fmt.Fprintln(w, line)
	}
	for _, p := range b.Policies {
		printTitle(w, p.Policy, p.Change)
		for _, f := range facts(p) {
			fmt.Fprintf(w, "  %-12s %s\n", f[0], printable(f[1]))
		}
		l := list{columns: []string{"  night", "findings", "new", "gone", "excluded", "not evaluable"}}
		for _, n := range p.Nights {
			if n.Failed != "" {
				l.add(nil, "  "+n.Day, "broken off: "+n.Failed)
				continue
			}
			l.add(nil, "  "+n.Day, fmt.Sprint(n.Flagged), fmt.Sprint(n.New), fmt.Sprint(n.Gone), fmt.Sprint(n.Excluded), fmt.Sprint(n.NotEvaluable))
		}
		if err := l.print(w, "table", ""); err != nil {
			return err
		}
	}
	return nil
}

func printBacktestMarkdown(w io.Writer, b app.Backtest) error {
	for _, line := range preface(b) {
		fmt.Fprintf(w, "%s\n", line)
	}
	for _, p := range b.Policies {
		fmt.Fprintf(w, "\n### %s: %s\n\n", p.Policy.ID, markdown(p.Policy.Title))
		for _, f := range facts(p) {
			fmt.Fprintf(w, "- **%s**: %s\n", f[0], markdown(f[1]))
		}
		fmt.Fprint(w, "\n| night | findings | new | gone | excluded | not evaluable |\n| --- | ---: | ---: | ---: | ---: | ---: |\n")
		for _, n := range p.Nights {
			if n.Failed != "" {
				fmt.Fprintf(w, "| %s | broken off: %s | | | | |\n", n.Day, markdown(n.Failed))
				continue
			}
			fmt.Fprintf(w, "| %s | %d | %d | %d | %d | %d |\n", n.Day, n.Flagged, n.New, n.Gone, n.Excluded, n.NotEvaluable)
		}
	}
	return nil
}

// markdown keeps a text from being read as Markdown.
func markdown(s string) string {
	return strings.NewReplacer("|", `\|`, "<", "&lt;", "*", `\*`, "_", `\_`, "`", "\\`", "[", `\[`).Replace(printable(s))
}

type backtestJSON struct {
	Since    string           `json:"since"`
	Until    string           `json:"until"`
	Nights   []app.Night      `json:"nights"`
	Missing  []string         `json:"missing"`
	Policies []backtestedJSON `json:"policies"`
}

type backtestedJSON struct {
	Policy   string           `json:"policy"`
	Title    string           `json:"title"`
	File     string           `json:"file"`
	Change   string           `json:"change"`
	Action   string           `json:"action"`
	Findings int              `json:"findings"`
	Subjects int              `json:"subjects"`
	Standing int              `json:"standing"`
	Acted    int              `json:"acted"`
	Lasted   lasted           `json:"lasted"`
	Overlap  []app.Overlap    `json:"overlap"`
	Nights   []app.NightCount `json:"nights"`
	Lives    []app.Stretch    `json:"lives"`
}

func newBacktestJSON(b app.Backtest) backtestJSON {
	out := backtestJSON{Since: b.Since, Until: b.Until, Nights: b.Nights, Missing: b.Missing, Policies: []backtestedJSON{}}
	for _, p := range b.Policies {
		out.Policies = append(out.Policies, backtestedJSON{Policy: p.Policy.ID, Title: p.Policy.Title, File: p.Policy.File, Change: p.Change, Action: p.Policy.Action,
			Findings: p.Findings, Subjects: p.Subjects, Standing: p.Standing, Acted: p.Acted, Lasted: newLasted(p.Lives), Overlap: p.Overlap, Nights: p.Nights, Lives: p.Lives})
	}
	return out
}

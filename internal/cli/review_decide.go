package cli

import (
	"context"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/lapse-audit/lapse/internal/app"
	"github.com/lapse-audit/lapse/internal/review"
	"github.com/lapse-audit/lapse/internal/spell"
	"github.com/lapse-audit/lapse/internal/state"
)

func newReviewDecide(g *global) *cobra.Command {
	o := reviewDecideOptions{global: g}
	cmd := &cobra.Command{
		Use:   "decide NAME approve|revoke|not-mine ITEM...",
		Short: "Record what a reviewer decides, item by item or from a file",
		Long: `Record what a reviewer decides. Only who is asked may decide, or a delegate (notify.delegates); the ledger has both them and
whoever typed it in. Deciding the same again changes nothing.

A file is what 'lapse review show NAME --reviewer PERSON --format csv' writes, with the columns decision, reason and to filled
in; or JSON, a list of {"item": 3, "decision": "revoke", "reason": "..."}. With a fault in it nothing is recorded. Taking what is
suggested takes a reviewer's word, too: --suggested decides all that waits for them and has a suggestion, and nothing else.`,
		Example: `  lapse review decide 2026-q4 revoke 3 5-9 --as ana@example.com --reason "changed teams"
  lapse review decide 2026-q4 not-mine 12 --as ana@example.com --to bo@example.com
  lapse review decide 2026-q4 --file list.csv --as ana@example.com
  lapse review decide 2026-q4 --suggested approve --as ana@example.com`,
		Args: cobra.MinimumNArgs(1),
		RunE: withState(g, func(cmd *cobra.Command, args []string, a *app.App, _ *state.State) error {
			return o.run(cmd.Context(), a, args)
		}),
	}
	f := cmd.Flags()
	f.StringVar(&o.d.As, "as", "", "who decides: key, address or user name (required)")
	f.StringVar(&o.reason, "reason", "", "why; needed to revoke, and to approve what is privileged")
	f.StringVar(&o.to, "to", "", "not-mine: who is to be asked instead (default: the next in line)")
	f.StringVar(&o.file, "file", "", "decisions as CSV or JSON ('-' is standard input)")
	f.StringVar(&o.d.Suggested, "suggested", "", "take what is suggested: approve, revoke or both")
	f.BoolVar(&o.d.Change, "change", false, "decide anew what was decided")
	f.StringVar(&o.by, "by", "", byUsage)
	return cmd
}

type reviewDecideOptions struct {
	*global
	d                    app.ReviewDecision
	reason, to, file, by string
}

func (o *reviewDecideOptions) run(ctx context.Context, a *app.App, args []string) error {
	if strings.TrimSpace(o.d.As) == "" {
		return usagef("--as is missing: say who decides")
	}
	ways := 0
	for _, given := range []bool{len(args) > 1, o.file != "", o.d.Suggested != ""} {
		if given {
			ways++
		}
	}
	switch {
	case ways != 1:
		return usagef("give either a decision with items, or --file, or --suggested")
	case o.d.Suggested != "" && !slices.Contains([]string{review.Approve, review.Revoke, "both"}, o.d.Suggested):
		return usagef("--suggested %q: want approve, revoke or both", o.d.Suggested)
	case o.file != "":
		f, err := a.Review(ctx, args[0])
		if err != nil {
			return fmt.Errorf("review decide: %w", err)
		}
		if o.d.Words, err = o.read(f); err != nil {
			return fmt.Errorf("review decide: %w", err)
		}
		o.d.Method = app.ByFile
	case len(args) > 1:
		items, err := parseItems(args[2:])
		if err != nil {
			return err
		}
		if len(items) == 0 {
			return usagef("name the items: 3, or 5-9 for several")
		}
		for _, n := range items {
			o.d.Words = append(o.d.Words, app.ReviewWord{Item: n, Decision: args[1], Reason: o.reason, To: o.to})
		}
		o.d.Method = app.ByOne
	}
	out, err := a.DecideReview(ctx, state.Actor{ID: o.actor(o.by)}, args[0], o.d)
	if err != nil {
		return fmt.Errorf("review decide: %w", err)
	}
	if o.format == "json" {
		return printJSON(o.sys.Stdout, out)
	}
	fmt.Fprintf(o.sys.Stdout, "%s: %d approved, %d revoked, %d passed on, %d decided so before\n", out.By, out.Approved, out.Revoked, out.Passed, out.Same)
	for _, s := range out.Settled {
		fmt.Fprintf(o.sys.Stdout, "item %d needs no decision: %s\n", s.N, s.Why)
	}
	return nil
}

func (o *reviewDecideOptions) read(f app.ReviewFile) ([]app.ReviewWord, error) {
	in, name := o.sys.Stdin, "standard input"
	if o.file != "-" {
		file, err := os.Open(o.file)
		if err != nil {
			return nil, err
		}
		defer file.Close()
		in, name = io.Reader(file), o.file
	}
	text, err := io.ReadAll(io.LimitReader(in, 256<<20))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	text = []byte(strings.TrimPrefix(string(text), "\ufeff"))
	if t := strings.TrimSpace(string(text)); strings.HasPrefix(t, "[") {
		return readWords(name, t)
	}
	return readSheet(name, string(text), f)
}

// readWords reads decisions as JSON.
func readWords(name, text string) ([]app.ReviewWord, error) {
	dec := json.NewDecoder(strings.NewReader(text))
	dec.DisallowUnknownFields()
	var out []app.ReviewWord
	if err := dec.Decode(&out); err != nil {
		return nil, fmt.Errorf("%s: want a list of {\"item\": 3, \"decision\": \"revoke\", \"reason\": \"...\"}: %w", name, err)
	}
	return slices.DeleteFunc(out, func(w app.ReviewWord) bool { return w.Decision == "" }), nil
}

// readSheet reads a worklist that was filled in. Rows without a decision are left undecided. What a row says of its item has to
// be so: a sheet that was sorted by half decides something else.
func readSheet(name, text string, f app.ReviewFile) ([]app.ReviewWord, error) {
	r := csv.NewReader(strings.NewReader(text))
	if head, _, _ := strings.Cut(text, "\n"); !strings.Contains(head, ",") && strings.Contains(head, ";") {
		r.Comma = ';' // as spreadsheets write it in half of Europe
	}
	r.FieldsPerRecord = -1
	head, err := r.Read()
	if err != nil {
		return nil, fmt.Errorf("%s: it has no heading: %w", name, err)
	}
	at := map[string]int{}
	for i, h := range head {
		h = strings.ToLower(strings.TrimSpace(h))
		if _, twice := at[h]; twice {
			return nil, fmt.Errorf("%s:1: the column %q is there twice", name, h)
		}
		at[h] = i
	}
	for _, need := range []string{"item", "decision"} {
		if _, ok := at[need]; !ok {
			near := ""
			if n := spell.Nearest(need, head); n != "" {
				near = fmt.Sprintf(" (is it %q?)", n)
			}
			return nil, fmt.Errorf("%s:1: the column %q is missing%s", name, need, near)
		}
	}
	var out []app.ReviewWord
	var faults []error
	for {
		row, err := r.Read()
		if errors.Is(err, io.EOF) {
			return out, errors.Join(faults...)
		}
		if err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		line, _ := r.FieldPos(0)
		place := fmt.Sprintf("%s:%d", name, line)
		cell := func(column string) string {
			if i, ok := at[column]; ok && i < len(row) {
				return strings.TrimSpace(row[i])
			}
			return ""
		}
		if cell("decision") == "" {
			continue
		}
		n, err := strconv.ParseInt(cell("item"), 10, 64)
		if err != nil || n < 1 || n > int64(len(f.List)) {
			faults = append(faults, fmt.Errorf("%s: %q is no number of an item of this review", place, cell("item")))
			continue
		}
		for column, want := range itemCells(f, f.List[n-1]) {
			if got := cell(column); got != "" && got != strings.TrimSpace(guardFormulas([]string{want})[0]) && got != strings.TrimSpace(want) {
				faults = append(faults, fmt.Errorf("%s: item %d has the %s %q, and the row says %q: the rows were mixed up, or it is the sheet of another review", place, n, column, want, got))
			}
		}
		out = append(out, app.ReviewWord{Item: n, Decision: cell("decision"), Reason: strings.TrimPrefix(cell("reason"), "'"), To: cell("to"), Place: place})
	}
}

// itemCells are the columns that say what an item is about.
func itemCells(f app.ReviewFile, it review.Item) map[string]string {
	return map[string]string{"review": f.ID, "source": it.Source, "account id": it.Account, "entitlement id": it.Entitlement}
}

package cli

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/lapse-audit/lapse/internal/app"
	"github.com/lapse-audit/lapse/internal/review"
	"github.com/lapse-audit/lapse/internal/state"
)

func newReviewShow(g *global) *cobra.Command {
	o := reviewShowOptions{global: g}
	cmd := &cobra.Command{
		Use:   "show NAME",
		Short: "List the items of a review, or what waits for a reviewer",
		Long: `List the items of a review, the hard ones first. With --reviewer it is what waits for one: as CSV to be filled in and given to
'lapse review decide --file', or as an HTML page to read and print.`,
		Args:        cobra.ExactArgs(1),
		Annotations: formats("table", "json", "csv", "html"),
		RunE: withState(g, func(cmd *cobra.Command, args []string, a *app.App, _ *state.State) error {
			return o.run(cmd.Context(), a, args[0])
		}),
	}
	f := cmd.Flags()
	f.StringVar(&o.reviewer, "reviewer", "", "what waits for this person or role: key, address or user name; security for the security team")
	f.StringSliceVar(&o.status, "status", nil, "items that are open, approved, revoked, settled or escalated")
	f.BoolVar(&o.hard, "hard", false, "only the hard ones")
	f.IntVar(&o.limit, "limit", 0, "so many at most; how many more there are is said")
	return cmd
}

type reviewShowOptions struct {
	*global
	reviewer string
	status   []string
	hard     bool
	limit    int
}

// itemJSON is an item with how it stands.
type itemJSON struct {
	review.Item
	review.Standing
}

func (o *reviewShowOptions) run(ctx context.Context, a *app.App, name string) error {
	known := []string{string(review.Open), string(review.Approved), string(review.Revoked), string(review.Settled), string(review.Escalated)}
	for _, s := range o.status {
		if !slices.Contains(known, s) {
			return usagef("--status %q: want %s", s, strings.Join(known, ", "))
		}
	}
	f, err := a.Review(ctx, name)
	if err != nil {
		return fmt.Errorf("review show: %w", err)
	}
	who := ""
	if o.reviewer != "" {
		if who, err = a.ReviewerID(ctx, o.reviewer); err != nil {
			return fmt.Errorf("review show: %w", err)
		}
	}
	var chosen []int64
	for _, it := range f.List {
		s, _ := f.Item(it.N)
		if who != "" && (!s.Waits() || s.Reviewer != who) || len(o.status) > 0 && !slices.Contains(o.status, string(s.Status)) || o.hard && len(it.Hard) == 0 {
			continue
		}
		chosen = append(chosen, it.N)
	}
	more := 0
	if o.limit > 0 && len(chosen) > o.limit {
		more = len(chosen) - o.limit
		chosen = chosen[:o.limit]
	}
	if o.format == "html" {
		r, err := a.ReviewReport(ctx, f, chosen, who)
		if err != nil {
			return fmt.Errorf("review show: %w", err)
		}
		return r.HTML(o.sys.Stdout)
	}
	l := o.list(f, chosen)
	if err := l.print(o.sys.Stdout, o.format, "Nothing waits."); err != nil {
		return err
	}
	if more > 0 {
		fmt.Fprintf(o.sys.Stderr, "%d more are not shown (--limit)\n", more)
	}
	return nil
}

func (o *reviewShowOptions) list(f app.ReviewFile, chosen []int64) list {
	l := list{columns: []string{"item", "account", "person", "source", "entitlement", "look closely", "suggested", "because", "status", "reviewer", "reason"}}
	if o.format == "csv" {
		l.columns = []string{"review", "item", "source", "account id", "account", "person", "department", "entitlement id", "entitlement", "path", "privileged", "last used",
			"look closely", "suggested", "because", "status", "reviewer", "decision", "reason", "to"}
	}
	for _, n := range chosen {
		it := f.List[n-1]
		s, _ := f.Item(n)
		hard, because := strings.Join(it.Hard, "; "), it.Said()
		if o.format != "csv" {
			status := string(s.Status)
			if s.By != "" {
				status += " by " + s.By
			}
			l.add(itemJSON{it, s}, strconv.FormatInt(n, 10), it.Holder(), it.PersonName, it.Source, it.Entitled(), hard, it.Suggested, because, status, s.Reviewer, s.Reason)
			continue
		}
		decision := ""
		if s.Decided() {
			decision = strings.TrimSuffix(string(s.Status), "d")
			if s.Status == review.Revoked {
				decision = review.Revoke
			}
		}
		l.add(nil, f.ID, strconv.FormatInt(n, 10), it.Source, it.Account, it.Holder(), it.PersonName, it.Department, it.Entitlement, it.Entitled(),
			strings.Join(it.Path, " > "), tristate(it.Privileged), lastUsed(it.Grant, f.RunTime), hard, it.Suggested, because, string(s.Status), s.Reviewer, decision, s.Reason, "")
	}
	return l
}

func tristate(b *bool) string {
	switch {
	case b == nil:
		return "not known"
	case *b:
		return "yes"
	}
	return "no"
}

// lastUsed is a day, or that nobody knows.
func lastUsed(g review.Grant, run time.Time) string {
	if g.UsedDays == nil {
		return "not known"
	}
	return run.AddDate(0, 0, -int(*g.UsedDays)).Format(time.DateOnly)
}

package app

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/lapse-audit/lapse/internal/finding"
	"github.com/lapse-audit/lapse/internal/notify"
	"github.com/lapse-audit/lapse/internal/review"
	"github.com/lapse-audit/lapse/internal/state"
	"github.com/lapse-audit/lapse/internal/store"
)

// notices are what people are to know beside findings and what was not queued before: items of reviews that wait for them, and
// exceptions that end soon. Where somebody could not be reached, the security team is told.
func (a *App) notices(ctx context.Context, decisions *state.State, owners *notify.Owners, n notify.Night) ([]notify.Letter, error) {
	all, err := a.reviewNotices(ctx, decisions, owners)
	if err != nil {
		return nil, err
	}
	ending, err := a.exceptionNotices(ctx, decisions, owners, n)
	if err != nil {
		return nil, err
	}
	var out []notify.Letter
	for _, m := range append(all, ending...) {
		m.Kind, m.Run, m.AsOf = notify.Notice, n.Run, n.Time
		queued, err := decisions.Outgoing(ctx, m.Key)
		if err == nil && queued.Status == state.OutboxFailed && m.To.ID() != notify.RoleSecurity {
			m.Lines = append([]string{fmt.Sprintf("This could not be brought to %s:", m.To.ID())}, m.Lines...)
			m.To = owners.Recipient(notify.RoleSecurity)
			m.Key = noticeKey(m.Key, notify.RoleSecurity)
			_, err = decisions.Outgoing(ctx, m.Key)
		}
		switch {
		case errors.Is(err, state.ErrNotFound):
			out = append(out, notify.Letter{Message: m})
		case err != nil:
			return nil, err
		}
	}
	return out, nil
}

// noticeKey is the same whenever a notice is drawn up: it is queued once.
func noticeKey(parts ...string) string {
	h := sha256.New()
	for _, p := range parts {
		fmt.Fprintf(h, "%q\n", p)
	}
	return "notice-" + hex.EncodeToString(h.Sum(nil)[:16])
}

// reviewNotices tell each reviewer what waits for them: when a review starts, on the days of notify.remind_days, and when it is
// due.
func (a *App) reviewNotices(ctx context.Context, decisions *state.State, owners *notify.Owners) ([]notify.Message, error) {
	all, err := a.Reviews(ctx)
	if err != nil {
		return nil, err
	}
	var out []notify.Message
	for _, r := range all {
		if r.At.After(a.Now()) || len(r.Waiting("")) == 0 {
			continue
		}
		f, err := readReview(ctx, decisions, r.Review)
		if err != nil {
			return nil, err
		}
		waiting := map[string][]int64{}
		for _, n := range f.Waiting("") {
			s, _ := f.Item(n)
			waiting[s.Reviewer] = append(waiting[s.Reviewer], n)
		}
		for _, who := range slices.Sorted(maps.Keys(waiting)) {
			out = append(out, a.reviewNotice(owners, f, who, waiting[who], a.round(f)))
		}
	}
	return out, nil
}

// round is how often somebody was to be told of a review by now.
func (a *App) round(f ReviewFile) string {
	if !f.Closed.IsZero() {
		return "closed"
	}
	n := 0
	for _, days := range a.Config.Notify.RemindDays {
		if !a.Now().Before(f.At.AddDate(0, 0, days)) {
			n++
		}
	}
	switch {
	case a.Now().After(f.Due):
		return "overdue"
	case n > 0 && a.Now().After(f.Due.AddDate(0, 0, -1)):
		return "due"
	}
	return fmt.Sprint(n)
}

// reviewNotice shows the hard ones; of the rest it says how many there are and how to see them.
func (a *App) reviewNotice(owners *notify.Owners, f ReviewFile, who string, items []int64, round string) notify.Message {
	m := notify.Message{Key: noticeKey("review", f.ID, who, round), To: owners.Recipient(who), Title: "Access waits for your review"}
	asks := fmt.Sprintf("Review %s asks you about %s", f.ID, countItems(len(items)))
	due := f.Due.In(a.Config.Location).Format("2006-01-02 15:04 MST")
	say := func(format string, args ...any) { m.Lines = append(m.Lines, fmt.Sprintf(format, args...)) }
	switch round {
	case "closed":
		m.Title = "Access that nobody reviewed in time"
		say("%s that nobody decided before it was closed. What is neither approved nor taken away stays as it is.", asks)
	case "overdue":
		say("%s, and was due %s. What you don't decide goes to the security team when it is closed.", asks, due)
	case "0":
		say("%s, by %s. What you don't decide goes to the security team.", asks, due)
	default:
		m.Title = "Reminder: access waits for your review"
		say("%s, by %s. What you don't decide goes to the security team.", asks, due)
	}
	suggested := map[string]int{}
	shown := 0
	for _, n := range items {
		it := f.List[n-1]
		suggested[it.Suggested]++
		if len(it.Hard) > 0 && shown < a.Config.Review.HardInMail {
			shown++
			say("- item %d: %s holds %s in %s: %s", n, whose(it), it.Entitled(), it.SourceName, strings.Join(it.Hard, "; "))
		}
	}
	if rest := len(items) - shown; rest > 0 {
		say("%d more are not shown here.", rest)
	}
	say("Suggested: %d to revoke, %d to approve; of %d the evidence says nothing.", suggested[review.Revoke], suggested[review.Approve], suggested[""])
	say("See them all, with what speaks for and against: lapse review show %s --reviewer %s", f.ID, who)
	return m
}

func countItems(n int) string {
	if n == 1 {
		return "1 grant"
	}
	return fmt.Sprintf("%d grants", n)
}

func whose(it review.Item) string {
	if it.PersonName != "" && it.PersonName != it.Holder() {
		return fmt.Sprintf("%s (%s)", it.PersonName, it.Holder())
	}
	return it.Holder()
}

// exceptionNotices tell who granted an exception, and who is asked about what it covers, that it ends soon: once each.
func (a *App) exceptionNotices(ctx context.Context, decisions *state.State, owners *notify.Owners, n notify.Night) ([]notify.Message, error) {
	before := time.Duration(a.Config.Notify.ExceptionDays) * 24 * time.Hour
	if before == 0 {
		return nil, nil
	}
	all, err := decisions.Exceptions(ctx, a.Now(), state.ExceptionFilter{})
	if err != nil {
		return nil, err
	}
	ending := slices.DeleteFunc(all, func(e state.Exception) bool { return e.Expires.Sub(a.Now()) > before })
	if len(ending) == 0 {
		return nil, nil
	}
	covered, err := a.covered(ctx, store.RunInfo{ID: n.Run, Time: n.Time})
	if err != nil {
		return nil, err
	}
	var out []notify.Message
	for _, e := range ending {
		tell := map[string]string{}
		by := owners.People.Find(e.By)
		if reason := owners.MayReview(by, notify.Held{}); by == "" || reason != "" {
			tell[notify.RoleSecurity] = fmt.Sprintf("%s granted it, and can't be told", e.By)
		} else {
			tell[by] = "you granted it"
		}
		for _, f := range covered[e.ID] {
			to := owners.Of(f.Finding, f.Case, nil).To.ID()
			if _, told := tell[to]; !told {
				tell[to] = "you are asked about what it covers"
			}
		}
		for _, to := range slices.Sorted(maps.Keys(tell)) {
			out = append(out, notify.Message{
				Key: noticeKey("exception", e.ID, e.Expires.Format(time.RFC3339), to), To: owners.Recipient(to), Title: "An exception ends soon",
				Lines: []string{
					fmt.Sprintf("%s accepts %s until %s: %s", e.ID, e.Scope, e.Expires.In(a.Config.Location).Format("2006-01-02 15:04 MST"), e.Reason),
					fmt.Sprintf("You are told because %s. It covers %d findings now, which stand open again then.", tell[to], len(covered[e.ID])),
					"To let it end, do nothing. To accept it for longer, end it and accept it anew: lapse except revoke " + e.ID,
				},
			})
		}
	}
	return out, nil
}

// covered are the findings of a run that stand but for an exception, by its id, with what has to be known to say who is asked.
func (a *App) covered(ctx context.Context, run store.RunInfo) (map[string][]notify.Open, error) {
	pack, err := a.Pack()
	if err != nil {
		return nil, err
	}
	all, err := a.Findings(ctx, FindingQuery{Run: run.ID, Statuses: []finding.Status{finding.Excepted}})
	if err != nil {
		return nil, err
	}
	var list []notify.Open
	for f, err := range all {
		if err != nil {
			return nil, err
		}
		assignee := pack.Assignee(f.Policy, f.Subject.Source)
		if assignee == "" {
			assignee = f.Assignee
		}
		list = append(list, notify.Open{Finding: f, Case: notify.Case{Assignee: assignee}})
	}
	if err := a.cases(ctx, run, list); err != nil {
		return nil, err
	}
	out := map[string][]notify.Open{}
	for _, f := range list {
		out[f.Finding.ExceptionID] = append(out[f.Finding.ExceptionID], f)
	}
	return out, nil
}

// Reaches says whether lapse.yaml sets a channel up at all.
func (a *App) Reaches() bool {
	c := a.Config.Notify
	return c.Slack != nil || c.Webhook.URL != "" || c.Text.Dir != ""
}

package app

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"
	"strings"
	"time"

	"github.com/lapse-audit/lapse/internal/finding"
	"github.com/lapse-audit/lapse/internal/state"
	"github.com/lapse-audit/lapse/internal/store"
)

// FindingQuery chooses findings of one run.
type FindingQuery struct {
	Run         uint64 // 0: the last one
	Policies    []string
	Sources     []string
	Statuses    []finding.Status // Excepted among them; nil for all
	MinSeverity finding.Severity
	Person      string
	Department  string
	Backlog     bool // only the backlog
	Fingerprint string
}

// run finds the run that is meant.
func (a *App) run(ctx context.Context, id uint64) (store.RunInfo, error) {
	s, err := a.Store(ctx)
	if err != nil {
		return store.RunInfo{}, err
	}
	if id != 0 {
		r, err := s.RunByID(ctx, id)
		if errors.Is(err, store.ErrNotFound) {
			return r, fmt.Errorf("there is no run %d: `lapse report list` has them", id)
		}
		if err != nil {
			return r, err
		}
		kept, err := s.Kept(ctx, id)
		if err == nil && !kept {
			err = fmt.Errorf("run %d of %s is no longer kept: only its numbers and what it closed are (see retention in %s)", id, r.Time.Format("2006-01-02"), a.Config.File)
		}
		return r, err
	}
	r, err := s.LatestRun(ctx, time.Time{})
	if errors.Is(err, store.ErrNotFound) {
		return r, errors.New("nothing was scanned yet: run `lapse scan`")
	}
	return r, err
}

// Findings yields what q chooses, the worst first. Exceptions are laid over it as they stand now (or at --at).
func (a *App) Findings(ctx context.Context, q FindingQuery) (iter.Seq2[finding.Finding, error], error) {
	run, err := a.run(ctx, q.Run)
	if err != nil {
		return nil, err
	}
	return a.findingsOf(ctx, run, q)
}

// findingsOf is Findings of a run that is known, whatever q says of it.
func (a *App) findingsOf(ctx context.Context, run store.RunInfo, q FindingQuery) (iter.Seq2[finding.Finding, error], error) {
	s, err := a.Store(ctx)
	if err != nil {
		return nil, err
	}
	accepted, ended, err := a.matchers(ctx)
	if err != nil {
		return nil, err
	}
	f := store.FindingFilter{Policies: q.Policies, Sources: q.Sources, MinSeverity: q.MinSeverity, Fingerprint: q.Fingerprint}
	if q.Person != "" {
		f.Persons = []string{q.Person}
	}
	if q.Department != "" {
		f.Departments = []string{q.Department}
	}
	if q.Backlog {
		f.Backlog = &q.Backlog
	}
	for _, status := range q.Statuses {
		if status == finding.Excepted { // stored as open
			status = finding.Open
		}
		if !slices.Contains(f.Statuses, status) {
			f.Statuses = append(f.Statuses, status)
		}
	}
	return func(yield func(finding.Finding, error) bool) {
		for f, err := range s.Findings(ctx, run.ID, f) {
			if err != nil {
				yield(f, err)
				return
			}
			overlay(accepted, &f)
			if e, was := ended.Match(matched(f)); was && f.Status == finding.Open {
				f.ExceptionEnded = e.EndedBy(a.Config.Location)
			}
			if len(q.Statuses) > 0 && !slices.Contains(q.Statuses, f.Status) {
				continue
			}
			if !yield(f, nil) {
				return
			}
		}
	}, nil
}

// matcher knows the exceptions as they stand now.
func (a *App) matcher(ctx context.Context) (*state.Matcher, error) {
	accepted, _, err := a.matchers(ctx)
	return accepted, err
}

// matchers know the exceptions as they stand now, and those that have ended.
func (a *App) matchers(ctx context.Context) (accepted, ended *state.Matcher, err error) {
	decisions, err := a.State(ctx)
	if err != nil {
		return nil, nil, err
	}
	all, err := decisions.Exceptions(ctx, a.Now(), state.ExceptionFilter{All: true})
	if err != nil {
		return nil, nil, err
	}
	return state.NewMatcher(all, a.Now()), state.NewEndedMatcher(all, a.Now()), nil
}

// overlay marks an open finding that an exception covers.
func overlay(accepted *state.Matcher, f *finding.Finding) {
	if f.Status != finding.Open {
		return
	}
	if e, ok := accepted.Match(matched(*f)); ok {
		f.Status, f.ExceptionID = finding.Excepted, e.ID
	}
}

// matched is what an exception goes by.
func matched(f finding.Finding) state.Subject {
	return state.Subject{Fingerprint: string(f.Fingerprint), Policy: f.Policy, Kind: string(f.Subject.Kind), Source: f.Subject.Source, ID: f.Subject.ID,
		Department: f.Department}
}

// Finding is the one of the last run whose fingerprint begins so.
func (a *App) Finding(ctx context.Context, prefix string) (finding.Finding, error) {
	prefix = strings.ToLower(prefix)
	if strings.Trim(prefix, "0123456789abcdef") != "" || len(prefix) < 4 || len(prefix) > 64 {
		return finding.Finding{}, fmt.Errorf("finding %q: want the first letters of a fingerprint, at least 4, as `lapse findings list` prints it", prefix)
	}
	all, err := a.Findings(ctx, FindingQuery{Fingerprint: prefix})
	if err != nil {
		return finding.Finding{}, err
	}
	var found []finding.Finding
	for f, err := range all {
		if err != nil {
			return f, err
		}
		found = append(found, f)
	}
	switch len(found) {
	case 0:
		return finding.Finding{}, fmt.Errorf("finding %s: the last run has none that begins so", prefix)
	case 1:
		return found[0], nil
	}
	return finding.Finding{}, fmt.Errorf("finding %s: %d begin so: give more letters", prefix, len(found))
}

// Standing counts the open findings of a severity or above, without the backlog and the excepted ones: what --fail-on asks.
func (a *App) Standing(ctx context.Context, run uint64, least finding.Severity) (n int, err error) {
	all, err := a.Findings(ctx, FindingQuery{Run: run, Statuses: []finding.Status{finding.Open}, MinSeverity: least})
	if err != nil {
		return 0, err
	}
	for f, err := range all {
		if err != nil {
			return 0, err
		}
		if !f.Backlog {
			n++
		}
	}
	return n, nil
}

// CheckRefs makes sure that an account and a person are in the last snapshots: a link to a mistyped id would do nothing.
func (a *App) CheckRefs(ctx context.Context, account, person state.Ref) error {
	s, err := a.Store(ctx)
	if err != nil {
		return err
	}
	snap, err := s.LatestAccepted(ctx, account.Source, farFuture)
	if errors.Is(err, store.ErrNotFound) {
		return fmt.Errorf("there is no snapshot of %q%s", account.Source, a.nearSource(account.Source))
	}
	if err != nil {
		return err
	}
	found := false
	for acc, err := range s.Accounts(ctx, account.Source, snap.ID) {
		if err != nil {
			return err
		}
		if found = acc.ID == account.ID; found {
			break
		}
	}
	if !found {
		return fmt.Errorf("%s has no account %q: name it by its id", account.Source, account.ID)
	}
	if person == (state.Ref{}) {
		return nil
	}
	snap, err = s.LatestAccepted(ctx, person.Source, farFuture)
	if errors.Is(err, store.ErrNotFound) {
		return fmt.Errorf("there is no snapshot of %q%s", person.Source, a.nearSource(person.Source))
	}
	if err != nil {
		return err
	}
	for p, err := range s.People(ctx, person.Source, snap.ID) {
		if err != nil {
			return err
		}
		if p.ID == person.ID {
			return nil
		}
	}
	return fmt.Errorf("%s has no person %q: name them by their id", person.Source, person.ID)
}

// farFuture is after every snapshot.
var farFuture = time.Date(2200, 1, 1, 0, 0, 0, 0, time.UTC)

package app

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/lapse-audit/lapse/internal/access"
	"github.com/lapse-audit/lapse/internal/finding"
	"github.com/lapse-audit/lapse/internal/remediate"
	"github.com/lapse-audit/lapse/internal/state"
	"github.com/lapse-audit/lapse/internal/store"
)

// MaxExtension is how long somebody's access may outlive their end.
const MaxExtension = 30 * 24 * time.Hour

// leaverRules are the beginnings of the ids of the policies that an extension quiets.
const leaverRules = "LVR-"

// Extend lets a person who leaves keep their accounts until a time, by exceptions from the leavers' rules. They expire by
// themselves, are in every report, and hold an offboarding up.
func (a *App) Extend(ctx context.Context, actor state.Actor, who string, until time.Time, reason, ticket string) ([]state.Exception, error) {
	switch limit := a.Now().Add(MaxExtension); {
	case strings.TrimSpace(ticket) == "":
		return nil, errors.New("an extension needs a ticket: --ticket")
	case until.After(limit):
		return nil, fmt.Errorf("until %s is too long: at most 30 days, which is %s", until.Format(time.DateOnly), limit.Format(time.DateOnly))
	case !until.After(a.Now()):
		return nil, fmt.Errorf("until %s is over", until.Format(time.DateOnly))
	}
	run, err := a.run(ctx, 0)
	if err != nil {
		return nil, err
	}
	person, err := a.Person(ctx, who)
	if err != nil {
		return nil, err
	}
	links, err := a.store.LinksOf(ctx, run.ID, person.Key)
	if err != nil {
		return nil, err
	}
	if len(links) == 0 {
		return nil, fmt.Errorf("%s has no account that is known to be theirs", person.Key)
	}
	pack, err := a.Pack()
	if err != nil {
		return nil, err
	}
	decisions, err := a.State(ctx)
	if err != nil {
		return nil, err
	}
	var out []state.Exception
	for _, p := range pack.Policies() {
		if !strings.HasPrefix(p.ID, leaverRules) || p.Subject != access.SubjectAccount || !p.Enabled {
			continue
		}
		for _, l := range links {
			e := state.Exception{Reason: "extended: " + reason, Ticket: ticket, Expires: until,
				Scope: state.Scope{Policy: p.ID, SubjectKind: string(access.SubjectAccount), Source: l.Source, SubjectID: l.AccountID}}
			if e, err = decisions.AddException(ctx, actor, e); err != nil {
				return out, err
			}
			out = append(out, e)
		}
	}
	return out, nil
}

// extended is the exception by which an account may outlive its person's end, "" if there is none.
func extended(accepted *state.Matcher, source, account string) string {
	e, ok := accepted.Match(state.Subject{Policy: leaverRules + "01", Kind: string(access.SubjectAccount), Source: source, ID: account})
	if !ok {
		return ""
	}
	return e.ID
}

// transferRules find what somebody holds and their colleagues don't.
var transferRules = []string{"MOV-01", "PEER-01"}

// Transfer plans what a person's new role no longer needs. The rules that say so are asked whether they are enabled or not.
func (a *App) Transfer(ctx context.Context, actor state.Actor, who, reason string, dry bool) (Drafted, error) {
	run, err := a.run(ctx, 0)
	if err != nil {
		return Drafted{}, err
	}
	person, err := a.Person(ctx, who)
	if err != nil {
		return Drafted{}, err
	}
	pack, err := a.Pack()
	if err != nil {
		return Drafted{}, err
	}
	var found []finding.Finding
	err = a.rejudging(ctx, "lapse transfer", func(ctx context.Context, s *store.Store) error {
		again := a.rejudgingBy(s, pack, transferRules)
		defer again.Close(ctx)
		judged, err := again.Run(ctx, run.ID)
		if err != nil {
			return err
		}
		for _, id := range transferRules {
			if err := judged.Failures[id]; err != nil {
				return fmt.Errorf("%s: %w", id, err)
			}
		}
		for _, r := range judged.Results {
			if r.Person != person.Key || r.ExcludedBy != "" {
				continue
			}
			f := finding.Finding{Fingerprint: r.Fingerprint, Hit: r.Hit, Severity: r.Severity, Title: r.Title, Action: r.Action, Name: r.Name, Person: r.Person,
				PersonName: r.PersonName, Department: r.Department, Assignee: r.Assignee, Status: finding.Open, FirstSeen: run.Time, LastSeen: run.Time}
			found = append(found, f)
		}
		return nil
	})
	if err != nil {
		return Drafted{}, err
	}
	p := remediate.Plan{Kind: remediate.KindTransfer, Query: "transfer " + person.Key, Reason: reason, Person: person.Key, PersonName: person.Name}
	return a.draft(ctx, actor, run, p, found, dry)
}

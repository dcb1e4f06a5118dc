package state

import (
	"cmp"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
)

// Ref names a record by the uid of its source and its immutable id there.
type Ref struct {
	Source string `json:"source"`
	ID     string `json:"id"`
}

func (r Ref) String() string { return r.Source + ":" + r.ID }

func (r Ref) compare(o Ref) int {
	return cmp.Or(strings.Compare(r.Source, o.Source), strings.Compare(r.ID, o.ID))
}

func (r Ref) validate(what string) error {
	return errors.Join(text(what+"'s source", r.Source, 1, maxID), text(what+"'s id", r.ID, 1, maxID))
}

// Verdict is what a manual link says about an account.
type Verdict string

const (
	Is     Verdict = "is"     // the account is this person's
	IsNot  Verdict = "is_not" // the account is not this person's, whatever matches
	Nobody Verdict = "nobody" // the account is no person's
)

// Link is a person's decision about whose an account is.
type Link struct {
	ID           string    `json:"id"`
	Verdict      Verdict   `json:"verdict"`
	Account      Ref       `json:"account"`
	Person       Ref       `json:"person,omitzero"` // Source is the roster; zero for [Nobody]
	Reason       string    `json:"reason"`
	By           string    `json:"by"`
	At           time.Time `json:"at"`
	Removed      time.Time `json:"removed,omitzero"`
	RemovedBy    string    `json:"removed_by,omitempty"`
	RemoveReason string    `json:"remove_reason,omitempty"`
}

func (l Link) validate() error {
	err := errors.Join(l.Account.validate("account"), text("reason", l.Reason, 1, maxReason))
	switch l.Verdict {
	case Is, IsNot:
		err = errors.Join(err, l.Person.validate("person"))
	case Nobody:
		if l.Person != (Ref{}) {
			err = errors.Join(err, errors.New("an account that is nobody's can't name a person"))
		}
	default:
		err = errors.Join(err, fmt.Errorf("the verdict %q is none of is, is_not, nobody", l.Verdict))
	}
	return err
}

// against tells whether two standing links can't both be true, or say the same.
func (l Link) against(o Link) bool {
	switch {
	case l.Verdict == IsNot && o.Verdict == IsNot:
		return l.Person == o.Person
	case l.Verdict == IsNot && o.Verdict == Is, l.Verdict == Is && o.Verdict == IsNot:
		return l.Person == o.Person
	case l.Verdict == IsNot, o.Verdict == IsNot:
		return false // nobody's, and in particular not this person's
	}
	return true
}

// AddLink records whose an account is; of l it takes the verdict, the account,
// the person and the reason. A standing link that says the same or contradicts it
// is an [ErrExists]: remove that one first.
func (s *State) AddLink(ctx context.Context, actor Actor, l Link) (Link, error) {
	err := s.decide(ctx, "link account "+l.Account.String(), actor, func(d *decision) error {
		if err := l.validate(); err != nil {
			return err
		}
		standing, err := rows(d, scanLink, selectLinks+" WHERE account_source = $1 AND account_id = $2 AND removed_at IS NULL", l.Account.Source, l.Account.ID)
		if err != nil {
			return err
		}
		for _, o := range standing {
			if l.against(o) {
				return fmt.Errorf("%w by %s on %s: %s %s (%s)", ErrExists, o.By, o.At.Format(time.DateOnly), o.Verdict, o.Person, o.ID)
			}
		}
		l = Link{ID: newID("ln"), Verdict: l.Verdict, Account: l.Account, Person: l.Person, Reason: l.Reason, By: d.actor.ID, At: d.at}
		err = d.exec(`INSERT INTO links (id, verdict, account_source, account_id, person_roster, person_id, reason, decided_by, decided_at, removed_at, removed_by, remove_reason)
			VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, NULL, '', '')`,
			l.ID, string(l.Verdict), l.Account.Source, l.Account.ID, l.Person.Source, l.Person.ID, l.Reason, l.By, stamp(l.At))
		if err != nil {
			return err
		}
		return d.append(KindLinkAdded, l)
	})
	if err != nil {
		return Link{}, err
	}
	return l, nil
}

// RemoveLink takes a standing link back; any other id is an [ErrNotFound].
func (s *State) RemoveLink(ctx context.Context, actor Actor, id, reason string) (Link, error) {
	var l Link
	err := s.decide(ctx, "remove link "+id, actor, func(d *decision) error {
		if err := text("reason", reason, 1, maxReason); err != nil {
			return err
		}
		found, err := rows(d, scanLink, selectLinks+" WHERE id = $1 AND removed_at IS NULL", id)
		if err != nil {
			return err
		}
		if len(found) == 0 {
			return ErrNotFound
		}
		l = found[0]
		l.Removed, l.RemovedBy, l.RemoveReason = d.at, d.actor.ID, reason
		err = d.exec("UPDATE links SET removed_at = $1, removed_by = $2, remove_reason = $3 WHERE id = $4", stamp(l.Removed), l.RemovedBy, l.RemoveReason, l.ID)
		if err != nil {
			return err
		}
		return d.append(KindLinkRemoved, l)
	})
	if err != nil {
		return Link{}, err
	}
	return l, nil
}

// LinkFilter narrows a list of links; empty fields match everything.
type LinkFilter struct {
	Account, Person Ref  // either part may be empty
	All             bool // removed ones too
}

// Links lists the standing links, sorted by account, verdict and person.
func (s *State) Links(ctx context.Context, f LinkFilter) ([]Link, error) {
	all, err := query(ctx, s, scanLink, selectLinks)
	if err != nil {
		return nil, fmt.Errorf("list links in %s: %w", s.name, err)
	}
	is := func(want, have Ref) bool {
		return (want.Source == "" || want.Source == have.Source) && (want.ID == "" || want.ID == have.ID)
	}
	out := slices.DeleteFunc(all, func(l Link) bool {
		return !is(f.Account, l.Account) || !is(f.Person, l.Person) || (!f.All && !l.Removed.IsZero())
	})
	slices.SortFunc(out, func(a, b Link) int {
		return cmp.Or(a.Account.compare(b.Account), strings.Compare(string(a.Verdict), string(b.Verdict)), a.Person.compare(b.Person), a.At.Compare(b.At), strings.Compare(a.ID, b.ID))
	})
	return out, nil
}

const selectLinks = `SELECT id, verdict, account_source, account_id, person_roster, person_id, reason, decided_by, decided_at,
	removed_at, removed_by, remove_reason FROM links`

func scanLink(r *sql.Rows) (Link, error) {
	var l Link
	var at int64
	var removed sql.NullInt64
	err := r.Scan(&l.ID, &l.Verdict, &l.Account.Source, &l.Account.ID, &l.Person.Source, &l.Person.ID, &l.Reason, &l.By, &at,
		&removed, &l.RemovedBy, &l.RemoveReason)
	l.At, l.Removed = timeOf(at), timeOrZero(removed)
	return l, err
}

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

	"github.com/lapse-audit/lapse/internal/fold"
)

// Exception is a finding, or a group of them, accepted on purpose until a day.
type Exception struct {
	ID           string    `json:"id"`
	Scope        Scope     `json:"scope"`
	Reason       string    `json:"reason"`
	By           string    `json:"by"` // who accepts it: a person's id
	Ticket       string    `json:"ticket,omitempty"`
	Created      time.Time `json:"created"` // it applies from here…
	Expires      time.Time `json:"expires"` // …to before here
	Revoked      time.Time `json:"revoked,omitzero"`
	RevokedBy    string    `json:"revoked_by,omitempty"`
	RevokeReason string    `json:"revoke_reason,omitempty"`
}

// ExceptionStatus is how an exception stands at some time.
type ExceptionStatus string

const (
	Pending ExceptionStatus = "pending" // created later
	Active  ExceptionStatus = "active"
	Expired ExceptionStatus = "expired"
	Revoked ExceptionStatus = "revoked"
)

// Status is how the exception stands at the given time; only an active one applies.
func (e Exception) Status(at time.Time) ExceptionStatus {
	switch {
	case at.Before(e.Created):
		return Pending
	case !e.Revoked.IsZero() && !at.Before(e.Revoked):
		return Revoked
	case !at.Before(e.Expires):
		return Expired
	}
	return Active
}

// ExceptionFilter narrows a list; empty fields match everything.
type ExceptionFilter struct {
	ID, Fingerprint, Policy, Source, SubjectID, Department, By string
	// All lists pending, expired and revoked ones too.
	All bool
}

func (f ExceptionFilter) match(e Exception) bool {
	is := func(want, have string) bool { return want == "" || want == have }
	return is(f.ID, e.ID) && is(f.Fingerprint, e.Scope.Fingerprint) && is(f.Policy, e.Scope.Policy) && is(f.Source, e.Scope.Source) &&
		is(f.SubjectID, e.Scope.SubjectID) && is(fold.Text(f.Department), fold.Text(e.Scope.Department)) && is(f.By, e.By)
}

// AddException records an exception and returns it with its id. By is the actor
// and Created is now unless they are set; Created can't be in the future. A live
// exception with the same scope is an [ErrExists]: revoke it first.
func (s *State) AddException(ctx context.Context, actor Actor, e Exception) (Exception, error) {
	err := s.decide(ctx, "add exception", actor, func(d *decision) (err error) {
		e, err = s.addException(d, e)
		return err
	})
	if err != nil {
		return Exception{}, err
	}
	return e, nil
}

func (s *State) addException(d *decision, e Exception) (Exception, error) {
	e = s.completed(d, e)
	if err := s.validException(e, d.at); err != nil {
		return e, err
	}
	live, err := liveException(d, e.Scope)
	if err != nil {
		return e, err
	}
	if live != nil {
		return e, fmt.Errorf("%s: %w by %s until %s (%s)", e.Scope, ErrExists, live.By, live.Expires.Format(time.RFC3339), live.ID)
	}
	return e, insertException(d, e)
}

// completed fills in what the caller left out.
func (s *State) completed(d *decision, e Exception) Exception {
	if e.ID == "" {
		e.ID = newID("ex")
	}
	if e.By == "" {
		e.By = d.actor.ID
	}
	if e.Created.IsZero() {
		e.Created = d.at
	}
	e.Created, e.Expires = micros(e.Created), micros(e.Expires)
	e.Revoked, e.RevokedBy, e.RevokeReason = time.Time{}, "", ""
	return e
}

func (s *State) validException(e Exception, now time.Time) error {
	err := errors.Join(
		e.Scope.validate(),
		text("id", e.ID, 1, 100),
		text("reason", e.Reason, 1, maxReason),
		text("person who accepts it", e.By, 1, maxID),
		text("ticket", e.Ticket, 0, maxID))
	switch {
	case err != nil:
		return err
	case e.Expires.IsZero():
		return errors.New("the expiry is missing: an exception has to end")
	case e.Created.After(now):
		return fmt.Errorf("created on %s, which is in the future", e.Created.Format(time.RFC3339))
	case !e.Expires.After(now) || !e.Expires.After(e.Created):
		return fmt.Errorf("it expires on %s, which is past", e.Expires.Format(time.RFC3339))
	case e.Expires.Sub(now) > s.maxException:
		return fmt.Errorf("it expires on %s, more than %d days from now", e.Expires.Format(time.RFC3339), int(s.maxException.Hours()/24))
	}
	return nil
}

// liveException is the one exception with the scope that has neither expired nor
// been revoked, or nil.
func liveException(d *decision, scope Scope) (*Exception, error) {
	live, err := rows(d, scanException, selectExceptions+" WHERE scope = $1 AND revoked_at IS NULL AND expires_at > $2", scope.key(), stamp(d.at))
	if err != nil || len(live) == 0 {
		return nil, err
	}
	return &live[0], nil
}

func insertException(d *decision, e Exception) error {
	err := d.exec(`INSERT INTO exceptions (id, scope, fingerprint, policy, subject_kind, source, subject_id, department,
		reason, accepted_by, ticket, created_at, expires_at, revoked_at, revoked_by, revoke_reason)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, NULL, '', '')`,
		e.ID, e.Scope.key(), e.Scope.Fingerprint, e.Scope.Policy, e.Scope.SubjectKind, e.Scope.Source, e.Scope.SubjectID, e.Scope.Department,
		e.Reason, e.By, e.Ticket, stamp(e.Created), stamp(e.Expires))
	if err != nil {
		return err
	}
	return d.append(KindExceptionAdded, e)
}

// changeException replaces all but the id and the scope; the ledger keeps what was.
func changeException(d *decision, e Exception) error {
	err := d.exec(`UPDATE exceptions SET department = $1, reason = $2, accepted_by = $3, ticket = $4, created_at = $5, expires_at = $6 WHERE id = $7`,
		e.Scope.Department, e.Reason, e.By, e.Ticket, stamp(e.Created), stamp(e.Expires), e.ID)
	if err != nil {
		return err
	}
	return d.append(KindExceptionChanged, e)
}

// RevokeException ends an exception now. One that is revoked already, has expired
// or never was is an [ErrNotFound].
func (s *State) RevokeException(ctx context.Context, actor Actor, id, reason string) (Exception, error) {
	var e Exception
	err := s.decide(ctx, "revoke exception "+id, actor, func(d *decision) error {
		if err := text("reason", reason, 1, maxReason); err != nil {
			return err
		}
		found, err := rows(d, scanException, selectExceptions+" WHERE id = $1", id)
		if err != nil {
			return err
		}
		if len(found) == 0 {
			return ErrNotFound
		}
		e = found[0]
		if st := e.Status(d.at); st == Expired || !e.Revoked.IsZero() {
			return fmt.Errorf("%w among those in force: it is %s", ErrNotFound, st)
		}
		return revokeException(d, &e, reason)
	})
	if err != nil {
		return Exception{}, err
	}
	return e, nil
}

func revokeException(d *decision, e *Exception, reason string) error {
	e.Revoked, e.RevokedBy, e.RevokeReason = d.at, d.actor.ID, reason
	err := d.exec("UPDATE exceptions SET revoked_at = $1, revoked_by = $2, revoke_reason = $3 WHERE id = $4", stamp(e.Revoked), e.RevokedBy, e.RevokeReason, e.ID)
	if err != nil {
		return err
	}
	return d.append(KindExceptionRevoked, *e)
}

// Exceptions lists what is accepted at the given time, sorted by scope and then
// creation.
func (s *State) Exceptions(ctx context.Context, at time.Time, f ExceptionFilter) ([]Exception, error) {
	all, err := query(ctx, s, scanException, selectExceptions)
	if err != nil {
		return nil, fmt.Errorf("list exceptions in %s: %w", s.name, err)
	}
	out := slices.DeleteFunc(all, func(e Exception) bool {
		return !f.match(e) || (!f.All && e.Status(at) != Active)
	})
	sortExceptions(out)
	return out, nil
}

func sortExceptions(list []Exception) {
	slices.SortFunc(list, func(a, b Exception) int {
		x, y := a.Scope, b.Scope
		return cmp.Or(strings.Compare(x.Policy, y.Policy), strings.Compare(x.SubjectKind, y.SubjectKind), strings.Compare(x.Source, y.Source),
			strings.Compare(x.SubjectID, y.SubjectID), strings.Compare(x.Department, y.Department), strings.Compare(x.Fingerprint, y.Fingerprint),
			a.Created.Compare(b.Created), strings.Compare(a.ID, b.ID))
	})
}

const selectExceptions = `SELECT id, fingerprint, policy, subject_kind, source, subject_id, department,
	reason, accepted_by, ticket, created_at, expires_at, revoked_at, revoked_by, revoke_reason FROM exceptions`

func scanException(r *sql.Rows) (Exception, error) {
	var e Exception
	var created, expires int64
	var revoked sql.NullInt64
	err := r.Scan(&e.ID, &e.Scope.Fingerprint, &e.Scope.Policy, &e.Scope.SubjectKind, &e.Scope.Source, &e.Scope.SubjectID, &e.Scope.Department,
		&e.Reason, &e.By, &e.Ticket, &created, &expires, &revoked, &e.RevokedBy, &e.RevokeReason)
	e.Created, e.Expires, e.Revoked = timeOf(created), timeOf(expires), timeOrZero(revoked)
	return e, err
}

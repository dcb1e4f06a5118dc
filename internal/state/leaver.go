package state

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"time"
)

// LeaverStatus is how an HR system's word that somebody leaves stands.
type LeaverStatus string

// The statuses of a leaver.
const (
	LeaverPending LeaverStatus = "pending" // their offboarding is still to be planned
	LeaverUnknown LeaverStatus = "unknown" // nobody is called so yet: tried again when people were read anew
	LeaverCarried LeaverStatus = "carried" // there is a plan
)

// Leaver is a person of whom an HR system says that they leave. Only ids are in it: what else the event said is not kept.
type Leaver struct {
	ID       string       `json:"id"`     // ORIGIN/EVENT: the second time is the same event
	Origin   string       `json:"origin"` // which webhook
	Person   string       `json:"person"` // as the origin calls them
	On       time.Time    `json:"on,omitzero"`
	Hash     string       `json:"hash"` // SHA-256 of the body, in hexadecimal
	Received time.Time    `json:"received"`
	Status   LeaverStatus `json:"status"`
	Attempts int          `json:"attempts,omitempty"`
	Next     time.Time    `json:"next"`          // not to be tried before
	Run      uint64       `json:"run,omitempty"` // of the store, whose people were looked at last
	Plan     string       `json:"plan,omitempty"`
	Detail   string       `json:"detail,omitempty"`
}

// AddLeaver records what an HR system said, and whether that is new. The same event again changes nothing; the same id about
// somebody else is an [ErrExists].
func (s *State) AddLeaver(ctx context.Context, actor Actor, l Leaver) (standing Leaver, added bool, err error) {
	err = s.decide(ctx, "record leaver "+l.ID, actor, func(d *decision) error {
		if err := errors.Join(text("event's id", l.ID, 1, maxID), text("origin", l.Origin, 1, 100), text("person", l.Person, 1, maxID)); err != nil {
			return err
		}
		all, err := rows(d, scanLeaver, selectLeavers+" WHERE id = $1", l.ID)
		if err != nil {
			return err
		}
		if len(all) > 0 {
			if standing = all[0]; standing.Person != l.Person {
				return fmt.Errorf("%w: an event with this id is about somebody else", ErrExists)
			}
			return nil
		}
		l.Received, l.Status, l.Next = d.at, LeaverPending, d.at
		standing, added = l, true
		return d.putLeaver(KindLeaverReceived, l)
	})
	if err != nil {
		return Leaver{}, false, err
	}
	return standing, added, nil
}

// ChangeLeaver records how a leaver stands now: change is given what stands.
func (s *State) ChangeLeaver(ctx context.Context, actor Actor, id string, change func(*Leaver)) (Leaver, error) {
	var l Leaver
	err := s.decide(ctx, "record leaver "+id, actor, func(d *decision) error {
		all, err := rows(d, scanLeaver, selectLeavers+" WHERE id = $1", id)
		if err != nil {
			return err
		}
		if len(all) == 0 {
			return ErrNotFound
		}
		l = all[0]
		change(&l)
		l.ID = id
		kind := KindLeaverTried
		if l.Status == LeaverCarried {
			kind = KindLeaverCarried
		}
		return d.putLeaver(kind, l)
	})
	if err != nil {
		return Leaver{}, err
	}
	return l, nil
}

func (d *decision) putLeaver(kind string, l Leaver) error {
	l.On, l.Next = micros(l.On), micros(l.Next)
	record, err := canonical(l)
	if err != nil {
		return err
	}
	err = d.exec(`INSERT INTO leavers (id, status, next, record) VALUES ($1, $2, $3, $4)
		ON CONFLICT (id) DO UPDATE SET status = excluded.status, next = excluded.next, record = excluded.record`,
		l.ID, string(l.Status), stamp(l.Next), string(record))
	if err != nil {
		return err
	}
	return d.append(kind, l)
}

// Leavers lists those whose offboarding is still to be planned, with all also those for whom there is a plan. The one that
// is due first comes first.
func (s *State) Leavers(ctx context.Context, all bool) ([]Leaver, error) {
	list, err := query(ctx, s, scanLeaver, selectLeavers+" WHERE $1 = 1 OR status <> 'carried' ORDER BY next, id", flag(all))
	if err != nil {
		return nil, fmt.Errorf("list leavers in %s: %w", s.name, err)
	}
	return list, nil
}

const selectLeavers = "SELECT id, status, next, record FROM leavers"

func scanLeaver(r *sql.Rows) (l Leaver, err error) {
	var id, status, record string
	var next int64
	if err := r.Scan(&id, &status, &next, &record); err != nil {
		return l, err
	}
	if err := json.Unmarshal([]byte(record), &l); err != nil {
		return l, fmt.Errorf("leaver %s: %w", id, err)
	}
	// What is searched by counts: altered alone, it shows against the ledger.
	l.ID, l.Status, l.Next = id, LeaverStatus(status), timeOf(next)
	return l, nil
}

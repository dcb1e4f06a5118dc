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

// ShrinkLife is how long an accepted shrink waits for the snapshot it was meant
// for. One left over must not wave a broken export through months later.
const ShrinkLife = 7 * 24 * time.Hour

// Shrink is a person's word that a source really has become this small.
type Shrink struct {
	ID      string    `json:"id"`
	Source  string    `json:"source"`
	Records int64     `json:"records"` // covers a snapshot of at least so many
	Reason  string    `json:"reason"`
	By      string    `json:"by"`
	At      time.Time `json:"at"`
	Used    time.Time `json:"used,omitzero"`
	UsedFor int64     `json:"used_for,omitempty"` // records of the snapshot it let through
}

// AcceptShrink records that the next snapshot of a source may pass the
// completeness guard with as few as the given number of records.
func (s *State) AcceptShrink(ctx context.Context, actor Actor, source string, records int64, reason string) (Shrink, error) {
	var a Shrink
	err := s.decide(ctx, "accept the shrink of "+source, actor, func(d *decision) error {
		err := errors.Join(text("source", source, 1, maxID), text("reason", reason, 1, maxReason))
		if records < 0 {
			err = errors.Join(err, fmt.Errorf("%d is no number of records", records))
		}
		if err != nil {
			return err
		}
		a = Shrink{ID: newID("sh"), Source: source, Records: records, Reason: reason, By: d.actor.ID, At: d.at}
		err = d.exec(`INSERT INTO shrink_acceptances (id, source, records, reason, accepted_by, accepted_at) VALUES ($1, $2, $3, $4, $5, $6)`,
			a.ID, a.Source, a.Records, a.Reason, a.By, stamp(a.At))
		if err != nil {
			return err
		}
		return d.append(KindShrinkAccepted, a)
	})
	if err != nil {
		return Shrink{}, err
	}
	return a, nil
}

// UseShrink takes, once, an acceptance that covers a snapshot of the given size
// and is younger than [ShrinkLife]. There being none is an [ErrNotFound].
func (s *State) UseShrink(ctx context.Context, actor Actor, source string, records int64) (Shrink, error) {
	var a Shrink
	err := s.decide(ctx, "use an accepted shrink of "+source, actor, func(d *decision) error {
		open, err := rows(d, scanShrink, selectShrinks+" WHERE source = $1 AND used_at IS NULL AND records <= $2 AND accepted_at > $3",
			source, records, stamp(d.at.Add(-ShrinkLife)))
		if err != nil {
			return err
		}
		if len(open) == 0 {
			return ErrNotFound
		}
		sortShrinks(open)
		a = open[0]
		a.Used, a.UsedFor = d.at, records
		if err := d.exec("UPDATE shrink_acceptances SET used_at = $1, used_for = $2 WHERE id = $3", stamp(a.Used), a.UsedFor, a.ID); err != nil {
			return err
		}
		return d.append(KindShrinkUsed, a)
	})
	if err != nil {
		return Shrink{}, err
	}
	return a, nil
}

// Shrinks lists all acceptances, oldest first.
func (s *State) Shrinks(ctx context.Context) ([]Shrink, error) {
	all, err := query(ctx, s, scanShrink, selectShrinks)
	if err != nil {
		return nil, fmt.Errorf("list accepted shrinks in %s: %w", s.name, err)
	}
	sortShrinks(all)
	return all, nil
}

func sortShrinks(list []Shrink) {
	slices.SortFunc(list, func(a, b Shrink) int { return cmp.Or(a.At.Compare(b.At), strings.Compare(a.ID, b.ID)) })
}

const selectShrinks = "SELECT id, source, records, reason, accepted_by, accepted_at, used_at, used_for FROM shrink_acceptances"

func scanShrink(r *sql.Rows) (Shrink, error) {
	var a Shrink
	var at int64
	var used, usedFor sql.NullInt64
	err := r.Scan(&a.ID, &a.Source, &a.Records, &a.Reason, &a.By, &at, &used, &usedFor)
	a.At, a.Used, a.UsedFor = timeOf(at), timeOrZero(used), usedFor.Int64
	return a, err
}

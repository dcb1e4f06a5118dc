package state

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
)

// Join says that records in several rosters, or several records in one, are one
// and the same person.
type Join struct {
	ID      string    `json:"id"`      // the person's canonical key; an id, not a name
	Records []Ref     `json:"records"` // at least two, sorted; Source is the roster
	Reason  string    `json:"reason,omitempty"`
	By      string    `json:"by"`
	At      time.Time `json:"at"`
}

func (j Join) validate() error {
	err := errors.Join(text("id", j.ID, 1, 100), text("reason", j.Reason, 0, maxReason))
	if len(j.Records) < 2 {
		err = errors.Join(err, errors.New("joining takes at least two records"))
	}
	for i, r := range j.Records {
		err = errors.Join(err, r.validate("record"))
		if i > 0 && r == j.Records[i-1] {
			err = errors.Join(err, fmt.Errorf("record %s is listed twice", r))
		}
	}
	return err
}

// JoinPeople records that the records are one person. An empty id is made up. A
// record that is joined already, or a known id, is an [ErrExists].
func (s *State) JoinPeople(ctx context.Context, actor Actor, j Join) (Join, error) {
	err := s.decide(ctx, "join people", actor, func(d *decision) error {
		j = completedJoin(d, j)
		if err := j.validate(); err != nil {
			return err
		}
		joins, err := loadJoins(d.ctx, d.Tx)
		if err != nil {
			return err
		}
		if _, ok := joins[j.ID]; ok {
			return fmt.Errorf("%s: %w", j.ID, ErrExists)
		}
		for _, o := range joins {
			for _, r := range j.Records {
				if slices.Contains(o.Records, r) {
					return fmt.Errorf("record %s belongs to %s: %w", r, o.ID, ErrExists)
				}
			}
		}
		return insertJoin(d, j)
	})
	if err != nil {
		return Join{}, err
	}
	return j, nil
}

func completedJoin(d *decision, j Join) Join {
	if j.ID == "" {
		j.ID = newID("pp")
	}
	if j.By == "" {
		j.By = d.actor.ID
	}
	j.At = d.at
	j.Records = slices.SortedFunc(slices.Values(j.Records), Ref.compare)
	return j
}

func insertJoin(d *decision, j Join) error {
	if err := d.exec("INSERT INTO people (id, reason, decided_by, decided_at) VALUES ($1, $2, $3, $4)", j.ID, j.Reason, j.By, stamp(j.At)); err != nil {
		return err
	}
	for _, r := range j.Records {
		if err := d.exec("INSERT INTO people_records (roster, person_id, people_id) VALUES ($1, $2, $3)", r.Source, r.ID, j.ID); err != nil {
			return err
		}
	}
	return d.append(KindPeopleJoined, j)
}

// PartPeople undoes a join; an unknown id is an [ErrNotFound].
func (s *State) PartPeople(ctx context.Context, actor Actor, id, reason string) error {
	return s.decide(ctx, "part people "+id, actor, func(d *decision) error {
		if err := text("reason", reason, 1, maxReason); err != nil {
			return err
		}
		return partPeople(d, id, reason)
	})
}

func partPeople(d *decision, id, reason string) error {
	if err := dropJoin(d, id); err != nil {
		return err
	}
	return d.append(KindPeopleParted, map[string]string{"id": id, "reason": reason})
}

func dropJoin(d *decision, id string) error {
	res, err := d.ExecContext(d.ctx, "DELETE FROM people WHERE id = $1", id)
	if err != nil {
		return err
	}
	if n, err := res.RowsAffected(); err != nil || n == 0 {
		return errors.Join(ErrNotFound, err)
	}
	return nil
}

// Joins lists who is joined, sorted by id.
func (s *State) Joins(ctx context.Context) ([]Join, error) {
	var out []Join
	err := s.reading(ctx, func(tx *sql.Tx) error {
		joins, err := loadJoins(ctx, tx)
		for _, j := range joins {
			out = append(out, j)
		}
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("list joined people in %s: %w", s.name, s.explain(ctx, err))
	}
	sortJoins(out)
	return out, nil
}

func sortJoins(list []Join) {
	slices.SortFunc(list, func(a, b Join) int { return strings.Compare(a.ID, b.ID) })
}

func loadJoins(ctx context.Context, tx *sql.Tx) (map[string]Join, error) {
	r, err := tx.QueryContext(ctx, `SELECT p.id, p.reason, p.decided_by, p.decided_at, r.roster, r.person_id
		FROM people p JOIN people_records r ON r.people_id = p.id`)
	if err != nil {
		return nil, err
	}
	joins := map[string]Join{}
	_, err = collect(r, func(r *sql.Rows) (struct{}, error) {
		var j Join
		var at int64
		var rec Ref
		err := r.Scan(&j.ID, &j.Reason, &j.By, &at, &rec.Source, &rec.ID)
		j.At = timeOf(at)
		j.Records = append(joins[j.ID].Records, rec)
		joins[j.ID] = j
		return struct{}{}, err
	})
	for _, j := range joins {
		slices.SortFunc(j.Records, Ref.compare)
	}
	return joins, err
}

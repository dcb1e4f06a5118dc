package state

import (
	"context"
	"database/sql"
	"fmt"
	"time"
)

// Stop is the stop switch: while one stands, nothing is changed in any source.
type Stop struct {
	ID     string    `json:"id"`
	Reason string    `json:"reason"`
	By     string    `json:"by"`
	At     time.Time `json:"at"`
	Lifted time.Time `json:"lifted,omitzero"`
	LiftBy string    `json:"lifted_by,omitempty"`
}

// SetStop throws the stop switch.
func (s *State) SetStop(ctx context.Context, actor Actor, reason string) (Stop, error) {
	var stop Stop
	err := s.decide(ctx, "stop all changes", actor, func(d *decision) error {
		if err := text("reason", reason, 1, maxReason); err != nil {
			return err
		}
		stop = Stop{ID: newID("stop"), Reason: reason, By: d.actor.ID, At: d.at}
		err := d.exec("INSERT INTO stops (id, reason, stopped_by, stopped_at, lifted_by) VALUES ($1, $2, $3, $4, '')", stop.ID, stop.Reason, stop.By, stamp(stop.At))
		if err != nil {
			return err
		}
		return d.append(KindStopSet, stop)
	})
	if err != nil {
		return Stop{}, err
	}
	return stop, nil
}

// LiftStops lifts every stop that stands, and says which. None is an [ErrNotFound].
func (s *State) LiftStops(ctx context.Context, actor Actor) ([]Stop, error) {
	var stops []Stop
	err := s.decide(ctx, "lift the stop", actor, func(d *decision) error {
		var err error
		if stops, err = rows(d, scanStop, selectStops+standingStops); err != nil {
			return err
		}
		if len(stops) == 0 {
			return ErrNotFound
		}
		for i := range stops {
			stops[i].Lifted, stops[i].LiftBy = d.at, d.actor.ID
			if err := d.exec("UPDATE stops SET lifted_by = $1, lifted_at = $2 WHERE id = $3", stops[i].LiftBy, stamp(d.at), stops[i].ID); err != nil {
				return err
			}
			if err := d.append(KindStopLifted, stops[i]); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return stops, nil
}

// Stops lists the stops that stand, oldest first.
func (s *State) Stops(ctx context.Context) ([]Stop, error) {
	all, err := query(ctx, s, scanStop, selectStops+standingStops)
	if err != nil {
		return nil, fmt.Errorf("read the stop switch in %s: %w", s.name, err)
	}
	return all, nil
}

const (
	selectStops   = "SELECT id, reason, stopped_by, stopped_at, lifted_by, lifted_at FROM stops"
	standingStops = " WHERE lifted_at IS NULL ORDER BY stopped_at, id"
)

func scanStop(r *sql.Rows) (Stop, error) {
	var s Stop
	var at int64
	var lifted sql.NullInt64
	err := r.Scan(&s.ID, &s.Reason, &s.By, &at, &s.LiftBy, &lifted)
	s.At, s.Lifted = timeOf(at), timeOrZero(lifted)
	return s, err
}

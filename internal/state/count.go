package state

import (
	"cmp"
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"slices"
)

// Count is how many there are of a kind with one outcome.
type Count struct {
	Kind, Outcome string
	N             int
}

// CountMessages counts the messages to people by kind and status.
func (s *State) CountMessages(ctx context.Context) ([]Count, error) {
	all, err := query(ctx, s, func(r *sql.Rows) (c Count, err error) {
		var record string
		if err := r.Scan(&c.Outcome, &record); err != nil {
			return c, err
		}
		var m struct {
			Kind string `json:"kind"`
		}
		c.N, err = 1, json.Unmarshal([]byte(record), &m)
		c.Kind = m.Kind
		return c, err
	}, "SELECT status, record FROM outbox")
	if err != nil {
		return nil, fmt.Errorf("count messages in %s: %w", s.name, err)
	}
	slices.SortFunc(all, func(a, b Count) int { return cmp.Or(cmp.Compare(a.Kind, b.Kind), cmp.Compare(a.Outcome, b.Outcome)) })
	var out []Count
	for _, c := range all {
		if last := len(out) - 1; last >= 0 && out[last].Kind == c.Kind && out[last].Outcome == c.Outcome {
			out[last].N++
			continue
		}
		out = append(out, c)
	}
	return out, nil
}

// CountChanges counts the changes in sources by action and status. What was undone counts as made, and its undoing as an
// action of its own, such as undo_disable.
func (s *State) CountChanges(ctx context.Context) ([]Count, error) {
	all, err := query(ctx, s, func(r *sql.Rows) (c Count, err error) { return c, r.Scan(&c.Kind, &c.Outcome, &c.N) },
		"SELECT CASE undoes WHEN '' THEN action ELSE 'undo_' || action END, status, count(*) FROM changes GROUP BY 1, 2 ORDER BY 1, 2")
	if err != nil {
		return nil, fmt.Errorf("count changes in %s: %w", s.name, err)
	}
	return all, nil
}

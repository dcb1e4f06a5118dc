package state

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
)

// Names maps the ids of those who decided to their names, as far as known and not
// erased.
func (s *State) Names(ctx context.Context) (map[string]string, error) {
	type pair struct{ id, name string }
	pairs, err := query(ctx, s, func(r *sql.Rows) (p pair, err error) {
		return p, r.Scan(&p.id, &p.name)
	}, "SELECT id, name FROM names")
	if err != nil {
		return nil, fmt.Errorf("list names in %s: %w", s.name, err)
	}
	names := make(map[string]string, len(pairs))
	for _, p := range pairs {
		names[p.id] = p.name
	}
	return names, nil
}

// EraseName forgets the name of an id; the ledger keeps the id and stays whole.
// An id without a name is an [ErrNotFound].
func (s *State) EraseName(ctx context.Context, actor Actor, id string) error {
	what := "erase the name of " + id
	err := s.decide(ctx, what, actor, func(d *decision) error {
		if actor.ID == id && actor.Name != "" {
			return errors.New("the actor erases its own name: leave it out of the actor")
		}
		res, err := d.ExecContext(d.ctx, "DELETE FROM names WHERE id = $1", id)
		if err != nil {
			return err
		}
		if n, err := res.RowsAffected(); err != nil || n == 0 {
			return errors.Join(ErrNotFound, err)
		}
		return d.append(KindNameErased, map[string]string{"id": id})
	})
	if err != nil {
		return err
	}
	if err := s.dialect.forget(ctx); err != nil {
		return fmt.Errorf("%s: it is erased, but the database's log may hold it for a while: %w", what, s.explain(ctx, err))
	}
	return nil
}

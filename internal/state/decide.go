package state

import (
	"context"
	"crypto/rand"
	"database/sql"
	"errors"
	"fmt"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

var (
	// ErrExists means that a decision about the same thing already stands.
	ErrExists = errors.New("already decided")
	// ErrNotFound means that no standing decision has the given id.
	ErrNotFound = errors.New("not found")
	// ErrUnknownOutcome means that the database went away during the commit and
	// couldn't be asked since: the decision may or may not be recorded.
	ErrUnknownOutcome = errors.New("the outcome is unknown")
)

// Actor is who decides. An operating-system user name is no identity; the caller
// says who it is and how it knows.
type Actor struct {
	// ID goes into the ledger for good: a person's id or the id of a machine role,
	// never a name.
	ID string
	// Name is kept apart from the ledger and can be erased. Optional.
	Name string
}

func (a Actor) validate() error {
	return errors.Join(text("actor id", a.ID, 1, 200), text("actor name", a.Name, 0, 200))
}

// decision is a transaction that holds the ledger: no other decision is made
// anywhere until it ends.
type decision struct {
	*sql.Tx
	ctx   context.Context
	at    time.Time
	actor Actor
	head  Anchor
}

// decide runs fn in a transaction that holds the ledger. Whatever fn writes it
// also appends to the ledger; what it reads can't change before it commits. With
// an error, or without an entry, nothing is recorded.
func (s *State) decide(ctx context.Context, what string, actor Actor, fn func(*decision) error) error {
	if err := actor.validate(); err != nil {
		return fmt.Errorf("%s: %w", what, err)
	}
	refused := func(err error) error {
		err, fromDatabase := s.translate(ctx, err)
		if fromDatabase {
			return fmt.Errorf("%s: nothing was recorded in %s: %w", what, s.name, err)
		}
		return fmt.Errorf("%s: %w", what, err)
	}
	tx, err := s.w.BeginTx(ctx, nil)
	if err != nil {
		return refused(err)
	}
	defer tx.Rollback()
	d := &decision{Tx: tx, ctx: ctx, at: s.now(), actor: actor}
	before, err := d.run(fn)
	if err != nil {
		return refused(err)
	}
	if d.head == before {
		return nil
	}
	if err := tx.Commit(); err != nil {
		if err := s.settle(ctx, d.head, err); err != nil {
			return fmt.Errorf("%s in %s: %w", what, s.name, err)
		}
	}
	return nil
}

func (d *decision) run(fn func(*decision) error) (before Anchor, err error) {
	// An update that changes nothing takes the row's lock on either database.
	err = d.QueryRowContext(d.ctx, "UPDATE ledger_head SET seq = seq WHERE one = 1 RETURNING seq, hash").Scan(&d.head.Seq, &d.head.Hash)
	if err != nil {
		return before, err
	}
	before = d.head
	if err := fn(d); err != nil || d.head == before {
		return before, err
	}
	if d.actor.Name != "" {
		if err := d.exec("INSERT INTO names (id, name) VALUES ($1, $2) ON CONFLICT (id) DO UPDATE SET name = excluded.name", d.actor.ID, d.actor.Name); err != nil {
			return before, err
		}
	}
	return before, d.exec("UPDATE ledger_head SET seq = $1, hash = $2 WHERE one = 1", d.head.Seq, d.head.Hash)
}

// settle finds out by reading whether a commit whose answer was lost took place.
func (s *State) settle(ctx context.Context, head Anchor, cause error) error {
	cause = s.explain(ctx, cause)
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
	defer cancel()
	tx, err := s.w.BeginTx(ctx, nil)
	if err == nil {
		defer tx.Rollback()
		// The lock waits until the server is done with the lost transaction.
		_, err = tx.ExecContext(ctx, "UPDATE ledger_head SET seq = seq WHERE one = 1")
	}
	var n int
	if err == nil {
		err = tx.QueryRowContext(ctx, "SELECT count(*) FROM ledger WHERE seq = $1 AND hash = $2", head.Seq, head.Hash).Scan(&n)
	}
	switch {
	case err != nil:
		return fmt.Errorf("%w, look for ledger entry %d when the database is back: %w", ErrUnknownOutcome, head.Seq, cause)
	case n == 0:
		return fmt.Errorf("nothing was recorded: %w", cause)
	}
	return nil
}

func (d *decision) exec(text string, args ...any) error {
	_, err := d.ExecContext(d.ctx, text, args...)
	return err
}

// rows reads all rows of one statement inside a decision.
func rows[T any](d *decision, scan func(*sql.Rows) (T, error), text string, args ...any) ([]T, error) {
	r, err := d.QueryContext(d.ctx, text, args...)
	if err != nil {
		return nil, err
	}
	return collect(r, scan)
}

// newID makes an id that can be read aloud and typed: the prefix and 50 random bits.
func newID(prefix string) string {
	return prefix + "-" + strings.ToLower(rand.Text()[:10])
}

// text checks a value that someone typed. PostgreSQL can't store NUL, and other
// control characters have no place in an id or in a report.
func text(what, v string, least, most int) error {
	switch {
	case !utf8.ValidString(v):
		return fmt.Errorf("the %s is not valid UTF-8", what)
	case len(strings.TrimSpace(v)) < least:
		return fmt.Errorf("the %s is missing", what)
	case utf8.RuneCountInString(v) > most:
		return fmt.Errorf("the %s is longer than %d characters", what, most)
	case strings.ContainsFunc(v, func(r rune) bool { return unicode.IsControl(r) && r != '\n' && r != '\t' }):
		return fmt.Errorf("the %s contains a control character", what)
	}
	return nil
}

const (
	maxID     = 1000
	maxReason = 4000
)

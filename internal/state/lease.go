package state

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"sync"
	"time"
)

// DefaultLeaseTTL is how long a lease outlives a holder that died.
const DefaultLeaseTTL = 30 * time.Second

// ErrLeaseLost is the cause with which a lost lease ends its context: it ran out,
// or somebody else holds it now.
var ErrLeaseLost = errors.New("the lease was lost")

// HeldError means that somebody else holds the lease.
type HeldError struct {
	Name, Holder string
	Since, Until time.Time // Until moves on while the holder lives
	cause        error
}

func (e *HeldError) Error() string {
	s := fmt.Sprintf("%s is held by %s since %s", e.Name, e.Holder, e.Since.Format(time.RFC3339))
	if e.cause != nil {
		s += ": " + e.cause.Error()
	}
	return s
}

// Unwrap is what ended the waiting.
func (e *HeldError) Unwrap() error { return e.cause }

// LeaseInfo is a lease as it stands in the database.
type LeaseInfo struct {
	Name     string
	Holder   string // empty when it is free
	Token    int64
	Acquired time.Time
	Expires  time.Time
}

// Lease is the right to do the work of a name alone, renewed in the background
// until it is released or lost. Whether it has run out is judged by the one clock
// all contenders share: the machine's on SQLite, the server's on PostgreSQL.
type Lease struct {
	// Token grows with each change of hands: what a bigger token has written, a
	// smaller one must not overwrite.
	Token int64

	s            *State
	name, holder string
	ttl          time.Duration
	ctx          context.Context
	end          context.CancelCauseFunc
	done         chan struct{} // renewing has stopped
	release      sync.Once
	released     error
}

// TryAcquire takes the lease if nobody has it, else it returns a [*HeldError].
// Holder is who to name to others: host, process and command. A ttl of zero is
// [DefaultLeaseTTL].
func (s *State) TryAcquire(ctx context.Context, name, holder string, ttl time.Duration) (*Lease, error) {
	if err := errors.Join(text("lease name", name, 1, 100), text("lease holder", holder, 1, maxID)); err != nil {
		return nil, fmt.Errorf("acquire lease: %w", err)
	}
	if ttl <= 0 {
		ttl = DefaultLeaseTTL
	}
	start := time.Now()
	token, err := s.takeLease(ctx, name, holder, ttl)
	if err != nil {
		return nil, fmt.Errorf("acquire lease in %s: %w", s.name, s.explain(ctx, err))
	}
	l := &Lease{Token: token, s: s, name: name, holder: holder, ttl: ttl, done: make(chan struct{})}
	l.ctx, l.end = context.WithCancelCause(context.Background())
	go l.renew(start.Add(ttl))
	return l, nil
}

// Acquire waits for the lease until ctx ends; the error then is a [*HeldError]
// that wraps the context's.
func (s *State) Acquire(ctx context.Context, name, holder string, ttl time.Duration) (*Lease, error) {
	var last *HeldError
	for {
		l, err := s.TryAcquire(ctx, name, holder, ttl)
		var held *HeldError
		switch {
		case err == nil:
			return l, nil
		case errors.As(err, &held):
			last = held
		case ctx.Err() != nil && last != nil:
			last.cause = context.Cause(ctx)
			return nil, fmt.Errorf("acquire lease in %s: %w", s.name, last)
		default:
			return nil, err
		}
		// A release should be noticed soon; asking often is cheap beside the work.
		select {
		case <-ctx.Done():
			held.cause = context.Cause(ctx)
			return nil, err
		case <-time.After(min(held.poll(), 500*time.Millisecond)):
		}
	}
}

func (e *HeldError) poll() time.Duration { return max(time.Until(e.Until), 20*time.Millisecond) }

// takeLease takes a lease that is free, has run out, or is held by a process of this machine that is no more.
func (s *State) takeLease(ctx context.Context, name, holder string, ttl time.Duration) (token int64, err error) {
	tx, err := s.l.BeginTx(ctx, nil)
	if err != nil {
		return 0, err
	}
	defer tx.Rollback()
	now, err := s.dialect.sharedTime(ctx, tx)
	if err != nil {
		return 0, err
	}
	for gone := ""; ; {
		err = tx.QueryRowContext(ctx, `INSERT INTO leases (name, holder, process, token, acquired_at, expires_at) VALUES ($1, $2, $5, 1, $3, $4)
			ON CONFLICT (name) DO UPDATE SET holder = excluded.holder, process = excluded.process, token = leases.token + 1,
				acquired_at = excluded.acquired_at, expires_at = excluded.expires_at
			WHERE leases.holder = '' OR leases.expires_at <= $3 OR leases.process = $6 AND leases.process <> ''
			RETURNING token`, name, holder, stamp(now), stamp(now.Add(ttl)), thisProcess(), gone).Scan(&token)
		if err == nil {
			return token, tx.Commit()
		}
		if !errors.Is(err, sql.ErrNoRows) {
			return 0, err
		}
		held := &HeldError{Name: name}
		var since, until int64
		var process string
		if err := tx.QueryRowContext(ctx, "SELECT holder, process, acquired_at, expires_at FROM leases WHERE name = $1", name).
			Scan(&held.Holder, &process, &since, &until); err != nil {
			return 0, err
		}
		held.Since, held.Until = timeOf(since), timeOf(until)
		if process == gone || !isGone(process) {
			return 0, held
		}
		gone = process
	}
}

// renew keeps the lease until its context ends. It gives up no later than the
// lease runs out in the database, whatever keeps it from reaching that.
func (l *Lease) renew(until time.Time) {
	defer close(l.done)
	tick := time.NewTicker(l.ttl / 3)
	defer tick.Stop()
	expiry := time.NewTimer(time.Until(until))
	defer expiry.Stop()
	for {
		select {
		case <-l.ctx.Done():
			return
		case <-expiry.C:
			l.end(fmt.Errorf("%w: %s could not be renewed in time", ErrLeaseLost, l.name))
			return
		case <-tick.C:
		}
		start := time.Now()
		ctx, cancel := context.WithDeadline(l.ctx, until)
		mine, err := l.touch(ctx, l.ttl)
		cancel()
		switch {
		case err != nil: // try again until it runs out
		case !mine:
			l.end(fmt.Errorf("%w: %s", ErrLeaseLost, l.lostTo()))
			return
		default:
			until = start.Add(l.ttl)
			expiry.Reset(time.Until(until))
		}
	}
}

// touch sets the expiry if the lease still has this token.
func (l *Lease) touch(ctx context.Context, ttl time.Duration) (mine bool, err error) {
	tx, err := l.s.l.BeginTx(ctx, nil)
	if err != nil {
		return false, err
	}
	defer tx.Rollback()
	now, err := l.s.dialect.sharedTime(ctx, tx)
	if err != nil {
		return false, err
	}
	res, err := tx.ExecContext(ctx, "UPDATE leases SET expires_at = $1 WHERE name = $2 AND token = $3 AND holder <> ''", stamp(now.Add(ttl)), l.name, l.Token)
	if err != nil {
		return false, err
	}
	n, err := res.RowsAffected()
	if err != nil {
		return false, err
	}
	return n == 1, tx.Commit()
}

func (l *Lease) lostTo() string {
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	all, err := l.s.Leases(ctx)
	if err == nil {
		for _, i := range all {
			if i.Name == l.name && i.Holder != "" {
				return fmt.Sprintf("%s is held by %s since %s", l.name, i.Holder, i.Acquired.Format(time.RFC3339))
			}
		}
	}
	return l.name
}

// Context is parent, ended early with [ErrLeaseLost] as its cause when the lease
// is lost. All work under the lease runs in it.
func (l *Lease) Context(parent context.Context) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancelCause(parent)
	stop := context.AfterFunc(l.ctx, func() { cancel(context.Cause(l.ctx)) })
	return ctx, func() {
		stop()
		cancel(context.Canceled)
	}
}

// Check asks the database whether the lease is still held: the last thing to do
// before what was done under it is published. The answer no is an [ErrLeaseLost].
func (l *Lease) Check(ctx context.Context) error {
	if err := context.Cause(l.ctx); err != nil {
		return err
	}
	start := time.Now()
	mine, err := l.touch(ctx, l.ttl)
	if err != nil {
		return fmt.Errorf("check lease %s in %s: %w", l.name, l.s.name, l.s.explain(ctx, err))
	}
	if !mine || time.Since(start) > l.ttl {
		err := fmt.Errorf("%w: %s", ErrLeaseLost, l.lostTo())
		l.end(err)
		return err
	}
	return nil
}

// Release gives the lease back at once and ends its context. It is an
// [ErrLeaseLost] when it was lost before. Calling it again does nothing.
func (l *Lease) Release(ctx context.Context) error {
	l.release.Do(func() {
		lost := context.Cause(l.ctx)
		l.end(errReleased)
		<-l.done
		if lost != nil {
			l.released = fmt.Errorf("release lease %s: %w", l.name, lost)
			return
		}
		res, err := l.s.l.ExecContext(ctx, "UPDATE leases SET holder = '' WHERE name = $1 AND token = $2 AND holder <> ''", l.name, l.Token)
		var n int64
		if err == nil {
			n, err = res.RowsAffected()
		}
		switch {
		case err != nil:
			l.released = fmt.Errorf("release lease %s in %s: it runs out by itself in %s: %w", l.name, l.s.name, l.ttl, l.s.explain(ctx, err))
		case n == 0:
			l.released = fmt.Errorf("release lease %s: %w", l.name, ErrLeaseLost)
		}
	})
	return l.released
}

var errReleased = errors.New("the lease was released")

// Leases lists all leases that were ever taken, by name.
func (s *State) Leases(ctx context.Context) ([]LeaseInfo, error) {
	list, err := query(ctx, s, func(r *sql.Rows) (LeaseInfo, error) {
		var i LeaseInfo
		var acquired, expires int64
		err := r.Scan(&i.Name, &i.Holder, &i.Token, &acquired, &expires)
		i.Acquired, i.Expires = timeOf(acquired), timeOf(expires)
		return i, err
	}, "SELECT name, holder, token, acquired_at, expires_at FROM leases ORDER BY name")
	if err != nil {
		return nil, fmt.Errorf("list leases in %s: %w", s.name, err)
	}
	return list, nil
}

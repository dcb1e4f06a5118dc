package store

import (
	"context"
	"database/sql"
	"errors"
	"iter"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2"
	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"
)

// Queries. Every value goes in as a parameter: clickhouse.Named("source", uid) for {source:String}. The errors of these
// functions have their type already (see fault) and say nothing about what was being done: the caller wraps them.

// instant passes a time as {name:Int64}, for fromUnixTimestamp64Milli({name:Int64}, 'UTC'). Passed as a time it would
// lose its milliseconds.
func instant(name string, t time.Time) driver.NamedValue {
	return clickhouse.Named(name, t.UnixMilli())
}

// exec runs a statement that yields no rows.
func (s *Store) exec(ctx context.Context, query string, args ...any) error {
	return s.fault(ctx, s.conn.Exec(ctx, query, args...))
}

// row reads the one row of a result into dest. No row is ErrNotFound.
func (s *Store) row(ctx context.Context, dest []any, query string, args ...any) error {
	err := s.conn.QueryRow(ctx, query, args...).Scan(dest...)
	if errors.Is(err, sql.ErrNoRows) {
		return ErrNotFound
	}
	return s.fault(ctx, err)
}

// list reads a result that is known to be short.
func list[T any](ctx context.Context, s *Store, scan func(driver.Rows, *T) error, query string, args ...any) ([]T, error) {
	var out []T
	for v, err := range stream(ctx, s, scan, query, args...) {
		if err != nil {
			return nil, err
		}
		out = append(out, v)
	}
	return out, nil
}

// stream reads a result row by row. It yields at most one error, as the last thing. Breaking off stops the query. The
// connection is held until then: a loop that starts further queries needs further connections.
func stream[T any](ctx context.Context, s *Store, scan func(driver.Rows, *T) error, query string, args ...any) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		var zero T
		inner, cancel := context.WithCancel(ctx)
		defer cancel()
		rows, err := s.conn.Query(inner, query, args...)
		if err != nil {
			yield(zero, s.fault(ctx, err))
			return
		}
		var v T // one for all: it is on the heap
		for rows.Next() {
			v = zero
			if err := scan(rows, &v); err != nil {
				cancel() // or closing reads the result to its end
				rows.Close()
				yield(zero, s.fault(ctx, err))
				return
			}
			if !yield(v, nil) {
				cancel()
				rows.Close()
				return
			}
		}
		if err := errors.Join(rows.Err(), rows.Close()); err != nil {
			yield(zero, s.fault(ctx, err))
		} else if err := ctx.Err(); err != nil {
			yield(zero, s.fault(ctx, err)) // the driver can take a cut-off result for its end
		}
	}
}

// Package storetest is what benchmarks need of an embedded store and no program may do: statements of their own, beside the
// store's, a company that the engine makes inside itself, and the SQL that somebody would write by hand in place of a scan.
package storetest

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"testing"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2"
	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"

	"github.com/lapse-audit/lapse/internal/chdb"
)

// Beside runs statements in an embedded store that this process has open.
type Beside struct {
	tb   testing.TB
	conn driver.Conn
}

// NewBeside reaches the store in a folder by its socket.
func NewBeside(tb testing.TB, dir string) *Beside {
	tb.Helper()
	o := chdb.SocketOptions(filepath.Join(dir, "lapse.sock"))
	o.Auth.Database = "lapse"
	o.Settings = clickhouse.Settings{"mutations_sync": 2}
	conn, err := clickhouse.Open(o)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		if err := conn.Close(); err != nil {
			tb.Error(err)
		}
	})
	b := &Beside{tb, conn}
	for range 100 { // the socket is served a moment after the store is open
		if err = conn.Ping(tb.Context()); err == nil {
			return b
		}
		select {
		case <-tb.Context().Done():
			tb.Fatal(tb.Context().Err())
		case <-time.After(20 * time.Millisecond):
		}
	}
	tb.Fatal(err)
	return nil
}

// Do runs a statement that yields no rows.
func (b *Beside) Do(query string, args ...any) {
	b.tb.Helper()
	if err := b.conn.Exec(b.tb.Context(), query, args...); err != nil {
		b.tb.Fatal(err)
	}
}

// Numbers is the only row of a query, all numbers.
func (b *Beside) Numbers(query string, args ...any) []uint64 {
	b.tb.Helper()
	var out []uint64
	if err := b.numbers(b.tb.Context(), &out, query, args...); err != nil {
		b.tb.Fatal(err)
	}
	return out
}

func (b *Beside) numbers(ctx context.Context, out *[]uint64, query string, args ...any) (err error) {
	rows, err := b.conn.Query(ctx, query, args...)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	if !rows.Next() {
		return errors.Join(fmt.Errorf("no row of %s", query), rows.Err())
	}
	values := make([]uint64, len(rows.Columns()))
	dest := make([]any, len(values))
	for i := range values {
		dest[i] = &values[i]
	}
	*out = values
	return rows.Scan(dest...)
}

// Texts are the rows of a query of one text.
func (b *Beside) Texts(query string, args ...any) (out []string) {
	b.tb.Helper()
	rows, err := b.conn.Query(b.tb.Context(), query, args...)
	if err != nil {
		b.tb.Fatal(err)
	}
	for rows.Next() {
		var text string
		if err := rows.Scan(&text); err != nil {
			b.tb.Fatal(err)
		}
		out = append(out, text)
	}
	if err := errors.Join(rows.Err(), rows.Close()); err != nil {
		b.tb.Fatal(err)
	}
	return out
}

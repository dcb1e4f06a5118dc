package store

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2"
)

// batchRows is how many rows one INSERT carries.
const batchRows = 50_000

// sendAhead is how many batches of a table are under way at a time: while the engine takes one, the next is encoded.
const sendAhead = 2

// batch writes records to one table, batchRows at a time, while the caller gathers the next ones. It is used by one
// goroutine. Records must not be changed after put. After an error every further call returns that error.
type batch[R any] struct {
	s      *Store
	ctx    context.Context // of the whole writing, like an http.Request's
	table  string
	fields []field[R]
	token  string // unique to this writing of the table
	insert string
	// settings of an INSERT with that token; nil: none.
	settings func(token string) clickhouse.Settings

	size    int // rows in one INSERT
	rows    uint64
	batches int
	buffer  []R
	sending int
	sent    chan sentBatch[R]
	err     error
}

// sentBatch is a batch that is in, or is not for the reason given; its memory is free again.
type sentBatch[R any] struct {
	records []R
	err     error
}

// newBatch starts writing to table. token names this writing, the same for nothing else ever: with a batch's number it
// keeps a batch that is sent again from being there twice.
func newBatch[R any](ctx context.Context, s *Store, table, token string, fields []field[R]) *batch[R] {
	return &batch[R]{settings: deduplicated, size: batchRows, s: s, ctx: ctx, table: table, fields: fields, token: table + "/" + token, sent: make(chan sentBatch[R], sendAhead+1),
		insert: "INSERT INTO " + table + " (" + strings.Join(written(fields), ", ") + ")"}
}

func (b *batch[R]) written() (table string, rows uint64) { return b.table, b.rows }

func (b *batch[R]) put(r R) error {
	if b.err != nil {
		return b.err
	}
	b.buffer = append(b.buffer, r)
	b.rows++
	if len(b.buffer) >= b.size {
		return b.flush()
	}
	return nil
}

// close writes what is left and waits for it. The rows are in the table then.
func (b *batch[R]) close() error {
	if b.err == nil && len(b.buffer) > 0 {
		b.hand(nil)
	}
	for b.sending > 0 {
		b.wait()
	}
	b.buffer = nil
	return b.err
}

// flush hands the gathered records over and makes room for the next ones.
func (b *batch[R]) flush() error {
	var free []R
	if b.sending == sendAhead {
		free = b.wait()
	}
	if b.err != nil {
		return b.err
	}
	if free == nil {
		free = make([]R, 0, b.size)
	}
	b.hand(free)
	return nil
}

// hand starts to send what was gathered; free is gathered in from now on.
func (b *batch[R]) hand(free []R) {
	records, number := b.buffer, b.batches
	b.buffer = free
	b.batches++
	b.sending++
	go func() {
		err := b.send(records, number)
		clear(records)
		b.sent <- sentBatch[R]{records[:0], err}
	}()
}

// wait returns the memory of a batch that is done.
func (b *batch[R]) wait() []R {
	done := <-b.sent
	b.sending--
	if done.err != nil && b.err == nil {
		b.err = fmt.Errorf("write %s: %w", b.table, done.err)
	}
	return done.records
}

// retryAfter is how long a batch waits before it is sent again, when the engine could not be reached.
var retryAfter = []time.Duration{200 * time.Millisecond, time.Second, 3 * time.Second}

func (b *batch[R]) send(records []R, number int) error {
	token := fmt.Sprintf("%s/%d", b.token, number)
	for try := 0; ; try++ {
		err := b.s.fault(b.ctx, b.insertOnce(records, token))
		var gone *UnavailableError
		if err == nil || try == len(retryAfter) || !errors.As(err, &gone) {
			return err
		}
		b.s.logger.Warn("store batch is sent again", "table", b.table, "batch", number, "error", err)
		select {
		case <-b.ctx.Done():
			return context.Cause(b.ctx)
		case <-time.After(retryAfter[try]):
		}
	}
}

func (b *batch[R]) insertOnce(records []R, token string) error {
	ctx := b.ctx
	if b.settings != nil {
		ctx = clickhouse.Context(ctx, clickhouse.WithSettings(b.settings(token)))
	}
	out, err := b.s.conn.PrepareBatch(ctx, b.insert)
	if err != nil {
		return err
	}
	for i, f := range b.fields {
		if err := out.Column(i).Append(f.values(records)); err != nil {
			return errors.Join(fmt.Errorf("column %s: %w", f.name, err), out.Abort())
		}
	}
	return out.Send()
}

func deduplicated(token string) clickhouse.Settings {
	return clickhouse.Settings{"insert_deduplication_token": token}
}

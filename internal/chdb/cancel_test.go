//go:build (linux || darwin) && (amd64 || arm64) && !noembedded

package chdb

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"sync"
	"testing"
	"testing/iotest"
	"time"

	"github.com/ClickHouse/ch-go/proto"
	"github.com/ClickHouse/clickhouse-go/v2"
	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"
	native "github.com/ClickHouse/clickhouse-go/v2/lib/proto"
)

const forEver = "SELECT count() FROM numbers(1000000000000) WHERE sipHash64(number) = 1"

// running counts the statements that contain part, without its own.
func running(t testing.TB, c driver.Conn, part string) uint64 {
	t.Helper()
	return scalar[uint64](t, c, "SELECT count() FROM system.processes WHERE position(query, {part:String}) > 0 AND position(query, 'system.processes') = 0",
		clickhouse.Named("part", part))
}

func idle(e *Engine) func() bool { return func() bool { return len(e.slots) == 0 } }

func TestCancel(t *testing.T) {
	onAllRoads(t, Options{}, func(t *testing.T, e *Engine, client *clickhouse.Options) {
		c := inDatabase(t, client)
		look := connect(t, e.ClientOptions())
		run(t, c, "CREATE TABLE sink (n UInt64) ENGINE = MergeTree ORDER BY n")
		run(t, c, "CREATE TABLE slow (n UInt64, s UInt8 DEFAULT sleepEachRow(0.005)) ENGINE = MergeTree ORDER BY n")

		for _, test := range []struct {
			name, part string
			do         func(ctx context.Context) error
		}{
			{"select", "sipHash64(number)", func(ctx context.Context) error {
				var n uint64
				return c.QueryRow(ctx, forEver).Scan(&n)
			}},
			{"insert select", "INSERT INTO sink", func(ctx context.Context) error {
				return c.Exec(ctx, "INSERT INTO sink SELECT number FROM numbers(1000000000000) WHERE sipHash64(number) % 1000 = 1")
			}},
			{"batch", "INSERT INTO slow", func(ctx context.Context) error {
				b, err := c.PrepareBatch(ctx, "INSERT INTO slow (n)")
				if err != nil {
					return err
				}
				if err := b.Column(0).Append(make([]uint64, 500)); err != nil { // 2.5 s of inserting
					return err
				}
				return b.Send()
			}},
		} {
			t.Run(test.name, func(t *testing.T) {
				ctx, cancel := context.WithCancel(t.Context())
				defer cancel()
				failed := make(chan error, 1)
				go func() { failed <- test.do(ctx) }()
				eventually(t, "the statement runs", func() bool { return running(t, look, test.part) == 1 })
				cancel()
				if err := <-failed; !errors.Is(err, context.Canceled) {
					t.Errorf("error %v, want %v", err, context.Canceled)
				}
				eventually(t, "the statement is gone", func() bool { return running(t, look, test.part) == 0 })
				eventually(t, "the connection is free", idle(e))
			})
		}

		t.Run("deadline", func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
			defer cancel()
			if err := c.Exec(ctx, forEver); !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("error %v, want %v", err, context.DeadlineExceeded)
			}
			eventually(t, "the connection is free", idle(e))
		})

		t.Run("rows in the middle", func(t *testing.T) {
			for range 10 {
				ctx, cancel := context.WithCancel(t.Context())
				rows, err := c.Query(ctx, "SELECT number, toString(number) FROM numbers(100000000000)")
				if err != nil {
					t.Fatal(err)
				}
				for range rand.IntN(100_000) {
					if !rows.Next() {
						t.Fatal("ended: ", rows.Err())
					}
				}
				cancel()
				if err := rows.Close(); !errors.Is(err, context.Canceled) {
					t.Errorf("error %v, want %v", err, context.Canceled)
				}
			}
			eventually(t, "all is free", func() bool { return running(t, look, "numbers") == 0 && len(e.slots) == 0 })
		})

		t.Run("rows that nobody closes", func(t *testing.T) {
			ctx, cancel := context.WithCancel(t.Context())
			rows, err := c.Query(ctx, "SELECT number FROM numbers(100000000000)")
			if err != nil || !rows.Next() {
				t.Fatal(err)
			}
			time.Sleep(100 * time.Millisecond) // until the driver's buffers are full and it reads no more
			cancel()
			eventually(t, "all is free", func() bool { return running(t, look, "numbers") == 0 && len(e.slots) == 0 })
			rows.Close()
		})
	})
}

// Many at a time, half of them cancelled at any moment: results are right or errors, and nothing stays behind.
func TestStress(t *testing.T) {
	onAllRoads(t, Options{Connections: 6}, func(t *testing.T, e *Engine, client *clickhouse.Options) {
		c := inDatabase(t, client)
		run(t, c, "CREATE TABLE sink (id UInt64, name String) ENGINE = MergeTree ORDER BY id")
		end := time.Now().Add(2 * time.Second)
		var wg sync.WaitGroup
		for worker := range 8 {
			wg.Go(func() {
				random := rand.New(rand.NewPCG(1, uint64(worker)))
				for time.Now().Before(end) {
					ctx, cancel := context.WithCancel(t.Context())
					if random.IntN(2) == 0 {
						time.AfterFunc(time.Duration(random.IntN(30_000))*time.Microsecond, cancel)
					}
					err := strain(ctx, c, random)
					var exception *clickhouse.Exception
					if err != nil && (ctx.Err() == nil || errors.As(err, &exception)) {
						t.Errorf("%v (context: %v)", err, ctx.Err())
					}
					cancel()
				}
			})
		}
		wg.Wait()
		look := connect(t, e.ClientOptions())
		eventually(t, "all is free", func() bool { return running(t, look, "") == 0 && len(e.slots) == 0 })
	})
}

func strain(ctx context.Context, c driver.Conn, random *rand.Rand) error {
	switch random.IntN(4) {
	case 0:
		limit := uint64(random.IntN(300_000))
		ctx, cancel := context.WithCancel(ctx)
		defer cancel()
		rows, err := c.Query(ctx, "SELECT number FROM numbers({n:UInt64})", clickhouse.Named("n", limit))
		if err != nil {
			return err
		}
		var n uint64
		for rows.Next() {
			n++
		}
		if err := errors.Join(rows.Err(), rows.Close()); err != nil {
			return err
		}
		if n != limit {
			return fmt.Errorf("%d rows of %d, and no error", n, limit)
		}
		return nil
	case 1:
		var n, x uint64
		x = random.Uint64N(1000)
		if err := c.QueryRow(ctx, "SELECT sum(number) + {x:UInt64} FROM numbers(1000000)", clickhouse.Named("x", x)).Scan(&n); err != nil {
			return err
		}
		if n != 499999500000+x {
			return fmt.Errorf("sum %d", n)
		}
		return nil
	case 2:
		return c.Exec(ctx, "INSERT INTO sink SELECT number, toString(number) FROM numbers({n:UInt64})", clickhouse.Named("n", random.IntN(50_000)))
	default:
		b, err := c.PrepareBatch(ctx, "INSERT INTO sink (id, name)")
		if err != nil {
			return err
		}
		for i := range 1 + random.IntN(5_000) {
			if err := b.Append(uint64(i), "x"); err != nil {
				return err
			}
		}
		return b.Send()
	}
}

// A client that dies while it sends a batch must not leave the part that was sent.
func TestCutOffInsertIsNotCommitted(t *testing.T) {
	e := openEngine(t, Options{})
	c := inDatabase(t, e.ClientOptions())
	run(t, c, "CREATE TABLE sink (n UInt64) ENGINE = MergeTree ORDER BY n")
	srv := httptest.NewServer(e.Handler())
	t.Cleanup(srv.Close)

	block := native.NewBlock()
	if err := block.AddColumn("n", "UInt64"); err != nil {
		t.Fatal(err)
	}
	for i := range uint64(1000) {
		if err := block.Append(i); err != nil {
			t.Fatal(err)
		}
	}
	var data proto.Buffer
	if err := block.Encode(&data, 0); err != nil {
		t.Fatal(err)
	}
	send := func(announced int) {
		conn, err := net.Dial("tcp", srv.Listener.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		fmt.Fprintf(conn, "POST /?database=d&query=%s HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n%s",
			url.QueryEscape("INSERT INTO sink (n) FORMAT Native"), announced, data.Buf)
		if announced == len(data.Buf) {
			if _, err := conn.Read(make([]byte, 1)); err != nil {
				t.Fatal(err)
			}
		}
	}
	send(len(data.Buf))
	if n := scalar[uint64](t, c, "SELECT count() FROM sink"); n != 1000 {
		t.Fatalf("%d rows of a whole insert", n)
	}
	for range 5 {
		send(len(data.Buf) + 1)
	}
	post := func(body io.Reader) (*http.Response, error) {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://x/?database=d&query="+url.QueryEscape("INSERT INTO sink (n) FORMAT Native"), body)
		if err != nil {
			t.Fatal(err)
		}
		return e.RoundTrip(req)
	}
	for _, cut := range []error{io.ErrUnexpectedEOF, net.ErrClosed} {
		if _, err := post(io.MultiReader(bytes.NewReader(data.Buf), iotest.ErrReader(cut))); !errors.Is(err, cut) {
			t.Errorf("error %v, want %v", err, cut)
		}
	}
	time.Sleep(200 * time.Millisecond) // for a wrong commit to show
	eventually(t, "all is free", idle(e))
	if n := scalar[uint64](t, c, "SELECT count() FROM sink"); n != 1000 {
		t.Errorf("%d rows after inserts that were cut off, want 1000", n)
	}
}

//go:build (linux || darwin) && (amd64 || arm64) && !noembedded

package chdb

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2"
	"github.com/ClickHouse/clickhouse-go/v2/ext"
	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"
)

func TestStatements(t *testing.T) {
	onAllRoads(t, Options{}, func(t *testing.T, e *Engine, client *clickhouse.Options) {
		c := inDatabase(t, client)
		t.Run("ping", func(t *testing.T) {
			if err := c.Ping(t.Context()); err != nil {
				t.Fatal(err)
			}
			v, err := c.ServerVersion()
			if err != nil || v.Version.Major < 26 || v.Timezone != time.UTC {
				t.Errorf("version %v, zone %v, error %v", v, v.Timezone, err)
			}
		})
		t.Run("parameters", func(t *testing.T) {
			text := "it's a\ttab, a\nline, a \\ and a 日本 `x`"
			var back string
			var n int64
			var at time.Time
			when := time.Date(2026, 11, 23, 2, 0, 0, 123e6, time.UTC)
			row := c.QueryRow(t.Context(), "SELECT {s:String}, {n:Int64}, {t:DateTime64(3, 'UTC')}", clickhouse.Named("s", text),
				clickhouse.Named("n", int64(-5)), clickhouse.DateNamed("t", when, clickhouse.MilliSeconds))
			if err := row.Scan(&back, &n, &at); err != nil {
				t.Fatal(err)
			}
			if back != text || n != -5 || !at.Equal(when) {
				t.Errorf("got %q %d %s, want %q -5 %s", back, n, at, text, when)
			}
		})
		t.Run("types", func(t *testing.T) {
			var (
				lc   string
				null *uint32
				arr  []string
				dec  string
				m    map[string]uint8
			)
			row := c.QueryRow(t.Context(), `SELECT toLowCardinality('x'), NULL::Nullable(UInt32), ['a', 'b'], toString(toDecimal64('57.10', 2)), map('k', 1::UInt8)`)
			if err := row.Scan(&lc, &null, &arr, &dec, &m); err != nil {
				t.Fatal(err)
			}
			if lc != "x" || null != nil || len(arr) != 2 || dec != "57.1" || m["k"] != 1 {
				t.Errorf("got %q %v %v %q %v", lc, null, arr, dec, m)
			}
		})
		t.Run("no rows", func(t *testing.T) {
			rows, err := c.Query(t.Context(), "SELECT number FROM numbers(10) WHERE number > 10")
			if err != nil {
				t.Fatal(err)
			}
			defer rows.Close()
			if rows.Next() || rows.Err() != nil {
				t.Errorf("a row, or an error: %v", rows.Err())
			}
		})
		t.Run("batch", func(t *testing.T) { testBatch(t, c) })
		t.Run("batch of unequal columns", func(t *testing.T) {
			b, err := c.PrepareBatch(t.Context(), "INSERT INTO batch (id, name)")
			if err != nil {
				t.Fatal(err)
			}
			if err := b.Column(0).Append([]uint64{1, 2, 3}); err != nil {
				t.Fatal(err)
			}
			if err := b.Column(1).Append([]string{"x"}); err != nil {
				t.Fatal(err)
			}
			wantCode(t, b.Send(), 108) // the driver itself sends nothing and reports nothing
		})
		t.Run("with before insert", func(t *testing.T) {
			run(t, c, "CREATE OR REPLACE TABLE w (n UInt64) ENGINE = MergeTree ORDER BY n")
			run(t, c, "INSERT INTO w WITH x AS (SELECT 1 AS n) SELECT n FROM x")
			run(t, c, "WITH x AS (SELECT 2 AS n) INSERT INTO w SELECT n FROM x")
			if n := scalar[uint64](t, c, "SELECT count() FROM w"); n != 2 {
				t.Errorf("%d rows, want 2", n)
			}
		})
		t.Run("other formats", func(t *testing.T) { testFormats(t, c) })
		t.Run("settings do not stay", func(t *testing.T) { testSessions(t, c) })
	})
}

func testBatch(t *testing.T, c driver.Conn) {
	run(t, c, "CREATE OR REPLACE TABLE batch (id UInt64, name String, seen Nullable(DateTime64(3, 'UTC')), tags Array(LowCardinality(String))) ENGINE = MergeTree ORDER BY id SETTINGS fsync_after_insert = 1, fsync_part_directory = 1")
	b, err := c.PrepareBatch(t.Context(), "INSERT INTO batch (id, name, seen, tags)")
	if err != nil {
		t.Fatal(err)
	}
	const n = 100_000
	at := time.Date(2026, 11, 23, 2, 0, 0, 0, time.UTC)
	for i := range n {
		var seen any
		if i%2 == 0 {
			seen = at
		}
		if err := b.Append(uint64(i), "naïve 'quoted'", seen, []string{"a", "b"}); err != nil {
			t.Fatal(err)
		}
	}
	if err := b.Send(); err != nil {
		t.Fatal(err)
	}
	var rows, sum, seen, tags uint64
	if err := c.QueryRow(t.Context(), "SELECT count(), sum(id), count(seen), sum(length(tags)) FROM batch").Scan(&rows, &sum, &seen, &tags); err != nil {
		t.Fatal(err)
	}
	if rows != n || sum != n*(n-1)/2 || seen != n/2 || tags != 2*n {
		t.Errorf("stored %d rows, sum %d, %d seen, %d tags", rows, sum, seen, tags)
	}
}

func testFormats(t *testing.T, c driver.Conn) {
	body, err := c.QueryFormat(t.Context(), "CSV", "SELECT number, 'a' FROM numbers(200000)")
	if err != nil {
		t.Fatal(err)
	}
	defer body.Close()
	text, err := io.ReadAll(body)
	if err != nil {
		t.Fatal(err)
	}
	if n := strings.Count(string(text), "\n"); n != 200_000 || !strings.HasPrefix(string(text), "0,\"a\"\n1,") {
		t.Errorf("%d lines, beginning %.40q", n, text)
	}
	run(t, c, "CREATE OR REPLACE TABLE csv (n UInt64, s String) ENGINE = MergeTree ORDER BY n")
	if err := c.InsertFormat(t.Context(), "CSV", "INSERT INTO csv (n, s)", bytes.NewReader(text)); err != nil {
		t.Fatal(err)
	}
	if n := scalar[uint64](t, c, "SELECT count() FROM csv"); n != 200_000 {
		t.Errorf("%d rows back", n)
	}
}

func testSessions(t *testing.T, c driver.Conn) {
	threads := func() string { return scalar[string](t, c, "SELECT toString(getSetting('max_threads'))") }
	before := threads()
	run(t, c, "SET max_threads = 7")
	run(t, c, "USE system")
	run(t, c, "CREATE TEMPORARY TABLE mine (n UInt8)")
	with := clickhouse.Context(t.Context(), clickhouse.WithSettings(clickhouse.Settings{"max_threads": 5, "max_memory_usage": 1 << 30}))
	var inside string
	if err := c.QueryRow(with, "SELECT toString(getSetting('max_threads'))").Scan(&inside); err != nil || inside != "5" {
		t.Errorf("within the request: %q, %v", inside, err)
	}
	if after := threads(); after != before {
		t.Errorf("max_threads was %s, is %s", before, after)
	}
	if db := scalar[string](t, c, "SELECT currentDatabase()"); db != "d" {
		t.Errorf("database is %s", db)
	}
	wantCode(t, c.Exec(t.Context(), "SELECT * FROM mine"), 60)
}

func TestErrors(t *testing.T) {
	onAllRoads(t, Options{}, func(t *testing.T, e *Engine, client *clickhouse.Options) {
		c := inDatabase(t, client)
		set := func(s clickhouse.Settings) context.Context {
			return clickhouse.Context(t.Context(), clickhouse.WithSettings(s))
		}
		for _, test := range []struct {
			name string
			ctx  context.Context
			sql  string
			code int32
		}{
			{"unknown table", t.Context(), "SELECT * FROM nowhere", 60},
			{"unknown table in insert", t.Context(), "INSERT INTO nowhere SELECT 1", 60},
			{"unknown database", t.Context(), "SELECT * FROM nodb.t", 81},
			{"syntax", t.Context(), "SELEC 1", 62},
			{"syntax of a streamed statement", t.Context(), "SELECT (1", 62},
			{"unknown setting", set(clickhouse.Settings{"no_such_setting": 1}), "SELECT 1", 115},
			{"a setting that is no name", set(clickhouse.Settings{"a = 1, b": 1}), "SELECT 1", 115},
			{"unknown setting in the text", t.Context(), "SELECT 1 SETTINGS no_such_setting = 1", 115},
			{"thrown", t.Context(), "SELECT throwIf(1, 'on purpose')", 395},
			{"missing parameter", t.Context(), "SELECT {x:UInt8}", 456},
			{"memory", set(clickhouse.Settings{"max_memory_usage": "20000000"}), "SELECT groupArray(number) FROM numbers(50000000)", 241},
			{"time", set(clickhouse.Settings{"max_execution_time": "0.2"}), "SELECT count() FROM numbers(1000000000000) WHERE sipHash64(number) = 1", 159},
			{"log_comment as a setting", set(clickhouse.Settings{"log_comment": "x"}), "SELECT 1", 452},
			{"log_comment in the text", t.Context(), "SELECT 1 SETTINGS log_comment='x'", 452},
			{"session", set(clickhouse.Settings{"session_id": "x"}), "SELECT 1", 48},
		} {
			t.Run(test.name, func(t *testing.T) {
				wantCode(t, c.Exec(test.ctx, test.sql), test.code)
				rows, err := c.Query(test.ctx, test.sql)
				if err == nil {
					for rows.Next() {
					}
					err = rows.Err()
				}
				wantCode(t, err, test.code)
			})
		}
		t.Run("batch into an unknown table", func(t *testing.T) {
			_, err := c.PrepareBatch(t.Context(), "INSERT INTO nowhere (a)")
			wantCode(t, err, 60)
		})
		t.Run("batch that a constraint refuses", func(t *testing.T) {
			run(t, c, "CREATE OR REPLACE TABLE small (n UInt32, CONSTRAINT small CHECK n < 10) ENGINE = MergeTree ORDER BY n")
			b, err := c.PrepareBatch(t.Context(), "INSERT INTO small (n)")
			if err != nil {
				t.Fatal(err)
			}
			if err := b.Column(0).Append(make([]uint32, 2_000_000)); err != nil {
				t.Fatal(err)
			}
			if err := b.Append(uint32(11)); err != nil {
				t.Fatal(err)
			}
			wantCode(t, b.Send(), 469)
		})
		t.Run("database of the connection", func(t *testing.T) {
			o := *client
			o.Auth.Database = "nodb"
			wantCode(t, connect(t, &o).Exec(t.Context(), "SELECT 1"), 81)
		})
		t.Run("external table", func(t *testing.T) {
			table, err := ext.NewTable("x", ext.Column("n", "UInt8"))
			if err != nil {
				t.Fatal(err)
			}
			_, err = c.Query(clickhouse.Context(t.Context(), clickhouse.WithExternalTable(table)), "SELECT * FROM x")
			wantCode(t, err, 48)
		})
		t.Run("in the middle", func(t *testing.T) { testMidStream(t, c) })
	})
}

// An error after the first rows must be an error: a result must never just end early.
func testMidStream(t *testing.T, c driver.Conn) {
	for _, test := range []struct{ block, at int }{{16, 8_000}, {1_000, 300_000}, {65_409, 1_000_000}} {
		ctx := clickhouse.Context(t.Context(), clickhouse.WithSettings(clickhouse.Settings{"max_block_size": test.block, "max_threads": 1}))
		rows, err := c.Query(ctx, "SELECT number, repeat('__exception__', 2), throwIf(number = {at:UInt64}, 'on purpose __exception__') FROM numbers(2000000)",
			clickhouse.Named("at", test.at))
		n := 0
		if err == nil {
			for rows.Next() {
				n++
			}
			err = rows.Err()
			rows.Close()
		}
		wantCode(t, err, 395)
		if n == 0 || n > test.at {
			t.Errorf("%d rows before the error at %d", n, test.at)
		}
	}
}

// The driver can take an orderly end for the end of the result, so the connection must break.
func TestMidStreamErrorBreaksTheBody(t *testing.T) {
	e := openEngine(t, Options{})
	srv := httptest.NewServer(e.Handler())
	t.Cleanup(srv.Close)
	res, err := http.Post(srv.URL+"/?default_format=Native&max_block_size=1000&max_threads=1", "text/plain",
		strings.NewReader("SELECT throwIf(number = 100000, 'on purpose') FROM numbers(1000000)"))
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if !errors.Is(err, io.ErrUnexpectedEOF) || res.StatusCode != http.StatusOK {
		t.Errorf("status %d, error %v, want an unexpected EOF", res.StatusCode, err)
	}
	tag := res.Header.Get("X-ClickHouse-Exception-Tag")
	for _, want := range []string{"\r\n__exception__\r\n" + tag + "\r\nCode: 395. DB::Exception: ", "on purpose", " " + tag + "\r\n__exception__\r\n"} {
		if !strings.Contains(string(body), want) {
			t.Errorf("the body lacks %q", want)
		}
	}
}

func TestStreamingKeepsMemoryFlat(t *testing.T) {
	onAllRoads(t, Options{}, func(t *testing.T, e *Engine, client *clickhouse.Options) {
		c := connect(t, client)
		want := uint64(1_000_000)
		if client.TransportFunc != nil {
			want = 5_000_000
		}
		rows, err := c.Query(t.Context(), "SELECT number, toString(number), number % 7 = 0 ? NULL : number FROM numbers({n:UInt64})", clickhouse.Named("n", want))
		if err != nil {
			t.Fatal(err)
		}
		defer rows.Close()
		var (
			id, n, sum uint64
			text       string
			other      *uint64
			peak       uint64
		)
		for rows.Next() {
			if err := rows.Scan(&id, &text, &other); err != nil {
				t.Fatal(err)
			}
			n++
			sum += id
			if n%500_000 == 0 {
				var m runtime.MemStats
				runtime.ReadMemStats(&m)
				peak = max(peak, m.HeapAlloc)
			}
		}
		if err := rows.Err(); err != nil {
			t.Fatal(err)
		}
		if n != want || sum != want*(want-1)/2 {
			t.Errorf("%d rows, sum %d", n, sum)
		}
		if peak > 200<<20 {
			t.Errorf("the heap grew to %d MiB", peak>>20)
		}
	})
}

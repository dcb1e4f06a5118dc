package baton

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	_ "modernc.org/sqlite" // the driver of openSQLite
)

// sqlite is a file of v1. Its tables are those of pkg/dotc1z in baton-sdk.
type sqlite struct {
	db      *sql.DB
	dir     string
	columns map[string][]string // by table
}

// openSQLite opens a database that somebody else made: nothing in its schema is trusted, and it is only read.
func openSQLite(ctx context.Context, path, dir string) (store, error) {
	slashed := filepath.ToSlash(path)
	if !strings.HasPrefix(slashed, "/") {
		slashed = "/" + slashed // C:/… would read as a host
	}
	q := url.Values{"mode": {"ro"}, "immutable": {"1"}, "_query_only": {"on"}, "_defensive": {"1"}, "_dqs": {"0"}, "_pragma": {"trusted_schema(off)", "cell_size_check(on)"}}
	u := url.URL{Scheme: "file", Path: slashed, RawQuery: q.Encode()}
	db, err := sql.Open("sqlite", u.String())
	if err != nil {
		return nil, fmt.Errorf("unpack: %w", err)
	}
	s := &sqlite{db: db, dir: dir, columns: map[string][]string{}}
	for _, table := range []string{"v1_sync_runs", "v1_resource_types", "v1_resources", "v1_entitlements", "v1_grants"} {
		if s.columns[table], err = s.describe(ctx, table); err != nil {
			db.Close()
			return nil, err
		}
	}
	return s, nil
}

func (s *sqlite) close() {
	s.db.Close()
	os.RemoveAll(s.dir)
}

// describe lists the columns of a table, which a view is not: it could be a query without end.
func (s *sqlite) describe(ctx context.Context, table string) ([]string, error) {
	var n int
	if err := s.db.QueryRowContext(ctx, "SELECT count(*) FROM sqlite_schema WHERE type = 'table' AND name = ? AND sql NOT LIKE 'create virtual%'", table).Scan(&n); err != nil {
		return nil, damaged(err)
	}
	if n != 1 {
		return nil, fmt.Errorf("has no table %s: it was not written by a connector, or by one that is newer than what is known here", table)
	}
	rows, err := s.db.QueryContext(ctx, "SELECT name FROM pragma_table_info(?)", table)
	if err != nil {
		return nil, damaged(err)
	}
	defer rows.Close()
	var names []string
	for rows.Next() {
		var name string
		if err := rows.Scan(&name); err != nil {
			return nil, damaged(err)
		}
		names = append(names, name)
	}
	if err := rows.Err(); err != nil {
		return nil, damaged(err)
	}
	return names, nil
}

func (s *sqlite) syncs(ctx context.Context) ([]syncRun, error) {
	kind := "'full'" // older files know no others
	if slices.Contains(s.columns["v1_sync_runs"], "sync_type") {
		kind = "sync_type"
	}
	stats := "NULL"
	if slices.Contains(s.columns["v1_sync_runs"], "stats") {
		stats = "stats"
	}
	rows, err := s.db.QueryContext(ctx, "SELECT sync_id, "+kind+", "+stats+", CAST(started_at AS text), CAST(coalesce(ended_at, '') AS text) FROM v1_sync_runs ORDER BY id")
	if err != nil {
		return nil, damaged(err)
	}
	defer rows.Close()
	var out []syncRun
	for rows.Next() {
		var run syncRun
		var started, ended string
		var stats []byte
		if err := rows.Scan(&run.id, &run.kind, &stats, &started, &ended); err != nil {
			return nil, damaged(err)
		}
		run.started, run.ended = stamp(started), stamp(ended)
		run.finished = ended != ""
		if len(stats) > 0 && json.Unmarshal(stats, &run.counts) != nil {
			run.counts = nil // as baton-sdk does (parseStats)
		}
		out = append(out, run)
	}
	if err := rows.Err(); err != nil {
		return nil, damaged(err)
	}
	return out, nil
}

// stamp reads a time as the connector wrote it, or as SQLite's driver did. It is zero where there is none.
func stamp(text string) time.Time {
	for _, layout := range []string{"2006-01-02 15:04:05.999999999", time.RFC3339Nano, "2006-01-02 15:04:05.999999999-07:00"} {
		if at, err := time.Parse(layout, text); err == nil {
			return at.UTC()
		}
	}
	return time.Time{}
}

// rows calls do with the columns of every row of a sync, in the order of the table. The values are valid until it returns.
func (s *sqlite) rows(ctx context.Context, table string, run syncRun, columns []string, do func(place int64, row []sql.RawBytes) error) error {
	// By rowid, whatever the indices: they double as a proof that no page is read twice, as a database made up on purpose
	// could have it.
	rows, err := s.db.QueryContext(ctx, "SELECT id, "+strings.Join(columns, ", ")+" FROM "+table+" NOT INDEXED WHERE sync_id = ? ORDER BY id", run.id)
	if err != nil {
		return damaged(err)
	}
	defer rows.Close()
	var last, id int64
	row := make([]sql.RawBytes, len(columns))
	into := []any{&id}
	for i := range row {
		into = append(into, &row[i])
	}
	for n := 0; rows.Next(); n++ {
		if err := rows.Scan(into...); err != nil {
			return damaged(err)
		}
		if n > 0 && id <= last {
			return damaged(errors.New(table + ": its rows are not in order"))
		}
		last = id
		if err := do(id, row); err != nil {
			return err
		}
	}
	if err := rows.Err(); err != nil {
		return damaged(err)
	}
	return nil
}

func (s *sqlite) types(ctx context.Context, run syncRun, do func(resourceType) error) error {
	return s.rows(ctx, "v1_resource_types", run, []string{"data"}, func(_ int64, row []sql.RawBytes) error {
		t, err := resourceTypeV2(row[0])
		if err != nil {
			return err
		}
		return do(t)
	})
}

func (s *sqlite) resources(ctx context.Context, run syncRun, do func(int64, resource) error) error {
	return s.rows(ctx, "v1_resources", run, []string{"data"}, func(place int64, row []sql.RawBytes) error {
		r, err := resourceV2.read(row[0])
		if err != nil {
			return err
		}
		return do(place, r)
	})
}

func (s *sqlite) entitlements(ctx context.Context, run syncRun, do func(int64, entitlement) error) error {
	columns := []string{"external_id", "resource_type_id", "resource_id", "data"}
	return s.rows(ctx, "v1_entitlements", run, columns, func(place int64, row []sql.RawBytes) error {
		e, err := entitlementV2(row[3])
		if err != nil {
			return err
		}
		e.id, e.resourceKind, e.resourceID = string(row[0]), string(row[1]), string(row[2])
		return do(place, e)
	})
}

func (s *sqlite) grants(ctx context.Context, run syncRun, do func(int64, *grant) error) error {
	columns := []string{"entitlement_id", "principal_resource_type_id", "principal_resource_id", "data"}
	if slices.Contains(s.columns["v1_grants"], "expansion") { // else it is an annotation
		columns = append(columns, "expansion")
	}
	var g grant
	return s.rows(ctx, "v1_grants", run, columns, func(place int64, row []sql.RawBytes) (err error) {
		g = grant{entitlement: string(row[0]), kind: string(row[1]), id: string(row[2]), sources: g.sources[:0]}
		if len(columns) > 4 && len(row[4]) > 0 {
			if g.expansion, err = expandable(row[4]); err != nil {
				return err
			}
		}
		if err := g.readV2(row[3]); err != nil {
			return err
		}
		return do(place, &g)
	})
}

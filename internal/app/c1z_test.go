package app_test

import (
	"bytes"
	"database/sql"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/klauspost/compress/zstd"
	"google.golang.org/protobuf/encoding/protowire"
	_ "modernc.org/sqlite" // the database of a .c1z file

	"github.com/lapse-audit/lapse/internal/access"
)

// c1z is the database of a .c1z file of the first format, as a ConductorOne connector writes it (pkg/dotc1z in baton-sdk).
type c1z struct {
	t    *testing.T
	tx   *sql.Tx
	sync string
}

// writeC1Z writes a file of one full sync. Of each resource type there is its trait, by its number in baton-sdk.
func writeC1Z(t *testing.T, path string, types map[string]uint64, fill func(c1z)) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "c1z.db")
	db, err := sql.Open("sqlite", file)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	tx, err := db.Begin()
	if err != nil {
		t.Fatal(err)
	}
	f := c1z{t: t, tx: tx, sync: "3MUsGfeDvykHGGEZItNI6ec2QpY"}
	f.exec(`CREATE TABLE v1_sync_runs (id integer PRIMARY KEY, sync_id text NOT NULL, started_at datetime NOT NULL, ended_at datetime, sync_token text NOT NULL, sync_type text NOT NULL)`)
	f.exec(`CREATE TABLE v1_resource_types (id integer PRIMARY KEY, external_id text NOT NULL, data blob NOT NULL, sync_id text NOT NULL, discovered_at datetime NOT NULL)`)
	f.exec(`CREATE TABLE v1_resources (id integer PRIMARY KEY, resource_type_id text NOT NULL, external_id text NOT NULL, data blob NOT NULL, sync_id text NOT NULL, discovered_at datetime NOT NULL)`)
	f.exec(`CREATE TABLE v1_entitlements (id integer PRIMARY KEY, resource_type_id text NOT NULL, resource_id text NOT NULL, external_id text NOT NULL, data blob NOT NULL, sync_id text NOT NULL, discovered_at datetime NOT NULL)`)
	f.exec(`CREATE TABLE v1_grants (id integer PRIMARY KEY, resource_type_id text NOT NULL, resource_id text NOT NULL, entitlement_id text NOT NULL, principal_resource_type_id text NOT NULL, principal_resource_id text NOT NULL, external_id text NOT NULL, expansion blob, data blob NOT NULL, sync_id text NOT NULL, discovered_at datetime NOT NULL)`)
	f.exec(`INSERT INTO v1_sync_runs (sync_id, started_at, ended_at, sync_token, sync_type) VALUES (?, '2026-10-26 00:30:00', '2026-10-26 00:31:00', '', 'full')`, f.sync)
	for name, trait := range types {
		f.exec(`INSERT INTO v1_resource_types (external_id, data, sync_id, discovered_at) VALUES (?, ?, ?, '')`, name, pbJoin(pbText(1, name), pbSub(3, protowire.AppendVarint(nil, trait))), f.sync)
	}
	fill(f)
	if err := tx.Commit(); err != nil {
		t.Fatal(err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	plain, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	z, err := zstd.NewWriter(nil, zstd.WithEncoderConcurrency(1))
	if err != nil {
		t.Fatal(err)
	}
	defer z.Close()
	if err := os.WriteFile(path, append([]byte("C1ZF\x00"), z.EncodeAll(plain, nil)...), 0o600); err != nil {
		t.Fatal(err)
	}
}

func (f c1z) exec(query string, args ...any) {
	f.t.Helper()
	if _, err := f.tx.Exec(query, args...); err != nil {
		f.t.Fatalf("%s: %v", query, err)
	}
}

// resource writes a resource with a trait, such as UserTrait.
func (f c1z) resource(kind, id, name, trait string, value []byte) {
	data := pbJoin(pbSub(1, pbJoin(pbText(1, kind), pbText(2, id))), pbText(3, name))
	if trait != "" {
		data = append(data, pbSub(4, pbJoin(pbText(1, "type.googleapis.com/c1.connector.v2."+trait), pbSub(2, value)))...)
	}
	f.exec(`INSERT INTO v1_resources (resource_type_id, external_id, data, sync_id, discovered_at) VALUES (?, ?, ?, ?, '')`, kind, kind+":"+id, data, f.sync)
}

// entitlement writes what a resource grants, and returns its id.
func (f c1z) entitlement(kind, of, name, slug string) string {
	id := kind + ":" + of + ":" + slug
	data := pbJoin(pbText(2, id), pbText(3, name), pbNumber(7, 1), pbText(8, slug))
	f.exec(`INSERT INTO v1_entitlements (resource_type_id, resource_id, external_id, data, sync_id, discovered_at) VALUES (?, ?, ?, ?, ?, '')`, kind, of, id, data, f.sync)
	return id
}

// grant writes that a resource holds an entitlement; whoever holds through has it, too, unless that is "".
func (f c1z) grant(entitlement, kind, id, through string) {
	var expansion []byte
	if through != "" {
		expansion = pbText(1, through)
	}
	name := entitlement + ":" + kind + ":" + id
	f.exec(`INSERT INTO v1_grants (resource_type_id, resource_id, entitlement_id, principal_resource_type_id, principal_resource_id, external_id, expansion, data, sync_id, discovered_at)
		VALUES ('', '', ?, ?, ?, ?, ?, ?, ?, '')`, entitlement, kind, id, name, expansion, pbText(3, name), f.sync)
}

// userTrait is what a connector says of a user.
func userTrait(a access.Account) []byte {
	status, kind := uint64(2), uint64(1)
	if *a.Enabled {
		status = 1
	}
	if a.Kind == access.KindService {
		kind = 2
	}
	out := pbJoin(pbSub(2, pbNumber(1, status)), pbNumber(5, kind), pbText(6, a.Username))
	if a.Email != "" {
		out = append(out, pbSub(1, pbJoin(pbText(1, a.Email), pbNumber(2, 1)))...)
	}
	for field, at := range map[protowire.Number]*time.Time{8: a.CreatedAt, 9: a.LastLoginAt} {
		if at != nil {
			out = append(out, pbSub(field, pbNumber(1, uint64(at.Unix())))...)
		}
	}
	return out
}

func pbText(n protowire.Number, s string) []byte {
	return protowire.AppendString(protowire.AppendTag(nil, n, protowire.BytesType), s)
}

func pbSub(n protowire.Number, b []byte) []byte {
	return protowire.AppendBytes(protowire.AppendTag(nil, n, protowire.BytesType), b)
}

func pbNumber(n protowire.Number, v uint64) []byte {
	return protowire.AppendVarint(protowire.AppendTag(nil, n, protowire.VarintType), v)
}

func pbJoin(parts ...[]byte) []byte { return bytes.Join(parts, nil) }

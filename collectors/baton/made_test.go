package baton

import (
	"archive/tar"
	"bytes"
	"crypto/sha256"
	"database/sql"
	"encoding/binary"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/cockroachdb/pebble/v2"
	"github.com/klauspost/compress/zstd"
	"google.golang.org/protobuf/encoding/protowire"
)

// made is what a connector might have written, in either format.
type made struct {
	syncs        []madeSync
	types        []madeType
	resources    []madeResource
	entitlements []madeEntitlement
	grants       []madeGrant
	old          bool // before there were columns for the type of a sync and for expansions
}

type (
	madeSync     struct{ id, kind, started, ended string }
	madeType     struct{ id, trait string }
	madeResource struct {
		kind, id, name string
		trait          []byte // UserTrait
		status         []byte
		more           []byte // a further annotation
	}
	madeEntitlement struct {
		id, kind, of string
		purpose      int
		slug         string
	}
	madeGrant struct {
		entitlement, kind, id string
		expansion             *expansion
		sources               []string
	}
)

const finished = "3MUsGfeDvykHGGEZItNI6ec2QpY" // of 2026-11-23 06:46:26

// company is a small one: two users and a robot, a group within a group, and a role that the outer group has.
func company() made {
	user := func(email string, kind uint64, rest ...[]byte) []byte {
		return join(append([][]byte{sub(1, join(str(1, email), num(2, 1))), sub(2, num(1, statusEnabled)), num(5, kind)}, rest...)...)
	}
	return made{
		syncs: []madeSync{{finished, "full", "2026-11-23 06:46:26.4", "2026-11-23 06:46:27"}},
		types: []madeType{{"user", "user"}, {"group", "group"}, {"role", "role"}},
		resources: []madeResource{
			{"user", "ann", "Ann", user("ann@example.com", 1, str(6, "ann.a"), sub(9, num(1, 1_700_000_000)), sub(10, nil), sub(3, entry("dept", "Sales"))), nil, nil},
			{"user", "bob", "Bob", user("bob@example.com", 1), num(1, statusDisabled), nil},
			{"user", "bot", "Robot", user("bot@example.com", 2, sub(10, num(1, 1))), nil, nil},
			{"group", "in", "Inner", nil, nil, nil}, {"group", "out", "Outer", nil, nil, nil}, {"role", "adm", "Admin", nil, nil, nil},
		},
		entitlements: []madeEntitlement{
			{"group:in:member", "group", "in", 1, "member"}, {"group:out:member", "group", "out", 1, "member"}, {"role:adm:assigned", "role", "adm", 1, "assigned"},
			{"group:out:owner", "group", "out", 3, "owner"},
		},
		grants: []madeGrant{
			{"group:in:member", "user", "ann", nil, nil},
			{"group:out:member", "group", "in", &expansion{entitlements: []string{"group:in:member"}}, nil},
			{"group:out:member", "user", "bob", nil, nil},
			{"role:adm:assigned", "group", "out", &expansion{entitlements: []string{"group:out:member"}}, nil},
			{"role:adm:assigned", "user", "bot", nil, nil},
			{"group:out:member", "user", "ann", nil, []string{"group:in:member"}}, // worked out by the connector
			{"role:adm:assigned", "user", "bob", nil, []string{"group:out:member", "role:adm:assigned"}},
		},
	}
}

func str(n protowire.Number, s string) []byte {
	return protowire.AppendString(protowire.AppendTag(nil, n, protowire.BytesType), s)
}

func sub(n protowire.Number, b []byte) []byte {
	return protowire.AppendBytes(protowire.AppendTag(nil, n, protowire.BytesType), b)
}

func num(n protowire.Number, v uint64) []byte {
	return protowire.AppendVarint(protowire.AppendTag(nil, n, protowire.VarintType), v)
}

func join(parts ...[]byte) []byte { return bytes.Join(parts, nil) }

// entry is a text in a Struct.
func entry(key, text string) []byte { return sub(1, join(str(1, key), sub(2, str(3, text)))) }

func annotated(name string, b []byte) []byte {
	return join(str(1, "type.googleapis.com/c1.connector.v2."+name), sub(2, b))
}

func (x *expansion) wire() []byte {
	var out []byte
	for _, id := range x.entitlements {
		out = append(out, str(1, id)...)
	}
	if x.shallow {
		out = append(out, num(2, 1)...)
	}
	for _, k := range x.kinds {
		out = append(out, str(3, k)...)
	}
	return out
}

func traitNumber(name string) uint64 {
	for i, t := range traits {
		if t == name {
			return uint64(i)
		}
	}
	return 0
}

// database writes the SQLite database of v1.
func (m made) database(t testing.TB, more ...string) []byte {
	t.Helper()
	path := filepath.Join(t.TempDir(), "made.db")
	db, err := sql.Open("sqlite", path)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	exec := func(query string, args ...any) {
		t.Helper()
		if _, err := db.Exec(query, args...); err != nil {
			t.Fatalf("%s: %v", query, err)
		}
	}
	exec("pragma page_size = 512") // which fuzzing is quicker with
	exec("pragma synchronous = off")
	exec("pragma journal_mode = off")
	kindColumn, expansionColumn := ", sync_type text not null default 'full'", ", expansion blob, needs_expansion integer not null default 0"
	if m.old {
		kindColumn, expansionColumn = "", ""
	}
	exec("create table v1_sync_runs (id integer primary key, sync_id text not null, started_at datetime not null, ended_at datetime, sync_token text not null" + kindColumn + ")")
	exec("create table v1_resource_types (id integer primary key, external_id text not null, data blob not null, sync_id text not null, discovered_at datetime not null)")
	exec("create table v1_resources (id integer primary key, resource_type_id text not null, external_id text not null, parent_resource_type_id text, parent_resource_id text, data blob not null, sync_id text not null, discovered_at datetime not null)")
	exec("create table v1_entitlements (id integer primary key, resource_type_id text not null, resource_id text not null, external_id text not null, data blob not null, sync_id text not null, discovered_at datetime not null)")
	exec("create table v1_grants (id integer primary key, resource_type_id text not null, resource_id text not null, entitlement_id text not null, principal_resource_type_id text not null, principal_resource_id text not null, external_id text not null" + expansionColumn + ", data blob not null, sync_id text not null, discovered_at datetime not null)")
	for _, s := range m.syncs {
		var ended any
		if s.ended != "" {
			ended = s.ended
		}
		if m.old {
			exec("insert into v1_sync_runs (sync_id, started_at, ended_at, sync_token) values (?, ?, ?, '')", s.id, s.started, ended)
		} else {
			exec("insert into v1_sync_runs (sync_id, started_at, ended_at, sync_token, sync_type) values (?, ?, ?, '', ?)", s.id, s.started, ended, s.kind)
		}
	}
	run := m.syncs[0].id
	for _, r := range m.types {
		exec("insert into v1_resource_types (external_id, data, sync_id, discovered_at) values (?, ?, ?, '')", r.id, join(str(1, r.id), sub(3, protowire.AppendVarint(nil, traitNumber(r.trait)))), run)
	}
	for _, r := range m.resources {
		data := join(sub(1, join(str(1, r.kind), str(2, r.id))), str(3, r.name))
		if r.trait != nil {
			data = append(data, sub(4, annotated("UserTrait", r.trait))...)
		}
		if r.more != nil {
			data = append(data, sub(4, r.more)...)
		}
		if r.status != nil {
			data = append(data, sub(11, r.status)...)
		}
		exec("insert into v1_resources (resource_type_id, external_id, data, sync_id, discovered_at) values (?, ?, ?, ?, '')", r.kind, r.kind+":"+r.id, data, run)
	}
	for _, e := range m.entitlements {
		data := join(str(2, e.id), str(3, e.slug+" of "+e.of), num(7, uint64(e.purpose)), str(8, e.slug))
		exec("insert into v1_entitlements (resource_type_id, resource_id, external_id, data, sync_id, discovered_at) values (?, ?, ?, ?, ?, '')", e.kind, e.of, e.id, data, run)
	}
	for _, g := range m.grants {
		data := str(3, g.entitlement+":"+g.kind+":"+g.id)
		for _, s := range g.sources {
			data = append(data, sub(5, sub(1, join(str(1, s), sub(2, num(1, 1)))))...)
		}
		columns, marks, args := "", "", []any{"", "", g.entitlement, g.kind, g.id, g.entitlement + ":" + g.kind + ":" + g.id}
		if g.expansion != nil {
			if m.old {
				data = append(data, sub(4, annotated("GrantExpandable", g.expansion.wire()))...)
			} else {
				columns, marks, args = "expansion, ", "?, ", append(args, g.expansion.wire())
			}
		}
		exec("insert into v1_grants (resource_type_id, resource_id, entitlement_id, principal_resource_type_id, principal_resource_id, external_id, "+columns+"data, sync_id, discovered_at) values (?, ?, ?, ?, ?, ?, "+marks+"?, ?, '')",
			append(args, data, run)...)
	}
	for _, query := range more {
		exec(query)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	out, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// v1 is the file of the first format.
func (m made) v1(t testing.TB) []byte { return append([]byte(magicV1), compress(t, m.database(t))...) }

func compress(t testing.TB, b []byte) []byte {
	t.Helper()
	z, err := zstd.NewWriter(nil, zstd.WithEncoderConcurrency(1))
	if err != nil {
		t.Fatal(err)
	}
	defer z.Close()
	return z.EncodeAll(b, nil)
}

// files are those of the Pebble database of v3.
func (m made) files(t testing.TB) map[string][]byte {
	t.Helper()
	dir := t.TempDir()
	db, err := pebble.Open(dir, &pebble.Options{FormatMajorVersion: pebble.FormatNewest, Logger: quiet{}})
	if err != nil {
		t.Fatal(err)
	}
	set := func(kind byte, key string, value []byte) {
		t.Helper()
		if err := db.Set(append([]byte{keyVersion, kind}, key...), value, pebble.NoSync); err != nil {
			t.Fatal(err)
		}
	}
	set(keyMeta, "keyspace_version", binary.BigEndian.AppendUint32(nil, keyspaceVersion))
	for _, s := range m.syncs {
		value := join(str(1, s.id), num(2, 1), sub(4, num(1, uint64(stamp(s.started).Unix()))))
		if s.ended != "" {
			value = append(value, sub(5, num(1, uint64(stamp(s.ended).Unix())))...)
		}
		set(keySyncRun, "\x00"+s.id, value)
	}
	for _, r := range m.types {
		set(keyResourceType, "\x00"+r.id, join(str(2, r.id), str(4, strings.ToUpper(r.trait))))
	}
	for _, r := range m.resources {
		value := join(str(2, r.kind), str(3, r.id), str(4, r.name))
		if r.trait != nil {
			value = append(value, sub(7, annotated("UserTrait", r.trait))...)
		}
		if r.more != nil {
			value = append(value, sub(7, r.more)...)
		}
		if r.status != nil {
			value = append(value, sub(10, r.status)...)
		}
		set(keyResource, "\x00"+r.kind+"\x00"+r.id, value)
	}
	for _, e := range m.entitlements {
		set(keyEntitlement, "\x00"+e.id, join(str(2, e.id), sub(3, join(str(1, e.kind), str(2, e.of))), str(4, e.slug+" of "+e.of), str(6, strings.ToUpper(purposes[e.purpose])), str(9, e.slug)))
	}
	for _, g := range m.grants {
		value := join(sub(3, str(3, g.entitlement)), sub(4, join(str(1, g.kind), str(2, g.id))))
		if g.expansion != nil {
			value = append(value, sub(6, g.expansion.wire())...)
		}
		for _, s := range g.sources {
			value = append(value, sub(9, join(str(1, s), sub(2, num(4, 1))))...)
		}
		set(keyGrant, "\x00"+g.entitlement+"\x00"+g.kind+"\x00"+g.id, value)
	}
	saved := filepath.Join(t.TempDir(), "saved")
	if err := db.Checkpoint(saved, pebble.WithFlushedWAL()); err != nil {
		t.Fatal(err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	list, err := os.ReadDir(saved)
	if err != nil {
		t.Fatal(err)
	}
	out := map[string][]byte{}
	for _, f := range list {
		if out[f.Name()], err = os.ReadFile(filepath.Join(saved, f.Name())); err != nil {
			t.Fatal(err)
		}
	}
	return out
}

// v3 is the file of the second format, packed in one of its three ways.
func (m made) v3(t testing.TB, encoding uint64) []byte {
	t.Helper()
	return m.pack(t, encoding, m.files(t))
}

func (m made) pack(t testing.TB, encoding uint64, files map[string][]byte) []byte {
	t.Helper()
	counted := join(num(3, uint64(len(m.resources))), num(4, uint64(len(m.entitlements))), num(5, uint64(len(m.grants))))
	return envelope(t, "pebble3", encoding, files, sub(40, join(str(1, m.syncs[0].id), sub(6, counted))))
}

func envelope(t testing.TB, engine string, encoding uint64, files map[string][]byte, more ...[]byte) []byte {
	t.Helper()
	m := join(append([][]byte{str(1, engine), num(4, encoding)}, more...)...)
	out := join([]byte(magicV3), binary.BigEndian.AppendUint32(nil, uint32(len(m))), m)
	if encoding == indexedZstd {
		var list []byte
		for name, content := range files {
			packed, sum := compress(t, content), sha256.Sum256(content)
			list = append(list, sub(1, join(str(1, name), num(2, uint64(len(out))), num(3, uint64(len(packed))), num(4, uint64(len(content))), sub(6, sum[:])))...)
			out = append(out, packed...)
		}
		footer := binary.BigEndian.AppendUint64(nil, uint64(len(out)))
		footer = binary.BigEndian.AppendUint32(footer, uint32(len(list)))
		footer = append(footer, make([]byte, 8)...) // a checksum that isn't read
		return join(out, list, footer, footerMagic)
	}
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for name, content := range files {
		if err := w.WriteHeader(&tar.Header{Name: name, Mode: 0o644, Size: int64(len(content)), Typeflag: tar.TypeReg}); err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write(content); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	if encoding == plainTar {
		return append(out, b.Bytes()...)
	}
	return append(out, compress(t, b.Bytes())...)
}

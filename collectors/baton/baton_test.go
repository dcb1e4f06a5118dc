package baton

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/lapse-audit/lapse/internal/access"
	"github.com/lapse-audit/lapse/internal/collect"
	"github.com/lapse-audit/lapse/internal/collect/collecttest"
)

var clock = func() time.Time { return time.Date(2026, 11, 24, 0, 0, 0, 0, time.UTC) }

// collector reads a file with these bytes, in a folder that must be empty when it is done.
func collector(t testing.TB, file []byte, conf Config) *Collector {
	t.Helper()
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "app.c1z"), file, 0o600); err != nil {
		t.Fatal(err)
	}
	conf.Path = "app.c1z"
	private := filepath.Join(dir, "private")
	k, err := New(conf, Options{Base: dir, Now: clock, UID: "app", Private: private})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if left, _ := os.ReadDir(private); len(left) > 0 {
			t.Errorf("%s was left behind", left[0].Name())
		}
	})
	return k
}

// formats are the ways in which a file is written.
var formats = map[string]func(made, testing.TB) []byte{
	"v1":         made.v1,
	"v1 old":     func(m made, t testing.TB) []byte { m.old = true; return m.v1(t) },
	"v3 indexed": func(m made, t testing.TB) []byte { return m.v3(t, indexedZstd) },
	"v3 tar":     func(m made, t testing.TB) []byte { return m.v3(t, plainTar) },
	"v3 zstd":    func(m made, t testing.TB) []byte { return m.v3(t, tarZstd) },
}

func TestSuite(t *testing.T) {
	for _, name := range []string{"v1", "v3 indexed"} {
		t.Run(name, func(t *testing.T) {
			write := formats[name]
			collecttest.Run(t, collecttest.Spec{
				New: func(t testing.TB) collect.Collector { return collector(t, write(company(), t), Config{}) },
				Rejecting: func(t testing.TB) collect.Collector {
					m := company()
					m.grants = append(m.grants, madeGrant{"role:adm:assigned", "user", "", nil, nil})
					return collector(t, write(m, t), Config{})
				},
				Broken: map[string]func(testing.TB) collect.Collector{
					"cut off": func(t testing.TB) collect.Collector {
						b := write(company(), t)
						return collector(t, b[:len(b)*3/4], Config{})
					},
					"unfinished": func(t testing.TB) collect.Collector {
						m := company()
						m.syncs[0].ended = ""
						return collector(t, write(m, t), Config{})
					},
				},
			})
		})
	}
}

func lines(k *keeper) []string {
	var out []string
	for _, r := range k.records {
		switch r := r.(type) {
		case access.Account:
			out = append(out, fmt.Sprintf("account %s %s %q <%s> kind=%s enabled=%s mfa=%s %v", r.ID, r.Username, r.Name, r.Email, r.Kind, truth(r.Enabled), truth(r.MFA), r.Attributes))
		case access.Entitlement:
			out = append(out, fmt.Sprintf("entitlement %s %q %s of %q privileged=%s", r.ID, r.Name, r.Kind, r.Resource, truth(r.Privileged)))
		case access.Grant:
			out = append(out, fmt.Sprintf("grant %s to %s %s", r.EntitlementID, r.HolderKind, r.HolderID))
		}
	}
	for _, r := range k.rejections {
		out = append(out, fmt.Sprintf("rejected %s column %q: %s", r.File, r.Column, r.Reason))
	}
	slices.Sort(out)
	return out
}

func truth(b *bool) string {
	if b == nil {
		return "?"
	}
	return fmt.Sprint(*b)
}

func read(t testing.TB, k *Collector) ([]string, collect.Provenance) {
	t.Helper()
	var out keeper
	prov, err := k.Collect(t.Context(), &out)
	if err != nil {
		t.Fatal(err)
	}
	return lines(&out), prov
}

func TestFormats(t *testing.T) {
	want := []string{
		`account user:ann ann.a "Ann" <ann@example.com> kind=human enabled=true mfa=false map[account_type:human dept:Sales resource_type:user]`,
		`account user:bob bob@example.com "Bob" <bob@example.com> kind=human enabled=false mfa=? map[account_type:human resource_type:user]`,
		`account user:bot bot@example.com "Robot" <bot@example.com> kind=service enabled=true mfa=true map[account_type:service resource_type:user]`,
		`entitlement group:in:member "member of in" group of "Inner" privileged=?`,
		`entitlement group:out:member "member of out" group of "Outer" privileged=?`,
		`entitlement group:out:owner "owner of out" ownership of "Outer" privileged=?`,
		`entitlement role:adm:assigned "assigned of adm" role of "Admin" privileged=true`,
		`grant group:in:member to account user:ann`,
		`grant group:out:member to account user:bob`,
		`grant group:out:member to entitlement group:in:member`,
		`grant role:adm:assigned to account user:bob`, // the connector says that it was given besides
		`grant role:adm:assigned to account user:bot`,
		`grant role:adm:assigned to entitlement group:out:member`,
	}
	for name, write := range formats {
		t.Run(name, func(t *testing.T) {
			got, prov := read(t, collector(t, write(company(), t), Config{Attributes: []string{"dept"}, Privileged: []string{"role:*:assigned"}}))
			if !slices.Equal(got, want) {
				t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
			}
			if at := time.Date(2026, 11, 23, 6, 46, 26, 0, time.UTC); !prov.AsOf.Equal(at) {
				t.Errorf("as of %s, want the start of the sync, %s", prov.AsOf, at)
			}
			if len(prov.Files) != 1 || prov.Files[0].Rows != 6+4+7 {
				t.Errorf("files %+v", prov.Files)
			}
		})
	}
}

// Which entitlements hand on what, and what is not known.
func TestNesting(t *testing.T) {
	deep := func(of string) *expansion { return &expansion{entitlements: []string{of}} }
	tests := []struct {
		name   string
		change func(*made)
		conf   Config
		want   []string // lines that hold role:adm, beside the entitlement
		note   string
	}{
		{"shallow, through a group that holds others", func(m *made) { m.grants[3].expansion.shallow = true }, Config{}, []string{
			`entitlement direct:group:out:member "direct holders of group:out:member" group of "" privileged=?`,
			`grant direct:group:out:member to account user:bob`,
			`grant role:adm:assigned to entitlement direct:group:out:member`,
		}, ""},
		{"shallow, through a group that holds users only", func(m *made) {
			m.grants[3] = madeGrant{"role:adm:assigned", "group", "in", &expansion{entitlements: []string{"group:in:member"}, shallow: true}, nil}
			m.grants[6].sources = nil
		}, Config{}, []string{`grant role:adm:assigned to entitlement group:in:member`}, ""},
		{"for groups only", func(m *made) { m.grants[3].expansion.kinds = []string{"group"} }, Config{}, nil, ""},
		{"for the one type of user", func(m *made) { m.grants[3].expansion.kinds = []string{"user", "group"} }, Config{}, []string{`grant role:adm:assigned to entitlement group:out:member`}, ""},
		{"for one type of user of two", func(m *made) {
			m.types = append(m.types, madeType{"guest", "user"})
			m.resources = append(m.resources, madeResource{"guest", "gus", "Gus", nil, nil, nil})
			m.grants = append(m.grants, madeGrant{"group:out:member", "guest", "gus", nil, nil})
			m.grants[3].expansion.kinds = []string{"guest"}
		}, Config{}, []string{
			`entitlement direct:group:out:member (guest) "direct holders of group:out:member" group of "" privileged=?`,
			`grant direct:group:out:member (guest) to account guest:gus`,
			`grant role:adm:assigned to entitlement direct:group:out:member (guest)`,
		}, "some types of user only"},
		{"nobody says who is behind the group", func(m *made) { m.grants[3].expansion, m.grants[6].sources = nil, nil }, Config{}, []string{
			`entitlement resource:group:out "Outer" group of "Outer" privileged=?`,
			`grant role:adm:assigned to entitlement resource:group:out`,
		}, "who is behind them"},
		{"the configuration says who is behind the group", func(m *made) { m.grants[3].expansion, m.grants[6].sources = nil, nil }, Config{Inherit: map[string]string{"group": "member"}},
			[]string{`grant role:adm:assigned to entitlement group:out:member`}, ""},
		{"a membership that only shows in what follows from it", func(m *made) { m.grants = slices.Delete(m.grants, 3, 4) }, Config{},
			[]string{`grant role:adm:assigned to entitlement group:out:member`}, "known only by the grants that follow"},
		{"an entitlement that isn't in the file", func(m *made) {
			m.grants[3] = madeGrant{"role:adm:assigned", "user", "ann", nil, []string{"group:gone:member"}}
			m.grants[6].sources = nil
		}, Config{}, []string{`grant role:adm:assigned to account user:ann`}, "follow from an entitlement that is not in the file"},
		{"an expansion that isn't in the file", func(m *made) { m.grants[3].expansion, m.grants[6].sources = deep("group:gone:member"), nil }, Config{},
			[]string{`rejected app.c1z: grants column "expansion": "group:gone:member", whose holders hold role:adm:assigned by it, is not in the file`}, ""},
		{"an expansion of another resource", func(m *made) { m.grants[3].expansion, m.grants[6].sources = deep("group:in:member"), nil }, Config{},
			[]string{`rejected app.c1z: grants column "expansion": "group:in:member", whose holders hold role:adm:assigned by it, is of group:in, and the grant is of group:out`}, ""},
		{"a principal that isn't in the file", func(m *made) {
			m.grants[3] = madeGrant{"role:adm:assigned", "user", "zed", nil, nil}
			m.grants[6].sources = nil
		}, Config{},
			[]string{`rejected app.c1z: grants column "principal": "user:zed", who holds role:adm:assigned, is not in the file`}, ""},
	}
	always := []string{`entitlement role:adm:assigned "assigned of adm" role of "Admin" privileged=?`, `grant role:adm:assigned to account user:bob`, `grant role:adm:assigned to account user:bot`}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			m := company()
			test.change(&m)
			all, prov := read(t, collector(t, m.v1(t), test.conf))
			var got []string
			for _, line := range all {
				if (strings.Contains(line, "role:adm") || strings.Contains(line, "direct:") || strings.Contains(line, "resource:")) && !slices.Contains(always, line) {
					got = append(got, line)
				}
			}
			if !slices.Equal(got, test.want) {
				t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(test.want, "\n"))
			}
			if notes := strings.Join(prov.Notes, "\n"); !strings.Contains(notes, test.note) {
				t.Errorf("notes %q lack %q", notes, test.note)
			}
			if partial := prov.Coverage["grants"] == access.CoveragePartial; partial != strings.Contains(test.note, "behind") {
				t.Errorf("coverage of grants is %q", prov.Coverage["grants"])
			}
		})
	}
}

func TestSyncs(t *testing.T) {
	const old, later = "3MUs00000000000000000000000", "3MUt00000000000000000000000"
	tests := []struct {
		name  string
		syncs []madeSync // the records are of the first
		want  string     // of the error; else of the notes
	}{
		{"the one that ended last", []madeSync{{finished, "full", "2026-11-23 06:00:00", "2026-11-23 07:00:00"}, {old, "full", "2026-11-22 06:00:00", "2026-11-22 07:00:00"}}, ""},
		{"a later one of a part", []madeSync{{finished, "full", "2026-11-23 06:00:00", "2026-11-23 07:00:00"}, {later, "partial", "2026-11-23 08:00:00", "2026-11-23 09:00:00"}}, ""},
		{"a later one that wasn't finished", []madeSync{{finished, "full", "2026-11-23 06:00:00", "2026-11-23 07:00:00"}, {later, "full", "2026-11-23 08:00:00", ""}}, "a later sync in the file was not finished"},
		{"parts only", []madeSync{{finished, "resources_only", "2026-11-23 06:00:00", "2026-11-23 07:00:00"}}, "holds no full sync that was finished, only some of type resources_only"},
		{"none that was finished", []madeSync{{finished, "full", "2026-11-23 06:00:00", ""}}, "holds only a sync that was not finished"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			m := company()
			m.syncs = test.syncs
			var out keeper
			prov, err := collector(t, m.v1(t), Config{}).Collect(t.Context(), &out)
			got := fmt.Sprint(err)
			if err == nil {
				if got = strings.Join(prov.Notes, "; "); len(out.records) != 13 {
					t.Errorf("%d records", len(out.records))
				}
			}
			if !strings.Contains(got, test.want) {
				t.Errorf("got %q, want %q", got, test.want)
			}
		})
	}
}

// A sync that two files of one app hold: the other's records are no part of it.
func TestOtherSync(t *testing.T) {
	m := company()
	m.syncs = append([]madeSync{{"3MUs00000000000000000000000", "full", "2026-11-22 06:00:00", "2026-11-22 07:00:00"}}, m.syncs...)
	var out keeper
	if _, err := collector(t, m.v1(t), Config{}).Collect(t.Context(), &out); err != nil {
		t.Fatal(err)
	}
	if len(out.records) != 0 {
		t.Errorf("%d records of another sync", len(out.records))
	}
}

func TestBadFiles(t *testing.T) {
	m := company()
	v1, v3 := m.v1(t), m.v3(t, indexedZstd)
	files := m.files(t)
	lie := strings.Replace(string(m.database(t)), "CREATE TABLE v1_grants", "CREATE TABLE v1_grantz", 1)
	view := m.database(t, "drop table v1_grants", // for a query that somebody else wrote
		"create view v1_grants as with recursive r(id) as (select 1 union all select id + 1 from r) select id, '' sync_id from r")
	bomb := append([]byte(magicV1), compress(t, make([]byte, 64<<20))...)
	tests := []struct {
		name string
		file []byte
		max  Size
		want string
	}{
		{"empty", nil, 0, "is empty"},
		{"short", []byte("C1Z"), 0, "is no .c1z file: it is too short"},
		{"another", []byte("SQLite format 3\x00"), 0, "is no .c1z file: it doesn't begin as one"},
		{"no zstd", []byte(magicV1 + "this is no zstd"), 0, "damaged or was cut off"},
		{"cut off", v1[:len(v1)-20], 0, "damaged or was cut off"},
		{"no database", append([]byte(magicV1), compress(t, []byte(strings.Repeat("x", 5000)))...), 0, "damaged or was cut off"},
		{"a schema that lies", append([]byte(magicV1), compress(t, []byte(lie))...), 0, "damaged or was cut off"},
		{"a view", append([]byte(magicV1), compress(t, view)...), 0, "has no table v1_grants"},
		{"bomb", bomb, 1 << 20, "becomes larger than 1MiB when it is unpacked"},
		{"bomb in v3", envelope(t, "pebble3", tarZstd, map[string][]byte{"x": make([]byte, 2<<20)}), 1 << 20, "becomes larger than 1MiB"},
		{"bomb in a frame", envelope(t, "pebble3", indexedZstd, map[string][]byte{"x": make([]byte, 2<<20)}), 1 << 20, "becomes larger than 1MiB"},
		{"no manifest", []byte(magicV3 + "\x00\x00\x00\x10abc"), 0, "damaged or was cut off"},
		{"a long manifest", []byte(magicV3 + "\xff\xff\xff\xff"), 0, "its manifest has 4294967295 bytes"},
		{"another engine", envelope(t, "sled", tarZstd, files), 0, `is kept by the engine "sled", which is not known here: run the connector with --storage-engine sqlite`},
		{"another packing", envelope(t, "pebble3", 9, files), 0, "is packed in a way (9) that is not known here: run the connector with --storage-engine sqlite"},
		{"v3 cut off", v3[:len(v3)-1], 0, "its list of files is missing"},
		{"a path that leads out", envelope(t, "pebble3", plainTar, map[string][]byte{"../x": nil}), 0, `it holds a file named "../x"`},
		{"an absolute path", envelope(t, "pebble3", indexedZstd, map[string][]byte{"/tmp/x": nil}), 0, `it holds a file named "/tmp/x"`},
		{"no database in v3", envelope(t, "pebble3", plainTar, map[string][]byte{"x": []byte("y")}), 0, "its database can't be opened"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			_, err := collector(t, test.file, Config{MaxSize: test.max}).Collect(t.Context(), &keeper{})
			if err == nil || !strings.Contains(err.Error(), test.want) || !strings.HasPrefix(err.Error(), "app.c1z: ") {
				t.Errorf("got %v, want %q", err, test.want)
			}
		})
	}
}

// Pebble ends the process over what it can't go on from, if it is let.
func TestDamagedPebble(t *testing.T) {
	m := company()
	files := m.files(t)
	for name, content := range files {
		if len(content) < 20 {
			continue
		}
		damagedFiles := map[string][]byte{}
		for n, c := range files {
			damagedFiles[n] = c
		}
		bad := append([]byte(nil), content...)
		for i := len(bad) / 3; i < len(bad)*2/3; i++ {
			bad[i] ^= 0x5a
		}
		damagedFiles[name] = bad
		t.Run(name, func(t *testing.T) {
			var out keeper
			_, err := collector(t, m.pack(t, tarZstd, damagedFiles), Config{}).Collect(t.Context(), &out)
			if err == nil && len(out.records)+len(out.rejections) < 13 {
				t.Errorf("%d records passed off as the whole", len(out.records))
			}
		})
	}
}

func TestKSUID(t *testing.T) {
	// The example of github.com/segmentio/ksuid's README.
	at, ok := ksuidTime("0ujtsYcgvSTl8PAuAdqWYSMnLOv")
	if want := time.Date(2017, 10, 10, 4, 0, 47, 0, time.UTC); !ok || !at.Equal(want) {
		t.Errorf("%s, %v, want %s", at, ok, want)
	}
	for _, bad := range []string{"", "0ujtsYcgvSTl8PAuAdqWYSMnLO!", "zzzzzzzzzzzzzzzzzzzzzzzzzzz"} {
		if at, ok := ksuidTime(bad); ok {
			t.Errorf("%q is %s", bad, at)
		}
	}
}

func TestConfig(t *testing.T) {
	tests := []struct {
		conf Config
		want string
	}{
		{Config{}, "path: is missing"},
		{Config{Path: "x", Fields: map[string]string{"usrname": "x"}}, `fields: there is no field "usrname": did you mean "username"?`},
		{Config{Path: "x", Fields: map[string]string{"username": ""}}, "fields: username: name a key of the profile"},
		{Config{Path: "x", Kinds: []Kind{{Kind: "robot", Username: "x"}}}, `kinds[0]: kind: "robot" is none of`},
		{Config{Path: "x", Kinds: []Kind{{Kind: "service"}}}, "kinds[0]: says nothing of which accounts"},
		{Config{Path: "x", Privileged: []string{"["}}, `privileged[0]: "[" is no pattern`},
		{Config{Path: "x", Inherit: map[string]string{"group": ""}}, "inherit: group: name the slug"},
	}
	for _, test := range tests {
		if err := test.conf.Validate(); err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("got %v, want %q", err, test.want)
		}
	}
	if _, err := New(Config{Path: "x"}, Options{Roster: true, UID: "app"}); err == nil || !strings.Contains(err.Error(), "app can't be a roster") {
		t.Errorf("as a roster: %v", err)
	}
	var s Size
	if err := s.UnmarshalText([]byte("2GiB")); err != nil || s != 2<<30 {
		t.Errorf("2GiB is %d, %v", s, err)
	}
	if err := s.UnmarshalText([]byte("2GB")); err == nil {
		t.Error("2GB is a size")
	}
}

// Fields and kinds of the configuration.
func TestAccounts(t *testing.T) {
	k := collector(t, company().v1(t), Config{Fields: map[string]string{"purpose": "dept", "name": "dept"}, Kinds: []Kind{{Kind: access.KindShared, Username: "BOB*", Type: "user"}}})
	var out keeper
	if _, err := k.Collect(context.Background(), &out); err != nil {
		t.Fatal(err)
	}
	ann, bob := out.records[0].(access.Account), out.records[1].(access.Account)
	if ann.Purpose != "Sales" || ann.Name != "Ann" {
		t.Errorf("%+v", ann)
	}
	if bob.Kind != access.KindShared {
		t.Errorf("kind %q", bob.Kind)
	}
	if ann.LastLoginAt == nil || ann.LastLoginAt.Unix() != 1_700_000_000 || bob.LastLoginAt != nil {
		t.Errorf("last sign-ins %v, %v", ann.LastLoginAt, bob.LastLoginAt)
	}
}

// A collection that was killed leaves its folder. The next of the same source, a day later, removes it, and no other's.
func TestLeftovers(t *testing.T) {
	k := collector(t, company().v1(t), Config{})
	dir := k.opt.Private
	k.opt.Private = filepath.Join(dir, "p")
	for name, age := range map[string]time.Duration{"baton-app-1": 25 * time.Hour, "baton-app-2": time.Hour, "baton-other-1": 25 * time.Hour} {
		path := filepath.Join(k.opt.Private, name)
		if err := os.MkdirAll(path, 0o700); err != nil {
			t.Fatal(err)
		}
		at := time.Now().Add(-age)
		if err := os.Chtimes(path, at, at); err != nil {
			t.Fatal(err)
		}
	}
	read(t, k)
	left, err := os.ReadDir(k.opt.Private)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, e := range left {
		names = append(names, e.Name())
	}
	if !slices.Equal(names, []string{"baton-app-2", "baton-other-1"}) {
		t.Errorf("left are %v", names)
	}
	if err := os.RemoveAll(dir); err != nil {
		t.Fatal(err)
	}
}

// Names and ids of 10 MB, and texts that are none, are reported, and the others are read.
func TestOddTexts(t *testing.T) {
	m := company()
	long := strings.Repeat("x", 10<<20)
	m.resources = append(m.resources,
		madeResource{"user", "long", long, m.resources[0].trait, nil, nil},
		madeResource{"user", long, "Long", m.resources[0].trait, nil, nil},
		madeResource{"user", "bytes", "a\xff", m.resources[0].trait, nil, nil})
	var out keeper
	res, err := collect.Run(t.Context(), collector(t, m.v1(t), Config{}), &out, collect.Options{Limits: collect.Limits{MaxRejected: 1}, Now: time.Now()})
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, r := range res.Rejections {
		got = append(got, r.String())
	}
	want := []string{
		`app.c1z: resources line 7 column "name": is a text of 10485760 bytes: the most is 1048576`,
		`app.c1z: resources line 8 column "id": is a text of 10485765 bytes: the most is 1048576`,
		`app.c1z: resources line 9 column "name": not valid UTF-8`,
	}
	if !slices.Equal(got, want) {
		t.Errorf("got\n%.2000s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	accounts := 0
	for _, r := range out.records {
		if _, ok := r.(access.Account); ok {
			accounts++
		}
	}
	if accounts != 3 {
		t.Errorf("%d accounts, want the other three", accounts)
	}
}

// Licenses with their seats, and credentials of accounts.
func TestTraits(t *testing.T) {
	for name, write := range formats {
		t.Run(name, func(t *testing.T) {
			m := company()
			m.types = append(m.types, madeType{"plan", "license_profile"}, madeType{"token", "secret"})
			m.resources = append(m.resources,
				madeResource{"plan", "e3", "E3", nil, nil, annotated("LicenseProfileTrait", join(str(1, "Enterprise"), num(2, 25), num(4, 5700), str(6, "group:out:member"), str(6, "role:adm:assigned")))},
				madeResource{"token", "t1", "CI", nil, nil, annotated("SecretTrait", join(sub(2, num(1, 1_700_000_000)), sub(4, num(1, 1_700_000_100)), sub(6, join(str(1, "user"), str(2, "bot"))), num(7, 1)))},
				madeResource{"token", "t2", "nobody's", nil, nil, annotated("SecretTrait", nil)})
			k := collector(t, write(m, t), Config{})
			var out keeper
			prov, err := k.Collect(t.Context(), &out)
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, r := range out.records {
				switch r := r.(type) {
				case access.License:
					got = append(got, fmt.Sprintf("license %s %q %d %q", r.SKU, r.Product, *r.Purchased, r.CostMonth))
				case access.Seat:
					got = append(got, fmt.Sprintf("seat %s of %s", r.SKU, r.AccountID))
				case access.Account:
					for _, k := range r.Keys {
						got = append(got, fmt.Sprintf("key %s %s of %s, made %d, used %d", k.ID, k.Kind, r.ID, k.CreatedAt.Unix(), k.LastUsedAt.Unix()))
					}
				}
			}
			slices.Sort(got)
			want := []string{
				"key token:t1 token of user:bot, made 1700000000, used 1700000100", `license plan:e3 "Enterprise" 25 ""`,
				"seat plan:e3 of user:ann", "seat plan:e3 of user:bob", "seat plan:e3 of user:bot",
			}
			if !slices.Equal(got, want) {
				t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
			}
			if !slices.Contains(prov.Reads, "seats") || !strings.Contains(strings.Join(prov.Notes, "\n"), "prices of licenses are not taken") {
				t.Errorf("reads %v, notes %v", prov.Reads, prov.Notes)
			}
		})
	}
}

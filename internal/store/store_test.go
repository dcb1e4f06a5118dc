package store

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"net/http/httptest"
	"os"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/lapse-audit/lapse/internal/access"
)

// The suite is one for every way to the engine.

func TestStoreEmbedded(t *testing.T) { testStore(t, openEmbedded(t)) }
func TestStoreSocket(t *testing.T)   { testStore(t, openSocket(t, openEmbedded(t))) }
func TestStoreHTTP(t *testing.T)     { testStore(t, openHTTP(t, openEmbedded(t))) }

func testStore(t *testing.T, s *Store) {
	t.Run("round trip", func(t *testing.T) { testRoundTrip(t, s) })
	t.Run("many rows", func(t *testing.T) { testManyRows(t, s) })
	t.Run("unpublished is invisible", func(t *testing.T) { testUnpublished(t, s) })
	t.Run("clean", func(t *testing.T) { testClean(t, s) })
	t.Run("duplicates", func(t *testing.T) { testDuplicates(t, s) })
	t.Run("history", func(t *testing.T) { testHistory(t, s) })
	t.Run("first seen", func(t *testing.T) { testFirstSeen(t, s) })
	t.Run("far dates", func(t *testing.T) { testFarDates(t, s) })
	t.Run("resent batch", func(t *testing.T) { testResentBatch(t, s) })
	t.Run("cancel", func(t *testing.T) { testCancel(t, s) })
	t.Run("break off", func(t *testing.T) { testBreakOff(t, s) })
	t.Run("memory limit", func(t *testing.T) { testMemoryLimit(t, s) })
	t.Run("open again", func(t *testing.T) { testOpenAgain(t, s) })
}

func library(t testing.TB) string {
	t.Helper()
	path := os.Getenv("LAPSE_LIBCHDB")
	if path == "" {
		if os.Getenv("CI") == "true" {
			t.Fatal("LAPSE_LIBCHDB is not set: run `make test`")
		}
		t.Skip("LAPSE_LIBCHDB is not set: run `make test`, or `npm ci` and set it to the path of libchdb.so")
	}
	return path
}

// wall is what Options.Now says in tests.
var wall = time.Date(2026, 11, 23, 2, 30, 0, 0, time.UTC)

func mustOpen(t testing.TB, o Options) *Store {
	t.Helper()
	o.Library, o.Threads = library(t), 2
	if o.Now == nil {
		o.Now = func() time.Time { return wall }
	}
	s, err := Open(context.Background(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

func openEmbedded(t testing.TB) *Store {
	t.Helper()
	s := mustOpen(t, Options{URL: "embedded:" + t.TempDir()})
	if s.holder != HolderSelf {
		t.Fatalf("the holder is %s", s.holder)
	}
	return s
}

func openSocket(t testing.TB, holder *Store) *Store {
	t.Helper()
	s := mustOpen(t, Options{URL: holder.where.String()})
	if s.holder != HolderOther {
		t.Fatalf("the holder is %s", s.holder)
	}
	return s
}

func openHTTP(t testing.TB, holder *Store) *Store {
	t.Helper()
	server := httptest.NewServer(holder.engine.Handler())
	t.Cleanup(server.Close)
	return mustOpen(t, Options{URL: server.URL + "/contract"})
}

func ptr[T any](v T) *T { return &v }

func at(text string) *time.Time {
	t, err := time.Parse(time.RFC3339, text)
	if err != nil {
		panic(err)
	}
	return &t
}

var night = *at("2026-11-23T02:00:00.123Z")

func begin(t testing.TB, s *Store, source string, taken time.Time) *SnapshotWriter {
	t.Helper()
	w, err := s.NewSnapshot(t.Context(), SnapshotInfo{Source: source, Name: "Name of " + source, Type: "file", Roster: source == "hr", TakenAt: taken})
	if err != nil {
		t.Fatal(err)
	}
	return w
}

func put(t testing.TB, w *SnapshotWriter, records ...access.Record) {
	t.Helper()
	for _, r := range records {
		if err := w.Put(r); err != nil {
			t.Fatal(err)
		}
	}
}

func publish(t testing.TB, w *SnapshotWriter, status SnapshotStatus) Snapshot {
	t.Helper()
	snap, err := w.Publish(t.Context(), SnapshotMeta{Status: status})
	if err != nil {
		t.Fatal(err)
	}
	return snap
}

func gather[T any](t testing.TB, seq iter.Seq2[T, error]) []T {
	t.Helper()
	var all []T
	for v, err := range seq {
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, v)
	}
	return all
}

func gatherError[T any](seq iter.Seq2[T, error]) (n int, err error) {
	for _, err = range seq {
		if err != nil {
			return n, err
		}
		n++
	}
	return n, nil
}

func wantEqual(t testing.TB, what string, got, want any) {
	t.Helper()
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("%s (-want +got):\n%s", what, diff)
	}
}

func testRoundTrip(t *testing.T, s *Store) {
	persons := []access.Person{
		{ID: "p1", RecordID: "r1", EmployeeID: "E1", Username: "ANNA", Email: "Anna@Example.com", Name: "Anna Ångström\t'\\", Kind: "employee",
			Status: access.PersonActive, Department: "Sales", Title: "Lead", Location: "Oslo", Company: "C", CostCenter: "7", ManagerID: "p2",
			StartAt: at("2020-01-01T08:00:00Z"), PreviousDepartment: "Ops", PreviousTitle: "Clerk", TransferredAt: at("2026-01-01T00:00:00Z"),
			HighRisk: ptr(false), Attributes: map[string]string{"a": "1", "b": ""}},
		{ID: "p2", RecordID: "r2", Status: access.PersonLeave, Attributes: map[string]string{}},
		{ID: "p2", RecordID: "r3", Status: access.PersonActive, EndAt: at("2026-11-23T02:00:00Z")},
		{ID: "p3", RecordID: "r4"},
		{ID: "p4", RecordID: "r5", StartAt: at("2027-01-01T00:00:00Z")},
		{ID: "p5", RecordID: "r6", Status: access.PersonEnded},
	}
	accounts := []access.Account{
		{ID: "a1", Username: "STRASSE", Email: "ＡＢＣ@x.org", Name: "n", EmployeeID: " e1 ", Kind: access.KindHuman, Enabled: ptr(true), Privileged: ptr(false),
			External: ptr(true), BreakGlass: ptr(false), LegalHold: ptr(true), LocalLogin: ptr(false), Locked: ptr(true), MFA: ptr(false),
			MailboxType: "user", OwnerID: "Owner", Sponsor: "s", Purpose: "p", PasswordNeverExpires: ptr(true), PasswordNotRequired: ptr(false),
			ForwardsExternally: ptr(true), HasSPN: ptr(false), ActiveSessions: ptr(int64(3)), CreatedAt: at("2019-05-05T05:05:05.005Z"),
			LastLoginAt: at("2026-11-01T00:00:00Z"), NeverLoggedIn: ptr(false), InteractiveLoginAt: at("2026-11-02T00:00:00Z"),
			PasswordChangedAt: at("2026-11-03T00:00:00Z"), DisabledAt: at("2026-11-04T00:00:00Z"), ExpiresAt: at("2026-11-05T00:00:00Z"),
			Keys:       []access.Key{{ID: "k1", Kind: "key", Active: ptr(true), CreatedAt: at("2026-11-06T00:00:00Z")}, {ID: "k2", LastUsedAt: at("2026-11-07T00:00:00Z")}},
			Attributes: map[string]string{"dn": "CN=Anna,DC=example"}},
		{ID: "a2", Keys: []access.Key{}},
		{ID: "a3"},
	}
	entitlements := []access.Entitlement{
		{ID: "e1", Name: "Admins", Kind: "group", Resource: "R", Privileged: ptr(true), HighRisk: ptr(false), OwnerID: "Boss@X.org",
			ReviewedAt: at("2026-01-02T03:04:05Z"), Tags: []string{"x", "y"}, Attributes: map[string]string{"k": "v"}},
		{ID: "e2", Tags: []string{}},
		{ID: "e3"},
	}
	grants := []access.Grant{
		{HolderKind: access.HolderAccount, HolderID: "a1", EntitlementID: "e2", GrantedAt: at("2026-01-01T00:00:00Z"), LastUsedAt: at("2026-02-01T00:00:00Z"),
			ExpiresAt: at("2026-03-01T00:00:00Z"), ReviewedAt: at("2026-04-01T00:00:00Z"), Approved: ptr(true)},
		{HolderKind: access.HolderEntitlement, HolderID: "e2", EntitlementID: "e1"},
	}
	licenses := []access.License{{SKU: "s1", Product: "P", CostMonth: "57.25", Currency: "USD", Purchased: ptr(int64(10)), RenewsAt: at("2027-01-01T00:00:00Z")}, {SKU: "s2"}}
	seats := []access.Seat{
		{AccountID: "a1", SKU: "s1", Product: "P", CostMonth: "0.0001", Currency: "EUR", AssignedAt: at("2026-01-01T00:00:00Z"), LastUsedAt: at("2026-01-02T00:00:00Z"), NeverUsed: ptr(false)},
		{AccountID: "a2", SKU: "s1", NeverUsed: ptr(true)},
	}
	usages := []access.Usage{{AccountID: "a1", SKU: "s1", LastUsedAt: at("2026-11-11T11:11:11Z"), NeverUsed: ptr(false)}, {AccountID: "a2", EntitlementID: "e1"}}
	rejections := []Rejection{{File: "f.csv", Line: 7, Column: "end", Reason: "no date"}, {File: "f.csv", Line: 7, Column: "end", Reason: "no date"}}

	w := begin(t, s, "hr", night)
	for _, r := range rejections {
		if err := w.Reject(r); err != nil {
			t.Fatal(err)
		}
	}
	putAll(t, w, persons)
	putAll(t, w, accounts)
	putAll(t, w, entitlements)
	putAll(t, w, grants)
	putAll(t, w, licenses)
	putAll(t, w, seats)
	putAll(t, w, usages)
	meta := SnapshotMeta{Status: Accepted, Reasons: []string{"because"}, Coverage: map[string]access.Coverage{"mfa": access.CoverageFull},
		Reads: []string{"accounts", "grants"}, Provenance: json.RawMessage(`{"files":[{"name":"f.csv"}]}`), AsOf: night.Add(-time.Hour), Bytes: 123}
	snap, err := w.Publish(t.Context(), meta)
	if err != nil {
		t.Fatal(err)
	}
	want := Snapshot{ID: w.ID(), RecordedAt: wall, SnapshotMeta: meta,
		SnapshotInfo: SnapshotInfo{Source: "hr", Name: "Name of hr", Type: "file", Roster: true, TakenAt: night},
		Counts: Counts{Rejected: 2, ActivePeople: 3, Records: map[string]uint64{"people": 6, "accounts": 3, "entitlements": 3, "grants": 2,
			"licenses": 2, "seats": 2, "usage": 2}}}
	wantEqual(t, "published", snap, want)
	all, err := s.Snapshots(t.Context(), SnapshotFilter{Source: "hr"})
	if err != nil {
		t.Fatal(err)
	}
	wantEqual(t, "listed", all, []Snapshot{want})

	var people []access.Person
	var keys []string
	for r, err := range s.People(t.Context(), "hr", snap.ID) {
		if err != nil {
			t.Fatal(err)
		}
		people, keys = append(people, r.Person), append(keys, r.EmployeeIDKey+"|"+r.UsernameKey+"|"+r.EmailKey)
	}
	wantEqual(t, "people", people, persons)
	wantEqual(t, "keys of people", keys[:2], []string{"e1|anna|anna@example.com", "||"})
	full := gather(t, s.FullAccounts(t.Context(), "hr", snap.ID))
	full[0].Keys = accounts[0].Keys // they are read apart
	wantEqual(t, "accounts", full, accounts)
	wantEqual(t, "account keys", gather(t, s.AccountKeys(t.Context(), "hr", snap.ID)), []AccountKey{{"a1", accounts[0].Keys[0]}, {"a1", accounts[0].Keys[1]}})
	wantEqual(t, "account for linking", gather(t, s.AccountsToLink(t.Context(), "hr", snap.ID))[0], AccountRef{ID: "a1",
		UsernameKey: "strasse", EmailKey: "abc@x.org", EmployeeIDKey: "e1", Kind: access.KindHuman, CreatedAt: accounts[0].CreatedAt})
	wantEqual(t, "account", gather(t, s.Accounts(t.Context(), "hr", snap.ID))[0], AccountRef{ID: "a1", Username: "STRASSE",
		Email: "ＡＢＣ@x.org", EmployeeID: " e1 ", OwnerID: "Owner", UsernameKey: "strasse", EmailKey: "abc@x.org", EmployeeIDKey: "e1", OwnerKey: "owner",
		Kind: access.KindHuman, Enabled: ptr(true), CreatedAt: accounts[0].CreatedAt})
	wantEqual(t, "entitlements", gather(t, s.Entitlements(t.Context(), "hr", snap.ID)), entitlements)
	wantEqual(t, "grants", gather(t, s.Grants(t.Context(), "hr", snap.ID)), grants)
	wantEqual(t, "licenses", gather(t, s.Licenses(t.Context(), "hr", snap.ID)), licenses)
	wantEqual(t, "seats", gather(t, s.Seats(t.Context(), "hr", snap.ID)), seats)
	wantEqual(t, "usage", gather(t, s.Usage(t.Context(), "hr", snap.ID)), usages)
	wantEqual(t, "rejections", gather(t, s.Rejections(t.Context(), "hr", snap.ID)), rejections)
}

func putAll[R access.Record](t testing.TB, w *SnapshotWriter, records []R) {
	t.Helper()
	for _, r := range records {
		put(t, w, r)
	}
}

func testManyRows(t *testing.T, s *Store) {
	const n = 2*batchRows + 17
	w := begin(t, s, "many", night)
	for i := range n {
		put(t, w, access.Account{ID: fmt.Sprintf("%08d", i), Username: fmt.Sprint("u", i), Enabled: ptr(i%2 == 0)})
	}
	counts, duplicates, err := w.Finish(t.Context())
	if err != nil || counts.Records["accounts"] != n || len(duplicates) > 0 {
		t.Fatalf("finished with %v, %v, %v", counts, duplicates, err)
	}
	if err := w.Put(access.Account{ID: "late"}); err == nil {
		t.Error("a record was taken after Finish")
	}
	snap := publish(t, w, Accepted)
	i := 0
	for a, err := range s.Accounts(t.Context(), "many", snap.ID) {
		if err != nil {
			t.Fatal(err)
		}
		if a.ID != fmt.Sprintf("%08d", i) || *a.Enabled != (i%2 == 0) {
			t.Fatalf("account %d is %+v", i, a)
		}
		i++
	}
	if i != n {
		t.Errorf("%d accounts were read, want %d", i, n)
	}
}

func testUnpublished(t *testing.T, s *Store) {
	w := begin(t, s, "hidden", night)
	put(t, w, access.Account{ID: "a"})
	if _, _, err := w.Finish(t.Context()); err != nil {
		t.Fatal(err)
	}
	if all, err := s.Snapshots(t.Context(), SnapshotFilter{Source: "hidden"}); err != nil || len(all) > 0 {
		t.Errorf("an unpublished snapshot is listed: %v, %v", all, err)
	}
	if n, err := gatherError(s.Accounts(t.Context(), "hidden", w.ID())); n != 0 || !errors.Is(err, ErrNotFound) {
		t.Errorf("%d accounts of an unpublished snapshot were read: %v", n, err)
	}
	if _, err := s.LatestAccepted(t.Context(), "hidden", night); !errors.Is(err, ErrNotFound) {
		t.Errorf("LatestAccepted = %v", err)
	}
	if err := w.Abandon(t.Context()); err != nil {
		t.Fatal(err)
	}
	wantRows(t, s, 0, "accounts", "hidden")
	wantRows(t, s, 0, "snapshot_writes", "hidden")
	if err := w.Abandon(t.Context()); err != nil {
		t.Errorf("abandoned twice: %v", err)
	}
}

func wantRows(t testing.TB, s *Store, want uint64, table, source string) {
	t.Helper()
	var n uint64
	err := s.row(t.Context(), []any{&n}, "SELECT count() FROM "+table+" WHERE source = {source:String}", snapshotKey{source, 0}.args()[0])
	if err != nil || n != want {
		t.Errorf("%s has %d rows of %s, want %d (%v)", table, n, source, want, err)
	}
}

func testClean(t *testing.T, s *Store) {
	live := begin(t, s, "clean-live", night)
	put(t, live, access.Account{ID: "a"})
	dead := begin(t, s, "clean-dead", night)
	put(t, dead, access.Account{ID: "a", Keys: []access.Key{{ID: "k"}}}, access.Grant{HolderKind: "account", HolderID: "a", EntitlementID: "e"})
	if _, _, err := dead.Finish(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := dead.rememberFirstSeen(t.Context()); err != nil {
		t.Fatal(err)
	}
	wantRows(t, s, 2, "first_seen", "clean-dead")
	dead.release() // as if its process had been killed
	fine := begin(t, s, "clean-fine", night)
	put(t, fine, access.Account{ID: "a"})
	publish(t, fine, Accepted)

	if n, err := s.CleanUnpublished(t.Context()); err != nil || n != 1 {
		t.Fatalf("cleaned %d, %v; want 1", n, err)
	}
	for _, table := range []string{"accounts", "account_keys", "grants", "first_seen", "snapshot_writes"} {
		wantRows(t, s, 0, table, "clean-dead")
	}
	wantRows(t, s, 1, "accounts", "clean-fine")
	wantRows(t, s, 1, "first_seen", "clean-fine")
	wantRows(t, s, 0, "snapshot_writes", "clean-fine")
	publish(t, live, Accepted)
	wantRows(t, s, 1, "accounts", "clean-live")
	if n, err := s.CleanUnpublished(t.Context()); err != nil || n != 0 {
		t.Errorf("cleaned %d, %v; want 0", n, err)
	}
}

func testDuplicates(t *testing.T, s *Store) {
	w := begin(t, s, "twice", night)
	put(t, w, access.Account{ID: "a"}, access.Account{ID: "b"}, access.Account{ID: "a"},
		access.Grant{HolderKind: "account", HolderID: "a", EntitlementID: "e"}, access.Grant{HolderKind: "account", HolderID: "a", EntitlementID: "e"},
		access.Grant{HolderKind: "entitlement", HolderID: "a", EntitlementID: "e"})
	_, found, err := w.Finish(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	want := []Duplicate{{"accounts", []string{"a"}, 2}, {"grants", []string{"account", "a", "e"}, 2}}
	wantEqual(t, "duplicates", found, want)
	_, err = w.Publish(t.Context(), SnapshotMeta{Status: Accepted})
	var dup *DuplicateError
	if !errors.As(err, &dup) || dup.Source != "twice" || len(dup.Duplicates) != 2 {
		t.Errorf("published as accepted: %v", err)
	}
	publish(t, w, Quarantined)
	if _, err := s.LatestAccepted(t.Context(), "twice", night); !errors.Is(err, ErrNotFound) {
		t.Errorf("LatestAccepted = %v", err)
	}
	wantRows(t, s, 0, "first_seen", "twice")
}

func testHistory(t *testing.T, s *Store) {
	var ids []uint64
	for i := range 5 {
		w := begin(t, s, "history", night.AddDate(0, 0, i))
		for j := range i {
			put(t, w, access.Account{ID: fmt.Sprint(j)})
		}
		publish(t, w, map[bool]SnapshotStatus{true: Quarantined, false: Accepted}[i == 3])
		ids = append(ids, w.ID())
	}
	for i, id := range ids[1:] {
		if id <= ids[i] {
			t.Errorf("ids don't grow: %v", ids)
		}
	}
	got := func(until time.Time, n int) (out []uint64) {
		all, err := s.History(t.Context(), "history", until, n)
		if err != nil {
			t.Fatal(err)
		}
		for _, snap := range all {
			out = append(out, snap.Records["accounts"])
		}
		return out
	}
	wantEqual(t, "last two", got(night.AddDate(1, 0, 0), 2), []uint64{4, 2})
	wantEqual(t, "before the last", got(night.AddDate(0, 0, 3), 9), []uint64{2, 1, 0})
	snap, err := s.LatestAccepted(t.Context(), "history", night.AddDate(0, 0, 1))
	if err != nil || snap.ID != ids[1] {
		t.Errorf("LatestAccepted = %d, %v; want %d", snap.ID, err, ids[1])
	}
}

func testFirstSeen(t *testing.T, s *Store) {
	seen := func() map[string]time.Time {
		out := map[string]time.Time{}
		for _, id := range []string{"old", "new", "refused"} {
			var when time.Time
			var n uint64
			err := s.row(t.Context(), []any{&when, &n}, `SELECT min(first_seen), count() FROM first_seen
				WHERE source = 'seen' AND kind = 'account' AND id_hash = reinterpretAsUInt128(sipHash128({snapshot:String}))`,
				snapshotKey{"", 0}.named(id)...)
			if err != nil {
				t.Fatal(err)
			}
			if n > 0 {
				out[id] = when
			}
		}
		return out
	}
	snap := func(day int, status SnapshotStatus, ids ...string) {
		w := begin(t, s, "seen", night.AddDate(0, 0, day))
		for _, id := range ids {
			put(t, w, access.Account{ID: id})
		}
		publish(t, w, status)
	}
	snap(0, Accepted, "old")
	snap(1, Quarantined, "old", "refused")
	snap(2, Accepted, "old", "new")
	snap(3, Accepted, "new")
	wantEqual(t, "first seen", seen(), map[string]time.Time{"old": night, "new": night.AddDate(0, 0, 2)})
	wantRows(t, s, 2, "first_seen", "seen")
	snap(-1, Accepted, "old") // read later, of an earlier day
	wantEqual(t, "first seen", seen()["old"], night.AddDate(0, 0, -1))
}

func testFarDates(t *testing.T, s *Store) {
	w := begin(t, s, "far", night)
	put(t, w, access.Person{ID: "p", RecordID: "p", StartAt: at("1601-01-01T00:00:00Z"), EndAt: at("9999-12-31T00:00:00Z")})
	snap := publish(t, w, Accepted)
	got := gather(t, s.People(t.Context(), "far", snap.ID))
	if p := got[0]; !p.StartAt.Equal(firstInstant) || !p.EndAt.Equal(lastInstant) || snap.ActivePeople != 1 {
		t.Errorf("read %v to %v, %d active", p.StartAt, p.EndAt, snap.ActivePeople)
	}
}

// A batch whose answer was lost is sent again with its token and is there once.
func testResentBatch(t *testing.T, s *Store) {
	w := begin(t, s, "resent", night)
	records := []access.Account{{ID: "a"}, {ID: "b"}}
	for range 2 {
		if err := w.accounts.send(records, 0); err != nil {
			t.Fatal(err)
		}
	}
	wantRows(t, s, 2, "accounts", "resent")
	if err := w.accounts.send(records, 1); err != nil { // the same rows under another token are others
		t.Fatal(err)
	}
	wantRows(t, s, 4, "accounts", "resent")
	if _, _, err := w.Finish(t.Context()); err != nil { // nothing was put
		t.Fatal(err)
	}
	if err := w.Abandon(t.Context()); err != nil {
		t.Fatal(err)
	}
	wantRows(t, s, 0, "accounts", "resent")
}

func testCancel(t *testing.T, s *Store) {
	ctx, cancel := context.WithCancel(t.Context())
	time.AfterFunc(200*time.Millisecond, cancel)
	err := s.exec(ctx, "SELECT count() FROM system.numbers WHERE sipHash64(number) = 7 /* endless */ FORMAT Null")
	if !errors.Is(err, context.Canceled) {
		t.Errorf("the error is %v", err)
	}
	wantNoEndless(t, s)

	ctx, cancel = context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	var n uint64
	if err := s.row(ctx, []any{&n}, "SELECT count() FROM system.numbers WHERE sipHash64(number) = 7 /* endless */"); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("the error is %v", err)
	}
	wantNoEndless(t, s)
}

func wantNoEndless(t *testing.T, s *Store) {
	t.Helper()
	var n uint64
	for range 100 {
		if err := s.row(t.Context(), []any{&n}, "SELECT count() FROM system.processes WHERE query LIKE '%sipHash64(number) = 7%' AND query NOT LIKE '%system.processes%'"); err != nil {
			t.Fatal(err)
		}
		if n == 0 {
			return
		}
		time.Sleep(50 * time.Millisecond)
	}
	t.Errorf("%d cancelled statements still run", n)
}

func testBreakOff(t *testing.T, s *Store) {
	n := 0
	for _, err := range stream(t.Context(), s, scanNumber, "SELECT number FROM system.numbers") {
		if err != nil {
			t.Fatal(err)
		}
		if n++; n == 10 {
			break
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	n, err := 0, error(nil)
	for _, err = range stream(ctx, s, scanNumber, "SELECT number FROM system.numbers") {
		if n++; n == 10 {
			cancel()
		}
	}
	if !errors.Is(err, context.Canceled) {
		t.Errorf("after %d rows the error is %v", n, err)
	}
	_, err = gatherError(stream(t.Context(), s, scanNumber, "SELECT throwIf(number = 2000000, 'half way') + number AS n FROM numbers(3000000) SETTINGS max_block_size = 1000"))
	if err == nil {
		t.Error("a result that breaks in the middle passes for a whole one")
	}
}

func testMemoryLimit(t *testing.T, s *Store) {
	var n uint64
	err := s.row(t.Context(), []any{&n}, "SELECT length(groupArray(number)) FROM numbers(50000000) SETTINGS max_memory_usage = 20000000")
	var limit *MemoryError
	if !errors.As(err, &limit) {
		t.Errorf("the error is %v", err)
	}
}

func testOpenAgain(t *testing.T, s *Store) {
	// Whoever opens the store next finds the schema as it is, and what was published.
	w := begin(t, s, "again", night)
	put(t, w, access.Account{ID: "a"})
	snap := publish(t, w, Accepted)
	url := s.where.String()
	again := mustOpen(t, Options{URL: url})
	if got := gather(t, again.Accounts(t.Context(), "again", snap.ID)); len(got) != 1 {
		t.Errorf("%d accounts are read", len(got))
	}
}

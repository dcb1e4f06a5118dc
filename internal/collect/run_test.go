package collect

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"runtime/debug"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/lapse-audit/lapse/internal/access"
)

// script is a collector that does what it is told.
type script func(ctx context.Context, out Sink) (Provenance, error)

func (s script) Collect(ctx context.Context, out Sink) (Provenance, error) { return s(ctx, out) }

// yielding is a collector of these records.
func yielding(records ...access.Record) script {
	return func(_ context.Context, out Sink) (Provenance, error) {
		for i, r := range records {
			out.(Locator).Locate("x.csv", int64(i+2))
			if err := out.Put(r); err != nil {
				return Provenance{}, err
			}
		}
		return Provenance{}, nil
	}
}

type memory struct {
	records  []access.Record
	rejected int
	err      error
}

func (m *memory) Put(r access.Record) error {
	if m.err != nil {
		return m.err
	}
	m.records = append(m.records, r)
	return nil
}

func (m *memory) Reject(Rejection) error { m.rejected++; return nil }

var night = time.Date(2026, 11, 23, 2, 0, 0, 0, time.UTC)

func options(maxRejected Share) Options {
	l := DefaultLimits()
	l.MaxRejected = maxRejected
	return Options{Limits: l, Now: night}
}

func ago(days int) *time.Time { t := night.AddDate(0, 0, -days); return &t }

func flag(b bool) *bool { return &b }

func TestRunRejects(t *testing.T) {
	account := access.Account{ID: "1", Username: "ada", Attributes: map[string]string{"a": "1", "b": "2"}}
	other := account
	other.Attributes = map[string]string{"a": "1", "b": "3"}
	far := time.Date(9999, 12, 31, 0, 0, 0, 0, time.UTC)
	var out memory
	res, err := Run(t.Context(), yielding(
		account,
		account,
		other,
		access.Account{Username: "x"},
		access.Account{ID: "\xff"},
		access.Account{ID: "2", Attributes: map[string]string{"k": "a\x00"}},
		access.Account{ID: "3", ExpiresAt: &far},
		access.Person{ID: "1", RecordID: "1"}, // another kind, another name space
		access.Person{ID: "1", RecordID: "2"}, // rehired
		access.Person{ID: "2"},
		access.Grant{HolderKind: access.HolderAccount, HolderID: "1", EntitlementID: "e"},
		access.Grant{HolderKind: access.HolderAccount, HolderID: "1", EntitlementID: "e", Approved: flag(true)},
		access.Grant{HolderKind: "team", HolderID: "1", EntitlementID: "e"},
		access.Grant{HolderKind: access.HolderAccount, EntitlementID: "e"},
		access.Usage{AccountID: "1"},
		access.Usage{AccountID: "1", SKU: "e"},
		access.Seat{AccountID: "1"},
		access.Account{ID: "4", Name: strings.Repeat("x", 10<<20)},
	), &out, options(1))
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, r := range res.Rejections {
		got = append(got, r.String())
	}
	want := []string{
		`x.csv line 3 column "id": duplicate id: the same record as x.csv line 2`,
		`x.csv line 4 column "id": duplicate id: another record than x.csv line 2, which has the same one`,
		`x.csv line 5 column "id": the id is empty`,
		`x.csv line 6 column "id": not valid UTF-8`,
		`x.csv line 7 column "attributes": "k": holds a NUL character`,
		`x.csv line 8 column "expires_at": the year 9999 is outside 1900 to 2299: leave the value absent if it stands for never or unknown`,
		`x.csv line 11 column "record_id": the id is empty`,
		`x.csv line 13 column "holder and entitlement": duplicate holder and entitlement: another record than x.csv line 12, which has the same one`,
		`x.csv line 14 column "holder_kind": want account or entitlement`,
		`x.csv line 15 column "holder_id": the id is empty`,
		`x.csv line 18 column "sku": the id is empty`,
		`x.csv line 19 column "name": is a text of 10485760 bytes: the most is 1048576`,
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("-want +got\n%s", d)
	}
	if res.Rejected != int64(len(want)) || out.rejected != len(want) || len(out.records) != 6 {
		t.Errorf("%d rejected, the sink took %d and %d records", res.Rejected, out.rejected, len(out.records))
	}
	if d := cmp.Diff(map[Kind]int64{People: 2, ActivePeople: 2, Accounts: 1, Grants: 1, Usages: 2}, res.Counts); d != "" {
		t.Errorf("counts: -want +got\n%s", d)
	}
}

func TestRunRefusesTooManyRejections(t *testing.T) {
	c := script(func(_ context.Context, out Sink) (Provenance, error) {
		for i := range 1000 {
			var err error
			if i < 11 {
				err = out.Reject(Rejection{File: "x.csv", Line: int64(i + 1), Column: "end_at", Reason: "no date"})
			} else {
				err = out.Put(access.Account{ID: fmt.Sprint(i)})
			}
			if err != nil {
				return Provenance{}, err
			}
		}
		return Provenance{}, nil
	})
	o := options(0.01)
	o.KeepRejections = 5
	res, err := Run(t.Context(), c, &memory{}, o)
	var refused *RejectedError
	if !errors.As(err, &refused) {
		t.Fatalf("error %v", err)
	}
	const want = `11 of 1000 rows rejected (1.1%), max_rejected is 1%; x.csv line 1 column "end_at": no date; x.csv line 2 column "end_at": no date; x.csv line 3 column "end_at": no date`
	if err.Error() != want {
		t.Errorf("got  %v\nwant %s", err, want)
	}
	if res.Rejected != 11 || len(res.Rejections) != 5 {
		t.Errorf("%d rejected, %d kept", res.Rejected, len(res.Rejections))
	}
	o.Limits.MaxRejected = 0.011
	if _, err := Run(t.Context(), c, &memory{}, o); err != nil {
		t.Errorf("exactly at the limit: %v", err)
	}
	// Nothing but rejected rows is above any limit below 100%.
	if _, err := Run(t.Context(), script(func(_ context.Context, out Sink) (Provenance, error) {
		return Provenance{}, out.Reject(Rejection{Reason: "x"})
	}), &memory{}, options(0.99)); err == nil {
		t.Error("no error when every row was rejected")
	}
}

// What the collector makes of an error doesn't count.
func TestRunErrors(t *testing.T) {
	full := errors.New("disk full")
	swallows := script(func(_ context.Context, out Sink) (Provenance, error) {
		out.Put(access.Account{ID: "1"})
		out.Put(access.Account{ID: "2"})
		return Provenance{}, nil
	})
	if _, err := Run(t.Context(), swallows, &memory{err: full}, options(1)); err != full {
		t.Errorf("an error of the sink was swallowed: %v", err)
	}
	lost := errors.New("page lost")
	fails := script(func(_ context.Context, out Sink) (Provenance, error) {
		return Provenance{}, errors.Join(out.Put(access.Account{ID: "1"}), lost)
	})
	if res, err := Run(t.Context(), fails, &memory{}, options(1)); !errors.Is(err, lost) || res.Counts[Accounts] != 1 {
		t.Errorf("%v, %+v", err, res.Counts)
	}
	ctx, cancel := context.WithCancel(t.Context())
	stops := script(func(_ context.Context, out Sink) (Provenance, error) { cancel(); return Provenance{}, nil })
	if _, err := Run(ctx, stops, &memory{}, options(1)); !errors.Is(err, context.Canceled) {
		t.Errorf("a collection that ended early is taken for the whole: %v", err)
	}
}

func TestActivePeople(t *testing.T) {
	res, err := Run(t.Context(), yielding(
		access.Person{ID: "1", RecordID: "1", EndAt: ago(0)},                              // at this moment
		access.Person{ID: "2", RecordID: "2", EndAt: ago(1), Status: access.PersonActive}, // dates decide
		access.Person{ID: "3", RecordID: "3", EndAt: ago(-1), Status: access.PersonEnded},
		access.Person{ID: "4", RecordID: "4", Status: access.PersonEnded},
		access.Person{ID: "5", RecordID: "5", Status: access.PersonLeave},
		access.Person{ID: "6", RecordID: "6"},
	), &memory{}, options(0))
	if err != nil {
		t.Fatal(err)
	}
	if res.Counts[People] != 6 || res.Counts[ActivePeople] != 3 {
		t.Errorf("%+v", res.Counts)
	}
}

func TestGaps(t *testing.T) {
	grant := func(kind access.HolderKind, holder, entitlement string) access.Grant {
		return access.Grant{HolderKind: kind, HolderID: holder, EntitlementID: entitlement}
	}
	res, err := Run(t.Context(), yielding(
		grant(access.HolderAccount, "a1", "e1"), // named before they come
		grant(access.HolderAccount, "a9", "e1"),
		access.Account{ID: "a1"},
		access.Entitlement{ID: "e1"}, access.Entitlement{ID: "e2"},
		grant(access.HolderAccount, "a9", "e2"),
		grant(access.HolderAccount, "a8", "e2"),
		grant(access.HolderEntitlement, "e2", "e1"),
		grant(access.HolderEntitlement, "a1", "e9"), // an account is no entitlement
		access.Seat{AccountID: "a7", SKU: "s"},
		access.Usage{AccountID: "a1"},
		access.Person{ID: "1", RecordID: "r1", ManagerID: "2"}, access.Person{ID: "2", RecordID: "r2", ManagerID: "3"},
	), &memory{}, options(0))
	if err != nil {
		t.Fatal(err)
	}
	want := []Gap{
		{Grants, "entitlement_id", Entitlements, 1, 1, []string{"e9"}},
		{Grants, "holder_id", Accounts, 3, 2, []string{"a8", "a9"}},
		{Grants, "holder_id", Entitlements, 1, 1, []string{"a1"}},
		{People, "manager_id", People, 1, 1, []string{"3"}},
		{Seats, "account_id", Accounts, 1, 1, []string{"a7"}},
	}
	if d := cmp.Diff(want, res.Gaps); d != "" {
		t.Errorf("-want +got\n%s", d)
	}
	if s := res.Gaps[1].String(); s != "3 grants name 2 accounts that the snapshot doesn't hold, among them a8, a9" {
		t.Error(s)
	}
}

func TestCoverage(t *testing.T) {
	records := []access.Record{
		access.Account{ID: "1", Kind: access.KindHuman, Enabled: flag(true), Email: "a@x", LastLoginAt: ago(1), MFA: flag(false)},
		access.Account{ID: "2", Kind: access.KindService, Enabled: flag(false), OwnerID: "7", NeverLoggedIn: flag(true)},
		access.Account{ID: "4", Kind: access.KindService, Enabled: flag(true), OwnerID: "7", LastLoginAt: ago(1), InteractiveLoginAt: ago(1)},
		access.Account{ID: "5", Kind: access.KindGuest, Enabled: flag(true), Email: "g@x", LastLoginAt: ago(1), MFA: flag(true), Sponsor: "8"},
		access.Entitlement{ID: "e", Privileged: flag(false)},
		access.Account{ID: "3", Kind: access.KindShared, Enabled: flag(true), NeverLoggedIn: flag(false)},
		access.Grant{HolderKind: access.HolderAccount, HolderID: "1", EntitlementID: "e"},
		access.Grant{HolderKind: access.HolderAccount, HolderID: "3", EntitlementID: "e", Approved: flag(true)},
		access.Seat{AccountID: "1", SKU: "s"},
		access.Usage{AccountID: "1", SKU: "s", LastUsedAt: ago(3)},
		access.Usage{AccountID: "3", LastUsedAt: ago(3)},
	}
	c := script(func(ctx context.Context, out Sink) (Provenance, error) {
		_, err := yielding(records...)(ctx, out)
		return Provenance{Coverage: map[string]access.Coverage{"privileged": access.CoverageFull}}, err
	})
	res, err := Run(t.Context(), c, &memory{}, options(0))
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]access.Coverage{
		"enabled": "full", "kind": "full", "email": "full", "last_login": "partial", "created": "none", "password": "none",
		"mfa": "full", "privileged": "full", "owner": "partial", "employee_id": "none", "interactive_login": "partial", "sponsor": "full",
		"expiry": "none", "approved": "partial", "reviewed": "none", "entitlement_privileged": "full", "grants": "full", "seats": "full", "last_used": "full",
	}
	if d := cmp.Diff(want, res.Provenance.Coverage); d != "" {
		t.Errorf("-want +got\n%s", d)
	}
	// The guard goes by what was measured, not by what the collector says.
	if res.Signals["privileged"].Have != 0 {
		t.Errorf("privileged: %+v", res.Signals["privileged"])
	}
	if !slices.Contains(res.Provenance.Reads, "grants") {
		t.Errorf("reads %q", res.Provenance.Reads)
	}

	res, err = Run(t.Context(), yielding(
		access.Person{ID: "1", RecordID: "1", Status: access.PersonActive, Department: "x"},
		access.Person{ID: "2", RecordID: "2", Status: access.PersonEnded, EndAt: ago(9), StartAt: ago(99)},
	), &memory{}, options(0))
	if err != nil {
		t.Fatal(err)
	}
	want = map[string]access.Coverage{"status": "full", "end_date": "full", "start_date": "partial", "department": "partial", "manager": "none"}
	if d := cmp.Diff(want, res.Provenance.Coverage); d != "" {
		t.Errorf("roster: -want +got\n%s", d)
	}
}

// Grants that are read and that nobody has are not unread.
func TestReadAndEmpty(t *testing.T) {
	for _, c := range []struct {
		reads []string
		want  access.Coverage
	}{{[]string{"accounts"}, "none"}, {[]string{"accounts", "grants"}, "full"}} {
		res, err := Run(t.Context(), script(func(_ context.Context, out Sink) (Provenance, error) {
			return Provenance{Reads: c.reads}, out.Put(access.Account{ID: "1"})
		}), &memory{}, options(0))
		if err != nil {
			t.Fatal(err)
		}
		if got := res.Provenance.Coverage["grants"]; got != c.want {
			t.Errorf("reads %q: coverage of grants %q, want %q", c.reads, got, c.want)
		}
	}
}

func TestIndex(t *testing.T) {
	x := NewIndex()
	for i := range 100000 {
		if _, dup := x.Add("a", fmt.Sprint(i), uint64(i), "f", int64(i)); dup {
			t.Fatalf("%d is a duplicate", i)
		}
	}
	was, dup := x.Add("a", "77", 78, "g", 1)
	if !dup || was.String() != "f line 77" || was.Same(78) || !was.Same(77) {
		t.Errorf("%v %v", was, dup)
	}
	if x.Has("b", "77") || !x.Has("a", "77") || x.Len() != 100000 {
		t.Error("name spaces are not kept apart")
	}
}

func TestMarks(t *testing.T) {
	m := NewMarks()
	for pass := range uint32(3) {
		for i := range 20_000 {
			at := m.Of(fmt.Sprint(i))
			if was := m.Get(at); was != pass {
				t.Fatalf("pass %d: %d has mark %d", pass, i, was)
			}
			m.Set(at, pass+1)
		}
	}
	if n := m.Get(m.Of("none")); n != 0 || m.Len() != 20_000 {
		t.Errorf("%d ids, and one that isn't there has mark %d", m.Len(), n)
	}
}

// Where ids were seen is what a map would say, however the places follow each other: ids of one line, lines that are left
// out, files in turn, and none.
func TestIndexKnowsPlaces(t *testing.T) {
	x := NewIndex()
	roll := rand.New(rand.NewPCG(1, 2))
	want := map[string]string{}
	file, line, step := "", int64(0), int64(0)
	for i := range 50_000 {
		switch roll.IntN(40) {
		case 0:
			file, line, step = fmt.Sprint("f", roll.IntN(3)), roll.Int64N(1000), roll.Int64N(4)
		case 1:
			file, line, step = "", 0, 0
		case 2:
			step = roll.Int64N(100_000)
		}
		line += step
		id := fmt.Sprint(i)
		if _, dup := x.Add("a", id, uint64(i), file, line); dup {
			t.Fatalf("%d is a duplicate", i)
		}
		want[id] = fmt.Sprint(file, " ", uint32(line), " ", i)
	}
	for id, place := range want {
		was, dup := x.Add("a", id, 0, "", 0)
		if got := fmt.Sprint(was.File, " ", was.Line, " ", was.content); !dup || got != place {
			t.Fatalf("%s: %s, want %s", id, got, place)
		}
	}
	if x.Len() != len(want) {
		t.Errorf("%d ids, want %d", x.Len(), len(want))
	}
}

func TestColumnNames(t *testing.T) {
	for in, want := range map[string]string{"ID": "id", "LastLoginAt": "last_login_at", "MFA": "mfa", "HasSPN": "has_spn", "EmployeeID": "employee_id", "SKU": "sku"} {
		if got := snake(in); got != want {
			t.Errorf("%s is %s", in, got)
		}
	}
}

func BenchmarkRun(b *testing.B) {
	var records []access.Record
	for i := range 100000 {
		records = append(records, access.Account{ID: fmt.Sprintf("S-1-5-21-%d", i), Username: fmt.Sprint("user", i), Enabled: flag(true),
			CreatedAt: ago(i % 1000), LastLoginAt: ago(i % 90), Attributes: map[string]string{"dn": strings.Repeat("x", 60)}})
	}
	for b.Loop() {
		if _, err := Run(b.Context(), yielding(records...), discard{}, options(0)); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(len(records)*b.N)/b.Elapsed().Seconds(), "records/s")
}

type discard struct{}

func (discard) Put(access.Record) error { return nil }
func (discard) Reject(Rejection) error  { return nil }

// Frugal puts back what was, and leaves what somebody chose.
func TestFrugal(t *testing.T) {
	before := debug.SetGCPercent(100)
	defer debug.SetGCPercent(before)
	for _, c := range []struct{ set, during int }{{100, 50}, {30, 30}, {-1, -1}} {
		debug.SetGCPercent(c.set)
		restore := Frugal()
		during := debug.SetGCPercent(c.set)
		debug.SetGCPercent(during)
		restore()
		if after := debug.SetGCPercent(100); during != c.during || after != c.set {
			t.Errorf("GOGC=%d: %d meanwhile, %d afterwards", c.set, during, after)
		}
	}
}

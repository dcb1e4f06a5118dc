package correlate

import (
	"fmt"
	"math/rand/v2"
	"runtime"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/lapse-audit/lapse/internal/access"
)

var now = time.Date(2026, 11, 23, 2, 0, 0, 0, time.UTC)

// day is midnight n days from now.
func day(n int) *time.Time {
	t := now.AddDate(0, 0, n).Truncate(24 * time.Hour)
	return &t
}

func identities(records []RosterRecord, joins Joins) []access.Identity {
	return slices.Collect(Identities(records, joins, now).All())
}

// row is a worker record of the roster hr.
func row(id, record string, status access.PersonStatus, start, end *time.Time) RosterRecord {
	return RosterRecord{"hr", access.Person{ID: id, RecordID: record, Status: status, StartAt: start, EndAt: end}}
}

func TestStatus(t *testing.T) {
	exactly := now
	for _, tc := range []struct {
		name    string
		records []RosterRecord
		status  access.PersonStatus
		lead    string // record id
		end     *time.Time
		first   *time.Time
	}{
		{"no dates, no word", []RosterRecord{row("1", "a", "", nil, nil)}, access.PersonActive, "a", nil, nil},
		{"ended by date against the word", []RosterRecord{row("1", "a", access.PersonActive, day(-90), day(-1))}, access.PersonEnded, "a", day(-1), day(-90)},
		{"ended this instant", []RosterRecord{row("1", "a", "", nil, &exactly)}, access.PersonEnded, "a", &exactly, nil},
		{"last day still to come against the word", []RosterRecord{row("1", "a", access.PersonEnded, nil, day(5))}, access.PersonActive, "a", day(5), nil},
		{"ended by the word alone", []RosterRecord{row("1", "a", access.PersonEnded, day(-90), nil)}, access.PersonEnded, "a", nil, day(-90)},
		{"future by date against the word", []RosterRecord{row("1", "a", access.PersonActive, day(3), nil)}, access.PersonFuture, "a", nil, day(3)},
		{"future by the word alone", []RosterRecord{row("1", "a", access.PersonFuture, nil, nil)}, access.PersonFuture, "a", nil, nil},
		{"started, the word is late", []RosterRecord{row("1", "a", access.PersonFuture, day(-2), nil)}, access.PersonActive, "a", nil, day(-2)},
		{"never came", []RosterRecord{row("1", "a", access.PersonActive, day(3), day(-2))}, access.PersonEnded, "a", day(-2), day(3)},
		{"leave", []RosterRecord{row("1", "a", access.PersonLeave, day(-90), nil)}, access.PersonLeave, "a", nil, day(-90)},
		{"leave and ended", []RosterRecord{row("1", "a", access.PersonLeave, day(-90), day(-1))}, access.PersonEnded, "a", day(-1), day(-90)},
		{"rehired", []RosterRecord{row("1", "a", "", day(-900), day(-400)), row("1", "b", "", day(-30), nil)}, access.PersonActive, "b", nil, day(-900)},
		{"rehired, not started yet", []RosterRecord{row("1", "a", "", day(-900), day(-4)), row("1", "b", "", day(9), nil)}, access.PersonEnded, "a", day(-4), day(-900)},
		{"left twice", []RosterRecord{row("1", "a", "", day(-900), day(-400)), row("1", "b", "", day(-300), day(-20))}, access.PersonEnded, "b", day(-20), day(-900)},
		{"left twice, once without a date", []RosterRecord{row("1", "a", access.PersonEnded, day(-100), nil), row("1", "b", "", day(-300), day(-20))}, access.PersonEnded, "b", day(-20), day(-300)},
		{"one of two jobs on leave", []RosterRecord{row("1", "a", access.PersonLeave, day(-5), nil), row("1", "b", "", day(-300), nil)}, access.PersonActive, "b", nil, day(-300)},
		{"two jobs, the later one leads", []RosterRecord{row("1", "a", "", day(-500), nil), row("1", "b", "", day(-300), day(40))}, access.PersonActive, "b", day(40), day(-500)},
		{"leave and an ended record", []RosterRecord{row("1", "a", "", day(-500), day(-301)), row("1", "b", access.PersonLeave, day(-300), nil)}, access.PersonLeave, "b", nil, day(-500)},
		{"two starts to come", []RosterRecord{row("1", "a", "", day(60), nil), row("1", "b", "", day(9), nil)}, access.PersonFuture, "b", nil, day(9)},
	} {
		for range 2 { // in both orders of the records
			ids := identities(tc.records, nil)
			if len(ids) != 1 {
				t.Fatalf("%s: %d identities", tc.name, len(ids))
			}
			got := ids[0]
			if got.Status != tc.status || got.RecordID != tc.lead || !same(got.EndAt, tc.end) || !same(got.FirstStartAt, tc.first) || got.Records != len(tc.records) {
				t.Errorf("%s: status %s, record %s, end %v, first start %v, %d records; want %s, %s, %v, %v, %d", tc.name,
					got.Status, got.RecordID, got.EndAt, got.FirstStartAt, got.Records, tc.status, tc.lead, tc.end, tc.first, len(tc.records))
			}
			reverse(tc.records)
		}
	}
}

func same(a, b *time.Time) bool {
	return a == nil && b == nil || a != nil && b != nil && a.Equal(*b)
}

func reverse(r []RosterRecord) {
	for i, j := 0, len(r)-1; i < j; i, j = i+1, j-1 {
		r[i], r[j] = r[j], r[i]
	}
}

// A contractor of the agency's roster who became an employee is one person, and whoever reports to the contractor's
// record reports to that person.
func TestJoins(t *testing.T) {
	records := []RosterRecord{
		{"agency", access.Person{ID: "C7", RecordID: "1", Kind: "contractor", StartAt: day(-700), EndAt: day(-100), ManagerID: "C9"}},
		{"hr", access.Person{ID: "42", RecordID: "2", Kind: "employee", StartAt: day(-99), ManagerID: "1"}},
		{"hr", access.Person{ID: "1", RecordID: "3"}},
		{"agency", access.Person{ID: "C8", RecordID: "4", Kind: "contractor", ManagerID: "C7"}},
	}
	got := identities(records, Joins{"agency:C7": "agency:C70", "agency:C70": "hr:42"})
	type brief struct {
		Key, Roster, Kind, Manager string
		Status                     access.PersonStatus
		Aliases                    []string
	}
	var have []brief
	for _, p := range got {
		have = append(have, brief{p.Key, p.Roster, p.Kind, p.ManagerID, p.Status, p.Aliases})
	}
	want := []brief{
		{"agency:C8", "agency", "contractor", "hr:42", access.PersonActive, []string{"agency:C8"}},
		{"hr:1", "hr", "", "", access.PersonActive, []string{"hr:1"}},
		{"hr:42", "hr", "employee", "hr:1", access.PersonActive, []string{"hr:42", "agency:C7"}},
	}
	if d := cmp.Diff(want, have); d != "" {
		t.Error(d)
	}
	if !same(got[2].FirstStartAt, day(-700)) {
		t.Errorf("first start %v, want that of the contract", got[2].FirstStartAt)
	}
}

func TestJoinsInARing(t *testing.T) {
	j := Joins{"c": "a", "a": "b", "b": "c", "x": "c", "self": "self"}
	for key, want := range map[string]string{"a": "a", "b": "a", "c": "a", "x": "a", "self": "self", "y": "y"} {
		if got := j.Canonical(key); got != want {
			t.Errorf("Canonical(%s) = %s, want %s", key, got, want)
		}
	}
}

func TestSameIDInTwoRostersIsTwoPeople(t *testing.T) {
	got := identities([]RosterRecord{{"hr", access.Person{ID: "1"}}, {"agency", access.Person{ID: "1"}}}, nil)
	if len(got) != 2 || got[0].Key != "agency:1" || got[1].Key != "hr:1" {
		t.Errorf("got %+v", got)
	}
}

func TestIdentitiesDoNotDependOnOrder(t *testing.T) {
	var records []RosterRecord
	for i := range 300 {
		var end *time.Time
		if i%3 == 0 {
			end = day(i%7 - 5)
		}
		records = append(records, row(fmt.Sprint(i%100), fmt.Sprint(i), "", day(-i%11), end))
	}
	want := identities(records, nil)
	rng := rand.New(rand.NewPCG(1, 2))
	for range 20 {
		rng.Shuffle(len(records), func(i, j int) { records[i], records[j] = records[j], records[i] })
		if d := cmp.Diff(want, identities(records, nil)); d != "" {
			t.Fatal(d)
		}
	}
}

// A million people, a tenth of them with two records, and as many accounts: printed is what identities and linker hold
// beside the records, and the linker alone.
func BenchmarkMillion(b *testing.B) {
	records := make([]RosterRecord, 0, 1_100_000)
	for i := range 1_100_000 {
		id := fmt.Sprint(i % 1_000_000)
		records = append(records, RosterRecord{"hr", access.Person{
			ID: id, RecordID: fmt.Sprint(i), Username: "u" + id, Email: "u" + id + "@corp.example", StartAt: day(-i % 4000), ManagerID: fmt.Sprint(i / 8),
		}})
	}
	for b.Loop() {
		before := heap()
		began := time.Now()
		ids := Identities(records, nil, now)
		identified := time.Since(began)
		began = time.Now()
		l := NewLinker(ids, Options{})
		indexed := time.Since(began)
		both := heap() - before
		runtime.KeepAlive(ids)
		linker := heap() - before
		began = time.Now()
		for i := range 1_000_000 {
			a := Account{ID: "x", Email: records[i].Email, Kind: access.KindHuman}
			if i%2 == 0 {
				a.Email, a.Username = "", `corp\`+records[i].Username
			}
			if got := l.Link("ad", a); got.Status != access.LinkLinked {
				b.Fatalf("account %d: %+v", i, got)
			}
		}
		b.ReportMetric(identified.Seconds(), "s/identities")
		b.ReportMetric(indexed.Seconds(), "s/index")
		b.ReportMetric(time.Since(began).Seconds(), "s/links")
		b.ReportMetric(float64(both)/1e6, "MB/both")
		b.ReportMetric(float64(linker)/1e6, "MB/linker")
	}
}

func heap() int64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

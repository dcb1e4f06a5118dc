package scan

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/lapse-audit/lapse/internal/access"
	"github.com/lapse-audit/lapse/internal/collect"
	"github.com/lapse-audit/lapse/internal/policy"
	"github.com/lapse-audit/lapse/internal/state"
	"github.com/lapse-audit/lapse/internal/store"
	"github.com/lapse-audit/lapse/policies"
)

// small is a company of 24 people with an account in each of two apps, in which one thing is different.
type small struct{ source, different string }

func (s small) Collect(_ context.Context, out collect.Sink) (collect.Provenance, error) {
	var records []access.Record
	reads := []string{string(collect.People)}
	if s.source == "hr" {
		records = s.people()
	} else {
		records = s.app()
		reads = []string{string(collect.Accounts), string(collect.Entitlements), string(collect.Grants)}
	}
	for _, r := range records {
		if err := out.Put(r); err != nil {
			return collect.Provenance{}, err
		}
	}
	return collect.Provenance{Reads: reads}, nil
}

func (s small) people() (records []access.Record) {
	start := night.AddDate(-3, 0, 0)
	for i := range 24 {
		p := access.Person{ID: fmt.Sprint(i), RecordID: fmt.Sprint(i), EmployeeID: fmt.Sprintf("E%d", i), Name: fmt.Sprintf("Person %d", i), Kind: "employee",
			Status: access.PersonActive, Department: []string{"Sales", "Stores"}[i%2], StartAt: &start}
		if s.different == "people" && i == 4 {
			p.Department = "Audit"
		}
		records = append(records, p)
	}
	return records
}

func (s small) app() (records []access.Record) {
	put := func(r access.Record) { records = append(records, r) }
	yes, no := true, false
	old, last := night.AddDate(0, 0, -200), night.AddDate(0, 0, -3)
	for _, e := range []string{"e0", "e1", "e2", "e3", "e4", "e5", "e6", "e7"} {
		privileged := &no
		if e == "e3" || e == "e7" {
			privileged = &yes
		}
		put(access.Entitlement{ID: e, Name: "Group " + e, Kind: "group", Privileged: privileged})
	}
	if s.different == "entitlement" {
		put(access.Entitlement{ID: "e1b", Name: "Group e1b", Kind: "group", Privileged: &no})
	}
	nested := [][2]string{{"e0", "e1"}, {"e1", "e2"}, {"e2", "e3"}, {"e0", "e5"}, {"e5", "e6"}, {"e6", "e3"}} // two ways to e3, as long
	if s.different == "edge" {
		nested[1] = [2]string{"e1", "e4"}
	}
	for _, n := range nested {
		put(access.Grant{HolderKind: access.HolderEntitlement, HolderID: n[0], EntitlementID: n[1]})
	}
	for i := range 25 {
		id, employee := fmt.Sprintf("a%02d", i), fmt.Sprintf("E%d", i)
		if i == 24 { // somebody's second
			if employee = "E3"; s.different == "people" {
				employee = "E5"
			}
		}
		a := access.Account{ID: id, Username: "user" + id, EmployeeID: employee, Kind: access.KindHuman, Enabled: &yes, Privileged: &no, CreatedAt: &old, LastLoginAt: &last,
			Attributes: map[string]string{"size": fmt.Sprint(i)}}
		if i%5 == 0 {
			a.LastLoginAt = &old
		}
		if s.different == "attribute" && i == 7 {
			a.Attributes["size"] = "large"
		}
		put(a)
		held := []string{"e0", "e4", "e7"}[i%3]
		if s.different == "grant" && i == 4 {
			held = "e7"
		}
		put(access.Grant{HolderKind: access.HolderAccount, HolderID: id, EntitlementID: held, GrantedAt: &old})
	}
	return records
}

// ownRules are one that hangs on the clock, so that what it comes to in one night is nothing to another, and one that an
// attribute of the wrong kind breaks.
var ownRules = fstest.MapFS{
	"clock.rego": {Data: []byte(`# METADATA
# title: The clock
# custom:
#   id: ACME-01
#   subject: account
#   severity: low
package lapse.acme.clock

import rego.v2

findings contains {"message": "it is time"} if {
	input.account.username == "usera03"
	time.now_ns() >= 1795651200000000000 # 2026-11-26T00:00:00Z
}
`)},
	"size.rego": {Data: []byte(`# METADATA
# title: The size
# custom:
#   id: ACME-02
#   subject: account
#   severity: low
package lapse.acme.size

import rego.v2

findings contains {"message": sprintf("it is %v", [to_number(input.account.attributes.size)])} if {
	to_number(input.account.attributes.size) > 20
}
`)},
}

// Nights that differ in one thing, or two that have nothing to do with each other, are judged, one after the other by what was made ready once, as each is by itself: after a
// night that is not kept, one that was broken off, and others who make subjects in between; also where a policy fails in one night.
// A policy is tried in a process of its own until it does no harm.
func TestNightsAfterEachOther(t *testing.T) {
	ctx := t.Context()
	facts, decisions, done := openStores(t)
	defer done()
	off := false
	pack, err := policy.Load(policy.Options{Overrides: map[string]policy.Override{"ACME-02": {Enabled: &off}}}, policy.Source{Name: "policies", FS: policies.FS}, policy.Source{Name: "own", FS: ownRules})
	if err != nil {
		t.Fatal(err)
	}
	scanned := func(i int, different string) uint64 {
		t.Helper()
		o := Options{Time: night.AddDate(0, 0, i), Store: facts, State: decisions, Pack: pack, Actor: state.Actor{ID: "test"}, Holder: "test", Parallel: 1,
			Retention: store.Retention{Nights: 40, Months: 1, ChangesMonths: 1}, Log: slog.New(slog.DiscardHandler), Progress: silent{}}
		for _, uid := range []string{"hr", "a", "b"} {
			if different == "sources" && uid == "b" {
				continue
			}
			source := Source{UID: uid, Name: uid, Type: "file", Roster: uid == "hr", Directory: uid == "a", Limits: collect.DefaultLimits(), Collector: small{uid, different}}
			if uid != "hr" {
				source.EmployeeIDs = []string{"hr"}
			}
			o.Sources = append(o.Sources, source)
		}
		out, err := Run(ctx, o)
		if err != nil {
			t.Fatal(different, err)
		}
		return out.Run.ID
	}
	var runs []uint64
	nights := []string{"", "entitlement", "edge", "grant", "people", "attribute", "sources"}
	for i, different := range nights {
		runs = append(runs, scanned(i, different))
	}
	for _, only := range [][]string{{"ACME-01", "ACME-02", "DOR-01", "MOV-01", "ORP-03", "PRV-02", "PRV-05"}, {"ACME-01", "PRV-05"}} {
		again := Rejudging{Store: facts, Pack: pack, Only: only, Lane: LanePrefilter}
		defer again.Close(ctx)
		seen := map[string]bool{}
		for i, run := range runs {
			if len(only) == 2 && i > 3 {
				break
			}
			switch {
			case len(only) == 2:
			case i == 2:
				if _, err := again.Run(ctx, 99); !errors.Is(err, store.ErrNotFound) {
					t.Errorf("a run that there is not: %v", err)
				}
			case i == 4:
				if err := Remake(ctx, facts, runs[0], access.SubjectAccount); err != nil {
					t.Fatal(err)
				}
				scanned(len(nights), "grant")
			case i == 5:
				broken, cancel := context.WithCancel(ctx)
				stop := time.AfterFunc(20*time.Millisecond, cancel)
				if _, err := again.Run(broken, runs[1]); err != nil && !errors.Is(err, context.Canceled) {
					t.Error(err)
				}
				stop.Stop()
				cancel()
			}
			got := again.judged(t, run)
			alone := Rejudging{Store: facts, Pack: pack, Only: only, Lane: []Lane{LaneFull, LanePrefilter}[i%2]}
			want := alone.judged(t, run)
			alone.Close(ctx)
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("%v, night %d, other %q (-by itself +after others):\n%s", only, i, nights[i], diff)
			}
			for _, said := range want {
				seen[said] = true
			}
		}
		t.Logf("%v: %d different things said", only, len(seen))
		for _, id := range only {
			if !strings.Contains(fmt.Sprint(seen), id) {
				t.Errorf("%s says nothing", id)
			}
		}
		if len(only) > 2 && (!strings.Contains(fmt.Sprint(seen), "ACME-02 fails") || !strings.Contains(fmt.Sprint(seen), "it is 24")) {
			t.Error("no policy fails in one night only")
		}
	}

	started := 0
	again := Rejudging{Store: facts, Pack: pack, Only: []string{"ACME-02"}, Sandbox: &policy.Sandbox{Command: func(ctx context.Context) *exec.Cmd {
		started++
		cmd := exec.CommandContext(ctx, os.Args[0])
		cmd.Env = append(os.Environ(), "LAPSE_TRIAL=1")
		return cmd
	}}}
	defer again.Close(ctx)
	for i, n := range []struct {
		night   int
		fails   bool
		started int
	}{{5, true, 1}, {5, true, 2}, {0, false, 3}, {1, false, 3}} {
		judged, err := again.Run(ctx, runs[n.night])
		if err != nil {
			t.Fatal(err)
		}
		if fails := judged.Failures["ACME-02"] != nil; fails != n.fails || started != n.started {
			t.Errorf("after %d: failed %v, tried %d times in a process of its own, want %v and %d", i+1, fails, started, n.fails, n.started)
		}
	}
}

// TestMain lets the test binary be the process in which a policy.Sandbox tries policies.
func TestMain(m *testing.M) {
	if os.Getenv("LAPSE_TRIAL") != "" {
		if err := policy.ServeTrial(context.Background(), os.Stdin, os.Stdout); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// judged is what a night comes to, in words.
func (j *Rejudging) judged(t *testing.T, run uint64) (out []string) {
	t.Helper()
	r, err := j.Run(t.Context(), run)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range r.Results {
		out = append(out, fmt.Sprintf("%s %s %s %s %s %q", f.Policy, f.Subject, f.Key, f.Message, f.Evidence, f.Assignee))
	}
	for _, tally := range r.Tallies {
		if r.Failures[tally.Policy] == nil {
			out = append(out, fmt.Sprintf("%+v", tally))
		}
	}
	for id := range r.Failures {
		out = append(out, id+" fails")
	}
	slices.Sort(out)
	return out
}

package scan

import (
	"context"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/lapse-audit/lapse/internal/access"
	"github.com/lapse-audit/lapse/internal/collect"
	"github.com/lapse-audit/lapse/internal/finding"
	"github.com/lapse-audit/lapse/internal/policy"
	"github.com/lapse-audit/lapse/internal/state"
	"github.com/lapse-audit/lapse/internal/store"
	"github.com/lapse-audit/lapse/policies"
)

var night = time.Date(2026, 11, 23, 2, 0, 0, 0, time.UTC)

// application yields accounts of an application, some of which nobody has used for long or that have no second factor.
// On the second night of some it is no longer known whether they have a second factor, and others have signed in.
type application struct {
	accounts int
	second   bool
}

func (a application) Collect(_ context.Context, out collect.Sink) (collect.Provenance, error) {
	r := rand.New(rand.NewPCG(1, 1))
	is := func(share float64) *bool { v := r.Float64() < share; return &v }
	for i := range a.accounts {
		created := night.AddDate(-2, 0, -i%300)
		login := night.AddDate(0, 0, -r.IntN(100))
		account := access.Account{ID: fmt.Sprint(i), Username: fmt.Sprintf("user%d", i), Kind: access.KindHuman, Enabled: is(0.9),
			Privileged: is(0.3), CreatedAt: &created, LastLoginAt: &login}
		if r.IntN(5) > 0 {
			account.MFA = is(0.8)
		}
		if a.second {
			switch i % 5 {
			case 0:
				account.MFA = nil
			case 1:
				account.LastLoginAt = &night
			}
		}
		if err := out.Put(account); err != nil {
			return collect.Provenance{}, err
		}
	}
	return collect.Provenance{Reads: []string{string(collect.Accounts)}}, nil
}

type silent struct{}

func (silent) Reading(string, int64, int64) {}
func (silent) Collected(Collected)          {}
func (silent) Phase(string, int)            {}
func (silent) Advance(int)                  {}

// scanned is what a night came to.
type scanned struct {
	reasons  []string
	status   store.RunStatus
	findings map[string]string
	tallies  []finding.Tally
}

// engine is the path of libchdb.
func engine(t testing.TB) string {
	t.Helper()
	library := os.Getenv("LAPSE_LIBCHDB")
	if library == "" {
		if os.Getenv("CI") == "true" {
			t.Fatal("LAPSE_LIBCHDB is not set: run `make test`")
		}
		t.Skip("LAPSE_LIBCHDB is not set: run `make test`")
	}
	return library
}

// openStores opens an empty store and state, until done: there can be one store at a time.
func openStores(t *testing.T) (facts *store.Store, decisions *state.State, done func()) {
	t.Helper()
	library, dir := engine(t), t.TempDir()
	facts, err := store.Open(t.Context(), store.Options{URL: "embedded:" + dir, Library: library})
	if err != nil {
		t.Fatal(err)
	}
	decisions, err = state.Open(t.Context(), state.Options{Path: filepath.Join(dir, "state.db")})
	if err != nil {
		facts.Close()
		t.Fatal(err)
	}
	return facts, decisions, func() {
		decisions.Close()
		facts.Close()
	}
}

func scanOnce(t *testing.T, lane Lane, tamper func(*policy.Screen)) scanned {
	t.Helper()
	ctx := t.Context()
	facts, decisions, done := openStores(t)
	defer done()
	on := true
	pack, err := policy.Load(policy.Options{Overrides: map[string]policy.Override{"DOR-01": {Enabled: &on}}}, policy.Source{Name: "policies", FS: policies.FS})
	if err != nil {
		t.Fatal(err)
	}
	var out Outcome
	for i, second := range []bool{false, true} {
		out, err = Run(ctx, Options{
			Time: night.AddDate(0, 0, i), Sources: []Source{{UID: "app", Name: "App", Type: "file", Limits: collect.DefaultLimits(), Collector: application{4100, second}}},
			Store: facts, State: decisions, Pack: pack, Actor: state.Actor{ID: "test"}, Holder: "test", Parallel: 1, Lane: lane,
			Retention: store.Retention{Nights: 2, Months: 1, ChangesMonths: 1}, Log: slog.New(slog.DiscardHandler), Progress: silent{}, tamper: tamper,
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	s := scanned{reasons: out.Run.Reasons, status: out.Run.Status, findings: map[string]string{}}
	for f, err := range facts.Findings(ctx, out.Run.ID, store.FindingFilter{}) {
		if err != nil {
			t.Fatal(err)
		}
		s.findings[fmt.Sprintf("%s %s/%s %q", f.Policy, f.Subject.Source, f.Subject.ID, f.Key)] = string(f.Status) + " " + f.Message + " " + f.Evidence
	}
	if s.tallies, err = facts.Tallies(ctx, out.Run.ID); err != nil {
		t.Fatal(err)
	}
	if lane == LaneFull {
		rejudgedTheSame(t, Rejudging{Store: facts, Pack: pack}, out.Run.ID)
	}
	return s
}

// rejudgedTheSame judges a run again: of whole subjects all by all, and then of no more of them than a policy looks at those
// that its predicate, a sound or an unsound one, has not passed over.
func rejudgedTheSame(t *testing.T, j Rejudging, run uint64) {
	t.Helper()
	for _, id := range []string{"DOR-01", "DOR-02", "MFA-01"} {
		j.Only, j.Lane, j.Whole, j.tamper = []string{id}, LaneFull, true, nil
		want := rejudged(t, j, run)
		if len(want.Results) == 0 {
			t.Errorf("%s flags nothing", id)
		}
		for _, tamper := range []func(*policy.Screen){nil, func(s *policy.Screen) { s.Flags[0] = "(" + s.Flags[0] + " AND ifNull(account_mfa, false))" }} {
			j.Lane, j.Whole, j.tamper = LanePrefilter, false, tamper
			got := rejudged(t, j, run)
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("%s, unsound %v (-whole, full lane +judged again):\n%s", id, tamper != nil, diff)
			}
		}
	}
}

func rejudged(t *testing.T, j Rejudging, run uint64) Rejudged {
	t.Helper()
	defer j.Close(t.Context())
	out, err := j.Run(t.Context(), run)
	if err != nil {
		t.Fatal(err)
	}
	if j.tamper != nil { // what is doubted once is not trusted in a night without a sample
		if out, err = j.Run(t.Context(), run); err != nil {
			t.Fatal(err)
		}
	}
	slices.SortFunc(out.Results, func(a, b policy.Result) int { return strings.Compare(string(a.Fingerprint), string(b.Fingerprint)) })
	return out
}

// Two nights come to the same in both lanes: what is new, what still stands, what is fixed, and what stands because it can't be
// judged any more. A rule that the prefilter wrongs is shown by the sample, has judged everything
// in the end, and the run says so.
func TestLanesComeToTheSame(t *testing.T) {
	full := scanOnce(t, LaneFull, nil)
	rules := map[string]bool{}
	for key := range full.findings {
		id, _, _ := strings.Cut(key, " ")
		rules[id] = true
	}
	if !rules["DOR-01"] || !rules["DOR-02"] || !rules["MFA-01"] {
		t.Errorf("only %v flag anything", rules)
	}
	same := func(name string, got scanned) {
		if diff := cmp.Diff(full.findings, got.findings); diff != "" {
			t.Errorf("%s: findings of the full lane (-) differ:\n%s", name, diff)
		}
		if diff := cmp.Diff(full.tallies, got.tallies); diff != "" {
			t.Errorf("%s: tallies of the full lane (-) differ:\n%s", name, diff)
		}
	}
	prefiltered := scanOnce(t, LanePrefilter, nil)
	same("prefilter", prefiltered)
	if diff := cmp.Diff(full.reasons, prefiltered.reasons); diff != "" || prefiltered.status != full.status {
		t.Errorf("prefilter: %s %v", prefiltered.status, prefiltered.reasons)
	}

	wronged := scanOnce(t, LanePrefilter, func(s *policy.Screen) {
		for i, c := range s.Coverage {
			if c.Policy == "DOR-02" {
				s.Flags[i] = "(" + s.Flags[i] + " AND ifNull(account_mfa, false))"
			}
		}
	})
	same("unsound prefilter", wronged)
	if wronged.status != store.RunIncomplete || !strings.Contains(strings.Join(wronged.reasons, "\n"), "prefilter: DOR-02 flags account app/") {
		t.Errorf("unsound prefilter: %s %v", wronged.status, wronged.reasons)
	}
}

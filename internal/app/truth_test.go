package app_test

import (
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/lapse-audit/lapse/internal/app"
	"github.com/lapse-audit/lapse/internal/config"
	"github.com/lapse-audit/lapse/internal/finding"
	"github.com/lapse-audit/lapse/internal/scan"
	"github.com/lapse-audit/lapse/internal/state"
	"github.com/lapse-audit/lapse/internal/synth"
)

type silent struct{}

func (silent) Reading(string, int64, int64) {}
func (silent) Collected(scan.Collected)     {}
func (silent) Phase(string, int)            {}
func (silent) Advance(int)                  {}

// night is what stands after a scan, as a set: policy, source, subject, key, and how it stands.
type night map[string]bool

func (n night) minus(other night) (out []string) {
	for k := range n {
		if !other[k] {
			out = append(out, k)
		}
	}
	slices.Sort(out)
	return out
}

// TestDemoTellsTheTruth scans a made-up company night by night and wants exactly what its maker says is true, rule by
// rule: nothing missed, nothing extra, each first seen and closed on its night. A backtest of all the nights must then say
// what their scans said.
func TestDemoTellsTheTruth(t *testing.T) {
	nights := 30
	if testing.Short() {
		nights = 16 // ORP-02 takes 14
	}
	// With fewer people so few hold a seat that the guard takes three leavers for a lost page.
	company := synth.New(synth.Config{Seed: 7, People: 350, Nights: nights})
	for rule, n := range tellTheTruth(t, company, company.Config(), nights, func(a *app.App) {
		t.Run("backtest", func(t *testing.T) { backtested(t, a, nights) })
	}) {
		if n == 0 {
			t.Errorf("%s never fired, so nothing was shown of it", rule)
		}
	}
}

// TestDirectoryTellsTheTruth scans the same company with its directory read from LDIF, as Active Directory has it: what
// is found must be the same.
func TestDirectoryTellsTheTruth(t *testing.T) {
	company := synth.New(synth.Config{Seed: 7, People: 300, Nights: 30})
	seen := tellTheTruth(t, company, company.ConfigLDIF(), 2, func(*app.App) {})
	for _, rule := range []string{"DOR-01", "DOR-02", "LVR-01", "LVR-05", "ORP-01", "PEER-01", "SVC-01"} { // that judge a directory
		if seen[rule] == 0 {
			t.Errorf("%s never fired, so nothing was shown of it", rule)
		}
	}
}

// tellTheTruth scans the first nights, calls then, and returns how often each enabled rule was to find something.
func tellTheTruth(t *testing.T, company *synth.Company, configuration string, nights int, then func(*app.App)) map[string]int {
	t.Helper()
	library := os.Getenv("LAPSE_LIBCHDB")
	if library == "" && os.Getenv("CI") == "" {
		t.Skip("LAPSE_LIBCHDB is not set: run `make test`")
	}
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "lapse.yaml"), []byte(configuration), 0o600); err != nil {
		t.Fatal(err)
	}
	c, err := config.Load(filepath.Join(dir, "lapse.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	a := app.New(c, app.Options{Now: func() time.Time { return company.RunTime(n) }, Library: library, Log: slog.New(slog.DiscardHandler), Version: "test"})
	defer func() {
		if err := a.Close(); err != nil {
			t.Error(err)
		}
	}()
	seen := map[string]int{}
	var lives []synth.Life
	for n, lives = range company.Lives() {
		if n == nights {
			break
		}
		if err := company.WriteExports(dir, n); err != nil {
			t.Fatal(err)
		}
		c.Scan.Lane = []string{"full", "prefilter"}[n%2] // it makes no difference to what is found
		out, err := a.Scan(t.Context(), app.ScanOptions{Progress: silent{}, Actor: state.Actor{ID: "test"}})
		if err != nil {
			t.Fatalf("night %d: %v", n, err)
		}
		if out.Run.Reasons != nil {
			t.Fatalf("night %d is incomplete: %v", n, out.Run.Reasons)
		}
		want, got := night{}, night{}
		for _, l := range lives {
			status, since := finding.Open, l.FirstSeen.UTC().Format("01-02 15:04")
			switch {
			case l.State == synth.Ends && l.Excluded:
				continue // an exclusion is no finding: it just isn't there any more
			case l.State == synth.Ends:
				status = finding.Closed
			case l.Excluded:
				status = finding.Excluded
			}
			want[fmt.Sprintf("%s %s/%s %q %s since %s", l.Policy, l.Source, l.SubjectID, l.Key, status, since)] = true
			seen[l.Policy]++
		}
		all, err := a.Findings(t.Context(), app.FindingQuery{})
		if err != nil {
			t.Fatal(err)
		}
		for f, err := range all {
			if err != nil {
				t.Fatal(err)
			}
			got[fmt.Sprintf("%s %s/%s %q %s since %s", f.Policy, f.Subject.Source, f.Subject.ID, f.Key, f.Status, f.FirstSeen.UTC().Format("01-02 15:04"))] = true
		}
		if missed, extra := want.minus(got), got.minus(want); missed != nil || extra != nil {
			t.Fatalf("night %d: %d expected, %d found\nmissed %d: %v\nextra %d: %v", n, len(want), len(got), len(missed), first(missed), len(extra), first(extra))
		}
	}
	pack, err := a.Pack()
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range pack.Policies() {
		if p.Enabled {
			seen[p.ID] += 0
		}
	}
	t.Logf("%d nights, by rule: %v", nights, seen)
	then(a)
	return seen
}

func first(s []string) []string { return s[:min(15, len(s))] }

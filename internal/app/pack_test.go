package app_test

import (
	"flag"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/rogpeppe/go-internal/txtar"

	"github.com/lapse-audit/lapse/internal/app"
	"github.com/lapse-audit/lapse/internal/config"
	"github.com/lapse-audit/lapse/internal/finding"
	"github.com/lapse-audit/lapse/internal/state"
)

var update = flag.Bool("update", false, "write what is found into testdata/pack.want; then read the diff")

// TestEveryRuleFires scans a small company twice with every rule on. testdata/pack.want lists all that must be found, and
// nothing else may be: each rule fires, and passes over what only looks like a case of it.
func TestEveryRuleFires(t *testing.T) {
	library := os.Getenv("LAPSE_LIBCHDB")
	if library == "" && os.Getenv("CI") == "" {
		t.Skip("LAPSE_LIBCHDB is not set: run `make test`")
	}
	company, err := txtar.ParseFile(filepath.Join("testdata", "pack.txtar"))
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	lay := func(folder string) {
		for _, f := range company.Files {
			if name, ok := strings.CutPrefix(f.Name, folder); ok && !strings.Contains(name, "/") {
				if err := os.WriteFile(filepath.Join(dir, name), f.Data, 0o600); err != nil {
					t.Fatal(err)
				}
			}
		}
	}
	lay("")
	c, err := config.Load(filepath.Join(dir, "lapse.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	now := time.Date(2026, 11, 22, 2, 0, 0, 0, time.UTC)
	a := app.New(c, app.Options{Now: func() time.Time { return now }, Library: library, Log: slog.New(slog.DiscardHandler), Version: "test"})
	defer func() {
		if err := a.Close(); err != nil {
			t.Error(err)
		}
	}()
	var run uint64
	for _, folder := range []string{"1/", "2/"} {
		lay(folder)
		if folder == "2/" {
			now = now.AddDate(0, 0, 1)
			if err := os.Remove(filepath.Join(dir, "fax.jsonl")); err != nil {
				t.Fatal(err)
			}
		}
		out, err := a.Scan(t.Context(), app.ScanOptions{Progress: silent{}, Actor: state.Actor{ID: "test"}})
		if err != nil {
			t.Fatal(err)
		}
		if len(out.Failed) > 0 {
			t.Fatalf("failed: %v", out.Failed)
		}
		run = out.Run.ID
	}

	var got []string
	fired := map[string]bool{}
	all, err := a.Findings(t.Context(), app.FindingQuery{})
	if err != nil {
		t.Fatal(err)
	}
	for f, err := range all {
		if err != nil {
			t.Fatal(err)
		}
		fired[f.Policy] = fired[f.Policy] || f.Status == finding.Open
		id := strings.TrimPrefix(f.Subject.Source+"/"+f.Subject.ID, "/")
		got = append(got, fmt.Sprintf("%s %s %s %q %s: %s", f.Policy, f.Status, id, f.Key, f.Severity, f.Message))
	}
	slices.Sort(got)
	text := strings.Join(got, "\n") + "\n"
	if *update {
		if err := os.WriteFile(filepath.Join("testdata", "pack.want"), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(filepath.Join("testdata", "pack.want"))
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(strings.Split(string(want), "\n"), strings.Split(text, "\n")); d != "" {
		t.Errorf("-want +got\n%s", d)
	}
	wantBlind(t, a, run)
	pack, err := a.Pack()
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range pack.Policies() {
		if !p.Enabled || !fired[p.ID] {
			t.Errorf("%s is on: %v, and found something: %v", p.ID, p.Enabled, fired[p.ID])
		}
	}
}

// wantBlind wants that without a feed of what a rule goes by nothing is called clean: it is not evaluable.
func wantBlind(t *testing.T, a *app.App, run uint64) {
	t.Helper()
	facts, err := a.Store(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	tallies, err := facts.Tallies(t.Context(), run)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ policy, source, missing string }{
		{"PRV-01", "crm", "grants"},
		{"PRV-02", "erp", "grants.entitlement.high_risk|grants.entitlement.privileged"},
		{"REV-01", "erp", "coverage.reviewed|entitlement.days_since_review"},
		{"SVC-02", "crm", "coverage.interactive_login|account.days_since_interactive_login"},
		{"SVC-03", "crm", "account.keys"},
		{"DOR-01", "wiki", "account.enabled"},
		{"LVR-02", "crm", "account.active_sessions|account.keys.active"},
	} {
		i := slices.IndexFunc(tallies, func(t finding.Tally) bool { return t.Policy == c.policy && t.Source == c.source })
		if i < 0 || tallies[i].Evaluated > 0 || tallies[i].Missing[c.missing] == 0 {
			t.Errorf("%s on %s: want %s to be missing, and nothing evaluated: %+v", c.policy, c.source, c.missing, tallies[max(i, 0)])
		}
	}
}

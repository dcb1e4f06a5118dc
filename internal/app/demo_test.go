package app_test

import (
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/lapse-audit/lapse/internal/app"
	"github.com/lapse-audit/lapse/internal/config"
	"github.com/lapse-audit/lapse/internal/finding"
	"github.com/lapse-audit/lapse/internal/state"
	"github.com/lapse-audit/lapse/internal/store"
	"github.com/lapse-audit/lapse/internal/synth"
)

// TestDemoFiresEveryRule scans the demo's company with every rule on: each finds what was planted for it, and none takes
// what only looks like a case of it.
func TestDemoFiresEveryRule(t *testing.T) {
	library := os.Getenv("LAPSE_LIBCHDB")
	if library == "" && os.Getenv("CI") == "" {
		t.Skip("LAPSE_LIBCHDB is not set: run `make test`")
	}
	company := synth.New(synth.Config{Seed: 1, People: 300})
	dir := t.TempDir()
	file := filepath.Join(dir, "lapse.yaml")
	load := func(text string) *config.Config {
		t.Helper()
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		c, err := config.Load(file)
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	pack, err := app.New(load(company.Config()), app.Options{}).Pack()
	if err != nil {
		t.Fatal(err)
	}
	var ids []string
	for _, p := range pack.Policies() {
		ids = append(ids, p.ID)
	}
	before, _, ok := strings.Cut(company.Config(), "\npolicies:")
	if !ok {
		t.Fatal("the demo's lapse.yaml has no policies")
	}
	c := load(before + "\npolicies: {enable: [" + strings.Join(ids, ", ") + "]}\n")
	n := 0
	a := app.New(c, app.Options{Now: func() time.Time { return company.RunTime(n) }, Library: library, Log: slog.New(slog.DiscardHandler), Version: "test"})
	defer func() {
		if err := a.Close(); err != nil {
			t.Error(err)
		}
	}()
	// ORP-02 waits for fourteen days, and LVR-06 and SRC-01 see what changes.
	last := company.Nights() - 1
	for _, n = range []int{0, last / 2, last} {
		if err := company.WriteExports(dir, n); err != nil {
			t.Fatal(err)
		}
		out, err := a.Scan(t.Context(), app.ScanOptions{Progress: silent{}, Actor: state.Actor{ID: "test"}})
		if err != nil {
			t.Fatalf("night %d: %v", n, err)
		}
		if out.Run.Status != store.RunComplete || out.Failed != nil {
			t.Fatalf("night %d: %v %v %v", n, out.Run.Status, out.Run.Reasons, out.Failed)
		}
	}
	standing := map[string]finding.Status{}
	all, err := a.Findings(t.Context(), app.FindingQuery{Statuses: []finding.Status{finding.Open, finding.Excluded}})
	if err != nil {
		t.Fatal(err)
	}
	for f, err := range all {
		if err != nil {
			t.Fatal(err)
		}
		standing[fmt.Sprintf("%s %s/%s %q", f.Policy, f.Subject.Source, f.Subject.ID, f.Key)] = f.Status
	}
	planted, spared := map[string]int{}, map[string]int{}
	for _, e := range company.Truth(last) {
		if e.Excluded {
			continue
		}
		planted[e.Policy]++
		if key := fmt.Sprintf("%s %s/%s %q", e.Policy, e.Source, e.SubjectID, e.Key); standing[key] != finding.Open {
			t.Errorf("%s: missed: %q", key, standing[key])
		}
	}
	for _, p := range company.Plants(last) {
		key := fmt.Sprintf("%s %s/%s %q", p.Policy, p.Source, p.SubjectID, p.Key)
		is := standing[key]
		switch {
		case p.Lookalike == "":
			planted[p.Policy]++
			if is != finding.Open {
				t.Errorf("%s: missed: %q", key, is)
			}
		case is == finding.Open:
			t.Errorf("%s: %s", key, p.Lookalike)
		default:
			spared[p.Lookalike]++
		}
	}
	for _, id := range ids {
		if planted[id] == 0 {
			t.Errorf("%s: nothing is planted for it", id)
		}
	}
	for _, lookalike := range []string{
		"somebody on leave", "an administrator on leave", "a break-glass account that was only tested", "somebody who came back", "somebody who was renamed",
		"a service account with an owner", "a service account with its owner's address", "a shared mailbox", "a mailbox that is held", "a contract that was extended late",
		"an account that may be disabled", "an account of unknown kind", "an account whose last sign-in nobody knows",
	} {
		if spared[lookalike] == 0 {
			t.Errorf("there is no lookalike: %s", lookalike)
		}
	}
	t.Logf("planted, by rule: %v\nlookalikes: %v", planted, spared)
}

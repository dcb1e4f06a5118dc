package policy

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/lapse-audit/lapse/internal/access"
	"github.com/lapse-audit/lapse/policies"
)

// What `policy new` writes is where everybody begins: check has nothing to say about it, its tests pass and reach it all.
func TestSkeletons(t *testing.T) {
	dir := t.TempDir()
	for i, kind := range access.SubjectKinds() {
		first, second := fmt.Sprintf("ACME-0%d", i), fmt.Sprintf("ACME-1%d", i)
		for _, s := range []Skeleton{{ID: first, Subject: kind, Dir: dir}, {ID: second, Subject: kind, Dir: dir, Title: fmt.Sprintf("%d days: \"too\" long", i)}} {
			to, err := s.Write()
			if err != nil {
				t.Fatal(err)
			}
			if _, err := s.Write(); err == nil || !strings.Contains(err.Error(), "is there already") {
				t.Errorf("written twice: %v", err)
			}
			if _, err := os.Stat(filepath.Join(to, "policy_test.rego")); err != nil {
				t.Error(err)
			}
		}
	}
	sources := []Source{{Name: "built-in", FS: policies.FS}, Dir(dir)}
	problems, err := Check(Options{}, sources...)
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range problems {
		if strings.HasPrefix(p.File, dir) {
			t.Errorf("%+v", p)
		}
	}
	pack, err := Load(Options{}, sources...)
	if err != nil {
		t.Fatal(err)
	}
	report, err := Test(context.Background(), pack, io.Discard, TestOptions{Run: "lapse.acme"})
	if err != nil {
		t.Fatal(err)
	}
	if !report.OK() {
		t.Errorf("%+v", report)
	}
	for _, c := range report.Coverage {
		if strings.HasPrefix(c.File, dir) && c.Percent < 100 {
			t.Errorf("tests reach %.0f%% of %s, not %v", c.Percent, c.File, c.Missed)
		}
	}
	for _, id := range []string{"acme-1", "ACME", "../X-1", ""} {
		if _, err := (Skeleton{ID: id, Subject: access.SubjectAccount, Dir: t.TempDir()}).Write(); err == nil || !strings.Contains(err.Error(), "is not of the form ACME-01") {
			t.Errorf("%q: %v", id, err)
		}
	}
}

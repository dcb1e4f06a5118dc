package reports

import (
	"bytes"
	"flag"
	"io"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/lapse-audit/lapse/internal/finding"
)

var update = flag.Bool("update", false, "rewrite the goldens")

func TestGoldens(t *testing.T) {
	full := mustNew(t, company(1))
	first := mustNew(t, firstNight())
	empty := mustNew(t, Data{Run: Run{ID: 1, Time: night}, Findings: list(nil)})
	for name, write := range map[string]func(io.Writer) error{
		"company.txt":  func(w io.Writer) error { return full.Text(w, TextOptions{Full: "report/index.html"}) },
		"company.json": full.JSON,
		"company.csv":  full.CSV,
		"company.html": func(w io.Writer) error { return full.HTML(w, HTMLOptions{CSV: "findings.csv"}) },
		"first.txt":    func(w io.Writer) error { return first.Text(w, TextOptions{Color: true}) },
		"empty.txt":    func(w io.Writer) error { return empty.Text(w, TextOptions{}) },
		"empty.json":   empty.JSON,
	} {
		t.Run(name, func(t *testing.T) {
			var got bytes.Buffer
			if err := write(&got); err != nil {
				t.Fatal(err)
			}
			file := filepath.Join("testdata", name)
			if *update {
				if err := os.WriteFile(file, got.Bytes(), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(string(want), got.String()); diff != "" {
				t.Errorf("%s differs; rewrite it with -update and read the diff:\n%s", file, diff)
			}
		})
	}
}

// firstNight has a backlog and nothing else; every source is fresh, and times are printed in another zone.
func firstNight() Data {
	d := company(1)
	var backlog []finding.Finding
	for f := range d.Findings {
		if f.Status == finding.Open {
			f.Backlog, f.FirstSeen, f.DueAt, f.Carried = true, night, night.AddDate(0, 0, 30), false
			backlog = append(backlog, f)
		}
	}
	d.Findings = list(backlog)
	d.Run.Reasons, d.Run.Previous, d.Gone, d.Nights, d.Exceptions, d.Changes = nil, nil, nil, nil, nil, nil
	d.Inputs, d.Tallies = d.Inputs[:2], d.Tallies[:12]
	d.Zone = time.FixedZone("EST", -5*3600)
	return d
}

func mustNew(t testing.TB, d Data) *Report {
	t.Helper()
	r, err := New(d)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

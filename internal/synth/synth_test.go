package synth

import (
	"bytes"
	"crypto/sha256"
	"encoding/csv"
	"encoding/json"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/text/transform"

	"github.com/google/go-cmp/cmp"

	"github.com/lapse-audit/lapse/internal/access"
)

// digest is the hash of each file that a company exports on night n.
func digest(t *testing.T, cfg Config, n int) map[string]string {
	t.Helper()
	dir := t.TempDir()
	if err := New(cfg).WriteExports(dir, n); err != nil {
		t.Fatal(err)
	}
	out := map[string]string{}
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		data, err := os.ReadFile(path)
		name, _ := filepath.Rel(filepath.Join(dir, Exports), path)
		out[name] = fmt.Sprintf("%x", sha256.Sum256(data))
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func TestSameSeedSameBytes(t *testing.T) {
	cfg := Config{Seed: 7, People: 600}
	one := digest(t, cfg, 12)
	if d := cmp.Diff(one, digest(t, cfg, 12)); d != "" {
		t.Errorf("the same company exports other bytes: %s", d)
	}
	if len(one) != 36 {
		t.Errorf("%d files: %v", len(one), slices.Sorted(maps.Keys(one)))
	}
	cfg.Seed = 8
	other := digest(t, cfg, 12)
	for _, name := range []string{"hr/people.csv", "ad/users.csv", "chat/users.jsonl"} {
		if one[name] == other[name] {
			t.Errorf("%s is the same for another seed", name)
		}
	}
	if d := cmp.Diff(New(cfg).Truth(12), New(cfg).Truth(12)); d != "" {
		t.Error(d)
	}
}

var rules = []string{
	"DOR-01", "DOR-02", "DOR-03", "LIC-01", "LIC-02", "LVR-01", "LVR-03", "LVR-04", "LVR-05", "MFA-01", "ORP-01", "ORP-02", "PEER-01", "SVC-01",
}

// Each rule finds something on some night, and things appear and end over the nights.
func TestTruthHasEveryRule(t *testing.T) {
	for _, people := range []int{0, 2000} {
		c := New(Config{Seed: 1, People: people})
		found, excluded, appears, ends := map[string]int{}, map[string]int{}, map[string]int{}, map[string]int{}
		last := 0
		for n, lives := range c.Lives() {
			for _, l := range lives {
				switch {
				case l.State == Ends:
					ends[l.Policy]++
				case l.Excluded:
					excluded[l.Policy]++
				default:
					found[l.Policy]++
					if l.State == Appears && n > 0 {
						appears[l.Policy]++
					}
				}
			}
			last = n
		}
		if last != 29 {
			t.Errorf("last night %d", last)
		}
		for _, rule := range rules {
			t.Logf("%d people, %s: %d hits over all nights, %d excluded, %d appear, %d end", c.People(), rule, found[rule], excluded[rule], appears[rule], ends[rule])
			if found[rule] == 0 {
				t.Errorf("%d people: %s finds nothing", c.People(), rule)
			}
		}
		if len(found) != len(rules) {
			t.Errorf("rules %v", slices.Sorted(maps.Keys(found)))
		}
		for _, rule := range []string{"DOR-01", "DOR-02", "LIC-02"} {
			if excluded[rule] == 0 {
				t.Errorf("%d people: nobody on leave under %s", c.People(), rule)
			}
		}
		for _, rule := range []string{"LVR-01", "LVR-03", "LVR-04", "LVR-05", "LIC-01", "ORP-01", "ORP-02", "SVC-01", "DOR-01", "DOR-03", "LIC-02"} {
			if appears[rule] == 0 {
				t.Errorf("%d people: nothing new under %s after the first night", c.People(), rule)
			}
		}
		for _, rule := range []string{"LVR-01", "LVR-04", "LIC-01", "ORP-01"} {
			if ends[rule] == 0 {
				t.Errorf("%d people: nothing ends under %s", c.People(), rule)
			}
		}
	}
}

// Things that look like findings and are none, each of which a careless rule would flag.
func TestLookalikes(t *testing.T) {
	c := New(Config{Seed: 1, People: 2000})
	flagged := func(n int) map[string]bool {
		out := map[string]bool{}
		for _, e := range c.Truth(n) {
			out[e.Policy+" "+e.Source+" "+e.SubjectID] = true
		}
		return out
	}
	count := map[string]int{}
	for n := 0; n < c.Nights(); n += 7 {
		is := flagged(n)
		at := c.RunTime(n)
		for _, source := range Sources()[1:] {
			for a := range c.accounts(source, n) {
				if a.person == nil {
					continue
				}
				o, s := c.observe(&a, n), c.standingOn(a.person, n)
				rule := func(policy string) bool { return is[policy+" "+source+" "+a.id] }
				never := func(what string, policies ...string) {
					count[what]++
					for _, policy := range policies {
						if rule(policy) {
							t.Errorf("night %d: %s flags %s, %s %s", n, policy, what, source, a.id)
						}
					}
				}
				enabled := o.Enabled != nil && *o.Enabled
				switch p := a.person; {
				case s.status == access.PersonEnded && enabled && s.end != nil && at.Sub(*s.end) < 24*time.Hour && p.fate == fateGrace:
					never("a leaver within the grace", "LVR-01")
				case p.fate == fateConverted && enabled:
					never("a contractor who was taken on", "LVR-01", "LVR-04")
				case p.fate == fateRehired && enabled:
					never("somebody who came back", "LVR-01", "LVR-03")
				case p.fate == fateDormantEdge:
					never("somebody away for less than 90 days", "DOR-01")
				case a.kind == "" && enabled:
					never("an account of unknown kind", "LVR-01", "ORP-01", "DOR-01")
				case source == VPN && s.status == access.PersonEnded:
					never("an account that may be disabled", "LVR-01", "LVR-04")
				case s.status == access.PersonLeave && o.LastLoginAt != nil:
					never("somebody on leave", "LVR-01", "ORP-01")
				case !p.mfa && source == AD:
					never("an administrator whose second factor is unknown", "MFA-01")
				case p.fate == fateSeatEdge && source == Wiki:
					never("a seat not used for less than 60 days", "LIC-02")
				case source == ERP && enabled && o.LastLoginAt == nil:
					never("an account without a last sign-in", "DOR-01", "DOR-03")
				}
			}
		}
	}
	for _, what := range []string{
		"a leaver within the grace", "a contractor who was taken on", "somebody who came back", "somebody away for less than 90 days", "an account of unknown kind",
		"an account that may be disabled", "somebody on leave", "an administrator whose second factor is unknown", "a seat not used for less than 60 days",
	} {
		if count[what] == 0 {
			t.Errorf("there is no lookalike: %s", what)
		}
	}
	t.Log(count)
}

// An account's last sign-in never goes back.
func TestSignInsGoForward(t *testing.T) {
	c := New(Config{Seed: 3, People: 300})
	was, moved := map[string]time.Time{}, 0
	for n := range c.Nights() {
		for _, source := range []string{AD, Chat} {
			for a := range c.accounts(source, n) {
				o := c.observe(&a, n)
				if o.LastLoginAt == nil {
					continue
				}
				if o.LastLoginAt.Before(was[a.id]) || o.LastLoginAt.After(c.RunTime(n)) || o.LastLoginAt.Before(a.created) {
					t.Fatalf("night %d, %s: %v after %v, created %v", n, a.id, o.LastLoginAt, was[a.id], a.created)
				}
				if o.LastLoginAt.After(was[a.id]) {
					moved++
				}
				was[a.id] = *o.LastLoginAt
			}
		}
	}
	if moved < 5000 {
		t.Errorf("%d sign-ins", moved)
	}
}

// Every export reads back with as many rows as there are records, and ids are unique.
func TestExportsParse(t *testing.T) {
	c := New(Config{Seed: 2})
	dir := t.TempDir()
	for _, n := range []int{0, 20} {
		if err := c.WriteExports(dir, n); err != nil {
			t.Fatal(err)
		}
		for _, source := range Sources() {
			for _, s := range c.sheets(source) {
				rows, first := read(t, filepath.Join(dir, Exports, source, s.path), s)
				want := 0
				for r := range c.Records(source, n) {
					want += len(s.of(r))
				}
				if len(rows) != want || want == 0 {
					t.Errorf("%s/%s: %d rows, want %d", source, s.path, len(rows), want)
				}
				if key := first; strings.Contains(s.path, "users") || strings.Contains(s.path, "benutzer") || strings.Contains(s.path, "groups") {
					seen := map[string]bool{}
					for _, r := range rows {
						if seen[r[key]] || r[key] == "" {
							t.Fatalf("%s/%s: id %q twice or empty", source, s.path, r[key])
						}
						seen[r[key]] = true
					}
				}
			}
		}
	}
}

// read reads a sheet as columns by name.
func read(t *testing.T, path string, s sheet) (rows []map[string]string, first string) {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if s.encoding != nil {
		if data, _, err = transform.Bytes(decoder(data), data); err != nil {
			t.Fatal(err)
		}
	}
	switch filepath.Ext(path) {
	case ".json", ".jsonl":
		var list []map[string]any
		if strings.HasSuffix(path, ".json") {
			err = json.Unmarshal(data, &list)
		} else {
			for line := range bytes.Lines(data) {
				var o map[string]any
				if err = json.Unmarshal(line, &o); err != nil {
					break
				}
				list = append(list, o)
			}
		}
		if err != nil {
			t.Fatalf("%s: %v", path, err)
		}
		for _, o := range list {
			row := map[string]string{}
			for k, v := range o {
				row[k] = fmt.Sprint(v)
			}
			rows = append(rows, row)
		}
		return rows, s.columns[0]
	}
	r := csv.NewReader(bytes.NewReader(data))
	if s.comma != 0 {
		r.Comma = s.comma
	}
	head, err := r.Read()
	if err != nil || !slices.Equal(head, s.columns) {
		t.Fatalf("%s: header %q, %v", path, head, err)
	}
	for {
		cells, err := r.Read()
		if err == io.EOF {
			return rows, s.columns[0]
		}
		if err != nil {
			t.Fatalf("%s: %v", path, err)
		}
		row := map[string]string{}
		for i, name := range head {
			row[name] = cells[i]
		}
		rows = append(rows, row)
	}
}

// A company of 250,000 people streams: printed are accounts and grants a second and the heap in use.
func BenchmarkRecords(b *testing.B) {
	c := New(Config{Seed: 1, People: 250_000})
	for b.Loop() {
		accounts, grants := 0, 0
		began := time.Now()
		for _, source := range Sources() {
			for r := range c.Records(source, 10) {
				switch r.(type) {
				case access.Account:
					accounts++
				case access.Grant:
					grants++
				}
			}
		}
		b.ReportMetric(float64(accounts), "accounts")
		b.ReportMetric(float64(grants), "grants")
		b.ReportMetric(float64(accounts)/time.Since(began).Seconds(), "accounts/s")
	}
}

package cli_test

import (
	"bufio"
	"encoding/csv"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
)

// TestMovers takes a real history of 1,000 employees as the roster, gives them accounts with planted faults, and wants
// exactly the findings that follow from the history by arithmetic on dates.
func TestMovers(t *testing.T) {
	t.Parallel()
	root := os.Getenv("LAPSE_REALDATA")
	if root == "" {
		t.Skip("LAPSE_REALDATA names no folder of real data")
	}
	history := readHistory(t, filepath.Join(root, "hr_movers", "mysql", "dataset_small"))
	for _, at := range []string{"1990-01-01", "1995-07-01", "2001-03-01"} {
		t.Run(at, func(t *testing.T) {
			now, err := time.Parse("2006-01-02", at)
			if err != nil {
				t.Fatal(err)
			}
			dir := t.TempDir()
			want := writeMovers(t, dir, history, now)
			lapse(t, dir, "scan", "--at", at, "--quiet", "--no-report")
			out := lapse(t, dir, "findings", "list", "--format", "json", "--at", at, "--quiet")
			var found []struct {
				Policy  string `json:"policy"`
				Subject string `json:"subject_id"`
			}
			if err := json.Unmarshal([]byte(out), &found); err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, f := range found {
				got = append(got, f.Policy+" "+f.Subject)
			}
			slices.Sort(got)
			slices.Sort(want)
			if !slices.Equal(got, want) {
				t.Errorf("%d findings, want %d\nmissing: %v\nextra: %v", len(got), len(want), without(want, got), without(got, want))
			}
			t.Logf("%d findings", len(got))
		})
	}
}

func without(a, b []string) []string {
	return slices.DeleteFunc(slices.Clone(a), func(s string) bool { return slices.Contains(b, s) })
}

// spell is one stay of an employee in one department, as the dump has it.
type spell struct{ employee, department, from, to string }

type employee struct {
	id, name string
	spells   []spell
}

func readHistory(t *testing.T, dir string) []employee {
	t.Helper()
	people := map[string]*employee{}
	for _, row := range dumpRows(t, filepath.Join(dir, "load_employee.sql")) {
		people[row[0]] = &employee{id: row[0], name: row[2] + " " + row[3]}
	}
	for _, row := range dumpRows(t, filepath.Join(dir, "load_dept_emp.sql")) {
		e := people[row[0]]
		e.spells = append(e.spells, spell{row[0], row[1], row[2], row[3]})
	}
	var out []employee
	for _, e := range people {
		slices.SortFunc(e.spells, func(a, b spell) int { return strings.Compare(a.from, b.from) })
		out = append(out, *e)
	}
	slices.SortFunc(out, func(a, b employee) int { return strings.Compare(a.id, b.id) })
	if len(out) < 900 {
		t.Fatalf("only %d employees in %s", len(out), dir)
	}
	return out
}

var tuple = regexp.MustCompile(`\(([^()]*)\)`)

// dumpRows reads the tuples of INSERT … VALUES.
func dumpRows(t *testing.T, path string) [][]string {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var out [][]string
	for lines := bufio.NewScanner(f); lines.Scan(); {
		for _, m := range tuple.FindAllStringSubmatch(lines.Text(), -1) {
			row := strings.Split(m[1], ",")
			for i := range row {
				row[i] = strings.Trim(row[i], "'")
			}
			out = append(out, row)
		}
	}
	return out
}

// state of an employee by arithmetic on dates: "to" is the last day.
func (e employee) at(now time.Time) (status string, lastDay time.Time) {
	today := now.Format("2006-01-02")
	if e.spells[0].from > today {
		return "future", time.Time{}
	}
	last := ""
	for _, s := range e.spells {
		if s.from <= today && s.to >= today {
			return "active", time.Time{}
		}
		if s.from <= today && s.to > last {
			last = s.to
		}
	}
	lastDay, _ = time.Parse("2006-01-02", last)
	return "ended", lastDay
}

// writeMovers writes roster, accounts and lapse.yaml, and returns the findings they must give.
func writeMovers(t *testing.T, dir string, history []employee, now time.Time) (want []string) {
	t.Helper()
	people := [][]string{{"id", "name", "department", "effective_from", "effective_to"}}
	accounts := [][]string{{"id", "username", "employee_id", "enabled", "created_at", "last_login_at", "kind"}}
	counts := map[string]int{}
	for i, e := range history {
		for _, s := range e.spells {
			people = append(people, []string{e.id, e.name, s.department, s.from, s.to})
		}
		status, lastDay := e.at(now)
		counts[status]++
		id := "acc-" + e.id
		enabled, login := "true", now.AddDate(0, 0, -1)
		switch status {
		case "future":
			continue
		case "ended":
			login = lastDay.AddDate(0, 0, -5)
			switch i % 3 {
			case 0: // cleaned up
				enabled = "false"
			case 1: // forgotten
				if now.Sub(lastDay.AddDate(0, 0, 1)) >= 24*time.Hour {
					want = append(want, "LVR-01 "+id)
				}
			case 2: // cleaned up, but used after the last day
				enabled = "false"
				if after := lastDay.AddDate(0, 0, 3); after.Before(now) {
					login = after
					want = append(want, "LVR-03 "+id)
				}
			}
		}
		accounts = append(accounts, []string{id, "u" + e.id, e.id, enabled, "1985-01-01", login.Format("2006-01-02"), "human"})
	}
	for i := range 7 {
		id := fmt.Sprintf("ghost-%d", i)
		accounts = append(accounts, []string{id, id, "", "true", "1985-01-01", now.AddDate(0, 0, -1).Format("2006-01-02"), "human"})
		want = append(want, "ORP-01 "+id)
	}
	for _, status := range []string{"active", "ended", "future"} {
		t.Logf("%s: %d %s", now.Format("2006-01-02"), counts[status], status)
	}
	writeCSV(t, filepath.Join(dir, "people.csv"), people)
	writeCSV(t, filepath.Join(dir, "accounts.csv"), accounts)
	write(t, filepath.Join(dir, "lapse.yaml"), `
sources:
  - {uid: hr, type: file, roster: {end_date: last_day}, files: {people: {path: people.csv}}}
  - {uid: app, type: file, links: {employee_id: [hr]}, files: {accounts: {path: accounts.csv}}}
`)
	return want
}

func writeCSV(t *testing.T, path string, rows [][]string) {
	t.Helper()
	var b strings.Builder
	if err := csv.NewWriter(&b).WriteAll(rows); err != nil {
		t.Fatal(err)
	}
	write(t, path, b.String())
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

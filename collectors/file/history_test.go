package file

import (
	"encoding/csv"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/lapse-audit/lapse/internal/access"
	"github.com/lapse-audit/lapse/internal/collect"
)

func TestHistory(t *testing.T) {
	const head = "id,department,title,effective_from,effective_to\n"
	for _, c := range []struct{ name, roster, at, rows, want string }{
		{"one row", "end_date: first_day_off", "2020-01-01", "1,A,x,2019-01-01,", "1 A/x 2019-01-01.."},
		{"to come", "end_date: first_day_off", "2018-01-01", "1,A,x,2019-01-01,9999-01-01", "1 A/x 2019-01-01.."},
		{"over", "end_date: first_day_off", "2020-01-01", "1,A,x,2019-01-01,2019-06-01", "1 A/x 2019-01-01..2019-06-01"},
		{"over at that moment", "end_date: first_day_off", "2019-06-01", "1,A,x,2019-01-01,2019-06-01", "1 A/x 2019-01-01..2019-06-01"},
		{"last day", "end_date: last_day", "2019-06-01", "1,A,x,2019-01-01,2019-06-01", "1 A/x 2019-01-01..2019-06-02"},
		{"moved", "end_date: first_day_off", "2020-01-01", "1,B,y,2019-06-01,9999-01-01\n1,A,x,2019-01-01,2019-06-01", "1 B/y 2019-01-01.. from A/x on 2019-06-01"},
		{"moved, by last days", "end_date: last_day", "2020-01-01", "1,A,x,2019-01-01,2019-05-31\n1,B,y,2019-06-01,", "1 B/y 2019-01-01.. from A/x on 2019-06-01"},
		{"moved, later rows without an end", "end_date: first_day_off", "2020-01-01", "1,A,x,2019-01-01,\n1,B,y,2019-06-01,\n1,C,z,2021-01-01,", "1 B/y 2019-01-01.. from A/x on 2019-06-01"},
		{"promoted after the move", "end_date: first_day_off", "2020-01-01", "1,A,x,2018-01-01,2019-01-01\n1,B,x,2019-01-01,2019-06-01\n1,B,y,2019-06-01,", "1 B/y 2018-01-01.. from A/x on 2019-01-01"},
		{"will move", "end_date: first_day_off", "2019-05-31", "1,A,x,2019-01-01,2019-06-01\n1,B,y,2019-06-01,", "1 A/x 2019-01-01.."},
		{"moved and left", "end_date: first_day_off", "2020-01-01", "1,A,x,2019-01-01,2019-06-01\n1,B,y,2019-06-01,2019-12-31", "1 B/y 2019-01-01..2019-12-31 from A/x on 2019-06-01"},
		{"rehired", "end_date: first_day_off", "2020-01-01", "1,A,x,2010-01-01,2012-01-01\n1,B,y,2019-06-01,", "1 A/x 2010-01-01..2012-01-01; 1@2019-06-01 B/y 2019-06-01.."},
		{"between two jobs", "end_date: first_day_off", "2015-01-01", "1,A,x,2010-01-01,2012-01-01\n1,B,y,2019-06-01,", "1 A/x 2010-01-01..2012-01-01; 1@2019-06-01 B/y 2019-06-01.."},
		{"gap in assignments", "end_date: first_day_off, history: assignment", "2020-01-01", "1,A,x,2010-01-01,2012-01-01\n1,B,y,2019-06-01,2019-07-01", "1 B/y .. from A/x on 2019-06-01"},
		{"seconded and back", "end_date: first_day_off", "2020-01-01", "1,A,x,2010-01-01,\n1,B,y,2012-01-01,2013-01-01", "1 A/x 2010-01-01.."},
		{"seconded", "end_date: first_day_off", "2012-06-01", "1,A,x,2010-01-01,\n1,B,y,2012-01-01,2013-01-01", "1 B/y 2010-01-01.. from A/x on 2012-01-01"},
		{"a row of no length", "end_date: first_day_off", "2020-01-01", "1,A,x,2010-01-01,2010-01-01\n1,B,y,2010-01-01,", "1 B/y 2010-01-01.."},
		{"only a row of no length", "end_date: first_day_off", "2020-01-01", "1,A,x,2010-01-01,2010-01-01", "1 A/x 2010-01-01..2010-01-01"},
		{"department unknown for a while", "end_date: first_day_off", "2020-01-01", "1,A,x,2010-01-01,2011-01-01\n1,,x,2011-01-01,2012-01-01\n1,A,x,2012-01-01,", "1 A/x 2010-01-01.."},
		{"two people", "end_date: first_day_off", "2020-01-01", "2,A,x,2010-01-01,2011-01-01\n1,,x,2011-01-01,\n2,A,z,2011-01-01,", "2 A/z 2010-01-01..; 1 /x 2011-01-01.."},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := write(t, map[string]string{"p.csv": head + c.rows + "\n"})
			clock := *at(c.at + "T00:00:00Z")
			k, err := New(parse(t, "roster: {"+c.roster+"}\nfiles: {people: {path: p.csv}}"), Options{Base: dir, Roster: true, Now: func() time.Time { return clock }})
			if err != nil {
				t.Fatal(err)
			}
			var out keeper
			if _, err := k.Collect(t.Context(), &out); err != nil {
				t.Fatal(err)
			}
			same(t, out.reasons(), []string(nil))
			var got []string
			for _, r := range out.records {
				got = append(got, brief(r.(access.Person)))
			}
			same(t, strings.Join(got, "; "), c.want)
		})
	}
}

// brief is a person in one line.
func brief(p access.Person) string {
	day := func(t *time.Time) string {
		if t == nil {
			return ""
		}
		return t.Format(time.DateOnly)
	}
	s := fmt.Sprintf("%s %s/%s %s..%s", p.RecordID, p.Department, p.Title, day(p.StartAt), day(p.EndAt))
	if p.TransferredAt != nil {
		s += fmt.Sprintf(" from %s/%s on %s", p.PreviousDepartment, p.PreviousTitle, day(p.TransferredAt))
	}
	return s
}

func TestHistoryRejects(t *testing.T) {
	dir := write(t, map[string]string{"p.csv": "id,department,effective_from,effective_to\n1,A,,2020-01-01\n2,A,2020-01-02,2020-01-01\n3,A,2020-01-01,\n3,B,2020-01-01,\n4,A,2020-01-01,\n4,A,2020-01-01,\n5,A,2020-01-01,\n5,B,2020-01-01,2021-01-01\n5,C,2019-01-01,2020-01-01\n"})
	out, _, err := gather(t, dir, "roster: {end_date: first_day_off}\nfiles: {people: {path: p.csv}}")
	if err != nil {
		t.Fatal(err)
	}
	same(t, len(out.records), 2)
	same(t, out.reasons(), []string{
		`p.csv line 2 column "effective_from": empty`,
		`p.csv line 3 column "effective_to": is before effective_from`,
		`p.csv line 4 column "id": p.csv line 5 has the same id and says something else: neither is taken; if a person may have several worker records, name the columns that tell them apart for record_id`,
		`p.csv line 5 column "id": p.csv line 4 has the same id and says something else: neither is taken; if a person may have several worker records, name the columns that tell them apart for record_id`,
		`p.csv line 7 column "id": the same row as p.csv line 6`,
		`p.csv line 8 column "effective_from": p.csv line 9 of the same id begins at the same time: neither is taken`,
		`p.csv line 9 column "effective_from": p.csv line 8 of the same id begins at the same time: neither is taken`,
	})
	_, _, err = gather(t, write(t, map[string]string{"p.csv": "id,effective_to\n1,2020-01-01\n"}), "roster: {end_date: first_day_off}\nfiles: {people: {path: p.csv}}")
	if err == nil || err.Error() != "files.people: effective_to needs effective_from" {
		t.Errorf("error %v", err)
	}
}

// dated is a row of the dumps: what held from one day to the day before another.
type dated struct{ value, from, to string }

var tuple = regexp.MustCompile(`\(([^()]*)\)`)

// dump reads the rows of an INSERT.
func dump(t *testing.T, path string) [][]string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	_, values, ok := strings.Cut(string(text), "VALUES")
	if !ok {
		t.Fatalf("%s: no VALUES", path)
	}
	var out [][]string
	for _, m := range tuple.FindAllStringSubmatch(values, -1) {
		cells := strings.Split(m[1], ",")
		for i := range cells {
			cells[i] = strings.Trim(cells[i], "'")
		}
		out = append(out, cells)
	}
	return out
}

// TestRealMovers collects a public sample of department and title histories as of three dates, and compares with what
// follows from the dumps themselves.
func TestRealMovers(t *testing.T) {
	root := os.Getenv("LAPSE_REALDATA")
	if root == "" {
		t.Skip("set LAPSE_REALDATA to the folder that holds hr_movers")
	}
	for _, set := range []string{"dataset_small", "dataset_large"} {
		folder := filepath.Join(root, "hr_movers", "mysql", set)
		read := func(name string) map[string][]dated {
			out := map[string][]dated{}
			for _, r := range dump(t, filepath.Join(folder, name)) {
				out[r[0]] = append(out[r[0]], dated{r[1], r[2], r[3]})
			}
			return out
		}
		departments, titles := read("load_dept_emp.sql"), read("load_title.sql")
		employees := dump(t, filepath.Join(folder, "load_employee.sql"))
		dir := t.TempDir()
		rows := writeHistory(t, filepath.Join(dir, "people.csv"), employees, departments, titles)
		t.Logf("%s: %d people, %d rows", set, len(employees), rows)

		for _, day := range []string{"1990-01-01", "1995-06-30", "2002-08-01"} {
			t.Run(set+" "+day, func(t *testing.T) {
				berlin, err := time.LoadLocation("Europe/Berlin")
				if err != nil {
					t.Fatal(err)
				}
				clock, err := time.ParseInLocation(time.DateOnly, day, berlin)
				if err != nil {
					t.Fatal(err)
				}
				k, err := New(parse(t, `
roster: {end_date: first_day_off, zone: Europe/Berlin}
files:
  people:
    path: people.csv
    columns: {id: emp_no, name: [first_name, last_name], department: dept, title: title, effective_from: from_date, effective_to: to_date}
`), Options{Base: dir, Roster: true, UID: "hr", Now: func() time.Time { return clock }})
				if err != nil {
					t.Fatal(err)
				}
				var out keeper
				res, err := collect.Run(t.Context(), k, &out, collect.Options{Limits: collect.DefaultLimits(), Now: clock})
				if err != nil {
					t.Fatal(err)
				}
				got := map[string]string{}
				for _, r := range out.records {
					p := r.(access.Person)
					got[p.ID] = standing(p, clock, berlin)
				}
				counts := map[string]int{}
				wrong := 0
				for _, e := range employees {
					want := derive(departments[e[0]], titles[e[0]], day)
					status, _, _ := strings.Cut(want, " ")
					counts[status]++
					if strings.Contains(want, "moved") {
						counts["moved"]++
					}
					if got[e[0]] != want {
						if wrong++; wrong <= 5 {
							t.Errorf("%s is %q, want %q", e[0], got[e[0]], want)
						}
					}
				}
				if wrong > 0 || len(got) != len(employees) {
					t.Errorf("%d of %d people differ, %d collected", wrong, len(employees), len(got))
				}
				if active := int64(counts["active"] + counts["future"]); res.Counts[collect.ActivePeople] != active {
					t.Errorf("%d active people counted, want %d", res.Counts[collect.ActivePeople], active)
				}
				t.Logf("active %d, ended %d, future %d, moved %d", counts["active"], counts["ended"], counts["future"], counts["moved"])
			})
		}
	}
}

// writeHistory joins both histories: a row for each time in which neither changes, in no order of time.
func writeHistory(t *testing.T, path string, employees [][]string, departments, titles map[string][]dated) int {
	t.Helper()
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	w := csv.NewWriter(f)
	defer w.Flush()
	w.Write([]string{"emp_no", "first_name", "last_name", "dept", "title", "from_date", "to_date"})
	n := 0
	for _, e := range employees {
		for _, d := range departments[e[0]] {
			for _, ti := range titles[e[0]] {
				from, to := max(d.from, ti.from), min(d.to, ti.to)
				if from < to || d.from == d.to && from == to {
					w.Write([]string{e[0], e[2], e[3], d.value, ti.value, from, to})
					n++
				}
			}
		}
	}
	return n
}

// derive tells from the dumps where a person stands on a day, without any code of this package.
func derive(departments, titles []dated, day string) string {
	byStart := func(a, b dated) int { return strings.Compare(a.from, b.from) }
	departments, titles = slices.SortedFunc(slices.Values(departments), byStart), slices.SortedFunc(slices.Values(titles), byStart)
	for _, list := range []*[]dated{&departments, &titles} {
		if len(*list) > 1 { // what ended on the day it began was never in force
			*list = slices.DeleteFunc(*list, func(d dated) bool { return d.from == d.to })
		}
	}
	first, last := departments[0], departments[len(departments)-1]
	status := "active"
	switch {
	case day < first.from:
		status = "future"
	case day >= last.to:
		status = "ended"
	}
	valid := func(list []dated) int {
		switch status {
		case "future":
			return 0
		case "ended":
			return len(list) - 1
		}
		return slices.IndexFunc(list, func(d dated) bool { return d.from <= day && day < d.to })
	}
	d, ti := valid(departments), valid(titles)
	out := fmt.Sprintf("%s in %s as %s from %s", status, departments[d].value, titles[ti].value, first.from)
	if last.to != "9999-01-01" {
		out += " to " + last.to
	}
	if d > 0 {
		out += fmt.Sprintf(" moved from %s on %s", departments[d-1].value, departments[d].from)
	}
	return out
}

// standing is what was collected, in the words of derive.
func standing(p access.Person, clock time.Time, zone *time.Location) string {
	day := func(t time.Time) string { return t.In(zone).Format(time.DateOnly) }
	status := "active"
	switch {
	case p.EndAt != nil && !p.EndAt.After(clock):
		status = "ended"
	case p.StartAt.After(clock):
		status = "future"
	}
	out := fmt.Sprintf("%s in %s as %s from %s", status, p.Department, p.Title, day(*p.StartAt))
	if p.EndAt != nil {
		out += " to " + day(*p.EndAt)
	}
	if p.TransferredAt != nil {
		out += fmt.Sprintf(" moved from %s on %s", p.PreviousDepartment, day(*p.TransferredAt))
	}
	return out
}

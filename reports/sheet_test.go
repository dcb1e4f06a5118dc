package reports

import (
	"bytes"
	"encoding/xml"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// aReview is a closed one with an item of each status, with names that try to be markup.
func aReview(name string) Review {
	at := night.AddDate(0, 0, -14)
	item := func(n int64, status string) Reviewed {
		return Reviewed{Item: n, Source: "crm", SourceName: "CRM", Account: "ann", AccountID: "u1", Person: name, PersonID: "hr:1", Department: "Sales", Entitlement: "Admins " + name,
			EntitledID: "e1", Path: []string{"Everybody", "Admins"}, Hard: []string{"it is privileged"}, Status: status, Reviewer: name}
	}
	decided := func(n int64, status, reason string) Reviewed {
		i := item(n, status)
		i.By, i.At, i.Reason, i.Method = name, at.Add(time.Hour), reason, "file"
		return i
	}
	suggested := item(5, "escalated")
	suggested.Suggested, suggested.Evidence = "revoke", []string{"whose account it is has left 12 days ago"}
	return Review{Name: "2026-q4", Scope: "source=crm", Reviewers: "managers", Run: 7, RunTime: at, Started: at, StartedBy: "u123", Due: night, Closed: night, ClosedBy: "u123",
		Hash: strings.Repeat("ab", 32), Notes: []string{"of erp nobody knows who holds what, so none of it is reviewed"}, Count: 5, Approved: 2, Revoked: 1, Settled: 1, Escalated: 1,
		Median: "26 hours", Plans: []string{"plan-k2m4"}, People: []Reviewer{{ID: "security", Name: "security team", Waiting: 1},
			{ID: "hr:9", Name: name, Approved: 2, Revoked: 1, First: at.Add(time.Hour), Last: at.Add(2 * time.Hour)}},
		Signs: []string{name + ": 200 approvals within 60 seconds"}, Reviewed: []string{"Admins in CRM"},
		Items: []Reviewed{decided(1, "approved", "runs | the campaigns"), decided(2, "approved", ""), decided(3, "revoked", "=changed teams"), decided(4, "settled", "gone"), suggested},
		Made:  night, Zone: time.UTC}
}

func someAccepted(name string) Accepted {
	day := func(n int) time.Time { return night.AddDate(0, 0, n) }
	a := Accepted{Made: night, Run: 7, RunTime: night, List: []AcceptedEntry{
		{ID: "ex-narrow", Status: "active", Covers: "finding 3fa9", Breadth: "finding", Findings: 1, By: "hr:1", ByName: name, Reason: "=campaign", Created: day(-3), Since: day(-3), Expires: day(90)},
		{ID: "ex-over", Status: "expired", Covers: "DOR-01 for department Sales", Breadth: "department", By: "hr:1", Reason: name, Created: day(-90), Since: day(-90), Expires: day(-1), Ended: "ex-over by hr:1 expired"},
		{ID: "ex-endless", Status: "active", Covers: "LVR-01 for account a1 in crm", Breadth: "subject", By: "u7", Reason: "again", Created: day(-9), Since: day(-500), Expires: day(60), Renewed: 4},
		{ID: "ex-source", Status: "expiring", Covers: "DOR-01 for source crm", Breadth: "source", Findings: 212, Examples: []string{"DOR-01 " + name}, By: "u7", Reason: "migration", Created: day(-9), Since: day(-9), Expires: day(9)},
		{ID: "ex-all", Status: "active", Covers: "SHR-01 everywhere", Breadth: "policy", Findings: 2, By: "u7", Reason: "shop floor", Ticket: "OPS-1", Created: day(-9), Since: day(-9), Expires: day(300)},
	}}
	a.Sort()
	return a
}

func TestSheetGoldens(t *testing.T) {
	r, a := aReview("Ann <b>Ash</b>"), someAccepted("Ann <b>Ash</b>")
	mine := r
	mine.For, mine.Closed, mine.Items = "Ann Ash", time.Time{}, []Reviewed{r.Items[4]}
	mine.Items[0].Status = "open"
	for name, write := range map[string]func(io.Writer) error{
		"review.html": r.HTML, "review.json": r.JSON, "review.md": r.Markdown, "worklist.html": mine.HTML,
		"accepted.html": a.HTML, "accepted.json": a.JSON, "accepted.csv": a.CSV, "accepted.md": a.Markdown,
	} {
		t.Run(name, func(t *testing.T) {
			var got bytes.Buffer
			if err := write(&got); err != nil {
				t.Fatal(err)
			}
			if strings.HasSuffix(name, ".html") {
				wellFormed(t, got.String())
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

func wellFormed(t *testing.T, page string) {
	t.Helper()
	if strings.Contains(page, "<b>Ash") {
		t.Error("a name is markup")
	}
	dec := xml.NewDecoder(strings.NewReader(page))
	for {
		_, err := dec.Token()
		if errors.Is(err, io.EOF) {
			return
		}
		if err != nil {
			t.Fatal(err)
		}
	}
}

// What is broad or never ends comes before what is neither, and what has ended last.
func TestAcceptedOrder(t *testing.T) {
	a := someAccepted("Ann")
	var got []string
	for _, e := range a.List {
		got = append(got, e.ID)
	}
	if want := "ex-all ex-source ex-endless ex-narrow ex-over"; strings.Join(got, " ") != want {
		t.Errorf("%v, want %s", got, want)
	}
	if a.InForce() != 4 || a.Broad() != 2 || a.Endless() != 1 || a.Covered() != 215 {
		t.Errorf("%d in force, %d broad, %d never-ending, %d covered", a.InForce(), a.Broad(), a.Endless(), a.Covered())
	}
}

// A page is not as long as a company is large: it says how much it left out.
func TestReviewLeavesOut(t *testing.T) {
	r := aReview("Ann")
	for range 600 {
		r.Items = append(r.Items, r.Items[0])
	}
	for name, write := range map[string]func(io.Writer) error{"html": r.HTML, "markdown": r.Markdown} {
		var b bytes.Buffer
		if err := write(&b); err != nil || !strings.Contains(b.String(), "102 more are") {
			t.Errorf("%s doesn't say what it left out: %v", name, err)
		}
	}
}

// At the width of a phone and of a desk nothing sticks out, not even names without a blank.
func TestSheetsFitTheScreen(t *testing.T) {
	var pages []string
	for _, write := range []func(io.Writer) error{aReview("Ann Ash").HTML, aReview(longNames).HTML, someAccepted("Ann Ash").HTML, someAccepted(longNames).HTML} {
		var page bytes.Buffer
		if err := write(&page); err != nil {
			t.Fatal(err)
		}
		pages = append(pages, page.String())
	}
	fits(t, pages...)
}

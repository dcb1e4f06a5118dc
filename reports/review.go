package reports

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"time"
)

// Review is an access review for the auditor, or what waits of it for one reviewer.
type Review struct {
	Name      string     `json:"name"`
	Scope     string     `json:"scope"`
	Reviewers string     `json:"reviewers"`
	Run       uint64     `json:"run"`
	RunTime   time.Time  `json:"run_time"`
	Started   time.Time  `json:"started"`
	StartedBy string     `json:"started_by"`
	Due       time.Time  `json:"due"`
	Closed    time.Time  `json:"closed,omitzero"`
	ClosedBy  string     `json:"closed_by,omitempty"`
	Hash      string     `json:"items_sha256"`
	Notes     []string   `json:"notes,omitempty"`
	For       string     `json:"waiting_for,omitempty"` // a reviewer's name; "": it is the whole
	Count     int        `json:"grants"`
	Open      int        `json:"open"`
	Approved  int        `json:"approved"`
	Revoked   int        `json:"revoked"`
	Settled   int        `json:"settled"`
	Escalated int        `json:"escalated"`
	Median    string     `json:"median_decision_time,omitempty"`
	Plans     []string   `json:"plans,omitempty"`
	People    []Reviewer `json:"people"`
	Signs     []string   `json:"signs"` // that it is doubtful that somebody looked
	Reviewed  []string   `json:"reviewed_entitlements"`
	Items     []Reviewed `json:"items"`

	Made    time.Time      `json:"made"`
	Zone    *time.Location `json:"-"`
	Version string         `json:"version,omitempty"`
}

// Reviewer is how one reviewer got on.
type Reviewer struct {
	ID       string    `json:"id"`
	Name     string    `json:"name"`
	Waiting  int       `json:"waiting"`
	Approved int       `json:"approved"`
	Revoked  int       `json:"revoked"`
	First    time.Time `json:"first_decision,omitzero"`
	Last     time.Time `json:"last_decision,omitzero"`
}

// Reviewed is one grant: what it was, what was suggested, and what became of it.
type Reviewed struct {
	Item        int64     `json:"item"`
	Source      string    `json:"source"`
	SourceName  string    `json:"source_name"`
	Account     string    `json:"account"`
	AccountID   string    `json:"account_id"`
	Person      string    `json:"person,omitempty"`
	PersonID    string    `json:"person_id,omitempty"`
	Department  string    `json:"department,omitempty"`
	Entitlement string    `json:"entitlement"`
	EntitledID  string    `json:"entitlement_id"`
	Path        []string  `json:"path,omitempty"`
	Hard        []string  `json:"look_closely,omitempty"`
	Suggested   string    `json:"suggested,omitempty"`
	Evidence    []string  `json:"evidence,omitempty"`
	Status      string    `json:"status"`
	Reviewer    string    `json:"reviewer"`
	By          string    `json:"by,omitempty"`
	At          time.Time `json:"at,omitzero"`
	Method      string    `json:"method,omitempty"`
	Reason      string    `json:"reason,omitempty"`
	Plan        string    `json:"plan,omitempty"`
}

// Rate is the part of what was decided that was approved, in words; "" where nothing was decided.
func (r Review) Rate() string {
	if r.Approved+r.Revoked == 0 {
		return ""
	}
	return fmt.Sprintf("%.0f%%", 100*float64(r.Approved)/float64(r.Approved+r.Revoked))
}

// Waiting is what nobody has decided.
func (r Review) Waiting() int { return r.Open + r.Escalated }

// State says how the review stands at the time of the report.
func (r Review) State() string {
	switch {
	case !r.Closed.IsZero():
		return "closed"
	case r.Made.After(r.Due):
		return "overdue"
	}
	return "open"
}

// reviewList is a part of a review's items, as the page shows it.
type reviewList struct {
	Title, Said string
	Items       []Reviewed
	Total       int
}

// Omitted is how many are not on the page.
func (l reviewList) Omitted() int { return l.Total - len(l.Items) }

// Lists are the items by how they stand, what an auditor asks about first.
func (r Review) Lists() []reviewList {
	lists := []reviewList{
		{Title: "Escalated", Said: "Nobody decided these before the review was closed: the security team is asked."},
		{Title: "Waiting", Said: "These wait for a decision, the hard ones first."},
		{Title: "To be taken away", Said: "Nothing is changed by the review: a plan is, once it is approved."},
		{Title: "Kept", Said: "These were approved."},
		{Title: "Settled by themselves", Said: "These changed before anybody decided."},
	}
	at := map[string]int{"escalated": 0, "open": 1, "revoked": 2, "approved": 3, "settled": 4}
	for _, i := range r.Items {
		l := &lists[at[i.Status]]
		if l.Total++; len(l.Items) < inlinePerPolicy {
			l.Items = append(l.Items, i)
		}
	}
	var out []reviewList
	for _, l := range lists {
		if l.Total > 0 {
			out = append(out, l)
		}
	}
	return out
}

// HTML writes a page for reading and printing. Of each list it holds the first 500, and says how many are left out; the JSON
// has them all.
func (r Review) HTML(w io.Writer) error { return writeSheet(w, "review.tmpl", r.zone(), r) }

// JSON writes everything.
func (r Review) JSON(w io.Writer) error {
	enc := json.NewEncoder(w)
	enc.SetIndent("", "  ")
	enc.SetEscapeHTML(false)
	return enc.Encode(r)
}

// Markdown writes what an auditor reads first, with what was taken away and what nobody decided.
func (r Review) Markdown(w io.Writer) error {
	var b strings.Builder
	when := func(t time.Time) string { return t.In(r.zone()).Format("2006-01-02 15:04 MST") }
	fmt.Fprintf(&b, "# Access review %s\n\n", cell(r.Name))
	fmt.Fprintf(&b, "Scope: %s. %s grants of run %d (%s), frozen under SHA-256 `%s`.\n\n", cell(r.Scope), thousands(r.Count), r.Run, when(r.RunTime), r.Hash)
	fmt.Fprintf(&b, "Started %s by %s, due %s", when(r.Started), cell(r.StartedBy), when(r.Due))
	if !r.Closed.IsZero() {
		fmt.Fprintf(&b, ", closed %s by %s", when(r.Closed), cell(r.ClosedBy))
	}
	b.WriteString(".\n\n")
	fmt.Fprintf(&b, "| | |\n| --- | ---: |\n| approved | %d |\n| to be taken away | %d |\n| settled by themselves | %d |\n| escalated | %d |\n| waiting | %d |\n",
		r.Approved, r.Revoked, r.Settled, r.Escalated, r.Open)
	if rate := r.Rate(); rate != "" {
		fmt.Fprintf(&b, "| approval rate | %s |\n| median time to a decision | %s |\n", rate, r.Median)
	}
	for _, n := range r.Notes {
		fmt.Fprintf(&b, "\nNot covered: %s.\n", cell(n))
	}
	if len(r.Signs) > 0 {
		b.WriteString("\n## Worth a question\n\n")
		for _, s := range r.Signs {
			fmt.Fprintf(&b, "- %s\n", cell(s))
		}
	}
	b.WriteString("\n## Reviewers\n\n| reviewer | approved | revoked | waiting | last decision |\n| --- | ---: | ---: | ---: | --- |\n")
	for _, p := range r.People {
		last := ""
		if !p.Last.IsZero() {
			last = when(p.Last)
		}
		fmt.Fprintf(&b, "| %s | %d | %d | %d | %s |\n", cell(p.Name), p.Approved, p.Revoked, p.Waiting, last)
	}
	for _, l := range r.Lists() {
		fmt.Fprintf(&b, "\n## %s (%s)\n\n%s\n\n| item | account | entitlement | who | why |\n| ---: | --- | --- | --- | --- |\n", l.Title, thousands(l.Total), l.Said)
		for _, i := range l.Items {
			who := i.Reviewer
			if i.By != "" {
				who = i.By + ", " + when(i.At)
			}
			why := i.Reason
			if why == "" && i.By == "" {
				why = strings.Join(i.Hard, "; ")
			}
			fmt.Fprintf(&b, "| %d | %s | %s | %s | %s |\n", i.Item, cell(i.holder()), cell(i.Entitlement+" in "+i.SourceName), cell(who), cell(why))
		}
		if n := l.Omitted(); n > 0 {
			fmt.Fprintf(&b, "\n%s more are left out here; the JSON has them all.\n", thousands(n))
		}
	}
	_, err := io.WriteString(w, b.String())
	return err
}

func (i Reviewed) holder() string {
	if i.Person != "" && i.Person != i.Account {
		return i.Account + " (" + i.Person + ")"
	}
	return i.Account
}

func (r Review) zone() *time.Location {
	if r.Zone == nil {
		return time.UTC
	}
	return r.Zone
}

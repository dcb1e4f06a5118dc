package reports

import (
	"cmp"
	"encoding/csv"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Accepted is everything that is accepted on purpose, for the auditor.
type Accepted struct {
	Made    time.Time       `json:"made"`
	Run     uint64          `json:"run"` // that the findings are of
	RunTime time.Time       `json:"run_time"`
	Version string          `json:"version,omitempty"`
	List    []AcceptedEntry `json:"exceptions"`
	Zone    *time.Location  `json:"-"`
}

// AcceptedEntry is one exception, with what it keeps from standing.
type AcceptedEntry struct {
	ID       string    `json:"id"`
	Status   string    `json:"status"` // active, expiring, expired, revoked, pending
	Covers   string    `json:"covers"`
	Breadth  string    `json:"breadth"` // finding, subject, department, source, policy
	Findings int       `json:"findings"`
	Examples []string  `json:"examples,omitempty"`
	By       string    `json:"by"`
	ByName   string    `json:"by_name,omitempty"`
	Reason   string    `json:"reason"`
	Ticket   string    `json:"ticket,omitempty"`
	Created  time.Time `json:"created"`
	Since    time.Time `json:"since"` // accepted first, also by an exception before this one
	Expires  time.Time `json:"expires"`
	Renewed  int       `json:"renewed"`
	Ended    string    `json:"ended,omitempty"`
}

// breadths orders what an exception can cover, the broadest first.
var breadths = []string{"policy", "source", "department", "subject", "finding"}

// endless is how long something may be accepted over all before an auditor asks whether it ever ends.
const endless = 366 * 24 * time.Hour

// Broad says that the exception also covers what nobody has looked at.
func (e AcceptedEntry) Broad() bool { return e.Breadth != "finding" && e.Breadth != "subject" }

// Endless says that it goes on for more than a year, or was renewed again and again.
func (e AcceptedEntry) Endless() bool { return e.Expires.Sub(e.Since) > endless || e.Renewed >= 3 }

// InForce says that it keeps something from standing now.
func (e AcceptedEntry) InForce() bool { return e.Status == "active" || e.Status == "expiring" }

// Worth says in words why an auditor looks at it first; "" for no reason.
func (e AcceptedEntry) Worth() string {
	var out []string
	if e.Broad() {
		out = append(out, "broad")
	}
	if e.Endless() {
		out = append(out, "never-ending")
	}
	if e.InForce() && e.Findings == 0 {
		out = append(out, "covers nothing")
	}
	return strings.Join(out, ", ")
}

// Sort puts what is in force first, of that the broad ones and then those that never end.
func (a *Accepted) Sort() {
	yes := func(b bool) int {
		if b {
			return 0
		}
		return 1
	}
	slices.SortStableFunc(a.List, func(x, y AcceptedEntry) int {
		return cmp.Or(cmp.Compare(yes(x.InForce()), yes(y.InForce())), cmp.Compare(slices.Index(breadths, x.Breadth)/3, slices.Index(breadths, y.Breadth)/3),
			cmp.Compare(yes(x.Endless()), yes(y.Endless())), cmp.Compare(slices.Index(breadths, x.Breadth), slices.Index(breadths, y.Breadth)),
			cmp.Compare(y.Findings, x.Findings), x.Expires.Compare(y.Expires), strings.Compare(x.ID, y.ID))
	})
}

// Number counts the exceptions for which something is so.
func (a Accepted) Number(is func(AcceptedEntry) bool) int {
	n := 0
	for _, e := range a.List {
		if is(e) {
			n++
		}
	}
	return n
}

// InForce, Broad, Endless and Covered are numbers of those in force.
func (a Accepted) InForce() int { return a.Number(AcceptedEntry.InForce) }

// Broad is how many in force cover what nobody has looked at.
func (a Accepted) Broad() int {
	return a.Number(func(e AcceptedEntry) bool { return e.InForce() && e.Broad() })
}

// Endless is how many in force go on and on.
func (a Accepted) Endless() int {
	return a.Number(func(e AcceptedEntry) bool { return e.InForce() && e.Endless() })
}

// Covered is how many findings do not stand because of them.
func (a Accepted) Covered() (n int) {
	for _, e := range a.List {
		n += e.Findings
	}
	return n
}

// Part is the exceptions that are in force, or those that are not.
func (a Accepted) Part(inForce bool) []AcceptedEntry {
	var out []AcceptedEntry
	for _, e := range a.List {
		if e.InForce() == inForce {
			out = append(out, e)
		}
	}
	return out
}

// HTML writes a page for reading and printing.
func (a Accepted) HTML(w io.Writer) error { return writeSheet(w, "accepted.tmpl", a.zone(), a) }

// JSON writes everything.
func (a Accepted) JSON(w io.Writer) error {
	if a.List == nil {
		a.List = []AcceptedEntry{}
	}
	enc := json.NewEncoder(w)
	enc.SetIndent("", "  ")
	enc.SetEscapeHTML(false)
	return enc.Encode(a)
}

// CSV writes a row an exception.
func (a Accepted) CSV(w io.Writer) error {
	out := csv.NewWriter(w)
	rows := [][]string{{"id", "status", "worth a look", "covers", "breadth", "findings", "by", "by_name", "reason", "ticket", "since", "created", "expires", "renewed", "ended"}}
	for _, e := range a.List {
		rows = append(rows, []string{e.ID, e.Status, e.Worth(), e.Covers, e.Breadth, strconv.Itoa(e.Findings), e.By, e.ByName, e.Reason, e.Ticket, stamp(e.Since), stamp(e.Created),
			stamp(e.Expires), strconv.Itoa(e.Renewed), e.Ended})
	}
	for _, row := range rows {
		for i := range row {
			row[i] = unformula(row[i])
		}
		if err := out.Write(row); err != nil {
			return fmt.Errorf("write CSV: %w", err)
		}
	}
	out.Flush()
	if err := out.Error(); err != nil {
		return fmt.Errorf("write CSV: %w", err)
	}
	return nil
}

// Markdown writes a table of those in force and one of the rest.
func (a Accepted) Markdown(w io.Writer) error {
	var b strings.Builder
	day := func(t time.Time) string { return t.In(a.zone()).Format(time.DateOnly) }
	fmt.Fprintf(&b, "# Exceptions\n\n%s in force, %d of them broad and %d never-ending. Without them %s would stand beside the others, as of run %d (%s).\n", thousands(a.InForce()), a.Broad(), a.Endless(),
		count(a.Covered(), "finding", "findings"), a.Run, a.RunTime.In(a.zone()).Format("2006-01-02 15:04 MST"))
	for _, part := range []struct {
		title   string
		inForce bool
	}{{"In force", true}, {"Ended, or not begun", false}} {
		list := a.Part(part.inForce)
		if len(list) == 0 {
			continue
		}
		fmt.Fprintf(&b, "\n## %s\n\n| exception | covers | findings | who | why | since | until | renewed | |\n| --- | --- | ---: | --- | --- | --- | --- | ---: | --- |\n", part.title)
		for _, e := range list {
			note := e.Worth()
			if e.Ended != "" {
				note = e.Ended
			}
			fmt.Fprintf(&b, "| %s | %s | %d | %s | %s | %s | %s | %d | %s |\n", cell(e.ID), cell(e.Covers), e.Findings, cell(cmp.Or(e.ByName, e.By)), cell(e.Reason), day(e.Since), day(e.Expires),
				e.Renewed, cell(note))
		}
	}
	_, err := io.WriteString(w, b.String())
	return err
}

func (a Accepted) zone() *time.Location {
	if a.Zone == nil {
		return time.UTC
	}
	return a.Zone
}

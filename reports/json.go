package reports

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"slices"
	"time"

	"github.com/lapse-audit/lapse/internal/access"
	"github.com/lapse-audit/lapse/internal/finding"
)

// jsonHead is the document but for its findings: the tags below are its schema. Names are only ever added; "format" is
// raised when one changes its meaning. Times are RFC 3339 in UTC, amounts are decimals in strings, and what is unknown
// is absent. The findings follow as the last member, "findings": an array of jsonFinding in the order of Data.Findings.
type jsonHead struct {
	Format       int             `json:"format"`
	Company      string          `json:"company,omitempty"`
	Run          jsonRun         `json:"run"`
	RosterAsOf   time.Time       `json:"roster_as_of,omitzero"`
	Inputs       []jsonInput     `json:"inputs"`
	Totals       jsonTotals      `json:"totals"`
	Facts        []jsonFact      `json:"facts"`
	Nights       []jsonNight     `json:"nights"`
	Policies     []jsonPolicy    `json:"policies"`
	Tallies      []jsonTally     `json:"tallies"`
	Exceptions   []jsonException `json:"exceptions"`
	Changes      []jsonChange    `json:"changes"`
	Gone         []jsonGone      `json:"gone,omitempty"`      // sources of the run before that are none any more
	Inventory    *jsonInventory  `json:"inventory,omitempty"` // absent: none is given, and what is not connected is not known
	Notes        []string        `json:"notes,omitempty"`
	FindingCount int             `json:"finding_count"` // of any status
}

type jsonRun struct {
	ID         uint64    `json:"id"`
	Time       time.Time `json:"time"`
	Recorded   time.Time `json:"recorded,omitzero"`
	DurationMS int64     `json:"duration_ms"`
	Version    string    `json:"version,omitempty"`
	Status     string    `json:"status"` // complete or incomplete
	Reasons    []string  `json:"reasons"`
	Previous   *jsonRef  `json:"previous,omitempty"`
}

type jsonGone struct {
	Source string `json:"source"`
	Name   string `json:"name"`
	Closed int    `json:"closed"` // findings, though nobody has mended anything
}

type jsonRef struct {
	ID   uint64    `json:"id"`
	Time time.Time `json:"time"`
}

type jsonInput struct {
	Source     string                     `json:"source"`
	Name       string                     `json:"name"`
	Type       string                     `json:"type"`
	Roster     bool                       `json:"roster"`
	StandIn    bool                       `json:"stand_in,omitempty"` // a directory instead of a roster
	Status     InputStatus                `json:"status"`             // fresh, stale, quarantined, missing
	Reasons    []string                   `json:"reasons"`
	Taken      time.Time                  `json:"taken,omitzero"`
	AsOf       time.Time                  `json:"as_of,omitzero"`
	Records    map[string]uint64          `json:"records"`
	Rejected   uint64                     `json:"rejected"`
	Rejections []jsonRejection            `json:"rejections"` // the first of them
	Coverage   map[string]access.Coverage `json:"coverage"`
	Reads      []string                   `json:"reads"`
	Request    string                     `json:"request,omitempty"`
	Filter     string                     `json:"filter,omitempty"`
	Identity   string                     `json:"identity,omitempty"`
	Mapping    string                     `json:"mapping,omitempty"`
	Notes      []string                   `json:"notes,omitempty"` // what is not known and why
	Files      []jsonFile                 `json:"files"`
}

type jsonRejection struct {
	File   string `json:"file,omitempty"`
	Line   int64  `json:"line,omitempty"`
	Column string `json:"column,omitempty"`
	Reason string `json:"reason"`
}

type jsonFile struct {
	Name    string    `json:"name"`
	SHA256  string    `json:"sha256"`
	Size    int64     `json:"size"`
	ModTime time.Time `json:"mod_time,omitzero"`
	Rows    int64     `json:"rows"`
}

// jsonTotals counts findings; see Count. The money is what standing findings cost, a currency an element.
type jsonTotals struct {
	Count
	Money         []Money               `json:"money"`
	UnpricedSeats int                   `json:"unpriced_seats"`
	Backlog       Backlog               `json:"backlog_due"`
	Cases         int                   `json:"cases"` // people about whom something stands
	ClosedBy      map[finding.Cause]int `json:"closed_by_cause"`
	BySeverity    map[string]Count      `json:"by_severity"`
	ByCategory    map[string]jsonGroup  `json:"by_category"`
	ByPolicy      map[string]jsonGroup  `json:"by_policy"`
	BySource      map[string]jsonGroup  `json:"by_source"`
	ByDepartment  map[string]jsonGroup  `json:"by_department"`
	ByAssignee    map[string]jsonGroup  `json:"by_assignee"`
	ByException   map[string]jsonGroup  `json:"by_exception"`
	ByExemption   map[string]jsonGroup  `json:"by_exemption"`
}

type jsonGroup struct {
	Count
	Money []Money `json:"money"`
}

type jsonFact struct {
	Text  string `json:"text"`
	Basis string `json:"basis"`
	Known bool   `json:"known"` // false: nothing was evaluated
}

type jsonNight struct {
	Time     time.Time `json:"time"`
	Complete bool      `json:"complete"`
	Open     uint64    `json:"open"`
	Backlog  uint64    `json:"backlog"`
	New      uint64    `json:"new"`
	Closed   uint64    `json:"closed"`
}

type jsonPolicy struct {
	ID          string             `json:"id"`
	Title       string             `json:"title"`
	Description string             `json:"description,omitempty"`
	Severity    finding.Severity   `json:"severity"`
	Subject     access.SubjectKind `json:"subject"`
	Action      string             `json:"action,omitempty"`
	Controls    []string           `json:"controls"`
	Enabled     bool               `json:"enabled"`
}

// jsonTally is one rule on one source. Where failed is given, the rule did not run to its end and the numbers say
// nothing.
type jsonTally struct {
	Policy       string            `json:"policy"`
	Source       string            `json:"source,omitempty"`
	Subjects     uint64            `json:"subjects"`
	OutOfScope   uint64            `json:"out_of_scope"`
	Evaluated    uint64            `json:"evaluated"`
	Flagged      uint64            `json:"flagged"`
	Excluded     uint64            `json:"excluded"`
	Excepted     int               `json:"excepted"` // findings
	NotEvaluable uint64            `json:"not_evaluable"`
	Missing      map[string]uint64 `json:"missing"` // by field
	Failed       string            `json:"failed,omitempty"`
}

type jsonException struct {
	ID       string    `json:"id"`
	Covers   string    `json:"covers"`
	Reason   string    `json:"reason"`
	By       string    `json:"by"`
	Ticket   string    `json:"ticket,omitempty"`
	Created  time.Time `json:"created,omitzero"`
	Expires  time.Time `json:"expires,omitzero"`
	Status   string    `json:"status"` // active, expiring (within 30 days), expired
	Findings int       `json:"findings"`
}

type jsonChange struct {
	Field string `json:"field"`
	From  string `json:"from"`
	To    string `json:"to"`
	Count uint64 `json:"count"`
}

// jsonInventory is every app of the company. An app without a source is not connected; unlisted are the sources that no
// app names.
type jsonInventory struct {
	Apps         []jsonApp `json:"apps"`
	NotConnected int       `json:"not_connected"`
	Unlisted     []string  `json:"unlisted_sources"`
}

type jsonApp struct {
	Name         string `json:"name"`
	Source       string `json:"source,omitempty"`
	Owner        string `json:"owner,omitempty"`
	Why          string `json:"why_not_connected,omitempty"`
	PersonalData *bool  `json:"personal_data,omitempty"`
	Criticality  string `json:"criticality,omitempty"`
}

type jsonFinding struct {
	Fingerprint finding.Fingerprint `json:"fingerprint"`
	Status      finding.Status      `json:"status"`
	Policy      string              `json:"policy"`
	Title       string              `json:"title"`
	Category    string              `json:"category"`
	Severity    finding.Severity    `json:"severity"`
	Action      string              `json:"action,omitempty"`
	Controls    []string            `json:"controls"`
	Subject     jsonSubject         `json:"subject"`
	Key         string              `json:"key,omitempty"`
	Message     string              `json:"message"`
	Evidence    json.RawMessage     `json:"evidence,omitempty"`
	CostMonth   string              `json:"cost_month,omitempty"`
	Currency    string              `json:"currency,omitempty"`
	Person      string              `json:"person,omitempty"`
	PersonName  string              `json:"person_name,omitempty"`
	Department  string              `json:"department,omitempty"`
	Assignee    string              `json:"assignee,omitempty"`
	New         bool                `json:"new"`
	Backlog     bool                `json:"backlog"`
	DueAt       time.Time           `json:"due_at,omitzero"`
	Carried     bool                `json:"carried"`
	FirstSeen   time.Time           `json:"first_seen,omitzero"`
	LastSeen    time.Time           `json:"last_seen,omitzero"`
	ClosedAt    time.Time           `json:"closed_at,omitzero"`
	Cause       finding.Cause       `json:"cause,omitempty"`
	Exception   string              `json:"exception,omitempty"`
	ExcludedBy  string              `json:"excluded_by,omitempty"`
}

type jsonSubject struct {
	Kind       access.SubjectKind `json:"kind"`
	Source     string             `json:"source,omitempty"`
	SourceName string             `json:"source_name,omitempty"`
	ID         string             `json:"id"`
	Name       string             `json:"name,omitempty"`
}

// JSON writes the whole report as one document. The findings are streamed, one a line.
func (r *Report) JSON(w io.Writer) error {
	out := bufio.NewWriterSize(w, 1<<16)
	head, err := json.MarshalIndent(r.jsonHead(), "", "  ")
	if err != nil {
		return fmt.Errorf("write JSON: %w", err)
	}
	out.Write(head[:len(head)-len("\n}")])
	out.WriteString(",\n  \"findings\": [")
	n := 0
	for f, err := range r.Findings {
		if err != nil {
			return fmt.Errorf("write JSON: %w", err)
		}
		line, err := json.Marshal(r.jsonFinding(f))
		if err != nil {
			return fmt.Errorf("write JSON: finding %s: %w", f.Fingerprint, err)
		}
		if n++; n > 1 {
			out.WriteByte(',')
		}
		out.WriteString("\n    ")
		out.Write(line)
	}
	out.WriteString("\n  ]\n}\n")
	if err := out.Flush(); err != nil { // keeps the first error of all writes
		return fmt.Errorf("write JSON: %w", err)
	}
	return r.sameCount(n)
}

func (r *Report) jsonHead() jsonHead {
	h := jsonHead{
		Format: 1, Company: r.Company, RosterAsOf: r.RosterAsOf().UTC(), FindingCount: r.Listed,
		Run: jsonRun{ID: r.Run.ID, Time: r.Run.Time.UTC(), Recorded: r.Run.Recorded.UTC(), DurationMS: r.Run.Duration.Milliseconds(),
			Version: r.Run.Version, Status: "complete", Reasons: some(r.Run.Reasons)},
		Totals: jsonTotals{Count: r.Total.Count, Money: r.Total.Cost(), UnpricedSeats: r.Unpriced, Backlog: r.Backlog, Cases: r.caseCount, ClosedBy: r.Causes,
			BySeverity: map[string]Count{}, ByCategory: jsonGroups(r.byCategory), ByPolicy: jsonGroups(r.byPolicy), BySource: jsonGroups(r.bySource),
			ByDepartment: jsonGroups(r.byDepartment), ByAssignee: jsonGroups(r.byAssignee), ByException: jsonGroups(r.byException), ByExemption: jsonGroups(r.byExemption)},
		Inputs: []jsonInput{}, Facts: []jsonFact{}, Nights: []jsonNight{}, Policies: []jsonPolicy{}, Tallies: []jsonTally{}, Exceptions: []jsonException{}, Changes: []jsonChange{},
	}
	if !r.Run.Complete() {
		h.Run.Status = "incomplete"
	}
	if p := r.Run.Previous; p != nil {
		h.Run.Previous = &jsonRef{p.ID, p.Time.UTC()}
	}
	for s, c := range r.BySeverity {
		h.Totals.BySeverity[finding.Severity(s).String()] = c
	}
	for _, in := range r.Inputs {
		h.Inputs = append(h.Inputs, newJSONInput(in))
	}
	for _, f := range r.Facts() {
		h.Facts = append(h.Facts, jsonFact{f.Text, f.Basis, !f.Blind})
	}
	for _, n := range r.Nights {
		h.Nights = append(h.Nights, jsonNight{n.Time.UTC(), n.Complete, n.Open, n.Backlog, n.New, n.Closed})
	}
	for _, p := range r.Policies {
		h.Policies = append(h.Policies, jsonPolicy{p.ID, p.Title, p.Description, p.Severity, p.Subject, p.Action, some(p.Controls), p.Enabled})
	}
	for _, t := range r.Tallies {
		h.Tallies = append(h.Tallies, jsonTally{t.Policy, t.Source, t.Subjects, t.OutOfScope, t.Evaluated, t.Flagged, t.Excluded,
			r.excepted[[2]string{t.Policy, t.Source}], t.NotEvaluable, some2(t.Missing), t.Failed})
	}
	for _, e := range r.Exceptions {
		h.Exceptions = append(h.Exceptions, jsonException{e.ID, e.Covers, e.Reason, e.By, e.Ticket, e.Created.UTC(), e.Expires.UTC(), r.exceptionStatus(e), r.covered(e)})
	}
	if r.Inventory != nil {
		h.Inventory = &jsonInventory{Apps: []jsonApp{}, NotConnected: len(r.Unconnected()), Unlisted: []string{}}
		for _, a := range r.Inventory.Apps {
			h.Inventory.Apps = append(h.Inventory.Apps, jsonApp(a))
		}
		for _, in := range r.Unlisted() {
			h.Inventory.Unlisted = append(h.Inventory.Unlisted, in.UID)
		}
	}
	for _, g := range r.Gone {
		h.Gone = append(h.Gone, jsonGone{g.UID, g.Name, r.ClosedOn(g.UID)})
	}
	h.Notes = r.Notes
	for _, c := range r.Changes {
		h.Changes = append(h.Changes, jsonChange(c))
	}
	return h
}

func newJSONInput(in Input) jsonInput {
	p := in.Provenance
	out := jsonInput{
		Source: in.UID, Name: in.Name, Type: in.Type, Roster: in.Roster, StandIn: in.StandIn, Status: in.Status, Reasons: some(in.Reasons),
		Taken: in.Taken.UTC(), AsOf: in.asOf().UTC(), Records: some2(in.Records), Rejected: in.Rejected, Rejections: []jsonRejection{}, Coverage: some2(in.Coverage),
		Reads: slices.Sorted(slices.Values(some(p.Reads))), Request: p.Request, Filter: p.Filter, Identity: p.Identity, Mapping: p.Mapping, Notes: p.Notes, Files: []jsonFile{},
	}
	for _, x := range in.Rejections {
		out.Rejections = append(out.Rejections, jsonRejection{x.File, x.Line, x.Column, x.Reason})
	}
	for _, f := range p.Files {
		out.Files = append(out.Files, jsonFile{f.Name, f.SHA256, f.Size, f.ModTime.UTC(), f.Rows})
	}
	return out
}

func (r *Report) jsonFinding(f finding.Finding) jsonFinding {
	out := jsonFinding{
		Fingerprint: f.Fingerprint, Status: f.Status, Policy: f.Policy, Title: f.Title, Category: f.Category, Severity: f.Severity, Action: f.Action,
		Controls: some(f.Controls), Subject: jsonSubject{f.Subject.Kind, f.Subject.Source, f.SourceName, f.Subject.ID, f.Name}, Key: f.Key, Message: f.Message,
		CostMonth: f.CostMonth, Currency: f.Currency, Person: f.Person, PersonName: f.PersonName, Department: f.Department, Assignee: f.Assignee,
		New: r.isNew(f), Backlog: f.Backlog, DueAt: f.DueAt.UTC(), Carried: f.Carried, FirstSeen: f.FirstSeen.UTC(), LastSeen: f.LastSeen.UTC(),
		ClosedAt: f.ClosedAt.UTC(), Cause: f.Cause, Exception: f.ExceptionID, ExcludedBy: f.ExcludedBy,
	}
	if f.Evidence != "" {
		out.Evidence = json.RawMessage(f.Evidence)
	}
	return out
}

func jsonGroups(groups map[string]*Group) map[string]jsonGroup {
	out := map[string]jsonGroup{}
	for key, g := range groups {
		out[key] = jsonGroup{g.Count, g.Cost()}
	}
	return out
}

// some and some2 keep an empty list or map from being written as null.
func some[T any](list []T) []T { return append([]T{}, list...) }

func some2[T any](m map[string]T) map[string]T {
	out := map[string]T{}
	maps.Copy(out, m)
	return out
}

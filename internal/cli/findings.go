package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/lapse-audit/lapse/internal/app"
	"github.com/lapse-audit/lapse/internal/finding"
)

func newFindings(g *global) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "findings",
		Short: "List, show and explain what stands",
	}
	cmd.AddCommand(newFindingsList(g), newFindingsShow(g), newFindingsExplain(g))
	return cmd
}

func newFindingsList(g *global) *cobra.Command {
	o := findingsOptions{global: g}
	cmd := &cobra.Command{
		Use:   "list",
		Short: "List the findings of the last run, the worst first",
		Example: `  lapse findings list --severity high
  lapse findings list --policy LVR-01,LVR-03 --source crm --format csv
  lapse findings list --person hr:10482 --status open,excepted`,
		RunE: func(cmd *cobra.Command, _ []string) error { return o.list(cmd.Context()) },
	}
	f := cmd.Flags()
	f.StringSliceVar(&o.policies, "policy", nil, "of these policies")
	f.StringSliceVar(&o.sources, "source", nil, "of these sources")
	f.StringVar(&o.severity, "severity", "", "of this severity or above")
	f.StringSliceVar(&o.statuses, "status", []string{"open"}, "open, closed (by the run), excepted or excluded; all for any")
	f.StringVar(&o.person, "person", "", "of this person, as ROSTER:ID")
	f.StringVar(&o.department, "department", "", "of this department")
	f.BoolVar(&o.backlog, "backlog", false, "only the backlog: what was there on the first night of its source or rule")
	f.Uint64Var(&o.run, "run", 0, "of this run (default: the last one)")
	f.IntVar(&o.limit, "limit", 0, "at most so many (default: all)")
	return cmd
}

type findingsOptions struct {
	*global
	policies, sources, statuses  []string
	severity, person, department string
	backlog                      bool
	run                          uint64
	limit                        int
}

func (o *findingsOptions) list(ctx context.Context) error {
	q := app.FindingQuery{Run: o.run, Policies: o.policies, Sources: o.sources, Person: o.person, Department: o.department, Backlog: o.backlog}
	if o.severity != "" {
		s, err := finding.ParseSeverity(o.severity)
		if err != nil {
			return usagef("--severity: %w", err)
		}
		q.MinSeverity = s
	}
	if o.limit < 0 {
		return usagef("--limit %d: want a number above 0, or none for all", o.limit)
	}
	for _, s := range o.statuses {
		switch status := finding.Status(s); status {
		case finding.Open, finding.Closed, finding.Excepted, finding.Excluded:
			q.Statuses = append(q.Statuses, status)
		case "all":
			q.Statuses = []finding.Status{finding.Open, finding.Closed, finding.Excepted, finding.Excluded}
		default:
			return usagef("--status %q: want open, closed, excepted, excluded or all", s)
		}
	}
	a, err := o.open()
	if err != nil {
		return err
	}
	defer a.Close()
	if err := a.Means(ctx, q); err != nil {
		return fmt.Errorf("findings: %w", err)
	}
	all, err := a.Findings(ctx, q)
	if err != nil {
		return err
	}
	l := list{columns: []string{"finding", "policy", "severity", "source", "source_name", "subject_kind", "subject_id", "key", "name", "person",
		"department", "status", "first_seen", "backlog", "message"}}
	if o.format == "table" {
		l.columns = []string{"finding", "policy", "severity", "source", "name", "since", "status", "message"}
	}
	n := 0
	for f, err := range all {
		if err != nil {
			return err
		}
		if n++; o.limit > 0 && n > o.limit {
			continue
		}
		since := f.FirstSeen.In(a.Config.Location).Format("2006-01-02")
		if o.format == "table" {
			l.add(nil, short(f.Fingerprint), f.Policy, f.Severity.String(), f.Subject.Source, f.Name, since, sayStatus(f), f.Message)
			continue
		}
		l.add(newFindingJSON(f), string(f.Fingerprint), f.Policy, f.Severity.String(), f.Subject.Source, f.SourceName, string(f.Subject.Kind), f.Subject.ID,
			f.Key, f.Name, f.Person, f.Department, string(f.Status), f.FirstSeen.UTC().Format(time.RFC3339), fmt.Sprint(f.Backlog), f.Message)
	}
	if n == 0 {
		if err := a.MeansPeople(ctx, q); err != nil {
			return fmt.Errorf("findings: %w", err)
		}
	}
	if err := l.print(o.sys.Stdout, o.format, "No finding matches."); err != nil {
		return err
	}
	if o.limit > 0 && n > o.limit {
		fmt.Fprintf(o.sys.Stderr, "%d more are not shown (--limit)\n", n-o.limit)
	}
	caveats, err := a.Caveats(ctx, q)
	for _, c := range caveats {
		fmt.Fprintln(o.sys.Stderr, "Note:", printable(c))
	}
	return err
}

// short is as much of a fingerprint as a person types.
func short(f finding.Fingerprint) string { return string(f[:min(10, len(f))]) }

func sayStatus(f finding.Finding) string {
	var notes []string
	if f.Backlog {
		notes = append(notes, "backlog")
	}
	if f.Carried {
		notes = append(notes, "not judged this run")
	}
	if f.Cause != "" {
		notes = append(notes, strings.ReplaceAll(string(f.Cause), "_", " "))
	}
	if f.ExceptionEnded != "" {
		notes = append(notes, "its exception has ended")
	}
	if f.ExcludedBy != "" {
		notes = append(notes, f.ExcludedBy)
	}
	if len(notes) == 0 {
		return string(f.Status)
	}
	return fmt.Sprintf("%s (%s)", f.Status, strings.Join(notes, ", "))
}

// findingJSON is a finding as the command line prints it.
type findingJSON struct {
	Fingerprint finding.Fingerprint `json:"finding"`
	Policy      string              `json:"policy"`
	Title       string              `json:"title"`
	Severity    finding.Severity    `json:"severity"`
	Source      string              `json:"source,omitempty"`
	SourceName  string              `json:"source_name,omitempty"`
	SubjectKind string              `json:"subject_kind"`
	SubjectID   string              `json:"subject_id"`
	Key         string              `json:"key,omitempty"`
	Name        string              `json:"name,omitempty"`
	Person      string              `json:"person,omitempty"`
	PersonName  string              `json:"person_name,omitempty"`
	Department  string              `json:"department,omitempty"`
	Assignee    string              `json:"assignee,omitempty"`
	Message     string              `json:"message"`
	Evidence    json.RawMessage     `json:"evidence,omitempty"`
	CostMonth   string              `json:"cost_month,omitempty"`
	Currency    string              `json:"currency,omitempty"`
	Action      string              `json:"action"`
	Controls    []string            `json:"controls"`
	Status      finding.Status      `json:"status"`
	Cause       finding.Cause       `json:"cause,omitempty"`
	ExcludedBy  string              `json:"excluded_by,omitempty"`
	Exception   string              `json:"exception,omitempty"`
	WasAccepted string              `json:"was_accepted,omitempty"` // by an exception that has ended
	FirstSeen   time.Time           `json:"first_seen"`
	LastSeen    time.Time           `json:"last_seen"`
	ClosedAt    time.Time           `json:"closed_at,omitzero"`
	Carried     bool                `json:"carried,omitempty"`
	Backlog     bool                `json:"backlog,omitempty"`
	DueAt       time.Time           `json:"due_at,omitzero"`
}

func newFindingJSON(f finding.Finding) findingJSON {
	out := findingJSON{
		Fingerprint: f.Fingerprint, Policy: f.Policy, Title: f.Title, Severity: f.Severity, Source: f.Subject.Source, SourceName: f.SourceName,
		SubjectKind: string(f.Subject.Kind), SubjectID: f.Subject.ID, Key: f.Key, Name: f.Name, Person: f.Person, PersonName: f.PersonName,
		Department: f.Department, Assignee: f.Assignee, Message: f.Message, CostMonth: f.CostMonth, Currency: f.Currency, Action: f.Action,
		Controls: f.Controls, Status: f.Status, Cause: f.Cause, ExcludedBy: f.ExcludedBy, Exception: f.ExceptionID, WasAccepted: f.ExceptionEnded,
		FirstSeen: f.FirstSeen, LastSeen: f.LastSeen, ClosedAt: f.ClosedAt, Carried: f.Carried, Backlog: f.Backlog, DueAt: f.DueAt,
	}
	if f.Evidence != "" {
		out.Evidence = json.RawMessage(f.Evidence)
	}
	return out
}

func newFindingsShow(g *global) *cobra.Command {
	return &cobra.Command{
		Use:         "show FINDING",
		Short:       "Show one finding, by the first letters of its fingerprint",
		Args:        cobra.ExactArgs(1),
		Annotations: formats("table", "json"),
		RunE: func(cmd *cobra.Command, args []string) error {
			a, err := g.open()
			if err != nil {
				return err
			}
			defer a.Close()
			f, err := a.Finding(cmd.Context(), args[0])
			if err != nil {
				return err
			}
			if g.format == "json" {
				return printJSON(g.sys.Stdout, newFindingJSON(f))
			}
			return printFinding(g.sys.Stdout, a, f)
		},
	}
}

func printFinding(w io.Writer, a *app.App, f finding.Finding) error {
	day := func(t time.Time) string { return t.In(a.Config.Location).Format("2006-01-02 15:04 MST") }
	rows := [][2]string{
		{"finding", string(f.Fingerprint)},
		{"policy", f.Policy + "  " + f.Title},
		{"severity", f.Severity.String()},
		{"status", sayStatus(f)},
		{"message", f.Message},
		{"source", f.Subject.Source},
		{string(f.Subject.Kind), strings.TrimSpace(f.Subject.ID + "  " + f.Name)},
		{"key", f.Key},
		{"person", strings.TrimSpace(f.Person + "  " + f.PersonName)},
		{"department", f.Department},
		{"asked first", f.Assignee},
		{"cost a month", strings.TrimSpace(f.CostMonth + " " + f.Currency)},
		{"first seen", day(f.FirstSeen)},
		{"last seen", day(f.LastSeen)},
		{"action", f.Action},
		{"controls", strings.Join(f.Controls, ", ")},
		{"exception", f.ExceptionID},
		{"was accepted", f.ExceptionEnded},
		{"evidence", f.Evidence},
	}
	if f.Backlog {
		rows = append(rows, [2]string{"due", day(f.DueAt)})
	}
	var errs []error
	for _, r := range rows {
		if r[1] != "" {
			_, err := fmt.Fprintf(w, "%-13s %s\n", r[0], printable(r[1]))
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}

func newFindingsExplain(g *global) *cobra.Command {
	return newExplain(g, "Show what the policy judged: the lines that held, and the subject as it saw it", true)
}

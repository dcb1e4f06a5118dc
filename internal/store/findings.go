package store

import (
	"context"
	"encoding/hex"
	"fmt"
	"iter"
	"strings"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2"
	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"

	"github.com/lapse-audit/lapse/internal/access"
	"github.com/lapse-audit/lapse/internal/finding"
)

// FindingFilter chooses findings of a run. Empty fields choose all; several values of one field are alternatives.
type FindingFilter struct {
	Policies    []string
	Categories  []string
	Sources     []string
	Statuses    []finding.Status
	MinSeverity finding.Severity
	Persons     []string // person keys
	Departments []string
	Subject     string // id of the subject
	Fingerprint string // a prefix, hexadecimal
	Backlog     *bool
	Order       FindingOrder
	Limit       int // 0: all
}

// FindingOrder orders findings.
type FindingOrder int

// WorstFirst is by severity, the backlog last and then the oldest first among equals. ByPolicy is by policy, source and subject. Unordered is the
// cheapest, for reading many.
const (
	WorstFirst FindingOrder = iota
	ByPolicy
	Unordered
)

var findingOrders = map[FindingOrder]string{
	WorstFirst: " ORDER BY h.severity DESC, s.backlog, s.first_seen, h.policy, h.source, h.subject, h.key",
	ByPolicy:   " ORDER BY h.policy, h.source, h.subject, h.key",
}

func (f FindingFilter) where(run uint64) (conditions, error) {
	var c conditions
	c.add("s.run = {run:UInt64} AND s.run IN (SELECT run FROM runs)", clickhouse.Named("run", run))
	among := func(column, name string, values []string) {
		if len(values) > 0 {
			c.add(column+" IN {"+name+":Array(String)}", clickhouse.Named(name, values))
		}
	}
	among("s.policy", "policies", f.Policies)
	among("s.category", "categories", f.Categories)
	among("s.source", "sources", f.Sources)
	statuses := make([]string, len(f.Statuses))
	for i, s := range f.Statuses {
		statuses[i] = string(s)
	}
	among("s.status", "statuses", statuses)
	among("h.person", "persons", f.Persons)
	among("h.department", "departments", f.Departments)
	if f.MinSeverity > finding.Info {
		c.add("s.severity >= {severity:Int8}", clickhouse.Named("severity", int8(f.MinSeverity)))
	}
	if f.Subject != "" {
		c.add("s.subject = {subject:String}", clickhouse.Named("subject", f.Subject))
	}
	if f.Backlog != nil {
		c.add("s.backlog = {backlog:UInt8}", clickhouse.Named("backlog", bit(*f.Backlog)))
	}
	if f.Fingerprint != "" {
		prefix := strings.ToLower(f.Fingerprint)
		if strings.Trim(prefix, "0123456789abcdef") != "" || len(prefix) > 64 {
			return c, fmt.Errorf("fingerprint %q: want up to 64 hexadecimal digits", f.Fingerprint)
		}
		c.add("startsWith(lower(hex(s.fingerprint)), {fingerprint:String})", clickhouse.Named("fingerprint", prefix))
	}
	return c, nil
}

// findingRows joins the states of a run with the hits that describe them. The states are the smaller side.
const findingRows = ` FROM finding_hits AS h
	INNER JOIN (SELECT * FROM finding_states WHERE run = {run:UInt64}) AS s ON s.hit_run = h.run AND s.fingerprint = h.fingerprint`

// hitRuns keeps the hits' side to the runs that matter.
const hitRuns = " AND h.run IN (SELECT DISTINCT hit_run FROM finding_states WHERE run = {run:UInt64})"

// Findings reads the findings of a published run, closed and excluded ones included; of a run that is not published there
// are none. Exceptions are not laid over them here. Breaking off stops the query.
func (s *Store) Findings(ctx context.Context, run uint64, f FindingFilter) iter.Seq2[finding.Finding, error] {
	return func(yield func(finding.Finding, error) bool) {
		where, err := f.where(run)
		if err != nil {
			yield(finding.Finding{}, fmt.Errorf("read findings of run %d: %w", run, err))
			return
		}
		query := `SELECT h.fingerprint, h.policy, h.subject_kind, h.source, h.subject, h.key, h.message, h.evidence,
			ifNull(toString(h.cost_month), ''), h.currency, h.excluded_by, h.severity, h.title, h.category, h.action, h.controls,
			h.source_name, h.name, h.person, h.person_name, h.department, h.assignee, s.status, s.cause, s.first_seen,
			s.last_seen, s.closed_at, s.carried, s.backlog, s.due_at` + findingRows + where.sql() + hitRuns + findingOrders[f.Order]
		if f.Limit > 0 {
			query += fmt.Sprintf(" LIMIT %d", f.Limit)
		}
		for v, err := range stream(ctx, s, scanFinding, query, where.args...) {
			if err != nil {
				err = fmt.Errorf("read findings of run %d: %w", run, err)
			}
			if !yield(v, err) {
				return
			}
		}
	}
}

// Flagged yields each subject of some kinds with the policies that an open finding of a published run is of, in no order. It is
// Findings for who only counts.
func (s *Store) Flagged(ctx context.Context, run uint64, kinds []access.SubjectKind) iter.Seq2[Flagged, error] {
	names := make([]string, len(kinds))
	for i, k := range kinds {
		names[i] = string(k)
	}
	scan := func(rows driver.Rows, f *Flagged) error {
		return rows.Scan((*string)(&f.Subject.Kind), &f.Subject.Source, &f.Subject.ID, &f.Policies)
	}
	return func(yield func(Flagged, error) bool) {
		for f, err := range stream(ctx, s, scan, `SELECT subject_kind, source, subject, groupUniqArray(CAST(policy, 'String')) FROM finding_states
			WHERE run = {run:UInt64} AND run IN (SELECT run FROM runs) AND status = 'open' AND subject_kind IN {kinds:Array(String)}
			GROUP BY subject_kind, source, subject`, clickhouse.Named("run", run), clickhouse.Named("kinds", names)) {
			if err != nil {
				err = fmt.Errorf("read what is flagged in run %d: %w", run, err)
			}
			if !yield(f, err) || err != nil {
				return
			}
		}
	}
}

// Flagged is a subject, and the policies that flag it.
type Flagged struct {
	Subject  finding.Subject
	Policies []string
}

func scanFinding(rows driver.Rows, v *finding.Finding) error {
	var fingerprint, kind, status, cause string
	var severity int8
	var closedAt, dueAt *time.Time
	err := rows.Scan(&fingerprint, &v.Policy, &kind, &v.Subject.Source, &v.Subject.ID, &v.Key, &v.Message, &v.Evidence,
		&v.CostMonth, &v.Currency, &v.ExcludedBy, &severity, &v.Title, &v.Category, &v.Action, &v.Controls,
		&v.SourceName, &v.Name, &v.Person, &v.PersonName, &v.Department, &v.Assignee, &status, &cause, &v.FirstSeen,
		&v.LastSeen, &closedAt, &v.Carried, &v.Backlog, &dueAt)
	if err != nil {
		return err
	}
	v.Fingerprint = finding.Fingerprint(hex.EncodeToString([]byte(fingerprint)))
	v.Subject.Kind = access.SubjectKind(kind)
	v.Severity, v.Status, v.Cause = finding.Severity(severity), finding.Status(status), finding.Cause(cause)
	if closedAt != nil {
		v.ClosedAt = *closedAt
	}
	if dueAt != nil {
		v.DueAt = *dueAt
	}
	return nil
}

// Dimension is what findings are counted by.
type Dimension string

// The dimensions of counts.
const (
	ByPolicyID   Dimension = "policy"
	ByCategory   Dimension = "category"
	BySource     Dimension = "source"
	BySeverity   Dimension = "severity" // its value is the severity's name
	ByStatus     Dimension = "status"
	ByDepartment Dimension = "department"
	ByAssignee   Dimension = "assignee"
	ByBacklog    Dimension = "backlog" // true or false
)

var dimensions = map[Dimension]string{
	ByPolicyID: "CAST(h.policy, 'String')", ByCategory: "CAST(h.category, 'String')", BySource: "CAST(h.source, 'String')",
	BySeverity: "toString(h.severity)", ByStatus: "CAST(s.status, 'String')", ByDepartment: "CAST(h.department, 'String')",
	ByAssignee: "h.assignee", ByBacklog: "if(s.backlog, 'true', 'false')",
}

// FindingCount is a number of findings that share the values of the dimensions, in the order they were asked for.
type FindingCount struct {
	Values []string
	N      uint64
	// CostMonth sums what the findings cost by currency, as decimal text. Findings without a cost add nothing.
	CostMonth map[string]string
}

// CountFindings counts the findings that the filter chooses, the greatest number first; equal numbers are in the order of
// their values, severities the least first. Order and Limit don't matter.
func (s *Store) CountFindings(ctx context.Context, run uint64, f FindingFilter, by ...Dimension) ([]FindingCount, error) {
	counts, err := s.countFindings(ctx, run, f, by)
	if err != nil {
		return nil, fmt.Errorf("count findings of run %d: %w", run, err)
	}
	return counts, nil
}

func (s *Store) countFindings(ctx context.Context, run uint64, f FindingFilter, by []Dimension) ([]FindingCount, error) {
	where, err := f.where(run)
	if err != nil {
		return nil, err
	}
	columns := make([]string, len(by))
	for i, d := range by {
		if columns[i] = dimensions[d]; columns[i] == "" {
			return nil, fmt.Errorf("unknown dimension %q", d)
		}
	}
	query := `SELECT value, sum(n) AS total, mapFromArrays(groupArrayIf(currency, paid), groupArrayIf(toString(cost), paid))
	FROM (SELECT [` + strings.Join(columns, ", ") + `]::Array(String) AS value, CAST(h.currency, 'String') AS currency,
		count() AS n, ifNull(sum(h.cost_month), 0) AS cost, count(h.cost_month) > 0 AS paid` +
		findingRows + where.sql() + hitRuns + ` GROUP BY value, currency)
	GROUP BY value ORDER BY total DESC, value`
	return list(ctx, s, func(rows driver.Rows, c *FindingCount) error {
		if err := rows.Scan(&c.Values, &c.N, &c.CostMonth); err != nil {
			return err
		}
		for i, d := range by {
			if d == BySeverity {
				c.Values[i] = severityName(c.Values[i])
			}
		}
		return nil
	}, query, where.args...)
}

func severityName(number string) string {
	if len(number) == 1 {
		return finding.Severity(number[0] - '0').String()
	}
	return number
}

// TrendPoint is what one run did to the findings of one severity and category. Open counts those open after the run; New
// are among them.
type TrendPoint struct {
	Run      uint64
	Time     time.Time
	Severity finding.Severity
	Category string
	Open     uint64
	New      uint64
	Closed   uint64
}

// Trend tells how findings went over the newest n published runs, the oldest first. A run without findings has no point.
func (s *Store) Trend(ctx context.Context, n int) ([]TrendPoint, error) {
	points, err := list(ctx, s, func(rows driver.Rows, p *TrendPoint) error {
		var severity int8
		err := rows.Scan(&p.Run, &p.Time, &severity, &p.Category, &p.Open, &p.New, &p.Closed)
		p.Severity = finding.Severity(severity)
		return err
	}, fmt.Sprintf(`SELECT run, time, severity, category, countIf(status = 'open'), countIf(status = 'open' AND first_seen = time),
			countIf(status = 'closed')
		FROM finding_states
		WHERE run IN (SELECT run FROM runs ORDER BY time DESC, run DESC LIMIT %d)
		GROUP BY run, time, severity, category ORDER BY time, run, severity DESC, category`, max(n, 0)))
	if err != nil {
		return nil, fmt.Errorf("read trend: %w", err)
	}
	return points, nil
}

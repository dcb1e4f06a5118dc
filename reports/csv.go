package reports

import (
	"encoding/csv"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

var csvColumns = []string{
	"status", "severity", "policy", "title", "category", "source", "source_name", "subject_kind", "subject_id", "name", "key",
	"person", "person_name", "department", "assignee", "message", "cost_month", "currency", "new", "backlog", "due_at", "carried",
	"first_seen", "last_seen", "closed_at", "cause", "exception", "excluded_by", "action", "controls", "evidence", "fingerprint",
	"run", "run_time", "roster_as_of",
}

// CSV writes every finding of the run, whatever its status, one a row. It is RFC 4180 in UTF-8 with a byte order mark,
// without which Excel garbles names; times are RFC 3339 in UTC. A text that a spreadsheet would run as a formula gets a
// leading apostrophe.
func (r *Report) CSV(w io.Writer) error {
	if _, err := io.WriteString(w, "\ufeff"); err != nil {
		return fmt.Errorf("write CSV: %w", err)
	}
	out := csv.NewWriter(w)
	out.UseCRLF = true
	if err := out.Write(csvColumns); err != nil {
		return fmt.Errorf("write CSV: %w", err)
	}
	run, at, roster := strconv.FormatUint(r.Run.ID, 10), stamp(r.Run.Time), stamp(r.RosterAsOf())
	n := 0
	for f, err := range r.Findings {
		if err != nil {
			return fmt.Errorf("write CSV: %w", err)
		}
		n++
		row := []string{
			string(f.Status), f.Severity.String(), f.Policy, f.Title, f.Category, f.Subject.Source, f.SourceName, string(f.Subject.Kind), f.Subject.ID, f.Name, f.Key,
			f.Person, f.PersonName, f.Department, r.AssigneeName(f.Assignee), f.Message, f.CostMonth, f.Currency, yes(r.isNew(f)), yes(f.Backlog), stamp(f.DueAt), yes(f.Carried),
			stamp(f.FirstSeen), stamp(f.LastSeen), stamp(f.ClosedAt), string(f.Cause), f.ExceptionID, f.ExcludedBy, f.Action, strings.Join(f.Controls, " "), f.Evidence, string(f.Fingerprint),
			run, at, roster,
		}
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
	return r.sameCount(n)
}

// sameCount tells when the findings were not the same twice, so that no total is printed beside another list.
func (r *Report) sameCount(n int) error {
	if n != r.Listed {
		return fmt.Errorf("the findings of run %d changed while they were written: %d were counted, then %d", r.Run.ID, r.Listed, n)
	}
	return nil
}

// unformula guards a cell (https://owasp.org/www-community/attacks/CSV_Injection). The full-width signs count too: East
// Asian editions of Excel take them for the others. A number may start with a minus sign.
func unformula(cell string) string {
	first, _ := utf8.DecodeRuneInString(cell)
	if strings.ContainsRune("=+-@\t\r\n＝＋－＠", first) && cell != "" && !decimal.MatchString(cell) {
		return "'" + cell
	}
	return cell
}

func stamp(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format(time.RFC3339)
}

func yes(b bool) string {
	if b {
		return "yes"
	}
	return ""
}

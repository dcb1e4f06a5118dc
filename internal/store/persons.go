package store

import (
	"context"
	"fmt"
	"iter"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2"
	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"

	"github.com/lapse-audit/lapse/internal/access"
)

// RunPerson is a person as a run saw him.
type RunPerson struct {
	access.Identity // ManagerID is the manager's key; Aliases is empty
	EndFirstKnown   time.Time
}

const personColumns = `SELECT key, roster, id, employee_id, username, email, name, kind, status, department, title, location,
	company, cost_center, manager, start_at, end_at, end_first_known, first_start_at, previous_department, previous_title,
	transferred_at, high_risk, records, attributes FROM run_people
	WHERE run = {run:UInt64} AND run IN (SELECT run FROM runs)`

func scanPerson(rows driver.Rows, p *RunPerson) error {
	var status string
	var known *time.Time
	var records uint32
	err := rows.Scan(&p.Key, &p.Roster, &p.ID, &p.EmployeeID, &p.Username, &p.Email, &p.Name, &p.Kind, &status, &p.Department,
		&p.Title, &p.Location, &p.Company, &p.CostCenter, &p.ManagerID, &p.StartAt, &p.EndAt, &known, &p.FirstStartAt,
		&p.PreviousDepartment, &p.PreviousTitle, &p.TransferredAt, &p.HighRisk, &records, &p.Attributes)
	p.Status, p.Records = access.PersonStatus(status), int(records)
	if known != nil {
		p.EndFirstKnown = *known
	}
	return err
}

// RunPeople reads the people of a published run by department and key.
func (s *Store) RunPeople(ctx context.Context, run uint64) iter.Seq2[RunPerson, error] {
	return func(yield func(RunPerson, error) bool) {
		for p, err := range stream(ctx, s, scanPerson, personColumns+" ORDER BY no", clickhouse.Named("run", run)) {
			if err != nil {
				err = fmt.Errorf("read people of run %d: %w", run, err)
			}
			if !yield(p, err) {
				return
			}
		}
	}
}

// personMatches is how many people PersonByQuery finds at most.
const personMatches = 100

// PersonByQuery finds people of a published run by any of their keys, by id, employee id, e-mail, username or name, without
// regard to case. It finds up to 100, by name.
func (s *Store) PersonByQuery(ctx context.Context, run uint64, query string) ([]RunPerson, error) {
	people, err := list(ctx, s, scanPerson, personColumns+` AND (
			key IN (SELECT key FROM run_aliases WHERE run = {run:UInt64} AND alias = {query:String})
			OR has([lowerUTF8(id), lowerUTF8(employee_id), lowerUTF8(email), lowerUTF8(username), lowerUTF8(name)], lowerUTF8({query:String})))
		ORDER BY name, key LIMIT `+fmt.Sprint(personMatches), clickhouse.Named("run", run), clickhouse.Named("query", query))
	if err != nil {
		return nil, fmt.Errorf("look for a person in run %d: %w", run, err)
	}
	return people, nil
}

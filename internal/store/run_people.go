package store

import (
	"context"
	"fmt"
	"iter"
	"time"

	"github.com/lapse-audit/lapse/internal/access"
)

// runCounts is what a run finds out about itself on the way.
type runCounts struct{ people, accounts, entitlements, grants, effective, seats uint64 }

// WritePeople writes the people of the run, one Identity each. What a roster doesn't say is carried forward from the run
// before: since when an end date is known, and the last transfer, which is seen by a changed department. An error of
// people ends it and is returned.
func (r *Run) WritePeople(ctx context.Context, people iter.Seq2[access.Identity, error]) error {
	if err := r.writePeople(ctx, people); err != nil {
		return fmt.Errorf("write people of run %d: %w", r.ID, err)
	}
	return nil
}

func (r *Run) writePeople(ctx context.Context, people iter.Seq2[access.Identity, error]) error {
	type id = access.Identity
	b := newBatch(ctx, r.s, "work_people", r.token("people"), []field[id]{
		column("key", func(p *id) string { return p.Key }),
		column("aliases", func(p *id) []string { return p.Aliases }),
		column("roster", func(p *id) string { return p.Roster }),
		column("id", func(p *id) string { return p.ID }),
		column("employee_id", func(p *id) string { return p.EmployeeID }),
		column("username", func(p *id) string { return p.Username }),
		column("email", func(p *id) string { return p.Email }),
		column("name", func(p *id) string { return p.Name }),
		column("kind", func(p *id) string { return p.Kind }),
		column("status", func(p *id) string { return string(p.Status) }),
		column("department", func(p *id) string { return p.Department }),
		column("title", func(p *id) string { return p.Title }),
		column("location", func(p *id) string { return p.Location }),
		column("company", func(p *id) string { return p.Company }),
		column("cost_center", func(p *id) string { return p.CostCenter }),
		column("manager_id", func(p *id) string { return p.ManagerID }),
		moment("start_at", func(p *id) **time.Time { return &p.StartAt }),
		moment("end_at", func(p *id) **time.Time { return &p.EndAt }),
		moment("first_start_at", func(p *id) **time.Time { return &p.FirstStartAt }),
		column("previous_department", func(p *id) string { return p.PreviousDepartment }),
		column("previous_title", func(p *id) string { return p.PreviousTitle }),
		moment("transferred_at", func(p *id) **time.Time { return &p.TransferredAt }),
		column("high_risk", func(p *id) *bool { return p.HighRisk }),
		column("records", func(p *id) int64 { return int64(p.Records) }),
		column("attributes", func(p *id) map[string]string { return p.Attributes }),
	})
	for p, err := range people {
		if err == nil {
			err = b.put(p)
		}
		if err != nil {
			b.wait()
			return err
		}
	}
	if err := b.close(); err != nil {
		return err
	}
	r.counts.people = b.rows
	if err := r.all(ctx, "people_aliases", "people"); err != nil {
		return err
	}
	if r.Previous == 0 {
		return nil
	}
	return r.do(ctx, "change_people")
}

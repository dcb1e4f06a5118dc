package state

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/base32"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"
)

// Plan is a plan of changes as it was made. What is in it is its maker's business; it never changes once it is recorded.
type Plan struct {
	ID     string          `json:"id"`
	Hash   string          `json:"hash"` // SHA-256 of Body, in hexadecimal
	Kind   string          `json:"kind"`
	Person string          `json:"person,omitempty"` // whom it is about, if one
	Made   time.Time       `json:"made"`
	By     string          `json:"by"`
	Steps  int64           `json:"steps"`
	Body   json.RawMessage `json:"-"`
	Ended  time.Time       `json:"ended,omitzero"` // it is done with: nothing of it is carried out any more
	EndWhy string          `json:"end_why,omitempty"`
}

// Approval is a person's word for a plan.
type Approval struct {
	ID        string    `json:"id"`
	Plan      string    `json:"plan"`
	By        string    `json:"by"`
	At        time.Time `json:"at"`
	Hash      string    `json:"hash"`   // of the plan that was approved
	Method    string    `json:"method"` // how it is known who it was: ed25519, slack, policy, ...
	Signature string    `json:"signature,omitempty"`
}

// NewPlanID makes the id of a plan that is about to be made.
func NewPlanID() string { return newID("plan") }

// AnswerPlanID is the id of the plan that an answer leads to, so that there is one however often it is made.
func AnswerPlanID(answer string) string {
	sum := sha256.Sum256([]byte(answer))
	return "plan-" + strings.ToLower(base32.StdEncoding.EncodeToString(sum[:])[:10])
}

// SavePlan records a plan; of p it takes the id, the kind, the person, the number of steps and the body. A plan with its id
// is an [ErrExists].
func (s *State) SavePlan(ctx context.Context, actor Actor, p Plan) (Plan, error) {
	err := s.decide(ctx, "record plan "+p.ID, actor, func(d *decision) error {
		if err := errors.Join(text("plan's id", p.ID, 1, maxID), text("plan's kind", p.Kind, 1, 100), text("person", p.Person, 0, maxID)); err != nil {
			return err
		}
		if !json.Valid(p.Body) {
			return errors.New("the plan is no JSON")
		}
		standing, err := rows(d, scanPlan, selectPlans+" WHERE id = $1", p.ID)
		if err != nil {
			return err
		}
		if len(standing) > 0 {
			return ErrExists
		}
		sum := sha256.Sum256(p.Body)
		p.Hash, p.Made, p.By = hex.EncodeToString(sum[:]), d.at, d.actor.ID
		err = d.exec(`INSERT INTO plans (id, hash, kind, person, made_at, made_by, steps, body, end_why) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, '')`,
			p.ID, p.Hash, p.Kind, p.Person, stamp(p.Made), p.By, p.Steps, string(p.Body))
		if err != nil {
			return err
		}
		return d.append(KindPlanMade, p)
	})
	if err != nil {
		return Plan{}, err
	}
	return p, nil
}

// PlanByID reads a plan with its body. A body that is not what was recorded is an error: somebody altered it.
func (s *State) PlanByID(ctx context.Context, id string) (Plan, error) {
	all, err := query(ctx, s, scanPlan, selectPlans+" WHERE id = $1", id)
	if err == nil && len(all) == 0 {
		err = ErrNotFound
	}
	if err != nil {
		return Plan{}, fmt.Errorf("read plan %s in %s: %w", id, s.name, err)
	}
	p := all[0]
	if sum := sha256.Sum256(p.Body); hex.EncodeToString(sum[:]) != p.Hash {
		return Plan{}, fmt.Errorf("read plan %s in %s: it was altered after it was made: make a new one", id, s.name)
	}
	return p, nil
}

// PlanFilter narrows a list of plans; empty fields match everything.
type PlanFilter struct {
	Kind, Person string
	Ended        bool // those that are done with too
}

// Plans lists plans, newest first.
func (s *State) Plans(ctx context.Context, f PlanFilter) ([]Plan, error) {
	all, err := query(ctx, s, scanPlan, selectPlans+` WHERE ($1 = '' OR kind = $1) AND ($2 = '' OR person = $2) AND ($3 = 1 OR ended_at IS NULL) ORDER BY made_at DESC, id`,
		f.Kind, f.Person, flag(f.Ended))
	if err != nil {
		return nil, fmt.Errorf("list plans in %s: %w", s.name, err)
	}
	return all, nil
}

func flag(b bool) int64 {
	if b {
		return 1
	}
	return 0
}

// ApprovePlan records a person's word for the plan that has the given hash; of a it takes all but the time and who it is,
// which are the actor's. A second word of one person is an [ErrExists].
func (s *State) ApprovePlan(ctx context.Context, actor Actor, a Approval) (Approval, error) {
	err := s.decide(ctx, "approve plan "+a.Plan, actor, func(d *decision) error {
		p, err := d.plan(a.Plan)
		if err != nil {
			return err
		}
		if p.Hash != a.Hash {
			return fmt.Errorf("what is approved is not what was recorded: its hash is %s, and %s was recorded", a.Hash, p.Hash)
		}
		given, err := rows(d, scanApproval, selectApprovals+" WHERE plan = $1 AND approved_by = $2", a.Plan, d.actor.ID)
		if err != nil {
			return err
		}
		if len(given) > 0 {
			return ErrExists
		}
		a.ID, a.By, a.At = newID("apr"), d.actor.ID, d.at
		err = d.exec("INSERT INTO approvals (id, plan, approved_by, approved_at, hash, method, signature) VALUES ($1, $2, $3, $4, $5, $6, $7)",
			a.ID, a.Plan, a.By, stamp(a.At), a.Hash, a.Method, a.Signature)
		if err != nil {
			return err
		}
		return d.append(KindApprovalGiven, a)
	})
	if err != nil {
		return Approval{}, err
	}
	return a, nil
}

// plan reads a plan that is not done with.
func (d *decision) plan(id string) (Plan, error) {
	all, err := rows(d, scanPlan, selectPlans+" WHERE id = $1", id)
	switch {
	case err != nil:
		return Plan{}, err
	case len(all) == 0:
		return Plan{}, ErrNotFound
	case !all[0].Ended.IsZero():
		return Plan{}, fmt.Errorf("it was ended on %s (%s)", all[0].Ended.Format(time.DateTime), all[0].EndWhy)
	}
	return all[0], nil
}

// Approvals lists who approved a plan, first first.
func (s *State) Approvals(ctx context.Context, plan string) ([]Approval, error) {
	all, err := query(ctx, s, scanApproval, selectApprovals+" WHERE plan = $1 ORDER BY approved_at, approved_by", plan)
	if err != nil {
		return nil, fmt.Errorf("list approvals of plan %s in %s: %w", plan, s.name, err)
	}
	return all, nil
}

// RefusePlan records why a plan was not carried out, or not further.
func (s *State) RefusePlan(ctx context.Context, actor Actor, id string, reasons []string) error {
	return s.decide(ctx, "refuse plan "+id, actor, func(d *decision) error {
		if _, err := d.plan(id); err != nil {
			return err
		}
		return d.append(KindRefusal, map[string]any{"plan": id, "reasons": reasons})
	})
}

// EndPlan records that a plan is done with: completed, replaced or given up.
func (s *State) EndPlan(ctx context.Context, actor Actor, id, why string) error {
	return s.decide(ctx, "end plan "+id, actor, func(d *decision) error {
		if err := text("reason", why, 1, maxReason); err != nil {
			return err
		}
		p, err := d.plan(id)
		if err != nil {
			return err
		}
		p.Ended, p.EndWhy = d.at, why
		if err := d.exec("UPDATE plans SET ended_at = $1, end_why = $2 WHERE id = $3", stamp(d.at), why, id); err != nil {
			return err
		}
		return d.append(KindPlanEnded, p)
	})
}

const (
	selectPlans     = "SELECT id, hash, kind, person, made_at, made_by, steps, body, ended_at, end_why FROM plans"
	selectApprovals = "SELECT id, plan, approved_by, approved_at, hash, method, signature FROM approvals"
)

func scanPlan(r *sql.Rows) (Plan, error) {
	var p Plan
	var made int64
	var ended sql.NullInt64
	var body string
	err := r.Scan(&p.ID, &p.Hash, &p.Kind, &p.Person, &made, &p.By, &p.Steps, &body, &ended, &p.EndWhy)
	p.Made, p.Ended, p.Body = timeOf(made), timeOrZero(ended), json.RawMessage(body)
	return p, err
}

func scanApproval(r *sql.Rows) (Approval, error) {
	var a Approval
	var at int64
	err := r.Scan(&a.ID, &a.Plan, &a.By, &at, &a.Hash, &a.Method, &a.Signature)
	a.At = timeOf(at)
	return a, err
}

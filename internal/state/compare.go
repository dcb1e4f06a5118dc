package state

import (
	"context"
	"database/sql"
	"encoding/json"
	"maps"
	"slices"
	"strings"
)

// records are the decisions as the ledger tells of them, "family id" to payload.
// Replaying is simple because each payload is the whole record.
type records map[string]telling

type telling struct {
	seq    int64
	record string
}

var families = map[string]bool{"exception": true, "link": true, "people": true, "shrink": true, "plan": true, "approval": true, "change": true, "stop": true,
	"notify": true, "message": true, "item": true, "answer": true, "review": true, "reviewed": true, "leaver": true}

func (t records) apply(e Entry) {
	family, _, _ := strings.Cut(e.Kind, ".")
	if !families[family] {
		return
	}
	var head struct {
		ID string `json:"id"`
	}
	// An unreadable payload was altered, which its hash has shown.
	_ = json.Unmarshal(e.Payload, &head)
	key := family + " " + head.ID
	if e.Kind == KindPeopleParted {
		delete(t, key)
		return
	}
	t[key] = telling{seq: e.Seq, record: string(e.Payload)}
}

// compare reports each decision that differs from what the ledger tells of it.
func (s *State) compare(ctx context.Context, tx *sql.Tx, told records, v *Verification) error {
	check := func(family, id string, record any) error {
		canon, err := canonical(record)
		if err != nil {
			return err
		}
		key := family + " " + id
		switch t, ok := told[key]; {
		case !ok:
			v.fault(0, "%s is in force, but the ledger doesn't tell of it", key)
		case t.record != string(canon):
			v.fault(t.seq, "%s was altered behind the ledger's back", key)
		}
		delete(told, key)
		return nil
	}
	if err := compareRows(ctx, tx, selectExceptions, scanException, func(e Exception) error { return check("exception", e.ID, e) }); err != nil {
		return err
	}
	if err := compareRows(ctx, tx, selectLinks, scanLink, func(l Link) error { return check("link", l.ID, l) }); err != nil {
		return err
	}
	if err := compareRows(ctx, tx, selectShrinks, scanShrink, func(a Shrink) error { return check("shrink", a.ID, a) }); err != nil {
		return err
	}
	if err := s.compareRemediation(ctx, tx, v, check); err != nil {
		return err
	}
	if err := s.compareNotify(ctx, tx, v, check); err != nil {
		return err
	}
	if err := s.compareReviews(ctx, tx, v, check); err != nil {
		return err
	}
	if err := compareRows(ctx, tx, selectLeavers, scanLeaver, func(l Leaver) error { return check("leaver", l.ID, l) }); err != nil {
		return err
	}
	joins, err := loadJoins(ctx, tx)
	if err != nil {
		return err
	}
	for _, id := range slices.Sorted(maps.Keys(joins)) {
		if err := check("people", id, joins[id]); err != nil {
			return err
		}
	}
	for _, key := range slices.Sorted(maps.Keys(told)) {
		v.fault(told[key].seq, "%s was removed behind the ledger's back", key)
	}
	return nil
}

// compareRemediation checks plans, approvals, the journal and the stop switch. The ledger holds hashes of what is long.
func (s *State) compareRemediation(ctx context.Context, tx *sql.Tx, v *Verification, check func(family, id string, record any) error) error {
	err := compareRows(ctx, tx, selectPlans, scanPlan, func(p Plan) error {
		if sumOf(p.Body) != p.Hash {
			v.fault(0, "plan %s was altered behind the ledger's back: its text doesn't fit its hash", p.ID)
		}
		return check("plan", p.ID, p)
	})
	if err != nil {
		return err
	}
	if err := compareRows(ctx, tx, selectApprovals, scanApproval, func(a Approval) error { return check("approval", a.ID, a) }); err != nil {
		return err
	}
	if err := compareRows(ctx, tx, selectChanges, scanChange, func(c ChangeEntry) error { return check("change", c.ID, c.record()) }); err != nil {
		return err
	}
	return compareRows(ctx, tx, selectStops, scanStop, func(stop Stop) error { return check("stop", stop.ID, stop) })
}

// compareNotify checks whether people are asked, what they were sent, how that stands, and what they answered.
func (s *State) compareNotify(ctx context.Context, tx *sql.Tx, v *Verification, check func(family, id string, record any) error) error {
	if err := compareRows(ctx, tx, selectSending, scanSending, func(n Sending) error { return check("notify", n.ID, n) }); err != nil {
		return err
	}
	err := compareRows(ctx, tx, selectOutbox, scanOutgoing, func(m Outgoing) error {
		if sumOf(m.Body) != m.Hash {
			v.fault(0, "message %s was altered behind the ledger's back: its text doesn't fit its hash", m.ID)
		}
		return check("message", m.ID, m)
	})
	if err != nil {
		return err
	}
	if err := compareRows(ctx, tx, selectAsked, scanAsked, func(a Asked) error { return check("item", a.ID, a) }); err != nil {
		return err
	}
	return compareRows(ctx, tx, selectAnswers, scanAnswered, func(a Answered) error { return check("answer", a.ID, a) })
}

func compareRows[T any](ctx context.Context, tx *sql.Tx, text string, scan func(*sql.Rows) (T, error), check func(T) error) error {
	r, err := tx.QueryContext(ctx, text+" ORDER BY id")
	if err != nil {
		return err
	}
	all, err := collect(r, scan)
	if err != nil {
		return err
	}
	for _, one := range all {
		if err := check(one); err != nil {
			return err
		}
	}
	return nil
}

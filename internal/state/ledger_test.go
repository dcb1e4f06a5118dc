package state

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"
)

func testLedger(t *testing.T, o Options) {
	s, c := open(t, o)
	if h, err := s.Head(t.Context()); err != nil || h != genesis {
		t.Fatalf("empty head: %v, %v", h, err)
	}
	payload := map[string]any{"z": "<ü\u2028>", "a": []any{1, "2", nil}, "big": json.Number("9007199254740993"), "nul": "a\x00b"}
	first, err := s.Record(t.Context(), alice, "scan.completed", payload)
	if err != nil {
		t.Fatal(err)
	}
	c.add(1500 * time.Nanosecond)
	second, err := s.Record(t.Context(), bob, "report.made", struct {
		ID string `json:"id"`
	}{"p-1"})
	if err != nil {
		t.Fatal(err)
	}
	got := allEntries(t, s)
	want := `{"a":[1,"2",null],"big":9007199254740993,"nul":"a\u0000b","z":"<ü\u2028>"}`
	if len(got) != 2 || string(got[0].Payload) != want || got[0].Seq != 1 || got[0].Prev != genesis.Hash || got[1].Prev != got[0].Hash || !got[1].At.Equal(night.Add(time.Microsecond)) {
		t.Fatalf("entries: %+v", got)
	}
	if h, _ := s.Head(t.Context()); h != second {
		t.Errorf("head %v, want %v", h, second)
	}
	for _, bad := range []struct {
		kind    string
		payload any
	}{{"", payload}, {"exception.added", payload}, {"people.x", payload}, {"scan.completed", 7}, {"scan.completed", nil}, {"scan.completed", func() {}}} {
		if _, err := s.Record(t.Context(), alice, bad.kind, bad.payload); err == nil {
			t.Errorf("recorded %q %v", bad.kind, bad.payload)
		}
	}
	for _, a := range []*Anchor{nil, {Seq: 0, Hash: genesis.Hash}, &first, &second} {
		v, err := s.VerifyLedger(t.Context(), a)
		if err != nil || !v.OK() || v.Entries != 2 || v.Head != second {
			t.Errorf("anchor %v: %s, %v", a, v, err)
		}
		if said := strings.Contains(v.String(), "no anchor was given"); said != (a == nil) {
			t.Errorf("anchor %v: %s", a, v)
		}
	}
	var out bytes.Buffer
	if err := s.Export(t.Context(), &out); err != nil {
		t.Fatal(err)
	}
	if v, err := VerifyExport(bytes.NewReader(out.Bytes()), &second); err != nil || !v.OK() || v.Entries != 2 {
		t.Errorf("export: %s, %v", v, err)
	}
	altered := bytes.Replace(out.Bytes(), []byte(`"p-1"`), []byte(`"p-2"`), 1)
	if v, err := VerifyExport(bytes.NewReader(altered), nil); err != nil || v.OK() {
		t.Errorf("altered export: %s, %v", v, err)
	}
	for range s.Ledger(t.Context(), 0) {
		break // a reader may stop early
	}
	whole(t, s)
}

func testLedgerFaults(t *testing.T, o Options) {
	s, _ := open(t, o)
	var anchors []Anchor
	for i := range 6 {
		a, err := s.Record(t.Context(), alice, "test.made", map[string]int{"n": i})
		if err != nil {
			t.Fatal(err)
		}
		anchors = append(anchors, a)
	}
	entry := func(seq int64) Entry {
		for e := range s.Ledger(t.Context(), seq-1) {
			return e
		}
		t.Fatalf("no entry %d", seq)
		return Entry{}
	}
	// rewrite gives an entry, and those after it, hashes that fit.
	rewrite := func(from int64) []string {
		e := entry(from)
		var out []string
		prev := e.Prev
		for seq := from; seq <= 6; seq++ {
			e := entry(seq)
			e.Prev = prev
			if seq == from {
				e.Payload = []byte(`{"n":99}`)
			}
			prev = e.sum()
			out = append(out, fmt.Sprintf("UPDATE ledger SET payload = '%s', prev = '%s', hash = '%s' WHERE seq = %d", e.Payload, e.Prev, prev, seq))
		}
		slices.Reverse(out[1:]) // prev and hash are unique, so from the end
		return append(out, fmt.Sprintf("UPDATE ledger_head SET hash = '%s'", prev))
	}
	tests := []struct {
		name   string
		tamper []string
		anchor *Anchor
		say    string // empty: not caught
	}{
		{"payload", []string{`UPDATE ledger SET payload = '{"n":7}' WHERE seq = 3`}, nil, "entry 3: its hash doesn't fit"},
		{"time", []string{`UPDATE ledger SET at = at + 1 WHERE seq = 2`}, nil, "entry 2: its hash doesn't fit"},
		{"actor", []string{`UPDATE ledger SET actor = 'hr/1' WHERE seq = 6`}, nil, "entry 6: its hash doesn't fit"},
		{"kind", []string{`UPDATE ledger SET kind = 'test.undone' WHERE seq = 1`}, nil, "entry 1: its hash doesn't fit"},
		{"altered with its hash", rewrite(4)[:1], nil, "entry 5: it doesn't follow entry 4"},
		{"removed", []string{`DELETE FROM ledger WHERE seq = 3`}, nil, "entry 4: entry 3 before it is missing"},
		{"removed several", []string{`DELETE FROM ledger WHERE seq IN (1, 2)`}, nil, "entry 3: entries 1 to 2 before it are missing"},
		{"removed and closed up", []string{`DELETE FROM ledger WHERE seq = 3`, `UPDATE ledger SET seq = 3 WHERE seq = 4`, `UPDATE ledger SET seq = 4 WHERE seq = 5`,
			`UPDATE ledger SET seq = 5 WHERE seq = 6`, `UPDATE ledger_head SET seq = 5`}, nil, "entry 3: it doesn't follow entry 2"},
		{"swapped", []string{`UPDATE ledger SET seq = 99 WHERE seq = 2`, `UPDATE ledger SET seq = 2 WHERE seq = 4`, `UPDATE ledger SET seq = 4 WHERE seq = 99`}, nil, "entry 2: it doesn't follow entry 1"},
		{"tail cut, head left", []string{`DELETE FROM ledger WHERE seq > 4`}, nil, "the last entry was 6, but the ledger ends with 4"},
		{"emptied", []string{`DELETE FROM ledger`}, nil, "the ledger ends with 0"},
		{"tail cut, no anchor", []string{`DELETE FROM ledger WHERE seq > 4`, fmt.Sprintf(`UPDATE ledger_head SET seq = 4, hash = '%s'`, anchors[3].Hash)}, nil, ""},
		{"tail cut, old anchor", []string{`DELETE FROM ledger WHERE seq > 4`, fmt.Sprintf(`UPDATE ledger_head SET seq = 4, hash = '%s'`, anchors[3].Hash)}, &anchors[1], ""},
		{"tail cut, anchor", []string{`DELETE FROM ledger WHERE seq > 4`, fmt.Sprintf(`UPDATE ledger_head SET seq = 4, hash = '%s'`, anchors[3].Hash)}, &anchors[5], "the anchor was entry 6, the last entry now is 4"},
		{"rewritten, no anchor", rewrite(3), nil, ""},
		{"rewritten, anchor", rewrite(3), &anchors[4], "entry 5: it differs from the anchor"},
	}
	backup := allEntries(t, s)
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			for _, q := range tt.tamper {
				if _, err := s.w.Exec(q); err != nil {
					t.Fatalf("%s: %v", q, err)
				}
			}
			v, err := s.VerifyLedger(t.Context(), tt.anchor)
			if err != nil {
				t.Fatal(err)
			}
			if tt.say == "" && !v.OK() || tt.say != "" && !strings.Contains(v.String(), tt.say) {
				t.Errorf("got %s\nwant %q", v, tt.say)
			}
			if tt.say == "" && tt.anchor == nil && !strings.Contains(v.String(), "no anchor was given") {
				t.Errorf("doesn't say that it had no anchor: %s", v)
			}
			restoreLedger(t, s, backup)
		})
	}
	whole(t, s)
}

func allEntries(t *testing.T, s *State) []Entry {
	t.Helper()
	var out []Entry
	for e, err := range s.Ledger(t.Context(), 0) {
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, e)
	}
	return out
}

func restoreLedger(t *testing.T, s *State, entries []Entry) {
	t.Helper()
	if _, err := s.w.Exec("DELETE FROM ledger"); err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if _, err := s.w.Exec("INSERT INTO ledger (seq, at, actor, kind, payload, prev, hash) VALUES ($1, $2, $3, $4, $5, $6, $7)",
			e.Seq, stamp(e.At), e.Actor, e.Kind, string(e.Payload), e.Prev, e.Hash); err != nil {
			t.Fatal(err)
		}
	}
	last := entries[len(entries)-1]
	if _, err := s.w.Exec("UPDATE ledger_head SET seq = $1, hash = $2", last.Seq, last.Hash); err != nil {
		t.Fatal(err)
	}
}

// A decision changed with SQL, past the ledger, shows although the chain is whole.
func testAlteredDecisions(t *testing.T, o Options) {
	s, _ := open(t, o)
	e := add(t, s, accepted(accountScope("DOR-01", 1), 30))
	add(t, s, accepted(accountScope("DOR-01", 2), 30))
	l, err := s.AddLink(t.Context(), alice, Link{Verdict: Is, Account: Ref{"corp-ad", "guid-1"}, Person: Ref{"hr", "10042"}, Reason: "asked"})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.JoinPeople(t.Context(), alice, Join{ID: "p1", Records: []Ref{{"hr", "1"}, {"hr", "2"}}}); err != nil {
		t.Fatal(err)
	}
	if _, err := s.AcceptShrink(t.Context(), alice, "hr", 10, "sold"); err != nil {
		t.Fatal(err)
	}
	whole(t, s)
	for _, tt := range []struct{ do, undo, say string }{
		{"UPDATE exceptions SET expires_at = expires_at + 1 WHERE id = '" + e.ID + "'", "UPDATE exceptions SET expires_at = expires_at - 1 WHERE id = '" + e.ID + "'",
			"entry 1: exception " + e.ID + " was altered"},
		{"UPDATE links SET person_id = '666'", "UPDATE links SET person_id = '10042'", "entry 3: link " + l.ID + " was altered"},
		{"INSERT INTO people_records (roster, person_id, people_id) VALUES ('hr', '3', 'p1')", "DELETE FROM people_records WHERE person_id = '3'", "entry 4: people p1 was altered"},
		{"INSERT INTO exceptions SELECT 'ex-forged', scope, fingerprint, policy, subject_kind, source, subject_id, department, reason, accepted_by, ticket, created_at, expires_at, revoked_at, revoked_by, revoke_reason FROM exceptions WHERE id = '" + e.ID + "'",
			"DELETE FROM exceptions WHERE id = 'ex-forged'", "exception ex-forged is in force, but the ledger doesn't tell of it"},
		{"DELETE FROM shrink_acceptances", "", "was removed behind the ledger's back"},
	} {
		if _, err := s.w.Exec(tt.do); err != nil {
			t.Fatalf("%s: %v", tt.do, err)
		}
		v, err := s.VerifyLedger(t.Context(), nil)
		if err != nil || len(v.Faults) != 1 || !strings.Contains(v.String(), tt.say) {
			t.Errorf("%s: got %s, %v\nwant %q", tt.do, v, err, tt.say)
		}
		if tt.undo == "" {
			continue
		}
		if _, err := s.w.Exec(tt.undo); err != nil {
			t.Fatalf("%s: %v", tt.undo, err)
		}
		whole(t, s)
	}
}

func testNoHalfDecision(t *testing.T, o Options) {
	s, _ := open(t, o)
	halfway := func(ctx context.Context, do func(*decision) error) error {
		return s.decide(ctx, "decide halfway", alice, func(d *decision) error {
			if _, err := s.addException(d, accepted(accountScope("DOR-01", 1), 30)); err != nil {
				return err
			}
			return do(d)
		})
	}
	ctx, cancel := context.WithCancel(t.Context())
	err := halfway(ctx, func(d *decision) error {
		cancel()
		return d.exec("UPDATE ledger_head SET seq = seq")
	})
	if !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
	ctx, cancel = context.WithCancel(t.Context())
	if err := halfway(ctx, func(*decision) error { cancel(); return nil }); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled before the commit: %v", err)
	}
	wantErr(t, halfway(t.Context(), func(*decision) error { return errors.New("second thoughts") }), "decide halfway: second thoughts")
	func() {
		defer func() { recover() }()
		halfway(t.Context(), func(*decision) error { panic("bug") })
	}()
	if n := whole(t, s); n != 0 {
		t.Errorf("%d entries of half decisions", n)
	}
	if list, err := s.Exceptions(t.Context(), night, ExceptionFilter{All: true}); err != nil || len(list) != 0 {
		t.Errorf("half decisions: %v, %v", list, err)
	}
	add(t, s, accepted(accountScope("DOR-01", 1), 30)) // and the database is free again
}

func testSettle(t *testing.T, o Options) {
	s, _ := open(t, o)
	at, err := s.Record(t.Context(), alice, "test.made", map[string]int{"n": 1})
	if err != nil {
		t.Fatal(err)
	}
	lost := errors.New("connection reset")
	if err := s.settle(t.Context(), at, lost); err != nil {
		t.Errorf("recorded, its answer lost: %v", err)
	}
	err = s.settle(t.Context(), Anchor{Seq: 2, Hash: strings.Repeat("f", 64)}, lost)
	if !errors.Is(err, lost) || errors.Is(err, ErrUnknownOutcome) {
		t.Errorf("not recorded: %v", err)
	}
	wantErr(t, err, "nothing was recorded")
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	if err := s.settle(ended, at, lost); err != nil {
		t.Errorf("recorded, then cancelled: %v", err)
	}
	s.Close()
	if err := s.settle(t.Context(), at, lost); !errors.Is(err, ErrUnknownOutcome) {
		t.Errorf("nobody to ask: %v", err)
	}
}

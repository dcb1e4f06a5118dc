package notify

import (
	"strings"
	"testing"

	"github.com/lapse-audit/lapse/internal/finding"
	"github.com/lapse-audit/lapse/internal/state"
)

// What was accepted is asked about again when its exception has ended, also where the exception was there before anybody was
// asked, and says so. While it holds, and of the rest of the backlog, nobody is asked.
func TestExceptionEnds(t *testing.T) {
	o := newOwners()
	kept, before, old := found(1, "hr:p1"), found(2, "hr:p1"), found(3, "hr:p1")
	kept.ExceptionEnded = "ex-1 by hr:m1 expired on 2026-11-01 00:00 UTC"
	n := Night{Run: 9, Time: noon.AddDate(0, 0, 9), Now: noon.AddDate(0, 0, 9), Usual: 5, Sending: state.Sending{Started: noon, RunTime: noon},
		Asked:    map[string]state.Asked{string(kept.Fingerprint): {ID: string(kept.Fingerprint), Status: state.AskedKept, To: "hr:m1", Message: "m", Seen: kept.FirstSeen, At: noon}},
		Reopened: func(f finding.Finding) bool { return f.Fingerprint == before.Fingerprint }}
	n.Accepted = map[finding.Fingerprint]string{kept.Fingerprint: "ex-1", before.Fingerprint: "ex-2"}
	if d := o.Draft(n); len(d.Letters) > 0 || len(d.Settled) > 0 {
		t.Errorf("while the exceptions hold: %+v", d)
	}
	n.Accepted, n.Open = nil, nil
	for _, f := range []finding.Finding{kept, before, old} {
		n.Open = append(n.Open, Open{Finding: f, Case: Case{Assignee: "manager"}})
	}
	d := o.Draft(n)
	if len(d.Letters) != 1 || d.Letters[0].Message.Kind != First || d.Letters[0].Message.To.ID() != "hr:m1" || len(d.Letters[0].Message.Items) != 2 || d.Backlog != 1 {
		t.Fatalf("%d letters, %d are the backlog: %+v", len(d.Letters), d.Backlog, d.Letters)
	}
	var b strings.Builder
	if err := WriteText(&b, d.Letters[0].Message); err != nil || strings.Count(b.String(), "it was accepted: ex-1 by hr:m1 expired on 2026-11-01") != 1 {
		t.Errorf("%v\n%s", err, b.String())
	}
}

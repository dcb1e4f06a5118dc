package store

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/lapse-audit/lapse/internal/access"
	"github.com/lapse-audit/lapse/internal/finding"
)

// nights is a store with one roster and two sources, run night by night.
type nights struct {
	t   *testing.T
	s   *Store
	now time.Time
}

// night says what is different in one run.
type nightly struct {
	stale      []string // sources that keep the snapshot of the night before
	gone       []string // accounts that are no longer there
	removed    []string // sources that are no input
	hits       []string // "policy source/account" or "policy source/account key"; a leading "-" excludes it
	hashes     map[string]string
	disabled   []string // policies
	failed     []string
	unjudged   []string // policies
	unknown    []string // "source/account" that ORP-01 can't judge
	incomplete bool
}

func (n *nights) run(v nightly) RunInfo {
	n.t.Helper()
	n.now = n.now.Add(24 * time.Hour)
	e := evaluation{time: n.now, status: RunComplete}
	for _, source := range []string{"hr", "ad", "app"} {
		if slices.Contains(v.removed, source) {
			continue
		}
		in := RunInput{Source: source, Name: source, Type: "file", Roster: source == "hr", Status: InputFresh}
		if slices.Contains(v.stale, source) {
			last, err := n.s.LatestAccepted(n.t.Context(), source, n.now)
			if err != nil {
				n.t.Fatal(err)
			}
			in.Status, in.Snapshot = InputStale, last.ID
		} else {
			var records []access.Record
			for _, id := range []string{"a1", "a2", "a3"} {
				if source != "hr" && !slices.Contains(v.gone, source+"/"+id) {
					records = append(records, human(id, id))
				}
			}
			in.Snapshot = snap(n.t, n.s, SnapshotInfo{Source: source, Name: source, Type: "file", Roster: source == "hr", TakenAt: n.now}, SnapshotMeta{Reads: []string{"accounts"}}, records...)
		}
		e.inputs = append(e.inputs, in)
	}
	for _, text := range v.hits {
		var policy, where, key string
		if _, err := fmt.Sscanf(text, "%s %s %s", &policy, &where, &key); err != nil && key != "" {
			n.t.Fatal(err)
		}
		h := HitRow{Severity: finding.High, Category: "ORP", Title: "t"}
		if policy[0] == '-' {
			policy, h.ExcludedBy = policy[1:], "leave"
		}
		i := slices.Index([]byte(where), '/')
		h.Policy, h.Key, h.Message = policy, key, "message of "+n.now.Format("02")
		h.Subject = finding.Subject{Kind: access.SubjectAccount, Source: where[:i], ID: where[i+1:]}
		e.hits = append(e.hits, h)
	}
	for _, policy := range []string{"ORP-01", "DOR-01"} {
		if slices.Contains(v.disabled, policy) {
			continue
		}
		hash := v.hashes[policy]
		if hash == "" {
			hash = "1"
		}
		e.carry.Policies = append(e.carry.Policies, RunPolicy{ID: policy, Hash: hash, Failed: slices.Contains(v.failed, policy)})
		if !slices.Contains(v.unjudged, policy) {
			for _, source := range []string{"ad", "app"} {
				e.carry.Judged = append(e.carry.Judged, Judgement{policy, source})
			}
		}
	}
	for _, where := range v.unknown {
		source, id, _ := strings.Cut(where, "/")
		e.carry.Unknown = append(e.carry.Unknown, Judged{"ORP-01", finding.Subject{Kind: access.SubjectAccount, Source: source, ID: id}})
	}
	e.carry.Incomplete, e.carry.BacklogDue = v.incomplete, 30*24*time.Hour
	if v.incomplete {
		e.status = RunIncomplete
	}
	return evaluate(n.t, n.s, e, nil)
}

// want compares the states of a run with lines of the form
// "policy source/account[ key]: status[ cause] first-last [carried] [backlog until day]", days of the month.
func (n *nights) want(run RunInfo, lines ...string) {
	n.t.Helper()
	var got []string
	for f, err := range n.s.Findings(n.t.Context(), run.ID, FindingFilter{Order: ByPolicy}) {
		if err != nil {
			n.t.Fatal(err)
		}
		line := f.Policy + " " + f.Subject.Source + "/" + f.Subject.ID
		if f.Key != "" {
			line += " " + f.Key
		}
		line += ": " + string(f.Status)
		if f.Cause != "" {
			line += " " + string(f.Cause)
		}
		line += " " + f.FirstSeen.Format("02") + "-" + f.LastSeen.Format("02")
		if f.Carried {
			line += " carried"
		}
		if f.Backlog {
			line += " backlog until " + f.DueAt.Format("0102")
		}
		if want := "message of " + f.LastSeen.Format("02"); f.Message != want {
			n.t.Errorf("%s: message %q, want %q", line, f.Message, want)
		}
		if (f.Status == finding.Closed) != f.ClosedAt.Equal(run.Time) {
			n.t.Errorf("%s: closed at %s", line, f.ClosedAt)
		}
		got = append(got, line)
	}
	wantEqual(n.t, "states after "+run.Time.Format("02"), got, lines)
}

func testStates(t *testing.T, s *Store) {
	n := &nights{t, s, time.Date(2026, 2, 28, 2, 0, 0, 0, time.UTC)}

	// The first night of a rule on a source is a backlog.
	n.want(n.run(nightly{hits: []string{"ORP-01 ad/a1", "ORP-01 ad/a2 k", "-ORP-01 app/a1"}}),
		"ORP-01 ad/a1: open 01-01 backlog until 0331",
		"ORP-01 ad/a2 k: open 01-01 backlog until 0331",
		"ORP-01 app/a1: excluded 01-01 backlog until 0331")

	// A new one the night after is none. One that is no longer hit is fixed. An excluded one that is no longer hit is no
	// news.
	n.want(n.run(nightly{hits: []string{"ORP-01 ad/a1", "ORP-01 ad/a3"}}),
		"ORP-01 ad/a1: open 01-02 backlog until 0331",
		"ORP-01 ad/a2 k: closed fixed 01-01 backlog until 0331",
		"ORP-01 ad/a3: open 02-02")

	// A stale source closes nothing, a stale roster neither; a fixed one isn't carried further.
	n.want(n.run(nightly{stale: []string{"ad"}, hits: []string{"ORP-01 ad/a1"}}),
		"ORP-01 ad/a1: open 01-03 backlog until 0331",
		"ORP-01 ad/a3: open 02-02 carried")
	n.want(n.run(nightly{stale: []string{"hr"}}),
		"ORP-01 ad/a1: open 01-03 carried backlog until 0331",
		"ORP-01 ad/a3: open 02-02 carried")

	// What came back is new. A failed rule's hits don't count.
	n.want(n.run(nightly{hits: []string{"ORP-01 ad/a1", "ORP-01 ad/a2 k", "ORP-01 ad/a3", "DOR-01 ad/a1"}, failed: []string{"DOR-01"}}),
		"ORP-01 ad/a1: open 01-05 backlog until 0331",
		"ORP-01 ad/a2 k: open 05-05",
		"ORP-01 ad/a3: open 02-05")
	n.want(n.run(nightly{failed: []string{"ORP-01"}}),
		"ORP-01 ad/a1: open 01-05 carried backlog until 0331",
		"ORP-01 ad/a2 k: open 05-05 carried",
		"ORP-01 ad/a3: open 02-05 carried")

	// An incomplete run closes nothing, whatever else is the matter.
	n.want(n.run(nightly{incomplete: true, disabled: []string{"ORP-01"}, gone: []string{"ad/a1"}}),
		"ORP-01 ad/a1: open 01-05 carried backlog until 0331",
		"ORP-01 ad/a2 k: open 05-05 carried",
		"ORP-01 ad/a3: open 02-05 carried")

	// The subject is gone; the rule has changed, and so no longer flags one; excluded from tonight on.
	n.want(n.run(nightly{gone: []string{"ad/a1"}, hashes: map[string]string{"ORP-01": "2"}, hits: []string{"-ORP-01 ad/a3", "ORP-01 app/a1"}}),
		"ORP-01 ad/a1: closed subject_gone 01-05 backlog until 0331",
		"ORP-01 ad/a2 k: closed rule_changed 05-05",
		"ORP-01 ad/a3: excluded 02-08",
		"ORP-01 app/a1: open 08-08")

	// An excluded hit that becomes a finding begins then. A rule that wasn't judged carries.
	n.want(n.run(nightly{hashes: map[string]string{"ORP-01": "2"}, hits: []string{"ORP-01 ad/a3"}, unjudged: []string{"ORP-01"}}),
		"ORP-01 ad/a3: open 09-09",
		"ORP-01 app/a1: open 08-08 carried")

	// A subject of which too little is known tonight is neither fixed nor clean.
	n.want(n.run(nightly{hashes: map[string]string{"ORP-01": "2"}, unknown: []string{"ad/a3", "app/a1"}}),
		"ORP-01 ad/a3: open 09-09 carried",
		"ORP-01 app/a1: open 08-08 carried")

	// A source that is no longer configured is gone with what was found in it. A rule that is switched off closes.
	n.want(n.run(nightly{removed: []string{"app"}, hashes: map[string]string{"ORP-01": "2"}, hits: []string{"ORP-01 ad/a3"}}),
		"ORP-01 ad/a3: open 09-11",
		"ORP-01 app/a1: closed subject_gone 08-08")
	last := n.run(nightly{disabled: []string{"ORP-01"}, stale: []string{"ad"}})
	n.want(last, "ORP-01 ad/a3: closed rule_disabled 09-11")

	// DOR-01 has judged ad all along, so its first hit there is no backlog.
	n.want(n.run(nightly{disabled: []string{"ORP-01"}, hits: []string{"DOR-01 ad/a1"}}), "DOR-01 ad/a1: open 13-13")

	testRunQueries(t, n)
}

func testRunQueries(t *testing.T, n *nights) {
	ctx, s := t.Context(), n.s
	latest, err := s.LatestRun(ctx, time.Time{})
	if err != nil || latest.Open != 1 || latest.New != 1 || latest.Closed != 0 || !latest.Time.Equal(n.now) {
		t.Errorf("latest run is %+v, %v", latest, err)
	}
	before, err := s.PrevRun(ctx, latest.ID)
	if err != nil || before.ID != latest.Previous || before.Closed != 1 {
		t.Errorf("run before is %+v, %v", before, err)
	}
	fifth, err := s.LatestRun(ctx, time.Date(2026, 3, 5, 12, 0, 0, 0, time.UTC))
	if err != nil || fifth.Time.Day() != 5 || fifth.Open != 3 || fifth.New != 1 || fifth.Backlog != 1 || fifth.Accounts != 6 {
		t.Errorf("run of the fifth is %+v, %v", fifth, err)
	}
	if _, err := s.LatestRun(ctx, time.Date(2026, 2, 1, 0, 0, 0, 0, time.UTC)); !errors.Is(err, ErrNotFound) {
		t.Errorf("run before all others: %v", err)
	}
	some, err := s.Runs(ctx, RunFilter{Since: time.Date(2026, 3, 3, 0, 0, 0, 0, time.UTC), Until: time.Date(2026, 3, 6, 0, 0, 0, 0, time.UTC)})
	if err != nil || len(some) != 3 || some[0].Time.Day() != 5 {
		t.Errorf("runs from the third to the fifth: %+v, %v", some, err)
	}
	inputs, err := s.Inputs(ctx, before.ID)
	if err != nil || len(inputs) != 3 || inputs[0].Source != "ad" || inputs[0].Status != InputStale || inputs[0].Taken.Day() != 11 || !slices.Equal(inputs[0].Reads, []string{"accounts"}) {
		t.Errorf("inputs are %+v, %v", inputs, err)
	}
	points, err := s.Trend(ctx, 3)
	if err != nil || len(points) != 3 {
		t.Fatalf("trend is %+v, %v", points, err)
	}
	wantEqual(t, "trend", []uint64{points[0].Open, points[0].New, points[0].Closed, points[2].Open, points[2].New, points[2].Closed}, []uint64{1, 0, 1, 1, 1, 0})

	// Subjects that a version left which knew other fields are none, rather than an error of the engine's.
	if err := s.exec(ctx, "ALTER TABLE "+subjectTable(access.SubjectAccount)+" DROP COLUMN account_purpose"); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Subject(ctx, latest.ID, finding.Subject{Kind: access.SubjectAccount, Source: "ad", ID: "a1"}); !errors.Is(err, ErrNotFound) {
		t.Errorf("a subject of another version: %v", err)
	}
}

package store

import (
	"fmt"
	"testing"
	"time"

	"github.com/lapse-audit/lapse/internal/access"
)

// secondNight is the company a day later, with one change of each sort.
func secondNight(t testing.TB, s *Store) evaluation {
	e := company(t, s, night.AddDate(0, 0, 1))
	anna := &e.people[0]
	anna.Department, anna.Title = "IT", "Chief" // a transfer that the roster doesn't tell
	e.people[1].EndAt = at("2026-11-23T17:00:00Z")
	e.people[1].Status = access.PersonEnded
	e.people[3] = worker(access.Person{ID: "p5", Name: "Eve", Status: access.PersonFuture})

	var records []access.Record
	for _, r := range companyDirectory() {
		switch v := r.(type) {
		case access.Account:
			switch v.ID {
			case "a3":
				v.Enabled = ptr(false)
			case "a7":
				v.Enabled, v.DisabledAt = ptr(true), nil
			case "a4":
				v.OwnerID = "p1"
			case "a6":
				v.ID = "a8"
			}
			r = v
		case access.Grant:
			if v.HolderID == "a1" && v.EntitlementID == "g2" {
				continue // and with it g3, which is privileged
			}
			if v.HolderID == "a5" {
				v.EntitlementID = "g3"
			}
			r = v
		}
		records = append(records, r)
	}
	ad := infoAD
	ad.TakenAt = e.time
	e.inputs[1].Snapshot = snap(t, s, ad, metaAD, records...)

	app := infoApp
	app.TakenAt = e.time
	records = nil
	for _, r := range companyApp() {
		if v, ok := r.(access.Seat); ok && v.AccountID == "b1" && v.SKU == "s3" {
			r = access.Seat{AccountID: "b3", SKU: "s3"}
		}
		records = append(records, r)
	}
	e.inputs[2].Snapshot = snap(t, s, app, metaApp, records...)

	for i := range e.links {
		switch l := &e.links[i]; l.AccountID {
		case "a5":
			*l = linked("ad", "a5", "hr:p1")
		case "a6":
			l.AccountID = "a8"
		}
	}
	return e
}

func testChanges(t *testing.T, s *Store) {
	first := evaluate(t, s, company(t, s, night), nil)
	if got := gather(t, s.Changes(t.Context(), ChangeFilter{RunAfter: first.ID})); len(got) > 0 {
		t.Errorf("the first night changed %v", got)
	}
	second := evaluate(t, s, secondNight(t, s), func(r *Run) {
		docs := documents(t, r, access.SubjectAccount, "account.id")
		fields(t, docs["a1"], map[string]any{"account.days_known": int64(1), "link.days": int64(1), "person.department": "IT", "person.previous_department": "Sales",
			"person.previous_title": "Lead", "person.days_since_transfer": int64(0), "account.privileged": false})
		fields(t, docs["a3"], map[string]any{"account.days_since_disabled": int64(0), "account.hours_since_enabled": nil, "person.end_first_known_days": int64(1),
			"person.days_since_transfer": int64(23)})
		fields(t, docs["a7"], map[string]any{"account.days_since_disabled": nil, "account.hours_since_enabled": int64(0), "person.end_first_known_days": int64(0)})
		fields(t, docs["a5"], map[string]any{"link.days": int64(0), "link.status": "linked"})
		fields(t, docs["a8"], map[string]any{"account.days_known": int64(0)})
		source := documents(t, r, access.SubjectSource, "source.uid")["ad"]
		fields(t, source, map[string]any{"source.previous_coverage": map[string]string{"mfa": "full"}})
	})
	var got []string
	for _, c := range gather(t, s.Changes(t.Context(), ChangeFilter{RunAfter: second.ID})) {
		got = append(got, fmt.Sprintf("%s %s/%s of %q: %s %s %q -> %q", c.Kind, c.Source, c.Subject, c.Person, c.Field, c.Key, c.Before, c.After))
		if c.RunBefore != first.ID || !c.TimeBefore.Equal(first.Time) || !c.TimeAfter.Equal(second.Time) {
			t.Errorf("%v: between %d at %s and %s", got[len(got)-1], c.RunBefore, c.TimeBefore, c.TimeAfter)
		}
	}
	wantEqual(t, "changes", got, []string{
		`account ad/a3 of "hr:p3": enabled  "true" -> "false"`,
		`account ad/a4 of "": owner  "e3" -> "p1"`,
		`account ad/a5 of "hr:p1": link  "disputed" -> "hr:p1"`,
		`account ad/a6 of "": exists  "true" -> "false"`,
		`account ad/a7 of "hr:p2": enabled  "false" -> "true"`,
		`account ad/a8 of "": exists  "false" -> "true"`,
		`grant ad/a1 of "hr:p1": privileged g3 "held" -> ""`,
		`grant ad/a5 of "hr:p1": privileged g3 "" -> "held"`,
		`person /hr:p2 of "hr:p2": status  "active" -> "ended"`,
		`person /hr:p4 of "hr:p4": status  "leave" -> ""`,
		`person /hr:p5 of "hr:p5": status  "" -> "future"`,
		`seat app/b1 of "hr:p1": seat s3 "held" -> ""`,
		`seat app/b3 of "hr:p3": seat s3 "" -> "held"`,
	})
	if n := len(gather(t, s.Changes(t.Context(), ChangeFilter{Kinds: []string{"seat", "grant"}, Sources: []string{"app"}, Person: "hr:p3"}))); n != 1 {
		t.Errorf("filter finds %d changes, want 1", n)
	}
	if n := len(gather(t, s.Changes(t.Context(), ChangeFilter{Until: second.Time}))); n != 0 {
		t.Errorf("before the second night there were %d changes", n)
	}

	// Ten days later, on what was read then: nothing changes, and what was seen is remembered.
	third := secondNight(t, s)
	third.time = night.AddDate(0, 0, 11)
	for i := range third.inputs {
		in := &third.inputs[i]
		all, err := s.Inputs(t.Context(), second.ID)
		if err != nil {
			t.Fatal(err)
		}
		for _, was := range all {
			if was.Source == in.Source {
				in.Snapshot, in.Status = was.Snapshot, InputStale
			}
		}
	}
	info := evaluate(t, s, third, func(r *Run) {
		docs := documents(t, r, access.SubjectAccount, "account.id")
		fields(t, docs["a1"], map[string]any{"account.days_known": int64(11), "link.days": int64(11), "person.previous_department": "Sales", "person.days_since_transfer": int64(10)})
		fields(t, docs["a3"], map[string]any{"account.days_since_disabled": int64(10)})
		fields(t, docs["a7"], map[string]any{"account.hours_since_enabled": int64(240)})
		fields(t, docs["a5"], map[string]any{"link.days": int64(10)})
	})
	if got := gather(t, s.Changes(t.Context(), ChangeFilter{RunAfter: info.ID})); len(got) > 0 {
		t.Errorf("stale inputs changed %v", got)
	}

	people, err := s.PersonByQuery(t.Context(), second.ID, "HR2:77")
	if err != nil || len(people) != 0 {
		t.Errorf("keys are exact, got %v, %v", people, err)
	}
	for _, query := range []string{"hr2:77", "hr:p1", "ANNA", "anna@X.org", "e1"} {
		people, err := s.PersonByQuery(t.Context(), second.ID, query)
		if err != nil || len(people) != 1 || people[0].Key != "hr:p1" || people[0].ManagerID != "hr:p2" || people[0].PreviousDepartment != "Sales" {
			t.Errorf("%s finds %+v, %v", query, people, err)
		}
	}
	boss, err := s.PersonByQuery(t.Context(), second.ID, "boss")
	if err != nil || len(boss) != 1 || !boss[0].EndFirstKnown.Equal(second.Time) || boss[0].Status != access.PersonEnded {
		t.Errorf("boss is %+v, %v", boss, err)
	}
	if n := len(gather(t, s.RunPeople(t.Context(), second.ID))); n != 4 {
		t.Errorf("%d people, want 4", n)
	}
}

// A run that was never published is invisible, and gone with the next.
func testUnfinishedRun(t *testing.T, s *Store) {
	ctx := t.Context()
	first := evaluate(t, s, company(t, s, night), nil)
	e := secondNight(t, s)
	r, err := s.BeginRun(ctx, RunSpec{Time: e.time, Inputs: e.inputs})
	if err != nil {
		t.Fatal(err)
	}
	for _, err := range []error{r.WritePeople(ctx, each(e.people)), r.WriteLinks(ctx, each(e.links)), r.Number(ctx), r.WriteClosure(ctx, each(closeNesting(gather(t, r.Edges(ctx))))),
		r.CarryStates(ctx, Carry{}), r.do(ctx, "changes")} {
		if err != nil {
			t.Fatal(err)
		}
	}
	latest, err := s.LatestRun(ctx, time.Time{})
	if err != nil || latest.ID != first.ID {
		t.Errorf("latest run is %d, %v; want %d", latest.ID, err, first.ID)
	}
	if n := len(gather(t, s.Changes(ctx, ChangeFilter{Since: e.time}))); n > 0 {
		t.Errorf("%d changes of an unpublished run are visible", n)
	}
	if n := len(gather(t, s.RunPeople(ctx, r.ID))); n > 0 {
		t.Errorf("%d people of an unpublished run are visible", n)
	}
	again, err := s.BeginRun(ctx, RunSpec{Time: e.time, Inputs: e.inputs})
	if err != nil {
		t.Fatal(err)
	}
	if again.ID <= r.ID || again.Previous != first.ID {
		t.Errorf("the next run is %d after %d, want it above %d after %d", again.ID, again.Previous, r.ID, first.ID)
	}
	for _, table := range append(append([]string{"run_inputs"}, runPartitioned...), runOrdered...) {
		var n uint64
		if err := s.row(ctx, []any{&n}, fmt.Sprintf("SELECT count() FROM %s WHERE run = %d", table, r.ID)); err != nil || n > 0 {
			t.Errorf("%s still has %d rows of the run, %v", table, n, err)
		}
	}
	var n uint64
	if err := s.row(ctx, []any{&n}, fmt.Sprintf("SELECT count() FROM changes WHERE run_after = %d", r.ID)); err != nil || n > 0 {
		t.Errorf("changes still has %d rows of the run, %v", n, err)
	}
}

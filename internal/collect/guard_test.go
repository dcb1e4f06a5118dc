package collect

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"
)

// roster is a measure of so many people, all with end dates where they have ended.
func roster(people, active int64) Measure {
	return Measure{
		Counts:  map[Kind]int64{People: people, ActivePeople: active},
		Signals: map[string]Signal{"department": {Have: people, Of: people}, "end_date": {Have: people - active, Of: people}},
	}
}

func past(ms ...Measure) []Past {
	var out []Past
	for _, m := range ms {
		out = append(out, Past{Measure: m})
	}
	return out
}

func app(counts map[Kind]int64, signals map[string]Signal) Measure {
	return Measure{Counts: counts, Signals: signals}
}

func TestJudge(t *testing.T) {
	all := func(n int64) Signal { return Signal{Have: n, Of: n} }
	some := func(have, of int64) Signal { return Signal{Have: have, Lacking: of - have, Of: of} }
	for _, c := range []struct {
		name    string
		history []Past
		cur     Current
		want    string // reasons, "" for accepted
	}{
		{"first night", nil, Current{Measure: roster(1000, 900), Roster: true}, ""},
		{"first night, empty", nil, Current{Measure: roster(0, 0), Roster: true}, "0 people, min_records is 1"},
		{"prices only", nil, Current{Measure: app(map[Kind]int64{Licenses: 3}, nil), Reads: []string{"licenses"}}, ""},
		{"accounts are read and there are none", nil, Current{Measure: app(map[Kind]int64{Accounts: 0, Grants: 9}, nil), Reads: []string{"accounts", "grants"}}, "0 accounts, min_records is 1"},
		{"unchanged", past(roster(1000, 900)), Current{Measure: roster(1000, 900), Roster: true}, ""},
		{"failed", past(roster(1000, 900)), Current{Failure: errors.New("page 7 is lost")}, "page 7 is lost"},
		{"cut in half", past(roster(1000, 900)), Current{Measure: roster(500, 450), Roster: true},
			"450 active people, 50% below the 900 that are the highest of the last accepted snapshot; max_shrink is 10%; 500 people, 50% below the 1000 that are the highest of the last accepted snapshot; max_shrink is 10%"},
		{"empty", past(roster(1000, 900)), Current{Measure: roster(0, 0), Roster: true}, "0 people, min_records is 1; 0 active people, 100% below"},
		{"half of them ended", past(roster(1000, 900)), Current{Measure: roster(1000, 450), Roster: true}, "450 active people, 50% below the 900 that are the highest of the last accepted snapshot; max_shrink is 10%"},
		{"exactly the limit", past(roster(1000, 1000)), Current{Measure: roster(900, 900), Roster: true}, ""},
		{"one more than the limit", past(roster(1000, 1000)), Current{Measure: roster(899, 900), Roster: true}, "899 people, 10.1% below"},
		{"three administrators, then one", past(app(map[Kind]int64{Accounts: 3}, nil)), Current{Measure: app(map[Kind]int64{Accounts: 1}, nil)}, ""},
		{"four, then one", past(app(map[Kind]int64{Accounts: 4}, nil)), Current{Measure: app(map[Kind]int64{Accounts: 1}, nil)}, "1 accounts, 75% below"},
		{"doubled", past(app(map[Kind]int64{Accounts: 100}, nil)), Current{Measure: app(map[Kind]int64{Accounts: 200}, nil)}, ""},
		{"more than doubled", past(app(map[Kind]int64{Accounts: 100}, nil)), Current{Measure: app(map[Kind]int64{Accounts: 201}, nil)}, "201 accounts, 101% above the 100 that are the highest of the last accepted snapshot; max_growth is 100%"},
		{"a small one grows", past(app(map[Kind]int64{Accounts: 5}, nil)), Current{Measure: app(map[Kind]int64{Accounts: 55}, nil)}, ""},
		{"grants are read for the first time", past(app(map[Kind]int64{Accounts: 100, Grants: 0}, nil)), Current{Measure: app(map[Kind]int64{Accounts: 100, Grants: 9000}, nil)}, ""},
		{"grants are lost", past(app(map[Kind]int64{Accounts: 100, Grants: 900}, map[string]Signal{"grants": all(900)})),
			Current{Measure: app(map[Kind]int64{Accounts: 100}, map[string]Signal{"grants": {}}), Reads: []string{"accounts"}},
			"0 grants, 100% below the 900 that are the highest of the last accepted snapshot; max_shrink is 10%; no record has grants any more, 900 of 900 had it; coverage must not fall to none"},
		{"a field turns null", past(app(map[Kind]int64{Accounts: 100}, map[string]Signal{"enabled": all(100), "last_login": some(60, 100)})),
			Current{Measure: app(map[Kind]int64{Accounts: 100}, map[string]Signal{"enabled": some(0, 100), "last_login": some(58, 100)})},
			"no record has enabled any more, 100 of 100 had it; coverage must not fall to none"},
		{"a field of three turns null", past(app(map[Kind]int64{Accounts: 3}, map[string]Signal{"enabled": all(3)})), Current{Measure: app(map[Kind]int64{Accounts: 3}, map[string]Signal{"enabled": some(0, 3)})},
			"no record has enabled any more"},
		{"a rare field goes", past(app(map[Kind]int64{Accounts: 100}, map[string]Signal{"owner": some(2, 100)})), Current{Measure: app(map[Kind]int64{Accounts: 100}, map[string]Signal{"owner": some(0, 100)})}, ""},
		{"a field thins out", past(app(map[Kind]int64{Accounts: 100}, map[string]Signal{"last_login": some(90, 100)})), Current{Measure: app(map[Kind]int64{Accounts: 100}, map[string]Signal{"last_login": some(44, 100)})},
			"44% of the records have last_login, 90% had it; max_coverage_loss is 50%"},
		{"a sparse field thins out", past(app(map[Kind]int64{Accounts: 100}, map[string]Signal{"owner": some(40, 100)})), Current{Measure: app(map[Kind]int64{Accounts: 100}, map[string]Signal{"owner": some(5, 100)})}, ""},
		{"no service accounts are left", past(app(map[Kind]int64{Accounts: 100}, map[string]Signal{"last_used": all(9)})), Current{Measure: app(map[Kind]int64{Accounts: 100}, nil)}, ""},
		{"accepted by hand", past(roster(1000, 900)), Current{Measure: roster(500, 400), Roster: true, Accept: "we sold a division"}, ""},
		{"a failure is not accepted by hand", past(roster(1000, 900)), Current{Failure: errors.New("no answer"), Accept: "please"}, "no answer"},
		{"nothing is not accepted by hand", past(roster(1000, 900)), Current{Measure: roster(0, 0), Roster: true, Accept: "please"}, "0 people, min_records is 1"},
		{"the night after it was accepted by hand", append([]Past{{Measure: roster(500, 400), ByHand: true}}, past(roster(1000, 900))...), Current{Measure: roster(490, 395), Roster: true}, ""},
		{"older than seven nights is forgotten", past(roster(900, 900), roster(900, 900), roster(900, 900), roster(900, 900), roster(900, 900), roster(900, 900), roster(900, 900), roster(9000, 9000)),
			Current{Measure: roster(900, 900), Roster: true}, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			v := Judge(DefaultLimits(), c.history, c.cur)
			if v.Accepted != (c.want == "") || !strings.HasPrefix(v.String(), c.want) {
				t.Errorf("accepted %v: %s\nwant: %s", v.Accepted, v, c.want)
			}
			if v.ByHand != (v.Accepted && c.cur.Accept != "") {
				t.Errorf("by hand %v", v.ByHand)
			}
		})
	}
}

// Accepting by hand is for once, and what was waived is told.
func TestAcceptOnce(t *testing.T) {
	history := past(roster(1000, 900))
	v := Judge(DefaultLimits(), history, Current{Measure: roster(500, 450), Roster: true, Accept: "we sold a division"})
	if !v.Accepted || len(v.Waived) != 2 || v.Accept != "we sold a division" {
		t.Fatalf("%+v", v)
	}
	history = append([]Past{{Measure: roster(500, 450), ByHand: v.ByHand}}, history...)
	if v := Judge(DefaultLimits(), history, Current{Measure: roster(250, 225), Roster: true}); v.Accepted {
		t.Error("the next halving was accepted, too")
	}
}

// A feed that shrinks 9% a night: the second night is 17% below the highest and is refused, as are all after it, because
// refused nights don't become the measure.
func TestShrinkingALittleEveryNight(t *testing.T) {
	history := past(roster(10000, 9000))
	people, active := 10000.0, 9000.0
	for night := 1; night <= 20; night++ {
		people, active = people*0.91, active*0.91
		m := roster(int64(people), int64(active))
		v := Judge(DefaultLimits(), history, Current{Measure: m, Roster: true})
		if v.Accepted != (night == 1) {
			t.Fatalf("night %d with %d people: accepted %v, %s", night, int64(people), v.Accepted, v)
		}
		if v.Accepted {
			history = append(past(m), history...)
		}
	}
}

func TestLimitsText(t *testing.T) {
	for text, want := range map[string]Share{"10%": 0.1, "0.1": 0.1, " 2.5 %": 0.025, "100%": 1, "0": 0} {
		var s Share
		if err := s.UnmarshalText([]byte(text)); err != nil || s != want {
			t.Errorf("%q is %v, %v", text, float64(s), err)
		}
	}
	for _, text := range []string{"", "ten", "-1%", "NaN", "Inf", "10%%"} {
		var s Share
		if err := s.UnmarshalText([]byte(text)); err == nil {
			t.Errorf("no error for %q", text)
		}
	}
	limits := DefaultLimits()
	if err := yaml.Unmarshal([]byte("{max_shrink: 2.5%, max_growth: 3, max_rejected: 0}"), &limits); err != nil {
		t.Fatal(err)
	}
	if want := (Limits{MaxRejected: 0, MaxShrink: 0.025, MaxGrowth: 3, MaxCoverageLoss: 0.5, MinRecords: 1}); limits != want {
		t.Errorf("limits %+v, want %+v", limits, want)
	}
	bad := Limits{MaxRejected: 2, MaxShrink: -1, MaxGrowth: -1, MaxCoverageLoss: 3, MinRecords: -1}
	if err := bad.Validate(); err == nil || strings.Count(err.Error(), "\n") != 4 {
		t.Errorf("faults: %v", err)
	}
	if err := DefaultLimits().Validate(); err != nil {
		t.Error(err)
	}
}

// Measures are kept as JSON from night to night.
func TestMeasureAsJSON(t *testing.T) {
	text, err := json.Marshal(roster(10, 9))
	if err != nil {
		t.Fatal(err)
	}
	const want = `{"counts":{"active_people":9,"people":10},"signals":{"department":{"have":10,"lacking":0,"of":10},"end_date":{"have":1,"lacking":0,"of":10}}}`
	if string(text) != want {
		t.Errorf("got  %s\nwant %s", text, want)
	}
}

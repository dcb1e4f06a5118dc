package remediate

import (
	"crypto/ed25519"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/lapse-audit/lapse/internal/access"
	"github.com/lapse-audit/lapse/internal/state"
	"github.com/lapse-audit/lapse/internal/store"
)

// noon is a Wednesday's.
var noon = time.Date(2026, 11, 25, 12, 0, 0, 0, time.UTC)

// approver makes a key pair out of a number.
func approver(id string, seed byte) (Approver, ed25519.PrivateKey) {
	private := ed25519.NewKeyFromSeed([]byte(strings.Repeat(string(rune(seed)), ed25519.SeedSize)))
	return Approver{ID: id, Key: base64.StdEncoding.EncodeToString(private.Public().(ed25519.PublicKey))}, private
}

// fine is a situation in which a plan for n leavers may be carried out.
func fine(t *testing.T, n int) Situation {
	t.Helper()
	boss, key := approver("hr:1", 'b')
	s := Situation{Plan: Plan{ID: "plan-1", Kind: KindFindings, By: "hr:2", Made: noon.Add(-time.Hour)}, Settings: Defaults(), Now: noon, Zone: time.UTC, Applier: "hr:3"}
	s.Settings.Approvers = []Approver{boss}
	ad := &Source{UID: "ad", Live: true, Status: store.InputFresh, Taken: noon.Add(-10 * time.Hour), Total: 10_000, Accounts: map[string]access.Account{}, Links: map[string]access.Link{}}
	for i := range n {
		id := fmt.Sprint(i)
		ad.Accounts[id] = access.Account{ID: id, Username: "u" + id, Kind: access.KindHuman}
		ad.Links[id] = access.Link{AccountID: id, Person: "hr:1" + id, Status: access.LinkLinked, Method: access.LinkEmployeeID}
		s.Plan.Steps = append(s.Plan.Steps, Step{N: i + 1, Source: "ad", Subject: "u" + id, Person: "hr:1" + id, Assignee: fmt.Sprint("hr:", 500+i%10),
			Why: []Why{{Policy: "LVR-01"}}, Change: access.Change{Action: access.ActionDisable, Object: access.Object{Kind: access.HolderAccount, ID: id}}})
	}
	s.Facts = Facts{"ad": ad, "hr": {UID: "hr", Roster: true, Status: store.InputFresh, Taken: noon.Add(-10 * time.Hour)}}
	s.Steps = s.Plan.Steps
	seal(t, &s)
	s.Approved = []state.Approval{{Plan: "plan-1", By: boss.ID, Hash: s.Recorded.Hash, Signature: Sign(key, s.Recorded)}}
	return s
}

func seal(t *testing.T, s *Situation) {
	t.Helper()
	sealed, err := s.Plan.Seal()
	if err != nil {
		t.Fatal(err)
	}
	s.Recorded = sealed
}

func TestGuards(t *testing.T) {
	yes := true
	for _, c := range []struct {
		name   string
		n      int
		meddle func(*Situation)
		want   string // of the one refusal; "" for none
	}{
		{"fine", 10, func(*Situation) {}, ""},
		{"the stop switch", 1, func(s *Situation) {
			s.Stops = []state.Stop{{Reason: "payroll is broken", By: "hr:9", At: noon.Add(-time.Hour)}}
		}, "stop: all changes were stopped by hr:9 on 2026-11-25 11:00: payroll is broken"},
		{"an old plan", 1, func(s *Situation) { s.Plan.Made = noon.Add(-25 * time.Hour) }, "age: the plan is 25h old, the limit is 24h"},
		{"a plan from tomorrow", 1, func(s *Situation) { s.Plan.Made = noon.Add(24 * time.Hour) }, "age: the plan was made at 2026-11-26"},
		{"a notice period that has just ended", 1, func(s *Situation) {
			s.Plan.Made = noon.AddDate(0, 0, -7)
			s.Steps[0].NotBefore = noon.Add(-time.Hour)
		}, ""},
		{"nobody approved", 1, func(s *Situation) { s.Approved = nil }, "approval: 0 of 1 approvals were given"},
		{"one of two approved", 1, func(s *Situation) { s.Settings.Approvals = 2 }, "approval: 1 of 2 approvals were given"},
		{"no approver is named", 1, func(s *Situation) { s.Settings.Approvers = nil }, "approval: 0 of 1 approvals were given: the word of hr:1 doesn't count: lapse.yaml does not name them"},
		{"a forged signature", 1, func(s *Situation) {
			_, other := approver("hr:1", 'x')
			s.Approved[0].Signature = Sign(other, s.Recorded)
		}, "approval: 0 of 1 approvals were given: the word of hr:1 doesn't count: the signature doesn't fit"},
		{"another plan was approved", 1, func(s *Situation) { s.Approved[0].Hash = strings.Repeat("0", 64) }, "approval: 0 of 1 approvals were given: the word of hr:1 doesn't count: it is for another text"},
		{"the maker approves", 1, func(s *Situation) { s.Plan.By = "hr:1" }, "approval: 0 of 1 approvals were given: the word of hr:1 doesn't count: they made the plan"},
		{"the approver applies", 1, func(s *Situation) { s.Applier = "hr:1" }, "approval: 0 of 1 approvals were given: the word of hr:1 doesn't count: they apply it"},
		{"one person may do it all", 1, func(s *Situation) { s.Plan.By, s.Applier, s.Settings.Separate = "hr:1", "hr:1", false }, ""},
		{"the plan is about the approver", 1, func(s *Situation) { s.Plan.Steps[0].Person, s.Steps[0].Person = "hr:1", "hr:1" }, "approval: 0 of 1 approvals were given: the word of hr:1 doesn't count: the plan is about them"},
		{"too many", 51, func(s *Situation) { s.Settings.Caps.Policy, s.Settings.Caps.Source = 100, 100 }, "caps: 51 accounts (caps.plan), the limit is 50"},
		{"too many by one policy", 30, func(s *Situation) { s.Settings.Caps.Policy = 29 }, "caps: 30 accounts by LVR-01 (caps.policy), the limit is 29"},
		{"too many in one source", 30, func(s *Situation) { s.Settings.Caps.Source = 29 }, "caps: 30 accounts in ad (caps.source), the limit is 29"},
		{"too many of one assignee", 20, func(s *Situation) { s.Settings.Caps.Assignee = 1; s.Steps = s.Steps[:11] }, "caps: 2 accounts of findings that hr:500 answers for (caps.assignee), the limit is 1"},
		{"too many on one day", 5, func(s *Situation) { s.Today = 96 }, "caps: 101 accounts, 96 of them changed in the last 24 hours (caps.day), the limit is 100"},
		{"too large a share", 6, func(s *Situation) { s.Facts["ad"].Total = 60 }, "caps: 6 of the 60 accounts of ad, the limit is 5% (caps.share)"},
		{"a few of a few", 5, func(s *Situation) { s.Facts["ad"].Total = 6 }, ""},
		{"what a person does by hand is not counted", 60, func(s *Situation) {
			for i := range s.Steps {
				s.Steps[i].Manual = "no way from here"
			}
		}, ""},
		{"a roster that is quarantined", 1, func(s *Situation) { s.Facts["hr"].Status = store.InputQuarantined }, "sources: hr is quarantined: no change is made by what was not read whole"},
		{"a roster that is stale", 1, func(s *Situation) { s.Facts["hr"].Status = store.InputStale }, "sources: hr is stale"},
		{"a roster a week old", 1, func(s *Situation) { s.Facts["hr"].Taken = noon.AddDate(0, 0, -7) }, "sources: what hr says of people is 7 days old, the limit is 24h"},
		{"an export a week old, read today", 1, func(s *Situation) { s.Facts["hr"].AsOf = noon.AddDate(0, 0, -7) }, "sources: what hr says of people is 7 days old"},
		{"a source that lost a page", 1, func(s *Situation) { s.Facts["ad"].Status = store.InputQuarantined }, "sources: ad is quarantined"},
		{"another source that lost a page", 1, func(s *Situation) { s.Facts["crm"] = &Source{UID: "crm", Status: store.InputQuarantined} }, ""},
		{"nobody's account and an old roster", 1, func(s *Situation) {
			s.Steps[0].Person = ""
			s.Facts["hr"].Taken = noon.AddDate(0, 0, -7)
		}, ""},
		{"a clock that went back", 1, func(s *Situation) { s.Facts["hr"].Taken = noon.Add(5 * time.Hour) }, "sources: hr is from 2026-11-25T17:00:00Z, which is later than now"},
		{"a Friday", 1, func(s *Situation) { s.Settings.Window, _ = ParseWindow("Thu-Tue 09:00-16:00") }, "window: it is Wed 12:00, and changes are made Thu-Tue 09:00-16:00 (UTC)"},
		{"an emergency in the evening, with an old roster", 1, func(s *Situation) {
			s.Plan.Emergency, s.Facts["hr"].Taken, s.Facts["hr"].Status = true, noon.AddDate(0, 0, -7), store.InputStale
			s.Settings.Window, _ = ParseWindow("Mon 09:00-10:00")
		}, ""},
		{"a protected account", 1, func(s *Situation) { s.Settings.Protected.Accounts = []string{"U*"} }, "protected: step 1 (u0 in ad): it is protected (remediation.protected.accounts: U*)"},
		{"a break-glass account", 1, func(s *Situation) {
			s.Facts["ad"].Accounts["0"] = access.Account{ID: "0", Kind: access.KindHuman, BreakGlass: &yes}
		}, "protected: step 1 (u0 in ad): it is a break-glass account"},
		{"the kind got lost", 1, func(s *Situation) { s.Facts["ad"].Accounts["0"] = access.Account{ID: "0"} }, "protected: step 1 (u0 in ad): nobody knows what kind of account it is"},
		{"a disputed link", 1, func(s *Situation) { s.Facts["ad"].Links["0"] = access.Link{Status: access.LinkDisputed} }, "protected: step 1 (u0 in ad): it is disputed whose account it is"},
		{"a weak link", 1, func(s *Situation) {
			s.Facts["ad"].Links["0"] = access.Link{Status: access.LinkLinked, Method: access.LinkUsername}
		}, "protected: step 1 (u0 in ad): it is linked to the person by username alone"},
		{"a protected person", 1, func(s *Situation) { s.Settings.Protected.People = []string{"hr:10"} }, "protected: step 1 (u0 in ad): its person is protected"},
		{"the built-in Administrator", 1, func(s *Situation) {
			s.Facts["ad"].Accounts["0"] = access.Account{ID: "0", Kind: access.KindHuman, Attributes: map[string]string{"rid": "500"}}
		}, "protected: step 1 (u0 in ad): it is built into the domain"},
		{"a synced copy", 1, func(s *Situation) { s.Facts["ad"].Authority = "hr" }, "protected: step 1 (u0 in ad): ad holds copies: the change is to be made in hr"},
		{"a legal hold", 1, func(s *Situation) {
			s.Steps[0].Change.Action = access.ActionReclaim
			s.Settings.LegalHold = []string{"hr:10"}
		}, "protected: step 1 (u0 in ad): a legal hold is on it: reclaim is refused"},
		{"disabling under a legal hold", 1, func(s *Situation) { s.Settings.LegalHold = []string{"hr:10"} }, ""},
		{"deleting", 1, func(s *Situation) { s.Steps[0].Change.Action = access.ActionDelete }, "protected: step 1 (u0 in ad): deleting is off (remediation.delete)\ndeletion: step 1 deletes u0"},
		{"no such source any more", 1, func(s *Situation) { delete(s.Facts, "ad") }, "protected: step 1: lapse.yaml has no source ad"},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := fine(t, c.n)
			c.meddle(&s)
			var got []string
			for _, r := range Guard(s) {
				got = append(got, r.String())
			}
			want := strings.Split(c.want, "\n")
			if c.want == "" {
				want = nil
			}
			if len(got) != len(want) {
				t.Fatalf("refusals:\n%s\nwant:\n%s", strings.Join(got, "\n"), c.want)
			}
			for i := range want {
				if !strings.HasPrefix(got[i], want[i]) {
					t.Errorf("refusal: %s\nwant:    %s", got[i], want[i])
				}
			}
		})
	}
}

func TestGuardAuto(t *testing.T) {
	s := fine(t, 1)
	s.Plan.Auto, s.Approved = true, nil
	if r := Guard(s); len(r) != 1 || !strings.Contains(r[0].Text, "LVR-01 is not in mode auto any more") {
		t.Errorf("%v", r)
	}
	s.Settings.Policies = map[string]PolicySettings{"LVR-01": {Mode: ModeAuto}}
	if r := Guard(s); len(r) != 0 {
		t.Errorf("%v", r)
	}
	s.Facts["ad"].Live = false
	if r := Guard(s); len(r) != 1 || !strings.Contains(r[0].Text, "never changed without a person's word") {
		t.Errorf("%v", r)
	}
}

// On the nights when clocks change a window is what the clock on the wall says.
func TestWindow(t *testing.T) {
	berlin, err := time.LoadLocation("Europe/Berlin")
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		window, at string
		want       bool
	}{
		{"Mon-Thu 09:00-16:00", "2026-11-25T08:00:00Z", true},
		{"Mon-Thu 09:00-16:00", "2026-11-25T07:59:59Z", false},
		{"Mon-Thu 09:00-16:00", "2026-11-25T15:00:00Z", false},
		{"Mon-Thu 09:00-16:00", "2026-11-27T10:00:00Z", false},
		{"Mon-Thu 09:00-16:00", "2026-07-01T07:00:00Z", true}, // summer time
		{"Sun 02:00-04:00", "2026-10-25T00:30:00Z", true},     // 2:30, the first time
		{"Sun 02:00-04:00", "2026-10-25T01:30:00Z", true},     // 2:30, the second time
		{"Sun 02:00-04:00", "2026-03-29T01:30:00Z", true},     // 3:30: there is no 2:30
		{"Fri-Mon 22:00-24:00", "2026-11-28T22:59:59Z", true},
		{"any", "2026-11-28T03:00:00Z", true},
	} {
		w, err := ParseWindow(c.window)
		if err != nil {
			t.Fatal(err)
		}
		at, err := time.Parse(time.RFC3339, c.at)
		if err != nil {
			t.Fatal(err)
		}
		if got := w.Open(at, berlin); got != c.want {
			t.Errorf("%s at %s: %v", c.window, c.at, got)
		}
	}
	for _, bad := range []string{"", "Mon", "Mon-Fun 09:00-16:00", "Mon 9-16", "Mon 16:00-09:00", "Mon 09:00", "09:00-16:00"} {
		if _, err := ParseWindow(bad); err == nil {
			t.Errorf("%q is a window", bad)
		}
	}
}

func TestSheet(t *testing.T) {
	s := fine(t, 2)
	recorded := func(id string) (state.Plan, error) {
		if id != s.Recorded.ID {
			return state.Plan{}, state.ErrNotFound
		}
		return s.Recorded, nil
	}
	text, err := json.MarshalIndent(Sheet(s.Recorded), "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	if p, err := CheckSheet(text, recorded); err != nil || p.ID != "plan-1" {
		t.Errorf("%v, %v", p, err)
	}
	edited, err := Unseal(s.Recorded)
	if err != nil {
		t.Fatal(err)
	}
	edited.Steps[0].Change.Object.ID = "4711"
	resealed, err := edited.Seal() // with its hash computed anew
	if err != nil {
		t.Fatal(err)
	}
	if text, err = json.Marshal(Sheet(resealed)); err != nil {
		t.Fatal(err)
	}
	if _, err := CheckSheet(text, recorded); err == nil || !strings.Contains(err.Error(), "was altered") {
		t.Errorf("an edited plan: %v", err)
	}
	for _, bad := range []string{"", "{}", "[]", `{"plan": {"id": "plan-2"}}`} {
		if _, err := CheckSheet([]byte(bad), recorded); err == nil {
			t.Errorf("%q is a plan", bad)
		}
	}
}

func TestSettings(t *testing.T) {
	s := Defaults()
	if err := s.Validate(); err != nil {
		t.Errorf("the defaults: %v", err)
	}
	s.Approvers, s.Approvals, s.Caps.Day, s.Caps.Share = []Approver{{Key: "AAAA"}}, 0, -1, 2
	s.Policies = map[string]PolicySettings{"X-1": {Mode: "maybe", Notice: -1}}
	s.Protected.Accounts = []string{"["}
	if err := s.Validate(); err == nil || strings.Count(err.Error(), "\n") != 7 {
		t.Errorf("faults: %v", err)
	}
}

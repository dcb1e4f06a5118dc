package remediate

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/lapse-audit/lapse/internal/access"
	"github.com/lapse-audit/lapse/internal/finding"
	"github.com/lapse-audit/lapse/internal/store"
)

// directory is a source with nested groups: ops is in helpdesk, helpdesk in admins, all of them in staff.
func directory() *Source {
	yes, no := true, false
	able := access.Ability{Undo: true, ReadBack: true}
	s := &Source{UID: "ad", Live: true, Status: store.InputFresh, Total: 1000,
		Abilities: map[access.Action]access.Ability{access.ActionDisable: able, access.ActionRevoke: able, access.ActionReclaim: able, access.ActionDisableKey: able},
		Accounts:  map[string]access.Account{}, Links: map[string]access.Link{}, Grants: map[string][]access.Grant{},
		Nested:       map[string][]string{"ops": {"helpdesk"}, "helpdesk": {"admins", "staff"}, "admins": {"staff", "ops"}}, // a circle
		Entitlements: map[string]access.Entitlement{"ops": {ID: "ops", Name: "Operations"}, "helpdesk": {ID: "helpdesk", Name: "Helpdesk"}, "admins": {ID: "admins", Name: "Domain Admins", Privileged: &yes}, "staff": {ID: "staff", Name: "Staff"}, "all": {ID: "all", Name: "Everybody", Kind: "dynamic group"}},
		Seats:        map[string][]access.Seat{"anna": {{AccountID: "anna", SKU: "E5", Product: "Suite", CostMonth: "57.00", Currency: "USD"}, {AccountID: "anna", SKU: "VISIO"}}},
	}
	add := func(id string, kind access.AccountKind, l access.Link, grants ...string) {
		s.Accounts[id] = access.Account{ID: id, Username: id, Kind: kind, Enabled: &yes}
		s.Links[id] = l
		for _, g := range grants {
			s.Grants[id] = append(s.Grants[id], access.Grant{HolderKind: access.HolderAccount, HolderID: id, EntitlementID: g})
		}
	}
	linked := func(by access.LinkMethod) access.Link {
		return access.Link{Status: access.LinkLinked, Method: by, Person: "hr:1"}
	}
	add("anna", access.KindHuman, linked(access.LinkEmployeeID), "ops", "staff")
	add("twice", access.KindHuman, linked(access.LinkEmail), "ops", "admins")
	add("rule", access.KindHuman, linked(access.LinkManual), "all")
	add("guess", access.KindHuman, linked(access.LinkUsername), "ops")
	add("torn", access.KindHuman, access.Link{Status: access.LinkDisputed})
	add("what", "", linked(access.LinkEmployeeID))
	add("shared", access.KindShared, access.Link{Status: access.LinkUnmatched})
	add("administrator", access.KindHuman, linked(access.LinkEmployeeID))
	glass := s.Accounts["torn"]
	glass.ID, glass.BreakGlass = "glass", &yes
	s.Accounts["glass"] = glass
	hold := s.Accounts["anna"]
	hold.ID, hold.LegalHold, hold.BreakGlass = "hold", &yes, &no
	s.Accounts["hold"], s.Links["hold"], s.Seats["hold"] = hold, s.Links["anna"], s.Seats["anna"]
	return s
}

func found(policy, action, account, key, person string) finding.Finding {
	return finding.Finding{Fingerprint: finding.Fingerprint(policy + account + key), Status: finding.Open, Action: action, Name: account, Person: person,
		Hit: finding.Hit{Policy: policy, Subject: finding.Subject{Kind: access.SubjectAccount, Source: "ad", ID: account}, Key: key, Message: policy + " on " + account}}
}

func (s Step) short() string {
	out := fmt.Sprintf("%s %s", s.Change.Action, s.Change.Object.ID)
	if s.Target != "" {
		out += " " + s.Target
	}
	if len(s.Effect.Loses) > 0 {
		out += fmt.Sprintf(" loses %s", strings.Join(s.Effect.Loses, "+"))
	}
	if s.Manual != "" {
		out += " by hand"
	}
	return out
}

func TestMake(t *testing.T) {
	leaver := found("LVR-01", "disable", "anna", "", "hr:1")
	late := leaver
	late.FirstSeen = noon
	for _, c := range []struct {
		name   string
		in     []finding.Finding
		meddle func(*Maker)
		steps  []string
		left   []string
	}{
		{"a leaver", []finding.Finding{leaver}, nil, []string{"disable anna"}, nil},
		{"sessions end after disabling", []finding.Finding{leaver}, func(m *Maker) { m.Facts["ad"].Abilities[access.ActionEndSessions] = access.Ability{} }, []string{"end_sessions anna", "disable anna"}, nil},
		{"two findings, one change", []finding.Finding{leaver, found("DOR-01", "disable", "anna", "", "hr:1")}, nil, []string{"disable anna"}, nil},
		{"a direct grant and what comes through it", []finding.Finding{found("PRV-02", "revoke", "anna", "ops", "")}, nil, []string{"revoke anna Operations loses Domain Admins+Helpdesk+Operations"}, nil},
		{"a nested grant is traced to its cause", []finding.Finding{found("DIS-01", "revoke", "anna", "admins", "")}, nil, []string{"revoke anna Operations loses Domain Admins+Helpdesk+Operations"}, nil},
		{"by two ways", []finding.Finding{found("DIS-01", "revoke", "twice", "admins", "")}, nil, []string{"revoke twice Domain Admins", "revoke twice Operations"}, nil},
		{"all privileged ones", []finding.Finding{found("PRV-04", "revoke", "anna", "", "")}, nil, []string{"revoke anna Operations loses Domain Admins+Helpdesk+Operations"}, nil},
		{"by a rule", []finding.Finding{found("PRV-02", "revoke", "rule", "all", "")}, nil, []string{"revoke rule Everybody loses Everybody by hand"}, nil},
		{"by nothing that was read", []finding.Finding{found("PRV-02", "revoke", "anna", "other", "")}, nil, nil, []string{"no grant was found"}},
		{"a seat", []finding.Finding{found("LIC-02", "reclaim", "anna", "E5", "")}, nil, []string{"reclaim anna Suite"}, nil},
		{"all seats", []finding.Finding{found("LIC-01", "reclaim", "anna", "", "")}, nil, []string{"reclaim anna Suite", "reclaim anna VISIO"}, nil},
		{"a seat under legal hold", []finding.Finding{found("LIC-02", "reclaim", "hold", "E5", "")}, nil, nil, []string{"a legal hold is on it"}},
		{"disabled under legal hold", []finding.Finding{found("LVR-01", "disable", "hold", "", "hr:1")}, nil, []string{"disable hold"}, nil},
		{"a key", []finding.Finding{found("SVC-03", "rotate_key", "anna", "k1", "")}, nil, []string{"disable_key anna k1"}, nil},
		{"a password to rotate", []finding.Finding{found("AD-06", "rotate_key", "anna", "", "")}, nil, nil, []string{"a person does it"}},
		{"an unknown kind", []finding.Finding{found("DIS-01", "revoke", "what", "ops", "")}, nil, nil, []string{"nobody knows what kind"}},
		{"break glass", []finding.Finding{found("DOR-01", "disable", "glass", "", "")}, nil, nil, []string{"break-glass"}},
		{"disputed", []finding.Finding{found("DOR-01", "disable", "torn", "", "")}, nil, nil, []string{"it is disputed"}},
		{"linked by a guess", []finding.Finding{found("LVR-01", "disable", "guess", "", "hr:1")}, nil, nil, []string{"by username alone"}},
		{"nobody's matter who it is linked to", []finding.Finding{found("DOR-01", "disable", "guess", "", "")}, nil, []string{"disable guess"}, nil},
		{"protected", []finding.Finding{found("DOR-01", "disable", "administrator", "", "")}, nil, nil, []string{"it is built into the system"}},
		{"a copy", []finding.Finding{leaver}, func(m *Maker) { m.Facts["ad"].Authority = "okta" }, nil, []string{"ad holds copies: the change is to be made in okta"}},
		{"only reports", []finding.Finding{leaver}, func(m *Maker) { m.Settings.Policies = map[string]PolicySettings{"LVR-01": {Mode: ModeReport}} }, nil, []string{"LVR-01 only reports"}},
		{"a review", []finding.Finding{found("REV-01", "review", "anna", "", "")}, nil, nil, []string{"its action is review"}},
		{"gone since", []finding.Finding{found("LVR-01", "disable", "gone", "", "hr:1")}, nil, nil, []string{"not in the last snapshot"}},
		{"no credential", []finding.Finding{leaver}, func(m *Maker) { m.Facts["ad"].Cannot = access.ErrCannot }, []string{"disable anna by hand"}, nil},
		{"no such action there", []finding.Finding{found("LIC-02", "reclaim", "anna", "E5", "")}, func(m *Maker) { delete(m.Facts["ad"].Abilities, access.ActionReclaim) }, []string{"reclaim anna Suite by hand"}, nil},
		{"not in mode auto", []finding.Finding{leaver}, func(m *Maker) { m.Plan.Auto = true }, nil, []string{"not in mode auto"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			m := &Maker{Settings: Defaults(), Facts: Facts{"ad": directory()}, Plan: Plan{ID: "plan-1", Made: noon}}
			m.Settings.Contact = "it@example.com"
			if c.meddle != nil {
				c.meddle(m)
			}
			for _, f := range c.in {
				m.Add(f)
			}
			p := m.Finish()
			var steps, left []string
			for i, s := range p.Steps {
				steps = append(steps, s.short())
				if s.N != i+1 || len(s.Why) != len(c.in) || s.Change.Note != "Lapse plan-1 2026-11-25 12:00 UTC, questions to it@example.com" {
					t.Errorf("step %+v", s)
				}
			}
			for _, l := range p.Left {
				left = append(left, l.Reason)
			}
			if !slices.Equal(steps, c.steps) {
				t.Errorf("steps %q, want %q", steps, c.steps)
			}
			if len(left) != len(c.left) || len(left) > 0 && !strings.Contains(left[0], c.left[0]) {
				t.Errorf("left %q, want %q", left, c.left)
			}
		})
	}
	m := &Maker{Settings: Defaults(), Facts: Facts{"ad": directory()}, Plan: Plan{ID: "plan-1", Made: noon}}
	m.Settings.Policies = map[string]PolicySettings{"LVR-01": {Notice: 3}}
	m.Add(late)
	if p := m.Finish(); !p.Steps[0].NotBefore.Equal(noon.AddDate(0, 0, 3)) {
		t.Errorf("not before %s", p.Steps[0].NotBefore)
	}
}

package correlate

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/lapse-audit/lapse/internal/access"
)

// The people that the linking tests know. ann was hired in 2020; bob has the address that another bob had before 2024;
// con was a contractor of the agency and is an employee now; twin1 and twin2 share a mailbox; re was rehired.
func people() ([]RosterRecord, Joins) {
	at := func(y int) *time.Time { t := time.Date(y, 3, 2, 0, 0, 0, 0, time.UTC); return &t }
	return []RosterRecord{
		{"hr", access.Person{ID: "1", RecordID: "1", Email: "Ann.Lee@corp.example", Username: "ALee", Name: "Ann Lee", StartAt: at(2020)}},
		{"hr", access.Person{ID: "2", RecordID: "2", Email: "bob@corp.example", Username: "bob", StartAt: at(2024)}},
		{"hr", access.Person{ID: "3", RecordID: "3", EmployeeID: "E300", Email: "con@corp.example", Username: "con", StartAt: at(2023)}},
		{"agency", access.Person{ID: "C3", RecordID: "4", Email: "con@agency.example", EndAt: at(2023), StartAt: at(2021)}},
		{"hr", access.Person{ID: "5", RecordID: "5", Email: "desk@corp.example", Username: "twin1", StartAt: at(2019)}},
		{"hr", access.Person{ID: "6", RecordID: "6", Email: "desk@corp.example", Username: "twin2", StartAt: at(2019)}},
		{"hr", access.Person{ID: "7", RecordID: "7", Email: "re.old@corp.example", Username: "reold", StartAt: at(2015), EndAt: at(2018)}},
		{"hr", access.Person{ID: "7", RecordID: "8", Email: "re.new@corp.example", Username: "renew", StartAt: at(2025)}},
		{"hr", access.Person{ID: "8", RecordID: "9", Email: "jane@partner.example", Username: "jd", StartAt: at(2020)}},
		{"agency", access.Person{ID: "1", RecordID: "10", Email: "temp@agency.example", StartAt: at(2020)}},
		{"hr", access.Person{ID: "9", RecordID: "11", Email: "alee@corp.example", Username: "alee2", StartAt: at(2020)}},
		{"hr", access.Person{ID: "10", RecordID: "12", Email: "no.start@corp.example", Username: "nostart"}},
	}, Joins{"agency:C3": "hr:3"}
}

func TestLink(t *testing.T) {
	records, joins := people()
	ids := Identities(records, joins, now)
	l := NewLinker(ids, Options{
		Domains: []string{"Corp.Example"},
		EmployeeIDRosters: func(source string) []string {
			switch source {
			case "ad":
				return []string{"hr"}
			case "both":
				return []string{"hr", "agency"}
			}
			return nil
		},
		Manual: []ManualLink{
			{Source: "crm", AccountID: "hand", Person: "agency:C3"},
			{Source: "crm", AccountID: "gone", Person: "hr:99"},
			{Source: "crm", AccountID: "denied", Person: "hr:1", Denied: true},
			{Source: "ad", AccountID: "denied", Person: "hr:1", Denied: true},
			{Source: "crm", AccountID: "not-twin1", Person: "hr:5", Denied: true},
			{Source: "crm", AccountID: "not-bob", Person: "hr:2", Denied: true},
			{Source: "crm", AccountID: "not-bob", Person: "hr:1"},
		},
	})
	in := func(y int) *time.Time { t := time.Date(y, 3, 2, 0, 0, 0, 0, time.UTC); return &t }
	const (
		linked, disputed, unmatched   = access.LinkLinked, access.LinkDisputed, access.LinkUnmatched
		manual, employee, mail, login = access.LinkManual, access.LinkEmployeeID, access.LinkEmail, access.LinkUsername
	)
	for _, tc := range []struct {
		name   string
		source string
		a      Account
		status access.LinkStatus
		method access.LinkMethod
		who    string // the person, or the candidates with blanks between
	}{
		{"by employee id", "ad", Account{ID: "a", EmployeeID: "1"}, linked, employee, "hr:1"},
		{"employee ids count only in declared pairs", "crm", Account{ID: "a", EmployeeID: "1"}, unmatched, access.LinkNone, ""},
		{"one number in two rosters", "both", Account{ID: "a", EmployeeID: "1"}, disputed, employee, "agency:1 hr:1"},
		{"an employee id of its own", "ad", Account{ID: "a", EmployeeID: "e300"}, linked, employee, "hr:3"},
		{"the contract's number of one who was taken on", "both", Account{ID: "a", EmployeeID: "c3"}, linked, employee, "hr:3"},
		{"employee id and e-mail agree", "ad", Account{ID: "a", EmployeeID: "1", Email: "ann.lee@corp.example"}, linked, employee, "hr:1"},
		{"employee id and e-mail contradict", "ad", Account{ID: "a", EmployeeID: "1", Email: "bob@corp.example"}, disputed, employee, "hr:1 hr:2"},
		{"the address went to somebody who came later", "ad", Account{ID: "a", EmployeeID: "1", Email: "bob@corp.example", CreatedAt: in(2022)}, linked, employee, "hr:1"},
		{"a username never stands against an employee id", "ad", Account{ID: "a", EmployeeID: "1", Username: "bob"}, linked, employee, "hr:1"},
		{"employee id of one of those who share the address", "ad", Account{ID: "a", EmployeeID: "5", Email: "desk@corp.example"}, linked, employee, "hr:5"},
		{"employee id of nobody, e-mail of somebody", "ad", Account{ID: "a", EmployeeID: "77", Email: "bob@corp.example"}, disputed, mail, "hr:2"},
		{"employee id of nobody, e-mail of one whose roster is not paired", "ad", Account{ID: "a", EmployeeID: "77", Email: "temp@agency.example"}, linked, mail, "agency:1"},
		{"employee id of nobody, username of somebody", "ad", Account{ID: "a", EmployeeID: "77", Username: "bob"}, disputed, login, "hr:2"},

		{"by e-mail", "crm", Account{ID: "a", Email: "ann.lee@corp.example"}, linked, mail, "hr:1"},
		{"a guest by e-mail", "crm", Account{ID: "a", Email: "jane@partner.example", Kind: access.KindGuest}, linked, mail, "hr:8"},
		{"e-mail before username", "crm", Account{ID: "a", Email: "ann.lee@corp.example", Username: "bob"}, linked, mail, "hr:1"},
		{"the address of an earlier record", "crm", Account{ID: "a", Email: "re.old@corp.example", CreatedAt: in(2016)}, linked, mail, "hr:7"},
		{"the address of the other roster", "crm", Account{ID: "a", Email: "con@agency.example", CreatedAt: in(2021)}, linked, mail, "hr:3"},
		{"two people share the address", "crm", Account{ID: "a", Email: "desk@corp.example", Username: "twin1"}, disputed, mail, "hr:5 hr:6"},
		{"a reused address", "crm", Account{ID: "a", Email: "bob@corp.example", CreatedAt: in(2022)}, disputed, mail, "hr:2"},
		{"made the day before the first start", "crm", Account{ID: "a", Email: "bob@corp.example", CreatedAt: before(in(2024), 24*time.Hour)}, linked, mail, "hr:2"},
		{"made just longer before", "crm", Account{ID: "a", Email: "bob@corp.example", CreatedAt: before(in(2024), 24*time.Hour+time.Second)}, disputed, mail, "hr:2"},
		{"no first start is known", "crm", Account{ID: "a", Email: "no.start@corp.example", CreatedAt: in(1999)}, linked, mail, "hr:10"},

		{"by username", "crm", Account{ID: "a", Username: "bob"}, linked, login, "hr:2"},
		{"a reused username", "crm", Account{ID: "a", Username: "bob", CreatedAt: in(2022)}, disputed, login, "hr:2"},
		{"by the local part of the address", "crm", Account{ID: "a", Username: "ann.lee"}, linked, login, "hr:1"},
		{`by DOMAIN\user`, "crm", Account{ID: "a", Username: `corp\ann.lee`}, linked, login, "hr:1"},
		{"by user@domain", "crm", Account{ID: "a", Username: "bob@corp.example"}, linked, login, "hr:2"},
		{"a login name that is the address elsewhere", "crm", Account{ID: "a", Username: "jane@partner.example"}, linked, login, "hr:8"},
		{"user@domain of another house", "crm", Account{ID: "a", Username: "bob@partner.example"}, unmatched, access.LinkNone, ""},
		{"the local part of an address elsewhere", "crm", Account{ID: "a", Username: "jane"}, unmatched, access.LinkNone, ""},
		{"one's username is another's address", "crm", Account{ID: "a", Username: "alee"}, disputed, login, "hr:1 hr:9"},
		{"nothing but DOMAIN", "crm", Account{ID: "a", Username: `corp\`}, unmatched, access.LinkNone, ""},
		{"nothing at all", "crm", Account{ID: "a"}, unmatched, access.LinkNone, ""},

		{"a service account with its owner's address", "crm", Account{ID: "a", Email: "bob@corp.example", Username: "bob", Kind: access.KindService}, unmatched, access.LinkNone, ""},
		{"a shared account by employee id, whatever its address", "ad", Account{ID: "a", EmployeeID: "1", Email: "bob@corp.example", Kind: access.KindShared}, linked, employee, "hr:1"},
		{"a machine", "crm", Account{ID: "a", Username: "bob", Kind: access.KindMachine}, unmatched, access.LinkNone, ""},

		{"by hand, through an alias", "crm", Account{ID: "hand", Email: "bob@corp.example"}, linked, manual, "hr:3"},
		{"by hand, a service account", "crm", Account{ID: "hand", Kind: access.KindService}, linked, manual, "hr:3"},
		{"by hand only in its source", "ad", Account{ID: "hand", Email: "bob@corp.example"}, linked, mail, "hr:2"},
		{"by hand to nobody", "crm", Account{ID: "gone", Email: "bob@corp.example"}, disputed, manual, "hr:99"},
		{"denied", "crm", Account{ID: "denied", Email: "ann.lee@corp.example"}, unmatched, access.LinkNone, ""},
		{"denied, the username is another's", "crm", Account{ID: "denied", Email: "ann.lee@corp.example", Username: "bob"}, linked, login, "hr:2"},
		{"denied by employee id", "ad", Account{ID: "denied", EmployeeID: "1"}, unmatched, access.LinkNone, ""},
		{"denied by employee id, the e-mail is another's", "ad", Account{ID: "denied", EmployeeID: "1", Email: "bob@corp.example"}, linked, mail, "hr:2"},
		{"one of two denied", "crm", Account{ID: "not-twin1", Email: "desk@corp.example"}, linked, mail, "hr:6"},
		{"one denied, another by hand", "crm", Account{ID: "not-bob", Email: "bob@corp.example"}, linked, manual, "hr:1"},
	} {
		if tc.source == "ad" && tc.a.Email == "" && tc.a.EmployeeID == "" && tc.a.Username == "" {
			t.Fatalf("%s: nothing to link by", tc.name)
		}
		got := l.Link(tc.source, tc.a)
		who := got.Person
		if got.Status == disputed {
			who = strings.Join(got.Candidates, " ")
		}
		if got.Status != tc.status || got.Method != tc.method || who != tc.who {
			t.Errorf("%s: %s by %s, %q; want %s by %s, %q (%s)", tc.name, got.Status, got.Method, who, tc.status, tc.method, tc.who, got.Reason)
		}
		if got.Source != tc.source || got.AccountID != tc.a.ID || got.Reason == "" {
			t.Errorf("%s: source %q, account %q, reason %q", tc.name, got.Source, got.AccountID, got.Reason)
		}
		if got.Status != linked && got.Person != "" || got.Status == linked && len(got.Candidates) > 0 || !slices.IsSorted(got.Candidates) {
			t.Errorf("%s: person %q and candidates %q of a link that is %s", tc.name, got.Person, got.Candidates, got.Status)
		}
	}
}

func before(t *time.Time, d time.Duration) *time.Time {
	b := t.Add(-d)
	return &b
}

// Without declared domains those are the organisation's own that many of its people have.
func TestCommonDomains(t *testing.T) {
	var records []RosterRecord
	for i := range 39 {
		records = append(records, RosterRecord{"hr", access.Person{ID: fmt.Sprint(i), Email: fmt.Sprintf("p%d@corp.example", i)}})
	}
	records = append(records, RosterRecord{"hr", access.Person{ID: "x", Email: "jane@mail.example"}})
	l := NewLinker(Identities(records, nil, now), Options{})
	for username, want := range map[string]access.LinkStatus{
		"p1": access.LinkLinked, "p1@corp.example": access.LinkLinked, "jane@mail.example": access.LinkLinked, "jane": access.LinkUnmatched, "p1@mail.example": access.LinkUnmatched,
	} {
		if got := l.Link("crm", Account{ID: "1", Username: username}); got.Status != want {
			t.Errorf("%s: %s, want %s (%s)", username, got.Status, want, got.Reason)
		}
	}
}

// Half a roster with the same placeholder must neither take for ever nor link anybody.
func TestPlaceholderAddress(t *testing.T) {
	records := make([]RosterRecord, 200_000)
	for i := range records {
		records[i] = RosterRecord{"hr", access.Person{ID: string(rune(0x4e00+i%20000)) + string(rune('a'+i/20000)), Email: "none"}}
	}
	l := NewLinker(Identities(records, nil, now), Options{})
	if got := l.Link("crm", Account{ID: "1", Email: "none"}); got.Status != access.LinkDisputed || len(got.Candidates) != len(records) {
		t.Errorf("%s with %d candidates", got.Status, len(got.Candidates))
	}
}

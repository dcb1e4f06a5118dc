package ldap

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/lapse-audit/lapse/internal/access"
	"github.com/lapse-audit/lapse/internal/collect"
	"github.com/lapse-audit/lapse/internal/strict"
)

// A directory that is the roster gives people with their managers, beside its accounts.
func TestDirectoryAsRoster(t *testing.T) {
	d := corpDC(t)
	config := d.config()
	config.Roster = &Roster{Calendar: collect.Calendar{EndDate: collect.LastDay, Zone: "Europe/Berlin"}}
	asRoster := func(o *Options) { o.Roster = true }
	s := take(t, collector(t, config, asRoster))
	if len(s.people) != 2 || len(s.accounts) != 13 {
		t.Fatalf("%d people, %d accounts", len(s.people), len(s.accounts))
	}
	ada, bob := s.people["aberg"], s.people["bob"]
	if ada.ID != s.accounts["aberg"].ID || ada.EmployeeID != "1001" || ada.Status != access.PersonActive || ada.ManagerID != "" || ada.Email != "ada@corp.example" {
		t.Errorf("Ada: %+v", ada)
	}
	if bob.ManagerID != ada.ID {
		t.Errorf("Bob's manager is %q, want %q", bob.ManagerID, ada.ID)
	}

	// A filter says who is a person, also one without an employee number.
	config.Roster.Filter = "(&(objectClass=user)(|(sAMAccountName=gone)(employeeID=1002)))"
	s = take(t, collector(t, config, asRoster))
	gone := s.people["gone"]
	if len(s.people) != 2 || gone.Status != access.PersonEnded || gone.EndAt == nil || gone.EndAt.Format(time.DateOnly) != "2022-06-18" {
		t.Errorf("%d people, Gone: %+v", len(s.people), gone)
	}
	if s.people["bob"].ManagerID != "" { // she is no person here
		t.Errorf("Bob's manager is %q", s.people["bob"].ManagerID)
	}
}

func TestRosterDates(t *testing.T) {
	entry := func(uid, more string) string {
		return fmt.Sprintf("dn: uid=%s,dc=x\nobjectClass: inetOrgPerson\nuid: %s\nentryUUID: 00000000-0000-0000-0000-00000000000%s\nemployeeNumber: 7\n%s\n\n", uid, uid, uid, more)
	}
	file := writeFile(t, entry("1", "description: 2025-03-30\nbusinessCategory: LEAVE")+entry("2", "description: 20250330120000Z")+entry("3", "description: soon")+entry("4", "businessCategory: retired"))
	config := Config{URL: strict.Texts{"ldif:" + file}, Roster: &Roster{
		Calendar: collect.Calendar{EndDate: collect.LastDay, Zone: "Europe/Berlin"}, Fields: map[string]string{"end_at": "description", "status": "businessCategory"},
	}}
	asRoster := func(o *Options) { o.Roster = true }
	k := collector(t, config, asRoster)
	s, err := tryTake(t.Context(), k)
	if err == nil || s.Rejected != 2 { // two of six rows is more than the limit
		t.Errorf("rejected %v, error %v", s.Rejections, err)
	}
	if p := s.people["1"]; p.Status != access.PersonLeave || p.EndAt == nil || p.EndAt.Format(time.RFC3339) != "2025-03-30T22:00:00Z" {
		t.Errorf("1: %+v", p)
	}
	if p := s.people["2"]; p.Status != "" || p.EndAt == nil || p.EndAt.Format(time.RFC3339) != "2025-03-30T12:00:00Z" {
		t.Errorf("2: %+v", p)
	}
	config.Roster.EndDate = ""
	if _, err := tryTake(t.Context(), collector(t, config, asRoster)); err == nil || !strings.Contains(err.Error(), "roster.end_date") {
		t.Errorf("error %v", err)
	}
}

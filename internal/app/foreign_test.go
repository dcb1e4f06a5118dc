package app_test

import (
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/lapse-audit/lapse/internal/access"
	"github.com/lapse-audit/lapse/internal/app"
	"github.com/lapse-audit/lapse/internal/config"
	"github.com/lapse-audit/lapse/internal/finding"
	"github.com/lapse-audit/lapse/internal/state"
	"github.com/lapse-audit/lapse/internal/store"
)

// export is a directory as LDIF has it.
type export struct {
	strings.Builder
	domain string
	no     byte
}

// entry adds an entry below the domain; its lines are name: value.
func (e *export) entry(rdn, sid string, lines ...string) string {
	e.no++
	guid := base64.StdEncoding.EncodeToString(append(make([]byte, 15), e.no))
	parts := strings.Split(strings.TrimPrefix(sid, "S-1-5-"), "-")
	raw := []byte{1, byte(len(parts)), 0, 0, 0, 0, 0, 5}
	for _, p := range parts {
		n, err := strconv.ParseUint(p, 10, 32)
		if err != nil {
			panic(err)
		}
		raw = binary.LittleEndian.AppendUint32(raw, uint32(n))
	}
	dn := rdn + "," + e.domain
	fmt.Fprintf(e, "dn: %s\nobjectGUID:: %s\nobjectSid:: %s\n%s\n\n", dn, guid, base64.StdEncoding.EncodeToString(raw), strings.Join(lines, "\n"))
	return dn
}

func (e *export) user(name, employee string, rid int, control string) string {
	return e.entry("CN="+name+",OU=People", fmt.Sprintf("%s-%d", partnerSID, rid), "objectClass: user", "sAMAccountName: "+name,
		"employeeID: "+employee, "userAccountControl: "+control)
}

const corpSID, partnerSID = "S-1-5-21-1-2-3", "S-1-5-21-4-5-6"

// corp is the directory that trusts the other: its group Partners lies in Domain Admins. Members are SIDs.
func corp(members ...string) string {
	e := &export{domain: "DC=corp,DC=example"}
	lines := []string{"objectClass: group", "sAMAccountName: Partners", "groupType: -2147483644"}
	for _, sid := range append(members, "S-1-5-11") {
		lines = append(lines, "member: "+e.entry("CN="+sid+",CN=ForeignSecurityPrincipals", sid, "objectClass: foreignSecurityPrincipal", "cn: "+sid))
	}
	partners := e.entry("CN=Partners,CN=Users", corpSID+"-1200", lines...)
	e.entry("CN=Domain Admins,CN=Users", corpSID+"-512", "objectClass: group", "sAMAccountName: Domain Admins", "groupType: -2147483646", "member: "+partners)
	return e.String()
}

// partner is the directory that is trusted. Whether an account of it is enabled says nothing about what it is given.
func partner() string {
	e := &export{domain: "DC=partner,DC=example"}
	e.user("ada", "E1", 1101, "514")
	e.user("bob", "E2", 1102, "512")
	e.user("cyd", "E3", 1103, "514")
	e.user("dan", "", 1104, "512")
	return e.String()
}

// TestForeignPrincipals follows who administers a directory from another one, night by night: a leaver is found by the
// account's SID, as soon as the other directory is read, for as long as the access is there.
func TestForeignPrincipals(t *testing.T) {
	library := os.Getenv("LAPSE_LIBCHDB")
	if library == "" && os.Getenv("CI") == "" {
		t.Skip("LAPSE_LIBCHDB is not set: run `make test`")
	}
	dir := t.TempDir()
	write := func(name, text string) {
		t.Helper()
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("lapse.yaml", `
policies: {enable: [LVR-09, LVR-08]}
sources:
  - uid: hr
    type: file
    roster: {end_date: last_day, zone: UTC}
    files: {people: {path: hr.csv}}
  - uid: corp
    name: Corp AD
    type: ldap
    directory: true
    dialect: active_directory
    url: ldif:corp.ldif
  - uid: partner
    name: Partner AD
    type: ldap
    dialect: active_directory
    url: ldif:partner.ldif
    links: {employee_id: [hr]}
`)
	write("hr.csv", `id,name,status,start_at,end_at
E1,Ada Able,ended,2020-01-01,2026-11-10
E2,Bob Best,active,2020-01-01,
E3,Cyd Calm,ended,2020-01-01,2026-11-15
`)
	c, err := config.Load(filepath.Join(dir, "lapse.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	now := time.Date(2026, 11, 20, 2, 0, 0, 0, time.UTC)
	a := app.New(c, app.Options{Now: func() time.Time { return now }, Library: library, Log: slog.New(slog.DiscardHandler), Version: "test"})
	defer func() {
		if err := a.Close(); err != nil {
			t.Error(err)
		}
	}()
	const stranger = "S-1-5-21-9-9-9-1105"
	ada, bob, cyd, dan := partnerSID+"-1101", partnerSID+"-1102", partnerSID+"-1103", partnerSID+"-1104"
	const still = ", which stands in Corp AD for an account of theirs, is still in Partners, and so in Domain Admins through Partners"
	for _, night := range []struct {
		name     string
		corp     string
		partner  string
		status   store.RunStatus
		links    []string // of the principals, by SID
		findings []string
	}{
		{
			"the other directory can't be read", corp(ada, bob, cyd, dan, stranger), "", store.RunIncomplete,
			[]string{"unmatched none <nil>", "unmatched none <nil>", "unmatched none <nil>", "unmatched none <nil>", "unmatched none <nil>"}, nil,
		},
		{
			"it is read", corp(ada, bob, cyd, dan, stranger), partner(), store.RunComplete,
			[]string{"linked employee_id hr:E1", "linked employee_id hr:E2", "linked employee_id hr:E3", "unmatched none <nil>", "unmatched none <nil>"},
			[]string{"open high Ada Able left 10 days ago, and " + ada + still, "open high Cyd Calm left 5 days ago, and " + cyd + still},
		},
		{
			"it can't be read again, and what it said last stands; one is out of the group", corp(ada, bob, dan), "", store.RunIncomplete,
			[]string{"linked employee_id hr:E1", "linked employee_id hr:E2", "", "unmatched none <nil>", ""},
			[]string{"closed high Cyd Calm left 5 days ago, and " + cyd + still, "open high Ada Able left 11 days ago, and " + ada + still},
		},
	} {
		t.Run(night.name, func(t *testing.T) {
			write("corp.ldif", night.corp)
			if write("partner.ldif", night.partner); night.partner == "" {
				if err := os.Remove(filepath.Join(dir, "partner.ldif")); err != nil {
					t.Fatal(err)
				}
			}
			out, err := a.Scan(t.Context(), app.ScanOptions{Progress: silent{}, Actor: state.Actor{ID: "test"}})
			if err != nil {
				t.Fatal(err)
			}
			if out.Run.Status != night.status {
				t.Errorf("the run is %s: %v", out.Run.Status, out.Run.Reasons)
			}
			var links []string
			for _, sid := range []string{ada, bob, cyd, dan, stranger} {
				links = append(links, linkOf(t, a, out.Run.ID, sid))
			}
			if d := cmp.Diff(night.links, links); d != "" {
				t.Errorf("links: -want +got\n%s", d)
			}
			var got []string
			all, err := a.Findings(t.Context(), app.FindingQuery{Policies: []string{"LVR-08", "LVR-09"}})
			if err != nil {
				t.Fatal(err)
			}
			for f, err := range all {
				if err != nil {
					t.Fatal(err)
				}
				got = append(got, fmt.Sprintf("%s %s %s", f.Status, f.Severity, f.Message))
			}
			slices.Sort(got)
			if d := cmp.Diff(night.findings, got); d != "" {
				t.Errorf("findings: -want +got\n%s", d)
			}
			now = now.AddDate(0, 0, 1)
		})
	}
}

// linkOf says whose the principal with a SID is, and that it administers the directory, "" where there is none.
func linkOf(t *testing.T, a *app.App, run uint64, sid string) string {
	t.Helper()
	facts, err := a.Store(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	snapshot, err := facts.LatestAccepted(t.Context(), "corp", a.Now())
	if err != nil {
		t.Fatal(err)
	}
	for account, err := range facts.Accounts(t.Context(), "corp", snapshot.ID) {
		if err != nil {
			t.Fatal(err)
		}
		if account.Username != sid {
			continue
		}
		row, err := facts.Subject(t.Context(), run, finding.Subject{Kind: access.SubjectAccount, Source: "corp", ID: account.ID})
		if err != nil {
			t.Fatal(err)
		}
		doc := access.Document(access.SubjectAccount, row)
		link, _ := doc["link"].(map[string]any)
		person, _ := doc["person"].(map[string]any)
		who, _ := doc["account"].(map[string]any)
		if who["privileged"] != true || who["kind"] != nil || who["enabled"] != nil || doc["directory"] != nil {
			t.Errorf("%s: privileged %v, kind %v, enabled %v, directory %v", sid, who["privileged"], who["kind"], who["enabled"], doc["directory"])
		}
		return fmt.Sprint(link["status"], " ", link["method"], " ", person["id"])
	}
	return ""
}

package cli_test

import (
	"encoding/csv"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/lapse-audit/lapse/collectors/ldap/ldaptest"
)

// domain is a directory with a roster, and what a scan of both must find.
type domain struct {
	users, groups int
	dc            *ldaptest.DC
	dir           string
}

const (
	peopleOU = "OU=People," + ldaptest.Domain
	groupsOU = "OU=Groups," + ldaptest.Domain
	adminsCN = "CN=Domain Admins,CN=Users," + ldaptest.Domain
)

func userName(i int) string       { return fmt.Sprintf("u%05d", i) }
func userDN(i int) string         { return fmt.Sprintf("CN=User %d,%s", i, peopleOU) }
func groupDN(i int) string        { return fmt.Sprintf("CN=g%03d,%s", i, groupsOU) }
func leaver(i int) bool           { return i%40 == 0 }
func orphan(i int) bool           { return i%500 == 7 }
func forgotten(i int) bool        { return i%80 == 0 } // a leaver whose account was left enabled
func (d *domain) group(i int) int { return i % d.groups }

// newDomain makes a domain of users, each in one of the groups. Group n is in group (n-1)/3, so that they nest up to six
// deep; the hundredth is in Domain Admins, and one user has that as the primary group.
func newDomain(t *testing.T, users, groups int) *domain {
	ldaptest.Need(t)
	d := &domain{users: users, groups: groups, dir: t.TempDir()}
	samba := ldaptest.NewSamba(t.TempDir())
	t.Cleanup(samba.Close)
	dc, err := samba.Make("corp")
	if err != nil {
		t.Fatal(err)
	}
	d.dc = dc
	var f ldaptest.LDIF
	f.Add(peopleOU, "objectClass: organizationalUnit")
	f.Add("OU=Moved,"+peopleOU, "objectClass: organizationalUnit")
	f.Add(groupsOU, "objectClass: organizationalUnit")
	f.Add("CN=Reader,CN=Users,"+ldaptest.Domain, "objectClass: user", "sAMAccountName: reader", "userAccountControl: 512", "pw: "+ldaptest.Password)
	for i := range users {
		control := 544 // no password is set, which takes long for so many
		if leaver(i) && !forgotten(i) {
			control = 546
		}
		lines := []string{"objectClass: user", "sAMAccountName: " + userName(i), fmt.Sprintf("userAccountControl: %d", control)}
		if !orphan(i) {
			lines = append(lines, fmt.Sprintf("employeeID: E%d", i))
		}
		f.Add(userDN(i), lines...)
	}
	for g := groups - 1; g >= 0; g-- {
		lines := []string{"objectClass: group", fmt.Sprintf("sAMAccountName: g%03d", g), "groupType: -2147483646"}
		for i := g; i < users; i += groups {
			lines = append(lines, "member: "+userDN(i))
		}
		for child := 3*g + 1; child <= 3*g+3 && child < groups; child++ {
			lines = append(lines, "member: "+groupDN(child))
		}
		f.Add(groupDN(g), lines...)
	}
	if err := dc.Load(f.String()); err != nil {
		t.Fatal(err)
	}
	change := fmt.Sprintf("dn: %s\nchangetype: modify\nadd: member\nmember: %s\nmember: %s\n\n", adminsCN, groupDN(groups/5), userDN(3))
	change += fmt.Sprintf("dn: %s\nchangetype: modify\nreplace: primaryGroupID\nprimaryGroupID: 512\n\n", userDN(3))
	if err := dc.Amend(change); err != nil {
		t.Fatal(err)
	}
	const userAccountControl = "bf967a68-0de6-11d0-a285-00aa003049e2"
	if err := dc.Forbid("reader", peopleOU, "(OD;CI;RP;"+userAccountControl+";;%s)"); err != nil {
		t.Fatal(err)
	}
	if err := samba.Start(dc); err != nil {
		t.Fatal(err)
	}
	d.writeRoster(t, nil)
	rule := filepath.Join(d.dir, "rules", "domain_admins")
	if err := os.MkdirAll(rule, 0o755); err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(rule, "policy.rego"), `# METADATA
# title: Effective domain administrator
# description: Everybody who holds Domain Admins by any path.
# scope: package
# custom:
#   id: TEST-01
#   subject: account
#   severity: low
#   controls: ["CIS-8.1:5.4"]
#   action: none
#   assignee: security
#   needs: [grants]
package lapse.test.domain_admins

import rego.v2

findings contains {"message": concat(" > ", grant.path)} if {
	some grant in input.grants
	grant.entitlement.name == "Domain Admins"
}
`)
	return d
}

// writeRoster writes everybody; the leavers left long ago, and those of also, yesterday's.
func (d *domain) writeRoster(t *testing.T, also []int) {
	t.Helper()
	rows := [][]string{{"id", "name", "status", "start_at", "end_at"}}
	for i := range d.users {
		status, end := "active", ""
		switch {
		case leaver(i):
			status, end = "ended", "2026-01-31"
		case slices.Contains(also, i):
			status, end = "ended", "2026-02-28"
		}
		rows = append(rows, []string{fmt.Sprintf("E%d", i), fmt.Sprintf("User %d", i), status, "2019-01-01", end})
	}
	writeCSV(t, filepath.Join(d.dir, "people.csv"), rows)
}

// config writes a lapse.yaml of its own store that reads the directory as somebody.
func (d *domain) config(t *testing.T, name, user, more string) string {
	t.Helper()
	path := filepath.Join(d.dir, name+".yaml")
	write(t, path, fmt.Sprintf(`store: embedded:./%s
policies: {folders: [./rules]}
sources:
  - {uid: hr, type: file, roster: {end_date: last_day}, files: {people: {path: people.csv}}}
  - uid: ad
    name: Corporate AD
    type: ldap
    directory: true
    links: {employee_id: [hr]}
    url: %s
    ca: %s
    bind: {dn: %s, password: "file:password"}
    kinds: [{kind: human, ou: "%s"}]
%s`, name, d.dc.URL(), d.dc.CA, user, peopleOU, more))
	write(t, filepath.Join(d.dir, "password"), ldaptest.Password)
	return path
}

// search is what OpenLDAP's client gets: values of one attribute by DN.
func (d *domain) search(t *testing.T, filter, attribute string) map[string][]string {
	t.Helper()
	cmd := exec.Command("ldapsearch", "-LLL", "-o", "ldif-wrap=no", "-E", "pr=1000/noprompt", "-x", "-H", d.dc.URL(), "-D", ldaptest.Admin, "-w", ldaptest.Password, "-b", ldaptest.Domain, filter, attribute)
	cmd.Env = append(os.Environ(), "LDAPTLS_CACERT="+d.dc.CA)
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("ldapsearch %s: %v\n%s", filter, err, out)
	}
	found := map[string][]string{}
	dn := ""
	for line := range strings.Lines(string(out)) {
		line = strings.TrimRight(line, "\n")
		name, value, _ := strings.Cut(line, ": ")
		switch {
		case name == "dn":
			dn = value
			found[dn] = nil
		case strings.EqualFold(name, attribute):
			found[dn] = append(found[dn], value)
		}
	}
	return found
}

// modify changes the directory with OpenLDAP's client.
func (d *domain) modify(t *testing.T, ldif string) {
	t.Helper()
	cmd := exec.Command("ldapmodify", "-x", "-H", d.dc.URL(), "-D", ldaptest.Admin, "-w", ldaptest.Password)
	cmd.Env = append(os.Environ(), "LDAPTLS_CACERT="+d.dc.CA)
	cmd.Stdin = strings.NewReader(ldif)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("ldapmodify: %v\n%s", err, out)
	}
}

// standing lists the findings of a store as "policy username", with the night each was first seen.
func (d *domain) standing(t *testing.T, config, at string) map[string]string {
	t.Helper()
	rows, err := csv.NewReader(strings.NewReader(lapse(t, d.dir, "findings", "list", "--config", config, "--format", "csv", "--at", at, "--quiet"))).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	column := map[string]int{}
	for i, name := range rows[0] {
		column[name] = i
	}
	out := map[string]string{}
	for _, row := range rows[1:] {
		out[row[column["policy"]]+" "+row[column["name"]]] = row[column["first_seen"]]
	}
	return out
}

// expected are the findings as the fixture has them.
func (d *domain) expected() map[string]bool {
	want := map[string]bool{"TEST-01 Administrator": true, "TEST-01 " + userName(3): true}
	below := map[int]bool{d.groups / 5: true}
	for g := range d.groups {
		if g > 0 && below[(g-1)/3] {
			below[g] = true
		}
	}
	for i := range d.users {
		if below[d.group(i)] {
			want["TEST-01 "+userName(i)] = true
		}
		if forgotten(i) {
			want["LVR-01 "+userName(i)] = true
		}
		if orphan(i) {
			want["ORP-01 "+userName(i)] = true
		}
	}
	return want
}

// keys of m that are not in other, and the other way round.
func differ(t *testing.T, when string, got map[string]string, want map[string]bool) {
	t.Helper()
	for f := range want {
		if _, ok := got[f]; !ok {
			t.Errorf("%s: missed %s", when, f)
		}
	}
	for f := range got {
		if !want[f] {
			t.Errorf("%s: extra %s", when, f)
		}
	}
}

// TestActiveDirectory scans a real domain with a roster: what is read is what OpenLDAP's client reads, the effective
// domain administrators are those that a walk by that client finds, a second scan after changes tells what is new and what
// is resolved, reading only what changed gives the same as reading all, and what a reader may not see is unknown.
func TestActiveDirectory(t *testing.T) {
	t.Parallel()
	users, groups := 10_000, 500
	if testing.Short() {
		users, groups = 1_000, 50
	}
	d := newDomain(t, users, groups)
	first, second := time.Now().AddDate(0, 0, 8).UTC().Truncate(time.Second), time.Now().AddDate(0, 0, 9).UTC().Truncate(time.Second)
	night := func(at time.Time) string { return at.Format(time.RFC3339) }
	config := d.config(t, "delta", ldaptest.Admin, "    incremental: {method: dirsync}\n")

	lapse(t, d.dir, "scan", "--config", config, "--at", night(first), "--quiet", "--no-report")
	want := d.expected()
	before := d.standing(t, config, night(first))
	differ(t, "first night", before, want)

	accounts := d.search(t, "(&(objectCategory=person)(objectClass=user))", "primaryGroupID")
	all := d.search(t, "(|(objectCategory=group)(objectClass=foreignSecurityPrincipal)(objectClass=domainDNS)(objectClass=msDS-PasswordSettings))", "member")
	members := 0
	for _, of := range all {
		for _, m := range of {
			_, account := accounts[m]
			_, group := all[m]
			if account || group {
				members++
			}
		}
	}
	members += len(accounts) // each has a primary group
	counts := lapse(t, d.dir, "doctor", "ad", "--config", config, "--format", "csv")
	if want := fmt.Sprintf("%d accounts; %d entitlements; %d grants", len(accounts), len(all), members); !strings.Contains(counts, want) {
		t.Errorf("ldapsearch answers %s; the doctor says\n%s", want, counts)
	}
	admins := d.domainAdmins(accounts, all)
	for dn := range accounts {
		name, _, _ := strings.Cut(strings.TrimPrefix(dn, "CN=User "), ",")
		var i int
		if _, err := fmt.Sscan(name, &i); err != nil {
			continue
		}
		if _, found := before["TEST-01 "+userName(i)]; found != admins[dn] {
			t.Errorf("%s: domain administrator %v, found to be one %v", dn, admins[dn], found)
		}
	}

	// A day later: one leaver's account is disabled, one is renamed and moved, somebody is put into a group deep below Domain
	// Admins, and two people have left.
	d.modify(t, fmt.Sprintf("dn: %[1]s\nchangetype: modify\nreplace: userAccountControl\nuserAccountControl: 546\n\n"+
		"dn: %[2]s\nchangetype: modrdn\nnewrdn: CN=User 80 Married\ndeleteoldrdn: 1\nnewsuperior: OU=Moved,%[3]s\n\n"+
		"dn: %[4]s\nchangetype: modify\nadd: member\nmember: %[5]s\n\n",
		userDN(0), userDN(80), peopleOU, groupDN(d.groups/5*3+1), userDN(11)))
	d.writeRoster(t, []int{21, 22})
	delete(want, "LVR-01 "+userName(0))
	for _, f := range []string{"TEST-01 " + userName(11), "LVR-01 " + userName(21), "LVR-01 " + userName(22)} {
		if want[f] {
			t.Fatalf("%s was there before", f)
		}
		want[f] = true
	}
	lapse(t, d.dir, "scan", "--config", config, "--at", night(second), "--quiet", "--no-report")
	after := d.standing(t, config, night(second))
	differ(t, "second night", after, want)
	for f, since := range after {
		if was, stood := before[f]; stood && was != since {
			t.Errorf("%s stood since %s and now since %s", f, was, since)
		}
	}
	whole := d.config(t, "whole", ldaptest.Admin, "")
	lapse(t, d.dir, "scan", "--config", whole, "--at", night(second), "--quiet", "--no-report")
	differ(t, "read whole", d.standing(t, whole, night(second)), want)

	// A reader who may not see whether people are enabled: the doctor says so and how to mend it, nothing is found on what is
	// unknown, and the report tells.
	blind := d.config(t, "blind", "reader@corp.example", "")
	cmd, stdout, stderr := command(t, d.dir, "doctor", "ad", "--config", blind)
	_ = cmd.Run() // it may call that a fault
	for _, told := range []string{"userAccountControl", "dsacls"} {
		if !strings.Contains(stdout.String(), told) {
			t.Errorf("the doctor doesn't name %s:\n%s%s", told, stdout, stderr)
		}
	}
	out := lapse(t, d.dir, "scan", "--config", blind, "--at", night(second), "--no-report")
	for f := range d.standing(t, blind, night(second)) {
		if !strings.HasPrefix(f, "TEST-01 ") {
			t.Errorf("%s was found without knowing whether the account is enabled", f)
		}
	}
	if !strings.Contains(out, "account.enabled") {
		t.Errorf("the report doesn't say that it could not be evaluated:\n%s", out)
	}

	// Where that was known before, what stands goes on standing: nothing is clean because it can't be seen any more.
	third := time.Now().AddDate(0, 0, 10).UTC().Truncate(time.Second)
	d.config(t, "delta", "reader@corp.example", "    incremental: {method: dirsync}\n    guard: {max_coverage_loss: 1}\n")
	lapse(t, d.dir, "scan", "--config", config, "--at", night(third), "--quiet", "--no-report")
	differ(t, "third night", d.standing(t, config, night(third)), want)
	d.offboarded(t, "delta", 22, third.Add(time.Hour))
}

// domainAdmins walks the members that OpenLDAP's client read, down from Domain Admins.
func (d *domain) domainAdmins(accounts, groups map[string][]string) map[string]bool {
	found := map[string]bool{}
	open := []string{adminsCN}
	for len(open) > 0 {
		dn := open[0]
		open = open[1:]
		if found[dn] {
			continue
		}
		found[dn] = true
		open = append(open, groups[dn]...)
	}
	for dn, primary := range accounts {
		if slices.Equal(primary, []string{"512"}) {
			found[dn] = true
		}
	}
	return found
}

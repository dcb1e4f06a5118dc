package ldap

import (
	"bytes"
	"fmt"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-ldap/ldap/v3"

	"github.com/lapse-audit/lapse/collectors/ldap/ldaptest"
	"github.com/lapse-audit/lapse/internal/collect"
	"github.com/lapse-audit/lapse/internal/strict"
)

// size of the large domain; with -short a tenth.
func size() (users, groups int) {
	if testing.Short() {
		return 1000, 50
	}
	return 10_000, 500
}

func userDN(i int) string {
	return fmt.Sprintf("CN=User %05d,OU=Dept %02d,OU=Staff,%s", i, i%20, domain)
}
func groupDN(i int) string { return fmt.Sprintf("CN=Group %03d,OU=Groups,%s", i, domain) }

// large is a domain whose groups make a tree: group i holds groups 2i+1 and 2i+2 and twenty users of its own.
var large = sync.OnceValues(func() (*dc, error) {
	users, groups := size()
	var f ldaptest.LDIF
	f.Add("OU=Staff,"+domain, "objectClass: organizationalUnit")
	f.Add("OU=Groups,"+domain, "objectClass: organizationalUnit")
	for i := range 20 {
		f.Add(fmt.Sprintf("OU=Dept %02d,OU=Staff,%s", i, domain), "objectClass: organizationalUnit")
	}
	for i := range users {
		uac := 512
		if i%10 == 0 {
			uac = 514
		}
		lines := []string{"objectClass: user", fmt.Sprintf("sAMAccountName: u%05d", i), fmt.Sprintf("userAccountControl: %d", uac+32), fmt.Sprintf("mail: u%05d@corp.example", i), fmt.Sprintf("employeeID: %d", 100000+i)}
		if i%4 != 0 {
			lines = append(lines, fmt.Sprintf("lastLogonTimestamp: %d", 133700000000000000+int64(i)*1e9))
		}
		f.Add(userDN(i), lines...)
	}
	for i := groups - 1; i >= 0; i-- {
		lines := []string{"objectClass: group", fmt.Sprintf("sAMAccountName: g%03d", i), "groupType: -2147483646"}
		for _, child := range []int{2*i + 1, 2*i + 2} {
			if child < groups {
				lines = append(lines, "member: "+groupDN(child))
			}
		}
		for j := range 20 {
			lines = append(lines, "member: "+userDN((i*20+j)%users))
		}
		f.Add(groupDN(i), lines...)
	}
	d, err := makeDC("large", "")
	if err != nil {
		return nil, err
	}
	d.Stop()
	if err := d.Load(f.String()); err != nil {
		return nil, err
	}
	change := fmt.Sprintf("dn: CN=Domain Admins,CN=Users,%s\nchangetype: modify\nadd: member\nmember: %s\n", domain, groupDN(groups/8))
	for i := range 5 {
		change += "member: " + userDN(users-1-i) + "\n"
	}
	change += "\n"
	for i := range 5 { // now in it by their primary group, and in no list of members
		change += fmt.Sprintf("dn: %s\nchangetype: modify\nreplace: primaryGroupID\nprimaryGroupID: 512\n\n", userDN(users-1-i))
	}
	if err := d.Amend(change); err != nil {
		return nil, err
	}
	return d, samba.Start(d.DC)
})

// ldapsearch counts what OpenLDAP's tool is given: entries, and lines of an attribute.
func (d *dc) ldapsearch(t testing.TB, filter, attribute string) (entries, values int) {
	t.Helper()
	out, err := exec.Command("ldapsearch", "-x", "-LLL", "-o", "ldif-wrap=no", "-H", "ldapi://"+strings.ReplaceAll(d.Dir, "/", "%2F")+"%2Fs%2Fprivate%2Fldap_priv%2Fldapi",
		"-b", domain, "-E", "pr=1000/noprompt", filter, attribute).Output()
	if err != nil {
		t.Fatalf("ldapsearch: %v", err)
	}
	for line := range bytes.Lines(out) {
		switch {
		case bytes.HasPrefix(line, []byte("dn:")):
			entries++
		case bytes.HasPrefix(line, []byte(attribute+":")):
			values++
		}
	}
	return entries, values
}

func largeDC(t testing.TB) *dc {
	t.Helper()
	ldaptest.Need(t)
	d, err := large()
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// Ten thousand users and five hundred nested groups: every count is what ldapsearch counts, and who is a domain
// administrator, by nesting or by primary group, is exactly who was made one.
func TestLargeDomain(t *testing.T) {
	d := largeDC(t)
	export(t, corpDC(t), "cn") // skips without ldapsearch
	p := newProxy(t, d)
	p.rangeMax = 10
	start := time.Now()
	s := take(t, collector(t, p.config()))
	t.Logf("read in %s", time.Since(start).Round(time.Millisecond))

	accounts, primary := d.ldapsearch(t, "(|(&(objectCategory=person)(objectClass=user))(objectClass=msDS-GroupManagedServiceAccount))", "primaryGroupID")
	groups, members := d.ldapsearch(t, "(objectCategory=group)", "member")
	foreign, _ := d.ldapsearch(t, "(objectClass=foreignSecurityPrincipal)", "cn")
	disabled, _ := d.ldapsearch(t, "(&(objectCategory=person)(objectClass=user)(userAccountControl:1.2.840.113556.1.4.803:=2))", "cn")
	never, _ := d.ldapsearch(t, "(&(objectCategory=person)(objectClass=user)(!(lastLogonTimestamp=*)))", "cn")
	if n := s.Counts[collect.Accounts]; n != int64(accounts) {
		t.Errorf("%d accounts, ldapsearch counts %d", n, accounts)
	}
	if n := s.Counts[collect.Entitlements]; n != int64(groups+foreign+1) { // names for many, and the domain's policy
		t.Errorf("%d entitlements, ldapsearch counts %d groups and %d foreign principals", n, groups, foreign)
	}
	if n := s.Counts[collect.Grants]; n != int64(members+primary) {
		t.Errorf("%d grants, ldapsearch counts %d members and %d primary groups", n, members, primary)
	}
	counts := map[string]int{}
	for _, a := range s.accounts {
		if a.Enabled != nil && !*a.Enabled {
			counts["disabled"]++
		}
		if a.NeverLoggedIn != nil && *a.NeverLoggedIn {
			counts["never"]++
		}
	}
	if counts["disabled"] != disabled || counts["never"] != never {
		t.Errorf("%v, ldapsearch counts %d disabled, %d never signed in", counts, disabled, never)
	}

	users, all := size()
	want := []string{"Administrator"}
	var add func(group int)
	add = func(group int) {
		if group >= all {
			return
		}
		for j := range 20 {
			want = append(want, fmt.Sprintf("u%05d", (group*20+j)%users))
		}
		add(2*group + 1)
		add(2*group + 2)
	}
	add(all / 8)
	for i := range 5 {
		want = append(want, fmt.Sprintf("u%05d", users-1-i))
	}
	slices.Sort(want)
	want = slices.Compact(want)
	if got := s.effective("Domain Admins"); !slices.Equal(got, want) {
		t.Errorf("%d domain administrators, want %d", len(got), len(want))
	}
}

// After a hundred changes in a domain of ten thousand users only these are read, and what comes out is what a full read
// gives.
func TestLargeDelta(t *testing.T) {
	d := largeDC(t)
	admin := d.admin(t)
	change := func(i int) {
		m := ldap.NewModifyRequest(userDN(i), nil)
		m.Replace("displayName", []string{fmt.Sprintf("Changed %d", time.Now().UnixNano())})
		if err := admin.Modify(m); err != nil {
			t.Fatal(err)
		}
	}
	// One deletion there is to see, so that the account is known to see them.
	add := ldap.NewAddRequest("CN=Short Stay,OU=Staff,"+domain, nil)
	add.Attribute("objectClass", []string{"user"})
	add.Attribute("sAMAccountName", []string{"shortstay"})
	if err := admin.Add(add); err != nil {
		t.Fatal(err)
	}
	if err := admin.Del(ldap.NewDelRequest(add.DN, nil)); err != nil {
		t.Fatal(err)
	}
	for _, method := range []string{DirSync} { // usn is as quick, and tested on a small domain
		dir, now := t.TempDir(), time.Now()
		start := time.Now()
		take(t, kept(t, d.config(), dir, method, &now))
		full := time.Since(start)
		for i := range 100 {
			change(i)
		}
		p := newProxy(t, d)
		config := p.config()
		config.URL, config.CA = strict.Texts{p.url}, p.ca
		config.Bind = d.config().Bind
		p.entry = func(int64, string) fault { return pass }
		start = time.Now()
		got := take(t, kept(t, config, dir, method, &now))
		t.Logf("%s: full read %s, 100 changes %s, %d entries", method, full.Round(time.Millisecond), time.Since(start).Round(time.Millisecond), p.entries.Load())
		if noted(got, "everything was read") || !noted(got, "this time 10") { // and whatever else an administrator's sign-in changes
			t.Errorf("%s: %q", method, got.Provenance.Notes)
		}
		if n := p.entries.Load(); n > 250 {
			t.Errorf("%s: %d entries were read for 100 changes", method, n)
		}
		want := take(t, kept(t, d.config(), t.TempDir(), method, &now))
		same(t, method, got, want)
	}
}

package ldap

import (
	"context"
	"fmt"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/lapse-audit/lapse/collectors/ldap/ldaptest"
	"github.com/lapse-audit/lapse/internal/access"
	"github.com/lapse-audit/lapse/internal/collect"
	"github.com/lapse-audit/lapse/internal/strict"
)

// corp is a small domain with one of everything.
var corp = sync.OnceValues(func() (*dc, error) {
	var f ldaptest.LDIF
	people, service := "OU=People,"+domain, "OU=Service,"+domain
	f.Add(people, "objectClass: organizationalUnit")
	f.Add("OU=Berlin,"+people, "objectClass: organizationalUnit")
	f.Add(service, "objectClass: organizationalUnit")
	user := func(cn, under, name string, uac int, more ...string) string {
		dn := "CN=" + cn + "," + under
		f.Add(dn, append([]string{"objectClass: user", "sAMAccountName: " + name, fmt.Sprintf("userAccountControl: %d", uac), "pw: " + password}, more...)...)
		return dn
	}
	ada := user("Ada Berg", "OU=Berlin,"+people, "aberg", 512, "mail: ada@corp.example", "employeeID: 1001", "displayName: Ada Berg", "lastLogonTimestamp: 133700000000000000")
	bob := user(`Bob\, the Builder \+ \"Co\"`, people, "bob", 66048, "mail: bob@corp.example", "employeeID: 1002", "manager: "+ada)
	user("Gone", people, "gone", 514, "accountExpires: 133000000000000000")
	user("Roast", people, "roast", 4194816)
	user("Reader", service, "reader", 512)
	user("Locked", service, "locked", 512)
	svc := user("Backup", service, "svc-backup", 524800, "servicePrincipalName: backup/host1", "manager: "+bob, "msDS-AllowedToDelegateTo: cifs/host2")
	f.Add("CN=gmsa1,CN=Managed Service Accounts,"+domain, "objectClass: msDS-GroupManagedServiceAccount", "sAMAccountName: gmsa1$", "msDS-ManagedPasswordInterval: 30", "managedBy: "+bob)
	f.Add("CN=Con Tact,"+people, "objectClass: contact", "mail: con@elsewhere.example")
	f.Add("CN=WS1,CN=Computers,"+domain, "objectClass: computer", "sAMAccountName: WS1$", "userAccountControl: 4096")
	f.Add("CN=Strict,CN=Password Settings Container,CN=System,"+domain, "objectClass: msDS-PasswordSettings", "msDS-PasswordSettingsPrecedence: 10",
		"msDS-PasswordReversibleEncryptionEnabled: FALSE", "msDS-PasswordHistoryLength: 24", "msDS-PasswordComplexityEnabled: TRUE", "msDS-MinimumPasswordLength: 20",
		"msDS-MinimumPasswordAge: 0", "msDS-MaximumPasswordAge: -77760000000000", "msDS-LockoutThreshold: 5", "msDS-LockoutObservationWindow: -18000000000", "msDS-LockoutDuration: -18000000000")
	group := func(cn string, typ int, members ...string) string {
		dn := "CN=" + cn + "," + people
		lines := []string{"objectClass: group", "sAMAccountName: " + cn, fmt.Sprintf("groupType: %d", typ)}
		for _, m := range members {
			lines = append(lines, "member: "+m)
		}
		f.Add(dn, lines...)
		return dn
	}
	const global, universal, local, list = -2147483646, -2147483640, -2147483644, 2
	inner := group("Inner", global, ada, bob)
	outer := group("Outer", universal, inner, "CN=Con Tact,"+people, "CN=WS1,CN=Computers,"+domain)
	group("Local", local, outer, svc)
	group("News", list, ada)
	d, err := makeDC("corp", f.String())
	if err != nil {
		return nil, err
	}
	// Inner is in Domain Admins by Outer; the loop is closed last. Gone has it as its primary group.
	d.Stop()
	change := fmt.Sprintf("dn: CN=Domain Admins,CN=Users,%s\nchangetype: modify\nadd: member\nmember: %s\nmember: CN=Gone,%s\n\n", domain, inner, people)
	change += fmt.Sprintf("dn: %s\nchangetype: modify\nadd: member\nmember: CN=Local,%s\n\n", inner, people)
	change += fmt.Sprintf("dn: CN=Local,%s\nchangetype: modify\nadd: member\nmember: <SID=S-1-5-21-1-2-3-1105>\nmember: CN=S-1-5-11,CN=ForeignSecurityPrincipals,DC=corp,DC=example\n\n", people) // makes foreign principals
	change += fmt.Sprintf("dn: CN=Gone,%s\nchangetype: modify\nreplace: primaryGroupID\nprimaryGroupID: 512\n\n", people)
	change += fmt.Sprintf("dn: %s\nchangetype: modify\nreplace: managedBy\nmanagedBy: %s\n\n", inner, ada)
	change += fmt.Sprintf("dn: CN=DC1,OU=Domain Controllers,%s\nchangetype: modify\nadd: servicePrincipalName\nservicePrincipalName: ldap/dc1.corp.example\n\n", domain) // else a running controller adds it in its own time
	if err := d.Amend(change); err != nil {
		return nil, err
	}
	// The reader may not see whether people are enabled.
	const userAccountControl = "bf967a68-0de6-11d0-a285-00aa003049e2"
	if err := d.Forbid("reader", people, "(OD;CI;RP;"+userAccountControl+";;%s)"); err != nil {
		return nil, err
	}
	return d, samba.Start(d.DC)
})

func corpDC(t testing.TB) *dc {
	t.Helper()
	ldaptest.Need(t)
	d, err := corp()
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// asAdmin is how to read a controller as its administrator.
func (d *dc) config() Config {
	return Config{URL: strict.Texts{d.URL()}, CA: d.CA, Bind: Bind{Method: Simple, DN: adminDN, Password: secretRef}}
}

func collector(t testing.TB, c Config, change ...func(*Options)) *Collector {
	t.Helper()
	o := Options{UID: "corp", Now: time.Now, Secret: func(context.Context, collect.Secret) (string, error) { return password, nil }}
	for _, f := range change {
		f(&o)
	}
	k, err := New(c, o)
	if err != nil {
		t.Fatal(err)
	}
	k.pause = 10 * time.Millisecond
	return k
}

// snapshot is what a collection gave.
type snapshot struct {
	collect.Result
	accounts     map[string]access.Account     // by username
	entitlements map[string]access.Entitlement // by name
	people       map[string]access.Person      // by username
	grants       []access.Grant
	names        map[string]string // of all, by id
}

func (s *snapshot) Put(r access.Record) error {
	switch r := r.(type) {
	case access.Account:
		s.accounts[r.Username] = r
		s.names[r.ID] = r.Username
	case access.Entitlement:
		s.entitlements[r.Name] = r
		s.names[r.ID] = r.Name
	case access.Grant:
		s.grants = append(s.grants, r)
	case access.Person:
		s.people[r.Username] = r
	}
	return nil
}

func (s *snapshot) Reject(collect.Rejection) error { return nil }

// take collects, and fails the test unless all went well.
func take(t testing.TB, k *Collector) *snapshot {
	t.Helper()
	s, err := tryTake(t.Context(), k)
	if err != nil {
		t.Fatalf("collect: %v", err)
	}
	return s
}

func tryTake(ctx context.Context, k *Collector) (*snapshot, error) {
	s := &snapshot{accounts: map[string]access.Account{}, entitlements: map[string]access.Entitlement{}, people: map[string]access.Person{}, names: map[string]string{}}
	res, err := collect.Run(ctx, k, s, collect.Options{Limits: collect.DefaultLimits(), Now: time.Now()})
	s.Result = res
	return s, err
}

// holders are the names of those that hold an entitlement directly, sorted; groups in brackets.
func (s *snapshot) holders(entitlement string) []string {
	var out []string
	for _, g := range s.grants {
		if s.names[g.EntitlementID] != entitlement {
			continue
		}
		name := s.names[g.HolderID]
		if g.HolderKind == access.HolderEntitlement {
			name = "[" + name + "]"
		}
		out = append(out, name)
	}
	slices.Sort(out)
	return out
}

// effective are the names of the accounts that hold an entitlement by any path.
func (s *snapshot) effective(entitlement string) []string {
	members := map[string][]access.Grant{}
	for _, g := range s.grants {
		members[g.EntitlementID] = append(members[g.EntitlementID], g)
	}
	seen := map[string]bool{}
	var out []string
	var walk func(id string)
	walk = func(id string) {
		for _, g := range members[id] {
			if seen[g.HolderID] {
				continue
			}
			seen[g.HolderID] = true
			if g.HolderKind == access.HolderAccount {
				out = append(out, s.names[g.HolderID])
			} else {
				walk(g.HolderID)
			}
		}
	}
	walk(s.entitlements[entitlement].ID)
	slices.Sort(out)
	return out
}

func TestActiveDirectory(t *testing.T) {
	d := corpDC(t)
	config := d.config()
	config.Kinds = []Kind{{Kind: access.KindHuman, OU: "ou=people, dc=corp, dc=example"}, {Kind: access.KindService, Username: "SVC-*"}}
	config.Fields = map[string]string{"owner_id": "manager"}
	config.Attributes = strict.Attributes{"login": "userPrincipalName", "sam_type": "sAMAccountType"}
	s := take(t, collector(t, config))
	if s.Rejected != 0 || len(s.Gaps) != 0 {
		t.Errorf("rejected %v, gaps %v", s.Rejections, s.Gaps)
	}

	// Every object is keyed by its objectGUID, as the server's own tools write it.
	for name, a := range s.accounts {
		if want := d.guid(t, a.Attributes["dn"]); a.ID != want {
			t.Errorf("%s: id %s, want %s", name, a.ID, want)
		}
	}

	truth := func(p *bool) string {
		if p == nil {
			return "unknown"
		}
		return flag(*p)
	}
	for _, c := range []struct {
		name                                           string
		kind                                           access.AccountKind
		enabled, never, spn, expires, pwNever, pwUnreq string
		noPreauth, unconstrained                       string
	}{
		{"aberg", access.KindHuman, "true", "unknown", "false", "", "false", "false", "false", "false"},
		{"bob", access.KindHuman, "true", "true", "false", "", "true", "false", "false", "false"},
		// Expired and disabled are told apart.
		{"gone", access.KindHuman, "false", "true", "false", "2022-06-18", "false", "false", "false", "false"},
		{"roast", access.KindHuman, "true", "true", "false", "", "false", "false", "true", "false"},
		{"svc-backup", access.KindService, "true", "true", "true", "", "false", "false", "false", "true"},
		{"gmsa1$", access.KindService, "false", "true", "false", "", "false", "true", "false", "false"},
		{"krbtgt", access.KindService, "false", "true", "true", "", "false", "false", "false", "false"},
		{"locked", "", "true", "true", "false", "", "false", "false", "false", "false"},
		{"Guest", "", "false", "true", "false", "", "true", "true", "false", "false"},
		// Nothing is known of an account of another domain.
		{"S-1-5-21-1-2-3-1105", "", "unknown", "unknown", "unknown", "", "unknown", "unknown", "", ""},
	} {
		a, ok := s.accounts[c.name]
		if !ok {
			t.Errorf("%s: missing", c.name)
			continue
		}
		expires := ""
		if a.ExpiresAt != nil {
			expires = a.ExpiresAt.Format(time.DateOnly)
		}
		got := []string{string(a.Kind), truth(a.Enabled), truth(a.NeverLoggedIn), truth(a.HasSPN), expires, truth(a.PasswordNeverExpires), truth(a.PasswordNotRequired), a.Attributes["no_preauth"], a.Attributes["unconstrained_delegation"]}
		want := []string{string(c.kind), c.enabled, c.never, c.spn, c.expires, c.pwNever, c.pwUnreq, c.noPreauth, c.unconstrained}
		if !slices.Equal(got, want) {
			t.Errorf("%s: got %q, want %q", c.name, got, want)
		}
	}
	if len(s.accounts) != 13 { // and Administrator, reader, dns-dc1
		t.Errorf("%d accounts", len(s.accounts))
	}

	ada, svc := s.accounts["aberg"], s.accounts["svc-backup"]
	if ada.Email != "ada@corp.example" || ada.EmployeeID != "1001" || ada.Name != "Ada Berg" || ada.LastLoginAt.Format(time.RFC3339) != "2024-09-05T08:53:20Z" {
		t.Errorf("aberg: %+v", ada)
	}
	if ada.PasswordChangedAt == nil || time.Since(*ada.PasswordChangedAt) > time.Hour || ada.CreatedAt == nil || time.Since(*ada.CreatedAt) > time.Hour || truth(ada.Locked) != "false" {
		t.Errorf("aberg: password set %v, created %v, locked %s", ada.PasswordChangedAt, ada.CreatedAt, truth(ada.Locked))
	}
	if ada.Attributes["ou"] != "OU=Berlin,OU=People,"+domain || ada.Attributes["sam_type"] != "805306368" || !strings.HasSuffix(ada.Attributes["sid"], "-"+ada.Attributes["rid"]) {
		t.Errorf("aberg: attributes %q", ada.Attributes)
	}
	if svc.OwnerID != "1002" || svc.Attributes["delegates_to"] != "cifs/host2" || s.accounts["gmsa1$"].OwnerID != "1002" {
		t.Errorf("owners: %q and %q, delegates to %q", svc.OwnerID, s.accounts["gmsa1$"].OwnerID, svc.Attributes["delegates_to"])
	}

	// Effective members: by nesting, around a loop, from other domains, and by primary group.
	for group, want := range map[string]string{
		"Inner":         "[Local] aberg bob",
		"Outer":         "[Inner]",
		"Local":         "S-1-5-21-1-2-3-1105 [Authenticated Users] [Outer] svc-backup",
		"Domain Admins": "Administrator [Inner] gone",
		"News":          "aberg",
	} {
		if got := strings.Join(s.holders(group), " "); got != want {
			t.Errorf("%s: members %q, want %q", group, got, want)
		}
	}
	if got := strings.Join(s.effective("Domain Admins"), " "); got != "Administrator S-1-5-21-1-2-3-1105 aberg bob gone svc-backup" {
		t.Errorf("Domain Admins by any path: %q", got)
	}
	for group, want := range map[string]string{
		"Domain Admins": "true global security", "Administrators": "true domain_local security", "Domain Users": "false global security",
		"Outer": "false universal security", "News": "false global distribution", "Enterprise Admins": "true universal security",
	} {
		e := s.entitlements[group]
		if got := strings.Join([]string{truth(e.Privileged), e.Attributes["scope"], e.Attributes["group_type"]}, " "); got != want || e.Resource != "corp.example" || e.Kind != "group" {
			t.Errorf("%s: %s in %s, want %s", group, got, e.Resource, want)
		}
	}
	if s.entitlements["Inner"].OwnerID != "1001" || s.entitlements["Domain Admins"].Attributes["admin_count"] != "1" {
		t.Errorf("Inner belongs to %q, Domain Admins has adminCount %q", s.entitlements["Inner"].OwnerID, s.entitlements["Domain Admins"].Attributes["admin_count"])
	}
	if p := s.entitlements["Strict"]; p.Kind != "password_policy" || p.Attributes["min_length"] != "20" || p.Attributes["max_age_days"] != "90" || p.Attributes["complexity"] != "true" {
		t.Errorf("fine-grained policy: %+v", p)
	}
	if p := s.entitlements["Default domain password policy"]; p.Attributes["min_length"] != "7" || p.Attributes["max_age_days"] != "42" || p.Attributes["machine_account_quota"] != "10" {
		t.Errorf("domain policy: %+v", p)
	}

	if !strings.Contains(s.Provenance.Request, d.URL()+" "+domain) || s.Provenance.Filter == "" || s.Provenance.Identity == "" || !slices.Contains(s.Provenance.Reads, "grants") {
		t.Errorf("provenance: %+v", s.Provenance)
	}
	if !slices.ContainsFunc(s.Provenance.Notes, func(n string) bool { return strings.Contains(n, "up to 14d behind") }) {
		t.Errorf("no note on the lag of lastLogonTimestamp: %q", s.Provenance.Notes)
	}
}

// guid reads the id of an entry by another way.
func (d *dc) guid(t testing.TB, dn string) string {
	t.Helper()
	out, err := exec.Command("ldbsearch", "-H", d.Database(), "-b", dn, "-s", "base", "objectGUID").CombinedOutput()
	if err != nil {
		t.Fatalf("ldbsearch %s: %v\n%s", dn, err, out)
	}
	for line := range strings.Lines(string(out)) {
		if id, ok := strings.CutPrefix(line, "objectGUID: "); ok {
			return strings.TrimSpace(id)
		}
	}
	t.Fatalf("ldbsearch %s: no objectGUID in\n%s", dn, out)
	return ""
}

func TestComputersAndContacts(t *testing.T) {
	d := corpDC(t)
	config := d.config()
	config.Computers, config.Contacts = true, true
	s := take(t, collector(t, config))
	if ws := s.accounts["WS1$"]; ws.Kind != access.KindMachine || ws.Enabled == nil || !*ws.Enabled {
		t.Errorf("WS1$: %+v", ws)
	}
	if got := strings.Join(s.holders("Outer"), " "); got != " WS1$ [Inner]" { // a contact has no login name
		t.Errorf("Outer: %q", got)
	}
	if got := strings.Join(s.holders("Domain Controllers"), " "); got != "DC1$" {
		t.Errorf("Domain Controllers: %q", got)
	}
}

// Groups that the configuration calls privileged are, whatever the case and the spelling.
func TestPrivilegedByConfiguration(t *testing.T) {
	d := corpDC(t)
	config := d.config()
	config.Privileged = strict.Texts{"inner", "cn=outer, ou=people, dc=corp, dc=example"}
	s := take(t, collector(t, config))
	for group, want := range map[string]bool{"Inner": true, "Outer": true, "Local": false} {
		if got := s.entitlements[group].Privileged; got == nil || *got != want {
			t.Errorf("%s: privileged %v, want %v", group, got, want)
		}
	}
}

func wrongSecret(context.Context, collect.Secret) (string, error) { return "wrong-" + password, nil }

// What the reader may not see is unknown, and nothing else is.
func TestUnreadable(t *testing.T) {
	d := corpDC(t)
	config := d.config()
	config.Bind.DN = "reader@corp.example"
	s := take(t, collector(t, config))
	for _, name := range []string{"aberg", "bob", "gone", "roast"} {
		a, ok := s.accounts[name]
		if !ok || a.Enabled != nil || a.PasswordNeverExpires != nil || a.Attributes["no_preauth"] != "" || a.HasSPN != nil || a.NeverLoggedIn != nil {
			t.Errorf("%s: %+v, want what userAccountControl says unknown", name, a)
		}
	}
	if a := s.accounts["svc-backup"]; a.Enabled == nil || !*a.Enabled {
		t.Errorf("svc-backup: enabled %v", a.Enabled)
	}
	if got := s.Provenance.Coverage["enabled"]; got != access.CoveragePartial {
		t.Errorf("coverage of enabled is %s", got)
	}
	if !slices.ContainsFunc(s.Provenance.Notes, func(n string) bool { return strings.Contains(n, "userAccountControl") && strings.HasPrefix(n, "4 ") }) {
		t.Errorf("the provenance doesn't say why: %q", s.Provenance.Notes)
	}
	if s.Provenance.Identity == "" || strings.Contains(s.Provenance.Identity, "Administrator") {
		t.Errorf("read as %q", s.Provenance.Identity)
	}
}

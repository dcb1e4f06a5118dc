package ldap

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/go-ldap/ldap/v3"

	"github.com/lapse-audit/lapse/collectors/ldap/ldaptest"
	"github.com/lapse-audit/lapse/internal/access"
	"github.com/lapse-audit/lapse/internal/strict"
)

// A second controller of the same domain, which is a copy of the first with sign-ins of its own.
func (d *dc) copy(t testing.TB, name, change string) *dc {
	t.Helper()
	made, err := samba.Copy(d.Dir, name)
	if err != nil {
		t.Fatal(err)
	}
	twin := &dc{made}
	if change != "" {
		if err := twin.Amend(change, "relax:0"); err != nil {
			t.Fatal(err)
		}
	}
	if err := samba.Start(twin.DC); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(twin.Stop)
	return twin
}

// lastLogon is kept by each controller apart: the latest of all counts, and one that wasn't asked is named.
func TestExactSignIn(t *testing.T) {
	d := corpDC(t)
	servers := "CN=Servers,CN=Default-First-Site-Name,CN=Sites,CN=Configuration," + domain
	twin := d.copy(t, "twin", fmt.Sprintf("dn: CN=Roast,OU=People,%s\nchangetype: modify\nreplace: lastLogon\nlastLogon: 134000000000000000\n", domain))
	config := d.config()
	config.CA = bothCAs(t, d, twin)
	config.URL = strict.Texts{d.URL(), twin.URL()}
	if s := take(t, collector(t, config)); s.accounts["roast"].LastLoginAt != nil {
		t.Errorf("roast signed in at %s, which only the second controller knows", s.accounts["roast"].LastLoginAt)
	}
	config.ExactSignIn = true
	s := take(t, collector(t, config))
	if at := s.accounts["roast"].LastLoginAt; at == nil || at.Format(time.DateOnly) != "2025-08-18" || s.accounts["roast"].NeverLoggedIn != nil {
		t.Errorf("roast signed in at %v, never %v", at, s.accounts["roast"].NeverLoggedIn)
	}
	if !slices.Contains(s.Provenance.Notes, "last sign-ins are from lastLogon of every domain controller") {
		t.Errorf("notes: %q", s.Provenance.Notes)
	}

	// A third that the configuration doesn't name.
	admin := d.admin(t)
	add := ldap.NewAddRequest("CN=DC3,"+servers, nil)
	add.Attribute("objectClass", []string{"server"})
	if err := admin.Add(add); err != nil {
		t.Fatal(err)
	}
	defer admin.Del(ldap.NewDelRequest("CN=DC3,"+servers, nil))
	third := fmt.Sprintf("dn: CN=NTDS Settings,CN=DC3,%s\nobjectClass: nTDSDSA\ninvocationId: 7b6f5b0c-1c8e-4e2f-9d43-0c1f0f3f1a11\nmsDS-hasMasterNCs: %s\n", servers, domain)
	if err := ldaptest.Run(strings.NewReader(third), "ldbadd", "-H", d.Database(), "--controls=relax:0"); err != nil {
		t.Fatal(err)
	}
	defer ldaptest.Run(nil, "ldbdel", "-H", d.Database(), "--controls=relax:0", "CN=NTDS Settings,CN=DC3,"+servers)
	s = take(t, collector(t, config))
	if s.Provenance.Coverage["last_login"] != access.CoveragePartial || !slices.ContainsFunc(s.Provenance.Notes, func(n string) bool { return strings.Contains(n, "not read from DC3") }) {
		t.Errorf("coverage %s, notes %q", s.Provenance.Coverage["last_login"], s.Provenance.Notes)
	}

	// One that is down is an error: whoever signed in there would look unused.
	twin.Stop()
	if _, err := tryTake(t.Context(), collector(t, config)); err == nil || !strings.Contains(err.Error(), twin.URL()) {
		t.Errorf("error %v", err)
	}
}

func TestDeletedAccounts(t *testing.T) {
	d := corpDC(t)
	admin := d.admin(t)
	dn := "CN=Leaver,OU=People," + domain
	add := ldap.NewAddRequest(dn, nil)
	add.Attribute("objectClass", []string{"user"})
	add.Attribute("sAMAccountName", []string{"leaver"})
	if err := admin.Add(add); err != nil {
		t.Fatal(err)
	}
	id := d.guid(t, dn)
	if err := admin.Del(ldap.NewDelRequest(dn, nil)); err != nil {
		t.Fatal(err)
	}
	config := d.config()
	if _, there := take(t, collector(t, config)).accounts["leaver"]; there {
		t.Error("a deleted account was read, which nobody asked for")
	}
	config.Deleted = true
	a := take(t, collector(t, config)).accounts["leaver"]
	if a.ID != id || a.Enabled == nil || *a.Enabled || a.Attributes["deleted"] != "true" {
		t.Errorf("deleted account: %+v, want id %s", a, id)
	}
	config.Bind.DN = "reader@corp.example"
	s := take(t, collector(t, config))
	if _, there := s.accounts["leaver"]; there || !slices.ContainsFunc(s.Provenance.Notes, func(n string) bool { return strings.Contains(n, "CN=Deleted Objects") }) {
		t.Errorf("the reader sees %v; notes %q", there, s.Provenance.Notes)
	}
}

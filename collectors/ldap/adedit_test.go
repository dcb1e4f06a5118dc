package ldap

import (
	"fmt"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-ldap/ldap/v3"

	"github.com/lapse-audit/lapse/collectors/ldap/ldaptest"
	"github.com/lapse-audit/lapse/internal/access"
	"github.com/lapse-audit/lapse/internal/collect"
	"github.com/lapse-audit/lapse/internal/collect/collecttest"
)

// Where changes are tried.
const (
	staff    = "OU=Staff," + domain
	leavers  = "OU=Leavers," + domain
	delegate = "writer@corp.example"
	// hostile is the name of an account that holds whatever means something in a DN, a filter or a shell.
	hostile = `CN=O'Neil\, (Eve) \+ \"Co\" *$HOME\\,` + staff
	admin2  = "CN=Second Admin," + staff
)

// changing is a domain in which changes are made.
var changing = sync.OnceValues(func() (*dc, error) {
	var f ldaptest.LDIF
	f.Add(staff, "objectClass: organizationalUnit")
	f.Add(leavers, "objectClass: organizationalUnit")
	user := func(dn, name string, more ...string) {
		f.Add(dn, append([]string{"objectClass: user", "sAMAccountName: " + name, "userAccountControl: 66048", "pw: " + password}, more...)...)
	}
	user("CN=Heir,"+staff, "heir")
	user("CN=Boss,"+staff, "boss")
	user(hostile, "eve", "mail: eve@corp.example", "info: met at the fair", "manager: CN=Boss,"+staff)
	user("CN=Report One,"+staff, "report1", "manager: "+hostile)
	user("CN=Report Two,"+staff, "report2", "manager: "+hostile)
	user(admin2, "admin2", "adminCount: 1")
	user("CN=Writer,"+domain, "writer")
	f.Add("CN=PC1,"+staff, "objectClass: computer", "sAMAccountName: PC1$", "userAccountControl: 4096", "managedBy: "+hostile)
	group := func(cn string, typ int, lines ...string) {
		f.Add("CN="+cn+","+staff, append([]string{"objectClass: group", "sAMAccountName: " + cn, fmt.Sprintf("groupType: %d", typ)}, lines...)...)
	}
	const global, universal, local = -2147483646, -2147483640, -2147483644
	group("Primary", global, "member: "+hostile)
	group("Readers", global, "member: "+hostile, "managedBy: "+hostile)
	group("Outer", universal, "member: CN=Readers,"+staff)
	group("Local", local)
	d, err := makeDC("changing", f.String())
	if err != nil {
		return nil, err
	}
	d.Stop()
	change := fmt.Sprintf("dn: CN=Local,%s\nchangetype: modify\nadd: member\nmember: <SID=S-1-5-21-1-2-3-1105>\n\n", staff)
	if err := d.Amend(change); err != nil {
		return nil, err
	}
	return d, samba.Start(d.DC)
})

func changingDC(t testing.TB) *dc {
	t.Helper()
	ldaptest.Need(t)
	d, err := changing()
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// writing is how to change a controller as somebody.
func (d *dc) writing(who string) Config {
	c := d.config()
	c.Dialect, c.Bind.DN = ActiveDirectory, "heir@corp.example"
	c.Write = &Write{Bind: Bind{Method: Simple, DN: who, Password: secretRef}}
	return c
}

func changer(t testing.TB, c Config) *Changer {
	t.Helper()
	ch, err := collector(t, c).Changer()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { ch.Close() })
	return ch
}

// search is ldapsearch as root, over a socket: sorted lines of what it prints.
func (d *dc) search(t testing.TB, dn string, attributes ...string) string {
	t.Helper()
	return d.find(t, dn, "base", "(objectClass=*)", attributes...)
}

func (d *dc) find(t testing.TB, base, scope, filter string, attributes ...string) string {
	t.Helper()
	args := []string{"-x", "-LLL", "-o", "ldif-wrap=no", "-H", "ldapi://" + strings.ReplaceAll(d.Dir, "/", "%2F") + "%2Fs%2Fprivate%2Fldap_priv%2Fldapi", "-b", base, "-s", scope, filter}
	out, err := exec.Command("ldapsearch", append(args, attributes...)...).CombinedOutput()
	if err != nil {
		return err.Error() + ": " + string(out)
	}
	lines := strings.Split(strings.TrimSpace(string(out)), "\n")
	slices.Sort(lines)
	return strings.Join(lines, "\n")
}

const note = "Disabled 2026-11-25 by plan 7 of Lapse; call the service desk, 4711"

func account(id string) access.Object { return access.Object{Kind: access.HolderAccount, ID: id} }

// corpChanges are all changes that Active Directory knows, each made to the account with the hostile name.
func corpChanges(t testing.TB, d *dc) []collecttest.Changing {
	t.Helper()
	eve := account(d.guid(t, hostile))
	until := time.Date(2026, 11, 30, 17, 0, 0, 0, time.UTC)
	shows := func(dn string, attributes ...string) func(testing.TB) string {
		return func(t testing.TB) string { return d.search(t, dn, attributes...) }
	}
	change := func(c access.Change, witness func(testing.TB) string) collecttest.Changing {
		if c.Object.ID == "" {
			c.Object = eve
		}
		c.Note = note
		return collecttest.Changing{Change: c, Witness: witness}
	}
	group := func(cn string) string { return d.guid(t, "CN="+cn+","+staff) }
	foreign := "CN=S-1-5-21-1-2-3-1105,CN=ForeignSecurityPrincipals," + domain
	return []collecttest.Changing{
		change(access.Change{Action: access.ActionHandover, To: d.guid(t, "CN=Report One,"+staff)}, func(t testing.TB) string {
			return d.find(t, domain, "sub", "(|(manager=*)(managedBy=*))", "manager", "managedBy")
		}),
		change(access.Change{Action: access.ActionDisable}, shows(hostile, "userAccountControl", "info", "description")),
		change(access.Change{Action: access.ActionResetPassword}, shows(hostile, "pwdLastSet")),
		change(access.Change{Action: access.ActionExpire, Until: &until}, shows(hostile, "accountExpires", "info")),
		change(access.Change{Action: access.ActionRevoke, Entitlement: group("Readers")}, shows("CN=Readers,"+staff, "member")),
		change(access.Change{Action: access.ActionRevoke, Entitlement: group("Outer"), Object: access.Object{Kind: access.HolderEntitlement, ID: group("Readers")}}, shows("CN=Outer,"+staff, "member")),
		change(access.Change{Action: access.ActionRevoke, Entitlement: group("Local"), Object: account(d.guid(t, foreign))}, shows("CN=Local,"+staff, "member")),
		change(access.Change{Action: access.ActionClearManager}, shows(hostile, "manager")),
		change(access.Change{Action: access.ActionMove, To: leavers}, func(t testing.TB) string {
			return d.find(t, domain, "sub", "(sAMAccountName=eve)", "memberOf") + d.search(t, "CN=Readers,"+staff, "member")
		}),
	}
}

func TestChangesOfActiveDirectory(t *testing.T) {
	d := changingDC(t)
	collecttest.Changes(t, "Active Directory", changer(t, d.writing(adminDN)), corpChanges(t, d))
}

var _ = ldap.ErrorNetwork
var _ collect.Collector

package ldap

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"path/filepath"
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
	admin3  = "CN=Third Admin," + staff // since a moment ago
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
	user(admin3, "admin3")
	user("CN=Zeroth Admin,"+staff, "admin0", "adminCount: 1")
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
	group("Operators", global, "member: "+admin3)
	for i := range adRights("info") { // each right of the delegate comes by a group, so that one can be taken away
		group(fmt.Sprintf("Right%02d", i), global, "member: CN=Writer,"+domain)
	}
	made, err := samba.Make("changing")
	if err != nil {
		return nil, err
	}
	d := &dc{made}
	if err := d.Load(f.String()); err != nil {
		return nil, err
	}
	add := func(cn, member string) string {
		return fmt.Sprintf("dn: CN=%s\nchangetype: modify\nadd: member\nmember: %s\n\n", cn, member)
	}
	// Active Directory does this every hour to whoever is in an administrative group, and Samba doesn't.
	const protect = "dn: " + admin2 + "\nchangetype: modify\nreplace: nTSecurityDescriptor\nnTSecurityDescriptor: " + adminSDHolder + "\n\n"
	err = d.Amend(add("Local,"+staff, "<SID=S-1-5-21-1-2-3-1105>") + add("Domain Admins,CN=Users,"+domain, admin2) +
		add("Domain Admins,CN=Users,"+domain, "CN=Operators,"+staff) + protect)
	if err != nil {
		return nil, err
	}
	if err := samba.Start(d.DC); err != nil {
		return nil, err
	}
	return d, d.settle()
})

// adminSDHolder is what Microsoft's domains have on AdminSDHolder, and so on their administrators, without what only Exchange
// and terminal servers need: nothing is inherited.
const adminSDHolder = "O:DAG:DAD:PAI(A;;RPLCLORC;;;AU)(A;;RPWPCRCCDCLCLORCWOWDSDDTSW;;;SY)(A;;CCDCLCSWRPWPLOCRRCWDWO;;;DA)" +
	"(A;;CCDCLCSWRPWPLOCRRCWDWO;;;EA)(A;;CCDCLCSWRPWPLOCRSDRCWDWO;;;BA)(OA;;CR;ab721a53-1e2f-11d0-9819-00aa0040529b;;WD)"

// settle does what only a controller that runs can: it gives an account another primary group.
func (d *dc) settle() error {
	c, err := d.Dial()
	if err != nil {
		return err
	}
	defer c.Close()
	primary, err := c.Search(ldap.NewSearchRequest("CN=Primary,"+staff, ldap.ScopeBaseObject, ldap.NeverDerefAliases, 0, 0, false, "(objectClass=*)", []string{"objectSid"}, nil))
	if err != nil {
		return err
	}
	sid, err := sidText(primary.Entries[0].GetRawAttributeValue("objectSid"))
	if err != nil {
		return err
	}
	m := ldap.NewModifyRequest(hostile, nil)
	m.Replace("primaryGroupID", []string{ridOf(sid)})
	return c.Modify(m)
}

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

// fixed is the id of an entry that no test takes away; each is asked for once.
func (d *dc) fixed(t testing.TB, dn string) string {
	t.Helper()
	id, ok := fixed.Load(dn)
	if !ok {
		id = d.guid(t, dn)
		fixed.Store(dn, id)
	}
	return id.(string)
}

var fixed sync.Map

func account(id string) access.Object { return access.Object{Kind: access.HolderAccount, ID: id} }

// corpChanges are all changes that Active Directory knows, each made to the account with the hostile name.
func corpChanges(t testing.TB, d *dc) []collecttest.Changing {
	t.Helper()
	eve := account(d.fixed(t, hostile))
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
	group := func(cn string) string { return d.fixed(t, "CN="+cn+","+staff) }
	foreign := "CN=S-1-5-21-1-2-3-1105,CN=ForeignSecurityPrincipals," + domain
	return []collecttest.Changing{
		change(access.Change{Action: access.ActionHandover, To: d.fixed(t, "CN=Report One,"+staff)}, func(t testing.TB) string {
			return d.find(t, domain, "sub", "(|(manager=*)(managedBy=*))", "manager", "managedBy")
		}),
		change(access.Change{Action: access.ActionDisable}, shows(hostile, "userAccountControl", "info", "description")),
		change(access.Change{Action: access.ActionResetPassword}, shows(hostile, "pwdLastSet")),
		change(access.Change{Action: access.ActionExpire, Until: &until}, shows(hostile, "accountExpires", "info")),
		change(access.Change{Action: access.ActionRevoke, Entitlement: group("Readers")}, shows("CN=Readers,"+staff, "member")),
		change(access.Change{Action: access.ActionRevoke, Entitlement: group("Primary")}, func(t testing.TB) string {
			return d.search(t, hostile, "primaryGroupID", "memberOf") + d.search(t, "CN=Primary,"+staff, "member") + d.search(t, "CN=Domain Users,CN=Users,"+domain, "member")
		}),
		change(access.Change{Action: access.ActionRevoke, Entitlement: group("Outer"), Object: access.Object{Kind: access.HolderEntitlement, ID: group("Readers")}}, shows("CN=Outer,"+staff, "member")),
		change(access.Change{Action: access.ActionRevoke, Entitlement: group("Local"), Object: account(d.fixed(t, foreign))}, shows("CN=Local,"+staff, "member")),
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

// delegated gives the delegate the rights that the doctor's commands give, each by a group of its own.
var delegated = sync.OnceValue(func() error {
	d, err := changing()
	if err != nil {
		return err
	}
	k, err := New(d.config(), Options{UID: "corp", Secret: func(context.Context, collect.Secret) (string, error) { return password, nil }})
	if err != nil {
		return err
	}
	advice, err := k.Diagnose(context.Background())
	if err != nil {
		return err
	}
	sids, err := d.sids()
	if err != nil {
		return err
	}
	var of []string // the right that each command gives
	sddl := map[string]string{}
	for _, a := range advice {
		const begin = "samba-tool dsacl set --objectdn=\""
		command, ok := strings.CutPrefix(a.Detail, begin)
		if !ok || strings.HasPrefix(a.What, "to read ") {
			continue
		}
		at, entry, _ := strings.Cut(command, "\" --sddl=\"")
		at = strings.NewReplacer("DN-OF-WHERE-THEY-GO", leavers, "DN-OF-WHERE-THEY-WERE", staff).Replace(at)
		sddl[at] += strings.Replace(strings.TrimSuffix(entry, "\""), "SID-OF-WRITER", sids[fmt.Sprintf("Right%02d", len(of))], 1)
		of = append(of, a.What)
	}
	if len(of) != len(adRights("info")) {
		return fmt.Errorf("the doctor knows %d commands: %q", len(of), of)
	}
	var all sync.WaitGroup
	failed := make(chan error, len(sddl))
	for at, entries := range sddl {
		all.Go(func() {
			failed <- ldaptest.Run(nil, "samba-tool", "dsacl", "set", "-s", filepath.Join(d.Dir, "s/etc/smb.conf"), "-H", d.Database(), "--objectdn="+at, "--sddl="+entries)
		})
	}
	all.Wait()
	close(failed)
	for e := range failed {
		err = errors.Join(err, e)
	}
	return err
})

// sids are those of the groups Right00, Right01, …
func (d *dc) sids() (map[string]string, error) {
	c, err := d.Dial()
	if err != nil {
		return nil, err
	}
	defer c.Close()
	found, err := c.Search(ldap.NewSearchRequest(staff, ldap.ScopeSingleLevel, ldap.NeverDerefAliases, 0, 0, false, "(cn=Right*)", []string{"cn", "objectSid"}, nil))
	if err != nil {
		return nil, err
	}
	out := map[string]string{}
	for _, e := range found.Entries {
		if out[e.GetAttributeValue("cn")], err = sidText(e.GetRawAttributeValue("objectSid")); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// The rights that the doctor's commands give, and nothing more, are what the delegate needs for every change.
func TestDelegate(t *testing.T) {
	d := changingDC(t)
	if err := delegated(); err != nil {
		t.Fatal(err)
	}
	collecttest.Changes(t, "Active Directory, by the delegate", changer(t, d.writing(delegate)), corpChanges(t, d))
}

// The doctor says what the delegate can do, prints commands for nothing that it has, and finds a delegate that can do nothing.
func TestDoctorOnWriting(t *testing.T) {
	d := changingDC(t)
	if err := delegated(); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		who   string
		can   string
		fault bool
	}{{delegate, "can", false}, {"heir@corp.example", "can't", true}} {
		advice, err := collector(t, d.writing(c.who)).Diagnose(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		fault := false
		said := map[string]string{}
		for _, a := range advice {
			said[a.What] += a.Detail + "\n"
			fault = fault || a.What == "changes" && a.Missing
		}
		if fault != c.fault {
			t.Errorf("%s: fault %v: %s", c.who, fault, said["changes"])
		}
		for _, r := range adRights("info") {
			command, printed := said["to "+r.what]
			switch {
			case r.attribute == "" || r.attribute == "name":
				if !strings.Contains(said["changes"], "can "+r.what+" is only seen when it does") || !printed {
					t.Errorf("%s: %s: %s", c.who, r.what, said["changes"])
				}
			case !strings.Contains(said["changes"], c.can+" "+r.what+", such as "):
				t.Errorf("%s: nothing is said of whether it %s %s: %s", c.who, c.can, r.what, said["changes"])
			case printed == (c.who == delegate):
				t.Errorf("%s: %s: commands %q", c.who, r.what, command)
			}
		}
	}
}

// named is what a refusal says of a missing right.
func (r adRight) named() string {
	switch {
	case r.attribute != "":
		return "write " + r.attribute
	case r.at != "":
		return "create entries of class user in "
	}
	return r.what
}

// thereAndBack makes a change and undoes it, and returns the first error.
func thereAndBack(t testing.TB, c *Changer, ch access.Change) error {
	t.Helper()
	before, err := c.Look(t.Context(), ch.Object)
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Apply(t.Context(), ch); err != nil || ch.Action == access.ActionResetPassword {
		return err
	}
	ch.Undo, ch.Before = true, &before
	return c.Apply(t.Context(), ch)
}

// With one right less, the changes that need it are refused by that name, and nothing else is.
func TestDelegateWithOneRightLess(t *testing.T) {
	d := changingDC(t)
	if err := delegated(); err != nil {
		t.Fatal(err)
	}
	c, changes := d.admin(t), corpChanges(t, d)
	for i, r := range adRights("info") {
		group := fmt.Sprintf("CN=Right%02d,%s", i, staff)
		m := ldap.NewModifyRequest(group, nil)
		m.Delete("member", []string{"CN=Writer," + domain})
		if err := c.Modify(m); err != nil {
			t.Fatal(err)
		}
		t.Run(r.what, func(t *testing.T) {
			writer := changer(t, d.writing(delegate)) // signs in anew, without the group
			refused := 0
			for _, ch := range changes {
				if !slices.Contains(r.actions, ch.Action) {
					if err := writer.May(t.Context(), ch.Change); err != nil {
						t.Errorf("%s doesn't need it: %v", ch.Action, err)
					}
					continue
				}
				was := ch.Witness(t)
				err := thereAndBack(t, writer, ch.Change)
				if err == nil { // a right that only some changes of this kind need
					continue
				}
				refused++
				if !errors.Is(err, access.ErrRefused) || !strings.Contains(err.Error(), r.named()) {
					t.Errorf("%s: %v", ch.Action, err)
				}
				if strings.HasSuffix(r.what, "to undo it") {
					c := ch.Change
					c.Undo, c.Before = true, &access.Live{Keep: map[string][]string{"move": {staff}}}
					if err := changer(t, d.writing(adminDN)).Apply(t.Context(), c); err != nil {
						t.Fatal(err)
					}
				}
				if now := ch.Witness(t); now != was {
					t.Errorf("%s was refused and changed\n%s\ninto\n%s", ch.Action, was, now)
				}
			}
			if refused == 0 {
				t.Error("nothing needs it")
			}
		})
		m = ldap.NewModifyRequest(group, nil)
		m.Add("member", []string{"CN=Writer," + domain})
		if err := c.Modify(m); err != nil {
			t.Fatal(err)
		}
	}
}

package ldap

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/go-ldap/ldap/v3"

	"github.com/lapse-audit/lapse/collectors/ldap/ldaptest"
	"github.com/lapse-audit/lapse/internal/access"
	"github.com/lapse-audit/lapse/internal/collect/collecttest"
	"github.com/lapse-audit/lapse/internal/strict"
)

// shop is a directory in which changes are made.
const shop = office + `
dn: ou=leavers,dc=office,dc=example
objectClass: organizationalUnit
ou: leavers
entryUUID: 00000000-0000-4000-8000-0000000000b0

dn: cn=Bob's \2C (wife) \2B \22Co\22 *$HOME,ou=people,dc=office,dc=example
objectClass: inetOrgPerson
objectClass: posixAccount
objectClass: shadowAccount
cn: Bob's , (wife) + "Co" *$HOME
sn: Eve
uid: eve
uidNumber: 1077
gidNumber: 1077
homeDirectory: /home/eve
description: met at the fair
manager: uid=ada,ou=people,dc=office,dc=example
loginShell: /bin/bash
shadowExpire: 30000
userPassword: hunter3hunter3
memberOf: cn=sales,ou=groups,dc=office,dc=example
memberOf: cn=lonely,ou=groups,dc=office,dc=example
entryUUID: 00000000-0000-4000-8000-0000000000b1

dn: uid=report,ou=people,dc=office,dc=example
objectClass: inetOrgPerson
uid: report
cn: Report
sn: Report
manager: cn=Bob's \2C (wife) \2B \22Co\22 *$HOME,ou=people,dc=office,dc=example
manager: uid=toor,ou=people,dc=office,dc=example
entryUUID: 00000000-0000-4000-8000-0000000000b2

dn: cn=sales,ou=groups,dc=office,dc=example
objectClass: groupOfNames
cn: sales
owner: cn=Bob's \2C (wife) \2B \22Co\22 *$HOME,ou=people,dc=office,dc=example
member: cn=Bob's \2C (wife) \2B \22Co\22 *$HOME,ou=people,dc=office,dc=example
member: uid=ada,ou=people,dc=office,dc=example
entryUUID: 00000000-0000-4000-8000-0000000000b3

dn: cn=lonely,ou=groups,dc=office,dc=example
objectClass: groupOfNames
cn: lonely
member: cn=Bob's \2C (wife) \2B \22Co\22 *$HOME,ou=people,dc=office,dc=example
entryUUID: 00000000-0000-4000-8000-0000000000b4

dn: cn=unique,ou=groups,dc=office,dc=example
objectClass: groupOfUniqueNames
cn: unique
uniqueMember: cn=Bob's \2C (wife) \2B \22Co\22 *$HOME,ou=people,dc=office,dc=example#'0101'B
uniqueMember: uid=svc,ou=people,dc=office,dc=example
entryUUID: 00000000-0000-4000-8000-0000000000b5

dn: cn=wheels,ou=groups,dc=office,dc=example
objectClass: posixGroup
cn: wheels
gidNumber: 900
memberUid: EVE
memberUid: ada
entryUUID: 00000000-0000-4000-8000-0000000000b6
`

const (
	eveDN    = `cn=Bob's \2C (wife) \2B \22Co\22 *$HOME,ou=people,dc=office,dc=example`
	eveID    = "00000000-0000-4000-8000-0000000000b1"
	reportID = "00000000-0000-4000-8000-0000000000b2"
)

func groupID(last string) string { return "00000000-0000-4000-8000-0000000000" + last }

// shopServer is an OpenLDAP server to make changes in, over TLS.
type shopServer struct {
	*slapd
	ca string
}

func startShop(t testing.TB, ldif string, c slapdConfig) *shopServer {
	t.Helper()
	dir := t.TempDir()
	ca, key := filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	if err := ldaptest.WriteCert(ca, key, "127.0.0.1", "localhost", time.Hour); err != nil {
		t.Fatal(err)
	}
	c.global += fmt.Sprintf("\nTLSCertificateFile %s\nTLSCertificateKeyFile %s\nTLSCACertificateFile %s\n", ca, key, ca)
	return &shopServer{startSlapdWith(t, ldif, c), ca}
}

func (s *shopServer) writing() Config {
	return Config{URL: strict.Texts{s.url}, StartTLS: true, CA: s.ca, Dialect: RFC2307, Base: strict.Texts{s.suffix},
		Write: &Write{Bind: Bind{DN: s.rootDN(), Password: secretRef}}}
}

// search is ldapsearch: sorted lines of what it prints.
func (s *shopServer) search(t testing.TB, base, scope, filter string, attributes ...string) string {
	t.Helper()
	args := []string{"-x", "-LLL", "-o", "ldif-wrap=no", "-H", s.url, "-D", s.rootDN(), "-w", password, "-b", base, "-s", scope, filter}
	out, err := exec.Command("ldapsearch", append(args, attributes...)...).CombinedOutput()
	if err != nil {
		return err.Error() + ": " + string(out)
	}
	lines := strings.Split(strings.TrimSpace(string(out)), "\n")
	slices.Sort(lines)
	return strings.Join(lines, "\n")
}

// whole is all that the server holds, but for when and by whom it was changed.
func (s *shopServer) whole(t testing.TB) string {
	t.Helper()
	return s.search(t, s.suffix, "sub", "(objectClass=*)", "*", "pwdAccountLockedTime", "pwdEndTime", "entryUUID", "memberOf")
}

// linked are overlays that change entries along with those that we change: memberOf of members, member of groups.
func linked() slapdConfig {
	c := overlays
	c.database = strings.Replace(c.database, "overlay memberof", "overlay memberof\nmemberof-refint TRUE", 1)
	return c
}

func officeChanges(s *shopServer) []collecttest.Changing {
	midnight := time.Date(2026, 11, 30, 0, 0, 0, 0, time.UTC)
	evening := midnight.Add(17 * time.Hour)
	var out []collecttest.Changing
	for _, c := range []access.Change{
		{Action: access.ActionHandover, To: reportID},
		{Action: access.ActionDisable},
		{Action: access.ActionResetPassword},
		{Action: access.ActionExpire, Until: &midnight},
		{Action: access.ActionExpire, Until: &evening},
		{Action: access.ActionRevoke, Entitlement: groupID("b3")},
		{Action: access.ActionRevoke, Entitlement: groupID("b5")},
		{Action: access.ActionRevoke, Entitlement: groupID("b6")},
		{Action: access.ActionRevoke, Entitlement: groupID("14"), Object: access.Object{Kind: access.HolderEntitlement, ID: groupID("13")}},
		{Action: access.ActionClearManager},
		{Action: access.ActionMove, To: "ou=leavers,dc=office,dc=example"},
	} {
		if c.Object.ID == "" {
			c.Object = account(eveID)
		}
		c.Note = note
		out = append(out, collecttest.Changing{Change: c, Witness: s.whole})
	}
	return out
}

func TestChangesOfOpenLDAP(t *testing.T) {
	s := startShop(t, shop, linked())
	collecttest.Changes(t, "OpenLDAP", changer(t, s.writing()), officeChanges(s))
}

// native runs commands as a person would paste them, but for being asked for the password.
func (s *shopServer) native(t testing.TB, commands []string) {
	t.Helper()
	for _, c := range commands {
		if strings.Contains(c, password) {
			t.Fatalf("the command holds the password: %s", c)
		}
		cmd := exec.Command("sh", "-c", strings.ReplaceAll(c, " -W", " -w '"+password+"'"))
		cmd.Env = append(os.Environ(), "LDAPTLS_CACERT="+s.ca)
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Errorf("%s: %v\n%s", c, err, out)
		}
	}
}

// differs are the lines that one text has and the other has not.
func differs(a, b string) string {
	x, y := strings.Split(a, "\n"), strings.Split(b, "\n")
	var out []string
	for _, l := range x {
		if i := slices.Index(y, l); i >= 0 {
			y = slices.Delete(y, i, i+1)
		} else {
			out = append(out, "- "+l)
		}
	}
	for _, l := range y {
		out = append(out, "+ "+l)
	}
	return strings.Join(out, "\n")
}

// The commands do what the changer does, but for the note, and put it back.
func TestNativeOfOpenLDAP(t *testing.T) {
	s := startShop(t, shop, linked())
	w := changer(t, s.writing())
	notes := regexp.MustCompile(`(?m)^description: .*Lapse.*\n`)
	for _, ch := range officeChanges(s) {
		was := s.whole(t)
		before, err := w.Look(t.Context(), ch.Object)
		if err != nil {
			t.Fatal(err)
		}
		undo := ch.Change
		undo.Undo, undo.Before = true, &before
		there, back := w.Native(ch.Change), w.Native(undo)
		s.native(t, there)
		byHand := s.whole(t)
		if ch.Action == access.ActionResetPassword { // which can't be compared: it is made up
			if byHand == was {
				t.Errorf("%s: %q have changed nothing", ch.Action, there)
			}
			continue
		}
		s.native(t, back)
		if now := s.whole(t); now != was {
			t.Errorf("%s: %q and %q change %s", ch.Action, there, back, differs(was, now))
		}
		if err := w.Apply(t.Context(), ch.Change); err != nil {
			t.Fatal(err)
		}
		if applied := notes.ReplaceAllString(s.whole(t), ""); byHand != applied || applied == was {
			t.Errorf("%s: what applying does, %q does otherwise: %s", ch.Action, there, differs(applied, byHand))
		}
		if err := w.Apply(t.Context(), undo); err != nil {
			t.Fatal(err)
		}
	}
}

func TestRefusalsOfOpenLDAP(t *testing.T) {
	acl := linked()
	acl.database += "\naccess to attrs=userPassword by anonymous auth\naccess to * by users read"
	s := startShop(t, shop, acl)
	root := changer(t, s.writing())
	config := s.writing()
	config.Write.Bind.DN = "uid=writer,ou=people,dc=office,dc=example"
	s.add(t, config.Write.Bind.DN, "inetOrgPerson", "writer")
	reader := changer(t, config)
	config = s.writing()
	config.Write.Note = "employeeType"
	misplaced := changer(t, config)
	until := time.Date(2026, 11, 30, 0, 0, 0, 0, time.UTC)
	was := s.whole(t)
	for _, c := range []struct {
		by *Changer
		access.Change
		want error
		says string
	}{
		{root, access.Change{Action: access.ActionEndSessions}, access.ErrCannot, "no sessions"},
		{root, access.Change{Action: access.ActionDelete}, access.ErrCannot, "can't be put back"},
		{root, access.Change{Action: access.ActionDisable, Object: account("00000000-0000-4000-8000-00000000dead")}, access.ErrGone, ""},
		{root, access.Change{Action: access.ActionDisable, Object: account("*")}, access.ErrGone, ""},
		{root, access.Change{Action: access.ActionDisable, Object: account("dn:uid=ada,ou=people,dc=office,dc=example")}, access.ErrCannot, "entryUUID"},
		{root, access.Change{Action: access.ActionRevoke, Entitlement: groupID("b4")}, access.ErrRefused, "last member"},
		{root, access.Change{Action: access.ActionRevoke, Entitlement: groupID("12"), Object: account(groupID("a1"))}, access.ErrCannot, "gidNumber"},
		{root, access.Change{Action: access.ActionRevoke, Entitlement: groupID("15"), Object: account(groupID("a1"))}, access.ErrCannot, "memberURL"},
		{misplaced, access.Change{Action: access.ActionDisable, Object: account(groupID("a4")), Note: note}, access.ErrRefused, "attributes of its classes"},
		{root, access.Change{Action: access.ActionMove, To: "ou=nowhere,dc=office,dc=example"}, access.ErrRefused, "there is no container"},
		{root, access.Change{Action: access.ActionMove, To: "nowhere"}, access.ErrRefused, "no DN"},
		{root, access.Change{Action: access.ActionHandover, To: eveID}, access.ErrRefused, "to itself"},
		{root, access.Change{Action: access.ActionHandover, To: "somebody"}, access.ErrRefused, "there is no account"},
		{reader, access.Change{Action: access.ActionDisable}, access.ErrRefused, "write pwdAccountLockedTime"},
		{reader, access.Change{Action: access.ActionExpire, Until: &until}, access.ErrRefused, "shadowExpire"},
		{reader, access.Change{Action: access.ActionResetPassword}, access.ErrRefused, "write userPassword"},
		{reader, access.Change{Action: access.ActionRevoke, Entitlement: groupID("b3")}, access.ErrRefused, "write member"},
		{reader, access.Change{Action: access.ActionClearManager}, access.ErrRefused, "write manager"},
		{reader, access.Change{Action: access.ActionHandover, To: reportID}, access.ErrRefused, "write owner"},
		{reader, access.Change{Action: access.ActionMove, To: "ou=leavers,dc=office,dc=example"}, access.ErrRefused, "children of the containers"},
	} {
		if c.Object.ID == "" {
			c.Object = account(eveID)
		}
		err := c.by.Apply(t.Context(), c.Change)
		if !errors.Is(err, c.want) || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: %v, want %v with %q", c.Action, err, c.want, c.says)
		}
	}
	if now := s.whole(t); now != was {
		t.Errorf("what was refused has changed %s", differs(was, now))
	}
}

// add makes an entry of a class that has a surname, with the password of all.
func (s *shopServer) add(t testing.TB, dn, class, name string) {
	t.Helper()
	s.modify(t, "dn: "+dn, "changetype: add", "objectClass: "+class, "uid: "+name, "cn: "+name, "sn: "+name, "userPassword: "+password)
}

// modify is ldapmodify.
func (s *shopServer) modify(t testing.TB, lines ...string) {
	t.Helper()
	cmd := exec.Command("ldapmodify", "-x", "-H", s.url, "-D", s.rootDN(), "-w", password)
	cmd.Stdin = strings.NewReader(strings.Join(lines, "\n") + "\n")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("ldapmodify: %v\n%s", err, out)
	}
}

// Another entry with the DN of one that is gone is not it, and not even where it came a moment before the change.
func TestRecreatedInOpenLDAP(t *testing.T) {
	s := startShop(t, shop, linked())
	w := changer(t, s.writing())
	const dn = "uid=phoenix,ou=people,dc=office,dc=example"
	s.add(t, dn, "inetOrgPerson", "phoenix")
	id := strings.TrimPrefix(strings.Split(s.search(t, dn, "base", "(objectClass=*)", "entryUUID"), "\n")[1], "entryUUID: ")
	c := access.Change{Action: access.ActionDisable, Object: account(id), Note: note}
	err := w.with(t.Context(), func(sess *session) error {
		v, err := w.editor().find(t.Context(), sess, c.Object)
		if err != nil {
			return err
		}
		steps, err := w.editor().steps(t.Context(), sess, v, c)
		if err != nil || len(steps) != 1 {
			t.Fatalf("%d steps, %v", len(steps), err)
		}
		s.modify(t, "dn: "+dn, "changetype: delete")
		s.add(t, dn, "inetOrgPerson", "phoenix")
		return steps[0].send(t.Context(), sess)
	})
	if !ldap.IsErrorWithCode(err, ldap.LDAPResultAssertionFailed) {
		t.Errorf("re-created just before the change: %v", err)
	}
	if err := w.Apply(t.Context(), c); !errors.Is(err, access.ErrGone) {
		t.Errorf("apply: %v", err)
	}
	if _, err := w.Look(t.Context(), c.Object); !errors.Is(err, access.ErrGone) {
		t.Errorf("look: %v", err)
	}
	if got := s.search(t, dn, "base", "(objectClass=*)", "pwdAccountLockedTime", "description"); got != "dn: "+dn {
		t.Errorf("the new one is %s", got)
	}
}

func TestLookIsLikeCollectingOpenLDAP(t *testing.T) {
	s := startShop(t, shop, linked())
	config := s.writing()
	config.Bind = Bind{Method: Simple, DN: s.rootDN(), Password: secretRef}
	looksLike(t, changer(t, config), take(t, collector(t, config)))
}

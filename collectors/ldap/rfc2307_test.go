package ldap

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/go-ldap/ldap/v3"
	"github.com/google/go-cmp/cmp"

	"github.com/lapse-audit/lapse/internal/access"
	"github.com/lapse-audit/lapse/internal/collect"
	"github.com/lapse-audit/lapse/internal/collect/collecttest"
	"github.com/lapse-audit/lapse/internal/strict"
)

// office is a small directory with one of everything that OpenLDAP knows.
const office = `dn: dc=office,dc=example
objectClass: domain
dc: office
entryUUID: 00000000-0000-4000-8000-000000000001

dn: ou=people,dc=office,dc=example
objectClass: organizationalUnit
ou: people
entryUUID: 00000000-0000-4000-8000-000000000002

dn: ou=groups,dc=office,dc=example
objectClass: organizationalUnit
ou: groups
entryUUID: 00000000-0000-4000-8000-000000000003

dn: cn=default,dc=office,dc=example
objectClass: applicationProcess
objectClass: pwdPolicy
cn: default
pwdAttribute: userPassword
entryUUID: 00000000-0000-4000-8000-000000000004

dn: cn=wheel,ou=groups,dc=office,dc=example
objectClass: posixGroup
cn: wheel
gidNumber: 0
memberUid: ADA
memberUid: nobody-here
entryUUID: 00000000-0000-4000-8000-000000000011

dn: cn=staff,ou=groups,dc=office,dc=example
objectClass: posixGroup
cn: staff
gidNumber: 500
entryUUID: 00000000-0000-4000-8000-000000000012

dn: cn=engineers,ou=groups,dc=office,dc=example
objectClass: groupOfNames
cn: engineers
owner: uid=ada,ou=people,dc=office,dc=example
member: UID=Ada, OU=People, DC=office, DC=example
member: cn=Bob \, the Builder,ou=people,dc=office,dc=example
member: uid=left,ou=people,dc=office,dc=example
entryUUID: 00000000-0000-4000-8000-000000000013

dn: cn=everybody,ou=groups,dc=office,dc=example
objectClass: groupOfUniqueNames
cn: everybody
uniqueMember: cn=engineers,ou=groups,dc=office,dc=example#'0101'B
uniqueMember: uid=svc,ou=people,dc=office,dc=example
entryUUID: 00000000-0000-4000-8000-000000000014

dn: cn=berlin,ou=groups,dc=office,dc=example
objectClass: groupOfURLs
cn: berlin
memberURL: ldap:///ou=people,dc=office,dc=example??sub?(%26(objectClass=inetOrgPerson)(l=Berlin))
entryUUID: 00000000-0000-4000-8000-000000000015

dn: cn=operator,ou=groups,dc=office,dc=example
objectClass: organizationalRole
cn: operator
roleOccupant: uid=ada,ou=people,dc=office,dc=example
entryUUID: 00000000-0000-4000-8000-000000000016

dn: uid=ada,ou=people,dc=office,dc=example
objectClass: inetOrgPerson
objectClass: posixAccount
objectClass: shadowAccount
uid: ada
cn: Ada Berg
cn;lang-de: Ada von Berg
sn: Berg
displayName: Ada
mail: ada@office.example
employeeNumber: 1001
employeeType: permanent
l: Berlin
uidNumber: 1001
gidNumber: 500
homeDirectory: /home/ada
loginShell: /bin/bash
userPassword: {SSHA}hunter2hunter2
shadowExpire: 20818
shadowLastChange: 20000
pwdChangedTime: 20260102030405Z
pwdLastSuccess: 20260304050607.123456Z
createTimestamp: 20250101000000Z
entryUUID: 00000000-0000-4000-8000-0000000000A1

dn: cn=Bob \2C the Builder,ou=people,dc=office,dc=example
objectClass: inetOrgPerson
cn: Bob , the Builder
sn: Bob
l: berlin
manager: uid=ada,ou=people,dc=office,dc=example
pwdAccountLockedTime: 20260101000000Z
entryUUID: 00000000-0000-4000-8000-0000000000a2

dn: uid=left,ou=people,dc=office,dc=example
objectClass: inetOrgPerson
uid: left
cn: Left
sn: Left
l: Paris
pwdAccountLockedTime: 000001010000Z
entryUUID: 00000000-0000-4000-8000-0000000000a3

dn: uid=svc,ou=people,dc=office,dc=example
objectClass: account
objectClass: simpleSecurityObject
uid: svc
userPassword: {SSHA}hunter2hunter2
entryUUID: 00000000-0000-4000-8000-0000000000a4

dn: uid=toor,ou=people,dc=office,dc=example
objectClass: account
objectClass: posixAccount
uid: toor
uid: toor2
cn: toor
uidNumber: 0
gidNumber: 0
homeDirectory: /root
entryUUID: 00000000-0000-4000-8000-0000000000a5
`

// overlays are what the office's server has.
var overlays = slapdConfig{
	global:   "moduleload ppolicy\nmoduleload memberof\nmoduleload lastbind",
	database: "overlay ppolicy\nppolicy_default cn=default,dc=office,dc=example\noverlay memberof\noverlay lastbind",
}

// fromLDIF is a collector of a text.
func fromLDIF(t testing.TB, text string, change ...func(*Config)) *Collector {
	t.Helper()
	name := filepath.Join(t.TempDir(), "export.ldif")
	if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	c := Config{URL: strict.Texts{"ldif:" + name}}
	for _, f := range change {
		f(&c)
	}
	return collector(t, c)
}

// records are all of a snapshot, as text, sorted.
func (s *snapshot) records() []string {
	var out []string
	for _, a := range s.accounts {
		out = append(out, fmt.Sprintf("account %s %s", a.ID, showAccount(a)))
	}
	for _, e := range s.entitlements {
		out = append(out, fmt.Sprintf("entitlement %+v privileged %s", e, showFlag(e.Privileged)))
	}
	for _, g := range s.grants {
		out = append(out, fmt.Sprintf("grant %+v", g))
	}
	slices.Sort(out)
	for i, r := range out { // an address is different each time
		if strings.HasPrefix(r, "entitlement") {
			e := strings.Index(r, "Privileged:")
			out[i] = r[:e] + r[strings.Index(r, "HighRisk:"):]
		}
	}
	return out
}

func showFlag(b *bool) string {
	if b == nil {
		return "?"
	}
	return fmt.Sprint(*b)
}

func showTime(t *time.Time) string {
	if t == nil {
		return "?"
	}
	return t.Format(time.RFC3339Nano)
}

// showAccount writes what a directory says of an account.
func showAccount(a access.Account) string {
	return fmt.Sprintf("%s|%s|%s|%s|%s enabled %s locked %s privileged %s created %s login %s never %s password %s expires %s owner %s %v", a.Username, a.Name, a.Email, a.EmployeeID, a.Kind,
		showFlag(a.Enabled), showFlag(a.Locked), showFlag(a.Privileged), showTime(a.CreatedAt), showTime(a.LastLoginAt), showFlag(a.NeverLoggedIn), showTime(a.PasswordChangedAt), showTime(a.ExpiresAt), a.OwnerID, a.Attributes)
}

// The same directory, from a server and from a file.
func TestRFC2307(t *testing.T) {
	server := startSlapdWith(t, office, overlays)
	config := Config{URL: strict.Texts{server.url}, Base: strict.Texts{"dc=office,dc=example"}}
	online := take(t, collector(t, config))
	offline := take(t, fromLDIF(t, office))
	exported := take(t, fromLDIF(t, server.export(t)))

	// createTimestamp is the server's own where the file has none.
	for _, s := range []*snapshot{online, offline, exported} {
		for name, a := range s.accounts {
			if name != "ada" {
				a.CreatedAt = nil
				s.accounts[name] = a
			}
		}
	}
	if d := cmp.Diff(online.records(), offline.records()); d != "" {
		t.Errorf("from the server and from the file it was loaded from (-, +):\n%s", d)
	}
	if d := cmp.Diff(online.records(), exported.records()); d != "" {
		t.Errorf("from the server and from its export (-, +):\n%s", d)
	}
	if d := cmp.Diff(online.Provenance.Notes, offline.Provenance.Notes); d != "" {
		t.Error(d)
	}

	for username, want := range map[string]string{
		"ada": "ada|Ada|ada@office.example|1001| enabled true locked false privileged ? created 2025-01-01T00:00:00Z login 2026-03-04T05:06:07.123456Z never ? password 2026-01-02T03:04:05Z expires 2026-12-31T00:00:00Z owner  " +
			"map[dn:uid=ada,ou=people,dc=office,dc=example employee_type:permanent gid_number:500 login_shell:/bin/bash ou:ou=people,dc=office,dc=example uid_number:1001]",
		"Bob , the Builder": "Bob , the Builder|Bob , the Builder||| enabled true locked ? privileged ? created ? login ? never ? password ? expires ? owner  " +
			"map[dn:cn=Bob \\2C the Builder,ou=people,dc=office,dc=example manager:uid=ada,ou=people,dc=office,dc=example ou:ou=people,dc=office,dc=example]",
		"left": "left|Left||| enabled false locked true privileged ? created ? login ? never ? password ? expires ? owner  map[dn:uid=left,ou=people,dc=office,dc=example ou:ou=people,dc=office,dc=example]",
		"svc":  "svc||||service enabled true locked false privileged ? created ? login ? never ? password ? expires ? owner  map[dn:uid=svc,ou=people,dc=office,dc=example ou:ou=people,dc=office,dc=example]",
		"toor": "toor|toor||| enabled true locked false privileged true created ? login ? never ? password ? expires ? owner  map[dn:uid=toor,ou=people,dc=office,dc=example gid_number:0 ou:ou=people,dc=office,dc=example uid_number:0]",
	} {
		if d := cmp.Diff(want, showAccount(online.accounts[username])); d != "" {
			t.Errorf("%s:\n%s", username, d)
		}
	}
	for name, want := range map[string][]string{
		"wheel":     {"ada", "toor"},
		"staff":     {"ada"},
		"engineers": {"Bob , the Builder", "ada", "left"},
		"everybody": {"[engineers]", "svc"},
		"berlin":    {"Bob , the Builder", "ada"},
		"operator":  {"ada"},
	} {
		if got := online.holders(name); !slices.Equal(got, want) {
			t.Errorf("%s is held by %q, want %q", name, got, want)
		}
	}
	if got := online.effective("everybody"); !slices.Equal(got, []string{"Bob , the Builder", "ada", "left", "svc"}) {
		t.Errorf("everybody are %q", got)
	}
	if e := online.entitlements["engineers"]; e.OwnerID != "1001" || e.Privileged != nil || e.ID != "00000000-0000-4000-8000-000000000013" {
		t.Errorf("engineers: %+v", e)
	}
	if e := online.entitlements["wheel"]; showFlag(e.Privileged) != "true" {
		t.Errorf("wheel: %+v", e)
	}
	if e := online.entitlements["operator"]; e.Kind != "role" || e.Resource != "office.example" {
		t.Errorf("operator: %+v", e)
	}
	if len(online.accounts) != 5 || len(online.entitlements) != 6 { // the password policy is neither
		t.Errorf("%d accounts, %d entitlements", len(online.accounts), len(online.entitlements))
	}
	if a := online.accounts["ada"]; a.ID != "00000000-0000-4000-8000-0000000000a1" {
		t.Errorf("ada's id is %s", a.ID)
	}
	if want := []string{"1 memberships name an entry that was not read"}; len(online.Provenance.Notes) != 1 || !strings.HasPrefix(online.Provenance.Notes[0], want[0]) {
		t.Errorf("notes %q, want %q", online.Provenance.Notes, want)
	}
}

// The suite that each collector passes, over a server and over a file.
func TestRFC2307Suite(t *testing.T) {
	server := startSlapdWith(t, office, overlays)
	broken := map[string]func(testing.TB) collect.Collector{
		"no server": func(t testing.TB) collect.Collector {
			return collector(t, Config{URL: strict.Texts{"ldap://127.0.0.1:1"}})
		},
		"no such base": func(t testing.TB) collect.Collector {
			return collector(t, Config{URL: strict.Texts{server.url}, Base: strict.Texts{"dc=elsewhere"}})
		},
		"no file": func(t testing.TB) collect.Collector {
			return collector(t, Config{URL: strict.Texts{"ldif:nowhere.ldif"}})
		},
		"a file that was cut off": func(t testing.TB) collect.Collector {
			return fromLDIF(t, office[:len(office)-30])
		},
		"changes":      func(t testing.TB) collect.Collector { return fromLDIF(t, "dn: dc=x\nchangetype: delete\n") },
		"an empty one": func(t testing.TB) collect.Collector { return fromLDIF(t, "version: 1\n") },
	}
	rejecting := office + "\ndn: uid=x\\zz,ou=people,dc=office,dc=example\nobjectClass: account\nuid: x\nuserPassword: hunter2hunter2\n" +
		"\ndn: uid=y,ou=people,dc=office,dc=example\nobjectClass: account\nuid: y\n"
	secrets := []string{"hunter2hunter2", password}
	t.Run("server", func(t *testing.T) {
		collecttest.Run(t, collecttest.Spec{
			New: func(t testing.TB) collect.Collector {
				return collector(t, Config{URL: strict.Texts{server.url}})
			},
			Broken: broken, Secrets: secrets,
		})
	})
	t.Run("file", func(t *testing.T) {
		collecttest.Run(t, collecttest.Spec{
			New:       func(t testing.TB) collect.Collector { return fromLDIF(t, office) },
			Rejecting: func(t testing.TB) collect.Collector { return fromLDIF(t, rejecting) },
			Broken:    broken, Secrets: secrets,
		})
	})
}

// person is an entry of LDIF with an id.
func person(uid string, lines ...string) string {
	return fmt.Sprintf("dn: uid=%[1]s,dc=x\nobjectClass: inetOrgPerson\nuid: %[1]s\nentryUUID: id-%[1]s\n%[2]s\n", uid, strings.Join(append(lines, ""), "\n"))
}

// What each server says of whether an account can be used, and when it was. The first entry of each is judged; the others
// show that the directory uses an attribute at all.
func TestAccountState(t *testing.T) {
	const no, yes, unknown = "false", "true", "?"
	for _, c := range []struct {
		name            string
		lines           string // of the entry
		other           string // and of another
		enabled, locked string
		login, password string
		expires         string
	}{
		{name: "no password policy: nothing is known", lines: "cn: a", enabled: unknown, locked: unknown},
		{name: "locked for good", lines: "pwdAccountLockedTime: 000001010000Z", enabled: no, locked: yes},
		{name: "locked at a time: for how long isn't known", lines: "pwdAccountLockedTime: 20260101000000Z", enabled: yes, locked: unknown},
		{name: "not locked where others are", lines: "cn: a", other: "pwdAccountLockedTime: 20260101000000Z", enabled: yes, locked: no},
		{name: "not locked beside other marks of a policy", lines: "pwdChangedTime: 20260101000000Z", enabled: yes, locked: no, password: "2026-01-01T00:00:00Z"},
		{name: "a policy ends the password", lines: "pwdReset: TRUE\npwdEndTime: 20270101000000Z", enabled: yes, locked: no, expires: "2027-01-01T00:00:00Z"},

		{name: "389: locked", lines: "nsAccountLock: true", enabled: no, locked: unknown},
		{name: "389: locked, in capitals", lines: "nsAccountLock: TRUE", enabled: no, locked: unknown},
		{name: "389: not locked, and told", lines: "nsAccountLock: FALSE", enabled: yes, locked: unknown},
		{name: "389: not locked where others are", lines: "cn: a", other: "nsAccountLock: true", enabled: yes, locked: unknown},
		{name: "389: a value that is none", lines: "nsAccountLock: maybe", enabled: unknown, locked: unknown},
		{name: "389: too many failures, until somebody unlocks", lines: "accountUnlockTime: 19700101000000Z", enabled: unknown, locked: yes},
		{name: "389: too many failures, for a while yet", lines: "accountUnlockTime: 22000101000000Z", enabled: unknown, locked: yes},
		{name: "389: too many failures, once", lines: "accountUnlockTime: 20200101000000Z", enabled: unknown, locked: no},
		{name: "389: last use", lines: "lastLoginTime: 20260101000000Z", enabled: unknown, locked: unknown, login: "2026-01-01T00:00:00Z"},
		{name: "eDirectory", lines: "loginDisabled: TRUE\nloginTime: 20260101000000Z", enabled: no, locked: unknown, login: "2026-01-01T00:00:00Z"},
		{name: "one says no, one says yes", lines: "nsAccountLock: false\npwdAccountLockedTime: 000001010000Z", enabled: no, locked: yes},

		{name: "never used is not known from silence", lines: "cn: a", other: "authTimestamp: 20260101000000Z", enabled: unknown, locked: unknown},
		{name: "the later of two uses", lines: "authTimestamp: 20260101000000Z\npwdLastSuccess: 20260201000000.5Z", enabled: unknown, locked: unknown, login: "2026-02-01T00:00:00.5Z"},
		{name: "shadow", lines: "shadowExpire: 20000\nshadowLastChange: 19000", enabled: unknown, locked: unknown, expires: "2024-10-04T00:00:00Z", password: "2022-01-08T00:00:00Z"},
		{name: "shadow that says nothing", lines: "shadowExpire: -1\nshadowLastChange: 0", enabled: unknown, locked: unknown},
		{name: "shadow out of range", lines: "shadowExpire: 99999999999\nshadowLastChange: 999999", enabled: unknown, locked: unknown},
		{name: "shadow that is no number", lines: "shadowExpire: never", enabled: unknown, locked: unknown},
		{name: "the earlier of two ends", lines: "shadowExpire: 20000\npwdEndTime: 20200101000000Z\nkrbPrincipalExpiration: 20210101000000Z", enabled: unknown, locked: unknown, expires: "2020-01-01T00:00:00Z"},
		{name: "times that are none", lines: "authTimestamp: yesterday\npwdChangedTime: 16010101000000Z", enabled: yes, locked: no},
	} {
		t.Run(c.name, func(t *testing.T) {
			text := person("a", c.lines)
			if c.other != "" {
				text += person("b", c.other)
			}
			s := take(t, fromLDIF(t, text))
			a := s.accounts["a"]
			for what, pair := range map[string][2]string{
				"enabled": {showFlag(a.Enabled), c.enabled}, "locked": {showFlag(a.Locked), c.locked}, "never": {showFlag(a.NeverLoggedIn), unknown},
				"login": {showTime(a.LastLoginAt), orUnknown(c.login)}, "password": {showTime(a.PasswordChangedAt), orUnknown(c.password)}, "expires": {showTime(a.ExpiresAt), orUnknown(c.expires)},
			} {
				if pair[0] != pair[1] {
					t.Errorf("%s is %s, want %s", what, pair[0], pair[1])
				}
			}
		})
	}
}

func orUnknown(s string) string {
	if s == "" {
		return "?"
	}
	return s
}

func hasNote(s *snapshot, text string) bool {
	return slices.ContainsFunc(s.Provenance.Notes, func(n string) bool { return strings.Contains(n, text) })
}

func TestDisabledByFilter(t *testing.T) {
	text := person("a", "employeeType: gone") + person("b", "employeeType: Permanent") + person("c")
	s := take(t, fromLDIF(t, text, func(c *Config) { c.Dialect, c.Disabled = RFC2307, "(employeeType=GONE)" }))
	for username, want := range map[string]string{"a": "false", "b": "true", "c": "true"} {
		if got := showFlag(s.accounts[username].Enabled); got != want {
			t.Errorf("%s: enabled %s, want %s", username, got, want)
		}
	}
	s = take(t, fromLDIF(t, text, func(c *Config) { c.Dialect, c.Disabled = RFC2307, "(loginShell=/sbin/nologin)" }))
	if got := showFlag(s.accounts["b"].Enabled); got != "?" || !hasNote(s, "disabled: asks loginshell, which") {
		t.Errorf("by an attribute that no entry has: enabled %s, notes %q", got, s.Provenance.Notes)
	}
	for dialect, filter := range map[string]string{RFC2307: "(a", ActiveDirectory: "(a=b)", "": "(a=b)"} {
		if _, err := New(Config{URL: strict.Texts{"ldif:x"}, Dialect: dialect, Disabled: filter}, Options{}); err == nil || !strings.Contains(err.Error(), "disabled: ") {
			t.Errorf("dialect %q, disabled %s: error %v", dialect, filter, err)
		}
	}
}

func TestIdentity(t *testing.T) {
	both := "dn: uid=a,dc=x\nobjectClass: account\nuid: a\nnsUniqueId: AAAA0001-12345678-9ABCDEF0-12345678\nentryUUID: x\n"
	if a := take(t, fromLDIF(t, both)).accounts["a"]; a.ID != "aaaa0001-12345678-9abcdef0-12345678" {
		t.Errorf("389's own id comes first: %q", a.ID)
	}

	none := "dn: UID=Anna,DC=x\nobjectClass: account\nuid: Anna\n\ndn: cn=g,dc=x\nobjectClass: groupOfNames\ncn: g\nmember: uid=anna, dc=x\n"
	s := take(t, fromLDIF(t, none))
	if a := s.accounts["Anna"]; a.ID != "dn:uid=anna,dc=x" || a.Attributes["id_from"] != "dn" || !hasNote(s, "2 entries have neither entryUUID nor nsUniqueId and are known by their DN") {
		t.Errorf("without ids: %+v, notes %q", a, s.Provenance.Notes)
	}
	if got := s.holders("g"); !slices.Equal(got, []string{"Anna"}) {
		t.Errorf("g is held by %q", got)
	}

	// One id that can't be read where others can is no reason to know the entry by its name: that would make it look new.
	some := person("a") + person("b") + "dn: uid=c,dc=x\nobjectClass: account\nuid: c\n"
	k := fromLDIF(t, some)
	got := &snapshot{accounts: map[string]access.Account{}, names: map[string]string{}}
	res, err := collect.Run(t.Context(), k, got, collect.Options{Limits: collect.Limits{MaxRejected: 1}})
	if err != nil || len(got.accounts) != 2 || len(res.Rejections) != 1 || res.Rejections[0].Line != 11 || !strings.Contains(res.Rejections[0].Reason, "can't be read, as that of other entries can") {
		t.Errorf("accounts %v, rejections %v, error %v", got.accounts, res.Rejections, err)
	}
}

// Groups that can't be read are known from what accounts tell; those that can, from themselves alone.
func TestMemberOf(t *testing.T) {
	group := func(cn string, lines ...string) string {
		return fmt.Sprintf("dn: cn=%[1]s,dc=x\nobjectClass: groupOfNames\ncn: %[1]s\nentryUUID: id-%[1]s\n%[2]s\n", cn, strings.Join(append(lines, ""), "\n"))
	}
	for _, c := range []struct {
		name, text string
		holders    map[string][]string
		coverage   access.Coverage
		note       string
	}{
		{"no group can be read", person("a", "memberOf: cn=Admins,ou=Groups,dc=x", "memberOf: cn=h,dc=x") + person("b", "memberOf: CN=admins, OU=groups, DC=x"),
			map[string][]string{"Admins": {"a", "b"}, "h": {"a"}}, access.CoveragePartial, "2 groups are known from memberOf alone"},
		{"groups without their members", person("a", "memberOf: cn=g,dc=x") + group("g"),
			map[string][]string{"g": {"a"}}, access.CoveragePartial, "the members of 1 groups can't be read"},
		{"memberOf that is out of date", person("a", "memberOf: cn=g,dc=x") + person("b") + group("g", "member: uid=b,dc=x"),
			map[string][]string{"g": {"b"}}, "", ""},
		{"a group that is elsewhere", person("a", "memberOf: cn=g,dc=x", "memberOf: cn=far,dc=y") + group("g", "member: uid=a,dc=x"),
			map[string][]string{"g": {"a"}, "far": {"a"}}, access.CoveragePartial, "1 groups are known from memberOf alone"},
		{"nested", person("a") + group("g", "memberOf: cn=far,dc=y", "member: uid=a,dc=x"),
			map[string][]string{"g": {"a"}, "far": {"[g]"}}, "", ""},
		{"no group at all", person("a"), nil, "", "no group was read: grants are unknown"},
		{"groups without members, and nothing told", person("a") + group("g"), map[string][]string{"g": nil}, "", "grants are unknown"},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := take(t, fromLDIF(t, c.text))
			if len(s.entitlements) != len(c.holders) {
				t.Errorf("entitlements %v", s.entitlements)
			}
			for name, want := range c.holders {
				if got := s.holders(name); !slices.Equal(got, want) {
					t.Errorf("%s is held by %q, want %q", name, got, want)
				}
			}
			if c.coverage != "" && s.Provenance.Coverage["grants"] != c.coverage {
				t.Errorf("coverage of grants %q, want %q", s.Provenance.Coverage["grants"], c.coverage)
			}
			if c.note != "" && !hasNote(s, c.note) {
				t.Errorf("notes %q, want %q", s.Provenance.Notes, c.note)
			}
			if known := slices.Contains(s.Provenance.Reads, "grants"); known == strings.Contains(c.note, "grants are unknown") {
				t.Errorf("reads %q", s.Provenance.Reads)
			}
		})
	}
}

// Two with one login name, and two groups with one number: what the name is given, both have.
func TestTwins(t *testing.T) {
	text := strings.ReplaceAll(person("a", "objectClass: posixAccount", "gidNumber: 7"), "uid=a", "uid=a,ou=1") +
		strings.NewReplacer("uid=A", "uid=A,ou=2", "id-A", "id-2").Replace(person("A", "cn: second")) +
		"dn: cn=g,dc=x\nobjectClass: posixGroup\ncn: g\ngidNumber: 7\nmemberUid: a\nentryUUID: g\n\ndn: cn=h,dc=x\nobjectClass: posixGroup\ncn: h\ngidNumber: 7\nentryUUID: h\n"
	s := take(t, fromLDIF(t, text))
	if got := s.holders("g"); !slices.Equal(got, []string{"A", "a"}) {
		t.Errorf("g is held by %q", got)
	}
	if got := s.holders("h"); !slices.Equal(got, []string{"a"}) {
		t.Errorf("h is held by %q", got)
	}
	if !hasNote(s, "2 login names or group numbers are used twice") {
		t.Errorf("notes %q", s.Provenance.Notes)
	}
}

func TestPrivilegedGroups(t *testing.T) {
	text := person("a") + "dn: cn=Admins,dc=x\nobjectClass: groupOfNames\ncn: Admins\nentryUUID: g\nmember: uid=a,dc=x\n\n" +
		"dn: cn=Others,dc=x\nobjectClass: groupOfNames\ncn: Others\nentryUUID: h\nmember:\n\ndn: cn=Directory Administrators,dc=x\nobjectClass: groupOfUniqueNames\ncn: Directory Administrators\nentryUUID: i\nuniqueMember: uid=a,dc=x\n"
	for _, c := range []struct {
		names strict.Texts
		want  string
	}{
		{nil, "? ? true"}, {strict.Texts{"admins"}, "true false true"}, {strict.Texts{"CN=others, DC=x"}, "false true true"},
	} {
		s := take(t, fromLDIF(t, text, func(k *Config) { k.Privileged = c.names }))
		e := s.entitlements
		if got := showFlag(e["Admins"].Privileged) + " " + showFlag(e["Others"].Privileged) + " " + showFlag(e["Directory Administrators"].Privileged); got != c.want {
			t.Errorf("privileged: %q: %s, want %s", c.names, got, c.want)
		}
		if len(s.Provenance.Notes) != 0 || len(s.holders("Others")) != 0 { // a group that has the empty name as its only member
			t.Errorf("notes %q, others %q", s.Provenance.Notes, s.holders("Others"))
		}
	}
}

func TestDynamicGroups(t *testing.T) {
	people := person("a", "l: Berlin", "cn;lang-de: Änne") + person("b", "l: Paris", "jpegPhoto:: /9j/", "departmentNumber: 7") +
		strings.ReplaceAll(person("c", "l: Berlin"), "dc=x", "ou=sub,dc=x") + "dn: cn=static,dc=x\nobjectClass: groupOfNames\ncn: static\nentryUUID: s\nmember: uid=b,dc=x\n\n"
	for _, c := range []struct {
		url, note string
		want      []string
	}{
		{url: "ldap:///dc=x??sub?(l=berlin)", want: []string{"a", "c"}},
		{url: "LDAP:///DC=X??ONE?(l=berlin)", want: []string{"a"}},
		{url: "ldap:///dc=x??one?(l=*)", want: []string{"a", "b"}},
		{url: "ldap:///uid=b,dc=x", want: []string{"b"}},
		{url: "ldap:///dc=x", want: nil},
		{url: "ldap:///dc=x?cn,mail?sub?(%26(l=Berlin)(!(uid=c)))", want: []string{"a"}},
		{url: "ldap:///dc=x??sub?l=Paris", want: []string{"b"}},
		{url: "ldap:///dc=x??sub?(cn=%C3%84nne)", want: []string{"a"}},
		{url: "ldap:///dc=x??sub?(|(departmentNumber=7)(objectClass=groupOfNames))", want: []string{"[static]", "b"}},
		{url: "ldap:///dc=x??sub?(objectClass=groupOfURLs)", want: nil}, // not itself
		{url: "ldap:///dc=x??sub?(roomNumber=7)", note: "its filter asks roomnumber, which is not read: name it under attributes"},
		{url: "ldap://other.example/dc=x??sub?(l=Berlin)", note: "doesn't begin with ldap:///"},
		{url: "ldap:///dc=x??all?(l=Berlin)", note: `the scope "all" is none of base, one, sub`},
		{url: "ldap:///dc=x??sub?(l=Berlin", note: "unexpected end of filter"},
		{url: "ldap:///x??sub", note: "not a distinguished name"},
		{url: "ldap:///dc=x??sub?(l=Berlin)?!x=y", note: "an extension that must be understood"},
		{url: "ldap:///dc=%zz", note: "percent sign"},
		{url: "ldap:///dc=x????a?b", note: "more than four question marks"},
	} {
		group := "dn: cn=d,dc=x\nobjectClass: groupOfURLs\ncn: d\nentryUUID: d\nmemberURL: " + c.url + "\n\n"
		for order, text := range map[string]string{"before": group + people, "after": people + group} {
			s := take(t, fromLDIF(t, text))
			if got := s.holders("d"); !slices.Equal(got, c.want) {
				t.Errorf("%s, %s its members: held by %q, want %q", c.url, order, got, c.want)
			}
			if partial := s.Provenance.Coverage["grants"] == access.CoveragePartial; partial != (c.note != "") || c.note != "" && !hasNote(s, c.note) {
				t.Errorf("%s: coverage %v, notes %q, want %q", c.url, s.Provenance.Coverage, s.Provenance.Notes, c.note)
			}
		}
	}
	s := take(t, fromLDIF(t, people+person("e", "roomNumber: 7")+"dn: cn=d,dc=x\nobjectClass: groupOfURLs\ncn: d\nentryUUID: d\nmemberURL: ldap:///dc=x??sub?(roomNumber=7)\n", func(c *Config) { c.Attributes = strict.Attributes{"room": "roomNumber"} }))
	if got := s.holders("d"); !slices.Equal(got, []string{"e"}) {
		t.Errorf("by an attribute that is configured: held by %q", got)
	}
}

// What is left out by base: and filter: is not in the snapshot.
func TestFileFilter(t *testing.T) {
	text := person("a", "l: Berlin") + person("b", "l: Paris") + strings.ReplaceAll(person("c", "l: Berlin"), "dc=x", "ou=sub, DC=x")
	usernames := func(change func(*Config)) []string {
		s := take(t, fromLDIF(t, text, change))
		var out []string
		for u := range s.accounts {
			out = append(out, u)
		}
		slices.Sort(out)
		return out
	}
	if got := usernames(func(c *Config) { c.Filter = "(l=berlin)" }); !slices.Equal(got, []string{"a", "c"}) {
		t.Errorf("filtered: %q", got)
	}
	if got := usernames(func(c *Config) { c.Base = strict.Texts{"OU=Sub,DC=x"} }); !slices.Equal(got, []string{"c"}) {
		t.Errorf("below a base: %q", got)
	}
	if _, err := New(Config{URL: strict.Texts{"ldif:x"}, Filter: "(a:caseExactMatch:=b)"}, Options{}); err == nil || !strings.Contains(err.Error(), "can only be sent to a server") {
		t.Errorf("a filter that is only for servers: %v", err)
	}
}

// What a server withholds is unknown.
func TestRFC2307Rights(t *testing.T) {
	server := startSlapdWith(t, office, slapdConfig{global: overlays.global, database: overlays.database + `
access to attrs=userPassword by * auth
access to attrs=pwdAccountLockedTime,pwdChangedTime,pwdLastSuccess,member,uniqueMember,memberUid by dn.exact="uid=toor,ou=people,dc=office,dc=example" read by * none
access to * by * read`})
	s := take(t, collector(t, Config{URL: strict.Texts{server.url}}))
	for name, a := range s.accounts {
		if a.Enabled != nil || a.Locked != nil || a.LastLoginAt != nil {
			t.Errorf("%s: %s", name, showAccount(a))
		}
	}
	if got := s.holders("engineers"); got != nil {
		t.Errorf("engineers is held by %q", got)
	}
	if s.Provenance.Coverage["grants"] != access.CoveragePartial || !hasNote(s, "the members of 4 groups can't be read") {
		t.Errorf("coverage %v, notes %q", s.Provenance.Coverage, s.Provenance.Notes)
	}
}

// What OpenLDAP's overlays write themselves: memberOf, the last sign-in, the time of a password and of a lock.
func TestOverlays(t *testing.T) {
	const lockout = "pwdLockout: TRUE\npwdMaxFailure: 2\npwdLockoutDuration: 0\n"
	text := strings.Replace(office, "pwdAttribute: userPassword\n", "pwdAttribute: userPassword\n"+lockout, 1)
	server := startSlapdWith(t, text, slapdConfig{global: overlays.global, database: overlays.database + `
access to attrs=userPassword by * auth
access to dn.subtree="ou=groups,dc=office,dc=example" by * none
access to * by * read`})
	c, err := ldap.DialURL(server.url)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if err := c.Bind(server.rootDN(), password); err != nil {
		t.Fatal(err)
	}
	const people, group = "ou=people,dc=office,dc=example", "cn=new,ou=groups,dc=office,dc=example"
	for _, uid := range []string{"ada", "svc"} {
		if _, err := c.PasswordModify(ldap.NewPasswordModifyRequest("uid="+uid+","+people, "", password)); err != nil {
			t.Fatal(err)
		}
	}
	add := ldap.NewAddRequest(group, nil)
	add.Attribute("objectClass", []string{"groupOfNames"})
	add.Attribute("member", []string{"uid=ada," + people, "uid=left," + people})
	if err := c.Add(add); err != nil {
		t.Fatal(err)
	}
	before := time.Now()
	if err := c.Bind("uid=ada,"+people, password); err != nil {
		t.Fatal(err)
	}
	for range 3 {
		if err := c.Bind("uid=svc,"+people, "wrong"); !ldap.IsErrorWithCode(err, ldap.LDAPResultInvalidCredentials) {
			t.Fatal(err)
		}
	}

	s := take(t, collector(t, Config{URL: strict.Texts{server.url}}))
	if got := s.holders("new"); !slices.Equal(got, []string{"ada", "left"}) || len(s.entitlements) != 1 {
		t.Errorf("new is held by %q, entitlements %v", got, s.entitlements)
	}
	near := func(t *time.Time) bool { return t != nil && t.Sub(before).Abs() < 5*time.Minute }
	ada, svc := s.accounts["ada"], s.accounts["svc"]
	if !near(ada.LastLoginAt) || !near(ada.PasswordChangedAt) || showFlag(ada.Enabled) != "true" || showFlag(ada.Locked) != "false" {
		t.Errorf("ada: %s", showAccount(ada))
	}
	if svc.LastLoginAt != nil || !near(svc.PasswordChangedAt) || showFlag(svc.Enabled) != "true" || svc.Locked != nil {
		t.Errorf("svc: %s", showAccount(svc)) // locked by now, but for how long is not known
	}
}

// Groups as they should not be: in themselves, in each other, with members that don't exist or are named by what is no DN.
func TestOddGroups(t *testing.T) {
	group := func(cn string, members ...string) string {
		text := fmt.Sprintf("dn: cn=%[1]s,dc=x\nobjectClass: groupOfNames\ncn: %[1]s\nentryUUID: id-%[1]s\n", cn)
		for _, m := range members {
			text += "member: " + m + "\n"
		}
		return text + "\n"
	}
	s := take(t, fromLDIF(t, person("a")+group("self", "cn=self,dc=x", "uid=a,dc=x")+group("one", "cn=two,dc=x")+group("two", "cn=one,dc=x", "uid=a,dc=x", "UID=A,DC=X")+
		group("odd", "uid=nobody,dc=x", "not a DN", "ou=people,dc=x")))
	for name, want := range map[string][]string{"self": {"[self]", "a"}, "one": {"[two]"}, "two": {"[one]", "a"}, "odd": nil} {
		if got := s.holders(name); !slices.Equal(got, want) {
			t.Errorf("%s is held by %q, want %q", name, got, want)
		}
	}
	for _, note := range []string{"1 values of member could not be read", "2 memberships name an entry that was not read"} {
		if !hasNote(s, note) {
			t.Errorf("notes %q, want %q", s.Provenance.Notes, note)
		}
	}
	if s.Rejected != 0 {
		t.Errorf("rejected: %v", s.Rejections)
	}
}

// A group of a hundred thousand, each member spelt in another way than the account.
func TestLargeGroup(t *testing.T) {
	const n = 100_000
	var text strings.Builder
	for i := range n {
		fmt.Fprintf(&text, "dn: uid=u%d,ou=people,dc=x\nobjectClass: account\nuid: u%[1]d\nentryUUID: %[1]d\n\n", i)
	}
	text.WriteString("dn: cn=all,dc=x\nobjectClass: groupOfNames\ncn: all\nentryUUID: all\n")
	for i := range n {
		fmt.Fprintf(&text, "member: UID=U%d,OU=People,DC=X\n", i)
	}
	s := take(t, fromLDIF(t, text.String()))
	holders := map[string]bool{}
	for _, g := range s.grants {
		holders[g.HolderID] = true
	}
	if len(s.accounts) != n || len(s.grants) != n || len(holders) != n {
		t.Errorf("%d accounts, %d grants of %d holders", len(s.accounts), len(s.grants), len(holders))
	}
}

// What ldapsearch wrote of a 389 Directory Server 2.3.1 with '*' '+'. Read from that server over the network, it was the same.
func Test389(t *testing.T) {
	s := take(t, collector(t, Config{URL: strict.Texts{"ldif:testdata/389ds.ldif"}}))
	for username, want := range map[string]string{
		"ada": "58ca3e99-e8e511f1-8b62bba7-a41d41f6 true 2026-11-25T15:32:14Z", "bob": "58ca3e9a-e8e511f1-8b62bba7-a41d41f6 false 2026-11-25T15:32:14Z",
	} {
		a := s.accounts[username]
		if got := fmt.Sprint(a.ID, " ", showFlag(a.Enabled), " ", showTime(a.CreatedAt)); got != want {
			t.Errorf("%s: %s, want %s", username, got, want)
		}
	}
	for name, want := range map[string][]string{"engineers": {"ada", "bob"}, "everybody": {"[engineers]"}, "berlin": {"ada"}, "staff": {"ada", "bob"}} {
		if got := s.holders(name); !slices.Equal(got, want) {
			t.Errorf("%s is held by %q, want %q", name, got, want)
		}
	}
	if len(s.accounts) != 2 || len(s.entitlements) != 4 || s.Rejected != 0 || len(s.Provenance.Notes) != 0 {
		t.Errorf("%d accounts, %d groups, rejected %v, notes %q", len(s.accounts), len(s.entitlements), s.Rejections, s.Provenance.Notes)
	}
}

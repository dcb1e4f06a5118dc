package ldap

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/go-ldap/ldap/v3"
)

// entry makes an entry of lines as in LDIF.
func entry(t testing.TB, text string) *ldap.Entry {
	t.Helper()
	entries, err := parseLDIF(text)
	if err != nil || len(entries) != 1 {
		t.Fatalf("%d entries, %v", len(entries), err)
	}
	return entries[0].Entry
}

func TestMatches(t *testing.T) {
	anna := entry(t, `dn: CN=Berg\, Anna,OU=People,DC=x
objectClass: top
objectClass: person
objectClass: user
objectCategory: CN=Person,CN=Schema,CN=Configuration,DC=x
objectSid:: AQEAAAAAAAUSAAAA
objectGUID:: AP8=
cn: Berg, Anna
cn;lang-de: Änne  Berg
description: one (1) * two
userAccountControl: 514
groupType: -2147483646
loginCount: 100
whenCreated: 20260102030405.0Z
memberOf: CN=Domain Admins,OU=Groups,DC=x
empty:
`)
	for filter, want := range map[string]bool{
		"(cn=berg, anna)":           true,
		"(cn=BERG,  ANNA )":         true,
		"(cn=berg)":                 false,
		"(cn=änne berg)":            true, // options are of the attribute
		"(CN;LANG-DE=ÄNNE BERG)":    true,
		"(cn;lang-fr=*)":            false,
		"(c=*)":                     false,
		"(cnx=*)":                   false,
		"(cn~=berg, anna)":          true,
		"(cn:=berg, anna)":          true,
		"(objectClass=User)":        true,
		"(objectClass=group)":       false,
		"(objectCategory=person)":   true,
		"(objectCategory=user)":     true,
		"(objectCategory=computer)": false,
		"(objectCategory=CN=Person,CN=Schema,CN=Configuration,DC=x)": true,
		"(objectSid=S-1-5-18)":              true,
		"(objectSid=S-1-5-19)":              false,
		`(objectGUID=\00\ff)`:               true,
		`(objectGUID=\00\fe)`:               false,
		"(description=*)":                   true,
		"(missing=*)":                       false,
		"(empty=*)":                         true,
		"(empty=)":                          true,
		`(description=one \281\29 \2a two)`: true,

		"(cn=b*)":                    true,
		"(cn=B*g*A)":                 true,
		"(cn=*, a*)":                 true,
		"(cn=*,  a*)":                true,
		"(cn=*,a*)":                  false,
		"(cn=*rg)":                   true, // Änne Berg
		"(cn=*x*)":                   false,
		"(cn=*n*n*)":                 true,
		"(cn=*n*n*n*n*)":             false,
		"(cn=berg, anna*berg, anna)": false, // the parts don't overlap
		"(description=*\\2a*)":       true,
		"(description=*\\5c*)":       false,
		"(missing=a*)":               false,
		`(cn=*\c3\84NNE*)`:           true,

		"(loginCount>=99)":                   true,
		"(loginCount>=100)":                  true,
		"(loginCount>=101)":                  false,
		"(loginCount<=99)":                   false,
		"(loginCount<=1000)":                 true, // by number, not by text
		"(whenCreated>=20260101000000Z)":     true,
		"(whenCreated<=20260101000000Z)":     false,
		"(whenCreated<=20260102030405+0000)": true,
		"(cn>=berg)":                         true,
		"(cn<=berg)":                         false,
		"(missing>=0)":                       false,

		"(userAccountControl:1.2.840.113556.1.4.803:=2)":    true,
		"(userAccountControl:1.2.840.113556.1.4.803:=514)":  true,
		"(userAccountControl:1.2.840.113556.1.4.803:=3)":    false,
		"(userAccountControl:1.2.840.113556.1.4.804:=3)":    true,
		"(userAccountControl:1.2.840.113556.1.4.804:=1)":    false,
		"(userAccountControl:1.2.840.113556.1.4.803:=0)":    true,
		"(groupType:1.2.840.113556.1.4.803:=2147483648)":    true,
		"(groupType:1.2.840.113556.1.4.803:=2)":             true,
		"(cn:1.2.840.113556.1.4.803:=2)":                    false,
		"(missing:1.2.840.113556.1.4.803:=0)":               false,
		"(!(userAccountControl:1.2.840.113556.1.4.803:=2))": false,
		"(memberOf=cn=domain admins, ou=groups, dc=x)":      true,
		`(memberOf=CN=Domain\20Admins,OU=Groups,DC=X)`:      true,
		"(memberOf=CN=Domain Admins,DC=x)":                  false,
		"(&(objectClass=user)(!(loginCount=5)))":            true,
		"(&(objectClass=user)(loginCount=5))":               false,
		"(|(loginCount=5)(cn=b*))":                          true,
		"(|(loginCount=5)(cn=x*))":                          false,
		"(!(missing=1))":                                    true,
		"(&)":                                               true, // RFC 4526
		"(|)":                                               false,
		"(&(|(a=1)(objectClass=*))(!(&(a=1)(b=2))))":        true,
	} {
		f, err := parseFilter(filter)
		if err != nil {
			t.Errorf("%s: %v", filter, err)
			continue
		}
		if got := matches(f, anna); got != want {
			t.Errorf("%s: %v, want %v", filter, got, want)
		}
	}
	f, err := parseFilter("(objectClass=*)")
	if err != nil || !matches(f, &ldap.Entry{DN: "dc=x"}) {
		t.Errorf("an entry whose classes were not exported has none: %v", err)
	}
}

func TestNoFilter(t *testing.T) {
	for in, want := range map[string]string{
		"":                       "start with an '('",
		"cn=a":                   "start with an '('",
		"(cn=a":                  "unexpected end",
		"(cn=a))":                "extra at end",
		"(&(cn=a)":               "unexpected end",
		"(cn)":                   "error parsing",
		`(cn=\zz)`:               "escape",
		"(=a)":                   "no attribute",
		"(a b=c)":                "no attribute",
		"(cn:dn:=a)":             "can only be sent to a server",
		"(cn:caseExactMatch:=a)": "by the matching rule caseExactMatch can only be sent to a server",
		"(memberOf:1.2.840.113556.1.4.1941:=cn=a)":                     "can only be sent to a server",
		"(userAccountControl:1.2.840.113556.1.4.803:=x)":               `"x" has no bits`,
		"(:1.2.840.113556.1.4.803:=1)":                                 "no attribute",
		strings.Repeat("(!", 200) + "(a=b)" + strings.Repeat(")", 200): "more than 100 parentheses",
	} {
		if _, err := parseFilter(in); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%.50s: error %v, want one with %q", in, err, want)
		}
	}
}

func TestFilterAttributes(t *testing.T) {
	f, err := parseFilter("(&(CN=a*)(|(sn>=b)(!(cn=*)))(uac:1.2.840.113556.1.4.803:=2))")
	if err != nil {
		t.Fatal(err)
	}
	if got, want := f.attributes(), []string{"cn", "sn", "uac"}; !slices.Equal(got, want) {
		t.Errorf("attributes %v, want %v", got, want)
	}
}

// A filter finds the same here as in OpenLDAP, which knows the schema.
func TestFilterAsServer(t *testing.T) {
	text := "dn: dc=x\nobjectClass: domain\ndc: x\n\n"
	for i, lines := range []string{
		"cn: Anna Berg\ndescription: one * two\nl: Berlin\nmanager: uid=u1,dc=x",
		"cn:: SsO8cmdlbiBHcm/Dnw==\ndescription: (x)\nl: berlin\nl: Paris", // Jürgen Groß
		"cn: anna  berg\nemployeeNumber: 7\nmanager: UID=U1, DC=X",
		"cn: Anna\ncn;lang-de: Änne\nemployeeNumber: 70\ntitle: a\\b",
		"cn: berg anna berg\nl: Ber lin\ntitle: Berg",
	} {
		text += fmt.Sprintf("dn: uid=u%d,dc=x\nobjectClass: inetOrgPerson\nobjectClass: posixAccount\nuid: u%[1]d\nsn: s\nuidNumber: %d\ngidNumber: 5\nhomeDirectory: /\n%s\n\n", i, i*60, lines)
	}
	entries, err := parseLDIF(text)
	if err != nil {
		t.Fatal(err)
	}
	c, err := ldap.DialURL(startSlapd(t, text))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	found := 0
	for _, filter := range []string{
		"(objectClass=*)", "(objectClass=INETORGPERSON)", "(cn=anna berg)", "(cn=ANNA BERG)", "(cn=anna  berg)", "(cn=anna*)", "(cn=*berg)", "(cn=*a*b*)", "(cn=anna*berg)", "(cn=*na be*)", "(cn=*  *)",
		"(cn=jürgen groß)", "(cn=JÜRGEN*)", "(cn=jurgen*)", `(cn=J\c3\bcrgen*)`, "(cn=änne)", "(cn;lang-de=*)", "(cn;lang-fr=*)",
		"(l=berlin)", "(l=ber lin)", "(l=*)", "(!(l=*))", "(!(l=paris))", "(description=one \\2a two)", "(description=*\\2a*)", "(description=\\28x\\29)", "(title=a\\5cb)",
		"(uidNumber=60)", "(uidNumber>=120)", "(uidNumber<=60)", "(uidNumber>=9)", "(gidNumber=5)", "(employeeNumber=7*)",
		"(manager=uid=u1,dc=x)", "(manager=UID=u1 , dc=X)", "(manager=uid=u2,dc=x)",
		"(&(l=berlin)(cn=anna*))", "(|(l=paris)(employeeNumber=70))", "(&(objectClass=posixAccount)(!(|(l=berlin)(uid=u3))))", "(&)", "(|)",
	} {
		f, err := parseFilter(filter)
		if err != nil {
			t.Errorf("%s: %v", filter, err)
			continue
		}
		res, err := c.Search(ldap.NewSearchRequest("dc=x", ldap.ScopeWholeSubtree, ldap.NeverDerefAliases, 0, 0, false, filter, []string{"1.1"}, nil))
		if err != nil {
			t.Errorf("%s: %v", filter, err)
			continue
		}
		var want, got []string
		for _, e := range res.Entries {
			want = append(want, e.DN)
		}
		for _, e := range entries {
			if matches(f, e.Entry) {
				got = append(got, e.DN)
			}
		}
		slices.Sort(want)
		slices.Sort(got)
		if !slices.Equal(got, want) {
			t.Errorf("%s: here %q, in OpenLDAP %q", filter, got, want)
		}
		found += len(want)
	}
	if found < 60 {
		t.Errorf("%d entries found by all filters: too few to compare", found)
	}
}

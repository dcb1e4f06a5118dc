package ldap

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

func TestCanonicalDN(t *testing.T) {
	for _, c := range []struct{ in, want string }{
		{"", ""},
		{"  ", ""},
		{"cn=anna,ou=people,dc=example", "cn=anna,ou=people,dc=example"},
		{"CN=Anna,OU=People,DC=Example", "cn=anna,ou=people,dc=example"},
		{"CN = Anna Berg , OU= People ;dc=Example ", "cn=anna berg,ou=people,dc=example"},
		{"commonName=a,2.5.4.11=b,OID.0.9.2342.19200300.100.1.25=c,userId=d", "cn=a,ou=b,dc=c,uid=d"},
		{"cn=Anna  \t Berg", "cn=anna berg"},
		{`cn=\20Anna\ `, "cn=anna"},
		{"cn=", "cn="},
		{"cn=,dc=x", "cn=,dc=x"},
		{"1.2.3.4=x", "1.2.3.4=x"},

		// Escapes, the same character in each of its spellings.
		{`cn=Berg\, Anna`, `cn=berg\, anna`},
		{`cn=Berg\2c Anna`, `cn=berg\, anna`},
		{`cn=Berg\2C Anna`, `cn=berg\, anna`},
		{`cn="Berg, Anna"`, `cn=berg\, anna`},
		{`cn="Berg\, Anna" ,dc=x`, `cn=berg\, anna,dc=x`},
		{`cn=a\=b`, `cn=a=b`},
		{`cn=a=b`, `cn=a=b`},
		{`cn=\#a#b`, `cn=\#a#b`},
		{`cn="#a"`, `cn=\#a`},
		{`cn=\"\+\;\<\>\\`, `cn=\"\+\;\<\>\\`},
		{`cn="+;<>\"\\"`, `cn=\+\;\<\>\"\\`},
		{`cn=a\5c,dc=x`, `cn=a\\,dc=x`},
		{`CN=Deleted\0ADEL:0001,CN=Deleted Objects`, `cn=deleted del:0001,cn=deleted objects`},
		{`cn=a\00b`, `cn=a\00b`},
		{`cn=a\7f`, `cn=a\7f`},
		{`cn=\61\62`, `cn=ab`},

		// Characters beyond ASCII.
		{"cn=JÜRGEN,o=Straße", "cn=jürgen,o=strasse"},
		{`cn=J\c3\9cRGEN`, "cn=jürgen"},
		{"cn=JU\u0308RGEN", "cn=jürgen"},
		{"cn=Lu\\C4\\8Di\\C4\\87", "cn=lučić"}, // RFC 4514, 4
		{"cn=a\u00a0b", "cn=a b"},
		{"cn=a\u00a0,dc=x", "cn=a,dc=x"},
		{"cn=Ａ，Ｂ", `cn=a\,b`},
		{"cn=x\u0338", "cn=x\u0338"},
		{`cn=\c3`, `cn=\c3`}, // no text: left alone
		{`cn=\C3A`, `cn=\c3A`},
		{`cn=\C3A\20`, `cn=\c3A\ `},

		// Values as BER.
		{"cn=#0c04416E6E61", "cn=anna"},
		{"1.3.6.1.4.1.1466.0=#04024869", "1.3.6.1.4.1.1466.0=hi"}, // RFC 4514, 4
		{"cn=#0C0123 , dc=x", `cn=\#,dc=x`},
		{"cn=#30030C0141", "cn=#30030c0141"}, // a sequence is no text
		{"cn=#0c0441", "cn=#0c0441"},         // cut off
		{"cn=#0c014100", "cn=#0c014100"},     // and one with more behind it
		{"cn=#0c8180" + strings.Repeat("41", 128), "cn=" + strings.Repeat("a", 128)},

		// Pairs of a multi-valued RDN have no order.
		{"uid=1+cn=b,dc=x", "cn=b+uid=1,dc=x"},
		{"CN=b + UID=1,dc=x", "cn=b+uid=1,dc=x"},
		{`cn=a\+b+sn=c`, `cn=a\+b+sn=c`},
	} {
		got, err := canonicalDN(c.in)
		if err != nil || got != c.want {
			t.Errorf("canonicalDN(%q) = %q, %v, want %q", c.in, got, err, c.want)
		}
		if again, err := canonicalDN(got); err != nil || again != got {
			t.Errorf("canonicalDN(%q) = %q, %v: it was canonical", got, again, err)
		}
	}
}

// Spellings that OpenLDAP takes for one name are one here, and those that it tells apart are not.
func TestCanonicalDNAsServer(t *testing.T) {
	needSlapd(t)
	conf := filepath.Join(t.TempDir(), "slapd.conf")
	if err := os.WriteFile(conf, []byte("include /etc/ldap/schema/core.schema\ninclude /etc/ldap/schema/cosine.schema\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	names := []string{
		`cn=Berg\, Anna+UID=1 , DC=x`, `uid=1+cn=berg\2c  anna,dc=X`, `cn="Berg, Anna"+uid=1,dc=x`, `cn=Berg\, Anna,UID=1,DC=x`, `cn=Berg, UID=1, DC=x`,
		"cn=JÜRGEN,o=x", `CN=j\C3\BCrgen,O=X`, "cn=JU\u0308RGEN,o=x", "cn=jurgen,o=x", "commonName=Jürgen;2.5.4.10=x",
		`cn=\20a\20b`, "cn=a b", "cn=a  b ", "cn=ab", `cn=a\\b`, `cn=a\5Cb`, `cn=a\"b`, `cn=a\22b`, `cn=\#a`, `cn=\23a`, "cn=a#", "cn=a=b", `cn=a\3Db`,
		"cn=a", "cn=A", "sn=a", "ou=a", "cn=a,cn=a", "cn=a+sn=a", "sn=A+cn=a",
	}
	out, err := exec.Command("slapdn", append([]string{"-N", "-f", conf}, names...)...).CombinedOutput()
	theirs := strings.Split(strings.TrimSpace(string(out)), "\n")
	if err != nil || len(theirs) != len(names) {
		t.Fatalf("slapdn: %v\n%s", err, out)
	}
	for i, a := range names {
		for j, b := range names[:i] {
			x, errX := canonicalDN(a)
			y, errY := canonicalDN(b)
			if errX != nil || errY != nil || (x == y) != (theirs[i] == theirs[j]) {
				t.Errorf("%q and %q: here %q and %q (%v, %v), in OpenLDAP %q and %q", a, b, x, y, errX, errY, theirs[i], theirs[j])
			}
		}
	}
}

func TestNoDN(t *testing.T) {
	for in, want := range map[string]string{
		"anna":            "at byte 1: an attribute type and = are missing",
		"cn=a,":           "at byte 6: an attribute type",
		"cn=a,,dc=x":      "at byte 6: no attribute type",
		"cn=a,b":          "at byte 6: an attribute type and = are missing",
		"cn=a+":           "an attribute type",
		"=a":              "no attribute type",
		"c_n=a":           "no attribute type",
		"2.05=a":          "no attribute type",
		"2..5=a":          "no attribute type",
		"1cn=a":           "no attribute type",
		"a b=c":           "an attribute type and = are missing",
		"ünal=c":          "no attribute type",
		`cn=a\`:           "a backslash",
		`cn=a\4`:          "a backslash",
		`cn=a\zz`:         "a backslash",
		`cn=a"b`:          "not escaped",
		`cn=a<b`:          "not escaped",
		`cn=a>b`:          "not escaped",
		"cn=a\x00":        "not escaped",
		`cn="a`:           "closing quote is missing",
		`cn="a"b`:         "after a closing quote",
		"cn=#":            "escape the #",
		"cn=#0":           "escape the #",
		"cn=#xyz":         "escape the #",
		"cn=#0c0141 more": "escape the #",
	} {
		if got, err := canonicalDN(in); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("canonicalDN(%q) = %q, %v, want an error with %q", in, got, err, want)
		}
	}
}

func TestParentDN(t *testing.T) {
	for in, want := range map[string]string{
		"":                         "",
		"dc=x":                     "",
		"cn=a,dc=x":                "dc=x",
		`cn=a\,b,ou=c,dc=x`:        "ou=c,dc=x",
		`cn=a\\,dc=x`:              "dc=x",
		`cn="a,b" , dc=x`:          "dc=x",
		`cn=a\"b,dc=x`:             "dc=x",
		`cn=a+sn=b\2c;o=x`:         "o=x",
		`CN=Berg\, Anna,OU=Ä,DC=x`: "OU=Ä,DC=x",
	} {
		if got := parentDN(in); got != want {
			t.Errorf("parentDN(%q) = %q, want %q", in, got, want)
		}
	}
}

func TestUnderDN(t *testing.T) {
	for _, c := range []struct {
		dn, base string
		want     bool
	}{
		{"cn=a,dc=x", "dc=x", true},
		{"dc=x", "dc=x", true},
		{"dc=x", "", true},
		{"cn=a,dc=xx", "dc=x", false},
		{"cn=a,ddc=x", "dc=x", false},
		{"dc=x", "cn=a,dc=x", false},
		{`cn=a\,dc=x`, "dc=x", false},
		{`cn=a\\,dc=x`, "dc=x", true},
		{`cn=a\\\,dc=x`, "dc=x", false},
	} {
		if got := underDN(c.dn, c.base); got != c.want {
			t.Errorf("underDN(%q, %q) = %v", c.dn, c.base, got)
		}
	}
}

func TestNameOf(t *testing.T) {
	for _, c := range []struct{ in, typ, value string }{
		{`CN=Berg\, Anna,DC=x`, "CN", "Berg, Anna"},
		{`cn="Berg, Anna" ,dc=x`, "cn", "Berg, Anna"},
		{"uid=1+cn=b", "uid", "1"},
		{"cn=#0c0141", "cn", "A"},
		{`cn=\ a\ `, "cn", " a "},
		{`cn=a\ b  `, "cn", "a b"},
	} {
		typ, value, err := nameOf(c.in)
		if err != nil || typ != c.typ || value != c.value {
			t.Errorf("nameOf(%q) = %q, %q, %v", c.in, typ, value, err)
		}
	}
	if _, _, err := nameOf(""); err == nil {
		t.Error("the empty name has a first pair")
	}
}

func BenchmarkCanonicalDN(b *testing.B) {
	for name, dn := range map[string]string{
		"canonical": "cn=anna berg,ou=people,ou=berlin,dc=corp,dc=example",
		"plain":     "CN=Anna Berg,OU=People,OU=Berlin,DC=corp,DC=example",
		"text":      "CN=Jürgen Groß,OU=People,OU=Berlin,DC=corp,DC=example",
		"escaped":   `CN=Berg\, Anna,OU=People,OU=Berlin,DC=corp,DC=example`,
	} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			b.SetBytes(int64(len(dn)))
			for b.Loop() {
				if _, err := canonicalDN(dn); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

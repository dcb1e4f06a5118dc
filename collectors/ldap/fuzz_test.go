package ldap

import (
	"encoding/binary"
	"strconv"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/go-ldap/ldap/v3"
)

// FuzzDN: what is canonical stays so, is text, and is a name to another parser too. Where that parser reads two names as
// one, they are one here: it compares more strictly.
func FuzzDN(f *testing.F) {
	for _, seed := range []string{
		"", "cn=a,dc=x", `CN=Berg\, Anna+UID=1 ; o="x,y"`, `cn=\c3\9c\20`, "cn=#0c0141", "cn=#30", "cn=x\u0338=", "cn=Ａ，Ｂ", "cn=\u00a0\u0301", `cn=\0ADEL:1`, "OID.2.5.4.3=İ", "cn=\xff", "cn=a\u0085b",
	} {
		f.Add(seed, seed)
		f.Add(seed, strings.ToUpper(seed))
	}
	f.Fuzz(func(t *testing.T, a, b string) {
		x, err := canonicalDN(a)
		if err != nil {
			return
		}
		if !utf8.ValidString(x) && utf8.ValidString(a) {
			t.Errorf("canonicalDN(%q) = %q is no text", a, x)
		}
		if again, err := canonicalDN(x); err != nil || again != x {
			t.Errorf("canonicalDN(%q) = %q, and of that %q, %v", a, x, again, err)
		}
		if p := parentDN(x); p != "" && !underDN(x, p) {
			t.Errorf("%q is not under its parent %q", x, p)
		}
		dnX, err := ldap.ParseDN(x)
		if err != nil {
			if !strings.Contains(x, "#") { // of which that parser reads less
				t.Errorf("canonicalDN(%q) = %q: %v", a, x, err)
			}
			return
		}
		if len(dnX.RDNs) > 0 {
			if typ, _, err := nameOf(x); err != nil || !strings.EqualFold(typ, dnX.RDNs[0].Attributes[0].Type) {
				t.Errorf("nameOf(%q) = %q, %v", x, typ, err)
			}
		}
		y, err := canonicalDN(b)
		if err != nil || !utf8.ValidString(a) || !utf8.ValidString(b) || strings.ContainsAny(a+b, `#\`) {
			return
		}
		dnA, errA := ldap.ParseDN(a)
		dnB, errB := ldap.ParseDN(b)
		if errA == nil && errB == nil && dnA.Equal(dnB) && x != y {
			t.Errorf("%q and %q are one name, here %q and %q", a, b, x, y)
		}
	})
}

// FuzzSID reads bytes and writes them back from the text.
func FuzzSID(f *testing.F) {
	f.Add([]byte("\x01\x01\x00\x00\x00\x00\x00\x05\x12\x00\x00\x00"))
	f.Add([]byte("\x01\x02\x00\x00\x00\x00\x00\x05\x20\x00\x00\x00\x20\x02\x00\x00"))
	f.Add([]byte("\x01\x01\x01\x00\x00\x00\x00\x00\x01\x00\x00\x00"))
	f.Add([]byte("\x01\x00"))
	f.Fuzz(func(t *testing.T, b []byte) {
		text, err := sidText(b)
		if err != nil {
			if text != "" {
				t.Errorf("%x: %q beside %v", b, text, err)
			}
			return
		}
		parts := strings.Split(text, "-")
		out := []byte{1, byte(len(parts) - 3)}
		for i, p := range parts[2:] {
			n, err := strconv.ParseUint(p, 0, 48)
			if err != nil {
				t.Fatalf("%x: %q: %v", b, text, err)
			}
			if i == 0 {
				out = append(out, byte(n>>40), byte(n>>32), byte(n>>24), byte(n>>16), byte(n>>8), byte(n))
			} else {
				out = binary.LittleEndian.AppendUint32(out, uint32(n))
			}
		}
		if parts[0] != "S" || parts[1] != "1" || string(out) != string(b) {
			t.Errorf("%x: %q, which is %x", b, text, out)
		}
	})
}

// FuzzFileTime: a number is one time, never, or an error, and the time is that number again.
func FuzzFileTime(f *testing.F) {
	for _, seed := range []string{"0", "-1", "1", "132537600000000001", "9223372036854775807", "9223372036854775808", "2650467743999999999", "+5", "0x10", ""} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, s string) {
		at, never, err := fileTime(s)
		switch {
		case err != nil || never:
			if !at.IsZero() || err != nil && never {
				t.Errorf("%q: %s, %v, %v", s, at, never, err)
			}
		default:
			n := (at.Unix()+11644473600)*1e7 + int64(at.Nanosecond()/100)
			if want, err := strconv.ParseInt(s, 10, 64); err != nil || n != want {
				t.Errorf("%q is %s, which is %d", s, at, n)
			}
		}
	})
}

// FuzzGeneralizedTime compares with Go's own reading where that knows the form.
func FuzzGeneralizedTime(f *testing.F) {
	for _, seed := range []string{"20261123020000Z", "20261123020000.5+0130", "2026112302,25-05", "202611230200Z", "20161231235960Z", "20250229000000Z", "16010101000000.0Z"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, s string) {
		at, err := generalizedTime(s)
		want, errGo := time.Parse("20060102150405Z0700", s)
		if errGo == nil && want.Year() > firstYear && want.Year() < lastYear && !strings.ContainsAny(s, ".,") && (err != nil || !at.Equal(want)) {
			t.Errorf("%q: %s, %v, want %s", s, at, err, want)
		}
		if err == nil && (at.Location() != time.UTC || at.Year() < firstYear || at.Year() > lastYear) {
			t.Errorf("%q: %s", s, at)
		}
	})
}

// FuzzLDIF reads anything: it ends in an error with a place, or in entries that come back the same after writing.
func FuzzLDIF(f *testing.F) {
	for _, seed := range []string{
		"", "version: 1\ndn: dc=x\ndc: x\n", "dn:: Y249SsO8cmdlbg==\r\no:: IGE\r\n K\r\n\r\n", "# a\n b\ndn: dc=x\no: 1\nO: 2\ncn;lang-de: 3\n", "dn: dc=x\nchangetype: add\n",
		"dn: dc=x\no:< file:///x\n", "dn:\na_b:\n\n\ndn: o=ä\no: ä \n", "dn: dc=x\nmember;range=0-1: x\n", "\ufeffdn: a\n", "# result: 4 x\n", " x\n", "dn: dc=x\no: y\n \n", "dn: dc=x\no: y",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		read := func(text string) (entries []located, err error) {
			for e, err := range readLimited(strings.NewReader(text), "a.ldif", 1000, 10_000) {
				if err != nil {
					return entries, err
				}
				entries = append(entries, e)
			}
			return entries, nil
		}
		entries, err := read(text)
		if err != nil && !strings.HasPrefix(err.Error(), "a.ldif: line ") {
			t.Errorf("an error without its place: %v", err)
		}
		var b strings.Builder
		for _, e := range entries {
			if e.Line < 1 || e.Line > int64(strings.Count(text, "\n")) {
				t.Errorf("an entry in line %d", e.Line)
			}
			if err := writeLDIF(&b, e.Entry); err != nil {
				t.Fatal(err)
			}
		}
		back, err := parseLDIF(b.String())
		if err != nil {
			t.Fatalf("%v in %q", err, b.String())
		}
		for i := range back {
			back[i].Line = entries[i].Line
		}
		if got, want := show(back), show(entries); got != want {
			t.Errorf("%q comes back as\n%swas\n%s", text, got, want)
		}
	})
}

// FuzzFilter: anything is an error or a filter, of which its negation says the opposite.
func FuzzFilter(f *testing.F) {
	for _, seed := range []string{
		"(cn=a)", "(&(a=b)(|(c=*)(!(d=e*f*g))))", "(a>=1)", "(a<=20260101000000Z)", "(a~=b)", "(a:1.2.840.113556.1.4.803:=2)", "(a:dn:=b)", `(a=\2a\ff)`, "(a=**)", "(objectCategory=person)", "(memberOf=cn=x, dc=y)", "((a=b))", "(!)", "(&)",
	} {
		f.Add(seed)
	}
	e := &ldap.Entry{DN: "cn=a", Attributes: []*ldap.EntryAttribute{
		{Name: "a", Values: []string{"b", "2", "20260101000000Z", "\xff", ""}}, {Name: "cn;x-y", Values: []string{"Ä b"}}, {Name: "memberOf", Values: []string{"CN=X,DC=Y"}}, {Name: "d"},
	}}
	f.Fuzz(func(t *testing.T, s string) {
		filter, err := parseFilter(s)
		if err != nil {
			return
		}
		not, err := parseFilter("(!" + s + ")")
		if err != nil {
			if strings.Count(s, "(") < maxNesting {
				t.Errorf("(!%s): %v", s, err)
			}
			return
		}
		if matches(filter, e) == matches(not, e) {
			t.Errorf("%q and its negation are both %v", s, matches(filter, e))
		}
	})
}

// FuzzMemberURL: anything is an error or a search that covers what it says.
func FuzzMemberURL(f *testing.F) {
	for _, seed := range []string{"ldap:///dc=x??sub?(l=Berlin)", "ldap:///dc=x??one", "LDAP:///cn=a%2Cb", "ldap:///?", "ldap:///dc=x?a?b?c?d?e", "ldap:///dc=%zz", "ldap:///dc=x????!x"} {
		f.Add(seed, "cn=a,dc=x")
	}
	f.Fuzz(func(t *testing.T, text, dn string) {
		u, err := parseMemberURL(text)
		if err != nil {
			return
		}
		if again, err := canonicalDN(u.base); err != nil || again != u.base {
			t.Errorf("%q: the base %q is not canonical: %v", text, u.base, err)
		}
		dn, err = canonicalDN(dn)
		if err == nil && u.covers(dn) && !underDN(dn, u.base) {
			t.Errorf("%q covers %q", text, dn)
		}
	})
}

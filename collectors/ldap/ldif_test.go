package ldap

import (
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/go-ldap/ldap/v3"
	"github.com/google/go-cmp/cmp"
)

// parseLDIF reads a text to its end or its first fault.
func parseLDIF(text string) ([]located, error) {
	var out []located
	for e, err := range readLDIF(strings.NewReader(text), "a.ldif") {
		if err != nil {
			return out, err
		}
		out = append(out, e)
	}
	return out, nil
}

// show writes entries one value a line, for comparing.
func show(entries []located) string {
	var b strings.Builder
	for _, e := range entries {
		fmt.Fprintf(&b, "%d %q\n", e.Line, e.DN)
		for _, a := range e.Attributes {
			fmt.Fprintf(&b, "  %s %q\n", a.Name, a.Values)
		}
	}
	return b.String()
}

func TestReadLDIF(t *testing.T) {
	for _, c := range []struct{ name, in, want string }{
		{"nothing", "", ""},
		{"version only", "version: 1\n", ""},
		{"version, then at once", "version: 1\ndn: dc=x\ndc: x\n", "2 \"dc=x\"\n  dc [\"x\"]\n"},
		{"no version", "dn: dc=x\ndc: x\n", "1 \"dc=x\"\n  dc [\"x\"]\n"},
		{"CRLF", "version: 1\r\n\r\ndn: dc=x\r\ndc: x\r\n y\r\n\r\n", "3 \"dc=x\"\n  dc [\"xy\"]\n"},
		{"a byte order mark", "\ufeffdn: dc=x\ndc: x\n", "1 \"dc=x\"\n  dc [\"x\"]\n"},
		{"empty lines about", "\n\n\nversion: 1\n\n\n\ndn: dc=x\ndc: x\n\n\n\ndn: dc=y\ndc: y\n\n\n", "8 \"dc=x\"\n  dc [\"x\"]\n13 \"dc=y\"\n  dc [\"y\"]\n"},
		{"no space after the colon, and many", "dn:dc=x\ndc:x\no:    y\n", "1 \"dc=x\"\n  dc [\"x\"]\n  o [\"y\"]\n"},
		{"space at the end stays", "dn: dc=x\no: y  \n", "1 \"dc=x\"\n  o [\"y  \"]\n"},
		{"empty values", "dn: dc=x\no:\np: \nq::\n", "1 \"dc=x\"\n  o [\"\"]\n  p [\"\"]\n  q [\"\"]\n"},
		{"the topmost entry", "dn:\nvendorName: v\n", "1 \"\"\n  vendorName [\"v\"]\n"},
		{"an entry without attributes", "dn: dc=x\n\ndn: dc=y\n\n", "1 \"dc=x\"\n3 \"dc=y\"\n"},

		{"folding", "dn: cn=a,\n dc=x\ndesc\n ription: one \n  two\n  three\n", "1 \"cn=a,dc=x\"\n  description [\"one  two three\"]\n"},
		{"folding of nothing", "dn: dc=x\no: y\n \n \n z\n", "1 \"dc=x\"\n  o [\"yz\"]\n"},
		{"comments", "# one\n  folded: x\nversion: 1\n#\ndn: dc=x\n# two\n and: more\no: y\n#end\n", "5 \"dc=x\"\n  o [\"y\"]\n"},
		{"base64", "dn:: Y249SsO8cmdlbg==\no:: IGEK\n", "1 \"cn=Jürgen\"\n  o [\" a\\n\"]\n"},
		{"folded base64", "dn: dc=x\no:: IGE\n K\n", "1 \"dc=x\"\n  o [\" a\\n\"]\n"},
		{"bytes", "dn: dc=x\nobjectGUID:: AP8=\n", "1 \"dc=x\"\n  objectGUID [\"\\x00\\xff\"]\n"},
		{"text in UTF-8 as it is", "dn: o=ä\no: ä\n", "1 \"o=ä\"\n  o [\"ä\"]\n"},
		{"a value with colons and an angle", "dn: dc=x\no: :a:<b\n", "1 \"dc=x\"\n  o [\":a:<b\"]\n"},
		{"case of keywords", "VERSION: 1\nDN: dc=x\no: y\nO: z\n", "2 \"dc=x\"\n  o [\"y\" \"z\"]\n"},
		{"values apart", "dn: dc=x\no: 1\np: 2\no: 3\n", "1 \"dc=x\"\n  o [\"1\" \"3\"]\n  p [\"2\"]\n"},
		{"options", "dn: dc=x\ncn: Jones\ncn;lang-de: Jonas\ncn;lang-DE: Johann\nuserCertificate;binary:: MAA=\nmember;range=0-*: cn=a\n",
			"1 \"dc=x\"\n  cn [\"Jones\"]\n  cn;lang-de [\"Jonas\" \"Johann\"]\n  userCertificate;binary [\"0\\x00\"]\n  member;range=0-* [\"cn=a\"]\n"},
		{"a type by number, and with an underscore", "dn: dc=x\n2.5.4.3: a\nx_y: b\n", "1 \"dc=x\"\n  2.5.4.3 [\"a\"]\n  x_y [\"b\"]\n"},
		{"multi-valued RDN", "dn: cn=Amy Wong+sn=Kroker,dc=x\ncn: Amy Wong\n", "1 \"cn=Amy Wong+sn=Kroker,dc=x\"\n  cn [\"Amy Wong\"]\n"},
		{"a changeType that is data", "dn: changenumber=1\nchangeNumber: 1\nchangeType: add\n", "1 \"changenumber=1\"\n  changeNumber [\"1\"]\n  changeType [\"add\"]\n"},
		{"a good end", "# extended LDIF\n#\n\ndn: dc=x\ndc: x\n\n# search result\n# search: 2\n# result: 0 Success\n", "4 \"dc=x\"\n  dc [\"x\"]\n"},

		// RFC 2849, examples 1, 4 and 5 in short.
		{"RFC 2849", "version: 1\ndn: cn=Gern Jensen, ou=Product Testing, dc=airius, dc=com\nobjectclass:top\ntelephonenumber: +1 408 555 1212\n" +
			"description:: V2hhdCBhIGNhcmVmdWwgcmVhZGVyIHlvdSBhcmUhICBUaGlzIHZhbHVlIGlzIGJhc2UtNjQt\n ZW5jb2RlZCBiZWNhdXNlIGl0IGhhcyBhIGNvbnRyb2wgY2hhcmFjdGVyIGluIGl0IChhIENSKS4NICBCeSB0aGUgd2F5LCB5b3Ugc2hvdWxkIHJlYWxseSBnZXQgb3V0IG1vcmUu\n" +
			"\ndn:: b3U95Za25qWt6YOoLG89QWlyaXVz\n# dn:: ou=<JapaneseOU>,o=Airius\nou:: 5Za25qWt6YOo\nou;lang-ja:: 5Za25qWt6YOo\nou;lang-en: Sales\n",
			"2 \"cn=Gern Jensen, ou=Product Testing, dc=airius, dc=com\"\n  objectclass [\"top\"]\n  telephonenumber [\"+1 408 555 1212\"]\n" +
				"  description [\"What a careful reader you are!  This value is base-64-encoded because it has a control character in it (a CR).\\r  By the way, you should really get out more.\"]\n" +
				"8 \"ou=営業部,o=Airius\"\n  ou [\"営業部\"]\n  ou;lang-ja [\"営業部\"]\n  ou;lang-en [\"Sales\"]\n"},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, err := parseLDIF(c.in)
			if err != nil {
				t.Fatal(err)
			}
			if d := cmp.Diff(c.want, show(got)); d != "" {
				t.Error(d)
			}
		})
	}
}

func TestBrokenLDIF(t *testing.T) {
	for _, c := range []struct{ name, in, want string }{
		{"version 2", "version: 2\n", "line 1: LDIF of a version other than 1"},
		{"version later", "dn: dc=x\ndc: x\n\nversion: 1\n", "line 4: an entry begins with dn:, not with version"},
		{"no dn", "\ncn: a\n", "line 2: an entry begins with dn:, not with cn"},
		{"ldapsearch without -LLL", "dn: dc=x\ndc: x\n\n# search result\nsearch: 2\nresult: 0 Success\n", "line 5: an entry begins with dn:, not with search: an export by ldapsearch is LDIF with its option -LLL"},
		{"a search that was cut short", "dn: dc=x\ndc: x\n\n# search result\n# search: 2\n# result: 4 Size limit exceeded\n", `line 6: the export is not whole: the search ended with result "4 Size limit exceeded"`},
		{"two entries in one", "dn: dc=x\ndc: x\ndn: dc=y\n", "line 3: a second dn: in the entry that began in line 1"},
		{"a change", "dn: dc=x\nchangetype: modify\nadd: o\no: y\n-\n", "line 2: a change record: give an export of entries"},
		{"a change by a control", "dn: dc=x\ncontrol: 1.2.3 true\nchangetype: delete\n", "line 2: a change record: give an export of entries"},
		{"an export by ldifde", "dn: dc=x\nchangetype: add\ndc: x\n", "line 2: a change record: ldifde writes changetype: add into each entry"},
		{"a URL", "dn: dc=x\njpegphoto:< file:///etc/shadow\n", "line 2: the value of jpegphoto is in another file, which is not read"},
		{"a URL for a dn", "dn:< file:///etc/shadow\n", "line 1: the value of dn is in another file"},
		{"a part of the members", "dn: dc=x\nmember;range=0-1499: cn=a\n", "line 2: only values 0-1499 of member were exported"},
		{"the last part of the members", "dn: dc=x\nmember;Range=1500-*: cn=a\n", "line 2: only values 1500-* of member were exported"},
		{"no colon", "dn: dc=x\ndc\n", "line 2: is no attribute with a colon and a value"},
		{"no attribute", "dn: dc=x\n: y\n", "line 2: no attribute is spelt"},
		{"a space in an attribute", "dn: dc=x\nd c: y\n", "line 2: no attribute is spelt"},
		{"an empty option", "dn: dc=x\ncn;: y\n", "line 2: no attribute is spelt"},
		{"a Kelvin sign", "dn: dc=x\n\u212a: y\n", "line 2: no attribute is spelt"},
		{"a dash", "dn: dc=x\ndc: x\n-\n", "line 3: is no attribute"},
		{"base64 that is none", "dn: dc=x\ndc:: a?b=\n", "line 2: the value of dc is not in base64"},
		{"base64 without padding", "dn: dc=x\ndc:: YQ\n", "line 2: the value of dc is not in base64"},
		{"base64 with a bit too many", "dn: dc=x\ndc:: YR==\n", "line 2: the value of dc is not in base64"},
		{"bytes that are no text", "dn: dc=x\ndc: \xff\n", "line 2: the value of dc is not valid UTF-8"},
		{"a dn that is no text", "dn:: /w==\n", "line 1: the DN is not valid UTF-8"},
		{"a carriage return", "dn: dc=x\ndc: a\rb\n", "line 2: the value of dc holds a NUL or a carriage return"},
		{"a NUL", "dn: dc=x\ndc: a\x00b\n", "line 2: the value of dc holds a NUL"},
		{"UTF-16", "\xff\xfed\x00n\x00:\x00\n\x00", "line 1: the file is in UTF-16"},
		{"a fold of nothing", " dc=x\n", "line 1: begins with a space but continues no line"},
		{"a fold after an empty line", "dn: dc=x\n\n dc: x\n", "line 3: begins with a space"},
		{"cut off in a value", "dn: dc=x\ndc: x\no: ab", "line 3: the file ends in the middle of this line"},
		{"cut off in a fold", "dn: dc=x\ndc: x\n ", "line 3: the file ends in the middle of this line"},
		{"a fault in a folded line is at its first", "dn: dc=x\no: y\n\ndn:: a\n b\n c?\n", "line 4: the value of dn is not in base64"},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, err := parseLDIF(c.in)
			if err == nil || !strings.HasPrefix(err.Error(), "a.ldif: "+c.want) {
				t.Errorf("error %v, want a.ldif: %s", err, c.want)
			}
			if len(got) > 1 {
				t.Errorf("%d entries before it", len(got))
			}
		})
	}
}

func TestLDIFLimits(t *testing.T) {
	read := func(text string) (n int, err error) {
		for e, err := range readLimited(strings.NewReader(text), "a.ldif", 100, 300) {
			if err != nil {
				return n, err
			}
			n += len(e.Attributes)
		}
		return n, nil
	}
	long := strings.Repeat("x", 60)
	for _, c := range []struct{ name, in, want string }{
		{"a line", "dn: dc=x\no: " + long + long + "\n", "a.ldif: line 2: is longer than 100 bytes"},
		{"a folded line", "dn: dc=x\no: " + long + "\n " + long + "\n", "a.ldif: line 3: is longer than 100 bytes"},
		{"an entry", "\ndn: dc=x\n" + strings.Repeat("o: "+long+"\n", 5), "a.ldif: line 7: the entry that began in line 2 is larger than 300 bytes"},
	} {
		if _, err := read(c.in); err == nil || !strings.HasPrefix(err.Error(), c.want) {
			t.Errorf("%s: error %v, want %s", c.name, err, c.want)
		}
	}
	if n, err := read(strings.Repeat("dn: dc=x\n"+strings.Repeat("o: "+long+"\n", 4)+"\n", 100)); n != 100 || err != nil {
		t.Errorf("100 entries within the limits: %d, %v", n, err)
	}
}

// An attribute of 10 MB comes whole, in one line and folded, whatever the size of the reads.
func TestLargeValue(t *testing.T) {
	value := bytes.Repeat([]byte("0123456789abcde\xff"), 10<<20/16)
	b64 := base64.StdEncoding.EncodeToString(value)
	var folded strings.Builder
	for i := 0; i < len(b64); i += 75 {
		folded.WriteString("\n " + b64[i:min(i+75, len(b64))])
	}
	for name, text := range map[string]string{"one line": " " + b64, "folded": folded.String()} {
		text = "dn: dc=x\njpegPhoto::" + text + "\no: y\n"
		for size, r := range map[string]io.Reader{"whole": strings.NewReader(text), "halves": iotest.HalfReader(strings.NewReader(text))} {
			n := 0
			for e, err := range readLDIF(r, "a.ldif") {
				if err != nil {
					t.Fatalf("%s, %s: %v", name, size, err)
				}
				n++
				if len(e.Attributes) != 2 || e.Attributes[0].Values[0] != string(value) || e.Attributes[1].Values[0] != "y" {
					t.Errorf("%s, %s: the value is not what was written", name, size)
				}
			}
			if n != 1 {
				t.Errorf("%s, %s: %d entries", name, size, n)
			}
		}
	}
}

// What is read doesn't depend on where the reads and the buffer end.
func TestLDIFReads(t *testing.T) {
	var text strings.Builder
	text.WriteString("version: 1\n\n")
	for i := range 500 {
		fmt.Fprintf(&text, "dn: uid=u%d,dc=x\n# a comment\n  goes on\ndescription: %s\n %s\no:: %s\n\n", i, strings.Repeat("a", i), strings.Repeat("b ", i), base64.StdEncoding.EncodeToString(make([]byte, i)))
	}
	want, err := parseLDIF(text.String())
	if err != nil || len(want) != 500 {
		t.Fatalf("%d entries, %v", len(want), err)
	}
	for name, r := range map[string]io.Reader{"one byte": iotest.OneByteReader(strings.NewReader(text.String())), "with the end": iotest.DataErrReader(strings.NewReader(text.String()))} {
		var got []located
		for e, err := range readLDIF(r, "a.ldif") {
			if err != nil {
				t.Fatal(name, err)
			}
			got = append(got, e)
		}
		if d := cmp.Diff(show(want), show(got)); d != "" {
			t.Error(name, d)
		}
	}
}

func TestLDIFReadError(t *testing.T) {
	unplugged := errors.New("unplugged")
	r := io.MultiReader(strings.NewReader("dn: dc=x\ndc: x\n\ndn: dc=y\n"), iotest.ErrReader(unplugged))
	n := 0
	var last error
	for _, err := range readLDIF(r, "a.ldif") {
		if last = err; err == nil {
			n++
		}
	}
	if n != 1 || !errors.Is(last, unplugged) || !strings.HasPrefix(last.Error(), "a.ldif: ") {
		t.Errorf("%d entries, then %v", n, last)
	}
}

func TestLDIFStops(t *testing.T) {
	for range readLDIF(strings.NewReader("dn: dc=x\n\ndn: dc=y\n\n"), "a.ldif") {
		break
	}
}

func TestWriteLDIF(t *testing.T) {
	e := &ldap.Entry{DN: "cn=Jürgen,dc=x", Attributes: []*ldap.EntryAttribute{
		{Name: "cn", Values: []string{"Jürgen", "plain", " a", "a ", ":a", "<a", "a:b<c", "", "a\nb", "\x00\xff", "a\rb", "-", "#x"}},
		{Name: "userCertificate;binary", Values: []string{"x"}},
		{Name: "empty"},
	}}
	var b strings.Builder
	if err := writeLDIF(&b, e); err != nil {
		t.Fatal(err)
	}
	want := "dn:: Y249SsO8cmdlbixkYz14\ncn:: SsO8cmdlbg==\ncn: plain\ncn:: IGE=\ncn:: YSA=\ncn:: OmE=\ncn:: PGE=\ncn: a:b<c\ncn:\ncn:: YQpi\ncn:: AP8=\ncn:: YQ1i\ncn: -\ncn: #x\nuserCertificate;binary: x\n\n"
	if d := cmp.Diff(want, b.String()); d != "" {
		t.Error(d)
	}
	back, err := parseLDIF(b.String())
	if err != nil || len(back) != 1 {
		t.Fatalf("%d entries, %v", len(back), err)
	}
	if d := cmp.Diff(e.Attributes[:2], back[0].Attributes, cmp.Comparer(func(a, b *ldap.EntryAttribute) bool {
		return a.Name == b.Name && cmp.Equal(a.Values, b.Values)
	})); d != "" || back[0].DN != e.DN {
		t.Error(d, back[0].DN)
	}
	for _, name := range []string{"", "a b", "dn", "changetype", "a:", "member;range=0-9"} {
		if err := writeLDIF(io.Discard, &ldap.Entry{DN: "dc=x", Attributes: []*ldap.EntryAttribute{{Name: name, Values: []string{"x"}}}}); err == nil {
			t.Errorf("an attribute %q is written", name)
		}
	}
}

func BenchmarkReadLDIF(b *testing.B) {
	var text strings.Builder
	for i := range 1000 {
		fmt.Fprintf(&text, `dn: uid=user%[1]d,ou=people,dc=corp,dc=example
objectClass: top
objectClass: inetOrgPerson
objectClass: posixAccount
cn: Anna Berg %[1]d
cn;lang-de:: SsO8cmdlbg==
sn: Berg
uid: user%[1]d
mail: user%[1]d@corp.example
employeeNumber: %[1]d
uidNumber: %[1]d
gidNumber: 100
homeDirectory: /home/user%[1]d
description: a text that is so long that it does not fit in one line, so th
 at it is folded
entryUUID: 7a1e9dd4-6f0e-4d2f-9c54-%012[1]d
memberOf: cn=everybody,ou=groups,dc=corp,dc=example
memberOf: cn=berlin,ou=groups,dc=corp,dc=example

`, i)
	}
	b.SetBytes(int64(text.Len()))
	b.ReportAllocs()
	for b.Loop() {
		n := 0
		for _, err := range readLDIF(strings.NewReader(text.String()), "a.ldif") {
			if err != nil {
				b.Fatal(err)
			}
			n++
		}
		if n != 1000 {
			b.Fatal(n)
		}
	}
}

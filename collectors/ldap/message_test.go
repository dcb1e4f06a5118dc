package ldap

import (
	"errors"
	"strings"
	"testing"

	ber "github.com/go-asn1-ber/asn1-ber"
	"github.com/go-ldap/ldap/v3"
)

// entryMessage is a SearchResultEntry as the library would write it.
func entryMessage(dn string, attributes ...[]string) []byte {
	text := func(s string) *ber.Packet {
		return ber.NewString(ber.ClassUniversal, ber.TypePrimitive, ber.TagOctetString, s, "")
	}
	op := ber.Encode(ber.ClassApplication, ber.TypeConstructed, ldap.ApplicationSearchResultEntry, nil, "")
	op.AppendChild(text(dn))
	list := ber.NewSequence("")
	for _, a := range attributes {
		pair, set := ber.NewSequence(""), ber.Encode(ber.ClassUniversal, ber.TypeConstructed, ber.TagSet, nil, "")
		for _, v := range a[1:] {
			set.AppendChild(text(v))
		}
		pair.AppendChild(text(a[0]))
		pair.AppendChild(set)
		list.AppendChild(pair)
	}
	op.AppendChild(list)
	m := ber.NewSequence("")
	m.AppendChild(ber.NewInteger(ber.ClassUniversal, ber.TypePrimitive, ber.TagInteger, 1<<20+1, ""))
	m.AppendChild(op)
	return m.Bytes()
}

// body is a message without its head.
func body(t testing.TB, m []byte) element {
	t.Helper()
	e := element(m)
	b, err := e.want(tagSequence)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestEntryMessage(t *testing.T) {
	long := strings.Repeat("ä", 40_000) // a length of three bytes
	m, err := parseMessage(body(t, entryMessage("cn=x", []string{"objectGUID", "\x00\xff\x80"}, []string{"cn", "x", long}, []string{"member"})))
	if err != nil || m.id != 1<<20+1 || m.op != ldap.ApplicationSearchResultEntry {
		t.Fatalf("message %d of kind %d, %v", m.id, m.op, err)
	}
	e, err := m.entry(map[string]string{})
	if err != nil {
		t.Fatal(err)
	}
	if e.DN != "cn=x" || len(e.Attributes) != 3 || e.GetAttributeValue("objectGUID") != "\x00\xff\x80" || e.GetAttributeValues("cn")[1] != long || len(e.Attributes[2].Values) != 0 {
		t.Errorf("entry %+v", e)
	}
	// Cut anywhere, it is no message, and never a shorter entry.
	whole := body(t, entryMessage("cn=x", []string{"cn", "x", "y"}))
	for n := range len(whole) {
		m, err := parseMessage(whole[:n])
		if err == nil {
			_, err = m.entry(map[string]string{})
		}
		var c *cut
		if !errors.As(err, &c) {
			t.Errorf("the first %d of %d bytes: error %v", n, len(whole), err)
		}
	}
}

// Whatever a server sends, it is an error or what the library would read.
func FuzzMessage(f *testing.F) {
	f.Add([]byte(body(f, entryMessage("cn=x", []string{"cn", "x", "y"}))))
	f.Add([]byte(body(f, done(3, ldap.LDAPResultBusy).Bytes())))
	page := done(3, 0)
	controls := ber.Encode(ber.ClassContext, ber.TypeConstructed, 0, nil, "")
	controls.AppendChild(ldap.NewControlPaging(5).Encode())
	page.AppendChild(controls)
	f.Add([]byte(body(f, page.Bytes())))
	f.Fuzz(func(t *testing.T, b []byte) {
		m, err := parseMessage(b)
		if err != nil {
			return
		}
		if e, err := m.entry(map[string]string{}); err == nil && len(m.rest) == 0 {
			size := len(e.DN)
			for _, a := range e.Attributes {
				size += len(a.Name)
				for _, v := range a.Values {
					size += len(v)
				}
			}
			if size > len(b) {
				t.Errorf("%d bytes out of %d", size, len(b))
			}
		}
		_ = m.result()
		if _, err := m.controls(); err == nil && len(m.rest) > 0 && m.rest[0] != tagControls {
			t.Error("controls without their tag")
		}
	})
}

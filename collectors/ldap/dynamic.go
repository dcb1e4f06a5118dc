package ldap

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net/url"
	"strings"

	"github.com/go-ldap/ldap/v3"
)

// dynamic finds the members of groups that are a search: groupOfURLs with memberURL. The server may come to a group after
// the entries that it is about, so these are kept, packed, where there can be such groups at all.
type dynamic struct {
	wanted bool            // that the source has such groups
	asked  map[string]bool // attributes that every entry is read with, lower case
	groups []dynamicGroup
	kept   []packed
	names  []string // of attributes, by their number in packed
	number map[string]uint64
	faults []string
}

type dynamicGroup struct {
	no uint32
	memberURL
}

// packed is an entry in little memory.
type packed struct {
	dn   string // canonical
	no   uint32
	data string // attribute number, length, value
}

// memberURL is a search (RFC 4516).
type memberURL struct {
	base   string // canonical
	scope  string // base, one, sub
	filter *filter
}

// parseMemberURL reads ldap:///BASE?ATTRIBUTES?SCOPE?FILTER. Attributes say nothing about members.
func parseMemberURL(s string) (u memberURL, err error) {
	const scheme = "ldap:///"
	if len(s) < len(scheme) || !strings.EqualFold(s[:len(scheme)], scheme) {
		return u, errors.New("it doesn't begin with ldap:///, which means this server")
	}
	parts := strings.Split(s[len(scheme):], "?")
	if len(parts) > 5 {
		return u, errors.New("it has more than four question marks")
	}
	for i, p := range parts {
		if parts[i], err = url.PathUnescape(p); err != nil {
			return u, errors.New("a percent sign comes before two hexadecimal digits")
		}
	}
	for len(parts) < 5 {
		parts = append(parts, "")
	}
	if strings.Contains(parts[4], "!") {
		return u, errors.New("it has an extension that must be understood, and none is")
	}
	if u.base, err = canonicalDN(parts[0]); err != nil {
		return u, err
	}
	switch u.scope = strings.ToLower(parts[2]); u.scope {
	case "":
		u.scope = "base"
	case "base", "one", "sub":
	default:
		return u, fmt.Errorf("the scope %q is none of base, one, sub", parts[2])
	}
	text := parts[3]
	if text == "" {
		text = "(objectClass=*)"
	}
	u.filter, err = parseFilter(enclosed(text))
	return u, err
}

// covers reports whether an entry lies where the search looks.
func (u memberURL) covers(dn string) bool {
	switch u.scope {
	case "base":
		return dn == u.base
	case "one":
		return dn != "" && parentDN(dn) == u.base
	}
	return underDN(dn, u.base)
}

// group takes a URL of a group. One that can't be evaluated makes the members unknown.
func (y *dynamic) group(no uint32, dn, text string) {
	u, err := parseMemberURL(text)
	if err == nil {
		for _, a := range u.filter.attributes() {
			if name, _, _ := strings.Cut(a, ";"); !y.asked[name] {
				err = fmt.Errorf("its filter asks %s, which is not read: name it under attributes", name)
				break
			}
		}
	}
	if err != nil {
		y.faults = append(y.faults, fmt.Sprintf("members of %s are unknown, memberURL can't be evaluated: %v", dn, err))
		return
	}
	y.groups = append(y.groups, dynamicGroup{no, u})
}

// keep packs an entry that can be a member.
func (y *dynamic) keep(e located, dn string, no uint32) {
	if !y.wanted {
		return
	}
	if y.number == nil {
		y.number = map[string]uint64{}
	}
	var data []byte
	for _, a := range e.Attributes {
		name, _, _ := strings.Cut(strings.ToLower(a.Name), ";")
		if !y.asked[name] || name == "member" || name == "uniquemember" || name == "memberuid" {
			continue
		}
		n, ok := y.number[a.Name]
		if !ok {
			n = uint64(len(y.names))
			y.number[a.Name], y.names = n, append(y.names, a.Name)
		}
		for _, v := range a.Values {
			data = binary.AppendUvarint(data, n)
			data = binary.AppendUvarint(data, uint64(len(v)))
			data = append(data, v...)
		}
	}
	y.kept = append(y.kept, packed{dn, no, string(data)})
}

// unpack is an entry with what filters can ask of it.
func (y *dynamic) unpack(p packed) *ldap.Entry {
	e := &ldap.Entry{DN: p.dn}
	last := -1
	for data := []byte(p.data); len(data) > 0; {
		n, size := binary.Uvarint(data)
		data = data[size:]
		length, size := binary.Uvarint(data)
		value := string(data[size : size+int(length)])
		data = data[size+int(length):]
		if int(n) != last {
			last = int(n)
			e.Attributes = append(e.Attributes, &ldap.EntryAttribute{Name: y.names[n]})
		}
		a := e.Attributes[len(e.Attributes)-1]
		a.Values = append(a.Values, value)
	}
	return e
}

// settle adds the members, when all entries were read.
func (y *dynamic) settle(m *members) {
	if len(y.groups) == 0 {
		return
	}
	for _, p := range y.kept {
		e := y.unpack(p)
		for _, g := range y.groups {
			if g.no != p.no && g.covers(p.dn) && matches(g.filter, e) {
				m.add(g.no, m.name("dn", p.dn))
			}
		}
	}
}

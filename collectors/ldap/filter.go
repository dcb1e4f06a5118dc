package ldap

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	ber "github.com/go-asn1-ber/asn1-ber"
	"github.com/go-ldap/ldap/v3"
)

// filter is a search filter (RFC 4515) that is matched here rather than by a server: on the entries of an export, and for
// the members of a dynamic group.
//
// There is no schema here, so values are compared by their looks: as integers where both are, as times where both are,
// else as text folded like the values of DNs; a DN is found in each of its spellings. Approximate is equal. The two rules
// of Active Directory for bits are known; a filter with another rule is refused, as is one that asks the DN.
type filter struct {
	op        ber.Tag // one of ldap.Filter…, or one of the two below
	of        []*filter
	attribute string // lower case

	value  string
	folded string
	dn     string // canonical, where the value is one
	number int64  // where it is one
	parts  []string
}

// Ops of ours: the matching rules by which Active Directory tests bits ([MS-ADTS] 3.1.1.3.4.4).
const (
	bitsAll ber.Tag = 100 + iota
	bitsAny
)

var bitRules = map[string]ber.Tag{"1.2.840.113556.1.4.803": bitsAll, "1.2.840.113556.1.4.804": bitsAny}

// maxNesting is more than anybody writes by hand.
const maxNesting = 100

// parseFilter reads a filter as it would be sent to a server.
func parseFilter(s string) (*filter, error) {
	depth := 0
	for i := range len(s) { // parentheses in values are escaped
		switch s[i] {
		case '(':
			depth++
		case ')':
			depth--
		}
		if depth > maxNesting {
			return nil, fmt.Errorf("a filter with more than %d parentheses in each other", maxNesting)
		}
	}
	packet, err := ldap.CompileFilter(s)
	if err != nil {
		return nil, reason(err)
	}
	return newFilter(packet)
}

func newFilter(p *ber.Packet) (*filter, error) {
	f := &filter{op: p.Tag}
	var err error
	switch p.Tag {
	case ldap.FilterAnd, ldap.FilterOr, ldap.FilterNot:
		for _, child := range p.Children {
			sub, err := newFilter(child)
			if err != nil {
				return nil, err
			}
			f.of = append(f.of, sub)
		}
		return f, nil
	case ldap.FilterPresent:
		return f, f.setAttribute(p.Data.String())
	case ldap.FilterSubstrings:
		f.parts = make([]string, 1, len(p.Children[1].Children)+2) // "" at either end is nothing to begin or end with
		for _, part := range p.Children[1].Children {
			text := foldPart(part.Data.String())
			if part.Tag == ldap.FilterSubstringsInitial {
				f.parts[0] = text
			} else {
				f.parts = append(f.parts, text)
			}
		}
		if last := p.Children[1].Children; len(last) == 0 || last[len(last)-1].Tag != ldap.FilterSubstringsFinal {
			f.parts = append(f.parts, "")
		}
		return f, f.setAttribute(p.Children[0].Data.String())
	case ldap.FilterExtensibleMatch:
		err = f.setExtensible(p)
	default:
		if err = f.setAttribute(p.Children[0].Data.String()); err == nil {
			f.value = p.Children[1].Data.String()
		}
	}
	if err != nil {
		return nil, err
	}
	f.folded = foldValue(f.value)
	if strings.Contains(f.value, "=") {
		if dn, err := canonicalDN(f.value); err == nil { // else it is compared as text
			f.dn = dn
		}
	}
	return f, nil
}

func (f *filter) setAttribute(name string) error {
	f.attribute = strings.ToLower(name)
	if err := describes(name); err != nil {
		return fmt.Errorf("%q is no attribute", name)
	}
	return nil
}

// setExtensible reads attribute:rule:=value.
func (f *filter) setExtensible(p *ber.Packet) error {
	rule, attribute := "", ""
	for _, child := range p.Children {
		switch child.Tag {
		case ldap.MatchingRuleAssertionMatchingRule:
			rule = child.Data.String()
		case ldap.MatchingRuleAssertionType:
			attribute = child.Data.String()
		case ldap.MatchingRuleAssertionMatchValue:
			f.value = child.Data.String()
		case ldap.MatchingRuleAssertionDNAttributes:
			return errors.New("a filter that asks the DN (:dn:) can only be sent to a server")
		}
	}
	if rule == "" {
		f.op = ldap.FilterEqualityMatch
		return f.setAttribute(attribute)
	}
	op, ok := bitRules[rule]
	if !ok {
		return fmt.Errorf("a filter by the matching rule %s can only be sent to a server", rule)
	}
	f.op = op
	var err error
	if f.number, err = strconv.ParseInt(f.value, 10, 64); err != nil {
		return fmt.Errorf("%q has no bits: the matching rule %s takes a whole number", f.value, rule)
	}
	return f.setAttribute(attribute)
}

// attributes are those that the filter asks, in lower case, sorted.
func (f *filter) attributes() []string {
	var out []string
	if f.attribute != "" {
		out = append(out, f.attribute)
	}
	for _, sub := range f.of {
		out = append(out, sub.attributes()...)
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// matches reports whether the filter is true of an entry. An attribute that the entry lacks has no value that fits: (!(a=b))
// is true without a. objectClass, which every entry has, is present also where an export leaves it out.
func matches(f *filter, e *ldap.Entry) bool {
	switch f.op {
	case ldap.FilterAnd:
		return !slices.ContainsFunc(f.of, func(sub *filter) bool { return !matches(sub, e) })
	case ldap.FilterOr:
		return slices.ContainsFunc(f.of, func(sub *filter) bool { return matches(sub, e) })
	case ldap.FilterNot:
		return !matches(f.of[0], e)
	case ldap.FilterPresent:
		if f.attribute == "objectclass" {
			return true
		}
	}
	for _, a := range e.Attributes {
		if !f.asks(a.Name) {
			continue
		}
		if f.op == ldap.FilterPresent {
			if len(a.Values) > 0 {
				return true
			}
			continue
		}
		if slices.ContainsFunc(a.Values, f.fits) {
			return true
		}
	}
	return false
}

// asks reports whether an attribute is the one asked, or that with more options: cn asks cn;lang-de, too.
func (f *filter) asks(name string) bool {
	n := len(f.attribute)
	return len(name) >= n && strings.EqualFold(name[:n], f.attribute) && (len(name) == n || name[n] == ';')
}

// fits reports whether one value is what the filter asks for.
func (f *filter) fits(v string) bool {
	switch f.op {
	case ldap.FilterEqualityMatch, ldap.FilterApproxMatch:
		return f.equal(v)
	case ldap.FilterGreaterOrEqual:
		return f.compare(v) >= 0
	case ldap.FilterLessOrEqual:
		return f.compare(v) <= 0
	case ldap.FilterSubstrings:
		return f.contains(foldValue(v))
	case bitsAll, bitsAny:
		n, err := strconv.ParseInt(v, 10, 64)
		if err != nil {
			return false
		}
		if f.op == bitsAll {
			return n&f.number == f.number
		}
		return n&f.number != 0
	}
	return false
}

func (f *filter) equal(v string) bool {
	if v == f.value {
		return true
	}
	switch f.attribute {
	case "objectsid": // Active Directory takes a SID as text
		if sid, err := sidText([]byte(v)); err == nil {
			return strings.EqualFold(sid, f.value)
		}
	case "objectcategory": // and a class for its category
		if f.dn == "" {
			_, name, err := nameOf(v)
			return err == nil && foldValue(name) == cmp.Or(categories[f.folded], f.folded)
		}
	}
	if !utf8.ValidString(v) {
		return false
	}
	if foldValue(v) == f.folded {
		return true
	}
	if f.dn == "" {
		return false
	}
	dn, err := canonicalDN(v)
	return err == nil && dn == f.dn
}

// categories are those of Active Directory's classes that have another's.
var categories = map[string]string{"user": "person", "inetorgperson": "person", "contact": "person", "organizationalperson": "person", "organizationalunit": "organizational-unit"}

// compare compares a value with that of the filter.
func (f *filter) compare(v string) int {
	a, errA := strconv.ParseInt(v, 10, 64)
	b, errB := strconv.ParseInt(f.value, 10, 64)
	if errA == nil && errB == nil {
		return cmp.Compare(a, b)
	}
	s, errS := generalizedTime(v)
	t, errT := generalizedTime(f.value)
	if errS == nil && errT == nil {
		return s.Compare(t)
	}
	return cmp.Compare(foldValue(v), f.folded)
}

// contains looks for the parts of a substring filter, one after the other.
func (f *filter) contains(v string) bool {
	last := len(f.parts) - 1
	v, ok := strings.CutPrefix(v, f.parts[0])
	for _, part := range f.parts[1:last] {
		if !ok {
			return false
		}
		_, v, ok = strings.Cut(v, part)
	}
	return ok && strings.HasSuffix(v, f.parts[last])
}

// foldPart folds a part of a value. A space at its end may be one inside the whole.
func foldPart(s string) string {
	const edge = "\x01"
	return strings.Trim(foldValue(edge+s+edge), edge)
}

package ldap

import (
	"fmt"
	"maps"
	"path"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/lapse-audit/lapse/internal/access"
)

// mapping is what the configuration says over what a dialect knows.
type mapping struct {
	fields     map[string]string // field to attribute in lower case
	attributes map[string]string // ours to the directory's in lower case
	kinds      []kindRule
	privileged map[string]bool // folded name, canonical DN or SID
}

type kindRule struct {
	Kind
	ou string // canonical
}

func newMapping(c *Config) mapping {
	m := mapping{fields: map[string]string{}, attributes: map[string]string{}, privileged: map[string]bool{}}
	for field, attribute := range c.Fields {
		m.fields[field] = strings.ToLower(attribute)
	}
	for ours, theirs := range c.Attributes {
		m.attributes[ours] = strings.ToLower(theirs)
	}
	for _, k := range c.Kinds {
		rule := kindRule{Kind: k}
		if k.OU != "" {
			if ou, err := canonicalDN(k.OU); err == nil { // Validate has read it
				rule.ou = ou
			}
		}
		rule.Username = strings.ToLower(k.Username)
		rule.Attribute = strings.ToLower(k.Attribute)
		m.kinds = append(m.kinds, rule)
	}
	for _, p := range c.Privileged {
		m.privileged[strings.ToLower(p)] = true
		if dn, err := canonicalDN(p); err == nil {
			m.privileged[dn] = true
		}
	}
	return m
}

// wanted are the attributes to ask for, beside those of the dialect.
func (m mapping) wanted() []string {
	var out []string
	out = slices.AppendSeq(out, maps.Values(m.fields))
	out = slices.AppendSeq(out, maps.Values(m.attributes))
	for _, k := range m.kinds {
		if k.Attribute != "" {
			out = append(out, k.Attribute)
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// account lays the configuration over an account. owner is the value of the owner's attribute where the configuration
// names one.
func (m mapping) account(a *access.Account, v *view, dn string) (owner string) {
	for field, attribute := range m.fields {
		value := v.text(attribute)
		switch field {
		case "username":
			a.Username = value
		case "email":
			a.Email = value
		case "name":
			a.Name = value
		case "employee_id":
			a.EmployeeID = value
		case "sponsor":
			a.Sponsor = value
		case "purpose":
			a.Purpose = value
		case "owner_id":
			owner = value
		}
	}
	for ours, theirs := range m.attributes {
		var texts []string
		for _, t := range v.texts(theirs) {
			if utf8.ValidString(t) && strings.IndexByte(t, 0) < 0 {
				texts = append(texts, t)
			} else {
				texts = append(texts, fmt.Sprintf("%x", t))
			}
		}
		if texts != nil {
			a.Attributes[ours] = strings.Join(texts, "; ")
		}
	}
	for _, k := range m.kinds {
		if k.fits(a, v, dn) {
			a.Kind = k.Kind.Kind
			break
		}
	}
	return owner
}

// fits reports whether all that a rule names is so; dn is canonical.
func (k kindRule) fits(a *access.Account, v *view, dn string) bool {
	if !underDN(dn, k.ou) {
		return false
	}
	if k.Username != "" {
		if ok, err := path.Match(k.Username, strings.ToLower(a.Username)); err != nil || !ok {
			return false
		}
	}
	if k.ObjectClass != "" && !v.is(k.ObjectClass) {
		return false
	}
	if k.Attribute != "" {
		values := v.texts(k.Attribute)
		if len(values) == 0 || k.Value != "" && !slices.ContainsFunc(values, func(s string) bool { return strings.EqualFold(s, k.Value) }) {
			return false
		}
	}
	return true
}

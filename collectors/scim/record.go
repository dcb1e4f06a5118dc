package scim

import (
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/lapse-audit/lapse/internal/access"
)

// A rejected resource has the attribute at fault and the reason.
type fault struct{ column, reason string }

// account makes an account of a user. What SCIM doesn't give, and what a server leaves out, stays absent.
func (r *reading) account(raw json.RawMessage) (access.Account, *user, *fault) {
	var u user
	if err := json.Unmarshal(raw, &u); err != nil {
		return access.Account{}, nil, &fault{"", "is no object"}
	}
	if f := need("id", u.ID); f != nil {
		return access.Account{}, nil, f
	}
	if f := need("userName", u.UserName); f != nil {
		return access.Account{}, nil, f
	}
	a := access.Account{ID: u.ID.s, Username: strings.TrimSpace(u.UserName.s), Name: r.get("displayName", u.DisplayName), Email: r.email(u.Emails), Attributes: map[string]string{}}
	n := first(u.Name)
	if a.Name == "" {
		a.Name = cmp.Or(r.get("name.formatted", n.Formatted), strings.TrimSpace(r.get("name.givenName", n.GivenName)+" "+r.get("name.familyName", n.FamilyName)))
	}
	if u.Active.odd != "" {
		r.odd("active", u.Active.odd)
	}
	a.Enabled = u.Active.value
	a.CreatedAt = r.date("meta.created", first(u.Meta).Created)
	w := first(u.Enterprise)
	a.EmployeeID = r.get("employeeNumber", w.EmployeeNumber)
	boss := first(w.Manager)
	userType := r.get("userType", u.UserType)
	for name, value := range map[string]string{
		"external_id": r.get("externalId", u.ExternalID), "user_type": userType, "title": r.get("title", u.Title),
		"department": r.get("department", w.Department), "division": r.get("division", w.Division), "cost_center": r.get("costCenter", w.CostCenter),
		"organization": r.get("organization", w.Organization), "manager_id": cmp.Or(r.get("manager.value", boss.Value), boss.ManagerID.s),
		"manager": r.get("manager.displayName", boss.DisplayName),
	} {
		if value != "" {
			a.Attributes[name] = value
		}
	}
	r.extra(raw, &a)
	a.Kind = r.kind(a.Username, userType)
	if len(a.Attributes) == 0 {
		a.Attributes = nil
	}
	return a, &u, nil
}

// need finds fault with an attribute that must be there.
func need(attribute string, t text) *fault {
	switch {
	case t.odd != "":
		return &fault{attribute, "is " + t.odd}
	case strings.TrimSpace(t.s) == "":
		return &fault{attribute, "is empty, and RFC 7643 requires it"}
	}
	return nil
}

// get is an attribute that may be missing: one that can't be read is, too, and counted.
func (r *reading) get(attribute string, t text) string {
	if t.odd != "" {
		r.odd(attribute, t.odd)
	}
	return strings.TrimSpace(t.s)
}

func (r *reading) date(attribute string, t text) *time.Time {
	at, ok := instant(r.get(attribute, t))
	if !ok {
		r.odd(attribute, "no date and time with a zone, of a year from 1900 to 2299")
	}
	return at
}

func first[T any](s some[T]) T {
	if len(s.list) > 0 {
		return s.list[0]
	}
	var none T
	return none
}

// email is the primary one, else the first of work, else the first.
func (r *reading) email(emails some[plural]) string {
	if emails.odd != "" {
		r.odd("emails", emails.odd)
	}
	best, rank := "", 3
	for _, e := range emails.list {
		n := 2
		switch {
		case e.Primary.value != nil && *e.Primary.value:
			n = 0
		case strings.EqualFold(e.Type.s, "work"):
			n = 1
		}
		if v := r.get("emails.value", e.Value); v != "" && n < rank {
			best, rank = v, n
		}
	}
	return best
}

func (r *reading) kind(username, userType string) access.AccountKind {
	for _, k := range r.config.Kinds {
		if k.UserType != "" && !strings.EqualFold(k.UserType, userType) {
			continue
		}
		if k.Username != "" {
			if ok, err := path.Match(strings.ToLower(k.Username), strings.ToLower(username)); err != nil || !ok {
				continue
			}
		}
		return k.Kind
	}
	return ""
}

// The fields of accounts that an attribute can be given for.
var (
	textFields = map[string]func(*access.Account) *string{
		"username":    func(a *access.Account) *string { return &a.Username },
		"email":       func(a *access.Account) *string { return &a.Email },
		"name":        func(a *access.Account) *string { return &a.Name },
		"employee_id": func(a *access.Account) *string { return &a.EmployeeID },
		"owner_id":    func(a *access.Account) *string { return &a.OwnerID },
		"sponsor":     func(a *access.Account) *string { return &a.Sponsor },
		"purpose":     func(a *access.Account) *string { return &a.Purpose },
	}
	timeFields = map[string]func(*access.Account) **time.Time{
		"created_at":          func(a *access.Account) **time.Time { return &a.CreatedAt },
		"last_login_at":       func(a *access.Account) **time.Time { return &a.LastLoginAt },
		"password_changed_at": func(a *access.Account) **time.Time { return &a.PasswordChangedAt },
		"disabled_at":         func(a *access.Account) **time.Time { return &a.DisabledAt },
		"expires_at":          func(a *access.Account) **time.Time { return &a.ExpiresAt },
	}
	flagFields = map[string]func(*access.Account) **bool{
		"enabled":     func(a *access.Account) **bool { return &a.Enabled },
		"privileged":  func(a *access.Account) **bool { return &a.Privileged },
		"external":    func(a *access.Account) **bool { return &a.External },
		"locked":      func(a *access.Account) **bool { return &a.Locked },
		"local_login": func(a *access.Account) **bool { return &a.LocalLogin },
		"mfa":         func(a *access.Account) **bool { return &a.MFA },
	}
)

func fieldNames() []string {
	names := slices.Collect(maps.Keys(textFields))
	names = slices.AppendSeq(names, maps.Keys(timeFields))
	return slices.Sorted(slices.Values(slices.AppendSeq(names, maps.Keys(flagFields))))
}

// extra sets the fields and attributes that the configuration names.
func (r *reading) extra(raw json.RawMessage, a *access.Account) {
	if len(r.config.Fields) == 0 && len(r.config.Attributes) == 0 {
		return
	}
	o := object(raw)
	for field, attribute := range r.config.Fields {
		value := o.find(attribute)
		if at, ok := timeFields[field]; ok {
			*at(a) = r.date(attribute, value.text())
			continue
		}
		if at, ok := flagFields[field]; ok {
			var f flag
			if len(value) > 0 {
				_ = f.UnmarshalJSON(value) // says in odd what is wrong
			}
			if f.odd != "" {
				r.odd(attribute, f.odd)
			}
			*at(a) = f.value
			continue
		}
		*textFields[field](a) = r.get(attribute, value.text())
	}
	for name, attribute := range r.config.Attributes {
		if s := r.get(attribute, o.find(attribute).text()); s != "" {
			a.Attributes[name] = s
		}
	}
}

// element is one JSON value of a resource; none is absent.
type element json.RawMessage

type members map[string]element

func object(raw []byte) members {
	var m map[string]json.RawMessage
	if json.Unmarshal(raw, &m) != nil {
		return nil
	}
	out := make(members, len(m))
	for k, v := range m {
		out[strings.ToLower(k)] = element(v)
	}
	return out
}

// find returns the value of an attribute in the notation of RFC 7644, 3.10. Of several values it is the primary or first.
func (m members) find(attribute string) element {
	attribute = strings.ToLower(attribute)
	if i := strings.LastIndexByte(attribute, ':'); i > 0 {
		if urn := attribute[:i]; urn != strings.ToLower(userURN) {
			m = object(m[urn])
		}
		attribute = attribute[i+1:]
	}
	for attribute != "" {
		var name string
		name, attribute, _ = strings.Cut(attribute, ".")
		v := m[name].one()
		if attribute == "" {
			return v
		}
		m = object(v)
	}
	return nil
}

// one is the primary or first of several values.
func (e element) one() element {
	var list []json.RawMessage
	if len(e) == 0 || e[0] != '[' || json.Unmarshal(e, &list) != nil || len(list) == 0 {
		return e
	}
	for _, v := range list {
		var p plural
		if p.UnmarshalJSON(v) == nil && p.Primary.value != nil && *p.Primary.value {
			return element(v)
		}
	}
	return element(list[0])
}

// text is that of a string, a number, a flag, or an object's value.
func (e element) text() (t text) {
	switch {
	case len(e) == 0:
	case e[0] == '{':
		return object(e)["value"].text()
	case e[0] == 't' || e[0] == 'f':
		t.s = string(e)
	case e[0] == '-' || e[0] >= '0' && e[0] <= '9':
		if t.s = string(e); len(e) > 64 {
			t = text{odd: "a number of more than 64 digits"}
		}
	default:
		_ = t.UnmarshalJSON(e) // says in odd what is wrong
	}
	return t
}

// odd counts attributes that can't be read and stay absent.
func (r *reading) odd(attribute, what string) {
	key := fmt.Sprintf("%s is %s", shorten(attribute), what)
	if _, ok := r.oddities[key]; !ok && len(r.oddities) >= maxOddities {
		key = "attributes are odd in other ways"
	}
	r.oddities[key]++
}

const maxOddities = 50

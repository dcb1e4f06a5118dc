package ldap

import (
	"cmp"
	"errors"
	"strings"
	"time"

	"github.com/lapse-audit/lapse/internal/access"
	"github.com/lapse-audit/lapse/internal/collect"
)

// roster makes people of the accounts of a directory that is the roster. What it says of them is what the directory says:
// that somebody has left shows in nothing but a disabled account, unless an attribute is named for it.
type roster struct {
	config  *Roster
	clock   *collect.Clock
	filter  *filter
	members *members
	people  map[uint32]bool // holders that are people
	waiting []led
}

// led is a person who waits for the manager to be known.
type led struct {
	at      located
	person  access.Person
	manager nameNo
}

// newRoster returns nil where the directory is no roster.
func newRoster(c *Config, m *members) *roster {
	if c.Roster == nil {
		return nil
	}
	r := &roster{config: c.Roster, members: m, people: map[uint32]bool{}}
	r.clock, _ = c.Roster.Clock() // Validate has read both
	if c.Roster.Filter != "" {
		r.filter, _ = parseFilter(c.Roster.Filter)
	}
	return r
}

// personAttributes are what people's fields are read from, in this order, where the configuration says nothing.
var personAttributes = map[string][]string{
	"kind":        {"employeetype"},
	"department":  {"department", "departmentnumber"},
	"title":       {"title"},
	"location":    {"l", "physicaldeliveryofficename"},
	"company":     {"company", "o"},
	"cost_center": {},
	"manager_id":  {"manager"},
	"status":      {},
	"start_at":    {},
	"end_at":      {},
}

// wanted are the attributes to ask for.
func (r *roster) wanted() []string {
	if r == nil {
		return nil
	}
	var out []string
	for _, names := range personAttributes {
		out = append(out, names...)
	}
	for _, name := range r.config.Fields {
		out = append(out, strings.ToLower(name))
	}
	if r.filter != nil {
		out = append(out, r.filter.attributes()...)
	}
	return out
}

// person makes a person of an account, if it is one's.
func (r *roster) person(out collect.Sink, e located, v *view, a access.Account, no uint32) error {
	switch {
	case r == nil || a.Kind != "" && a.Kind != access.KindHuman:
		return nil
	case r.filter != nil && !matches(r.filter, e.Entry):
		return nil
	}
	get := func(field, otherwise string) string {
		if name := r.config.Fields[field]; name != "" {
			return v.text(strings.ToLower(name))
		}
		for _, name := range personAttributes[field] {
			otherwise = cmp.Or(otherwise, v.text(name))
		}
		return otherwise
	}
	p := access.Person{
		ID: a.ID, RecordID: a.ID, EmployeeID: get("employee_id", a.EmployeeID), Username: get("username", a.Username), Email: get("email", a.Email), Name: get("name", a.Name),
		Kind: strings.ToLower(get("kind", "")), Department: get("department", ""), Title: get("title", ""), Location: get("location", ""), Company: get("company", ""),
		CostCenter: get("cost_center", ""), Attributes: map[string]string{"dn": e.DN},
	}
	if r.filter == nil && p.EmployeeID == "" {
		return nil
	}
	var bad *badField
	switch err := r.standing(&p, get, a); {
	case errors.As(err, &bad):
		return e.reject(out, bad.field, bad.reason)
	case err != nil:
		return err
	}
	r.people[no] = true
	manager := get("manager_id", "")
	if dn, err := canonicalDN(manager); err == nil && manager != "" {
		r.waiting = append(r.waiting, led{located{File: e.File, Line: e.Line}, p, r.members.name("dn", dn)})
		return nil
	}
	e.locate(out)
	return out.Put(p)
}

// badField is why an entry makes no person.
type badField struct{ field, reason string }

func (b *badField) Error() string { return b.field + ": " + b.reason }

// standing says where a person stands. A *badField is the entry's fault, another error the configuration's.
func (r *roster) standing(p *access.Person, get func(field, otherwise string) string, a access.Account) (err error) {
	switch status := access.PersonStatus(strings.ToLower(get("status", ""))); {
	case status == access.PersonActive, status == access.PersonLeave, status == access.PersonEnded, status == access.PersonFuture:
		p.Status = status
	case status != "":
		return &badField{"status", "is none of active, leave, ended, future"}
	case r.config.Fields["status"] == "" && a.Enabled != nil && *a.Enabled:
		p.Status = access.PersonActive
	case r.config.Fields["status"] == "" && a.Enabled != nil:
		p.Status = access.PersonEnded
	}
	p.StartAt, err = r.date("start_at", get("start_at", ""), func(d collect.Date) (time.Time, error) { return r.clock.Start(d, p.Location), nil })
	if err != nil {
		return err
	}
	if r.config.Fields["end_at"] == "" {
		p.EndAt = a.ExpiresAt
		return nil
	}
	p.EndAt, err = r.date("end_at", get("end_at", ""), func(d collect.Date) (time.Time, error) { return r.clock.End(d, p.Location) })
	return err
}

// date reads an instant, or a day, which the calendar makes one. Nothing, and a FILETIME that means never, is no date.
func (r *roster) date(field, text string, of func(collect.Date) (time.Time, error)) (*time.Time, error) {
	if text == "" {
		return nil, nil
	}
	if d, err := time.Parse(time.DateOnly, text); err == nil {
		at, err := of(collect.Date{Year: d.Year(), Month: d.Month(), Day: d.Day()})
		return &at, err
	}
	if at, never, err := fileTime(text); err == nil {
		if never {
			return nil, nil
		}
		return &at, nil
	}
	at, err := generalizedTime(text)
	if err != nil {
		return nil, &badField{field, "is no date: want 2026-11-23, a Generalized Time or a FILETIME"}
	}
	return &at, nil
}

// settle passes on the people who waited, when all entries were read.
func (r *roster) settle(out collect.Sink) error {
	if r == nil {
		return nil
	}
	for _, w := range r.waiting {
		if no, ok := r.members.find(w.manager); ok && r.people[no] {
			w.person.ManagerID = r.members.id(no)
		}
		w.at.locate(out)
		if err := out.Put(w.person); err != nil {
			return err
		}
	}
	return nil
}

// reads are the kinds of record that a roster gives beside the directory's.
func (r *roster) reads() []string {
	if r == nil {
		return nil
	}
	return []string{string(collect.People)}
}

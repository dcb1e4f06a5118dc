package notify

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/lapse-audit/lapse/internal/access"
	"github.com/lapse-audit/lapse/internal/finding"
	"github.com/lapse-audit/lapse/internal/fold"
)

// RoleSecurity is the recipient of what nobody else is asked about.
const RoleSecurity = "security"

// roleOwner begins the role of an app's owner who is known by an address alone.
const roleOwner = "app_owner:"

// IsRole says whether a recipient's id is a role, and not a person's key.
func IsRole(id string) bool { return id == RoleSecurity || strings.HasPrefix(id, roleOwner) }

// People are those that a run knew.
type People struct {
	byKey   map[string]access.Identity
	byName  map[string]string // key, by what else they are called; "" where several are
	byEmail map[string]string
}

// NewPeople indexes people.
func NewPeople(all []access.Identity) *People {
	p := &People{byKey: map[string]access.Identity{}, byName: map[string]string{}, byEmail: map[string]string{}}
	add := func(to map[string]string, name, key string) {
		if name = fold.Text(name); name == "" {
			return
		}
		if other, ok := to[name]; ok && other != key {
			key = "" // nobody is guessed
		}
		to[name] = key
	}
	for _, one := range all {
		p.byKey[one.Key] = one
		add(p.byEmail, one.Email, one.Key)
		for _, name := range []string{one.ID, one.EmployeeID, one.Email, one.Username} {
			add(p.byName, name, one.Key)
		}
	}
	return p
}

// Find is the key of the one person whom a text names: a key, an id, an employee id, an address or a user name.
func (p *People) Find(text string) string {
	if _, ok := p.byKey[text]; ok {
		return text
	}
	return p.byName[fold.Text(text)]
}

// ByEmail is the key of the one person who has an address.
func (p *People) ByEmail(address string) string { return p.byEmail[fold.Text(address)] }

// Case is what has to be known of a finding to say who is asked.
type Case struct {
	Assignee   string // what the policy says: account_owner, manager, app_owner or security
	Owner      string // whoever answers for the account or entitlement, as its source names them; "" for not said
	Privileged bool
}

// Asking says who is asked, and why.
type Asking struct {
	To     Recipient
	Why    string
	Passed []string // who came before, and why they are not asked
}

// Owners say who is asked.
type Owners struct {
	Settings Settings
	People   *People
	Zone     *time.Location // of whom none is known
}

// Of says who is asked about a finding: whom its policy names, then the owner of the account, a manager, the owner of the
// app, and at last the security team. Nobody who has left or is away is asked, nor of what is privileged whoever benefits,
// nor anybody in not.
func (o *Owners) Of(f finding.Finding, c Case, not []string) Asking {
	var out Asking
	seen := map[string]bool{}
	take := func(key, why string) bool {
		if key == "" || seen[key] {
			return false
		}
		seen[key] = true
		if reason := o.bars(key, f, c, not); reason != "" {
			out.Passed = append(out.Passed, fmt.Sprintf("%s (%s) %s", key, why, reason))
			return false
		}
		out.To, out.Why = o.Recipient(key), why
		return true
	}
	for _, role := range []string{c.Assignee, "account_owner", "manager", "app_owner"} {
		switch role {
		case RoleSecurity:
			out.To, out.Why = o.Recipient(RoleSecurity), "security team, as the rule says"
			return out
		case "account_owner":
			named := o.People.Find(c.Owner)
			if c.Assignee == role && strings.Contains(f.Assignee, ":") {
				named = f.Assignee
			}
			if c.Owner != "" && named == "" {
				out.Passed = append(out.Passed, fmt.Sprintf("%s (owner of the account) is nobody that the rosters know", c.Owner))
			}
			if take(named, "owner of the account") {
				return out
			}
		case "manager":
			if c.Assignee == role && strings.Contains(f.Assignee, ":") && take(f.Assignee, "manager") {
				return out
			}
			start := f.Person
			if start == "" {
				start = o.People.Find(c.Owner)
			}
			for i, key := range o.managers(start) {
				why := "manager"
				if i > 0 {
					why = "manager's manager"
				}
				if take(key, why) {
					return out
				}
			}
		case "app_owner":
			if o.appOwner(f.Subject.Source, take) {
				return out
			}
		}
	}
	out.To, out.Why = o.Recipient(RoleSecurity), "nobody else can be asked"
	return out
}

// appOwner takes the owner of an app as lapse.yaml names them.
func (o *Owners) appOwner(source string, take func(key, why string) bool) bool {
	named := o.Settings.Owners[source]
	key := o.People.Find(named)
	if key == "" && isAddress(named) {
		key = roleOwner + source
	}
	return take(key, "owner of "+source)
}

// bars says why somebody is not asked, "" if they may be.
func (o *Owners) bars(key string, f finding.Finding, c Case, not []string) string {
	if slices.Contains(not, key) {
		return "is not to be asked: it is not theirs, or they can't be reached"
	}
	if strings.HasPrefix(key, roleOwner) {
		return ""
	}
	p, ok := o.People.byKey[key]
	switch {
	case !ok:
		return "is nobody that the rosters know"
	case p.Status != access.PersonActive:
		return "is " + status(p)
	case c.Privileged && key == f.Person:
		return "benefits from it"
	}
	return ""
}

func status(p access.Identity) string {
	if p.Status == "" {
		return "of unknown status"
	}
	if p.Status == access.PersonLeave {
		return "on leave"
	}
	return string(p.Status)
}

// managers are a person's manager, theirs, and so on.
func (o *Owners) managers(person string) []string {
	var out []string
	seen := map[string]bool{person: true}
	for {
		next := o.People.byKey[person].ManagerID
		if next == "" || seen[next] {
			return out
		}
		seen[next] = true
		out = append(out, next)
		person = next
	}
}

// above is who is asked when somebody doesn't answer: their manager, or the security team.
func (o *Owners) above(to string, f finding.Finding, c Case, not []string) (key, why string) {
	for _, m := range o.managers(to) {
		if o.bars(m, f, c, not) == "" {
			return m, "manager of whoever was asked first"
		}
	}
	return RoleSecurity, "nobody answered in time"
}

// Recipient is who a key or role stands for.
func (o *Owners) Recipient(to string) Recipient {
	if p, ok := o.People.byKey[to]; ok {
		return Recipient{Person: to, Name: p.Name, Email: p.Email, Zone: o.Settings.zone(p.Location, o.Zone)}
	}
	r := Recipient{Role: to, Zone: o.Settings.zone("", o.Zone)}
	if source, ok := strings.CutPrefix(to, roleOwner); ok {
		r.Email = o.Settings.Owners[source]
	}
	if to == RoleSecurity {
		r.Name, r.Email = "security team", o.Settings.Security.Email
	}
	return r
}

// ID is what a recipient is called in the decisions: a person's key or a role.
func (r Recipient) ID() string {
	if r.Person != "" {
		return r.Person
	}
	return r.Role
}

package correlate

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/lapse-audit/lapse/internal/access"
	"github.com/lapse-audit/lapse/internal/fold"
)

// Account is what linking looks at. EmployeeID, Email and Username are keys made by Fold, empty where absent.
type Account struct {
	ID         string
	EmployeeID string
	Email      string
	Username   string
	CreatedAt  *time.Time
	Kind       access.AccountKind
}

// ManualLink is a person's decision about one account. Denied says that the account does not belong to Person. An
// account has at most one manual link that is not denied; of several the last counts.
type ManualLink struct {
	Source    string
	AccountID string
	Person    string // access.PersonKey, also an alias
	Denied    bool
}

// Options are what linking needs to know beside the people.
type Options struct {
	// EmployeeIDRosters gives the rosters whose employee ids the accounts of source carry. Nil: none do.
	EmployeeIDRosters func(source string) []string
	Manual            []ManualLink
	// Domains are the organisation's own mail and login domains: only there is user@domain the same as user. Empty: the
	// domains that at least one in twenty of the people's addresses has.
	Domains []string
	// Grace is how long before the person's first start an account may have been made and still be linked by e-mail or
	// username. Zero: one day.
	Grace time.Duration
}

// Linker links accounts. It may be used by several goroutines.
type Linker struct {
	people   []person
	byKey    map[string]int32 // every alias
	email    index
	username index
	employee map[string]index // by roster
	manual   map[accountKey]decision
	rosters  func(source string) []string
	domains  map[string]bool
	grace    time.Duration
}

// person is what linking keeps of an identity.
type person struct {
	key     string
	aliases []string
	first   *time.Time
}

type accountKey struct{ source, id string }

type decision struct {
	person string
	denied []string
}

// NewLinker indexes the people. An account may carry the e-mail, username or employee id of any of a person's records,
// also of an earlier one. The linker keeps neither the people nor their records.
func NewLinker(people *People, o Options) *Linker {
	l := &Linker{
		people:   make([]person, 0, people.Len()),
		byKey:    make(map[string]int32, people.Len()),
		email:    newIndex(people.Len()),
		username: newIndex(2 * people.Len()),
		employee: map[string]index{},
		manual:   map[accountKey]decision{},
		rosters:  o.EmployeeIDRosters,
		domains:  map[string]bool{},
		grace:    o.Grace,
	}
	if l.rosters == nil {
		l.rosters = func(string) []string { return nil }
	}
	if l.grace == 0 {
		l.grace = 24 * time.Hour
	}
	for p := range people.All() {
		for _, alias := range p.Aliases {
			l.byKey[alias] = int32(len(l.people))
		}
		l.people = append(l.people, person{p.Key, p.Aliases, p.FirstStartAt})
	}
	for _, d := range o.Domains {
		l.domains[fold.Text(d)] = true
	}
	if len(l.domains) == 0 {
		l.domains = commonDomains(people.records)
	}
	at := int32(0)
	for _, records := range people.each() {
		for _, i := range records {
			l.add(at, &people.records[i])
		}
		at++
	}
	l.email.finish()
	l.username.finish()
	for _, byID := range l.employee {
		byID.finish()
	}
	for _, m := range o.Manual {
		k := accountKey{m.Source, m.AccountID}
		d := l.manual[k]
		if m.Denied {
			d.denied = append(d.denied, l.canonical(m.Person))
		} else {
			d.person = l.canonical(m.Person)
		}
		l.manual[k] = d
	}
	return l
}

func (l *Linker) add(at int32, r *RosterRecord) {
	if e := fold.Text(r.Email); e != "" {
		l.email.add(e, at)
		if local, domain, ok := cutAddress(e); ok && l.domains[domain] {
			l.username.add(local, at)
		}
	}
	for _, u := range l.forms(fold.Text(r.Username)) {
		l.username.add(u, at)
	}
	byID, ok := l.employee[r.Roster]
	if !ok {
		byID = newIndex(0)
		l.employee[r.Roster] = byID
	}
	byID.add(employeeID(&r.Person), at)
}

// employeeID is the number that apps carry: the roster's own person id where it gives no other.
func employeeID(p *access.Person) string {
	if p.EmployeeID != "" {
		return fold.Text(p.EmployeeID)
	}
	return fold.Text(p.ID)
}

func (l *Linker) canonical(key string) string {
	if i, ok := l.byKey[key]; ok {
		return l.people[i].key
	}
	return key
}

// forms lists the names that a login name stands for: itself, without DOMAIN\, and without @domain where the domain is
// the organisation's own. Elsewhere jane@partner.example is not the jane of this house.
func (l *Linker) forms(username string) []string {
	if username == "" {
		return nil
	}
	if _, user, ok := strings.Cut(username, `\`); ok {
		if user == "" {
			return nil
		}
		return []string{user}
	}
	if local, domain, ok := cutAddress(username); ok && l.domains[domain] {
		return []string{username, local}
	}
	return []string{username}
}

func cutAddress(s string) (local, domain string, ok bool) {
	at := strings.LastIndexByte(s, '@')
	if at <= 0 || at == len(s)-1 {
		return "", "", false
	}
	return s[:at], s[at+1:], true
}

func commonDomains(records []RosterRecord) map[string]bool {
	count, total := map[string]int{}, 0
	for i := range records {
		if _, domain, ok := cutAddress(fold.Text(records[i].Email)); ok {
			count[domain]++
			total++
		}
	}
	common := map[string]bool{}
	for domain, n := range count {
		if 20*n >= total {
			common[domain] = true
		}
	}
	return common
}

// Link says whom an account belongs to.
//
// A manual link decides alone, and a denied person is never a candidate. Then employee ids count, within the declared
// pairs of source and roster; then the exact e-mail; then the username, which may be a person's username or e-mail, its
// local part, DOMAIN\user or user@domain. A name alone is no evidence. Service, shared and machine accounts often carry
// their owner's address: they are linked by hand or by employee id only.
//
// Evidence that names several people, or an e-mail that names another person than the employee id, makes the link
// disputed; so does an employee id that is nobody's while the e-mail or username names somebody with another one. An
// account made before the person's first start (less the grace) was somebody else's: e-mail and username then never
// link it, but leave it disputed, and do not stand against an employee id.
func (l *Linker) Link(source string, a Account) access.Link {
	link := access.Link{Source: source, AccountID: a.ID, Method: access.LinkNone, Status: access.LinkUnmatched}
	ruling := l.manual[accountKey{source, a.ID}]
	if ruling.person != "" {
		link.Method = access.LinkManual
		if _, ok := l.byKey[ruling.person]; !ok {
			link.Status = access.LinkDisputed
			link.Candidates = []string{ruling.person}
			link.Reason = "linked by hand to " + ruling.person + ", whom no roster knows"
			return link
		}
		link.Status, link.Person, link.Reason = access.LinkLinked, ruling.person, "linked by hand"
		return link
	}
	denied := func(i int32) bool { return slices.Contains(ruling.denied, l.people[i].key) }

	personal := a.Kind == "" || a.Kind == access.KindHuman || a.Kind == access.KindGuest
	var mail []int32
	if personal {
		mail = without(l.email.find(a.Email), denied)
	}
	// stray are the rosters in one of which the account's employee id ought to be, and is not.
	stray := l.rosters(source)
	if a.EmployeeID == "" {
		stray = nil
	} else if having := l.byEmployeeID(stray, a.EmployeeID); len(having) > 0 {
		if ids := without(having, denied); len(ids) > 0 {
			return l.byID(link, a, ids, mail)
		}
		stray = nil
	}
	switch {
	case !personal:
		link.Reason = fmt.Sprintf("a %s account is linked by hand or by employee id only", a.Kind)
		return link
	case len(mail) > 0:
		return l.byText(link, a, access.LinkEmail, "e-mail", mail, stray)
	}
	var names []int32
	for _, form := range l.forms(a.Username) {
		for _, i := range append(slices.Clone(l.username.find(form)), l.email.find(form)...) {
			if !slices.Contains(names, i) {
				names = append(names, i)
			}
		}
	}
	if names = without(names, denied); len(names) > 0 {
		return l.byText(link, a, access.LinkUsername, "username", names, stray)
	}
	link.Reason = "no employee id, e-mail or username is a person's"
	if len(ruling.denied) > 0 {
		link.Reason = "nobody is left beside those denied by hand"
	}
	return link
}

func (l *Linker) byEmployeeID(rosters []string, id string) []int32 {
	var out []int32
	for _, r := range rosters {
		for _, i := range l.employee[r].find(id) {
			if !slices.Contains(out, i) {
				out = append(out, i)
			}
		}
	}
	return out
}

// byID links by employee id; mail is the evidence that may contradict it.
func (l *Linker) byID(link access.Link, a Account, ids, mail []int32) access.Link {
	link.Method = access.LinkEmployeeID
	if len(ids) > 1 {
		return l.disputed(link, ids, "several people have its employee id")
	}
	mail = without(mail, func(i int32) bool { return l.predates(a, i) })
	if len(mail) > 0 && !slices.Contains(mail, ids[0]) {
		return l.disputed(link, append(slices.Clone(ids), mail...), "its employee id and its e-mail are different people's")
	}
	return l.linked(link, ids[0], "employee id")
}

// byText links by e-mail or username.
func (l *Linker) byText(link access.Link, a Account, method access.LinkMethod, what string, found []int32, stray []string) access.Link {
	link.Method = method
	switch {
	case len(found) > 1:
		return l.disputed(link, found, "several people have its "+what)
	case l.predates(a, found[0]):
		return l.disputed(link, found, "the account is older than the first start of the person who has its "+what)
	case l.hasRecordIn(found[0], stray):
		return l.disputed(link, found, "its employee id is nobody's, its "+what+" is a person's who has another")
	}
	return l.linked(link, found[0], what)
}

// hasRecordIn reports whether the person's employee id could have been the account's.
func (l *Linker) hasRecordIn(person int32, rosters []string) bool {
	for _, alias := range l.people[person].aliases {
		roster, _, _ := strings.Cut(alias, ":")
		if slices.Contains(rosters, roster) {
			return true
		}
	}
	return false
}

func (l *Linker) predates(a Account, person int32) bool {
	first := l.people[person].first
	return a.CreatedAt != nil && first != nil && a.CreatedAt.Before(first.Add(-l.grace))
}

func (l *Linker) linked(link access.Link, person int32, what string) access.Link {
	link.Status, link.Person, link.Reason = access.LinkLinked, l.people[person].key, "same "+what
	return link
}

func (l *Linker) disputed(link access.Link, people []int32, reason string) access.Link {
	link.Status, link.Reason = access.LinkDisputed, reason
	for _, i := range people {
		link.Candidates = append(link.Candidates, l.people[i].key)
	}
	slices.Sort(link.Candidates)
	link.Candidates = slices.Compact(link.Candidates)
	return link
}

func without(people []int32, drop func(int32) bool) []int32 {
	for n, i := range people {
		if drop(i) {
			kept := slices.Clone(people[:n])
			for _, i := range people[n:] {
				if !drop(i) {
					kept = append(kept, i)
				}
			}
			return kept
		}
	}
	return people
}

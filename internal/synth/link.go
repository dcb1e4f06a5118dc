package synth

import (
	"time"

	"github.com/lapse-audit/lapse/internal/access"
)

// PersonTruth is where somebody stands on a night.
type PersonTruth struct {
	ID         string
	Status     access.PersonStatus
	EndAt      *time.Time
	Department string
}

// LinkTruth is whose an account is by the evidence that its source gives: what nothing tells is unmatched, whoever it
// really belongs to. People are ids of the roster.
type LinkTruth struct {
	Source, AccountID string
	Status            access.LinkStatus
	Method            access.LinkMethod
	Person            string
	Candidates        []string
}

// Persons says where everybody stands on night n, ordered as the people are numbered.
func (c *Company) Persons(n int) []PersonTruth {
	var out []PersonTruth
	for i := range c.people {
		p := c.personOf(i)
		if s := c.standingOn(&p, n); s.status != "" {
			out = append(out, PersonTruth{p.id, s.status, s.end, c.departmentName(s.department)})
		}
	}
	return out
}

// Links says whose every account of source is on night n.
func (c *Company) Links(source string, n int) []LinkTruth {
	var out []LinkTruth
	for a := range c.accounts(source, n) {
		l := c.linkOf(&a, n)
		t := LinkTruth{Source: source, AccountID: a.id, Status: l.status, Method: l.method}
		if l.status == access.LinkLinked {
			t.Person = a.person.id
		}
		for _, i := range l.candidates {
			p := c.personOf(i)
			t.Candidates = append(t.Candidates, p.id)
		}
		out = append(out, t)
	}
	return out
}

type link struct {
	status     access.LinkStatus
	method     access.LinkMethod
	candidates []int
}

// linkOf says what the account's evidence tells. It does not search: by the way the company was made up it is known whom
// an address or a username could name.
func (c *Company) linkOf(a *account, n int) link {
	switch {
	case a.through != nil:
		return c.linkOf(a.through, n)
	case a.kind != "" && a.kind != access.KindHuman && a.kind != access.KindGuest:
		return link{access.LinkUnmatched, access.LinkNone, nil}
	case a.candidates != nil:
		return link{access.LinkDisputed, access.LinkEmail, a.candidates}
	case a.person == nil:
		return link{access.LinkUnmatched, access.LinkNone, nil}
	}
	p := a.person
	var method access.LinkMethod
	switch current := p.nameOn(n) == p.nameOn(n-a.lag); {
	case a.byID:
		return link{access.LinkLinked, access.LinkEmployeeID, nil}
	case !current:
		return link{access.LinkUnmatched, access.LinkNone, nil}
	case !a.noMail && p.fate == fateSharedMail:
		return link{access.LinkDisputed, access.LinkEmail, c.pair[:]}
	case !a.noMail:
		method = access.LinkEmail
	case a.handle == "":
		method = access.LinkUsername
	default:
		return link{access.LinkUnmatched, access.LinkNone, nil}
	}
	first := c.startOf(p, &p.records[0])
	if signalsOf[a.source].created && a.created.Before(first.Add(-24*time.Hour)) {
		return link{access.LinkDisputed, method, []int{p.i}}
	}
	return link{access.LinkLinked, method, nil}
}

// linkedSince is the first night since which the link has stood as it does on night n.
func (c *Company) linkedSince(a *account, n int) int {
	now := c.linkOf(a, n)
	for n > 0 && !c.RunTime(n-1).Before(a.created) {
		if was := c.linkOf(a, n-1); was.status != now.status || was.method != now.method {
			break
		}
		n--
	}
	return n
}

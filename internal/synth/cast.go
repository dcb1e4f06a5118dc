package synth

import (
	"github.com/lapse-audit/lapse/internal/access"
)

// role is the part that somebody plays: each is there for a rule to find, or to be taken for such a case by a careless one.
type role int

const (
	_                 role = iota
	roleLeaver             // left; sessions, a token, a mailbox's forwarding and a place in a trusting directory are still there
	roleLeaverHeld         // left; the mailbox is kept for a lawsuit, all else is gone
	roleEnabledAgain       // left; the account was disabled, and is enabled again
	roleCameBack           // the same, but back at work
	roleRisk               // named as a high risk by HR
	roleNoRisk             // looked into by HR, and no risk
	roleDirectoryOff       // works here; the directory account is disabled, an app's is not
	roleLabOff             // works here; an account that is not the main one is disabled
	roleEarly              // starts soon; an app's account can be used already
	roleEarlyOff           // starts soon; the account waits disabled
	roleMover              // moved; old access is kept
	roleMoverClean         // moved; old access was taken away
	roleTwice              // two ordinary accounts in one directory
	rolePair               // an ordinary account and one for administration
	roleOverlap            // two paid products for the same
	roleOverlapFree        // the same, but one is free
	roleDuties             // keeps vendors' records and releases payments, in one system
	roleDutiesAcross       // the same over two systems
	roleDutiesOff          // the same, but one account is disabled
	roleLocal              // signs in beside single sign-on
	roleNested             // an administrator through groups in groups in groups
	roleShallow            // an administrator through one group
	roleUnapproved         // given privilege that nobody approved
	roleApproved           // the same, approved
	roleStanding           // has had privilege for long, unreviewed
	roleReviewed           // the same, reviewed
	roleExpiring           // the same, with an end
	roleOpenEnded          // a contractor whose contract has no end
	roleEnding             // a contractor whose contract has one
	roleStalePassword      // an administrator with an old password and a service principal name
	roleWeakA              // settings of an account that nobody should have, the first few
	roleWeakB              // and the others
	roleWeakOff            // the same settings on a disabled account
	roles
)

// castSpan is how many people at the end of the list the roles are spread over; leaders of teams among them play none.
const castSpan = int(roles) + int(roles)/8 + 2

// roleOf is the role of somebody of fateCast, 0 for one too many.
func (c *Company) roleOf(i int) role {
	first := c.people - castSpan
	n := role(i - first + 1 - (i+8)/9 + (first+8)/9)
	if n >= roles {
		return 0
	}
	return n
}

// player is the person with a role.
func (c *Company) player(r role) person {
	for i := c.people - castSpan; i < c.people; i++ {
		if i%9 != 0 && c.roleOf(i) == r {
			return c.personOf(i)
		}
	}
	panic("synth: nobody plays a role") // castSpan has room for all
}

// buys reports whether the role needs an account in the ERP.
func (r role) buys() bool { return r == roleDuties || r == roleDutiesAcross || r == roleDutiesOff }

// risk is what HR says of the person; of most it says nothing.
func (r role) risk() *bool {
	switch r {
	case roleRisk:
		return ptr(true)
	case roleNoRisk:
		return ptr(false)
	}
	return nil
}

// play writes the story of somebody with a role, whose record so far is r.
func (c *Company) play(p *person, r record) record {
	leave := func(lastDay int) { r.start, r.end, r.entered = min(r.start, lastDay-400), lastDay, lastDay-14 }
	switch p.role {
	case roleLeaver, roleLeaverHeld:
		leave(-60)
	case roleEnabledAgain:
		leave(-90)
	case roleCameBack:
		leave(-200)
		p.records = append(p.records, r)
		r = record{id: "W-" + p.id + "-2", kind: r.kind, start: -20, end: never, entered: never, extended: never}
	case roleEarly, roleEarlyOff:
		r.start = c.nights + 3
	case roleMover, roleMoverClean:
		p.movedDay, p.movedTo = 3, (p.department+1)%c.departs
	case roleOpenEnded:
		r.kind = "contractor"
	case roleEnding:
		r.kind, r.end, r.entered = "contractor", c.nights+90, r.start
	}
	return r
}

// gone reports whether somebody with the role has left before the first night.
func (r role) gone() bool { return r == roleLeaver || r == roleLeaverHeld || r == roleEnabledAgain }

// dress adds to the account of somebody with a role what the role needs.
func (c *Company) dress(p *person, a *account) {
	off := func(day int) { a.switches = append(a.switches, toggle{c.local(p.zone, day, 18*60), false}) }
	all := func(ids ...string) {
		a.grants = nil
		for _, id := range ids {
			a.grants = append(a.grants, held{id: id, from: -never, until: never})
		}
	}
	if a.source == AD {
		a.byID = true
	}
	switch {
	case p.role.gone():
		off(p.records[0].end)
	case p.role == roleCameBack:
		off(p.records[0].end)
		a.switches = append(a.switches, toggle{c.local(p.zone, p.records[1].start, 7*60), true})
		a.spare("LVR-06", "", "somebody who came back")
		a.spare("LVR-01", "", "somebody who came back")
	case a.source == AD && p.role == roleDirectoryOff:
		a.work[len(a.work)-1].to = c.local(p.zone, -40, 0)
		off(-40)
	case a.source == AD && p.role == roleRisk:
		a.find("LVR-07", "")
	case a.source == AD && p.role == roleNoRisk:
		a.spare("LVR-07", "", "somebody who is no risk")
	case a.source == AD && (p.role == roleMover || p.role == roleMoverClean):
		old := c.group(grpProject, p.department, 0)
		a.grants = append(a.grants[:0:0], held{id: c.group(grpOffice, p.movedTo, p.zone), from: p.movedDay, until: never})
		if p.role == roleMover {
			a.grants = append(a.grants, held{id: old, from: -never, until: never})
			a.find("MOV-01", old)
		} else {
			a.grants = append(a.grants, held{id: old, from: -never, until: p.movedDay + 2})
			a.spare("MOV-01", old, "somebody whose old access was taken away")
		}
	case a.source == AD && p.role == roleOpenEnded:
		a.find("EXT-02", "end_date")
	case a.source == AD && p.role == roleEnding:
		a.spare("EXT-02", "end_date", "a contractor whose contract has an end")
		a.spare("LVR-04", "", "a contractor with time left")
	case a.source == ERP && p.role == roleDuties:
		all("MM_BESTELLEN", "FI_FREIGEBEN")
	case a.source == ERP:
		all("MM_BESTELLEN")
	}
}

// cast makes an account of somebody with a role, who is known in it by the employee id.
func (c *Company) cast(r role, edit func(*account)) func(*account) {
	return func(a *account) {
		p := c.player(r)
		a.person, a.byID, a.zone = &p, true, p.zone
		a.handle = p.usernameOn(0)
		first, last := &p.records[0], &p.records[len(p.records)-1]
		a.created = c.local(p.zone, first.start, 8*60)
		if first.start > 0 { // made once HR has announced them
			a.created = c.local(p.zone, first.listedFrom(), 12*60)
		}
		a.work = nil
		for _, rec := range []*record{first, last} {
			w := span{c.local(p.zone, rec.start, 8*60), farFuture}
			if rec.end != never {
				w.to = c.local(p.zone, rec.end, 18*60)
			}
			if len(a.work) == 0 || rec != first {
				a.work = append(a.work, w)
			}
		}
		if r.gone() {
			a.switches = []toggle{{c.local(p.zone, first.end, 18*60), false}}
		}
		if edit != nil {
			edit(a)
		}
	}
}

// Plant is something that was put into the company for one rule: what the rule must find, or what only looks like that.
type Plant struct {
	Policy      string
	SubjectKind access.SubjectKind
	Source      string // empty for a person
	SubjectID   string
	Key         string
	Lookalike   string // what it is in truth; empty if the rule must find it
}

// find says that a rule must find the account.
func (a *account) find(policy, key string) {
	a.plant = append(a.plant, Plant{policy, access.SubjectAccount, a.source, a.id, key, ""})
}

// spare says that a rule must pass over the account, and why.
func (a *account) spare(policy, key, lookalike string) {
	a.plant = append(a.plant, Plant{policy, access.SubjectAccount, a.source, a.id, key, lookalike})
}

// Plants says what was planted for night n, beside all that Truth says. What must be found is found from the day on which
// it has stood for as long as its rule waits: by the last night in any case.
func (c *Company) Plants(n int) []Plant {
	out := c.plantsOfOthers()
	for i := c.people - castSpan; i < c.people; i++ {
		p := c.personOf(i)
		if p.fate != fateCast {
			continue
		}
		for _, source := range []string{AD, ERP} {
			if c.has(&p, source) {
				a := c.accountOf(&p, source)
				out = append(out, a.plant...)
			}
		}
	}
	for _, source := range []string{Lab, Cloud} {
		for a := range c.accounts(source, n) {
			out = append(out, a.plant...)
		}
	}
	return append(out, c.lookalikes(n)...)
}

// plantsOfOthers are those that the accounts of the cast do not bring along.
func (c *Company) plantsOfOthers() []Plant {
	person := func(policy string, r role, key, lookalike string) Plant {
		p := c.player(r)
		return Plant{policy, access.SubjectPerson, "", access.PersonKey(HR, p.id), key, lookalike}
	}
	thing := func(policy string, kind access.SubjectKind, source, id, key, lookalike string) Plant {
		return Plant{policy, kind, source, id, key, lookalike}
	}
	admin := c.personOf(c.example(fateAdmin))
	daily := c.accountOf(&admin, AD)
	return []Plant{
		thing("PRV-04", access.SubjectAccount, AD, daily.id, "", ""),
		person("ORP-03", roleTwice, Lab, ""),
		person("ORP-03", rolePair, Lab, "one account for daily work and one for administration"),
		person("LIC-04", roleOverlap, "meetings", ""),
		person("LIC-04", roleOverlapFree, "meetings", "one of two products is free"),
		person("SOD-01", roleDuties, "vendor-payment", ""),
		person("SOD-01", roleDutiesAcross, "vendor-payment", ""),
		person("SOD-01", roleDutiesOff, "vendor-payment", "one of the two accounts is disabled"),
		thing("AD-09", access.SubjectEntitlement, Lab, labOperators, "", ""),
		thing("AD-09", access.SubjectEntitlement, Lab, labSchema, "", "an operators' group that is empty"),
		thing("REV-01", access.SubjectEntitlement, Cloud, cloudBilling, "", ""),
		thing("REV-01", access.SubjectEntitlement, Cloud, cloudViewer, "", "a role that was reviewed in time"),
		thing("LIC-03", access.SubjectLicense, CRM, "SF-SALES", "", ""),
		thing("LIC-03", access.SubjectLicense, Cloud, "ZOOM-BASIC", "", "a product that costs nothing"),
		thing("LIC-03", access.SubjectLicense, Cloud, "WEBEX", "", "a product of which all seats are assigned"),
		thing("PRV-03", access.SubjectSource, AD, AD, "", ""),
		thing("PRV-03", access.SubjectSource, ERP, ERP, "", "a system with one administrator"),
		thing("SRC-01", access.SubjectSource, Cloud, Cloud, "coverage:password", ""),
		thing("SRC-01", access.SubjectSource, Lab, Lab, "coverage:sponsor", "a source that never gave the signal"),
	}
}

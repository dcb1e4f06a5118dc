package synth

// fate is what happens to a person over the nights.
type fate int

const (
	fateStay               fate = iota
	fatePast                    // left long ago, all access taken away
	fatePastDirty               // left long ago, an app was forgotten
	fateClean                   // leaves, all access taken away on the last evening
	fateGrace                   // leaves, access taken away the next day, within the grace
	fateSlow                    // leaves, access taken away some days late
	fateForgotten               // leaves, access stays
	fateUsed                    // leaves, the account is used afterwards
	fateLateEntry               // leaves, the roster learns of it days later
	fateUndated                 // leaves, the roster gives no date
	fateAdminLeaver             // an administrator leaves, access taken away 30 hours late
	fateJoiner                  // starts
	fateJoinerEarly             // starts, app accounts were made too early
	fateMover                   // changes department
	fateRehired                 // came back before the first night
	fateRehireSoon              // comes back; the account is switched on two days early
	fateConverted               // was a contractor, is an employee
	fateContractor              // a contractor with time left
	fateContractorClean         // a contract ends, access is taken away
	fateContractorPast          // a contract ends, access stays
	fateContractorExtended      // a contract ends, is extended days later, work went on
	fateLeave                   // on leave throughout
	fateLeaveStarts             // goes on leave
	fateLeaveReturns            // comes back from leave
	fateAdminLeave              // an administrator on leave
	fateDormant                 // does not sign in any more
	fateDormantEdge             // not for some time, but not too long
	fateNeverIn                 // never signed in to some apps
	fateNewNeverIn              // the same, but the accounts are new
	fateRenamed                 // marries; every system follows at once
	fateRenamedLag              // marries; apps follow days later
	fateAdmin                   // an administrator, all well
	fateAdminNested             // an administrator by nesting only
	fateAdminNoMFA              // an administrator without a second factor
	fateAdminDormant            // an administrator who does not sign in
	fateOutlier                 // has something that nobody else in the department has
	fateSeatIdle                // does not use a paid seat
	fateSeatNever               // never used a paid seat
	fateSeatEdge                // not for some time, but not too long
	fateReuse                   // has the address that somebody else had before
	fateSharedMail              // shares a mailbox with another
	fates
)

// fateCast is the fate of those who play a role (see role): they came with the firm that was bought.
const fateCast fate = 1000

// perMille is how many of a thousand people have each fate beside the two that everybody's company has; the rest stay.
var perMille = [fates]int{
	fatePast: 80, fatePastDirty: 4, fateClean: 18, fateGrace: 4, fateSlow: 4, fateForgotten: 2, fateUsed: 2, fateLateEntry: 3, fateUndated: 1,
	fateAdminLeaver: 1, fateJoiner: 16, fateJoinerEarly: 2, fateMover: 10, fateRehired: 8, fateRehireSoon: 2, fateConverted: 4, fateContractor: 60,
	fateContractorClean: 4, fateContractorPast: 2, fateContractorExtended: 2, fateLeave: 12, fateLeaveStarts: 3, fateLeaveReturns: 3, fateAdminLeave: 1,
	fateDormant: 10, fateDormantEdge: 8, fateNeverIn: 5, fateNewNeverIn: 5, fateRenamed: 6, fateRenamedLag: 2, fateAdmin: 12, fateAdminNested: 3,
	fateAdminNoMFA: 2, fateAdminDormant: 2, fateOutlier: 3, fateSeatIdle: 12, fateSeatNever: 5, fateSeatEdge: 5, fateReuse: 1,
}

// staff is the number of people at the top of the list to whom nothing happens: others report to them.
const staff = 18

func (c *Company) fateOf(i int) fate {
	f := c.fateBy(i)
	if i%9 == 0 && (f == fateJoiner || f == fateJoinerEarly) {
		return fateStay // a lead must be in the roster as long as the team
	}
	return f
}

func (c *Company) fateBy(i int) fate {
	if i < staff {
		return fateStay
	}
	if i >= c.people-castSpan {
		if i%9 == 0 { // leads a team
			return fateStay
		}
		return fateCast
	}
	if k := i - staff; k < 2*int(fates) {
		return fate(k % int(fates))
	}
	roll := c.roll(1000, topicFate, i, 0)
	for f, share := range perMille {
		if roll -= share; roll < 0 {
			return fate(f)
		}
	}
	return fateStay
}

// admin reports whether the person administers systems, and whether only through nested groups.
func (p *person) admin() (yes, nested bool) {
	switch p.fate {
	case fateAdmin, fateAdminLeaver, fateAdminLeave, fateAdminNoMFA, fateAdminDormant:
		return true, false
	case fateAdminNested:
		return true, true
	}
	return false, false
}

// live writes the person's story.
func (c *Company) live(p *person) {
	i, last := p.i, c.nights-3
	rng := func(low, high, salt int) int { return c.between(low, high, topicFate, i, 100+salt) }
	r := record{id: "W-" + p.id + "-1", kind: "employee", start: -rng(120, 3000, 1), end: never, entered: never, extended: never}
	if c.roll(100, topicFate, i, 99) < 4 {
		r.kind = "intern"
	}
	if yes, _ := p.admin(); yes {
		p.department, p.mfa = fnIT, p.fate != fateAdminNoMFA
	}
	leave := func(lastDay int) { r.end, r.entered = lastDay, lastDay-14 }
	second := func(kind string, start int) {
		p.records = append(p.records, r)
		r = record{id: "W-" + p.id + "-2", kind: kind, start: start, end: never, entered: never, extended: never}
	}
	switch p.fate {
	case fatePast, fatePastDirty:
		r.start = -rng(500, 3000, 2)
		leave(-rng(20, 400, 3))
	case fateClean, fateGrace, fateSlow, fateForgotten, fateUsed, fateAdminLeaver:
		leave(rng(0, last-3, 3))
	case fateLateEntry:
		leave(rng(0, max(1, last-10), 3))
		r.entered = r.end + rng(3, 9, 4)
	case fateUndated:
		r.undated, r.entered = true, rng(2, last-2, 3)
		r.end = r.entered - 1
	case fateJoiner, fateJoinerEarly:
		r.start = rng(1, last, 2)
	case fateMover:
		p.movedDay = rng(1, last, 3)
		p.movedTo = (p.department + 1 + rng(0, c.departs-2, 4)) % c.departs
	case fateRehired:
		r.start = -rng(900, 2500, 2)
		leave(-rng(250, 600, 3))
		second("employee", -rng(20, 200, 5))
	case fateRehireSoon:
		r.start = -rng(900, 2500, 2)
		leave(-rng(30, 90, 3))
		second("employee", rng(6, last, 5))
	case fateConverted:
		r.kind = "contractor"
		leave(-rng(5, 60, 3))
		second("employee", r.end+1)
	case fateContractor:
		r.kind, r.start = contractKind(rng(0, 2, 6)), -rng(40, 500, 2)
		leave(c.nights + rng(10, 300, 3))
		r.entered = r.start
	case fateContractorClean, fateContractorPast, fateContractorExtended:
		r.kind, r.start = contractKind(rng(0, 2, 6)), -rng(40, 500, 2)
		leave(rng(0, last-6, 3))
		r.entered = r.start
		if p.fate == fateContractorExtended {
			r.extended, r.extendedTo = r.end+rng(3, 7, 4), r.end+180
		}
	case fateLeave, fateAdminLeave:
		p.leaveFrom, p.leaveTo = -rng(50, 180, 3), c.nights+rng(5, 100, 4)
	case fateLeaveStarts:
		p.leaveFrom, p.leaveTo = rng(1, last, 3), c.nights+rng(30, 200, 4)
	case fateLeaveReturns:
		p.leaveFrom, p.leaveTo = -rng(100, 200, 3), rng(2, last, 4)
	case fateRenamed, fateRenamedLag:
		other := lastNames[rng(0, len(lastNames)-1, 5)]
		p.marriedDay, p.married = rng(1, last-4, 3), p.last+"-"+other
		if p.fate == fateRenamedLag {
			p.appLag = rng(2, 8, 4)
		}
	case fateReuse:
		r.start = -rng(60, 300, 2)
	case fateDormant, fateDormantEdge, fateAdminDormant, fateNeverIn, fateNewNeverIn, fateSeatIdle, fateSeatNever, fateSeatEdge:
		r.start = -rng(800, 3000, 2)
	}
	if p.fate == fateCast {
		r = c.play(p, r)
	}
	p.records = append(p.records, r)
}

func contractKind(n int) string { return [...]string{"contractor", "contractor", "vendor"}[n] }

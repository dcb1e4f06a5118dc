package synth

import (
	"fmt"
	"time"

	"github.com/lapse-audit/lapse/internal/access"
)

// mailDomain is the company's own.
const mailDomain = "planetary.example"

// person is somebody's whole story. Days count from the first night's.
type person struct {
	i           int
	id          string // employee id
	first, last string
	suffix      string
	zone        int
	lead        bool
	manager     int // -1: none
	department  int
	fate        fate
	role        role // of fateCast
	mfa         bool

	records []record

	marriedDay int    // from when the new name holds; never if 0
	married    string // last name from then on
	appLag     int    // nights by which apps learn of it later

	leaveFrom, leaveTo int // days; none if equal
	movedDay, movedTo  int // the transfer; none if movedDay is never
}

const never = 1 << 20

// record is a worker record.
type record struct {
	id         string
	kind       string
	start, end int // first and last working day; end is never while open
	// entered is the night from which the roster shows the end; undated: it only says so, without a date.
	entered int
	undated bool
	// extended is the night from which the end is extendedTo instead.
	extended, extendedTo int
}

// endOn is the last day that the roster shows on night n, never if none.
func (r *record) endOn(n int) int {
	switch {
	case n >= r.extended:
		return r.extendedTo
	case r.undated || n < r.entered:
		return never
	}
	return r.end
}

// listedFrom is the night from which the roster has the record: joiners are entered two weeks ahead.
func (r *record) listedFrom() int { return r.start - 14 }

func (c *Company) personOf(i int) person {
	p := person{i: i, id: fmt.Sprintf("%06d", 100_000+i), manager: -1, movedDay: never, fate: c.fateOf(i)}
	p.first, p.last, p.suffix = c.nameOf(i)
	if p.fate == fateCast {
		p.role = c.roleOf(i)
	}
	switch z := c.roll(100, topicPerson, i, 1); {
	case z < 40:
		p.zone = 0
	case z < 75:
		p.zone = 1
	default:
		p.zone = 2
	}
	team := i / 9
	p.department = c.roll(c.departs, topicTeam, team, 1)
	p.lead = i%9 == 0
	p.mfa = c.roll(100, topicPerson, i, 2) >= 5
	switch {
	case i == 0:
	case i <= len(functions):
		p.department, p.manager, p.lead = i-1, 0, true
	case p.lead || team < 2:
		p.manager = 1 + p.department%len(functions)
	default:
		p.manager = 9 * team
	}
	c.live(&p)
	return p
}

// nameOn is the last name on night n.
func (p *person) nameOn(n int) string {
	if p.married != "" && n >= p.marriedDay {
		return p.married
	}
	return p.last
}

func (p *person) emailOn(n int) string {
	return plain(p.first) + "." + plain(p.nameOn(n)) + p.suffix + "@" + mailDomain
}

// usernameOn is the first letter, the last name and the person's number, hence unique.
func (p *person) usernameOn(n int) string {
	return fmt.Sprintf("%s%s%d", plain(p.first)[:1], plain(p.nameOn(n)), p.i+10)
}

// hrEmail is the address that the roster has.
func (c *Company) hrEmail(p *person, n int) string {
	if p.fate == fateSharedMail {
		return "frontdesk@" + mailDomain
	}
	return p.emailOn(n)
}

func (p *person) departmentOn(n int) int {
	if n >= p.movedDay {
		return p.movedTo
	}
	return p.department
}

func (c *Company) titleOf(p *person, n int) string {
	d := p.departmentOn(n)
	switch {
	case p.i == 0:
		return "Chief Executive"
	case p.i <= len(functions):
		return "Head of " + functions[p.i-1]
	case p.lead:
		return functions[d%len(functions)] + " Lead"
	}
	titles := jobs[d%len(functions)]
	return titles[c.roll(len(titles), topicPerson, p.i, 3)]
}

func (p *person) onLeave(n int) bool { return n >= p.leaveFrom && n < p.leaveTo }

// standing is where somebody stands in the roster on a night.
type standing struct {
	status     access.PersonStatus // empty: not in the roster yet
	kind       string
	department int
	start, end *time.Time
	leave      bool
}

// startOf and endOf are the instants at which a record's work starts and ends.
func (c *Company) startOf(p *person, r *record) time.Time { return c.local(p.zone, r.start, 0) }

func (c *Company) endOf(p *person, day int) time.Time { return c.local(p.zone, day+1, 0) }

// standingOn says where the person stands at the time of night n. No person here has two current records, so it is
// enough to know the latest one of each sort.
func (c *Company) standingOn(p *person, n int) standing {
	at := c.RunTime(n)
	var s standing
	for i := range p.records {
		r := &p.records[i]
		if n < r.listedFrom() {
			continue
		}
		start := c.startOf(p, r)
		var end *time.Time
		if day := r.endOn(n); day != never {
			end = ptr(c.endOf(p, day))
		}
		status := access.PersonActive
		switch {
		case end != nil && !end.After(at), end == nil && r.undated && n >= r.entered:
			status = access.PersonEnded
		case start.After(at):
			status = access.PersonFuture
		case p.onLeave(n):
			status = access.PersonLeave
		}
		// Records are in the order of time: a later one takes over unless it has not begun and an earlier one exists.
		if s.status != "" && status == access.PersonFuture {
			continue
		}
		s.status, s.kind, s.start, s.end, s.leave = status, r.kind, &start, end, status == access.PersonLeave
	}
	s.department = p.departmentOn(n)
	return s
}

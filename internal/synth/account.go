package synth

import (
	"fmt"
	"time"

	"github.com/lapse-audit/lapse/internal/access"
)

// signals says what a source's export has. What is missing is missing by design: real systems are like that, and then a
// rule can't be evaluated.
type signals struct {
	enabled, login, neverLogin, created, mfa, flag, owner, seatUse, employeeID bool
}

var signalsOf = map[string]signals{
	AD:   {enabled: true, login: true, neverLogin: true, created: true, owner: true, employeeID: true},
	CRM:  {enabled: true, login: true, neverLogin: true, created: true, mfa: true, owner: true, seatUse: true},
	Code: {enabled: true, created: true, mfa: true, flag: true, seatUse: true},
	Chat: {enabled: true, login: true, mfa: true, flag: true},
	Wiki: {enabled: true, login: true, neverLogin: true, created: true, seatUse: true},
	VPN:  {login: true, created: true}, // sign-ins come in a file of their own
	ERP:  {enabled: true, login: true, created: true, owner: true},

	Lab:   {enabled: true, login: true, neverLogin: true, created: true, owner: true, employeeID: true},
	Cloud: {enabled: true, login: true, created: true, mfa: true, owner: true, seatUse: true, employeeID: true},
}

// account is an account's whole story.
type account struct {
	source, id string
	serial     int    // within its source
	number     uint64 // of its own rolls
	kind       access.AccountKind
	zone       int

	person *person // whose it is; nil: nobody's in the roster
	byID   bool    // carries the person's employee id
	noMail bool
	// through is the account that this one stands for: a foreign security principal has no evidence of its own.
	through *account
	handle  string // instead of the person's username
	lag     int    // nights by which it follows a change of name later

	name, email, username, employeeID string // without a person
	candidates                        []int  // without a person: whose address it has

	created  time.Time
	gone     int // the night from which it is deleted
	switches []toggle
	work     []span // when its owner signs in
	extra    []time.Time
	rate     int // sign-ins in a thousand working days, beside one a week
	admin    *bool
	mfa      *bool
	owner    string
	breaks   bool // break glass
	grants   []held
	seats    []seat

	// more is what only few systems tell of an account, at a time.
	more  func(o *access.Account, at time.Time)
	plant []Plant
}

type toggle struct {
	at time.Time
	on bool
}

type span struct{ from, to time.Time }

// held is a grant from one night until another.
type held struct {
	id          string
	from, until int
	more        func(*access.Grant) // what only few systems tell of a grant
}

type seat struct {
	sku      string
	assigned time.Time
	until    time.Time // zero: kept
	work     []span
}

var farFuture = time.Date(2200, 1, 1, 0, 0, 0, 0, time.UTC)

// has reports whether the person gets an account in a source.
func (c *Company) has(p *person, source string) bool {
	fn := p.department % len(functions)
	if p.fate == fateCast {
		return source == AD || source == ERP && p.role.buys()
	}
	admin, nested := p.admin()
	lucky := func(percent int) bool {
		return c.roll(100, topicAccount, p.i, int(source[0])*256+int(source[1])) < percent
	}
	switch source {
	case AD:
		return true
	case CRM:
		return p.fate != fateReuse && (fn == fnSales || fn == fnSupport || fn == fnMarketing || admin && !nested)
	case Code:
		return fn == fnEngineering || fn == fnIT || fn == fnData || fn == fnProduct && lucky(50)
	case Chat:
		return lucky(97) || p.fate == fateUsed || p.fate == fatePastDirty || p.fate == fateJoinerEarly || p.fate == fateRenamedLag || p.fate == fateSharedMail
	case Wiki:
		switch p.fate {
		case fateNeverIn, fateNewNeverIn, fateSeatIdle, fateSeatNever, fateSeatEdge, fateJoinerEarly, fatePastDirty, fateLeave, fateSharedMail:
			return true
		}
		return lucky(60)
	case VPN:
		return lucky(50)
	case ERP:
		return fn == fnFinance || fn == fnHumanResources || fn == fnProcurement
	}
	return false
}

var rates = map[string]int{AD: 900, CRM: 700, Chat: 900, Wiki: 400, VPN: 300, ERP: 500, Code: 600}

// accountOf is the person's own account in a source.
func (c *Company) accountOf(p *person, source string) account {
	code := int(source[0])<<8 + int(source[1])
	roll := func(n, salt int) int { return c.roll(n, topicAccount, p.i, code*64+salt) }
	a := account{
		source: source, number: mix(c.seed, topicAccount, uint64(p.i), uint64(code)), kind: access.KindHuman, zone: p.zone, person: p,
		gone: never, rate: rates[source],
	}
	a.id, a.serial = c.accountID(source, topicAccount, p.i), serial(topicAccount, p.i)
	first, last := &p.records[0], &p.records[len(p.records)-1]
	day, minute := first.start, 7*60
	switch {
	case source == AD:
		a.byID = roll(50, 1) > 0
		if p.fate == fateJoiner && a.byID && roll(10, 2) < 4 {
			day -= 3
		}
	case p.fate == fateJoinerEarly && (source == Chat || source == Wiki):
		day -= 5
	case (source == Wiki || source == CRM) && p.fate == fateNeverIn:
		day = -c.between(15, 60, topicAccount, p.i, code)
	case (source == Wiki || source == CRM) && p.fate == fateNewNeverIn:
		day = 1 + roll(3, 3)
	default:
		day, minute = day+roll(6, 3), 9*60+roll(480, 4)
	}
	a.created = c.local(p.zone, day, minute)
	switch source {
	case Code:
		a.noMail = roll(5, 5) == 0
		if roll(50, 6) == 0 {
			a.noMail, a.handle = true, fmt.Sprintf("%s-%d", [...]string{"otter", "lynx", "crane", "newt"}[roll(4, 7)], p.i+7000)
		}
		a.admin = ptr(false)
	case VPN, ERP:
		a.noMail = true
	case Chat:
		a.admin = ptr(false)
		if last.kind == "contractor" {
			a.kind = access.KindGuest
		}
	}
	if source != AD {
		a.lag = p.appLag
	}
	a.mfa = ptr(p.mfa)
	c.work(p, &a)
	c.switches(p, &a)
	c.grant(p, &a)
	c.seat(p, &a)
	if p.fate == fateCast {
		c.dress(p, &a)
	}
	return a
}

// work says when the person signs in.
func (c *Company) work(p *person, a *account) {
	for i := range p.records {
		r := &p.records[i]
		w := span{c.local(p.zone, r.start, 8*60), farFuture}
		switch {
		case p.fate == fateContractorExtended:
			w.to = c.endOf(p, r.extendedTo)
		case r.end != never:
			w.to = c.local(p.zone, r.end, 18*60)
		}
		a.work = append(a.work, w)
	}
	last := &a.work[len(a.work)-1]
	stop := func(day int) { last.to = c.local(p.zone, day, 0) }
	days := func(low, high int) int { return c.between(low, high, topicLogin, p.i, 1) }
	if p.leaveFrom < p.leaveTo {
		back := c.local(p.zone, p.leaveTo, 0)
		stop(p.leaveFrom)
		a.work = append(a.work, span{back, farFuture})
	}
	switch p.fate {
	case fateDormant:
		if a.source == AD || a.number%2 == 0 {
			stop(-days(62, 250))
		}
	case fateDormantEdge:
		stop(-days(15, max(16, 85-c.nights)))
	case fateAdminDormant:
		if a.source != Chat {
			stop(-days(5, 70))
		}
	case fateNeverIn, fateNewNeverIn:
		if a.source == Wiki || a.source == CRM {
			a.work = nil
		}
	case fateUsed:
		if a.source == AD || a.source == Chat {
			a.extra = append(a.extra, c.local(p.zone, p.records[0].end+2, 10*60))
		}
	}
}

// switches says when the account is switched off and on.
func (c *Company) switches(p *person, a *account) {
	off := func(at time.Time) { a.switches = append(a.switches, toggle{at, false}) }
	r := &p.records[0]
	evening := func() time.Time { return c.local(p.zone, r.end, 18*60+int(a.number%300)) }
	after := func(hours int) time.Time { return c.endOf(p, r.end).Add(time.Duration(hours) * time.Hour) }
	switch p.fate {
	case fatePast, fateClean, fateContractorClean:
		off(evening())
	case fatePastDirty:
		if a.source != Chat && a.source != Wiki {
			off(evening())
		}
	case fateGrace:
		off(after(20))
	case fateSlow:
		at := after(24 * (2 + int(a.number%5)))
		if a.source == Chat { // this one deletes instead
			a.gone = c.firstNight(at)
			return
		}
		off(at)
	case fateUsed:
		off(after(5 * 24))
	case fateLateEntry:
		off(c.RunTime(r.entered).Add(14 * time.Hour))
	case fateUndated:
		off(c.RunTime(r.entered).Add(62 * time.Hour))
	case fateAdminLeaver:
		off(after(30))
	case fateRehired, fateRehireSoon:
		off(evening())
		on := c.local(p.zone, p.records[1].start, 7*60)
		if p.fate == fateRehireSoon && a.source == AD {
			on = c.local(p.zone, p.records[1].start-2, 9*60)
		}
		a.switches = append(a.switches, toggle{on, true})
	}
}

// firstNight is the first night whose run is not before t.
func (c *Company) firstNight(t time.Time) int {
	n := int(t.Sub(c.RunTime(0)).Hours()/24) - 2
	for c.RunTime(n).Before(t) {
		n++
	}
	return n
}

// seat gives the account its paid seat.
func (c *Company) seat(p *person, a *account) {
	fn := p.department % len(functions)
	s := seat{assigned: a.created, work: a.work}
	switch a.source {
	case CRM:
		s.sku = "SF-PLATFORM"
		if fn == fnSales {
			s.sku = "SF-SALES"
		}
	case Code:
		if a.number%5 >= 3 {
			return
		}
		s.sku = "COPILOT-BUSINESS"
	case Wiki:
		s.sku = "WIKI-STANDARD"
		if a.number%20 == 0 {
			s.sku = "WIKI-FREE"
		}
	case ERP:
		s.sku = "ERP-VIEW"
		if fn == fnFinance {
			s.sku = "ERP-PRO"
		}
	default:
		return
	}
	days := func(low, high int) int { return c.between(low, high, topicSeat, p.i, int(a.source[0])) }
	stop := func(day int) {
		s.work = append([]span(nil), a.work...)
		if len(s.work) > 0 {
			s.work[len(s.work)-1].to = c.local(p.zone, day, 0)
		}
	}
	switch p.fate {
	case fateSeatIdle:
		stop(-days(35, 200))
	case fateSeatEdge:
		stop(-days(1, max(2, 58-c.nights)))
	case fateSeatNever:
		s.work, s.assigned = nil, c.local(p.zone, -days(35, 200), 10*60)
	}
	// Whoever takes the access away mostly takes the seat, too.
	if n := len(a.switches); n > 0 && !a.switches[n-1].on && a.number%16 > 1 {
		s.until = a.switches[n-1].at.Add(time.Duration(a.number%3) * 40 * time.Hour)
	}
	a.seats = append(a.seats, s)
}

// latest is the last sign-in (or use, by another number) from one time until another. There is one a week at least.
func (c *Company) latest(number uint64, rate, zone int, work []span, since, until time.Time) *time.Time {
	for i := len(work) - 1; i >= 0; i-- {
		w := work[i]
		if until.Before(w.to) {
			w.to = until
		}
		if w.from.Before(since) {
			w.from = since
		}
		if t := c.latestIn(number, rate, zone, w.from, w.to); t != nil {
			return t
		}
	}
	return nil
}

func (c *Company) latestIn(number uint64, rate, zone int, from, to time.Time) *time.Time {
	if !from.Before(to) {
		return nil
	}
	wall := to.In(c.zones[zone])
	y, m, d := wall.Date()
	today := int(time.Date(y, m, d, 0, 0, 0, 0, time.UTC).Sub(time.Date(c.y, c.m, c.d, 0, 0, 0, 0, time.UTC)).Hours() / 24)
	for day := today; day > today-15; day-- {
		weekday := ((c.weekday+day)%7 + 7) % 7
		if weekday == 0 || weekday == 6 {
			continue
		}
		week := (day + c.weekday + 70_000) / 7
		h := mix(number, uint64(day+100_000))
		if int(h%1000) >= rate && mix(number, uint64(week), 1)%5 != uint64(weekday-1) {
			continue
		}
		t := c.local(zone, day, 8*60+int(h>>20%560))
		if t.Before(from) {
			return nil
		}
		if t.Before(to) {
			return &t
		}
	}
	return nil
}

// serial numbers the accounts of a source: those of topicAccount and topicExtra never have the same.
func serial(topic, i int) int { return 2*i + topic - topicAccount }

// accountID makes up an id in the source's own style.
func (c *Company) accountID(source string, topic, i int) string {
	h := mix(c.seed, topicID, uint64(source[0])<<8+uint64(source[1]), uint64(topic), uint64(i))
	serial := serial(topic, i)
	switch source {
	case AD, Lab:
		return guid(h, mix(h))
	case CRM:
		return fmt.Sprintf("0055g%09dAA%c", serial, 'A'+h%26)
	case Code:
		return fmt.Sprint(1_000_000 + serial*7)
	case Chat:
		return fmt.Sprintf("U0%08X", uint32(serial)*2654435761)
	case Wiki:
		return fmt.Sprintf("%016x%08x", h, serial)
	case VPN:
		return fmt.Sprintf("vpn-%07d", serial)
	default:
		return fmt.Sprintf("U%08d", serial)
	}
}

func guid(a, b uint64) string {
	return fmt.Sprintf("%08x-%04x-4%03x-a%03x-%012x", a>>32, a>>16&0xffff, a&0xfff, b>>52, b&0xffffffffffff)
}

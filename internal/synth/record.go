package synth

import (
	"fmt"
	"iter"
	"strings"
	"time"

	"github.com/lapse-audit/lapse/internal/access"
)

// Records yields what source gives on night n: worker records for the roster; entitlements, licenses and nested grants,
// then each account with its grants, seats and usage for the others. Nothing is kept, so any size streams.
func (c *Company) Records(source string, n int) iter.Seq[access.Record] {
	return func(yield func(access.Record) bool) {
		if source == HR {
			c.workers(n, yield)
			return
		}
		var nested []access.Record
		for e := range c.entitlements(source, n) {
			if !yield(e.Entitlement) {
				return
			}
			for _, in := range e.in {
				nested = append(nested, access.Grant{HolderKind: access.HolderEntitlement, HolderID: e.ID, EntitlementID: in})
			}
		}
		for _, l := range licenses[source] {
			nested = append(nested, l)
		}
		for _, r := range nested {
			if !yield(r) {
				return
			}
		}
		for a := range c.accounts(source, n) {
			o := c.observe(&a, n)
			if !yield(o.Account) {
				return
			}
			for _, g := range o.grants {
				if !yield(g) {
					return
				}
			}
			for _, s := range o.seats {
				if !yield(s) {
					return
				}
			}
			if o.usage != nil && !yield(*o.usage) {
				return
			}
		}
	}
}

// accounts are those that exist in a source on night n.
func (c *Company) accounts(source string, n int) iter.Seq[account] {
	return func(yield func(account) bool) {
		at := c.RunTime(n)
		for i := range c.people {
			p := c.personOf(i)
			if !c.has(&p, source) {
				continue
			}
			if a := c.accountOf(&p, source); !a.created.After(at) && n < a.gone && !yield(a) {
				return
			}
		}
		for a := range c.extras(source, n) {
			if !a.created.After(at) && n < a.gone && !yield(a) {
				return
			}
		}
	}
}

// licenses are the products of each source.
var licenses = map[string][]access.License{
	CRM: {
		{SKU: "SF-SALES", Product: "Sales Cloud", CostMonth: "150.00", Currency: "USD", Purchased: ptr(int64(400))},
		{SKU: "SF-PLATFORM", Product: "Platform Starter", CostMonth: "25.00", Currency: "USD", Purchased: ptr(int64(500))},
	},
	Wiki: {
		{SKU: "WIKI-STANDARD", Product: "Wiki Standard", CostMonth: "6.05", Currency: "USD"},
		{SKU: "WIKI-FREE", Product: "Wiki Free", CostMonth: "0.00", Currency: "USD"},
	},
	ERP: {
		{SKU: "ERP-PRO", Product: "ERP Professional", CostMonth: "89.50", Currency: "EUR"},
		{SKU: "ERP-VIEW", Product: "ERP Anzeige", CostMonth: "0.00", Currency: "EUR"},
	},
	Cloud: {
		{SKU: "ZOOM-PRO", Product: "Zoom Workplace Pro", CostMonth: "13.33", Currency: "USD", Purchased: ptr(int64(2))},
		{SKU: "ZOOM-BASIC", Product: "Zoom Basic", CostMonth: "0.00", Currency: "USD", Purchased: ptr(int64(500))},
		{SKU: "WEBEX", Product: "Webex Meetings", CostMonth: "12.00", Currency: "USD", Purchased: ptr(int64(2))},
	},
}

// workers yields the roster of night n.
func (c *Company) workers(n int, yield func(access.Record) bool) {
	for i := range c.people {
		p := c.personOf(i)
		for k := range p.records {
			if n >= p.records[k].listedFrom() && !yield(c.worker(&p, &p.records[k], n)) {
				return
			}
		}
	}
}

func (c *Company) worker(p *person, r *record, n int) access.Person {
	at := c.RunTime(n)
	w := access.Person{
		ID: p.id, RecordID: r.id, EmployeeID: p.id, Username: p.usernameOn(n), Email: c.hrEmail(p, n), Name: p.first + " " + p.nameOn(n),
		Kind: r.kind, Status: access.PersonActive, Department: c.departmentName(p.departmentOn(n)), Title: c.titleOf(p, n),
		Location: zones[p.zone].place, StartAt: ptr(c.startOf(p, r)),
	}
	w.HighRisk = p.role.risk()
	if p.manager >= 0 {
		w.ManagerID = fmt.Sprintf("%06d", 100_000+p.manager)
	}
	if day := r.endOn(n); day != never {
		w.EndAt = ptr(c.endOf(p, day))
	}
	switch {
	case w.EndAt != nil && !w.EndAt.After(at), r.undated && n >= r.entered:
		w.Status = access.PersonEnded
	case w.StartAt.After(at):
		w.Status = access.PersonFuture
	case p.onLeave(n):
		w.Status = access.PersonLeave
	}
	return w
}

// observed is what a source's export says of an account.
type observed struct {
	access.Account
	grants []access.Grant
	seats  []access.Seat
	usage  *access.Usage
}

// observe gives what the export of night n says: signals that the source lacks are absent.
func (c *Company) observe(a *account, n int) observed {
	at := c.RunTime(n)
	sig := signalsOf[a.source]
	var o observed
	o.ID, o.Kind = a.id, a.kind
	c.evidence(a, n, &o.Account)
	if sig.created {
		o.CreatedAt = ptr(a.created)
	}
	if sig.enabled {
		o.Enabled = ptr(a.on(at))
	}
	login := c.latest(mix(a.number, topicLogin), a.rate, a.zone, a.work, a.created, at)
	for _, t := range a.extra {
		if !t.After(at) && (login == nil || t.After(*login)) {
			login = &t
		}
	}
	switch {
	case !sig.login:
	case a.source == VPN:
		o.usage = &access.Usage{AccountID: a.id, LastUsedAt: login}
		if login == nil {
			o.usage.NeverUsed = ptr(true)
		}
	case login != nil:
		o.LastLoginAt = login
	case sig.neverLogin:
		o.NeverLoggedIn = ptr(true)
	}
	if sig.mfa {
		o.MFA = a.mfa
	}
	if sig.flag {
		o.Privileged = a.admin
	}
	if sig.owner {
		o.OwnerID = a.owner
	}
	if a.breaks {
		o.BreakGlass = ptr(true)
	}
	for _, g := range a.grants {
		if n >= g.from && n < g.until {
			grant := access.Grant{HolderKind: access.HolderAccount, HolderID: a.id, EntitlementID: g.id}
			if g.more != nil {
				g.more(&grant)
			}
			o.grants = append(o.grants, grant)
		}
	}
	for _, s := range a.seats {
		if s.assigned.After(at) || !s.until.IsZero() && !at.Before(s.until) {
			continue
		}
		seat := access.Seat{AccountID: a.id, SKU: s.sku, AssignedAt: ptr(s.assigned)}
		if a.source == Code { // has no list of products: each seat tells its price
			seat.Product, seat.CostMonth, seat.Currency = "Copilot Business", "19.00", "USD"
		}
		if sig.seatUse {
			used := c.latest(mix(a.number, topicSeat), a.rate, a.zone, s.work, s.assigned, at)
			if seat.LastUsedAt = used; used == nil {
				seat.NeverUsed = ptr(true)
			}
		}
		o.seats = append(o.seats, seat)
	}
	if a.source == AD {
		o.Attributes = map[string]string{"sid": textOfSID(c.domainSID(uint32(firstAccountRID + a.serial)))}
	}
	if a.more != nil {
		a.more(&o.Account, at)
	}
	return o
}

// on reports whether the account is switched on.
func (a *account) on(at time.Time) bool {
	on := true
	for _, s := range a.switches {
		if !s.at.After(at) {
			on = s.on
		}
	}
	return on
}

// evidence fills in the names by which the account can be linked.
func (c *Company) evidence(a *account, n int, o *access.Account) {
	if a.person == nil || a.through != nil {
		o.Name, o.Email, o.Username, o.EmployeeID = a.name, a.email, a.username, a.employeeID
		return
	}
	p := a.person
	n -= a.lag
	o.Name = p.first + " " + p.nameOn(n)
	if !a.noMail {
		o.Email = c.hrEmail(p, n)
	}
	switch user := p.usernameOn(n); {
	case a.handle != "":
		o.Username = a.handle
	case a.source == CRM || a.source == Wiki:
		o.Username = p.emailOn(n)
	case a.source == Chat:
		o.Username, _, _ = strings.Cut(p.emailOn(n), "@")
	case a.source == VPN:
		o.Username = `CORP\` + user
	case a.source == ERP:
		o.Username = strings.ToUpper(user)
	default:
		o.Username = user
	}
	if a.byID {
		o.EmployeeID = p.id
	}
}

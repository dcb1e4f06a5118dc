package synth

import (
	"fmt"
	"iter"

	"github.com/lapse-audit/lapse/internal/access"
)

// extras are the accounts of a source beside those of its people: service, shared and guest accounts, and those that
// nobody remembers.
func (c *Company) extras(source string, n int) iter.Seq[account] {
	return func(yield func(account) bool) {
		next, stopped := 0, false
		// add makes an enabled account that somebody uses, made some years ago; edit changes it.
		add := func(kind access.AccountKind, username, email string, edit func(*account)) {
			i := next
			next++
			a := account{
				source: source, id: c.accountID(source, topicExtra, i), serial: serial(topicExtra, i), number: mix(c.seed, topicExtra, uint64(source[0])<<8+uint64(source[1]), uint64(i)),
				kind: kind, zone: 1, username: username, email: email, name: username, gone: never, rate: 300,
			}
			a.created = c.local(1, -400-c.roll(1500, topicExtra, i, 1), 600)
			a.work = []span{{a.created, farFuture}}
			if signalsOf[source].flag {
				a.admin = ptr(false)
			}
			if signalsOf[source].mfa && kind != access.KindService {
				a.mfa = ptr(true)
			}
			if edit != nil {
				edit(&a)
			}
			stopped = stopped || !yield(a)
		}
		switch source {
		case AD:
			c.directoryExtras(n, add)
		case CRM:
			c.crmExtras(n, add)
		case Code:
			for i := range 2 {
				add(access.KindService, fmt.Sprintf("planetary-bot-%d", i), "", nil)
			}
		case Chat:
			for i := range 3 + c.people/200 {
				add(access.KindService, fmt.Sprintf("bot-%d", i), "", nil)
			}
			for i := range 3 + c.people/100 {
				add(access.KindGuest, fmt.Sprintf("guest-%d", i), fmt.Sprintf("guest%d@partner.example", i), nil)
			}
			add(access.KindHuman, "someone-else", "someone@old-planetary.example", nil) // no creation date: known only since the first night
		case Wiki:
			for i := range 3 {
				add(access.KindHuman, fmt.Sprintf("former%d@acquired.example", i), fmt.Sprintf("former%d@acquired.example", i), c.quietSince(-20-120*i))
			}
			add(access.KindService, "wiki-importer", "", nil)
			add(access.KindGuest, "auditor@auditors.example", "auditor@auditors.example", c.quietSince(-200))
		case VPN:
			for i := range 2 {
				add(access.KindHuman, fmt.Sprintf(`CORP\tmp%d`, i), "", nil)
			}
		case ERP:
			for i := range 2 {
				add(access.KindShared, fmt.Sprintf("KASSE%d", i+1), "", nil)
			}
			p := c.personOf(1 + fnFinance)
			add(access.KindService, "BATCH_FI", "", func(a *account) { a.owner = p.id })
			add(access.KindService, "BATCH_MM", "", nil) // ownerless
			add(access.KindHuman, "JMUESSIG", "", func(a *account) { a.name = "Jürgen Müßig" })
		case Lab:
			c.labAccounts(add)
		case Cloud:
			c.cloudAccounts(add)
		}
	}
}

// quietSince ends the sign-ins on a day.
func (c *Company) quietSince(day int) func(*account) {
	return func(a *account) { a.work = []span{{a.created, c.local(a.zone, day, 0)}} }
}

func (c *Company) directoryExtras(n int, add func(access.AccountKind, string, string, func(*account))) {
	services := c.group(grpServices, 0, 0)
	for k := range max(12, c.people/40) {
		add(access.KindService, fmt.Sprintf("svc-%s-%02d", [...]string{"backup", "sql", "web", "scan", "print"}[k%5], k), "", func(a *account) {
			a.grants = []held{{id: services, from: -never, until: never}}
			owner := 1 + c.roll(len(functions), topicExtra, k, 2)
			switch k % 10 {
			case 0: // nobody; every second one is off
				owner = -1
				if k/10%2 == 1 {
					a.switches = []toggle{{c.local(1, -50, 600), false}}
				}
			case 1:
				owner = c.example(fatePast)
			case 2:
				owner = c.example(fateClean)
			case 3:
				a.owner, owner = "Infrastructure Team", -1
			case 4: // has the mailbox address of its owner, and must not become the owner's account
				p := c.personOf(owner)
				a.email = c.hrEmail(&p, n)
			case 5:
				a.created = c.local(1, 4, 600)
				owner = -1
			case 6:
				a.grants = append(a.grants, held{id: c.group(grpServerOperators, 0, 0), from: -never, until: never})
			}
			if owner >= 0 {
				p := c.personOf(owner)
				if a.owner = p.id; k%2 == 0 {
					a.owner = c.hrEmail(&p, n)
				}
			}
		})
	}
	for k := range 2 + c.people/200 {
		add(access.KindShared, fmt.Sprintf("reception%d", k), fmt.Sprintf("reception%d@%s", k, mailDomain), nil)
	}
	for k, kind := range []access.AccountKind{access.KindHuman, access.KindShared} {
		add(kind, fmt.Sprintf("breakglass%d", k+1), "", func(a *account) {
			a.breaks = true
			a.grants = []held{{id: c.group(grpDomainAdmins, 0, 0), from: -never, until: never}}
			c.quietSince(-200)(a)
		})
	}
	for k := range 2 + c.people/300 { // nobody knows what these are
		add("", fmt.Sprintf("test%02d", k), "", c.quietSince(-300))
	}
	left := c.personOf(c.example(fatePast))
	add("", "old-"+left.usernameOn(0), left.emailOn(0), func(a *account) {
		a.person, a.handle = &left, "old-"+left.usernameOn(0)
		a.created = c.local(1, left.records[0].start+30, 600)
	})
	for k := range 6 + c.people/300 {
		add(access.KindHuman, fmt.Sprintf("k.consult%d", k), fmt.Sprintf("consult%d@old-planetary.example", k), func(a *account) {
			switch k {
			case 0: // the name of somebody: a name alone is no evidence
				p := c.personOf(20)
				a.name = p.first + " " + p.last
			case 1:
				a.employeeID = "990001" // nobody's
			case 2:
				a.created = c.local(1, 3, 600)
			case 3:
				a.created = c.local(1, c.nights-5, 600)
			case 4:
				a.gone = c.nights / 2
			case 5:
				a.switches = []toggle{{c.local(1, -30, 600), false}}
			default:
				if k%2 == 0 {
					c.quietSince(-60 - 3*k)(a)
				}
			}
		})
	}
}

func (c *Company) crmExtras(n int, add func(access.AccountKind, string, string, func(*account))) {
	for i := range c.people {
		if c.fateOf(i) != fateReuse {
			continue
		}
		p := c.personOf(i) // the account of whoever had the address before
		add(access.KindHuman, c.hrEmail(&p, n), c.hrEmail(&p, n), func(a *account) {
			a.name, a.candidates = "Former Employee", []int{i}
			a.created = c.local(1, -1000-i%100, 600)
			a.grants = []held{{id: "PRF-STANDARD", from: -never, until: never}}
			c.quietSince(-70 - i%40)(a)
		})
	}
	for k := range 4 {
		add(access.KindService, fmt.Sprintf("integration%d@%s", k, mailDomain), "", func(a *account) {
			if k > 0 {
				p := c.personOf(1 + fnSales)
				a.owner = c.hrEmail(&p, n)
			}
			a.grants = []held{{id: "PRF-STANDARD", from: -never, until: never}}
		})
	}
	for k := range 5 {
		add(access.KindGuest, fmt.Sprintf("partner%d@reseller.example", k), fmt.Sprintf("partner%d@reseller.example", k), c.quietSince(-40*k))
	}
}

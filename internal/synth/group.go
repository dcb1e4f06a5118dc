package synth

import (
	"fmt"
	"iter"

	"github.com/lapse-audit/lapse/internal/access"
)

// entitlement is something that a source grants, and what it lies in: whoever holds it holds those, too.
type entitlement struct {
	access.Entitlement
	in []string
}

// Groups of the directory. Those of departments and projects have numbers.
const (
	grpEveryone = iota + 1
	grpIntranet
	grpVPN
	grpDomainAdmins
	grpServerOperators
	grpHelpdesk
	grpServices
	grpSite       // and a zone
	grpDepartment // and a department
	grpOffice     // of a department in a zone
	grpProject    // of a department, 0 to 3
	grpFunction   // and a function: what the department's people share with like departments
	grpList       // of a department, 0 to 5: mailing lists
)

func (c *Company) group(what, a, b int) string {
	h := mix(c.seed, topicEntitlement, uint64(what), uint64(a), uint64(b))
	return guid(h, mix(h))
}

// grant gives the account what its person's work needs, and what the person's fate adds.
func (c *Company) grant(p *person, a *account) {
	hold := func(id string) { a.grants = append(a.grants, held{id: id, from: -never, until: never}) }
	admin, nested := p.admin()
	direct := admin && !nested
	roll := func(n, salt int) int { return c.roll(n, topicGrant, p.i, salt) }
	fn := p.department % len(functions)
	switch a.source {
	case AD:
		p.eachJob(func(department, from, until int) {
			first := roll(4, department)
			a.grants = append(a.grants,
				held{id: c.group(grpOffice, department, p.zone), from: from, until: until}, held{id: c.group(grpProject, department, first), from: from, until: until})
			if roll(10, department+1) < 6 {
				a.grants = append(a.grants, held{id: c.group(grpProject, department, (first+1)%4), from: from, until: until})
			}
			for k := range 6 {
				if c.roll(100, topicGrant, p.i, 1000+8*department+k) < 38 {
					a.grants = append(a.grants, held{id: c.group(grpList, department, k), from: from, until: until})
				}
			}
		})
		hold(c.group(grpSite, p.zone, 0))
		if c.has(p, VPN) {
			hold(c.group(grpVPN, 0, 0))
		}
		if direct {
			hold(c.group(grpDomainAdmins, 0, 0))
		}
		if nested {
			hold(c.group(grpHelpdesk, 0, 0))
		}
		if p.fate == fateOutlier {
			hold(c.group(grpProject, (p.department+1)%c.departs, 0))
		}
	case CRM:
		switch {
		case direct:
			hold("PRF-ADMIN")
		case p.lead:
			hold("PRF-MANAGER")
		default:
			hold("PRF-STANDARD")
		}
		if roll(100, 1) < 40 {
			hold("PS-EXPORT")
		}
		if roll(100, 2) < 2 {
			hold("PS-API")
		}
	case Code:
		hold(fmt.Sprintf("team-%d", fn))
		if fn == fnEngineering && roll(100, 3) < 20 {
			hold("team-release")
		}
		if direct {
			a.admin = ptr(true)
		}
	case Chat:
		if direct && roll(2, 4) == 0 {
			a.admin = ptr(true)
		}
	case Wiki:
		hold("site-users")
		hold(fmt.Sprintf("space-%d", fn))
		if direct && roll(2, 5) == 0 {
			hold("site-admins")
		}
	case ERP:
		hold("ERP_ANZEIGE")
		switch {
		case p.i == 1+fnFinance:
			hold("SAP_ALL")
		case fn == fnFinance:
			hold("FI_BUCHEN")
			if roll(100, 6) < 30 {
				hold("FI_FREIGEBEN")
			}
		case fn == fnProcurement:
			hold("MM_BESTELLEN")
		}
	}
}

// eachJob calls f for the department of each time: after a transfer the old access stays for ten nights.
func (p *person) eachJob(f func(department, from, until int)) {
	if p.movedDay == never {
		f(p.department, -never, never)
		return
	}
	f(p.department, -never, p.movedDay+10)
	f(p.movedTo, p.movedDay+1, never)
}

// entitlements are those of a source on night n.
func (c *Company) entitlements(source string, n int) iter.Seq[entitlement] {
	return func(yield func(entitlement) bool) {
		stopped := false
		give := func(e access.Entitlement, in ...string) {
			stopped = stopped || !yield(entitlement{e, in})
		}
		switch source {
		case AD:
			c.groups(give)
		case CRM:
			profile := func(id, name string, privileged bool, owner int) {
				p := c.personOf(owner)
				give(access.Entitlement{ID: id, Name: name, Kind: "role", Resource: "CRM", Privileged: &privileged, OwnerID: c.hrEmail(&p, n)})
			}
			profile("PRF-STANDARD", "Standard User", false, 1+fnSales)
			profile("PRF-MANAGER", "Sales Manager", false, 1+fnSales)
			profile("PRF-ADMIN", "System Administrator", true, 1+fnIT)
			profile("PS-EXPORT", "Export Reports", false, 1+fnSales)
			profile("PS-API", "API Enabled", false, c.example(fatePast))
		case Code:
			team := func(id, name string, privileged bool, in ...string) {
				give(access.Entitlement{ID: id, Name: name, Kind: "team", Resource: "planetary", Privileged: &privileged}, in...)
			}
			for _, fn := range []int{fnEngineering, fnIT, fnData, fnProduct} {
				team(fmt.Sprintf("team-%d", fn), functions[fn], false, "team-everyone")
			}
			team("team-release", "release-managers", false, "team-deploy", "team-everyone")
			team("team-deploy", "production-deploy", true)
			team("team-everyone", "everyone", false)
		case Wiki:
			// Only the administrators' group says what it is.
			give(access.Entitlement{ID: "site-users", Name: "site-users", Kind: "group", Resource: "wiki"})
			give(access.Entitlement{ID: "site-admins", Name: "site-admins", Kind: "group", Resource: "wiki", Privileged: ptr(true)})
			for i, fn := range functions {
				give(access.Entitlement{ID: fmt.Sprintf("space-%d", i), Name: fn, Kind: "group", Resource: "wiki"}, "site-users")
			}
		case ERP:
			role := func(id, name string, privileged bool, owner int, tags ...string) {
				p := c.personOf(owner)
				give(access.Entitlement{ID: id, Name: name, Kind: "role", Resource: "ERP", Privileged: &privileged, OwnerID: p.id, Tags: tags})
			}
			role("ERP_ANZEIGE", "Anzeige", false, 1+fnFinance)
			role("FI_BUCHEN", "Buchungen erfassen", false, 1+fnFinance)
			role("FI_FREIGEBEN", "Zahlungen freigeben", false, c.example(fateClean), "payment-run")
			role("MM_BESTELLEN", "Lieferanten pflegen und bestellen", false, 1+fnProcurement, "vendor-master")
			role("SAP_ALL", "Alle Berechtigungen", true, 1+fnIT)
		case Lab:
			c.labGroups(give)
		case Cloud:
			c.cloudRoles(give)
		}
	}
}

// example is the first person with a fate.
func (c *Company) example(f fate) int { return staff + int(f) }

func (c *Company) groups(give func(access.Entitlement, ...string)) {
	group := func(id, name string, privileged bool, owner string, in ...string) {
		give(access.Entitlement{ID: id, Name: name, Kind: "group", Resource: "corp.planetary.example", Privileged: &privileged, OwnerID: owner}, in...)
	}
	head := func(fn int) string { return fmt.Sprintf("%06d", 100_000+1+fn) }
	everyone, domain, server := c.group(grpEveryone, 0, 0), c.group(grpDomainAdmins, 0, 0), c.group(grpServerOperators, 0, 0)
	group(everyone, "All Staff", false, head(fnHumanResources), c.group(grpIntranet, 0, 0))
	group(c.group(grpIntranet, 0, 0), "Intranet Readers", false, head(fnIT))
	group(c.group(grpVPN, 0, 0), "VPN Users", false, head(fnIT))
	group(domain, "Domain Admins", true, head(fnIT))
	group(server, "Server Operators", false, head(fnIT), domain)
	group(c.group(grpHelpdesk, 0, 0), "Helpdesk Operators", false, head(fnIT), server)
	group(c.group(grpServices, 0, 0), "Service Accounts", false, "")
	for z := range zones {
		group(c.group(grpSite, z, 0), "Site "+zones[z].place, false, head(fnOperations), everyone)
	}
	for fn, name := range functions {
		group(c.group(grpFunction, fn, 0), "Function "+name, false, head(fn))
	}
	for d := range c.departs {
		fn, name := d%len(functions), c.departmentName(d)
		group(c.group(grpDepartment, d, 0), "Department "+name, false, head(fn), everyone, c.group(grpFunction, fn, 0))
		for z := range zones {
			group(c.group(grpOffice, d, z), name+" "+zones[z].place, false, head(fn), c.group(grpDepartment, d, 0))
		}
		for k := range 6 {
			group(c.group(grpList, d, k), fmt.Sprintf("List %s %d", name, k+1), false, head(fn))
		}
		for k := range 4 {
			owner := fmt.Sprintf("%06d", 100_000+staff+c.roll(c.people-staff, topicEntitlement, d, k))
			in := []string{c.group(grpDepartment, d, 0)}
			if d == 0 && k < 2 { // two that are in each other
				in = []string{c.group(grpProject, d, 1-k)}
			}
			group(c.group(grpProject, d, k), fmt.Sprintf("Project %s %c", name, 'A'+k), false, owner, in...)
		}
	}
}

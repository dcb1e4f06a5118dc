package synth

import "github.com/lapse-audit/lapse/internal/access"

// lookalikes are the accounts of people and purposes that a careless rule takes for a case of its own.
func (c *Company) lookalikes(n int) []Plant {
	var out []Plant
	for _, source := range []string{AD, Code, Wiki, VPN} {
		for a := range c.accounts(source, n) {
			a.plant = nil
			if a.person == nil {
				a.purpose()
			} else if source != AD || a.handle == "" {
				c.resembles(&a, n)
			}
			out = append(out, a.plant...)
		}
	}
	return out
}

// purpose says for which rules an account that is no person's must not be taken.
func (a *account) purpose() {
	switch {
	case a.source != AD || a.breaks:
	case a.kind == "":
		a.spare("ORP-01", "", "an account of unknown kind")
		a.spare("DOR-01", "", "an account of unknown kind")
	case a.kind == access.KindShared:
		a.spare("ORP-01", "", "a shared mailbox")
		a.spare("DOR-01", "", "a shared mailbox")
	case a.kind == access.KindService && a.email != "":
		a.spare("ORP-01", "", "a service account with its owner's address")
		a.spare("LVR-01", "", "a service account with its owner's address")
	}
}

// resembles says for which rules a person's account must not be taken.
func (c *Company) resembles(a *account, n int) {
	p := a.person
	standing := c.standingOn(p, n)
	switch {
	case a.source == VPN && standing.status == access.PersonEnded:
		a.spare("LVR-01", "", "an account that may be disabled")
		a.spare("LVR-04", "", "an account that may be disabled")
	case a.source == Code && p.fate == fateDormant:
		a.spare("DOR-01", "", "an account whose last sign-in nobody knows")
	case a.source == Wiki && p.fate == fateSeatEdge:
		a.spare("LIC-02", "WIKI-STANDARD", "a seat that was used not too long ago")
	case a.source != AD:
	case p.fate == fateLeave:
		a.spare("DOR-01", "", "somebody on leave")
		a.spare("LVR-01", "", "somebody on leave")
		a.spare("LVR-08", "", "somebody on leave")
	case p.fate == fateAdminLeave:
		a.spare("DOR-02", "", "an administrator on leave")
	case p.fate == fateRehired:
		for _, rule := range []string{"LVR-01", "LVR-03", "LVR-06"} {
			a.spare(rule, "", "somebody who came back")
		}
	case p.fate == fateConverted:
		a.spare("LVR-04", "", "a contractor who was taken on")
		a.spare("LVR-01", "", "a contractor who was taken on")
	case p.fate == fateRenamed && n >= p.marriedDay:
		a.spare("ORP-01", "", "somebody who was renamed")
		a.spare("ORP-02", "", "somebody who was renamed")
	case p.fate == fateContractorExtended && n >= p.records[0].extended:
		a.spare("LVR-04", "", "a contract that was extended late")
	case p.fate == fateContractor:
		a.spare("EXT-02", "end_date", "a contractor whose contract has an end")
	case p.fate == fateDormantEdge:
		a.spare("DOR-01", "", "somebody away for less than 90 days")
	}
}

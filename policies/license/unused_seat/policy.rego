# METADATA
# title: A paid seat is unused
# description: A license is paid for somebody who has not used the product for two months.
# scope: package
# custom:
#   id: LIC-02
#   subject: account
#   severity: low
#   controls: ["NIST-800-53r5:CM-10"]
#   action: reclaim
#   assignee: manager
#   params: {days: 60}
#   enabled: false
#   exempt: [leave]
#   scope: {account.enabled: true}
#   needs: [seats, seats.days_since_used|seats.never_used]
package lapse.license.unused_seat

import rego.v2

import data.lapse.lib

findings contains object.union(finding, lib.cost(seat)) if {
	input.account.enabled

	# lapse:allow unknown-not: LIC-01 judges the seats of those known to have left; nobody's seat is unused all the same
	not input.person.status == "ended"
	some seat in input.seats

	# lapse:allow unknown-not: only a seat known to be free costs nothing, and most systems give no prices
	not seat.cost_month == 0
	some unused in idle(seat)
	finding := {
		"key": seat.sku,
		"message": sprintf("%s in %s%s holds a seat of %s%s and %s", [
			lib.account_name,
			input.source.name,
			lib.of_person,
			lib.product(seat),
			lib.price(seat),
			unused,
		]),
		"evidence": object.union({"seat": seat}, json.filter(input, [
			"account/enabled",
			"account/legal_hold",
			"account/days_since_login",
			"person/status",
		])),
	}
}

idle(seat) := {sprintf("has not used it for %s", [lib.days(seat.days_since_used)])} if {
	seat.days_since_used >= data.params["LIC-02"].days
}

idle(seat) := {sprintf("has never used it in the %s since it was assigned", [lib.days(seat.days_since_assigned)])} if {
	not seat.days_since_used
	seat.never_used
	seat.days_since_assigned >= data.params["LIC-02"].days
}

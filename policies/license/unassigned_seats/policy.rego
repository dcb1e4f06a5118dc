# METADATA
# title: Bought seats that nobody holds
# description: More than a tenth of the seats that are paid for are assigned to nobody.
# scope: package
# custom:
#   id: LIC-03
#   subject: license
#   severity: low
#   controls: ["NIST-800-53r5:CM-10"]
#   action: review
#   assignee: app_owner
#   params: {above_percent: 10}
#   enabled: false
#   needs: [license.purchased, license.unassigned]
package lapse.license.unassigned_seats

import rego.v2

import data.lapse.lib

findings contains object.union(finding, waste) if {
	input.license.unassigned * 100 > input.license.purchased * data.params["LIC-03"].above_percent

	# lapse:allow unknown-not: only a license known to be free costs nothing, and most systems give no prices
	not input.license.cost_month == 0
	finding := {
		"message": sprintf("%v of %v seats of %s in %s%s are assigned to nobody%s", [
			input.license.unassigned,
			input.license.purchased,
			lib.product(input.license),
			input.source.name,
			lib.price(input.license),
			renewal,
		]),
		"evidence": {"license": input.license},
	}
}

# lapse:allow unknown-default: without a price the finding names no cost, and stands
default waste := {}

waste := {"cost_month": cost, "currency": object.get(input.license, "currency", "")} if {
	cost := round((input.license.unassigned * input.license.cost_month) * 100) / 100
}

default renewal := ""

renewal := sprintf(", and the contract renews in %s", [lib.days(input.license.days_until_renewal)]) if input.license.days_until_renewal >= 0

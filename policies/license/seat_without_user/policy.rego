# METADATA
# title: A seat of a leaver or a disabled account
# description: A license is paid for an account that nobody can use or whose person has left.
# scope: package
# custom:
#   id: LIC-01
#   subject: account
#   severity: low
#   controls: ["NIST-800-53r5:CM-10", "CIS-8.1:2.1", "ISO-27001:2022:A.5.32"]
#   action: none
#   assignee: app_owner
#   needs: [seats, account.enabled|person.status]
package lapse.license.seat_without_user

import rego.v2

import data.lapse.lib

findings contains object.union(finding, lib.cost(seat)) if {
	some reason in reasons
	some seat in input.seats
	finding := {
		"key": seat.sku,
		"message": sprintf("%s in %s holds a seat of %s%s, but %s", [
			lib.account_name,
			input.source.name,
			lib.product(seat),
			lib.price(seat),
			reason,
		]),
		"evidence": object.union({"seat": seat}, json.filter(input, [
			"account/enabled",
			"account/days_since_disabled",
			"account/legal_hold",
			"account/mailbox_type",
			"person/status",
			"person/days_since_end",
		])),
	}
}

reasons contains sprintf("%s %s", [lib.person_name, lib.left]) if input.person.status == "ended"

reasons contains sprintf("the account is disabled%s", [lib.disabled_for]) if {
	input.account.enabled == false
	not input.person.status == "ended"
}

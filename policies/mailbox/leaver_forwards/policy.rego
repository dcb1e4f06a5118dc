# METADATA
# title: A leaver's mailbox forwards outside
# description: A person has left, and mail for them still goes to an address outside the organisation.
# scope: package
# custom:
#   id: MBX-01
#   subject: account
#   severity: high
#   controls: ["NIST-800-53r5:AC-4", "ISO-27001:2022:A.5.14", "SOC2:CC6.7"]
#   action: review
#   assignee: security
#   enabled: false
#   scope: {account.kind: [human, guest, shared], link.status: linked}
#   needs: [person.status, account.forwards_externally]
package lapse.mailbox.leaver_forwards

import rego.v2

import data.lapse.lib

# A leaver's mailbox is often held, or kept as a shared one: that is right, but not that it forwards.
findings contains {"message": message, "evidence": evidence} if {
	input.account.forwards_externally
	input.person.status == "ended"
	input.account.kind in {"human", "guest", "shared"}
	input.link.status == "linked"
	message := sprintf("%s %s, and the mailbox of %s in %s still forwards to an address outside", [
		lib.person_name,
		lib.left,
		lib.account_name,
		input.source.name,
	])
	evidence := json.filter(input, [
		"account/forwards_externally",
		"account/enabled",
		"account/kind",
		"account/mailbox_type",
		"account/legal_hold",
		"person/status",
		"person/days_since_end",
	])
}

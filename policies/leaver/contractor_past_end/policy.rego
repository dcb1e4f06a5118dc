# METADATA
# title: A contractor is past the end date
# description: The contract of an outside worker has ended, and an account of theirs can still sign in.
# scope: package
# custom:
#   id: LVR-04
#   subject: account
#   severity: high
#   controls: ["PCI-DSS-4.0:8.2.7", "NIST-800-53r5:AC-2(3)(a)", "NIST-800-53r5:PS-7", "CIS-8.1:15.7"]
#   action: disable
#   assignee: manager
#   params: {delay_days: 0}
#   scope: {account.enabled: true, account.kind: [human, guest], link.status: linked, person.kind: [contractor, vendor, temp, external, consultant]}
#   needs: [person.status]
package lapse.leaver.contractor_past_end

import rego.v2

import data.lapse.lib

findings contains {"message": message, "evidence": evidence} if {
	input.person.status == "ended"
	input.account.enabled
	input.account.kind in {"human", "guest"}
	input.link.status == "linked"
	lib.contractor
	overdue
	message := sprintf("%s (%s) %s, and the%s account %s in %s can still sign in: disable it or extend the contract", [
		lib.person_name,
		input.person.kind,
		lib.left,
		lib.privileged,
		lib.account_name,
		input.source.name,
	])
	evidence := json.filter(input, [
		"account/enabled",
		"account/kind",
		"account/privileged",
		"account/days_since_login",
		"person/kind",
		"person/status",
		"person/days_since_end",
		"person/hours_since_end",
		"person/manager_id",
	])
}

overdue if input.person.days_since_end >= data.params["LVR-04"].delay_days

# Nobody knows how long ago: it may be years.
overdue if not input.person.days_since_end

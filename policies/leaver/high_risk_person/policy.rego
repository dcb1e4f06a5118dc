# METADATA
# title: A high-risk person can still sign in
# description: The organisation has named a person as a high risk, and an account of theirs is enabled.
# scope: package
# custom:
#   id: LVR-07
#   subject: account
#   severity: high
#   controls: ["NIST-800-53r5:AC-2(13)"]
#   action: disable
#   assignee: security
#   enabled: false
#   scope: {account.enabled: true, account.kind: [human, guest], link.status: linked}
#   needs: [person.high_risk]
package lapse.leaver.high_risk_person

import rego.v2

import data.lapse.lib

findings contains {"message": message, "evidence": evidence} if {
	input.person.high_risk
	input.account.enabled
	input.account.kind in {"human", "guest"}
	input.link.status == "linked"

	# lapse:allow unknown-not: LVR-01 and LVR-04 judge those known to have left; for all others the risk that is named is enough
	not input.person.status == "ended"
	message := sprintf("%s is named as a high risk, and the%s account %s in %s can still sign in", [
		lib.person_name,
		lib.privileged,
		lib.account_name,
		input.source.name,
	])
	evidence := json.filter(input, [
		"account/enabled",
		"account/kind",
		"account/privileged",
		"account/days_since_login",
		"person/high_risk",
		"person/status",
		"person/days_since_end",
	])
}

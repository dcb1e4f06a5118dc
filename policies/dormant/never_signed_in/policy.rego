# METADATA
# title: An account was never used
# description: Nobody has ever signed in to an enabled account, although there was time to.
# scope: package
# custom:
#   id: DOR-03
#   subject: account
#   severity: low
#   controls: ["CIS-8.1:5.3", "NIST-800-53r5:AC-2(3)(d)"]
#   action: disable
#   assignee: manager
#   params: {days: 30}
#   enabled: false
#   exempt: [leave]
#   scope: {account.enabled: true, account.kind: human}
#   needs: [account.never_logged_in|account.days_since_login]
package lapse.dormant.never_signed_in

import rego.v2

import data.lapse.lib

findings contains {"message": message, "evidence": evidence} if {
	input.account.never_logged_in
	input.account.enabled
	input.account.kind == "human"
	lib.account_age >= data.params["DOR-03"].days

	# lapse:allow unknown-not: where no start is known, the account's own age shows that there was time to sign in
	not newcomer
	message := sprintf("nobody has ever signed in to %s in %s%s in the %s since it appeared", [
		lib.account_name,
		input.source.name,
		lib.of_person,
		lib.days(lib.account_age),
	])
	evidence := json.filter(input, [
		"account/enabled",
		"account/kind",
		"account/never_logged_in",
		"account/days_since_created",
		"account/days_known",
		"person/status",
		"person/days_since_start",
	])
}

# An account made long before the first working day waits for its person.
newcomer if input.person.days_since_start < data.params["DOR-03"].days

# A roster may say that somebody is still to come, and not when.
newcomer if input.person.status == "future"

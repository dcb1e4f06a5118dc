# METADATA
# title: A leaver's account was used after the end
# description: The last sign-in of an account lies after the end of its owner's last working day.
# scope: package
# custom:
#   id: LVR-03
#   subject: account
#   severity: high
#   controls: ["NIST-800-53r5:AC-2(12)", "ISO-27001:2022:A.8.16", "SOC2:CC7.2"]
#   action: disable
#   assignee: security
#   scope: {account.kind: [human, guest], link.status: linked, person.status: ended}
#   needs: [account.used_after_end]
package lapse.leaver.used_after_end

import rego.v2

import data.lapse.lib

findings contains {"message": message, "evidence": evidence} if {
	input.account.used_after_end
	input.person.status == "ended"
	input.account.kind in {"human", "guest"}
	input.link.status == "linked"
	message := sprintf("%s %s, and the account %s in %s %s%s", [
		lib.person_name,
		lib.left,
		lib.account_name,
		input.source.name,
		used,
		lib.last_login,
	])
	evidence := json.filter(input, [
		"account/used_after_end",
		"account/enabled",
		"account/kind",
		"account/privileged",
		"account/days_since_login",
		"account/hours_since_login",
		"account/login_lag_days",
		"person/status",
		"person/hours_since_end",
		"person/days_since_end",
	])
}

used := "was used after that" if not input.account.login_lag_days > 0

# Such a stamp moves without a sign-in, too: when a service asks for a ticket in somebody's name (S4U2Self).
used := "has a sign-in stamp later than that" if input.account.login_lag_days > 0

# METADATA
# title: Access before the first working day
# description: An account of somebody who has not started yet can already sign in.
# scope: package
# custom:
#   id: JNR-01
#   subject: account
#   severity: low
#   controls: ["NIST-800-53r5:AC-2i", "ISO-27001:2022:A.5.18", "SOC2:CC6.2"]
#   action: disable
#   assignee: manager
#   params: {days_before: 0}
#   enabled: false
#   scope: {account.enabled: true, account.kind: [human, guest], link.status: linked}
#   needs: [person.hours_since_start]
package lapse.joiner.before_start

import rego.v2

import data.lapse.lib

findings contains {"message": message, "evidence": evidence} if {
	input.person.hours_since_start < 0
	input.account.enabled
	input.account.kind in {"human", "guest"}
	input.link.status == "linked"

	# lapse:allow unknown-not: that the first day is still to come is known, whatever the status
	not input.person.status == "ended"
	days_ahead > data.params["JNR-01"].days_before
	message := sprintf("%s starts in %s, and the%s account %s in %s can sign in already", [
		lib.person_name,
		lib.days(days_ahead),
		lib.privileged,
		lib.account_name,
		input.source.name,
	])
	evidence := json.filter(input, [
		"account/enabled",
		"account/kind",
		"account/privileged",
		"account/days_since_login",
		"account/never_logged_in",
		"person/status",
		"person/hours_since_start",
		"person/days_since_start",
		"person/records",
	])
}

days_ahead := ceil((0 - input.person.hours_since_start) / 24)

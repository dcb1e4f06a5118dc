# METADATA
# title: An account was enabled again after offboarding
# description: An account that was disabled is enabled again, after its person had left.
# scope: package
# custom:
#   id: LVR-06
#   subject: account
#   severity: high
#   controls: ["PCI-DSS-4.0:10.2.1.5", "NIST-800-53r5:AC-2(4)"]
#   action: disable
#   assignee: security
#   params: {margin_hours: 24}
#   enabled: false
#   scope: {account.enabled: true, account.kind: [human, guest], link.status: linked, person.status: ended}
#   needs: [person.hours_since_end]
package lapse.leaver.enabled_again

import rego.v2

import data.lapse.lib

# Lapse sees a change in the night after it, so an account that seems to have been enabled a few hours after the end may
# have been enabled before it.
findings contains {"message": message, "evidence": evidence} if {
	# lapse:allow unsaid-need: absent where Lapse saw no such change, which is the usual case and no gap in a source
	input.account.hours_since_enabled + data.params["LVR-06"].margin_hours <= input.person.hours_since_end
	input.account.enabled
	input.account.kind in {"human", "guest"}
	input.link.status == "linked"
	input.person.status == "ended"
	message := sprintf("%s %s, and the%s account %s in %s, which had been disabled, was found enabled again %s ago", [
		lib.person_name,
		lib.left,
		lib.privileged,
		lib.account_name,
		input.source.name,
		lib.hours(input.account.hours_since_enabled),
	])
	evidence := json.filter(input, [
		"account/enabled",
		"account/kind",
		"account/privileged",
		"account/hours_since_enabled",
		"account/days_since_login",
		"person/status",
		"person/hours_since_end",
	])
}

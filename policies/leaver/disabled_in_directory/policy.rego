# METADATA
# title: An account outlives the directory account
# description: A person's main directory account is disabled, and an account of theirs in another system can still sign in. This needs no HR system.
# scope: package
# custom:
#   id: LVR-08
#   subject: account
#   severity: high
#   controls: ["PCI-DSS-4.0:8.2.5", "NIST-800-53r5:PS-4", "ISO-27001:2022:A.5.18", "SOC2:CC6.3"]
#   action: disable
#   assignee: manager
#   params: {delay_days: 0}
#   enabled: false
#   scope: {account.enabled: true, account.kind: [human, guest], link.status: linked}
#   needs: [directory.enabled, directory.source]
package lapse.leaver.disabled_in_directory

import rego.v2

import data.lapse.lib

findings contains {"message": message, "evidence": evidence} if {
	input.directory.enabled == false
	input.directory.source != input.source.uid
	input.account.enabled
	input.account.kind in {"human", "guest"}
	input.link.status == "linked"

	# lapse:allow unknown-not: it goes by the directory where no HR system tells a status; LVR-01 and LVR-04 judge those known to have left
	not input.person.status == "ended"
	overdue
	message := sprintf("the directory account %s of %s %s, and the%s account %s in %s can still sign in", [
		object.get(input.directory, "username", input.directory.id),
		lib.person_name,
		is_disabled,
		lib.privileged,
		lib.account_name,
		input.source.name,
	])
	evidence := json.filter(input, [
		"account/enabled",
		"account/kind",
		"account/privileged",
		"account/days_since_login",
		"directory",
		"person/status",
		"person/on_leave",
	])
}

overdue if input.directory.days_since_disabled >= data.params["LVR-08"].delay_days

# Nobody saw it happen: it was so before Lapse came.
overdue if not input.directory.days_since_disabled

default is_disabled := "is disabled"

is_disabled := sprintf("has been disabled for %s", [lib.days(input.directory.days_since_disabled)])

# METADATA
# title: A leaver has an active account
# description: A person who is not a contractor has left, and an account of theirs can still sign in.
# scope: package
# custom:
#   id: LVR-01
#   subject: account
#   severity: high
#   controls: ["PCI-DSS-4.0:8.2.5", "CIS-8.1:6.2", "NIST-800-53r5:PS-4", "NIST-800-53r5:AC-2(3)", "ISO-27001:2022:A.6.5", "ISO-27001:2022:A.5.18", "SOC2:CC6.2", "SOC2:CC6.3", "HIPAA:164.308(a)(3)(ii)(C)", "CMMC-2.0:PS.L2-3.9.2", "SOX ITGC: logical access"]
#   action: disable
#   assignee: security
#   params: {delay_hours: 24, delay_hours_privileged: 0}
#   scope: {account.enabled: true, account.kind: [human, guest], link.status: linked}
#   needs: [person.status]
package lapse.leaver.active_account

import rego.v2

import data.lapse.lib

findings contains {"message": message, "evidence": evidence} if {
	input.person.status == "ended"
	input.account.enabled
	input.account.kind in {"human", "guest"}
	input.link.status == "linked"
	not lib.contractor
	overdue
	message := sprintf("%s %s, and the%s account %s in %s can still sign in", [
		lib.person_name,
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
		"link/method",
		"person/kind",
		"person/status",
		"person/hours_since_end",
		"person/days_since_end",
	])
}

overdue if input.person.hours_since_end >= data.params["LVR-01"].delay_hours

overdue if {
	input.account.privileged
	input.person.hours_since_end >= data.params["LVR-01"].delay_hours_privileged
}

# Nobody knows how long ago: it may be years.
overdue if not input.person.hours_since_end

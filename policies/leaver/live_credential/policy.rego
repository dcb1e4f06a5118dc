# METADATA
# title: A leaver has a live session, token or key
# description: A person has left, and what their account was given to sign in with still works, whether or not the account is disabled.
# scope: package
# custom:
#   id: LVR-02
#   subject: account
#   severity: high
#   controls: ["PCI-DSS-4.0:8.2.5", "NIST-800-53r5:PS-4b", "SOC2:CC6.2", "CMMC-2.0:PS.L2-3.9.2"]
#   action: end_sessions
#   assignee: security
#   params: {delay_hours: 0}
#   enabled: false
#   scope: {account.kind: [human, guest], link.status: linked}
#   needs: [person.status, account.active_sessions|account.keys.active]
package lapse.leaver.live_credential

import rego.v2

import data.lapse.lib

findings contains {"key": credential.key, "message": message, "evidence": evidence} if {
	input.person.status == "ended"
	input.account.kind in {"human", "guest"}
	input.link.status == "linked"
	overdue
	some credential in credentials
	message := sprintf("%s %s, and the account %s in %s still has %s", [
		lib.person_name,
		lib.left,
		lib.account_name,
		input.source.name,
		credential.what,
	])
	evidence := object.union({"credential": credential.facts}, json.filter(input, [
		"account/enabled",
		"account/kind",
		"account/privileged",
		"person/status",
		"person/hours_since_end",
		"person/days_since_end",
	]))
}

credentials contains {"key": "sessions", "what": what, "facts": {"active_sessions": input.account.active_sessions}} if {
	input.account.active_sessions > 0
	what := sprintf("%s open", [lib.some_of(input.account.active_sessions, "session")])
}

credentials contains {"key": concat(":", [kind, key.id]), "what": what, "facts": key} if {
	some key in input.account.keys
	key.active
	kind := object.get(key, "kind", "key")
	what := sprintf("the %s %s", [kind, key.id])
}

overdue if input.person.hours_since_end >= data.params["LVR-02"].delay_hours

# Nobody knows how long ago: it may be years.
overdue if not input.person.hours_since_end

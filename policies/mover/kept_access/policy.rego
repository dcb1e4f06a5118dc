# METADATA
# title: Old access is kept after a transfer
# description: Somebody has moved to another department and still holds directly what they held before, which hardly anybody holds there.
# scope: package
# custom:
#   id: MOV-01
#   subject: account
#   severity: medium
#   controls: ["NIST-800-53r5:PS-5", "CIS-8.1:6.2", "ISO-27001:2022:A.5.18", "CMMC-2.0:PS.L2-3.9.2"]
#   action: revoke
#   assignee: manager
#   params: {delay_days: 14, below_share: 0.1, min_peers: 5}
#   enabled: false
#   scope: {account.enabled: true, account.kind: human, link.status: linked, person.status: active}
#   needs: [grants, grants.peer_count, grants.peer_share]
package lapse.mover.kept_access

import rego.v2

import data.lapse.lib

findings contains {"key": grant.entitlement.id, "message": message, "evidence": evidence} if {
	# lapse:allow unsaid-need: absent for everybody who has not moved, which is the usual case and no gap in a roster
	input.person.days_since_transfer >= data.params["MOV-01"].delay_days
	input.account.enabled
	input.account.kind == "human"
	input.link.status == "linked"
	input.person.status == "active"
	some grant in input.grants
	grant.direct
	lib.grant_age(grant) > input.person.days_since_transfer
	not reviewed_since(grant)
	grant.peer_count > data.params["MOV-01"].min_peers
	holders := round(grant.peer_share * grant.peer_count) - 1
	holders < (grant.peer_count - 1) * data.params["MOV-01"].below_share
	message := sprintf("%s moved to %s%s %s ago and still holds %s in %s as %s, which %v of %v colleagues there hold", [
		lib.person_name,
		lib.department,
		from,
		lib.days(input.person.days_since_transfer),
		lib.grant_name(grant),
		input.source.name,
		lib.account_name,
		holders,
		grant.peer_count - 1,
	])
	facts := {"grant": json.filter(grant, ["entitlement", "direct", "days_known", "days_since_granted", "days_since_used", "days_since_review", "peer_share", "peer_count"])}
	evidence := object.union(facts, json.filter(input, [
		"account/enabled",
		"account/kind",
		"person/status",
		"person/department",
		"person/previous_department",
		"person/title",
		"person/previous_title",
		"person/days_since_transfer",
	]))
}

# Somebody has looked at it since, and let it be.
reviewed_since(grant) if grant.days_since_review <= input.person.days_since_transfer

default from := ""

from := sprintf(" from %s", [input.person.previous_department])

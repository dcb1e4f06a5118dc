# METADATA
# title: An entitlement is rare among peers
# description: Somebody holds directly what few colleagues of the same department hold.
# scope: package
# custom:
#   id: PEER-01
#   subject: account
#   severity: low
#   controls: ["NIST-800-53r5:AC-6(7)", "CIS-8.1:6.8", "PCI-DSS-4.0:7.2.2"]
#   action: revoke
#   assignee: manager
#   params: {min_peers: 8, below_share: 0.1}
#   enabled: false
#   scope: {account.enabled: true, account.kind: human, link.status: linked, person.status: active}
#   needs: [grants, grants.peer_count, grants.peer_share]
package lapse.peer.rare_entitlement

import rego.v2

import data.lapse.lib

findings contains {"key": grant.entitlement.id, "message": message, "evidence": evidence} if {
	input.account.enabled
	input.account.kind == "human"
	input.link.status == "linked"
	input.person.status == "active"
	some grant in input.grants
	grant.direct
	grant.peer_share < data.params["PEER-01"].below_share
	grant.peer_count >= data.params["PEER-01"].min_peers
	message := sprintf("%s holds %s in %s as %s, which only %v of %v colleagues in %s hold", [
		lib.person_name,
		object.get(grant.entitlement, "name", grant.entitlement.id),
		input.source.name,
		lib.account_name,
		round(grant.peer_share * grant.peer_count),
		grant.peer_count,
		lib.department,
	])
	facts := {"grant": json.filter(grant, ["entitlement", "direct", "peer_share", "peer_count"])}
	evidence := object.union(facts, json.filter(input, [
		"account/enabled",
		"account/kind",
		"person/status",
		"person/department",
		"person/title",
	]))
}

# METADATA
# title: Privilege through nested groups
# description: An account has a privileged entitlement through so many groups within groups that nobody sees it.
# scope: package
# custom:
#   id: PRV-05
#   subject: account
#   severity: medium
#   controls: ["NIST-800-53r5:AC-6", "CIS-8.1:6.8"]
#   action: review
#   assignee: security
#   params: {depth: 3}
#   enabled: false
#   scope: {account.enabled: true}
#   needs: [grants, grants.entitlement.privileged]
package lapse.privilege.nested

import rego.v2

import data.lapse.lib

findings contains {"key": grant.entitlement.id, "message": message, "evidence": evidence} if {
	input.account.enabled
	some grant in input.grants
	grant.depth >= data.params["PRV-05"].depth
	grant.entitlement.privileged
	message := sprintf("%s in %s%s has %s%s", [
		lib.account_name,
		input.source.name,
		lib.of_person,
		lib.grant_name(grant),
		lib.by_path(grant),
	])
	facts := {"grant": json.filter(grant, ["entitlement", "depth", "path"])}
	evidence := object.union(facts, json.filter(input, [
		"account/enabled",
		"account/kind",
		"account/privileged",
		"person/status",
	]))
}

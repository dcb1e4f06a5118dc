# METADATA
# title: The daily account is an administrator
# description: A person's main directory account, with which they read mail and browse, has administrative rights.
# scope: package
# custom:
#   id: PRV-04
#   subject: account
#   severity: high
#   controls: ["CIS-8.1:5.4", "NIST-800-53r5:AC-6(2)", "CMMC-2.0:AC.L2-3.1.6"]
#   action: revoke
#   assignee: security
#   enabled: false
#   scope: {account.enabled: true, account.kind: human, account.privileged: true, link.status: linked}
#   needs: [directory.id, directory.source]
package lapse.privilege.daily_admin

import rego.v2

import data.lapse.lib

findings contains {"message": message, "evidence": evidence} if {
	input.account.privileged
	input.account.enabled
	input.account.kind == "human"
	input.link.status == "linked"
	input.directory.id == input.account.id
	input.directory.source == input.source.uid
	message := sprintf("%s works every day with %s in %s, which has administrative rights%s: a separate account is needed for these", [
		lib.person_name,
		lib.account_name,
		input.source.name,
		by,
	])
	evidence := object.union(privileged_grants, json.filter(input, [
		"account/enabled",
		"account/kind",
		"account/privileged",
		"account/mailbox_type",
		"account/days_since_login",
		"person/status",
		"person/title",
	]))
}

# Grants that nobody has read are not in evidence as none.
privileged_grants := {} if not input.grants

privileged_grants := {"grants": found} if {
	input.grants
	found := [json.filter(grant, ["entitlement", "direct", "path"]) |
		some grant in input.grants
		grant.entitlement.privileged
	]
}

default by := ""

by := sprintf(" (%s)", [concat(", ", sort(names))]) if {
	input.grants
	names := {concat("", [lib.grant_name(grant), lib.by_path(grant)]) |
		some grant in input.grants
		grant.entitlement.privileged
	}
	count(names) > 0
}

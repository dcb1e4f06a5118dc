# METADATA
# title: A new privileged grant without approval
# description: Somebody was lately given administrative rights, and no approval is on record. Only a source that tells of approvals can be judged.
# scope: package
# custom:
#   id: PRV-01
#   subject: account
#   severity: high
#   controls: ["PCI-DSS-4.0:7.2.3", "NIST-800-53r5:AC-6(5)", "NIST-800-53r5:AC-2(7)", "ISO-27001:2022:A.8.2", "SOC2:CC6.3"]
#   # lapse:allow any-kind: only the grant that nobody approved is taken, and an unapproved administrator of any kind is one
#   action: revoke
#   assignee: app_owner
#   params: {days: 90}
#   enabled: false
#   scope: {account.enabled: true, account.privileged: true}
#   needs: [grants, coverage.approved]
package lapse.privilege.unapproved_grant

import rego.v2

import data.lapse.lib

findings contains {"key": grant.entitlement.id, "message": message, "evidence": evidence} if {
	input.account.privileged
	input.account.enabled
	input.source.coverage.approved in {"full", "partial"}
	some grant in input.grants
	grant.direct
	not grant.approved
	new(grant)
	some what in gives(grant)
	message := sprintf("%s in %s%s was given %s%s ago, and no approval is on record", [
		lib.account_name,
		input.source.name,
		lib.of_person,
		what,
		lib.days(lib.grant_age(grant)),
	])
	facts := {"grant": json.filter(grant, ["entitlement", "direct", "days_known", "days_since_granted", "approved"])}
	evidence := object.union(facts, json.filter(input, [
		"account/enabled",
		"account/kind",
		"account/privileged",
		"account/break_glass",
		"account/days_known",
		"account/days_since_created",
		"source/coverage/approved",
		"person/status",
	]))
}

# A grant is new if the source says so. Where it doesn't, Lapse must have known the account before the grant, or the account
# itself must be new: what was there on Lapse's first night is of unknown age.
new(grant) if grant.days_since_granted <= data.params["PRV-01"].days

new(grant) if {
	not grant.days_since_granted
	grant.days_known <= data.params["PRV-01"].days
	grant.days_known < input.account.days_known
}

new(grant) if {
	not grant.days_since_granted
	grant.days_known <= data.params["PRV-01"].days
	input.account.days_since_created <= data.params["PRV-01"].days
}

gives(grant) := {sprintf("%s ", [lib.grant_name(grant)])} if grant.entitlement.privileged

# An ordinary group that is itself in a privileged one. Groups on a path have their names only.
gives(grant) := {sprintf("%s, and through it %s, ", [lib.grant_name(grant), concat(" and ", sort(reached))])} if {
	not grant.entitlement.privileged
	reached := {lib.grant_name(other) |
		some other in input.grants
		other.entitlement.privileged
		other.path[0] == lib.grant_name(grant)
		not other.direct
	}
	count(reached) > 0
}

# METADATA
# title: A disabled account keeps privileged grants
# description: An account was disabled a month ago and still holds administrative rights, so that enabling it is enough to be an administrator.
# scope: package
# custom:
#   id: DIS-01
#   subject: account
#   severity: medium
#   controls: ["NIST-800-53r5:AC-6(7)", "ISO-27001:2022:A.8.2", "CIS-8.1:6.8"]
#   # lapse:allow any-kind: the account is disabled, so that no service runs by the grant that is taken
#   action: revoke
#   assignee: security
#   params: {days: 30}
#   enabled: false
#   scope: {account.enabled: false}
#   needs: [account.days_since_disabled, grants, grants.entitlement.privileged]
package lapse.privilege.disabled_account

import rego.v2

import data.lapse.lib

findings contains {"key": grant.entitlement.id, "message": message, "evidence": evidence} if {
	input.account.days_since_disabled >= data.params["DIS-01"].days
	input.account.enabled == false

	# lapse:allow unknown-not: only a Windows domain numbers its accounts; elsewhere there is no such account to spare
	not built_in
	some grant in input.grants
	grant.entitlement.privileged
	message := sprintf("%s in %s%s has been disabled for %s and still has %s%s", [
		lib.account_name,
		input.source.name,
		lib.of_person,
		lib.days(input.account.days_since_disabled),
		lib.grant_name(grant),
		lib.by_path(grant),
	])
	facts := {"grant": json.filter(grant, ["entitlement", "direct", "depth", "path"])}
	evidence := object.union(facts, json.filter(input, [
		"account/enabled",
		"account/kind",
		"account/days_since_disabled",
		"person/status",
		"person/days_since_end",
	]))
}

# A Windows domain's own Administrator can't be taken out of its groups, and is best disabled.
built_in if input.account.attributes.rid == "500"

# METADATA
# title: An account carries the SIDs of another
# description: With sIDHistory an account has all that another one had, in no group and seen by no review. After a migration it is to be cleared.
# scope: package
# custom:
#   id: AD-10
#   subject: account
#   severity: medium
#   controls: ["NIST-800-53r5:AC-6", "NIST-800-53r5:CM-6"]
#   action: review
#   assignee: security
#   enabled: false
#   needs: [account.attributes.sid_history]
package lapse.directory.sid_history

import rego.v2

import data.lapse.lib

findings contains {"message": message, "evidence": evidence} if {
	input.account.attributes.sid_history != ""
	message := sprintf("the%s account %s in %s%s carries other SIDs (sIDHistory): it has what these have, in no group", [
		lib.privileged,
		lib.account_name,
		input.source.name,
		lib.of_person,
	])
	evidence := json.filter(input, [
		"account/enabled",
		"account/kind",
		"account/privileged",
		"account/attributes/sid_history",
		"account/attributes/sid",
		"account/attributes/dn",
	])
}

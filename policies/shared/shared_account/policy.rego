# METADATA
# title: A shared or generic account
# description: Several people can sign in with one account, so that nothing done with it can be laid at anybody's door.
# scope: package
# custom:
#   id: SHR-01
#   subject: account
#   severity: medium
#   controls: ["PCI-DSS-4.0:8.2.2", "NIST-800-53r5:AC-2(9)", "NIST-800-53r5:IA-2(5)"]
#   action: review
#   assignee: account_owner
#   params:
#     names: [admin, administrator, backup, demo, frontdesk, guest, helpdesk, info, office, operator, reception, root, scanner, support, temp, test, training, user, warehouse]
#   enabled: false
#   scope: {account.enabled: true, account.kind: [human, shared]}
package lapse.shared.shared_account

import rego.v2

import data.lapse.lib

findings contains {"message": message, "evidence": evidence} if {
	input.account.enabled
	some reason in shared
	message := sprintf("the%s account %s in %s %s", [
		lib.privileged,
		lib.account_name,
		input.source.name,
		reason,
	])
	evidence := json.filter(input, [
		"account/enabled",
		"account/kind",
		"account/privileged",
		"account/break_glass",
		"account/mailbox_type",
		"account/purpose",
		"account/days_since_login",
		"account/owner_id",
		"link/status",
	])
}

shared contains "is shared, and can sign in" if input.account.kind == "shared"

# A name like test2 that is nobody's own. That it is a person's account is no evidence that it is one person's.
shared contains "has the name of a purpose and not of a person, and can sign in" if {
	input.account.kind == "human"
	input.link.status == "unmatched"
	trim_right(lower(input.account.username), "0123456789-_.") in data.params["SHR-01"].names
}

# METADATA
# title: A service account has no owner
# description: Nobody answers for an enabled service account, because no owner is named, the named one is unknown, or the owner has left.
# scope: package
# custom:
#   id: SVC-01
#   subject: account
#   severity: medium
#   controls: ["CIS-8.1:5.5", "PCI-DSS-4.0:7.2.5", "NIST-800-53r5:AC-2"]
#   action: handover
#   assignee: app_owner
#   scope: {account.enabled: true, account.kind: service}
#   needs: [coverage.owner|account.owner_id|owner.status]
package lapse.service.no_owner

import rego.v2

import data.lapse.lib

findings contains {"message": message, "evidence": evidence} if {
	input.account.kind == "service"
	input.account.enabled
	some reason in reasons
	message := sprintf("nobody answers for the%s service account %s in %s: %s", [
		lib.privileged,
		lib.account_name,
		input.source.name,
		reason,
	])
	evidence := json.filter(input, [
		"account/enabled",
		"account/kind",
		"account/privileged",
		"account/owner_id",
		"account/purpose",
		"account/days_since_login",
		"owner/id",
		"owner/status",
		"owner/days_since_end",
		"source/coverage/owner",
	])
}

reasons contains "no owner is named" if {
	not input.account.owner_id
	not input.owner
	input.source.coverage.owner in {"full", "partial"}
}

reasons contains sprintf("the owner %s is nobody in any roster", [input.account.owner_id]) if {
	not input.owner
}

reasons contains sprintf("the owner %s %s", [lib.owner_name, lib.owner_left]) if input.owner.status == "ended"

# METADATA
# title: A leaver owns an app, group or secret
# description: Whoever answers for an entitlement has left, so nobody decides who may hold it.
# scope: package
# custom:
#   id: LVR-05
#   subject: entitlement
#   severity: medium
#   controls: ["NIST-800-53r5:AC-2b", "ISO-27001:2022:A.5.18", "CIS-8.1:5.5"]
#   action: handover
#   assignee: app_owner
#   needs: [owner.status]
package lapse.leaver.owner_left

import rego.v2

import data.lapse.lib

findings contains {"message": message, "evidence": evidence} if {
	input.owner.status == "ended"
	message := sprintf("%s owns the %s %s in %s and %s: name a new owner", [
		lib.owner_name,
		lib.entitlement_kind,
		lib.entitlement_name,
		input.source.name,
		lib.owner_left,
	])
	evidence := json.filter(input, [
		"entitlement/kind",
		"entitlement/privileged",
		"entitlement/effective_members",
		"owner/id",
		"owner/status",
		"owner/days_since_end",
	])
}

# METADATA
# title: A built-in operators group is in use
# description: Members of the operators groups, of Schema Admins and of Pre-Windows 2000 Compatible Access can do or read more than their names say. These groups are best kept empty.
# scope: package
# custom:
#   id: AD-09
#   subject: entitlement
#   severity: medium
#   controls: ["NIST-800-53r5:AC-6", "CIS-8.1:6.8"]
#   action: review
#   assignee: security
#   params:
#     sids: [S-1-5-32-548, S-1-5-32-549, S-1-5-32-550, S-1-5-32-554]
#     schema_admins: "-518"
#   enabled: false
#   needs: [entitlement.effective_members, entitlement.attributes.sid]
package lapse.directory.operators

import rego.v2

import data.lapse.lib

findings contains {"message": message, "evidence": evidence} if {
	input.entitlement.effective_members > 0
	best_empty
	message := sprintf("the built-in group %s in %s has %s, and is best kept empty", [
		lib.entitlement_name,
		input.source.name,
		lib.some_of(input.entitlement.effective_members, "member"),
	])
	evidence := json.filter(input, [
		"entitlement/effective_members",
		"entitlement/direct_members",
		"entitlement/enabled_members",
		"entitlement/attributes/sid",
		"entitlement/attributes/dn",
	])
}

best_empty if input.entitlement.attributes.sid in data.params["AD-09"].sids

# Schema Admins is a group of the domain, so that its SID begins with the domain's.
best_empty if {
	startswith(input.entitlement.attributes.sid, "S-1-5-21-")
	endswith(input.entitlement.attributes.sid, data.params["AD-09"].schema_admins)
}

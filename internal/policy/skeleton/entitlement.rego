# METADATA
# title: {{.Title}}
# description: A privileged entitlement that many hold. Say here what is wrong, and why it matters.
# scope: package
# custom:
#   id: {{.ID}}
#   subject: entitlement
#   severity: low
#   controls: ["CIS-8.1:6.8"]
#   action: none
#   assignee: app_owner
#   params: {members: 20}
#   scope: {entitlement.privileged: true}
#   needs: [entitlement.effective_members]
package {{.Package}}

import rego.v2

import data.lapse.lib

findings contains {"message": message, "evidence": evidence} if {
	input.entitlement.privileged
	input.entitlement.effective_members >= data.params["{{.ID}}"].members
	message := sprintf("%v accounts hold the privileged %s %s in %s", [
		input.entitlement.effective_members,
		lib.entitlement_kind,
		lib.entitlement_name,
		input.source.name,
	])
	evidence := json.filter(input, ["entitlement/privileged", "entitlement/effective_members"])
}

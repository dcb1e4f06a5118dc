# METADATA
# title: {{.Title}}
# description: A license of which many seats were bought and nobody holds them. Say here what is wrong, and why it matters.
# scope: package
# custom:
#   id: {{.ID}}
#   subject: license
#   severity: low
#   controls: ["CIS-8.1:2.1"]
#   action: none
#   assignee: app_owner
#   params: {seats: 10}
#   needs: [license.unassigned]
package {{.Package}}

import rego.v2

findings contains {"message": message, "evidence": evidence} if {
	input.license.unassigned >= data.params["{{.ID}}"].seats
	message := sprintf("%v seats of %s in %s are paid for and nobody holds them", [
		input.license.unassigned,
		object.get(input.license, "product", input.license.sku),
		input.source.name,
	])
	evidence := json.filter(input, ["license/purchased", "license/assigned", "license/unassigned"])
}

# METADATA
# title: {{.Title}}
# description: A source that has not been read for some nights. Say here what is wrong, and why it matters.
# scope: package
# custom:
#   id: {{.ID}}
#   subject: source
#   severity: low
#   controls: ["CIS-8.1:5.1"]
#   action: none
#   assignee: security
#   params: {nights: 3}
#   needs: [source.stale_nights]
package {{.Package}}

import rego.v2

findings contains {"message": message, "evidence": evidence} if {
	input.source.stale_nights >= data.params["{{.ID}}"].nights
	message := sprintf("%s has not been read for %v nights", [input.source.name, input.source.stale_nights])
	evidence := json.filter(input, ["source/status", "source/stale_nights"])
}

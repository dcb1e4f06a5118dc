# METADATA
# title: Too many administrators
# description: More enabled accounts of a system have administrative rights than five, or than three in a hundred. Two are never too many, so that one can stand in for the other.
# scope: package
# custom:
#   id: PRV-03
#   subject: source
#   severity: medium
#   controls: ["NIST-800-53r5:AC-6(5)", "CIS-8.1:5.4"]
#   action: review
#   assignee: app_owner
#   params: {max_count: 5, max_percent: 3, always: 2}
#   enabled: false
#   needs: [source.counts.privileged, source.counts.enabled, coverage.privileged|coverage.entitlement_privileged]
package lapse.privilege.too_many_admins

import rego.v2

import data.lapse.lib

findings contains {"message": message, "evidence": evidence} if {
	input.source.counts.privileged > data.params["PRV-03"].always
	told
	too_many
	message := sprintf("%v of %s in %s have administrative rights", [
		input.source.counts.privileged,
		lib.some_of(input.source.counts.enabled, "enabled account"),
		input.source.name,
	])
	evidence := json.filter(input, ["source/counts/privileged", "source/counts/enabled", "source/status"])
}

too_many if input.source.counts.privileged > data.params["PRV-03"].max_count

too_many if input.source.counts.privileged * 100 > input.source.counts.enabled * data.params["PRV-03"].max_percent

told if input.source.coverage.privileged in {"full", "partial"}

told if input.source.coverage.entitlement_privileged in {"full", "partial"}

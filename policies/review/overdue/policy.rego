# METADATA
# title: No access review on record
# description: Who holds an entitlement has not been reviewed for half a year, or never. Only a source that tells of reviews can be judged, and what nobody holds needs none.
# scope: package
# custom:
#   id: REV-01
#   subject: entitlement
#   severity: medium
#   controls: ["PCI-DSS-4.0:7.2.4", "PCI-DSS-4.0:7.2.5.1", "NIST-800-53r5:AC-6(7)", "ISO-27001:2022:A.5.18", "SOC2:CC6.2", "SOC2:CC6.3", "CIS-8.1:5.1", "CIS-8.1:6.8"]
#   action: review
#   assignee: app_owner
#   params: {days: 180}
#   enabled: false
#   needs: [entitlement.effective_members, coverage.reviewed|entitlement.days_since_review]
package lapse.review.overdue

import rego.v2

import data.lapse.lib

findings contains {"message": message, "evidence": evidence} if {
	input.entitlement.effective_members > 0
	some last in overdue
	message := sprintf("who holds the %s %s in %s (%s) %s", [
		lib.entitlement_kind,
		lib.entitlement_name,
		input.source.name,
		lib.some_of(input.entitlement.effective_members, "account"),
		last,
	])
	evidence := json.filter(input, [
		"entitlement/kind",
		"entitlement/privileged",
		"entitlement/high_risk",
		"entitlement/effective_members",
		"entitlement/days_since_review",
		"entitlement/days_known",
		"owner/id",
		"owner/status",
		"source/coverage/reviewed",
	])
}

overdue contains sprintf("was last reviewed %s ago", [lib.days(input.entitlement.days_since_review)]) if {
	input.entitlement.days_since_review > data.params["REV-01"].days
}

# A new one has until then.
overdue contains sprintf("was not reviewed in the %s that it has been known", [lib.days(input.entitlement.days_known)]) if {
	not input.entitlement.days_since_review
	input.source.coverage.reviewed in {"full", "partial"}
	input.entitlement.days_known > data.params["REV-01"].days
}

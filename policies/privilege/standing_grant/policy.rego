# METADATA
# title: A standing high-risk grant
# description: A high-risk entitlement is held for good, and nobody has reviewed that for three months. Where a source does not tell what is a high risk, privileged counts as one.
# scope: package
# custom:
#   id: PRV-02
#   subject: account
#   severity: medium
#   controls: ["NIST-800-53r5:AC-6(7)", "ISO-27001:2022:A.8.2", "CMMC-2.0:AC.L2-3.1.5"]
#   action: revoke
#   assignee: manager
#   params: {days: 90}
#   enabled: false
#   scope: {account.enabled: true, account.kind: [human, guest]}
#   needs: [grants, grants.entitlement.high_risk|grants.entitlement.privileged]
package lapse.privilege.standing_grant

import rego.v2

import data.lapse.lib

findings contains {"key": grant.entitlement.id, "message": message, "evidence": evidence} if {
	input.account.enabled
	input.account.kind in {"human", "guest"}
	some grant in input.grants
	grant.direct
	high_risk(grant)
	lib.grant_age(grant) >= data.params["PRV-02"].days

	# lapse:allow unknown-not: few systems can end a grant by a date, and where they can, none means that it is held for good
	not grant.days_until_expiry
	not reviewed(grant)
	message := sprintf("%s in %s%s has held %s for %s, without an end and without a review in the last %s", [
		lib.account_name,
		input.source.name,
		lib.of_person,
		lib.grant_name(grant),
		lib.days(lib.grant_age(grant)),
		lib.days(data.params["PRV-02"].days),
	])
	facts := {"grant": json.filter(grant, ["entitlement", "direct", "days_known", "days_since_granted", "days_since_used", "days_since_review"])}
	evidence := object.union(facts, json.filter(input, [
		"account/enabled",
		"account/kind",
		"account/break_glass",
		"person/status",
		"person/title",
	]))
}

high_risk(grant) if grant.entitlement.high_risk

high_risk(grant) if {
	grant.entitlement.privileged
	not grant.entitlement.high_risk == false
}

reviewed(grant) if grant.days_since_review < data.params["PRV-02"].days

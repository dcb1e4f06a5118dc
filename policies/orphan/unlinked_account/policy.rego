# METADATA
# title: An account is linked to nobody
# description: An enabled human account that no person in any roster owns.
# scope: package
# custom:
#   id: ORP-01
#   subject: account
#   severity: high
#   controls: ["CIS-8.1:5.1", "NIST-800-53r5:AC-2(3)(b)", "ISO-27001:2022:A.5.16", "SOC2:CC6.2", "CMMC-2.0:AC.L1-3.1.1"]
#   action: none
#   assignee: app_owner
#   params: {delay_days: 7}
#   scope: {account.enabled: true, account.kind: human}
package lapse.orphan.unlinked_account

import rego.v2

import data.lapse.lib

findings contains {"message": message, "evidence": evidence} if {
	input.link.status == "unmatched"
	input.account.enabled
	input.account.kind == "human"
	age >= data.params["ORP-01"].delay_days
	message := sprintf("%s in %s belongs to nobody in any roster, and has been there for %s", [
		lib.account_name,
		input.source.name,
		lib.days(age),
	])
	evidence := json.filter(input, [
		"account/enabled",
		"account/kind",
		"account/email",
		"account/privileged",
		"account/days_known",
		"account/days_since_created",
		"account/days_since_login",
		"link/status",
	])
}

# Creation dates are not everywhere, and a restored account is older than Lapse's first sight of it.
# lapse:allow unknown-default: in a maximum 0 leaves it to days_known, which is always there
age := max({input.account.days_known, object.get(input.account, "days_since_created", 0)})

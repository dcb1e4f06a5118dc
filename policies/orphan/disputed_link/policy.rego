# METADATA
# title: It is disputed whose account this is
# description: The evidence points to several people, or to one who cannot be right, and nobody has settled it.
# scope: package
# custom:
#   id: ORP-02
#   subject: account
#   severity: medium
#   controls: ["NIST-800-53r5:IA-4", "ISO-27001:2022:A.5.16"]
#   action: review
#   assignee: security
#   params: {delay_days: 14}
#   scope: {account.enabled: true, account.kind: human}
#   needs: [link.days]
package lapse.orphan.disputed_link

import rego.v2

import data.lapse.lib

findings contains {"message": message, "evidence": evidence} if {
	input.link.status == "disputed"
	input.account.enabled
	input.account.kind == "human"
	input.link.days >= data.params["ORP-02"].delay_days
	message := sprintf("for %s it has been disputed whose account %s in %s is: link it to a person", [
		lib.days(input.link.days),
		lib.account_name,
		input.source.name,
	])
	evidence := json.filter(input, [
		"account/enabled",
		"account/kind",
		"account/email",
		"account/privileged",
		"link/status",
		"link/method",
		"link/candidates",
		"link/days",
	])
}

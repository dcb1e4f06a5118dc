# METADATA
# title: A local login beside single sign-on
# description: A person's account can be used with a password of its own, past single sign-on and all that hangs on it.
# scope: package
# custom:
#   id: LOC-01
#   subject: account
#   severity: medium
#   controls: ["NIST-800-53r5:IA-2", "ISO-27001:2022:A.8.5", "SOC2:CC6.1"]
#   action: review
#   assignee: app_owner
#   enabled: false
#   scope: {account.enabled: true, account.kind: [human, guest]}
#   needs: [account.local_login]
package lapse.local.beside_single_sign_on

import rego.v2

import data.lapse.lib

findings contains {"message": message, "evidence": evidence} if {
	input.account.local_login
	input.account.enabled
	input.account.kind in {"human", "guest"}
	message := sprintf("the%s account %s in %s%s has a password of its own beside single sign-on", [
		lib.privileged,
		lib.account_name,
		input.source.name,
		lib.of_person,
	])
	evidence := json.filter(input, [
		"account/local_login",
		"account/enabled",
		"account/kind",
		"account/privileged",
		"account/break_glass",
		"account/mfa",
		"account/days_since_password",
		"person/status",
	])
}

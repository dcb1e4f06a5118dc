# METADATA
# title: A privileged account has no second factor
# description: The source says that an enabled account with administrative rights signs in with a password alone.
# scope: package
# custom:
#   id: MFA-01
#   subject: account
#   severity: high
#   controls: ["PCI-DSS-4.0:8.4.1", "CIS-8.1:6.5", "NIST-800-53r5:IA-2(1)", "CMMC-2.0:IA.L2-3.5.3", "ISO-27001:2022:A.8.5"]
#   action: review
#   assignee: security
#   scope: {account.enabled: true, account.kind: human, account.privileged: true}
#   needs: [account.mfa]
package lapse.mfa.privileged_without_mfa

import rego.v2

import data.lapse.lib

findings contains {"message": message, "evidence": evidence} if {
	input.account.mfa == false
	input.account.privileged
	input.account.enabled
	input.account.kind == "human"
	message := sprintf("the privileged account %s in %s%s has no second factor", [
		lib.account_name,
		input.source.name,
		lib.of_person,
	])
	evidence := json.filter(input, [
		"account/enabled",
		"account/kind",
		"account/privileged",
		"account/mfa",
		"account/days_since_login",
		"person/status",
	])
}

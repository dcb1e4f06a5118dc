# METADATA
# title: A password never expires or is not required
# description: An account may have an empty password, which is grave, or keep the one it has for good, which is less so.
# scope: package
# custom:
#   id: AD-01
#   subject: account
#   severity: high
#   controls: ["PCI-DSS-4.0:8.3.9", "NIST-800-53r5:IA-5(1)"]
#   action: review
#   assignee: security
#   enabled: false
#   scope: {account.enabled: true}
#   needs: [account.password_not_required|account.password_never_expires]
package lapse.directory.weak_password_policy

import rego.v2

import data.lapse.lib

findings contains {"key": "not_required", "message": message, "evidence": evidence} if {
	input.account.password_not_required
	judged
	message := sprintf("the%s account %s in %s%s may have an empty password", [
		lib.privileged,
		lib.account_name,
		input.source.name,
		lib.of_person,
	])
}

findings contains {"key": "never_expires", "severity": "low", "message": message, "evidence": evidence} if {
	input.account.password_never_expires
	judged
	message := sprintf("the password of the%s account %s in %s%s never expires%s", [
		lib.privileged,
		lib.account_name,
		input.source.name,
		lib.of_person,
		age,
	])
}

judged if {
	input.account.enabled

	# lapse:allow unknown-not: a directory tells its computers by their object class, so an account of unknown kind is none of them
	not input.account.kind == "machine"
}

evidence := json.filter(input, [
	"account/enabled",
	"account/kind",
	"account/privileged",
	"account/password_not_required",
	"account/password_never_expires",
	"account/days_since_password",
	"account/mfa",
])

default age := ""

age := sprintf(", and is %s old", [lib.days(input.account.days_since_password)])

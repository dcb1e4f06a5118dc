# METADATA
# title: A service account is used interactively
# description: Somebody has signed in as a service account like a person. Only a source that tells kinds of sign-in apart can be judged.
# scope: package
# custom:
#   id: SVC-02
#   subject: account
#   severity: high
#   controls: ["PCI-DSS-4.0:8.6.1", "NIST-800-53r5:AC-2(11)"]
#   action: review
#   assignee: account_owner
#   params: {days: 90}
#   enabled: false
#   scope: {account.kind: service}
#   needs: [coverage.interactive_login|account.days_since_interactive_login]
package lapse.service.interactive_login

import rego.v2

import data.lapse.lib

findings contains {"message": message, "evidence": evidence} if {
	input.account.days_since_interactive_login <= data.params["SVC-02"].days
	input.account.kind == "service"
	message := sprintf("somebody signed in interactively as the%s service account %s in %s %s ago", [
		lib.privileged,
		lib.account_name,
		input.source.name,
		lib.days(input.account.days_since_interactive_login),
	])
	evidence := json.filter(input, [
		"account/kind",
		"account/enabled",
		"account/privileged",
		"account/days_since_interactive_login",
		"account/days_since_login",
		"account/purpose",
		"owner/id",
		"owner/status",
	])
}

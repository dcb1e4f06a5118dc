# METADATA
# title: A guest is inactive
# description: The enabled account of somebody from outside has not been used for two months, or never.
# scope: package
# custom:
#   id: EXT-01
#   subject: account
#   severity: medium
#   controls: ["PCI-DSS-4.0:8.2.7", "NIST-800-53r5:IA-8", "ISO-27001:2022:A.5.19"]
#   action: disable
#   assignee: account_owner
#   params: {days: 60}
#   enabled: false
#   exempt: [leave]
#   scope: {account.enabled: true, account.kind: guest}
#   needs: [account.days_since_login|account.never_logged_in]
package lapse.external.inactive_guest

import rego.v2

import data.lapse.lib

findings contains {"message": message, "evidence": evidence} if {
	input.account.enabled
	input.account.kind == "guest"
	some reason in inactive
	message := sprintf("the guest %s in %s%s %s", [
		lib.account_name,
		input.source.name,
		lib.of_person,
		reason,
	])
	evidence := json.filter(input, [
		"account/enabled",
		"account/kind",
		"account/privileged",
		"account/days_since_login",
		"account/login_lag_days",
		"account/never_logged_in",
		"account/days_since_created",
		"account/days_known",
		"account/sponsor",
		"person/status",
		"owner/id",
	])
}

inactive contains sprintf("has not signed in for %s", [lib.days(input.account.days_since_login)]) if {
	lib.idle_days >= data.params["EXT-01"].days
	not input.account.never_logged_in
}

inactive contains sprintf("has never signed in, in the %s since the account appeared", [lib.days(lib.account_age)]) if {
	input.account.never_logged_in
	lib.account_age >= data.params["EXT-01"].days
}

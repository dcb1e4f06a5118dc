# METADATA
# title: A break-glass account was used, or not tested
# description: Every use of an emergency account must be accounted for, and one that nobody has tried for half a year may fail in the emergency.
# scope: package
# custom:
#   id: BRK-01
#   subject: account
#   severity: high
#   controls: ["NIST-800-53r5:AC-2g", "NIST-800-53r5:AC-6", "ISO-27001:2022:A.8.2"]
#   action: review
#   assignee: security
#   params: {used_days: 30, untested_days: 180}
#   enabled: false
#   scope: {account.break_glass: true}
#   needs: [account.days_since_login|account.never_logged_in]
package lapse.privilege.break_glass

import rego.v2

import data.lapse.lib

# A test is a use, too: it is put on record by an exception.
findings contains {"key": "used", "message": message, "evidence": evidence} if {
	input.account.break_glass
	input.account.days_since_login <= data.params["BRK-01"].used_days
	message := sprintf("the break-glass account %s in %s was used %s ago: who was it, and why?", [
		lib.account_name,
		input.source.name,
		lib.days(input.account.days_since_login),
	])
}

findings contains {"key": "untested", "severity": "low", "message": message, "evidence": evidence} if {
	input.account.break_glass

	# lapse:allow unknown-not: only an account known to be disabled needs no test
	not input.account.enabled == false
	some reason in untested
	message := sprintf("the break-glass account %s in %s %s: nobody knows whether it works", [
		lib.account_name,
		input.source.name,
		reason,
	])
}

untested contains sprintf("was last used %s ago", [lib.days(input.account.days_since_login)]) if {
	lib.idle_days > data.params["BRK-01"].untested_days
}

untested contains sprintf("has never been used in the %s since it appeared", [lib.days(lib.account_age)]) if {
	input.account.never_logged_in
	not input.account.days_since_login
	lib.account_age > data.params["BRK-01"].untested_days
}

evidence := json.filter(input, [
	"account/break_glass",
	"account/enabled",
	"account/kind",
	"account/days_since_login",
	"account/login_lag_days",
	"account/never_logged_in",
	"account/days_since_created",
	"account/days_known",
])

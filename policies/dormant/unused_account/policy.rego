# METADATA
# title: A human account is dormant
# description: An enabled account without special rights has not been used for a long time.
# scope: package
# custom:
#   id: DOR-01
#   subject: account
#   severity: medium
#   controls: ["CIS-8.1:5.3", "PCI-DSS-4.0:8.2.6", "NIST-800-53r5:AC-2(3)(d)", "CMMC-2.0:IA.L2-3.5.6"]
#   action: disable
#   assignee: manager
#   params: {days: 90}
#   enabled: false
#   exempt: [leave]
#   scope: {account.enabled: true, account.kind: human}
#   needs: [account.days_since_login|account.never_logged_in]
package lapse.dormant.unused_account

import rego.v2

import data.lapse.lib

findings contains {"message": message, "evidence": evidence} if {
	input.account.days_since_login >= data.params["DOR-01"].days
	input.account.enabled
	input.account.kind == "human"

	# lapse:allow unknown-not: DOR-02 judges those known to be privileged, and an account of unknown privilege would fall between the two
	not input.account.privileged
	not input.account.never_logged_in
	lib.idle_days >= data.params["DOR-01"].days
	message := sprintf("%s in %s%s has not been used for %s", [
		lib.account_name,
		input.source.name,
		lib.of_person,
		lib.days(input.account.days_since_login),
	])
	evidence := json.filter(input, [
		"account/enabled",
		"account/kind",
		"account/privileged",
		"account/days_since_login",
		"account/login_lag_days",
		"person/status",
	])
}

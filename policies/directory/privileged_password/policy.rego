# METADATA
# title: An administrator's password can be guessed at leisure
# description: Anybody in the domain may ask for a ticket of an account with a service principal name and try passwords against it offline; and an administrator's password that is more than a year old has had time to get about.
# scope: package
# custom:
#   id: AD-02
#   subject: account
#   severity: high
#   controls: ["NIST-800-53r5:IA-5"]
#   action: review
#   assignee: security
#   params: {days: 365}
#   enabled: false
#   scope: {account.enabled: true, account.privileged: true}
#   needs: [account.has_spn|account.days_since_password]
package lapse.directory.privileged_password

import rego.v2

import data.lapse.lib

findings contains {"key": "spn", "message": message, "evidence": evidence} if {
	judged
	input.account.has_spn
	message := sprintf("the privileged account %s in %s%s has a service principal name, so that anybody in the domain can try passwords against it offline", [
		lib.account_name,
		input.source.name,
		lib.of_person,
	])
}

findings contains {"key": "password", "severity": "medium", "message": message, "evidence": evidence} if {
	judged
	input.account.days_since_password > data.params["AD-02"].days
	message := sprintf("the password of the privileged account %s in %s%s is %s old", [
		lib.account_name,
		input.source.name,
		lib.of_person,
		lib.days(input.account.days_since_password),
	])
}

judged if {
	input.account.privileged
	input.account.enabled

	# lapse:allow unknown-not: a directory tells its computers by their object class, so an account of unknown kind is none of them
	not input.account.kind == "machine"
}

evidence := json.filter(input, [
	"account/enabled",
	"account/kind",
	"account/privileged",
	"account/has_spn",
	"account/days_since_password",
	"account/break_glass",
])

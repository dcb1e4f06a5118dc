# METADATA
# title: Kerberos pre-authentication is off
# description: Anybody on the network may ask for a ticket of such an account and try passwords against it offline (AS-REP roasting).
# scope: package
# custom:
#   id: AD-03
#   subject: account
#   severity: high
#   controls: ["NIST-800-53r5:IA-5", "NIST-800-53r5:CM-6"]
#   action: review
#   assignee: security
#   enabled: false
#   scope: {account.enabled: true}
#   needs: [account.attributes.no_preauth]
package lapse.directory.no_preauthentication

import rego.v2

import data.lapse.lib

findings contains {"message": message, "evidence": evidence} if {
	input.account.attributes.no_preauth == "true"
	input.account.enabled

	# lapse:allow unknown-not: a directory tells its computers by their object class, so an account of unknown kind is none of them
	not input.account.kind == "machine"
	message := sprintf("the%s account %s in %s%s needs no Kerberos pre-authentication, so that anybody can try passwords against it offline", [
		lib.privileged,
		lib.account_name,
		input.source.name,
		lib.of_person,
	])
	evidence := json.filter(input, [
		"account/enabled",
		"account/kind",
		"account/privileged",
		"account/days_since_password",
		"account/attributes/no_preauth",
		"account/attributes/dn",
	])
}

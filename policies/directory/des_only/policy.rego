# METADATA
# title: An account is limited to DES
# description: The account can only use DES in Kerberos, which can be broken in hours.
# scope: package
# custom:
#   id: AD-08
#   subject: account
#   severity: medium
#   controls: ["NIST-800-53r5:SC-13", "NIST-800-53r5:CM-6"]
#   action: review
#   assignee: security
#   enabled: false
#   scope: {account.enabled: true}
#   needs: [account.attributes.des_only]
package lapse.directory.des_only

import rego.v2

import data.lapse.lib

findings contains {"message": message, "evidence": evidence} if {
	input.account.attributes.des_only == "true"
	input.account.enabled

	# lapse:allow unknown-not: a directory tells its computers by their object class, so an account of unknown kind is none of them
	not input.account.kind == "machine"
	message := sprintf("the%s account %s in %s%s can only use DES in Kerberos, which is broken in hours", [
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
		"account/attributes/des_only",
		"account/attributes/dn",
	])
}

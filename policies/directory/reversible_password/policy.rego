# METADATA
# title: A password is kept in reversible encryption
# description: The directory can give the password of such an account back in clear.
# scope: package
# custom:
#   id: AD-05
#   subject: account
#   severity: high
#   controls: ["NIST-800-53r5:IA-5(1)", "PCI-DSS-4.0:8.3.2"]
#   action: review
#   assignee: security
#   enabled: false
#   scope: {account.enabled: true}
#   needs: [account.attributes.reversible_password]
package lapse.directory.reversible_password

import rego.v2

import data.lapse.lib

findings contains {"message": message, "evidence": evidence} if {
	input.account.attributes.reversible_password == "true"
	input.account.enabled

	# lapse:allow unknown-not: a directory tells its computers by their object class, so an account of unknown kind is none of them
	not input.account.kind == "machine"
	message := sprintf("the password of the%s account %s in %s%s is kept in reversible encryption, as good as in clear", [
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
		"account/attributes/reversible_password",
		"account/attributes/dn",
	])
}

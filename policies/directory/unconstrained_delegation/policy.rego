# METADATA
# title: An account is trusted for unconstrained delegation
# description: Whoever has such an account can act in the name of everybody who signs in to it, an administrator included. Computers are not judged, since a domain controller must be trusted so.
# scope: package
# custom:
#   id: AD-04
#   subject: account
#   severity: high
#   controls: ["NIST-800-53r5:AC-6", "NIST-800-53r5:CM-6"]
#   action: review
#   assignee: security
#   enabled: false
#   scope: {account.enabled: true}
#   needs: [account.attributes.unconstrained_delegation]
package lapse.directory.unconstrained_delegation

import rego.v2

import data.lapse.lib

findings contains {"message": message, "evidence": evidence} if {
	input.account.attributes.unconstrained_delegation == "true"
	input.account.enabled

	# lapse:allow unknown-not: a directory tells its computers by their object class, so an account of unknown kind is none of them
	not input.account.kind == "machine"
	message := sprintf("the%s account %s in %s%s is trusted for unconstrained delegation, so that it can act in the name of everybody who signs in to it", [
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
		"account/attributes/unconstrained_delegation",
		"account/attributes/dn",
	])
}

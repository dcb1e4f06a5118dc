# METADATA
# title: A former administrator is still marked as one
# description: adminCount is set on an account that is in no privileged group any more. It keeps the permissions of an administrator's object, which no helpdesk can change.
# scope: package
# custom:
#   id: AD-07
#   subject: account
#   severity: low
#   controls: ["NIST-800-53r5:AC-6", "NIST-800-53r5:CM-6"]
#   action: review
#   assignee: security
#   params:
#     protected: [account operators, administrators, backup operators, domain admins, domain controllers, enterprise admins, enterprise key admins, key admins, print operators, read-only domain controllers, replicator, schema admins, server operators]
#   enabled: false
#   scope: {account.privileged: false}
#   needs: [account.attributes.admin_count, account.attributes.rid|account.username, grants, grants.entitlement.name]
package lapse.directory.adminsdholder_leftover

import rego.v2

import data.lapse.lib

findings contains {"message": message, "evidence": evidence} if {
	input.account.attributes.admin_count == "1"
	input.account.privileged == false
	unprotected
	ordinary
	message := sprintf("%s in %s%s is marked as an administrator (adminCount), and is in no privileged group any more", [
		lib.account_name,
		input.source.name,
		lib.of_person,
	])
	evidence := json.filter(input, [
		"account/enabled",
		"account/kind",
		"account/privileged",
		"account/attributes/admin_count",
		"account/attributes/dn",
	])
}

# The directory protects some groups that a source may not call privileged, and a group without a name may be one of them.
unprotected if {
	every grant in input.grants {
		name := lower(grant.entitlement.name)
		not name in data.params["AD-07"].protected
	}
}

# Administrator and krbtgt are protected for their own sake. Without a number and a name nobody can tell.
ordinary if {
	number := input.account.attributes.rid
	not number in {"500", "502"}
	not named_krbtgt
}

ordinary if {
	not input.account.attributes.rid
	name := lower(input.account.username)
	not startswith(name, "krbtgt")
}

named_krbtgt if startswith(lower(input.account.username), "krbtgt")

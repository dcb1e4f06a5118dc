# METADATA
# title: The krbtgt password is old
# description: With the key of the krbtgt account anybody can be anybody in the domain. It must be changed twice a year, and each time twice.
# scope: package
# custom:
#   id: AD-06
#   subject: account
#   severity: high
#   controls: ["NIST-800-53r5:IA-5", "NIST-800-53r5:SC-12"]
#   # lapse:allow any-kind: it flags krbtgt alone, by its number or its name
#   action: rotate_key
#   assignee: security
#   params: {days: 180}
#   enabled: false
#   needs: [account.attributes.rid|account.username, account.days_since_password]
package lapse.directory.krbtgt_password

import rego.v2

import data.lapse.lib

# It is always disabled, and works all the same.
findings contains {"message": message, "evidence": evidence} if {
	input.account.days_since_password > data.params["AD-06"].days
	krbtgt
	message := sprintf("the password of %s in %s is %s old: change it twice, half a day apart", [
		lib.account_name,
		input.source.name,
		lib.days(input.account.days_since_password),
	])
	evidence := json.filter(input, ["account/username", "account/days_since_password", "account/attributes/rid"])
}

krbtgt if input.account.attributes.rid == "502"

# Read-only domain controllers have one each, of a number of its own. An export may give no numbers at all.
krbtgt if startswith(lower(input.account.username), "krbtgt_")

krbtgt if {
	lower(input.account.username) == "krbtgt"
	not input.account.attributes.rid
}

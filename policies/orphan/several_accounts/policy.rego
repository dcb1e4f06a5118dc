# METADATA
# title: One person has several accounts in one app
# description: More enabled accounts of one person in one system than one for daily work and one for administration.
# scope: package
# custom:
#   id: ORP-03
#   subject: person
#   severity: low
#   controls: ["PCI-DSS-4.0:8.2.1", "NIST-800-53r5:IA-4"]
#   action: review
#   assignee: manager
#   params: {daily: 1, admin: 1}
#   enabled: false
#   scope: {person.status: [active, leave]}
#   needs: [accounts.enabled, accounts.kind]
package lapse.orphan.several_accounts

import rego.v2

import data.lapse.lib

findings contains {"key": source, "message": message, "evidence": evidence} if {
	input.person.status in {"active", "leave"}
	some one in input.accounts
	one.enabled
	one.kind == "human"
	some other in input.accounts
	other.source == one.source
	other.id != one.id
	other.enabled
	other.kind == "human"
	source := one.source
	accounts := [account |
		some account in input.accounts
		account.source == source
		account.enabled
		account.kind == "human"
	]
	count(accounts) > 1
	too_many(accounts)
	message := sprintf("%s has %v enabled accounts in %s: %s", [
		lib.person_name,
		count(accounts),
		object.get(accounts[0], "source_name", source),
		concat(", ", sort([object.get(account, "username", account.id) | some account in accounts])),
	])
	evidence := {"accounts": [json.filter(account, ["id", "username", "enabled", "privileged", "days_since_login"]) | some account in accounts]}
}

too_many(accounts) if count([a | some a in accounts; a.privileged]) > data.params["ORP-03"].admin

too_many(accounts) if count([a | some a in accounts; a.privileged == false]) > data.params["ORP-03"].daily

# Whichever of them are for administration, they are too many.
too_many(accounts) if count(accounts) > data.params["ORP-03"].admin + data.params["ORP-03"].daily

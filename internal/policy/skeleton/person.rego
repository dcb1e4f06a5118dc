# METADATA
# title: {{.Title}}
# description: A person who holds more enabled accounts than usual. Say here what is wrong, and why it matters.
# scope: package
# custom:
#   id: {{.ID}}
#   subject: person
#   severity: low
#   controls: ["CIS-8.1:5.1"]
#   action: none
#   assignee: manager
#   params: {accounts: 10}
#   scope: {person.status: active}
#   needs: [accounts, accounts.enabled]
package {{.Package}}

import rego.v2

import data.lapse.lib

findings contains {"message": message, "evidence": {"accounts": enabled}} if {
	input.person.status == "active"
	enabled := [account.source | some account in input.accounts; account.enabled]
	count(enabled) >= data.params["{{.ID}}"].accounts
	message := sprintf("%s has %v enabled accounts", [lib.person_name, count(enabled)])
}

# METADATA
# title: {{.Title}}
# description: An enabled account of a person that has not been used for some time. Say here what is wrong, and why it matters.
# scope: package
# custom:
#   id: {{.ID}}
#   subject: account
#   severity: low
#   controls: ["CIS-8.1:5.3"]
#   action: none
#   assignee: manager
#   params: {days: 60}
#   scope: {account.enabled: true, account.kind: human}
#   needs: [account.days_since_login]
package {{.Package}}

import rego.v2

import data.lapse.lib

findings contains {"message": message, "evidence": evidence} if {
	input.account.days_since_login >= data.params["{{.ID}}"].days
	input.account.enabled
	input.account.kind == "human"
	message := sprintf("%s in %s%s has not been used for %s", [
		lib.account_name,
		input.source.name,
		lib.of_person,
		lib.days(input.account.days_since_login),
	])
	evidence := json.filter(input, [
		"account/enabled",
		"account/kind",
		"account/days_since_login",
	])
}

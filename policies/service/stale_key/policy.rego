# METADATA
# title: A key is unused or was not rotated
# description: A live key, token or certificate has not been used, or not been replaced, for three months.
# scope: package
# custom:
#   id: SVC-03
#   subject: account
#   severity: medium
#   controls: ["PCI-DSS-4.0:8.6.3", "NIST-800-53r5:IA-5"]
#   # lapse:allow any-kind: keys are for services above all, and a stale one opens the door whatever kind of account it is for
#   action: rotate_key
#   assignee: account_owner
#   params: {rotate_days: 90, unused_days: 90}
#   enabled: false
#   scope: {account.enabled: true}
#   needs: [account.keys, account.keys.active, account.keys.days_since_created|account.keys.days_since_used]
package lapse.service.stale_key

import rego.v2

import data.lapse.lib

findings contains {"key": key.id, "message": message, "evidence": evidence} if {
	input.account.enabled
	some key in input.account.keys
	key.active
	stale(key)
	faults := array.concat(unused(key), unrotated(key))
	message := sprintf("the %s %s of %s in %s %s", [
		object.get(key, "kind", "key"),
		key.id,
		lib.account_name,
		input.source.name,
		concat(" and ", faults),
	])
	evidence := object.union({"credential": key}, json.filter(input, [
		"account/enabled",
		"account/kind",
		"account/privileged",
		"account/purpose",
		"owner/id",
		"owner/status",
	]))
}

stale(key) if key.days_since_used >= data.params["SVC-03"].unused_days

stale(key) if key.days_since_created >= data.params["SVC-03"].rotate_days

default unused(_) := []

unused(key) := [sprintf("has not been used for %s", [lib.days(key.days_since_used)])] if {
	key.days_since_used >= data.params["SVC-03"].unused_days
}

default unrotated(_) := []

unrotated(key) := [sprintf("is %s old", [lib.days(key.days_since_created)])] if {
	key.days_since_created >= data.params["SVC-03"].rotate_days
}

# METADATA
# title: A disabled account is kept
# description: An account has been disabled for half a year and is still there, with all it holds.
# scope: package
# custom:
#   id: DOR-04
#   subject: account
#   severity: low
#   controls: ["CIS-8.1:5.1", "NIST-800-53r5:AC-2"]
#   action: review
#   assignee: app_owner
#   params: {days: 180}
#   enabled: false
#   exempt: [leave]
#   scope: {account.enabled: false, account.kind: [human, guest, service]}
#   needs: [account.days_since_disabled]
package lapse.dormant.disabled_and_kept

import rego.v2

import data.lapse.lib

findings contains {"message": message, "evidence": evidence} if {
	input.account.days_since_disabled >= data.params["DOR-04"].days
	input.account.enabled == false
	input.account.kind in {"human", "guest", "service"}

	# lapse:allow unknown-not: hardly a system knows of holds, mailboxes and numbers, and a review takes nothing away
	not meant_to_stay
	message := sprintf("%s in %s%s has been disabled for %s and is still there", [
		lib.account_name,
		input.source.name,
		lib.of_person,
		lib.days(input.account.days_since_disabled),
	])
	evidence := json.filter(input, [
		"account/enabled",
		"account/kind",
		"account/privileged",
		"account/days_since_disabled",
		"account/legal_hold",
		"account/mailbox_type",
		"person/status",
		"person/days_since_end",
	])
}

meant_to_stay if input.account.legal_hold

meant_to_stay if {
	some kind in [input.account.mailbox_type]
	not kind in {"user", "none"}
}

# The accounts that a Windows domain can't be without: Administrator, Guest, krbtgt and the like.
meant_to_stay if input.account.attributes.rid in {"500", "501", "502", "503", "504"}

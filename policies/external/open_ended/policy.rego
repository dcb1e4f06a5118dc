# METADATA
# title: An outsider without an end date or sponsor
# description: A contractor for whom the roster has no end date, or a guest for whom nobody answers or whose access never ends. Only what the source gives for some is missed for others.
# scope: package
# custom:
#   id: EXT-02
#   subject: account
#   severity: medium
#   controls: ["NIST-800-53r5:AC-2", "NIST-800-53r5:PS-7", "ISO-27001:2022:A.5.19", "CIS-8.1:5.1"]
#   action: review
#   assignee: manager
#   enabled: false
#   scope: {account.enabled: true, account.kind: [human, guest]}
#   needs: [person.open_ended|coverage.sponsor|coverage.expiry]
package lapse.external.open_ended

import rego.v2

import data.lapse.lib

findings contains {"key": lack.key, "message": message, "evidence": evidence} if {
	input.account.enabled
	input.account.kind in {"human", "guest"}
	some lack in lacks
	message := sprintf("%s in %s%s %s", [
		lib.account_name,
		input.source.name,
		lib.of_person,
		lack.what,
	])
	evidence := json.filter(input, [
		"account/enabled",
		"account/kind",
		"account/external",
		"account/sponsor",
		"account/owner_id",
		"account/days_until_expiry",
		"account/days_since_login",
		"person/kind",
		"person/status",
		"person/open_ended",
		"source/coverage/sponsor",
		"source/coverage/expiry",
	])
}

lacks contains {"key": "end_date", "what": sprintf("is a %s's, and no end of the contract is on record", [kind])} if {
	lib.contractor
	kind := input.person.kind
	input.person.open_ended

	# lapse:allow unknown-not: LVR-04 judges those known to have left, and a contractor of unknown status would fall between the two
	not input.person.status == "ended"
	input.link.status == "linked"
	not input.account.days_until_expiry
	main_account
}

lacks contains {"key": "end_date", "what": "is a guest's, and the access never ends"} if {
	guest
	not input.account.days_until_expiry
	input.source.coverage.expiry in {"full", "partial"}
}

lacks contains {"key": "sponsor", "what": "is a guest's, and nobody answers for it"} if {
	guest
	not input.account.sponsor

	# lapse:allow unknown-not: an owner only stands in for the sponsor, and whether the source gives sponsors is asked below
	not input.account.owner_id
	input.source.coverage.sponsor in {"full", "partial"}
}

# A contractor's guest account is judged by the contract.
guest if {
	input.account.kind == "guest"
	not lib.contractor
}

# One finding for a contractor is enough: on the main directory account, where there is one.
main_account if not input.directory.id

main_account if {
	input.directory.id == input.account.id
	input.directory.source == input.source.uid
}

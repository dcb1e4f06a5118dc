package lapse.orphan.unlinked_account_test

import rego.v2

import data.lapse.example
import data.lapse.orphan.unlinked_account

test_flags[note] if {
	some note, case in {
		"old in the source": {"message": "ada in Corp AD belongs to nobody in any roster, and has been there for 800 days"},
		"creation unknown": {"set": {"account": {"days_known": 7}}, "remove": ["/account/days_since_created"], "message": "ada in Corp AD belongs to nobody in any roster, and has been there for 7 days"},
		"created before Lapse saw it": {"set": {"account": {"days_known": 0, "days_since_created": 7}}, "message": "ada in Corp AD belongs to nobody in any roster, and has been there for 7 days"},
		"known for longer than its creation date says": {"set": {"account": {"days_known": 9, "days_since_created": 1}}, "message": "ada in Corp AD belongs to nobody in any roster, and has been there for 9 days"},
		"a break-glass account": {"set": {"account": {"break_glass": true}}, "message": "ada in Corp AD belongs to nobody in any roster, and has been there for 800 days"},
		"no user name": {"remove": ["/account/username"], "message": "ada@example.com in Corp AD belongs to nobody in any roster, and has been there for 800 days"},
		"no user name and no e-mail address": {"remove": ["/account/username", "/account/email"], "message": "Ada Byron in Corp AD belongs to nobody in any roster, and has been there for 800 days"},
	}
	subject := example.changed(example.unlinked, case)
	found := unlinked_account.findings with input as subject
	{finding.message | some finding in found} == {case.message}
}

test_passes_over[note] if {
	some note, case in {
		"linked": {"set": {"link": {"status": "linked"}}},
		"disputed": {"set": {"link": {"status": "disputed"}}},
		"new": {"set": {"account": {"days_known": 6, "days_since_created": 6}}},
		"disabled": {"set": {"account": {"enabled": false}}},
		"unknown whether enabled": {"remove": ["/account/enabled"]},
		"a service account": {"set": {"account": {"kind": "service"}}},
		"a shared account": {"set": {"account": {"kind": "shared"}}},
		"a guest": {"set": {"account": {"kind": "guest"}}},
		"unknown kind": {"remove": ["/account/kind"]},
	}
	subject := example.changed(example.unlinked, case)
	unlinked_account.findings == set() with input as subject
}

test_delay_is_a_parameter if {
	unlinked_account.findings == set() with input as example.unlinked with data.params["ORP-01"].delay_days as 801
}

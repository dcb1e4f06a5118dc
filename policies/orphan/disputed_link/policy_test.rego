package lapse.orphan.disputed_link_test

import rego.v2

import data.lapse.example
import data.lapse.orphan.disputed_link

disputed := example.changed(
	example.unlinked,
	{"set": {"link": {"method": "email", "status": "disputed", "candidates": 2, "days": 14}}},
)

test_flags[note] if {
	some note, case in {
		"for two weeks": {"message": "for 14 days it has been disputed whose account ada in Corp AD is: link it to a person"},
	}
	subject := example.changed(disputed, case)
	found := disputed_link.findings with input as subject
	{finding.message | some finding in found} == {case.message}
}

test_passes_over[note] if {
	some note, case in {
		"new": {"set": {"link": {"days": 13}}},
		"unknown since when": {"remove": ["/link/days"]},
		"linked": {"set": {"link": {"status": "linked"}}},
		"unmatched is the matter of ORP-01": {"set": {"link": {"status": "unmatched"}}},
		"disabled": {"set": {"account": {"enabled": false}}},
		"a service account": {"set": {"account": {"kind": "service"}}},
		"a shared account": {"set": {"account": {"kind": "shared"}}},
		"unknown kind": {"remove": ["/account/kind"]},
	}
	subject := example.changed(disputed, case)
	disputed_link.findings == set() with input as subject
}

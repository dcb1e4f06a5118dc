package lapse.leaver.enabled_again_test

import rego.v2

import data.lapse.example
import data.lapse.leaver.enabled_again

again := example.changed(example.leaver, {"set": {"account": {"enabled": true, "hours_since_enabled": 24}}})

test_flags[note] if {
	some note, case in {
		"an account": {"message": "Ada Byron left 12 days ago, and the account ada in Corp AD, which had been disabled, was found enabled again 24 hours ago"},
		"the first night after the margin": {"set": {"account": {"hours_since_enabled": 266}}, "message": "Ada Byron left 12 days ago, and the account ada in Corp AD, which had been disabled, was found enabled again 266 hours ago"},
		"a contractor": {"set": {"person": {"kind": "contractor"}}, "message": "Ada Byron left 12 days ago, and the account ada in Corp AD, which had been disabled, was found enabled again 24 hours ago"},
		"a privileged one": {"set": {"account": {"privileged": true}}, "message": "Ada Byron left 12 days ago, and the privileged account ada in Corp AD, which had been disabled, was found enabled again 24 hours ago"},
		"unknown privilege": {"remove": ["/account/privileged"], "message": "Ada Byron left 12 days ago, and the account ada in Corp AD, which had been disabled, was found enabled again 24 hours ago"},
	}
	subject := example.changed(again, case)
	found := enabled_again.findings with input as subject
	{finding.message | some finding in found} == {case.message}
}

test_passes_over[note] if {
	some note, case in {
		"perhaps enabled before the end": {"set": {"account": {"hours_since_enabled": 267}}},
		"not seen to be enabled": {"remove": ["/account/hours_since_enabled"]},
		"disabled": {"set": {"account": {"enabled": false}}},
		"unknown whether enabled": {"remove": ["/account/enabled"]},
		"rehired": {"set": {"person": {"status": "active", "hours_since_end": 290}}},
		"back from leave": {"set": {"person": {"status": "active"}}, "remove": ["/person/hours_since_end", "/person/days_since_end"]},
		"to be rehired": {"set": {"person": {"status": "future"}}},
		"unknown end": {"remove": ["/person/hours_since_end"]},
		"unknown status": {"remove": ["/person/status"]},
		"a service account": {"set": {"account": {"kind": "service"}}},
		"unknown kind": {"remove": ["/account/kind"]},
		"a disputed link": {"set": {"link": {"status": "disputed"}}},
		"nobody": {"remove": ["/person"]},
	}
	subject := example.changed(again, case)
	enabled_again.findings == set() with input as subject
}

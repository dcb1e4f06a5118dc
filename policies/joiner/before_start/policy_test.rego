package lapse.joiner.before_start_test

import rego.v2

import data.lapse.example
import data.lapse.joiner.before_start

joiner := example.changed(example.account, {"set": {"person": {"status": "future", "hours_since_start": -30, "days_since_start": -2}}})

test_flags[note] if {
	some note, case in {
		"somebody who starts the day after tomorrow": {"message": "Ada Byron starts in 2 days, and the account ada in Corp AD can sign in already"},
		"in an hour": {"set": {"person": {"hours_since_start": -1}}, "message": "Ada Byron starts in 1 day, and the account ada in Corp AD can sign in already"},
		"a privileged account": {"set": {"account": {"privileged": true}}, "message": "Ada Byron starts in 2 days, and the privileged account ada in Corp AD can sign in already"},
		"a former worker's account, kept": {"set": {"person": {"records": 2, "days_since_end": 90}}, "message": "Ada Byron starts in 2 days, and the account ada in Corp AD can sign in already"},
		"unknown status": {"remove": ["/person/status"], "message": "Ada Byron starts in 2 days, and the account ada in Corp AD can sign in already"},
	}
	subject := example.changed(joiner, case)
	found := before_start.findings with input as subject
	{finding.message | some finding in found} == {case.message}
}

test_passes_over[note] if {
	some note, case in {
		"on the first day": {"set": {"person": {"hours_since_start": 0}}},
		"works here": {"set": {"person": {"status": "active", "hours_since_start": 200}}},
		"unknown start": {"remove": ["/person/hours_since_start"]},
		"left before starting": {"set": {"person": {"status": "ended"}}},
		"disabled": {"set": {"account": {"enabled": false}}},
		"unknown whether enabled": {"remove": ["/account/enabled"]},
		"a service account": {"set": {"account": {"kind": "service"}}},
		"unknown kind": {"remove": ["/account/kind"]},
		"a disputed link": {"set": {"link": {"status": "disputed"}}},
		"nobody": {"remove": ["/person"]},
	}
	subject := example.changed(joiner, case)
	before_start.findings == set() with input as subject
}

test_days_before_are_a_parameter if {
	before_start.findings == set() with input as joiner with data.params["JNR-01"].days_before as 2
	count(before_start.findings) == 1 with input as joiner with data.params["JNR-01"].days_before as 1
}

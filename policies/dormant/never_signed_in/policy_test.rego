package lapse.dormant.never_signed_in_test

import rego.v2

import data.lapse.dormant.never_signed_in
import data.lapse.example

unused := example.changed(example.account, {
	"set": {"account": {"never_logged_in": true}},
	"remove": ["/account/days_since_login", "/account/hours_since_login"],
})

test_flags[note] if {
	some note, case in {
		"a person's account": {"message": "nobody has ever signed in to ada in Corp AD of Ada Byron in the 800 days since it appeared"},
		"nobody's account": {"remove": ["/person"], "message": "nobody has ever signed in to ada in Corp AD in the 800 days since it appeared"},
		"creation unknown": {"set": {"account": {"days_known": 30}}, "remove": ["/account/days_since_created"], "message": "nobody has ever signed in to ada in Corp AD of Ada Byron in the 30 days since it appeared"},
		"start unknown": {"remove": ["/person/days_since_start"], "message": "nobody has ever signed in to ada in Corp AD of Ada Byron in the 800 days since it appeared"},
	}
	subject := example.changed(unused, case)
	found := never_signed_in.findings with input as subject
	{finding.message | some finding in found} == {case.message}
}

test_passes_over[note] if {
	some note, case in {
		"used": {"set": {"account": {"never_logged_in": false}}},
		"unknown whether used": {"remove": ["/account/never_logged_in"]},
		"new": {"set": {"account": {"days_since_created": 29}}},
		"first seen lately, creation unknown": {"set": {"account": {"days_known": 29}}, "remove": ["/account/days_since_created"]},
		"the person is new": {"set": {"person": {"days_since_start": 29}}},
		"the person has not started": {"set": {"person": {"status": "future", "days_since_start": -10}}},
		"the person has not started, and nobody says when they do": {"set": {"person": {"status": "future"}}, "remove": ["/person/days_since_start"]},
		"disabled": {"set": {"account": {"enabled": false}}},
		"a service account": {"set": {"account": {"kind": "service"}}},
		"a shared account": {"set": {"account": {"kind": "shared"}}},
		"unknown kind": {"remove": ["/account/kind"]},
	}
	subject := example.changed(unused, case)
	never_signed_in.findings == set() with input as subject
}

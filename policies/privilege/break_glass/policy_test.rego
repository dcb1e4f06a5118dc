package lapse.privilege.break_glass_test

import rego.v2

import data.lapse.example
import data.lapse.privilege.break_glass

emergency := example.changed(example.unlinked, {"set": {"account": {"break_glass": true, "kind": "shared", "privileged": true, "days_since_login": 100}}})

test_flags[note] if {
	some note, case in {
		"used": {"set": {"account": {"days_since_login": 30}}, "found": ["used", "the break-glass account ada in Corp AD was used 30 days ago: who was it, and why?"]},
		"used, though disabled": {"set": {"account": {"days_since_login": 1, "enabled": false}}, "found": ["used", "the break-glass account ada in Corp AD was used 1 day ago: who was it, and why?"]},
		"used, kind unknown": {"set": {"account": {"days_since_login": 1}}, "remove": ["/account/kind", "/account/enabled"], "found": ["used", "the break-glass account ada in Corp AD was used 1 day ago: who was it, and why?"]},
		"not tested": {"set": {"account": {"days_since_login": 181}}, "found": ["untested", "the break-glass account ada in Corp AD was last used 181 days ago: nobody knows whether it works"]},
		"not tested, unknown whether enabled": {"set": {"account": {"days_since_login": 181}}, "remove": ["/account/enabled"], "found": ["untested", "the break-glass account ada in Corp AD was last used 181 days ago: nobody knows whether it works"]},
		"never tested": {"set": {"account": {"never_logged_in": true}}, "remove": ["/account/days_since_login"], "found": ["untested", "the break-glass account ada in Corp AD has never been used in the 800 days since it appeared: nobody knows whether it works"]},
		"never tested, creation unknown": {"set": {"account": {"never_logged_in": true, "days_known": 200}}, "remove": ["/account/days_since_login", "/account/days_since_created"], "found": ["untested", "the break-glass account ada in Corp AD has never been used in the 200 days since it appeared: nobody knows whether it works"]},
	}
	subject := example.changed(emergency, case)
	found := break_glass.findings with input as subject
	{[f.key, f.message] | some f in found} == {case.found}
}

test_passes_over[note] if {
	some note, case in {
		"tested, and accounted for": {},
		"tested within the lag of the stamp": {"set": {"account": {"days_since_login": 194, "login_lag_days": 14}}},
		"new": {"set": {"account": {"never_logged_in": true, "days_since_created": 180}}, "remove": ["/account/days_since_login"]},
		"unknown whether used": {"remove": ["/account/days_since_login", "/account/never_logged_in"]},
		"disabled, and not tested": {"set": {"account": {"days_since_login": 181, "enabled": false}}},
		"an ordinary account": {"set": {"account": {"break_glass": false, "days_since_login": 1}}},
		"unknown whether it is one": {"set": {"account": {"days_since_login": 1}}, "remove": ["/account/break_glass"]},
	}
	subject := example.changed(emergency, case)
	break_glass.findings == set() with input as subject
}

test_the_untested_are_less_grave if {
	found := break_glass.findings with input as example.changed(emergency, {"set": {"account": {"days_since_login": 181}}})
	{f.severity | some f in found} == {"low"}
}

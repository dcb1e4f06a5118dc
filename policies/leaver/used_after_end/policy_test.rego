package lapse.leaver.used_after_end_test

import rego.v2

import data.lapse.example
import data.lapse.leaver.used_after_end

leaver := example.changed(example.leaver, {"set": {"account": {"used_after_end": true, "days_since_login": 3}}})

test_flags[note] if {
	some note, case in {
		"a disabled account": {"message": "Ada Byron left 12 days ago, and the account ada in Corp AD was used after that (last sign-in 3 days ago)"},
		"an enabled account": {"set": {"account": {"enabled": true}}, "message": "Ada Byron left 12 days ago, and the account ada in Corp AD was used after that (last sign-in 3 days ago)"},
		"a contractor": {"set": {"person": {"kind": "contractor"}}, "message": "Ada Byron left 12 days ago, and the account ada in Corp AD was used after that (last sign-in 3 days ago)"},
		"a stamp that lags": {"set": {"account": {"login_lag_days": 14}}, "message": "Ada Byron left 12 days ago, and the account ada in Corp AD has a sign-in stamp later than that (last sign-in 3 days ago)"},
		"unknown whether enabled": {"remove": ["/account/enabled", "/account/days_since_login"], "message": "Ada Byron left 12 days ago, and the account ada in Corp AD was used after that"},
	}
	subject := example.changed(leaver, case)
	found := used_after_end.findings with input as subject
	{finding.message | some finding in found} == {case.message}
}

test_passes_over[note] if {
	some note, case in {
		"not used since": {"set": {"account": {"used_after_end": false}}},
		"unknown whether used since": {"remove": ["/account/used_after_end"]},
		"still here": {"set": {"person": {"status": "active"}}},
		"on leave": {"set": {"person": {"status": "leave", "on_leave": true}}},
		"rehired": {"set": {"person": {"status": "active", "days_since_end": 12}}},
		"a service account": {"set": {"account": {"kind": "service"}}},
		"a shared account": {"set": {"account": {"kind": "shared"}}},
		"unknown kind": {"remove": ["/account/kind"]},
		"a disputed link": {"set": {"link": {"status": "disputed"}}},
		"nobody": {"remove": ["/person"]},
	}
	subject := example.changed(leaver, case)
	used_after_end.findings == set() with input as subject
}

package lapse.dormant.unused_privileged_account_test

import rego.v2

import data.lapse.dormant.unused_privileged_account
import data.lapse.example

dormant := example.changed(example.account, {"set": {"account": {"privileged": true, "days_since_login": 30}}})

test_flags[note] if {
	some note, case in {
		"a person's account": {"message": "the privileged account ada in Corp AD of Ada Byron has not been used for 30 days"},
		"nobody's account": {"remove": ["/person"], "message": "the privileged account ada in Corp AD has not been used for 30 days"},
		"a stamp that lags": {"set": {"account": {"days_since_login": 44, "login_lag_days": 14}}, "message": "the privileged account ada in Corp AD of Ada Byron has not been used for 44 days"},
		"a break-glass account": {"set": {"account": {"break_glass": true}}, "message": "the privileged account ada in Corp AD of Ada Byron has not been used for 30 days"},
	}
	subject := example.changed(dormant, case)
	found := unused_privileged_account.findings with input as subject
	{finding.message | some finding in found} == {case.message}
}

test_passes_over[note] if {
	some note, case in {
		"used": {"set": {"account": {"days_since_login": 29}}},
		"used within the lag of the stamp": {"set": {"account": {"days_since_login": 43, "login_lag_days": 14}}},
		"last sign-in unknown": {"remove": ["/account/days_since_login"]},
		"never used is the matter of DOR-03": {"set": {"account": {"never_logged_in": true}}},
		"not privileged": {"set": {"account": {"privileged": false}}},
		"unknown privilege": {"remove": ["/account/privileged"]},
		"disabled": {"set": {"account": {"enabled": false}}},
		"a service account": {"set": {"account": {"kind": "service"}}},
		"a shared account": {"set": {"account": {"kind": "shared"}}},
		"unknown kind": {"remove": ["/account/kind"]},
	}
	subject := example.changed(dormant, case)
	unused_privileged_account.findings == set() with input as subject
}

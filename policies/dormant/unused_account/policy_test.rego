package lapse.dormant.unused_account_test

import rego.v2

import data.lapse.dormant.unused_account
import data.lapse.example

dormant := example.changed(example.account, {"set": {"account": {"days_since_login": 90}}})

test_flags[note] if {
	some note, case in {
		"a person's account": {"message": "ada in Corp AD of Ada Byron has not been used for 90 days"},
		"nobody's account": {"remove": ["/person"], "message": "ada in Corp AD has not been used for 90 days"},
		"unknown privilege": {"remove": ["/account/privileged"], "message": "ada in Corp AD of Ada Byron has not been used for 90 days"},
		"a stamp that lags": {"set": {"account": {"days_since_login": 104, "login_lag_days": 14}}, "message": "ada in Corp AD of Ada Byron has not been used for 104 days"},
		"on leave: excluded by its METADATA": {"set": {"person": {"status": "leave", "on_leave": true}}, "message": "ada in Corp AD of Ada Byron has not been used for 90 days"},
	}
	subject := example.changed(dormant, case)
	found := unused_account.findings with input as subject
	{finding.message | some finding in found} == {case.message}
}

test_passes_over[note] if {
	some note, case in {
		"used": {"set": {"account": {"days_since_login": 89}}},
		"used within the lag of the stamp": {"set": {"account": {"days_since_login": 103, "login_lag_days": 14}}},
		"last sign-in unknown": {"remove": ["/account/days_since_login"]},
		"never used is the matter of DOR-03": {"set": {"account": {"never_logged_in": true}}},
		"privileged is the matter of DOR-02": {"set": {"account": {"privileged": true}}},
		"disabled": {"set": {"account": {"enabled": false}}},
		"unknown whether enabled": {"remove": ["/account/enabled"]},
		"a service account": {"set": {"account": {"kind": "service"}}},
		"a shared account": {"set": {"account": {"kind": "shared"}}},
		"unknown kind": {"remove": ["/account/kind"]},
	}
	subject := example.changed(dormant, case)
	unused_account.findings == set() with input as subject
}

test_days_are_a_parameter if {
	subject := example.changed(example.account, {"set": {"account": {"days_since_login": 45}}})
	count(unused_account.findings) == 1 with input as subject with data.params["DOR-01"].days as 45
}

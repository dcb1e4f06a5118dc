package lapse.external.inactive_guest_test

import rego.v2

import data.lapse.example
import data.lapse.external.inactive_guest

guest := example.changed(example.unlinked, {"set": {"account": {"kind": "guest", "days_since_login": 60}}})

text := "the guest ada in Corp AD has not signed in for 60 days"

never := "the guest ada in Corp AD has never signed in, in the 800 days since the account appeared"

test_flags[note] if {
	some note, case in {
		"a guest of nobody": {"message": text},
		"a contractor's guest account, on leave: excluded by its METADATA": {"set": {"person": {"id": "hr:1", "name": "Ada Byron", "status": "leave", "on_leave": true}}, "message": replace(text, "Corp AD", "Corp AD of Ada Byron")},
		"a stamp that lags": {"set": {"account": {"days_since_login": 74, "login_lag_days": 14}}, "message": "the guest ada in Corp AD has not signed in for 74 days"},
		"unknown whether never": {"remove": ["/account/never_logged_in"], "message": text},
		"never": {"set": {"account": {"never_logged_in": true}}, "remove": ["/account/days_since_login"], "message": never},
		"never, creation unknown": {"set": {"account": {"never_logged_in": true, "days_known": 60}}, "remove": ["/account/days_since_login", "/account/days_since_created"], "message": replace(never, "800", "60")},
	}
	subject := example.changed(guest, case)
	found := inactive_guest.findings with input as subject
	{finding.message | some finding in found} == {case.message}
}

test_passes_over[note] if {
	some note, case in {
		"used": {"set": {"account": {"days_since_login": 59}}},
		"used within the lag of the stamp": {"set": {"account": {"days_since_login": 73, "login_lag_days": 14}}},
		"last sign-in unknown": {"remove": ["/account/days_since_login", "/account/never_logged_in"]},
		"invited lately": {"set": {"account": {"never_logged_in": true, "days_since_created": 59}}, "remove": ["/account/days_since_login"]},
		"disabled": {"set": {"account": {"enabled": false}}},
		"unknown whether enabled": {"remove": ["/account/enabled"]},
		"a person's account is the matter of DOR-01": {"set": {"account": {"kind": "human"}}},
		"a service account": {"set": {"account": {"kind": "service"}}},
		"unknown kind": {"remove": ["/account/kind"]},
	}
	subject := example.changed(guest, case)
	inactive_guest.findings == set() with input as subject
}

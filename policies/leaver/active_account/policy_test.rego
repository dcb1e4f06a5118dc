package lapse.leaver.active_account_test

import rego.v2

import data.lapse.example
import data.lapse.leaver.active_account

leaver := example.changed(example.leaver, {"set": {"account": {"enabled": true}}})

test_flags[note] if {
	some note, case in {
		"a leaver": {"message": "Ada Byron left 12 days ago, and the account ada in Corp AD can still sign in"},
		"a guest": {"set": {"account": {"kind": "guest"}}, "message": "Ada Byron left 12 days ago, and the account ada in Corp AD can still sign in"},
		"a day ago": {"set": {"person": {"hours_since_end": 24, "days_since_end": 1}}, "message": "Ada Byron left 1 day ago, and the account ada in Corp AD can still sign in"},
		"a privileged account at once": {"set": {"account": {"privileged": true}, "person": {"hours_since_end": 0, "days_since_end": 0}}, "message": "Ada Byron left 0 hours ago, and the privileged account ada in Corp AD can still sign in"},
		"within the first hours": {"set": {"account": {"privileged": true}, "person": {"hours_since_end": 1, "days_since_end": 0}}, "message": "Ada Byron left 1 hour ago, and the privileged account ada in Corp AD can still sign in"},
		"nobody knows since when": {"remove": ["/person/hours_since_end", "/person/days_since_end"], "message": "Ada Byron has left, and the account ada in Corp AD can still sign in"},
		"unknown privilege": {"remove": ["/account/privileged"], "message": "Ada Byron left 12 days ago, and the account ada in Corp AD can still sign in"},
		"unknown kind of worker": {"remove": ["/person/kind"], "message": "Ada Byron left 12 days ago, and the account ada in Corp AD can still sign in"},
		"a break-glass account": {"set": {"account": {"break_glass": true}}, "message": "Ada Byron left 12 days ago, and the account ada in Corp AD can still sign in"},
		"no name but an e-mail address": {"remove": ["/person/name"], "message": "ada@example.com left 12 days ago, and the account ada in Corp AD can still sign in"},
		"names missing": {"remove": ["/account/username", "/account/email", "/account/name", "/person/name", "/person/email"], "message": "hr:1 left 12 days ago, and the account a-1 in Corp AD can still sign in"},
	}
	subject := example.changed(leaver, case)
	found := active_account.findings with input as subject
	{finding.message | some finding in found} == {case.message}
}

test_passes_over[note] if {
	some note, case in {
		"still here": {"set": {"person": {"status": "active"}}},
		"on leave": {"set": {"person": {"status": "leave", "on_leave": true}}},
		"rehired: some record is active": {"set": {"person": {"status": "active", "hours_since_end": 290}}},
		"not started yet": {"set": {"person": {"status": "future"}}},
		"within the grace period": {"set": {"person": {"hours_since_end": 23, "days_since_end": 0}}},
		"within the grace period, privilege unknown": {"set": {"person": {"hours_since_end": 23, "days_since_end": 0}}, "remove": ["/account/privileged"]},
		"a contractor is the matter of LVR-04": {"set": {"person": {"kind": "contractor"}}},
		"disabled": {"set": {"account": {"enabled": false}}},
		"unknown whether enabled": {"remove": ["/account/enabled"]},
		"a service account": {"set": {"account": {"kind": "service"}}},
		"a shared account": {"set": {"account": {"kind": "shared"}}},
		"unknown kind": {"remove": ["/account/kind"]},
		"a disputed link": {"set": {"link": {"status": "disputed"}}},
		"unknown status": {"remove": ["/person/status"]},
		"nobody": {"remove": ["/person"]},
	}
	subject := example.changed(leaver, case)
	active_account.findings == set() with input as subject
}

test_grace_is_a_parameter if {
	subject := example.changed(leaver, {"set": {"person": {"hours_since_end": 47, "days_since_end": 1}}})
	active_account.findings == set() with input as subject with data.params["LVR-01"].delay_hours as 48
}

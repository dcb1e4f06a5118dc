package lapse.leaver.contractor_past_end_test

import rego.v2

import data.lapse.example
import data.lapse.leaver.contractor_past_end

contractor := example.changed(
	example.leaver,
	{"set": {"account": {"enabled": true}, "person": {"kind": "contractor"}}},
)

test_flags[note] if {
	some note, case in {
		"a contractor": {"message": "Ada Byron (contractor) left 12 days ago, and the account ada in Corp AD can still sign in: disable it or extend the contract"},
		"a vendor": {"set": {"person": {"kind": "vendor"}}, "message": "Ada Byron (vendor) left 12 days ago, and the account ada in Corp AD can still sign in: disable it or extend the contract"},
		"a temp": {"set": {"person": {"kind": "temp"}}, "message": "Ada Byron (temp) left 12 days ago, and the account ada in Corp AD can still sign in: disable it or extend the contract"},
		"an external": {"set": {"person": {"kind": "external"}}, "message": "Ada Byron (external) left 12 days ago, and the account ada in Corp AD can still sign in: disable it or extend the contract"},
		"a consultant with a guest account": {"set": {"account": {"kind": "guest"}, "person": {"kind": "consultant"}}, "message": "Ada Byron (consultant) left 12 days ago, and the account ada in Corp AD can still sign in: disable it or extend the contract"},
		"on the very day": {"set": {"person": {"hours_since_end": 5, "days_since_end": 0}}, "message": "Ada Byron (contractor) left 5 hours ago, and the account ada in Corp AD can still sign in: disable it or extend the contract"},
		"nobody knows since when": {"remove": ["/person/hours_since_end", "/person/days_since_end"], "message": "Ada Byron (contractor) has left, and the account ada in Corp AD can still sign in: disable it or extend the contract"},
	}
	subject := example.changed(contractor, case)
	found := contractor_past_end.findings with input as subject
	{finding.message | some finding in found} == {case.message}
}

test_passes_over[note] if {
	some note, case in {
		"an employee is the matter of LVR-01": {"set": {"person": {"kind": "employee"}}},
		"unknown kind of worker": {"remove": ["/person/kind"]},
		"extended": {"set": {"person": {"status": "active", "hours_since_end": -500, "days_since_end": -21}}},
		"on leave": {"set": {"person": {"status": "leave"}}},
		"the next contract begins later": {"set": {"person": {"status": "future"}}},
		"disabled": {"set": {"account": {"enabled": false}}},
		"unknown whether enabled": {"remove": ["/account/enabled"]},
		"a service account": {"set": {"account": {"kind": "service"}}},
		"a shared account": {"set": {"account": {"kind": "shared"}}},
		"a disputed link": {"set": {"link": {"status": "disputed"}}},
		"unknown status": {"remove": ["/person/status"]},
	}
	subject := example.changed(contractor, case)
	contractor_past_end.findings == set() with input as subject
}

test_delay_is_a_parameter if {
	contractor_past_end.findings == set() with input as contractor with data.params["LVR-04"].delay_days as 14
}

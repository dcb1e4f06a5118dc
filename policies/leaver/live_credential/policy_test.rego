package lapse.leaver.live_credential_test

import rego.v2

import data.lapse.example
import data.lapse.leaver.live_credential

leaver := example.changed(example.leaver, {"set": {"account": {
	"active_sessions": 2,
	"keys": [{"id": "k1", "kind": "token", "active": false}],
}}})

keys(list) := example.changed(leaver, {"set": {"account": {"active_sessions": 0, "keys": list}}})

test_flags[note] if {
	some note, case in {
		"sessions of a disabled account": {"message": "Ada Byron left 12 days ago, and the account ada in Corp AD still has 2 sessions open"},
		"one session": {"set": {"account": {"active_sessions": 1}}, "message": "Ada Byron left 12 days ago, and the account ada in Corp AD still has 1 session open"},
		"at once": {"set": {"person": {"hours_since_end": 0, "days_since_end": 0}}, "message": "Ada Byron left 0 hours ago, and the account ada in Corp AD still has 2 sessions open"},
		"nobody knows since when": {"remove": ["/person/hours_since_end", "/person/days_since_end"], "message": "Ada Byron has left, and the account ada in Corp AD still has 2 sessions open"},
		"a contractor": {"set": {"person": {"kind": "contractor"}}, "message": "Ada Byron left 12 days ago, and the account ada in Corp AD still has 2 sessions open"},
		"unknown whether enabled": {"remove": ["/account/enabled", "/account/keys"], "message": "Ada Byron left 12 days ago, and the account ada in Corp AD still has 2 sessions open"},
		"a break-glass account": {"set": {"account": {"break_glass": true}}, "message": "Ada Byron left 12 days ago, and the account ada in Corp AD still has 2 sessions open"},
	}
	subject := example.changed(leaver, case)
	found := live_credential.findings with input as subject
	{finding.message | some finding in found} == {case.message}
}

test_flags_each_live_key if {
	subject := keys([{"id": "k1", "kind": "token", "active": true}, {"id": "k2", "active": true}, {"id": "k3", "active": false}, {"id": "k4"}])
	found := live_credential.findings with input as subject
	{[f.key, f.message] | some f in found} == {
		["token:k1", "Ada Byron left 12 days ago, and the account ada in Corp AD still has the token k1"],
		["key:k2", "Ada Byron left 12 days ago, and the account ada in Corp AD still has the key k2"],
	}
}

test_passes_over[note] if {
	some note, case in {
		"no session": {"set": {"account": {"active_sessions": 0}}},
		"sessions unknown": {"remove": ["/account/active_sessions"]},
		"still here": {"set": {"person": {"status": "active"}}},
		"on leave": {"set": {"person": {"status": "leave", "on_leave": true}}},
		"rehired": {"set": {"person": {"status": "active", "hours_since_end": 290}}},
		"not started yet": {"set": {"person": {"status": "future"}}},
		"unknown status": {"remove": ["/person/status"]},
		"a service account": {"set": {"account": {"kind": "service"}}},
		"a shared account": {"set": {"account": {"kind": "shared"}}},
		"unknown kind": {"remove": ["/account/kind"]},
		"a disputed link": {"set": {"link": {"status": "disputed"}}},
		"nobody": {"remove": ["/person"]},
	}
	subject := example.changed(leaver, case)
	live_credential.findings == set() with input as subject
}

test_delay_is_a_parameter if {
	live_credential.findings == set() with input as leaver with data.params["LVR-02"].delay_hours as 291
}

package lapse.service.stale_key_test

import rego.v2

import data.lapse.example
import data.lapse.service.stale_key

fresh := {"id": "k1", "kind": "token", "active": true, "days_since_created": 10, "days_since_used": 1}

having(change) := example.changed(example.service, {"set": {"account": {"keys": [fresh, example.changed(fresh, change)]}}})

test_flags[note] if {
	some note, case in {
		"unused": {"set": {"id": "k2", "days_since_used": 90}, "message": "the token k2 of svc-backup in Corp AD has not been used for 90 days"},
		"not rotated": {"set": {"id": "k2", "days_since_created": 90}, "message": "the token k2 of svc-backup in Corp AD is 90 days old"},
		"both": {"set": {"id": "k2", "days_since_created": 400, "days_since_used": 91}, "message": "the token k2 of svc-backup in Corp AD has not been used for 91 days and is 400 days old"},
		"not rotated, use unknown": {"set": {"id": "k2", "days_since_created": 90}, "remove": ["/days_since_used"], "message": "the token k2 of svc-backup in Corp AD is 90 days old"},
		"unused, age and kind unknown": {"set": {"id": "k2", "days_since_used": 90}, "remove": ["/days_since_created", "/kind"], "message": "the key k2 of svc-backup in Corp AD has not been used for 90 days"},
	}
	subject := having(case)
	found := stale_key.findings with input as subject
	{[f.key, f.message] | some f in found} == {["k2", case.message]}
}

test_flags_a_person_and_unknown_kind if {
	stale := having({"set": {"days_since_used": 90}})
	count(stale_key.findings) == 1 with input as example.changed(stale, {"set": {"account": {"kind": "human"}}})
	count(stale_key.findings) == 1 with input as example.changed(stale, {"remove": ["/account/kind", "/account/username"]})
}

test_passes_over[note] if {
	some note, change in {
		"fresh": {},
		"use and age unknown": {"remove": ["/days_since_used", "/days_since_created"]},
		"no longer live": {"set": {"active": false, "days_since_used": 90}},
		"unknown whether live": {"set": {"days_since_used": 90}, "remove": ["/active"]},
	}
	subject := having(change)
	stale_key.findings == set() with input as subject
}

test_passes_over_account[note] if {
	some note, case in {
		"disabled": {"set": {"account": {"enabled": false}}},
		"unknown whether enabled": {"remove": ["/account/enabled"]},
		"keys unread": {"remove": ["/account/keys"]},
		"no keys": {"set": {"account": {"keys": []}}},
	}
	subject := example.changed(having({"set": {"days_since_used": 90}}), case)
	stale_key.findings == set() with input as subject
}

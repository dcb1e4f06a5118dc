package lapse.mover.kept_access_test

import rego.v2

import data.lapse.example
import data.lapse.mover.kept_access

kept := {
	"entitlement": {"id": "g-9", "name": "Payroll", "kind": "group"},
	"direct": true,
	"depth": 0,
	"days_known": 90,
	"peer_share": 0.0625,
	"peer_count": 16,
}

mover := example.changed(example.account, {"set": {
	"person": {"days_since_transfer": 14, "previous_department": "Finance"},
	"grants": array.concat(example.account.grants, [kept]),
}})

only(change) := example.changed(mover, {"set": {"grants": [example.changed(kept, change)]}})

text := "Ada Byron moved to Sales from Finance 14 days ago and still holds Payroll in Corp AD as ada, which 0 of 15 colleagues there hold"

test_flags[note] if {
	some note, case in {
		"a mover": {"message": text},
		"unknown where from": {"remove": ["/person/previous_department"], "message": replace(text, " from Finance", "")},
	}
	subject := example.changed(mover, case)
	found := kept_access.findings with input as subject
	{[f.key, f.message] | some f in found} == {["g-9", case.message]}
}

test_flags_grant[note] if {
	some note, change in {
		"granted before": {"set": {"days_since_granted": 15, "days_known": 3}},
		"reviewed before the transfer": {"set": {"days_since_review": 15}},
		"one colleague in 15 holds it too": {"set": {"peer_share": 0.125}},
		"nameless": {"remove": ["/entitlement/name"]},
	}
	subject := only(change)
	count(kept_access.findings) == 1 with input as subject
}

test_passes_over[note] if {
	some note, case in {
		"just moved": {"set": {"person": {"days_since_transfer": 13}}},
		"never moved, or nobody knows": {"remove": ["/person/days_since_transfer"]},
		"on leave": {"set": {"person": {"status": "leave"}}},
		"a leaver": {"set": {"person": {"status": "ended"}}},
		"a disputed link": {"set": {"link": {"status": "disputed"}}},
		"disabled": {"set": {"account": {"enabled": false}}},
		"unknown whether enabled": {"remove": ["/account/enabled"]},
		"a service account": {"set": {"account": {"kind": "service"}}},
		"unknown kind": {"remove": ["/account/kind"]},
		"grants unread": {"remove": ["/grants"]},
		"nobody": {"remove": ["/person"]},
	}
	subject := example.changed(mover, case)
	kept_access.findings == set() with input as subject
}

test_passes_over_grant[note] if {
	some note, change in {
		"granted after the transfer": {"set": {"days_since_granted": 10}},
		"first seen after the transfer": {"set": {"days_known": 14}},
		"age unknown": {"remove": ["/days_known"]},
		"reviewed since": {"set": {"days_since_review": 3}},
		"the colleagues hold it too": {"set": {"peer_share": 0.1875}},
		"too few colleagues": {"set": {"peer_count": 5, "peer_share": 0.2}},
		"through a group": {"set": {"direct": false}},
		"share unknown": {"remove": ["/peer_share"]},
		"peers unknown": {"remove": ["/peer_count"]},
	}
	subject := only(change)
	kept_access.findings == set() with input as subject
}

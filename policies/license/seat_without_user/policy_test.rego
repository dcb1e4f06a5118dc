package lapse.license.seat_without_user_test

import rego.v2

import data.lapse.example
import data.lapse.license.seat_without_user

seats := [
	{"sku": "E5", "product": "Office E5", "cost_month": 57.5, "currency": "USD"},
	{"sku": "F1"},
]

leaver := example.changed(example.leaver, {"set": {"seats": seats}})

test_flags_each_seat_of_a_leaver if {
	found := seat_without_user.findings with input as leaver
	{[f.key, f.message, object.get(f, "cost_month", null), object.get(f, "currency", null)] | some f in found} == {
		["E5", "ada in Corp AD holds a seat of Office E5 at 57.5 USD a month, but Ada Byron left 12 days ago", 57.5, "USD"],
		["F1", "ada in Corp AD holds a seat of F1, but Ada Byron left 12 days ago", null, null],
	}
	every f in found {
		f.evidence.person == {"status": "ended", "days_since_end": 12}
		f.evidence.seat.sku == f.key
	}
}

test_flags[note] if {
	some note, case in {
		"enabled all the same": {"set": {"account": {"enabled": true}, "seats": [{"sku": "F1"}]}, "message": "ada in Corp AD holds a seat of F1, but Ada Byron left 12 days ago"},
		"unknown whether enabled": {"set": {"seats": [{"sku": "F1"}]}, "remove": ["/account/enabled"], "message": "ada in Corp AD holds a seat of F1, but Ada Byron left 12 days ago"},
		"a disabled account of somebody here": {"set": {"person": {"status": "active"}, "seats": [{"sku": "F1"}]}, "message": "ada in Corp AD holds a seat of F1, but the account is disabled"},
		"a disabled account of nobody": {"set": {"account": {"days_since_disabled": 1}, "seats": [{"sku": "F1", "cost_month": 3}]}, "remove": ["/person"], "message": "ada in Corp AD holds a seat of F1 at 3 a month, but the account is disabled for 1 day"},
		"a shared mailbox that is disabled": {"set": {"account": {"kind": "shared"}, "seats": [{"sku": "F1"}]}, "remove": ["/person"], "message": "ada in Corp AD holds a seat of F1, but the account is disabled"},
	}
	subject := example.changed(leaver, case)
	found := seat_without_user.findings with input as subject
	{finding.message | some finding in found} == {case.message}
}

test_passes_over[note] if {
	some note, case in {
		"in use": {"set": {"account": {"enabled": true}, "person": {"status": "active"}}},
		"on leave": {"set": {"account": {"enabled": true}, "person": {"status": "leave"}}},
		"unknown whether enabled, person here": {"set": {"person": {"status": "active"}}, "remove": ["/account/enabled"]},
		"no seats": {"set": {"seats": []}},
		"seats unread": {"remove": ["/seats"]},
	}
	subject := example.changed(leaver, case)
	seat_without_user.findings == set() with input as subject
}

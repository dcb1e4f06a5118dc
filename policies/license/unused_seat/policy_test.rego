package lapse.license.unused_seat_test

import rego.v2

import data.lapse.example
import data.lapse.license.unused_seat

idle := example.changed(example.account, {"set": {"seats": [{
	"sku": "E5",
	"product": "Office E5",
	"cost_month": 57.5,
	"currency": "USD",
	"days_since_assigned": 400,
	"days_since_used": 60,
}]}})

never := [{"sku": "E5", "never_used": true, "days_since_assigned": 60}]

test_names_seat_and_cost if {
	found := unused_seat.findings with input as idle
	{[f.key, f.cost_month, f.currency] | some f in found} == {["E5", 57.5, "USD"]}
}

test_flags[note] if {
	some note, case in {
		"unused": {"message": "ada in Corp AD of Ada Byron holds a seat of Office E5 at 57.5 USD a month and has not used it for 60 days"},
		"never used": {"set": {"seats": never}, "message": "ada in Corp AD of Ada Byron holds a seat of E5 and has never used it in the 60 days since it was assigned"},
		"price unknown, of nobody": {"set": {"seats": [{"sku": "E5", "days_since_used": 61}]}, "remove": ["/person"], "message": "ada in Corp AD holds a seat of E5 and has not used it for 61 days"},
		"on leave: excluded by its METADATA": {"set": {"person": {"status": "leave", "on_leave": true}}, "message": "ada in Corp AD of Ada Byron holds a seat of Office E5 at 57.5 USD a month and has not used it for 60 days"},
	}
	subject := example.changed(idle, case)
	found := unused_seat.findings with input as subject
	{finding.message | some finding in found} == {case.message}
}

test_passes_over[note] if {
	some note, case in {
		"used": {"set": {"seats": [{"sku": "E5", "days_since_used": 59}]}},
		"use unknown": {"set": {"seats": [{"sku": "E5", "days_since_assigned": 400}]}},
		"never used, but new": {"set": {"seats": [{"sku": "E5", "never_used": true, "days_since_assigned": 59}]}},
		"never used, assignment unknown": {"set": {"seats": [{"sku": "E5", "never_used": true}]}},
		"free": {"set": {"seats": [{"sku": "E5", "cost_month": 0, "days_since_used": 60}]}},
		"a leaver's is the matter of LIC-01": {"set": {"person": {"status": "ended"}}},
		"disabled": {"set": {"account": {"enabled": false}}},
		"unknown whether enabled": {"remove": ["/account/enabled"]},
		"seats unread": {"remove": ["/seats"]},
	}
	subject := example.changed(idle, case)
	unused_seat.findings == set() with input as subject
}

package lapse.license.unassigned_seats_test

import rego.v2

import data.lapse.example
import data.lapse.license.unassigned_seats

idle := example.changed(example.license, {"set": {"license": {"assigned": 89, "unassigned": 11}}})

test_flags[note] if {
	some note, case in {
		"more than a tenth": {"message": "11 of 100 seats of Office E5 in Corp AD at 57.35 USD a month are assigned to nobody", "cost": [630.85, "USD"]},
		"before renewal": {"set": {"license": {"days_until_renewal": 30}}, "message": "11 of 100 seats of Office E5 in Corp AD at 57.35 USD a month are assigned to nobody, and the contract renews in 30 days", "cost": [630.85, "USD"]},
		"renewal is past": {"set": {"license": {"days_until_renewal": -1}}, "message": "11 of 100 seats of Office E5 in Corp AD at 57.35 USD a month are assigned to nobody", "cost": [630.85, "USD"]},
		"unknown currency": {"remove": ["/license/currency"], "message": "11 of 100 seats of Office E5 in Corp AD at 57.35 a month are assigned to nobody", "cost": [630.85, ""]},
		"unknown price and product": {"remove": ["/license/cost_month", "/license/currency", "/license/product"], "message": "11 of 100 seats of E5 in Corp AD are assigned to nobody", "cost": [0, ""]},
	}
	subject := example.changed(idle, case)
	found := unassigned_seats.findings with input as subject
	{[f.message, [object.get(f, "cost_month", 0), object.get(f, "currency", "")]] | some f in found} == {[case.message, case.cost]}
}

test_passes_over[note] if {
	some note, case in {
		"a tenth": {"set": {"license": {"assigned": 90, "unassigned": 10}}},
		"free": {"set": {"license": {"cost_month": 0}}},
		"unknown how many were bought": {"remove": ["/license/purchased", "/license/unassigned"]},
		"none bought": {"set": {"license": {"purchased": 0, "unassigned": 0}}},
	}
	subject := example.changed(idle, case)
	unassigned_seats.findings == set() with input as subject
}

test_share_is_a_parameter if {
	unassigned_seats.findings == set() with input as idle with data.params["LIC-03"].above_percent as 11
}

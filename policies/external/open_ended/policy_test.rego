package lapse.external.open_ended_test

import rego.v2

import data.lapse.example
import data.lapse.external.open_ended

contractor := example.changed(example.account, {"set": {"person": {"kind": "contractor", "open_ended": true}}})

guest := example.changed(example.unlinked, {"set": {
	"source": {"coverage": {"sponsor": "partial", "expiry": "partial"}},
	"account": {"kind": "guest", "sponsor": "grace", "days_until_expiry": 40},
}})

test_flags[note] if {
	some note, case in {
		"a contractor": {"subject": contractor, "found": ["end_date", "ada in Corp AD of Ada Byron is a contractor's, and no end of the contract is on record"]},
		"a vendor's guest account": {"subject": contractor, "set": {"account": {"kind": "guest"}, "person": {"kind": "vendor"}}, "found": ["end_date", "ada in Corp AD of Ada Byron is a vendor's, and no end of the contract is on record"]},
		"a contractor's main account": {"subject": contractor, "set": {"directory": {"id": "a-1", "source": "corp-ad"}}, "found": ["end_date", "ada in Corp AD of Ada Byron is a contractor's, and no end of the contract is on record"]},
		"unknown status": {"subject": contractor, "remove": ["/person/status"], "found": ["end_date", "ada in Corp AD of Ada Byron is a contractor's, and no end of the contract is on record"]},
		"a guest without a sponsor": {"subject": guest, "remove": ["/account/sponsor"], "found": ["sponsor", "ada in Corp AD is a guest's, and nobody answers for it"]},
		"a guest without an end": {"subject": guest, "remove": ["/account/days_until_expiry"], "found": ["end_date", "ada in Corp AD is a guest's, and the access never ends"]},
	}
	subject := example.changed(case.subject, case)
	found := open_ended.findings with input as subject
	{[f.key, f.message] | some f in found} == {case.found}
}

test_a_guest_may_lack_both if {
	subject := example.changed(guest, {"remove": ["/account/sponsor", "/account/days_until_expiry"]})
	found := open_ended.findings with input as subject
	{f.key | some f in found} == {"end_date", "sponsor"}
}

test_passes_over[note] if {
	some note, case in {
		"a contract that ends": {"subject": contractor, "set": {"person": {"open_ended": false}}},
		"a roster without end dates": {"subject": contractor, "remove": ["/person/open_ended"]},
		"an account that ends": {"subject": contractor, "set": {"account": {"days_until_expiry": 10}}},
		"an employee": {"subject": contractor, "set": {"person": {"kind": "employee"}}},
		"unknown kind of worker": {"subject": contractor, "remove": ["/person/kind"]},
		"another account of the contractor": {"subject": contractor, "set": {"directory": {"id": "a-2", "source": "corp-ad"}}},
		"a contractor who has left is the matter of LVR-04": {"subject": contractor, "set": {"person": {"status": "ended"}}},
		"a disputed link": {"subject": contractor, "set": {"link": {"status": "disputed"}}},
		"disabled": {"subject": contractor, "set": {"account": {"enabled": false}}},
		"unknown whether enabled": {"subject": contractor, "remove": ["/account/enabled"]},
		"a service account": {"subject": contractor, "set": {"account": {"kind": "service"}}},
		"unknown kind": {"subject": contractor, "remove": ["/account/kind"]},
		"a guest with both": {"subject": guest},
		"a guest with an owner": {"subject": guest, "set": {"account": {"owner_id": "3"}}, "remove": ["/account/sponsor"]},
		"a source without sponsors": {"subject": guest, "set": {"source": {"coverage": {"sponsor": "none"}}}, "remove": ["/account/sponsor"]},
		"a source without ends": {"subject": guest, "set": {"source": {"coverage": {"expiry": "none"}}}, "remove": ["/account/days_until_expiry"]},
		"unknown what the source gives": {"subject": guest, "remove": ["/source/coverage", "/account/sponsor", "/account/days_until_expiry"]},
		"a person's account": {"subject": guest, "set": {"account": {"kind": "human"}}, "remove": ["/account/sponsor"]},
	}
	subject := example.changed(case.subject, case)
	open_ended.findings == set() with input as subject
}

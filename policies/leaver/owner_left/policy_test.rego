package lapse.leaver.owner_left_test

import rego.v2

import data.lapse.example
import data.lapse.leaver.owner_left

test_flags[note] if {
	some note, case in {
		"a group": {"set": {"owner": {"status": "ended", "days_since_end": 40, "hours_since_end": 970}}, "message": "Grace owns the group Sales in Corp AD and left 40 days ago: name a new owner"},
		"today": {"set": {"owner": {"status": "ended", "days_since_end": 0, "hours_since_end": 3}}, "message": "Grace owns the group Sales in Corp AD and left 3 hours ago: name a new owner"},
		"names missing": {"set": {"owner": {"status": "ended"}}, "remove": ["/owner/name", "/entitlement/name", "/entitlement/kind"], "message": "hr:3 owns the entitlement g-1 in Corp AD and has left: name a new owner"},
		"only an e-mail address": {"set": {"owner": {"status": "ended", "email": "grace@example.com"}}, "remove": ["/owner/name"], "message": "grace@example.com owns the group Sales in Corp AD and has left: name a new owner"},
	}
	subject := example.changed(example.entitlement, case)
	found := owner_left.findings with input as subject
	{finding.message | some finding in found} == {case.message}
}

test_passes_over[note] if {
	some note, case in {
		"still here": {},
		"on leave": {"set": {"owner": {"status": "leave"}}},
		"not started yet": {"set": {"owner": {"status": "future"}}},
		"unknown status": {"remove": ["/owner/status"]},
		"no owner": {"remove": ["/owner", "/entitlement/owner_id"]},
	}
	subject := example.changed(example.entitlement, case)
	owner_left.findings == set() with input as subject
}

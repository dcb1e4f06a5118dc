package lapse.review.overdue_test

import rego.v2

import data.lapse.example
import data.lapse.review.overdue

reviewed := example.changed(example.entitlement, {"set": {
	"source": {"coverage": {"reviewed": "partial"}},
	"entitlement": {"days_known": 400, "days_since_review": 181},
}})

test_flags[note] if {
	some note, case in {
		"long ago": {"message": "who holds the group Sales in Corp AD (30 accounts) was last reviewed 181 days ago"},
		"never, where others are": {"remove": ["/entitlement/days_since_review"], "message": "who holds the group Sales in Corp AD (30 accounts) was not reviewed in the 400 days that it has been known"},
		"held by one": {"set": {"entitlement": {"effective_members": 1}}, "message": "who holds the group Sales in Corp AD (1 account) was last reviewed 181 days ago"},
		"of nobody and nameless": {"remove": ["/owner", "/entitlement/name", "/entitlement/kind"], "message": "who holds the entitlement g-1 in Corp AD (30 accounts) was last reviewed 181 days ago"},
		"coverage unknown": {"remove": ["/source/coverage", "/entitlement/days_known"], "message": "who holds the group Sales in Corp AD (30 accounts) was last reviewed 181 days ago"},
	}
	subject := example.changed(reviewed, case)
	found := overdue.findings with input as subject
	{finding.message | some finding in found} == {case.message}
}

test_passes_over[note] if {
	some note, case in {
		"reviewed": {"set": {"entitlement": {"days_since_review": 180}}},
		"new": {"set": {"entitlement": {"days_known": 180}}, "remove": ["/entitlement/days_since_review"]},
		"unknown since when": {"remove": ["/entitlement/days_since_review", "/entitlement/days_known"]},
		"the source tells of no reviews": {"set": {"source": {"coverage": {"reviewed": "none"}}}, "remove": ["/entitlement/days_since_review"]},
		"unknown whether it does": {"remove": ["/entitlement/days_since_review", "/source/coverage"]},
		"held by nobody": {"set": {"entitlement": {"effective_members": 0}}},
		"grants unread": {"remove": ["/entitlement/effective_members"]},
	}
	subject := example.changed(reviewed, case)
	overdue.findings == set() with input as subject
}

package lapse.privilege.standing_grant_test

import rego.v2

import data.lapse.example
import data.lapse.privilege.standing_grant

owner := {
	"entitlement": {"id": "g-8", "name": "Owner", "kind": "role", "high_risk": true},
	"direct": true,
	"depth": 0,
	"days_known": 90,
}

holder := example.changed(example.account, {"set": {"grants": array.concat(example.account.grants, [owner])}})

holding(change) := example.changed(holder, {"set": {"grants": [example.changed(owner, change)]}})

text := "ada in Corp AD of Ada Byron has held Owner for 90 days, without an end and without a review in the last 90 days"

test_flags[note] if {
	some note, case in {
		"a person": {"message": text},
		"on leave": {"set": {"person": {"status": "leave", "on_leave": true}}, "message": text},
		"a break-glass account": {"set": {"account": {"break_glass": true}}, "message": text},
		"a guest of nobody": {"set": {"account": {"kind": "guest"}}, "remove": ["/person"], "message": replace(text, " of Ada Byron", "")},
	}
	subject := example.changed(holder, case)
	found := standing_grant.findings with input as subject
	{[f.key, f.message] | some f in found} == {["g-8", case.message]}
}

test_flags_grant[note] if {
	some note, change in {
		"granted long ago": {"set": {"days_since_granted": 90, "days_known": 1}},
		"reviewed too long ago": {"set": {"days_since_review": 90}},
		"privileged, risk unknown": {"set": {"entitlement": {"privileged": true}}, "remove": ["/entitlement/high_risk"]},
	}
	subject := holding(change)
	count(standing_grant.findings) == 1 with input as subject
}

test_passes_over[note] if {
	some note, case in {
		"disabled": {"set": {"account": {"enabled": false}}},
		"unknown whether enabled": {"remove": ["/account/enabled"]},
		"a service account": {"set": {"account": {"kind": "service"}}},
		"unknown kind": {"remove": ["/account/kind"]},
		"grants unread": {"remove": ["/grants"]},
	}
	subject := example.changed(holder, case)
	standing_grant.findings == set() with input as subject
}

test_passes_over_grant[note] if {
	some note, change in {
		"new": {"set": {"days_known": 89}},
		"granted lately": {"set": {"days_since_granted": 89}},
		"age unknown": {"remove": ["/days_known"]},
		"it ends": {"set": {"days_until_expiry": 400}},
		"reviewed": {"set": {"days_since_review": 89}},
		"through a group": {"set": {"direct": false}},
		"no high risk": {"set": {"entitlement": {"high_risk": false}}},
		"privileged, and no high risk": {"set": {"entitlement": {"high_risk": false, "privileged": true}}},
		"risk and privilege unknown": {"remove": ["/entitlement/high_risk"]},
	}
	subject := holding(change)
	standing_grant.findings == set() with input as subject
}

package lapse.privilege.unapproved_grant_test

import rego.v2

import data.lapse.example
import data.lapse.privilege.unapproved_grant

admins := {
	"entitlement": {"id": "g-8", "name": "Domain Admins", "kind": "group", "privileged": true},
	"direct": true,
	"depth": 0,
	"days_known": 3,
	"path": ["Domain Admins"],
}

helpdesk := {
	"entitlement": {"id": "g-7", "name": "Helpdesk", "kind": "group", "privileged": false},
	"direct": true,
	"depth": 0,
	"days_known": 3,
	"path": ["Helpdesk"],
}

nested := object.union(object.remove(admins, ["days_known"]), {"direct": false, "depth": 1, "path": ["Helpdesk", "Domain Admins"]})

admin := example.changed(example.account, {"set": {
	"source": {"coverage": {"approved": "partial"}},
	"account": {"privileged": true},
	"grants": array.concat(example.account.grants, [admins]),
}})

holding(grants) := example.changed(admin, {"set": {"grants": grants}})

text := "ada in Corp AD of Ada Byron was given Domain Admins 3 days ago, and no approval is on record"

test_flags[note] if {
	some note, case in {
		"a grant": {"message": text},
		"known for all": {"set": {"source": {"coverage": {"approved": "full"}}}, "message": text},
		"a break-glass account": {"set": {"account": {"break_glass": true}}, "message": text},
		"a service account": {"set": {"account": {"kind": "service"}}, "message": text},
		"a new account": {"set": {"account": {"days_known": 3, "days_since_created": 3}}, "message": text},
		"nobody's account": {"remove": ["/person"], "message": "ada in Corp AD was given Domain Admins 3 days ago, and no approval is on record"},
	}
	subject := example.changed(admin, case)
	found := unapproved_grant.findings with input as subject
	{[f.key, f.message] | some f in found} == {["g-8", case.message]}
}

test_flags_grant[note] if {
	some note, change in {
		"refused": {"set": {"approved": false}},
		"granted three months ago": {"set": {"days_since_granted": 90, "days_known": 400}},
	}
	subject := holding([example.changed(admins, change)])
	count(unapproved_grant.findings) == 1 with input as subject
}

test_flags_the_door_to_a_privileged_group if {
	subject := holding([helpdesk, nested])
	found := unapproved_grant.findings with input as subject
	{[f.key, f.message] | some f in found} == {["g-7", "ada in Corp AD of Ada Byron was given Helpdesk, and through it Domain Admins, 3 days ago, and no approval is on record"]}
}

test_passes_over[note] if {
	some note, case in {
		"the source tells of no approvals": {"set": {"source": {"coverage": {"approved": "none"}}}},
		"unknown whether it does": {"remove": ["/source/coverage"]},
		"not privileged": {"set": {"account": {"privileged": false}}},
		"unknown privilege": {"remove": ["/account/privileged"]},
		"disabled": {"set": {"account": {"enabled": false}}},
		"unknown whether enabled": {"remove": ["/account/enabled"]},
		"grants unread": {"remove": ["/grants"]},
		"there on the first night": {"set": {"account": {"days_known": 3}}},
		"there on the first night, creation unknown": {"set": {"account": {"days_known": 3}}, "remove": ["/account/days_since_created"]},
	}
	subject := example.changed(admin, case)
	unapproved_grant.findings == set() with input as subject
}

test_passes_over_grant[note] if {
	some note, change in {
		"approved": {"set": {"approved": true}},
		"old": {"set": {"days_since_granted": 91}},
		"known for long": {"set": {"days_known": 91}},
		"age unknown": {"remove": ["/days_known"]},
		"through a group": {"set": {"direct": false}},
		"an ordinary entitlement": {"set": {"entitlement": {"privileged": false}}},
		"unknown privilege": {"remove": ["/entitlement/privileged"]},
	}
	subject := holding([example.changed(admins, change)])
	unapproved_grant.findings == set() with input as subject
}

test_passes_over_an_approved_door if {
	subject := holding([object.union(helpdesk, {"approved": true}), nested])
	unapproved_grant.findings == set() with input as subject
}

package lapse.privilege.nested_test

import rego.v2

import data.lapse.example
import data.lapse.privilege.nested

deep := {
	"entitlement": {"id": "g-8", "name": "Domain Admins", "privileged": true},
	"direct": false,
	"depth": 3,
	"path": ["Helpdesk", "Tier 1", "Tier 0", "Domain Admins"],
}

holder := example.changed(example.account, {"set": {"grants": array.concat(example.account.grants, [deep])}})

test_flags[note] if {
	some note, case in {
		"a person": {"message": "ada in Corp AD of Ada Byron has Domain Admins through Helpdesk > Tier 1 > Tier 0"},
		"a service account": {"set": {"account": {"kind": "service"}}, "remove": ["/person"], "message": "ada in Corp AD has Domain Admins through Helpdesk > Tier 1 > Tier 0"},
		"unknown kind": {"remove": ["/account/kind"], "message": "ada in Corp AD of Ada Byron has Domain Admins through Helpdesk > Tier 1 > Tier 0"},
		"a nameless group, path unread": {"set": {"grants": [example.changed(deep, {"remove": ["/path", "/entitlement/name"]})]}, "message": "ada in Corp AD of Ada Byron has g-8"},
	}
	subject := example.changed(holder, case)
	found := nested.findings with input as subject
	{[f.key, f.message] | some f in found} == {["g-8", case.message]}
}

test_passes_over[note] if {
	some note, case in {
		"not so deep": {"set": {"grants": [object.union(deep, {"depth": 2})]}},
		"not privileged": {"set": {"grants": [object.union(deep, {"entitlement": {"privileged": false}})]}},
		"unknown privilege": {"set": {"grants": [example.changed(deep, {"remove": ["/entitlement/privileged"]})]}},
		"grants unread": {"remove": ["/grants"]},
		"disabled": {"set": {"account": {"enabled": false}}},
		"unknown whether enabled": {"remove": ["/account/enabled"]},
	}
	subject := example.changed(holder, case)
	nested.findings == set() with input as subject
}

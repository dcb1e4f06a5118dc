package lapse.privilege.disabled_account_test

import rego.v2

import data.lapse.example
import data.lapse.privilege.disabled_account

admins := {"entitlement": {"id": "g-8", "name": "Domain Admins", "privileged": true}, "direct": true, "depth": 0, "path": ["Domain Admins"]}

former := example.changed(example.leaver, {"set": {
	"account": {"days_since_disabled": 30, "attributes": {"rid": "1104"}},
	"grants": array.concat(example.account.grants, [admins]),
}})

test_flags[note] if {
	some note, case in {
		"a leaver's account": {"message": "ada in Corp AD of Ada Byron has been disabled for 30 days and still has Domain Admins"},
		"through a group": {"set": {"grants": [object.union(admins, {"direct": false, "depth": 1, "path": ["Helpdesk", "Domain Admins"]})]}, "message": "ada in Corp AD of Ada Byron has been disabled for 30 days and still has Domain Admins through Helpdesk"},
		"a service account of nobody": {"set": {"account": {"kind": "service"}}, "remove": ["/person"], "message": "ada in Corp AD has been disabled for 30 days and still has Domain Admins"},
		"on leave": {"set": {"person": {"status": "leave", "on_leave": true}}, "message": "ada in Corp AD of Ada Byron has been disabled for 30 days and still has Domain Admins"},
		"unknown kind": {"remove": ["/account/kind", "/account/attributes"], "message": "ada in Corp AD of Ada Byron has been disabled for 30 days and still has Domain Admins"},
	}
	subject := example.changed(former, case)
	found := disabled_account.findings with input as subject
	{[f.key, f.message] | some f in found} == {["g-8", case.message]}
}

test_passes_over[note] if {
	some note, case in {
		"just disabled": {"set": {"account": {"days_since_disabled": 29}}},
		"unknown since when": {"remove": ["/account/days_since_disabled"]},
		"enabled": {"set": {"account": {"enabled": true}}},
		"unknown whether enabled": {"remove": ["/account/enabled"]},
		"ordinary grants": {"set": {"grants": [object.union(admins, {"entitlement": {"privileged": false}})]}},
		"unknown privilege": {"set": {"grants": [example.changed(admins, {"remove": ["/entitlement/privileged"]})]}},
		"grants unread": {"remove": ["/grants"]},
		"the domain's own Administrator": {"set": {"account": {"attributes": {"rid": "500"}}}},
	}
	subject := example.changed(former, case)
	disabled_account.findings == set() with input as subject
}

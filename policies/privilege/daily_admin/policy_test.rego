package lapse.privilege.daily_admin_test

import rego.v2

import data.lapse.example
import data.lapse.privilege.daily_admin

admin := example.changed(example.account, {"set": {
	"account": {"privileged": true},
	"directory": {"id": "a-1", "source": "corp-ad", "enabled": true},
}})

grants := [
	{"entitlement": {"id": "g-8", "name": "Domain Admins", "privileged": true}, "direct": false, "depth": 1, "path": ["Helpdesk", "Domain Admins"]},
	{"entitlement": {"id": "g-9", "name": "Backup Operators", "privileged": true}, "direct": true, "depth": 0, "path": ["Backup Operators"]},
	{"entitlement": {"id": "g-7", "name": "Helpdesk", "privileged": false}, "direct": true, "depth": 0, "path": ["Helpdesk"]},
]

test_flags[note] if {
	some note, case in {
		"by a flag of its own": {"message": "Ada Byron works every day with ada in Corp AD, which has administrative rights: a separate account is needed for these"},
		"grants unread": {"remove": ["/grants"], "message": "Ada Byron works every day with ada in Corp AD, which has administrative rights: a separate account is needed for these"},
		"by its groups": {"set": {"grants": grants}, "message": "Ada Byron works every day with ada in Corp AD, which has administrative rights (Backup Operators, Domain Admins through Helpdesk): a separate account is needed for these"},
		"on leave": {"set": {"person": {"status": "leave", "on_leave": true}}, "message": "Ada Byron works every day with ada in Corp AD, which has administrative rights: a separate account is needed for these"},
	}
	subject := example.changed(admin, case)
	found := daily_admin.findings with input as subject
	{finding.message | some finding in found} == {case.message}
}

test_passes_over[note] if {
	some note, case in {
		"not privileged": {"set": {"account": {"privileged": false}}},
		"unknown privilege": {"remove": ["/account/privileged"]},
		"an account for administration": {"set": {"directory": {"id": "a-2"}}},
		"an account of another system": {"set": {"directory": {"source": "entra"}}},
		"no main account": {"remove": ["/directory"]},
		"disabled": {"set": {"account": {"enabled": false}}},
		"unknown whether enabled": {"remove": ["/account/enabled"]},
		"a service account": {"set": {"account": {"kind": "service"}}},
		"unknown kind": {"remove": ["/account/kind"]},
		"a disputed link": {"set": {"link": {"status": "disputed"}}},
	}
	subject := example.changed(admin, case)
	daily_admin.findings == set() with input as subject
}

test_only_grants_that_were_read_are_evidence if {
	some read in daily_admin.findings with input as admin
	read.evidence.grants == []
	some unread in daily_admin.findings with input as example.changed(admin, {"remove": ["/grants"]})
	not "grants" in object.keys(unread.evidence)
}

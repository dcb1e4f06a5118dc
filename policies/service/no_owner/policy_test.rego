package lapse.service.no_owner_test

import rego.v2

import data.lapse.example
import data.lapse.service.no_owner

test_flags[note] if {
	some note, case in {
		"no owner is named": {"remove": ["/account/owner_id", "/owner"], "message": "nobody answers for the service account svc-backup in Corp AD: no owner is named"},
		"owners are given for some": {"set": {"source": {"coverage": {"owner": "partial"}}}, "remove": ["/account/owner_id", "/owner"], "message": "nobody answers for the service account svc-backup in Corp AD: no owner is named"},
		"the owner is nobody": {"set": {"account": {"privileged": true}}, "remove": ["/owner"], "message": "nobody answers for the privileged service account svc-backup in Corp AD: the owner 3 is nobody in any roster"},
		"the owner has left": {"set": {"owner": {"status": "ended", "days_since_end": 1}}, "message": "nobody answers for the service account svc-backup in Corp AD: the owner Grace left 1 day ago"},
	}
	subject := example.changed(example.service, case)
	found := no_owner.findings with input as subject
	{finding.message | some finding in found} == {case.message}
}

test_passes_over[note] if {
	some note, case in {
		"owned": {},
		"owned by somebody on leave": {"set": {"owner": {"status": "leave"}}},
		"the source gives no owners": {"set": {"source": {"coverage": {"owner": "none"}}}, "remove": ["/account/owner_id", "/owner"]},
		"unknown whether the source gives owners": {"remove": ["/account/owner_id", "/owner", "/source/coverage"]},
		"disabled": {"set": {"account": {"enabled": false}}, "remove": ["/owner"]},
		"a shared account": {"set": {"account": {"kind": "shared"}}, "remove": ["/owner"]},
		"a person's account": {"set": {"account": {"kind": "human"}}, "remove": ["/owner"]},
		"unknown kind": {"remove": ["/account/kind", "/owner"]},
	}
	subject := example.changed(example.service, case)
	no_owner.findings == set() with input as subject
}

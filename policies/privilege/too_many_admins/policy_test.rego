package lapse.privilege.too_many_admins_test

import rego.v2

import data.lapse.example
import data.lapse.privilege.too_many_admins

test_flags[note] if {
	some note, case in {
		"more than five": {"set": {"source": {"counts": {"enabled": 4000, "privileged": 6}}}, "message": "6 of 4000 enabled accounts in Corp AD have administrative rights"},
		"more than three in a hundred": {"set": {"source": {"counts": {"enabled": 99, "privileged": 3}}}, "message": "3 of 99 enabled accounts in Corp AD have administrative rights"},
		"told by entitlements alone": {"set": {"source": {"coverage": {"privileged": "none", "entitlement_privileged": "full"}, "counts": {"enabled": 50, "privileged": 3}}}, "message": "3 of 50 enabled accounts in Corp AD have administrative rights"},
		"unknown how many accounts": {"set": {"source": {"counts": {"privileged": 6, "enabled": 0}}}, "message": "6 of 0 enabled accounts in Corp AD have administrative rights"},
	}
	subject := example.changed(example.judged, case)
	found := too_many_admins.findings with input as subject
	{finding.message | some finding in found} == {case.message}
}

test_passes_over[note] if {
	some note, case in {
		"few": {},
		"five of many": {"set": {"source": {"counts": {"enabled": 200, "privileged": 5}}}},
		"three in a hundred": {"set": {"source": {"counts": {"enabled": 100, "privileged": 3}}}},
		"two of two": {"set": {"source": {"counts": {"enabled": 2, "privileged": 2}}}},
		"nobody tells who is privileged": {"set": {"source": {"coverage": {"privileged": "none"}, "counts": {"privileged": 6}}}},
		"unknown whether somebody does": {"set": {"source": {"counts": {"privileged": 6}}}, "remove": ["/source/coverage"]},
		"not counted": {"remove": ["/source/counts"]},
		"privileged not counted": {"remove": ["/source/counts/privileged"]},
		"enabled not counted": {"set": {"source": {"counts": {"privileged": 6}}}, "remove": ["/source/counts/enabled"]},
	}
	subject := example.changed(example.judged, case)
	too_many_admins.findings == set() with input as subject
}

package lapse.directory.privileged_password_test

import rego.v2

import data.lapse.directory.privileged_password
import data.lapse.example

admin := example.changed(example.account, {"set": {"account": {"privileged": true, "has_spn": false, "days_since_password": 365}}})

test_flags[note] if {
	some note, case in {
		"with a service principal name": {"set": {"account": {"has_spn": true}}, "found": ["spn", null, "the privileged account ada in Corp AD of Ada Byron has a service principal name, so that anybody in the domain can try passwords against it offline"]},
		"password age unknown": {"set": {"account": {"has_spn": true, "kind": "service"}}, "remove": ["/account/days_since_password", "/person"], "found": ["spn", null, "the privileged account ada in Corp AD has a service principal name, so that anybody in the domain can try passwords against it offline"]},
		"kind unknown": {"set": {"account": {"has_spn": true}}, "remove": ["/account/kind"], "found": ["spn", null, "the privileged account ada in Corp AD of Ada Byron has a service principal name, so that anybody in the domain can try passwords against it offline"]},
		"an old password": {"set": {"account": {"days_since_password": 366}}, "found": ["password", "medium", "the password of the privileged account ada in Corp AD of Ada Byron is 366 days old"]},
		"an old password, names unknown": {"set": {"account": {"days_since_password": 366}}, "remove": ["/account/has_spn"], "found": ["password", "medium", "the password of the privileged account ada in Corp AD of Ada Byron is 366 days old"]},
		"a break-glass account": {"set": {"account": {"days_since_password": 366, "break_glass": true, "kind": "shared"}}, "found": ["password", "medium", "the password of the privileged account ada in Corp AD of Ada Byron is 366 days old"]},
	}
	subject := example.changed(admin, case)
	found := privileged_password.findings with input as subject
	{[f.key, object.get(f, "severity", null), f.message] | some f in found} == {case.found}
}

test_passes_over[note] if {
	weak := example.changed(admin, {"set": {"account": {"has_spn": true, "days_since_password": 1000}}})
	some note, case in {
		"neither": {"set": {"account": {"has_spn": false, "days_since_password": 365}}},
		"unknown": {"remove": ["/account/has_spn", "/account/days_since_password"]},
		"not privileged": {"set": {"account": {"privileged": false}}},
		"unknown privilege": {"remove": ["/account/privileged"]},
		"disabled": {"set": {"account": {"enabled": false}}},
		"unknown whether enabled": {"remove": ["/account/enabled"]},
		"a machine": {"set": {"account": {"kind": "machine"}}},
	}
	subject := example.changed(weak, case)
	privileged_password.findings == set() with input as subject
}

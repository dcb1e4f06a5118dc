package lapse.directory.weak_password_policy_test

import rego.v2

import data.lapse.directory.weak_password_policy
import data.lapse.example

strict := example.changed(example.account, {"set": {"account": {"password_not_required": false, "password_never_expires": false, "days_since_password": 40}}})

test_flags[note] if {
	some note, case in {
		"not required": {"set": {"account": {"password_not_required": true}}, "found": ["not_required", null, "the account ada in Corp AD of Ada Byron may have an empty password"]},
		"not required, the other unknown": {"set": {"account": {"password_not_required": true}}, "remove": ["/account/password_never_expires"], "found": ["not_required", null, "the account ada in Corp AD of Ada Byron may have an empty password"]},
		"not required, kind unknown": {"set": {"account": {"password_not_required": true}}, "remove": ["/account/kind"], "found": ["not_required", null, "the account ada in Corp AD of Ada Byron may have an empty password"]},
		"never expires": {"set": {"account": {"password_never_expires": true}}, "found": ["never_expires", "low", "the password of the account ada in Corp AD of Ada Byron never expires, and is 40 days old"]},
		"never expires, age unknown, of nobody": {"set": {"account": {"password_never_expires": true, "kind": "service", "privileged": true}}, "remove": ["/person", "/account/days_since_password", "/account/password_not_required"], "found": ["never_expires", "low", "the password of the privileged account ada in Corp AD never expires"]},
	}
	subject := example.changed(strict, case)
	found := weak_password_policy.findings with input as subject
	{[f.key, object.get(f, "severity", null), f.message] | some f in found} == {case.found}
}

test_both_are_two_findings if {
	subject := example.changed(strict, {"set": {"account": {"password_not_required": true, "password_never_expires": true}}})
	count(weak_password_policy.findings) == 2 with input as subject
}

test_passes_over[note] if {
	weak := example.changed(strict, {"set": {"account": {"password_not_required": true, "password_never_expires": true}}})
	some note, case in {
		"neither": {"set": {"account": {"password_not_required": false, "password_never_expires": false}}},
		"unknown": {"remove": ["/account/password_not_required", "/account/password_never_expires"]},
		"disabled": {"set": {"account": {"enabled": false}}},
		"unknown whether enabled": {"remove": ["/account/enabled"]},
		"a machine": {"set": {"account": {"kind": "machine"}}},
	}
	subject := example.changed(weak, case)
	weak_password_policy.findings == set() with input as subject
}

package lapse.service.interactive_login_test

import rego.v2

import data.lapse.example
import data.lapse.service.interactive_login

used := example.changed(example.service, {"set": {"account": {"days_since_interactive_login": 90}}})

test_flags[note] if {
	some note, case in {
		"a service account": {"message": "somebody signed in interactively as the service account svc-backup in Corp AD 90 days ago"},
		"a privileged one, since disabled": {"set": {"account": {"privileged": true, "enabled": false}}, "message": "somebody signed in interactively as the privileged service account svc-backup in Corp AD 90 days ago"},
		"unknown privilege": {"remove": ["/account/privileged", "/account/enabled", "/owner"], "message": "somebody signed in interactively as the service account svc-backup in Corp AD 90 days ago"},
	}
	subject := example.changed(used, case)
	found := interactive_login.findings with input as subject
	{finding.message | some finding in found} == {case.message}
}

test_passes_over[note] if {
	some note, case in {
		"long ago": {"set": {"account": {"days_since_interactive_login": 91}}},
		"never, or nobody logs it": {"remove": ["/account/days_since_interactive_login"]},
		"a person's account": {"set": {"account": {"kind": "human"}}},
		"a shared account": {"set": {"account": {"kind": "shared"}}},
		"unknown kind": {"remove": ["/account/kind"]},
	}
	subject := example.changed(used, case)
	interactive_login.findings == set() with input as subject
}

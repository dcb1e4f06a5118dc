package lapse.local.beside_single_sign_on_test

import rego.v2

import data.lapse.example
import data.lapse.local.beside_single_sign_on

open_door := example.changed(example.account, {"set": {"account": {"local_login": true}}})

test_flags[note] if {
	some note, case in {
		"a person's account": {"message": "the account ada in Corp AD of Ada Byron has a password of its own beside single sign-on"},
		"a break-glass account": {"set": {"account": {"break_glass": true, "privileged": true}}, "message": "the privileged account ada in Corp AD of Ada Byron has a password of its own beside single sign-on"},
		"a guest of nobody": {"set": {"account": {"kind": "guest"}}, "remove": ["/person"], "message": "the account ada in Corp AD has a password of its own beside single sign-on"},
		"unknown privilege": {"remove": ["/account/privileged"], "message": "the account ada in Corp AD of Ada Byron has a password of its own beside single sign-on"},
	}
	subject := example.changed(open_door, case)
	found := beside_single_sign_on.findings with input as subject
	{finding.message | some finding in found} == {case.message}
}

test_passes_over[note] if {
	some note, case in {
		"single sign-on only": {"set": {"account": {"local_login": false}}},
		"unknown": {"remove": ["/account/local_login"]},
		"disabled": {"set": {"account": {"enabled": false}}},
		"unknown whether enabled": {"remove": ["/account/enabled"]},
		"a service account": {"set": {"account": {"kind": "service"}}},
		"a shared account": {"set": {"account": {"kind": "shared"}}},
		"unknown kind": {"remove": ["/account/kind"]},
	}
	subject := example.changed(open_door, case)
	beside_single_sign_on.findings == set() with input as subject
}

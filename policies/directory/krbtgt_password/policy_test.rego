package lapse.directory.krbtgt_password_test

import rego.v2

import data.lapse.directory.krbtgt_password
import data.lapse.example

krbtgt := example.changed(example.unlinked, {"set": {"account": {
	"username": "krbtgt",
	"kind": "service",
	"enabled": false,
	"days_since_password": 181,
	"attributes": {"rid": "502"},
}}})

test_flags[note] if {
	some note, case in {
		"by its number": {"message": "the password of krbtgt in Corp AD is 181 days old: change it twice, half a day apart"},
		"renamed": {"set": {"account": {"username": "ticket"}}, "message": "the password of ticket in Corp AD is 181 days old: change it twice, half a day apart"},
		"nameless": {"remove": ["/account/username", "/account/email", "/account/name", "/account/kind", "/account/enabled"], "message": "the password of a-1 in Corp AD is 181 days old: change it twice, half a day apart"},
		"by its name": {"remove": ["/account/attributes"], "message": "the password of krbtgt in Corp AD is 181 days old: change it twice, half a day apart"},
		"of a read-only domain controller": {"set": {"account": {"username": "krbtgt_20811", "attributes": {"rid": "1115"}}}, "message": "the password of krbtgt_20811 in Corp AD is 181 days old: change it twice, half a day apart"},
	}
	subject := example.changed(krbtgt, case)
	found := krbtgt_password.findings with input as subject
	{finding.message | some finding in found} == {case.message}
}

test_passes_over[note] if {
	some note, case in {
		"changed": {"set": {"account": {"days_since_password": 180}}},
		"unknown since when": {"remove": ["/account/days_since_password"]},
		"another account": {"set": {"account": {"username": "ada", "attributes": {"rid": "1104"}}}},
		"another account of that name": {"set": {"account": {"attributes": {"rid": "1104"}}}},
		"neither name nor number": {"remove": ["/account/username", "/account/attributes"]},
	}
	subject := example.changed(krbtgt, case)
	krbtgt_password.findings == set() with input as subject
}

package lapse.directory.reversible_password_test

import rego.v2

import data.lapse.directory.reversible_password
import data.lapse.example

weak := example.changed(example.account, {"set": {"account": {"attributes": {"dn": "CN=Ada", "reversible_password": "true"}}}})

test_flags[note] if {
	some note, case in {
		"a person's account": {"message": "the password of the account ada in Corp AD of Ada Byron is kept in reversible encryption, as good as in clear"},
		"a privileged service account of nobody": {"set": {"account": {"kind": "service", "privileged": true}}, "remove": ["/person", "/account/attributes/dn"], "message": "the password of the privileged account ada in Corp AD is kept in reversible encryption, as good as in clear"},
		"unknown kind and privilege": {"remove": ["/account/kind", "/account/privileged"], "message": "the password of the account ada in Corp AD of Ada Byron is kept in reversible encryption, as good as in clear"},
	}
	subject := example.changed(weak, case)
	found := reversible_password.findings with input as subject
	{finding.message | some finding in found} == {case.message}
}

test_passes_over[note] if {
	some note, case in {
		"no": {"set": {"account": {"attributes": {"reversible_password": "false"}}}},
		"unknown": {"remove": ["/account/attributes/reversible_password"]},
		"attributes unread": {"remove": ["/account/attributes"]},
		"disabled": {"set": {"account": {"enabled": false}}},
		"unknown whether enabled": {"remove": ["/account/enabled"]},
		"a machine": {"set": {"account": {"kind": "machine"}}},
	}
	subject := example.changed(weak, case)
	reversible_password.findings == set() with input as subject
}

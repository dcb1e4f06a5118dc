package lapse.directory.des_only_test

import rego.v2

import data.lapse.directory.des_only
import data.lapse.example

weak := example.changed(example.account, {"set": {"account": {"attributes": {"dn": "CN=Ada", "des_only": "true"}}}})

test_flags[note] if {
	some note, case in {
		"a person's account": {"message": "the account ada in Corp AD of Ada Byron can only use DES in Kerberos, which is broken in hours"},
		"a privileged service account of nobody": {"set": {"account": {"kind": "service", "privileged": true}}, "remove": ["/person", "/account/attributes/dn"], "message": "the privileged account ada in Corp AD can only use DES in Kerberos, which is broken in hours"},
		"unknown kind and privilege": {"remove": ["/account/kind", "/account/privileged"], "message": "the account ada in Corp AD of Ada Byron can only use DES in Kerberos, which is broken in hours"},
	}
	subject := example.changed(weak, case)
	found := des_only.findings with input as subject
	{finding.message | some finding in found} == {case.message}
}

test_passes_over[note] if {
	some note, case in {
		"no": {"set": {"account": {"attributes": {"des_only": "false"}}}},
		"unknown": {"remove": ["/account/attributes/des_only"]},
		"attributes unread": {"remove": ["/account/attributes"]},
		"disabled": {"set": {"account": {"enabled": false}}},
		"unknown whether enabled": {"remove": ["/account/enabled"]},
		"a machine": {"set": {"account": {"kind": "machine"}}},
	}
	subject := example.changed(weak, case)
	des_only.findings == set() with input as subject
}

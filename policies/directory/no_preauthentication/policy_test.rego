package lapse.directory.no_preauthentication_test

import rego.v2

import data.lapse.directory.no_preauthentication
import data.lapse.example

weak := example.changed(example.account, {"set": {"account": {"attributes": {"dn": "CN=Ada", "no_preauth": "true"}}}})

test_flags[note] if {
	some note, case in {
		"a person's account": {"message": "the account ada in Corp AD of Ada Byron needs no Kerberos pre-authentication, so that anybody can try passwords against it offline"},
		"a privileged service account of nobody": {"set": {"account": {"kind": "service", "privileged": true}}, "remove": ["/person", "/account/attributes/dn"], "message": "the privileged account ada in Corp AD needs no Kerberos pre-authentication, so that anybody can try passwords against it offline"},
		"unknown kind and privilege": {"remove": ["/account/kind", "/account/privileged"], "message": "the account ada in Corp AD of Ada Byron needs no Kerberos pre-authentication, so that anybody can try passwords against it offline"},
	}
	subject := example.changed(weak, case)
	found := no_preauthentication.findings with input as subject
	{finding.message | some finding in found} == {case.message}
}

test_passes_over[note] if {
	some note, case in {
		"no": {"set": {"account": {"attributes": {"no_preauth": "false"}}}},
		"unknown": {"remove": ["/account/attributes/no_preauth"]},
		"attributes unread": {"remove": ["/account/attributes"]},
		"disabled": {"set": {"account": {"enabled": false}}},
		"unknown whether enabled": {"remove": ["/account/enabled"]},
		"a machine": {"set": {"account": {"kind": "machine"}}},
	}
	subject := example.changed(weak, case)
	no_preauthentication.findings == set() with input as subject
}

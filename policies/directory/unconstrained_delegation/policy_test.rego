package lapse.directory.unconstrained_delegation_test

import rego.v2

import data.lapse.directory.unconstrained_delegation
import data.lapse.example

weak := example.changed(example.account, {"set": {"account": {"attributes": {"dn": "CN=Ada", "unconstrained_delegation": "true"}}}})

test_flags[note] if {
	some note, case in {
		"a person's account": {"message": "the account ada in Corp AD of Ada Byron is trusted for unconstrained delegation, so that it can act in the name of everybody who signs in to it"},
		"a privileged service account of nobody": {"set": {"account": {"kind": "service", "privileged": true}}, "remove": ["/person", "/account/attributes/dn"], "message": "the privileged account ada in Corp AD is trusted for unconstrained delegation, so that it can act in the name of everybody who signs in to it"},
		"unknown kind and privilege": {"remove": ["/account/kind", "/account/privileged"], "message": "the account ada in Corp AD of Ada Byron is trusted for unconstrained delegation, so that it can act in the name of everybody who signs in to it"},
	}
	subject := example.changed(weak, case)
	found := unconstrained_delegation.findings with input as subject
	{finding.message | some finding in found} == {case.message}
}

test_passes_over[note] if {
	some note, case in {
		"no": {"set": {"account": {"attributes": {"unconstrained_delegation": "false"}}}},
		"unknown": {"remove": ["/account/attributes/unconstrained_delegation"]},
		"attributes unread": {"remove": ["/account/attributes"]},
		"disabled": {"set": {"account": {"enabled": false}}},
		"unknown whether enabled": {"remove": ["/account/enabled"]},
		"a machine": {"set": {"account": {"kind": "machine"}}},
	}
	subject := example.changed(weak, case)
	unconstrained_delegation.findings == set() with input as subject
}

package lapse.directory.adminsdholder_leftover_test

import rego.v2

import data.lapse.directory.adminsdholder_leftover
import data.lapse.example

marked := example.changed(example.account, {"set": {"account": {"attributes": {"admin_count": "1", "rid": "1104", "dn": "CN=Ada"}}}})

text := "ada in Corp AD of Ada Byron is marked as an administrator (adminCount), and is in no privileged group any more"

test_flags[note] if {
	some note, case in {
		"a person's account": {"message": text},
		"disabled": {"set": {"account": {"enabled": false}}, "message": text},
		"unknown kind": {"remove": ["/account/kind", "/account/enabled", "/account/attributes/rid", "/account/attributes/dn"], "message": text},
		"number unknown": {"remove": ["/account/attributes/rid"], "message": text},
		"name unknown": {"remove": ["/account/username"], "message": replace(text, "ada in", "ada@example.com in")},
		"without any group": {"set": {"grants": []}, "message": text},
		"nobody's": {"remove": ["/person"], "message": replace(text, " of Ada Byron", "")},
	}
	subject := example.changed(marked, case)
	found := adminsdholder_leftover.findings with input as subject
	{finding.message | some finding in found} == {case.message}
}

test_passes_over[note] if {
	some note, case in {
		"not marked": {"set": {"account": {"attributes": {"admin_count": "0"}}}},
		"unknown whether marked": {"remove": ["/account/attributes/admin_count"]},
		"attributes unread": {"remove": ["/account/attributes"]},
		"privileged": {"set": {"account": {"privileged": true}}},
		"unknown privilege": {"remove": ["/account/privileged"]},
		"grants unread": {"remove": ["/grants"]},
		"in a protected group that is not called privileged": {"set": {"grants": [{"entitlement": {"id": "g-2", "name": "Print Operators"}, "direct": true, "depth": 0}]}},
		"in a group that is not called privileged and has no name": {"set": {"grants": array.concat(example.account.grants, [{"entitlement": {"id": "g-2"}, "direct": true, "depth": 0}])}},
		"Administrator": {"set": {"account": {"attributes": {"rid": "500"}}}},
		"krbtgt": {"set": {"account": {"attributes": {"rid": "502"}}}},
		"krbtgt, number unknown": {"set": {"account": {"username": "krbtgt"}}, "remove": ["/account/attributes/rid"]},
		"krbtgt of a read-only domain controller": {"set": {"account": {"username": "krbtgt_20811", "attributes": {"rid": "1115"}}}},
		"neither number nor name": {"remove": ["/account/attributes/rid", "/account/username"]},
	}
	subject := example.changed(marked, case)
	adminsdholder_leftover.findings == set() with input as subject
}

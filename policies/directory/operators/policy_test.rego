package lapse.directory.operators_test

import rego.v2

import data.lapse.directory.operators
import data.lapse.example

group := example.changed(example.entitlement, {"set": {"entitlement": {"name": "Server Operators", "effective_members": 2, "attributes": {"sid": "S-1-5-32-549"}}}})

test_flags[note] if {
	some note, case in {
		"an operators group": {"message": "the built-in group Server Operators in Corp AD has 2 members, and is best kept empty"},
		"a nameless one": {"set": {"entitlement": {"effective_members": 1}}, "remove": ["/entitlement/name", "/owner"], "message": "the built-in group g-1 in Corp AD has 1 member, and is best kept empty"},
		"Schema Admins": {"set": {"entitlement": {"name": "Schema Admins", "attributes": {"sid": "S-1-5-21-1-2-3-518"}}}, "message": "the built-in group Schema Admins in Corp AD has 2 members, and is best kept empty"},
	}
	subject := example.changed(group, case)
	found := operators.findings with input as subject
	{finding.message | some finding in found} == {case.message}
}

test_passes_over[note] if {
	some note, case in {
		"empty": {"set": {"entitlement": {"effective_members": 0}}},
		"members unread": {"remove": ["/entitlement/effective_members"]},
		"another group": {"set": {"entitlement": {"attributes": {"sid": "S-1-5-21-1-2-3-1108"}}}},
		"Administrators": {"set": {"entitlement": {"attributes": {"sid": "S-1-5-32-544"}}}},
		"another group of that name": {"set": {"entitlement": {"attributes": {"sid": "S-1-5-21-1-2-3-1518"}}}},
		"SID unknown": {"remove": ["/entitlement/attributes"]},
	}
	subject := example.changed(group, case)
	operators.findings == set() with input as subject
}

package lapse.peer.rare_entitlement_test

import rego.v2

import data.lapse.example
import data.lapse.peer.rare_entitlement

rare := {
	"entitlement": {"id": "g-9", "name": "Payroll", "kind": "group"},
	"direct": true,
	"depth": 0,
	"peer_share": 0.0625,
	"peer_count": 16,
}

holder := example.changed(example.account, {"set": {"grants": array.concat(example.account.grants, [rare])}})

only(change) := example.changed(example.account, {"set": {"grants": [example.changed(rare, change)]}})

test_flags_the_rare_grant_alone if {
	found := rare_entitlement.findings with input as holder
	{[f.key, f.message, f.evidence.grant.peer_count] | some f in found} == {["g-9", "Ada Byron holds Payroll in Corp AD as ada, which only 1 of 16 colleagues in Sales hold", 16]}
}

test_flags[note] if {
	some note, case in {
		"a nameless entitlement": {"set": {"grants": [example.changed(rare, {"remove": ["/entitlement/name"]})]}, "message": "Ada Byron holds g-9 in Corp AD as ada, which only 1 of 16 colleagues in Sales hold"},
		"eight peers": {"set": {"grants": [example.changed(rare, {"set": {"peer_count": 8}})]}, "remove": ["/person/department"], "message": "Ada Byron holds Payroll in Corp AD as ada, which only 1 of 8 colleagues in the same department hold"},
	}
	subject := example.changed(holder, case)
	found := rare_entitlement.findings with input as subject
	{finding.message | some finding in found} == {case.message}
}

test_passes_over[note] if {
	some note, case in {
		"on leave": {"set": {"person": {"status": "leave"}}},
		"a leaver": {"set": {"person": {"status": "ended"}}},
		"a disputed link": {"set": {"link": {"status": "disputed"}}},
		"disabled": {"set": {"account": {"enabled": false}}},
		"a service account": {"set": {"account": {"kind": "service"}}},
		"a shared account": {"set": {"account": {"kind": "shared"}}},
		"unknown kind": {"remove": ["/account/kind"]},
		"grants unread": {"remove": ["/grants"]},
	}
	subject := example.changed(holder, case)
	rare_entitlement.findings == set() with input as subject
}

test_passes_over_grant[note] if {
	some note, change in {
		"as common as that": {"set": {"peer_share": 0.1}},
		"too few peers": {"set": {"peer_count": 7}},
		"through a group": {"set": {"direct": false}},
		"share unknown": {"remove": ["/peer_share"]},
		"peers unknown": {"remove": ["/peer_count"]},
	}
	subject := only(change)
	rare_entitlement.findings == set() with input as subject
}

package lapse.orphan.several_accounts_test

import rego.v2

import data.lapse.example
import data.lapse.orphan.several_accounts

account := {"source": "crm", "source_name": "CRM", "id": "1", "username": "ada", "kind": "human", "enabled": true, "privileged": false}

elsewhere := {"source": "chat", "source_name": "Chat", "id": "1", "username": "ada", "kind": "human", "enabled": true, "privileged": false}

second(change) := example.changed(object.union(account, {"id": "2", "username": "ada2"}), change)

having(accounts) := example.changed(example.person, {"set": {"accounts": array.concat([elsewhere, account], accounts)}})

test_flags[note] if {
	some note, case in {
		"two for daily work": {"accounts": [second({})], "message": "Ada Byron has 2 enabled accounts in CRM: ada, ada2"},
		"two for administration beside it": {"accounts": [second({"set": {"privileged": true}}), second({"set": {"id": "3", "username": "ada3", "privileged": true}})], "message": "Ada Byron has 3 enabled accounts in CRM: ada, ada2, ada3"},
		"three, whatever for": {"accounts": [second({"remove": ["/privileged"]}), second({"set": {"id": "3"}, "remove": ["/privileged", "/username"]})], "message": "Ada Byron has 3 enabled accounts in CRM: 3, ada, ada2"},
		"a break-glass account beside an admin pair": {"accounts": [second({"set": {"privileged": true}}), second({"set": {"id": "3", "username": "bg", "privileged": true, "break_glass": true}})], "message": "Ada Byron has 3 enabled accounts in CRM: ada, ada2, bg"},
	}
	subject := having(case.accounts)
	found := several_accounts.findings with input as subject
	{[f.key, f.message] | some f in found} == {["crm", case.message]}
}

test_flags_on_leave if {
	subject := example.changed(having([second({})]), {"set": {"person": {"status": "leave", "on_leave": true}}})
	count(several_accounts.findings) == 1 with input as subject
}

test_source_without_a_name if {
	subject := example.changed(having([]), {"set": {"accounts": [object.remove(account, ["source_name"]), object.remove(second({}), ["source_name"])]}})
	found := several_accounts.findings with input as subject
	{f.message | some f in found} == {"Ada Byron has 2 enabled accounts in crm: ada, ada2"}
}

test_passes_over[note] if {
	some note, accounts in {
		"one": [],
		"an admin pair": [second({"set": {"privileged": true}})],
		"perhaps an admin pair": [second({"remove": ["/privileged"]})],
		"the second is disabled": [second({"set": {"enabled": false}})],
		"unknown whether the second is enabled": [second({"remove": ["/enabled"]})],
		"the second is a service account": [second({"set": {"kind": "service"}})],
		"the second is shared": [second({"set": {"kind": "shared"}})],
		"the second is of unknown kind": [second({"remove": ["/kind"]})],
		"in another system": [second({"set": {"source": "wiki"}})],
	}
	subject := having(accounts)
	several_accounts.findings == set() with input as subject
}

test_passes_over_person[note] if {
	some note, case in {
		"a leaver is the matter of LVR-01": {"set": {"person": {"status": "ended"}}},
		"unknown status": {"remove": ["/person/status"]},
		"no accounts": {"remove": ["/accounts"]},
	}
	subject := example.changed(having([second({})]), case)
	several_accounts.findings == set() with input as subject
}

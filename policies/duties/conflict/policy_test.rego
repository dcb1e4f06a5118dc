package lapse.duties.conflict_test

import rego.v2

import data.lapse.duties.conflict
import data.lapse.example

matrix := {"conflicts": {
	"pay-vendor": {"title": "keep vendors and pay them", "first": [{"tag": "vendor-master"}, {"entitlement": "AP Vendor*"}], "second": [{"tag": "payment-run"}, {"source": "bank", "entitlement": "Pay*"}]},
	"ship": {"title": "write code and ship it", "first": [{"resource": "code/*"}], "second": [{"entitlement": "deployer"}]},
}}

erp(name, tags) := {"source": "erp", "account_id": "1", "entitlement": {"id": concat("-", ["id", name]), "name": name, "tags": tags}, "direct": true, "depth": 0}

bank(name) := object.union(erp(name, []), {"source": "bank", "account_id": "7"})

holding(grants) := example.changed(example.person, {"set": {
	"accounts": [
		{"source": "erp", "source_name": "ERP", "id": "1", "enabled": true},
		{"source": "bank", "id": "7", "enabled": true},
	],
	"grants": grants,
}})

both := holding([erp("AP Vendors", []), bank("Payments")])

text := "Ada Byron can keep vendors and pay them: AP Vendors in ERP, and Payments in bank"

test_flags[note] if {
	some note, case in {
		"over two systems, by name": {"subject": both, "found": ["pay-vendor", text]},
		"on leave": {"subject": example.changed(both, {"set": {"person": {"status": "leave"}}}), "found": ["pay-vendor", text]},
		"by tag, in whatever case": {"subject": holding([erp("X", ["Vendor-Master"]), erp("Y", ["payment-run", "other"])]), "found": ["pay-vendor", "Ada Byron can keep vendors and pay them: X in ERP, and Y in ERP"]},
		"several ways are one finding": {"subject": holding([erp("X", ["vendor-master"]), erp("Y", ["payment-run"]), bank("pay all")]), "found": ["pay-vendor", "Ada Byron can keep vendors and pay them: X in ERP, and Y in ERP or pay all in bank"]},
		"in one entitlement": {"subject": holding([erp("AP", ["vendor-master", "payment-run"])]), "found": ["pay-vendor", "Ada Byron can keep vendors and pay them: AP in ERP, and AP in ERP"]},
		"through a group": {"subject": holding([erp("AP Vendors", []), object.union(bank("Payments"), {"direct": false, "depth": 2})]), "found": ["pay-vendor", text]},
		"by id and resource": {"subject": holding([object.union(erp("Repo", []), {"entitlement": {"resource": "code/app"}}), object.union(erp("D", []), {"entitlement": {"id": "deployer"}})]), "found": ["ship", "Ada Byron can write code and ship it: Repo in ERP, and D in ERP"]},
		"nameless": {"subject": holding([example.changed(erp("X", ["vendor-master"]), {"remove": ["/entitlement/name"]}), erp("Y", ["payment-run"])]), "found": ["pay-vendor", "Ada Byron can keep vendors and pay them: id-X in ERP, and Y in ERP"]},
	}
	found := conflict.findings with input as case.subject with data.tables["SOD-01"] as matrix
	{[f.key, f.message] | some f in found} == {case.found}
}

test_passes_over[note] if {
	some note, subject in {
		"one side": holding([erp("AP Vendors", []), erp("AP Vendor Reports", [])]),
		"the other side in another system": holding([erp("AP Vendors", []), erp("Payments", [])]),
		"the account is disabled": example.changed(both, {"set": {"accounts": [{"source": "erp", "id": "1", "enabled": true}, {"source": "bank", "id": "7", "enabled": false}]}}),
		"unknown whether the account is enabled": example.changed(both, {"set": {"accounts": [{"source": "erp", "id": "1", "enabled": true}, {"source": "bank", "id": "7"}]}}),
		"an account of that id in another system": example.changed(both, {"set": {"accounts": [{"source": "erp", "id": "1", "enabled": true}, {"source": "erp", "id": "7", "enabled": true}]}}),
		"grants unread": example.changed(both, {"remove": ["/grants"]}),
		"accounts unknown": example.changed(both, {"remove": ["/accounts"]}),
		"a leaver is the matter of LVR-01": example.changed(both, {"set": {"person": {"status": "ended"}}}),
		"unknown status": example.changed(both, {"remove": ["/person/status"]}),
		"tags unread": holding([example.changed(erp("X", []), {"remove": ["/entitlement/tags"]}), erp("Y", ["payment-run"])]),
	}
	conflict.findings == set() with input as subject with data.tables["SOD-01"] as matrix
}

test_by_system_and_by_any_resource if {
	conflicts := {
		"two-systems": {"title": "use both systems", "first": [{"source": "bank"}], "second": [{"source": "ERP"}]},
		"bare": {"title": "use what has no resource", "first": [{"resource": "*", "source": "erp"}], "second": [{"resource": ""}]},
		"neither": {"title": "use neither", "first": [{"source": "crm"}], "second": [{"source": "bank"}]},
	}
	found := conflict.findings with input as both with data.tables["SOD-01"] as {"conflicts": conflicts}
	{f.key | some f in found} == {"two-systems", "bare"}
}

# The table that comes with the rule goes by tags.
test_the_shipped_table_works[id] if {
	some id, rule in data.tables["SOD-01"].conflicts
	subject := holding([erp("X", [rule.first[0].tag]), erp("Y", [rule.second[0].tag])])
	found := conflict.findings with input as subject
	id in {f.key | some f in found}
}

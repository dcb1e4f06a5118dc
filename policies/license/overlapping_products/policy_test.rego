package lapse.license.overlapping_products_test

import rego.v2

import data.lapse.example
import data.lapse.license.overlapping_products

overlaps := {"overlaps": {
	"chat": {"title": "team chat", "products": ["Slack*", "Teams*", "WEBEX"]},
	"diagrams": {"title": "diagrams", "products": ["Visio*", "Lucid*"]},
}}

slack := {"source": "slack", "account_id": "1", "sku": "SLK-PRO", "product": "Slack Pro", "cost_month": 8.75, "currency": "USD"}

teams := {"source": "entra", "account_id": "2", "sku": "TEAMS", "cost_month": 4.1, "currency": "USD"}

having(seats) := example.changed(example.person, {"set": {
	"accounts": [{"source": "slack", "id": "1", "enabled": true}, {"source": "entra", "id": "2", "enabled": true}],
	"seats": seats,
}})

both := having([slack, teams])

test_flags[note] if {
	some note, case in {
		"two products": {"subject": both, "found": ["chat", 4.1, "Ada Byron has paid seats of 2 products for team chat: Slack Pro at 8.75 USD a month, TEAMS at 4.1 USD a month"]},
		"on leave": {"subject": example.changed(both, {"set": {"person": {"status": "leave"}}}), "found": ["chat", 4.1, "Ada Byron has paid seats of 2 products for team chat: Slack Pro at 8.75 USD a month, TEAMS at 4.1 USD a month"]},
		"by SKU, price unknown": {"subject": having([slack, {"source": "entra", "account_id": "2", "sku": "webex"}]), "found": ["chat", null, "Ada Byron has paid seats of 2 products for team chat: Slack Pro at 8.75 USD a month, webex"]},
		"by SKU, though it has a name": {"subject": having([slack, object.union(teams, {"product": "Chat"})]), "found": ["chat", 4.1, "Ada Byron has paid seats of 2 products for team chat: Chat at 4.1 USD a month, Slack Pro at 8.75 USD a month"]},
		"two currencies": {"subject": having([slack, object.union(teams, {"currency": "EUR"})]), "found": ["chat", null, "Ada Byron has paid seats of 2 products for team chat: Slack Pro at 8.75 USD a month, TEAMS at 4.1 EUR a month"]},
		"unknown whether the accounts are enabled": {"subject": example.changed(both, {"remove": ["/accounts"]}), "found": ["chat", 4.1, "Ada Byron has paid seats of 2 products for team chat: Slack Pro at 8.75 USD a month, TEAMS at 4.1 USD a month"]},
	}
	found := overlapping_products.findings with input as case.subject with data.tables["LIC-04"] as overlaps
	{[f.key, object.get(f, "cost_month", null), f.message] | some f in found} == {case.found}
}

test_passes_over[note] if {
	some note, subject in {
		"one product": having([slack]),
		"two seats of one product": having([slack, object.union(slack, {"sku": "SLK-PLUS", "product": "Slack Plus"})]),
		"products that do different things": having([slack, object.union(teams, {"sku": "VISIO"})]),
		"one of them is free": having([slack, object.union(teams, {"cost_month": 0})]),
		"one of the accounts is disabled": example.changed(both, {"set": {"accounts": [{"source": "entra", "id": "2", "enabled": false}]}}),
		"seats unread": example.changed(both, {"remove": ["/seats"]}),
		"a leaver is the matter of LIC-01": example.changed(both, {"set": {"person": {"status": "ended"}}}),
		"unknown status": example.changed(both, {"remove": ["/person/status"]}),
	}
	overlapping_products.findings == set() with input as subject with data.tables["LIC-04"] as overlaps
}

test_the_shipped_table_works if {
	subject := having([slack, object.union(teams, {"product": "Microsoft Teams Essentials"})])
	found := overlapping_products.findings with input as subject
	{f.key | some f in found} == {"team-chat"}
}

# Package lapse.example holds subjects that no rule has anything to say about, for tests to change one thing in.
package lapse.example

import rego.v2

run := {"id": 1, "time": "2026-11-23T02:00:00Z"}

source := {
	"uid": "corp-ad",
	"name": "Corp AD",
	"type": "ldap",
	"coverage": {
		"enabled": "full",
		"kind": "full",
		"last_login": "full",
		"owner": "full",
		"mfa": "full",
		"privileged": "full",
	},
}

# An account of an employee who works here and uses it.
account := {
	"run": run,
	"source": source,
	"account": {
		"id": "a-1",
		"username": "ada",
		"email": "ada@example.com",
		"name": "Ada Byron",
		"kind": "human",
		"enabled": true,
		"privileged": false,
		"break_glass": false,
		"mfa": true,
		"days_known": 100,
		"days_since_created": 800,
		"days_since_login": 2,
		"hours_since_login": 50,
		"never_logged_in": false,
		"used_after_end": false,
	},
	"link": {"method": "employee_id", "status": "linked", "days": 100},
	"person": {
		"id": "hr:1",
		"name": "Ada Byron",
		"email": "ada@example.com",
		"status": "active",
		"kind": "employee",
		"department": "Sales",
		"on_leave": false,
		"hours_since_start": 20000,
		"days_since_start": 833,
	},
	"manager": {"id": "hr:2", "name": "Mary", "status": "active"},
	"grants": [{
		"entitlement": {"id": "g-1", "name": "Sales", "kind": "group"},
		"direct": true,
		"depth": 0,
		"peer_share": 0.97,
		"peer_count": 30,
	}],
	"seats": [{
		"sku": "E5",
		"product": "Office E5",
		"cost_month": 57.5,
		"currency": "USD",
		"days_since_assigned": 400,
		"days_since_used": 3,
		"never_used": false,
	}],
}

# The account of somebody who left twelve days ago, disabled and stripped of its seats.
leaver := changed(account, {
	"set": {
		"account": {"enabled": false},
		"person": {"status": "ended", "hours_since_end": 290, "days_since_end": 12},
		"seats": [],
	},
})

# An account of nobody.
unlinked := changed(account, {
	"set": {"link": {"method": "none", "status": "unmatched"}},
	"remove": ["/person", "/manager"],
})

# A service account that somebody answers for.
service := changed(unlinked, {
	"set": {
		"account": {"username": "svc-backup", "kind": "service", "owner_id": "3"},
		"owner": {"id": "hr:3", "name": "Grace", "status": "active"},
	},
	"remove": ["/account/name", "/account/email"],
})

entitlement := {
	"run": run,
	"source": source,
	"entitlement": {"id": "g-1", "name": "Sales", "kind": "group", "owner_id": "3", "effective_members": 30},
	"owner": {"id": "hr:3", "name": "Grace", "status": "active"},
}

# An employee with one account in an app and nothing special.
person := {
	"run": run,
	"person": account.person,
	"accounts": [{
		"source": "crm",
		"source_name": "CRM",
		"id": "1",
		"username": "ada",
		"kind": "human",
		"enabled": true,
		"privileged": false,
		"days_known": 100,
	}],
	"grants": [],
	"seats": [],
}

license := {
	"run": run,
	"source": source,
	"license": {
		"sku": "E5",
		"product": "Office E5",
		"cost_month": 57.35,
		"currency": "USD",
		"purchased": 100,
		"assigned": 98,
		"unassigned": 2,
	},
}

# A source that was read in the night.
judged := {
	"run": run,
	"source": {
		"uid": "corp-ad",
		"name": "Corp AD",
		"type": "ldap",
		"roster": false,
		"status": "fresh",
		"age_hours": 1,
		"stale_nights": 0,
		"coverage": source.coverage,
		"previous_coverage": source.coverage,
		"counts": {"accounts": 120, "enabled": 100, "privileged": 2},
	},
}

# changed sets and then removes parts of a document.
changed(document, case) := json.remove(
	object.union(document, object.get(case, "set", {})),
	object.get(case, "remove", []),
)

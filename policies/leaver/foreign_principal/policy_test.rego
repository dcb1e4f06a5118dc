package lapse.leaver.foreign_principal_test

import rego.v2

import data.lapse.example
import data.lapse.leaver.foreign_principal

# Nobody knows of such an account what it is for, or whether the one that it stands for is enabled.
principal := example.changed(example.leaver, {
	"remove": ["/account/kind", "/account/enabled", "/account/email", "/account/days_since_login", "/account/never_logged_in", "/account/mfa"],
	"set": {
		"account": {"username": "S-1-5-21-1-2-3-1105", "attributes": {"object_class": "foreign_security_principal", "sid": "S-1-5-21-1-2-3-1105"}},
		"grants": [
			{"entitlement": {"id": "g-9", "name": "Partners", "privileged": false}, "direct": true, "depth": 0, "path": ["Partners"]},
			{"entitlement": {"id": "g-8", "name": "Everybody", "privileged": false}, "direct": false, "depth": 1, "path": ["Partners", "Everybody"]},
		],
	},
})

by_nesting := [
	{"entitlement": {"id": "g-9", "name": "Partners", "privileged": false}, "direct": true, "depth": 0, "path": ["Partners"]},
	{"entitlement": {"id": "g-1", "name": "Domain Admins", "privileged": true}, "direct": false, "depth": 1, "path": ["Partners", "Domain Admins"]},
]

test_flags[note] if {
	some note, case in {
		"in a group": {"severity": "medium", "message": "Ada Byron left 12 days ago, and S-1-5-21-1-2-3-1105, which stands in Corp AD for an account of theirs, is still in Partners"},
		"an administrator by nesting": {
			"set": {"account": {"privileged": true}, "grants": by_nesting}, "severity": "high",
			"message": "Ada Byron left 12 days ago, and S-1-5-21-1-2-3-1105, which stands in Corp AD for an account of theirs, is still in Partners, and so in Domain Admins through Partners",
		},
		"unknown since when": {"remove": ["/person/days_since_end", "/person/hours_since_end"], "severity": "medium", "message": "Ada Byron has left, and S-1-5-21-1-2-3-1105, which stands in Corp AD for an account of theirs, is still in Partners"},
		"a contractor": {"set": {"person": {"kind": "contractor"}}, "severity": "medium", "message": "Ada Byron left 12 days ago, and S-1-5-21-1-2-3-1105, which stands in Corp AD for an account of theirs, is still in Partners"},
		"disabled in the directory": {"set": {"directory": {"id": "d-1", "source": "partner-ad", "enabled": false}}, "severity": "medium", "message": "Ada Byron left 12 days ago, and S-1-5-21-1-2-3-1105, which stands in Corp AD for an account of theirs, is still in Partners"},
	}
	subject := example.changed(principal, case)
	found := foreign_principal.findings with input as subject
	{{"severity": finding.severity, "message": finding.message} | some finding in found} == {{"severity": case.severity, "message": case.message}}
}

test_passes_over[note] if {
	some note, case in {
		"who works here": {"set": {"person": {"status": "active"}}},
		"on leave": {"set": {"person": {"status": "leave", "on_leave": true}}},
		"unknown status": {"remove": ["/person/status"]},
		"in no group": {"set": {"grants": []}},
		"grants unread": {"remove": ["/grants"]},
		"nobody's": {"remove": ["/person"], "set": {"link": {"status": "unmatched", "method": "none"}}},
		"disputed": {"set": {"link": {"status": "disputed"}}},
		"an account of the directory itself": {"set": {"account": {"attributes": {"object_class": "user"}}}},
		"no attributes": {"remove": ["/account/attributes"]},
	}
	subject := example.changed(principal, case)
	foreign_principal.findings == set() with input as subject
}

test_delay_is_a_parameter if {
	foreign_principal.findings == set() with input as principal with data.params["LVR-09"].delay_days as 13
}

package {{.Package}}_test

import rego.v2

import data.lapse.example
import {{.Data}}

account := {"source": "crm", "id": "1", "enabled": true}

person := {
	"run": {"id": 1, "time": "2026-11-23T02:00:00Z"},
	"person": {"id": "hr:1", "name": "Ada Byron", "status": "active"},
	"accounts": [account | some _ in numbers.range(1, 10)],
}

test_flags if {
	found := {{.Name}}.findings with input as person
	{finding.message | some finding in found} == {"Ada Byron has 10 enabled accounts"}
}

test_passes_over[note] if {
	some note, case in {
		"fewer": {"set": {"accounts": [account]}},
		"disabled ones": {"set": {"accounts": [object.union(account, {"enabled": false}) | some _ in numbers.range(1, 10)]}},
		"has left": {"set": {"person": {"status": "ended"}}},
		"accounts unread": {"remove": ["/accounts"]},
		"unknown whether enabled": {"set": {"accounts": [object.remove(account, ["enabled"]) | some _ in numbers.range(1, 10)]}},
		"status unknown": {"remove": ["/person/status"]},
	}
	subject := example.changed(person, case)
	{{.Name}}.findings == set() with input as subject
}

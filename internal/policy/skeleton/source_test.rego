package {{.Package}}_test

import rego.v2

import data.lapse.example
import {{.Data}}

flagged := {
	"run": {"id": 1, "time": "2026-11-23T02:00:00Z"},
	"source": {"uid": "crm", "name": "CRM", "type": "file", "status": "stale", "stale_nights": 3},
}

test_flags if {
	found := {{.Name}}.findings with input as flagged
	{finding.message | some finding in found} == {"CRM has not been read for 3 nights"}
}

test_passes_over[note] if {
	some note, case in {
		"fewer": {"set": {"source": {"stale_nights": 2}}},
		"unknown how many": {"remove": ["/source/stale_nights"]},
	}
	subject := example.changed(flagged, case)
	{{.Name}}.findings == set() with input as subject
}

package {{.Package}}_test

import rego.v2

import data.lapse.example
import {{.Data}}

flagged := {
	"run": {"id": 1, "time": "2026-11-23T02:00:00Z"},
	"source": {"uid": "crm", "name": "CRM", "type": "file"},
	"license": {"sku": "E5", "product": "Office E5", "purchased": 30, "assigned": 20, "unassigned": 10},
}

test_flags if {
	found := {{.Name}}.findings with input as flagged
	{finding.message | some finding in found} == {"10 seats of Office E5 in CRM are paid for and nobody holds them"}
}

test_passes_over[note] if {
	some note, case in {
		"fewer": {"set": {"license": {"unassigned": 9}}},
		"unknown how many were bought": {"remove": ["/license/unassigned"]},
	}
	subject := example.changed(flagged, case)
	{{.Name}}.findings == set() with input as subject
}

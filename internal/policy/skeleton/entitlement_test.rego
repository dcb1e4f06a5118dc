package {{.Package}}_test

import rego.v2

import data.lapse.example
import {{.Data}}

flagged := example.changed(example.entitlement, {"set": {"entitlement": {"privileged": true, "effective_members": 20}}})

test_flags if {
	found := {{.Name}}.findings with input as flagged
	{finding.message | some finding in found} == {"20 accounts hold the privileged group Sales in Corp AD"}
}

test_passes_over[note] if {
	some note, case in {
		"fewer": {"set": {"entitlement": {"effective_members": 19}}},
		"not privileged": {"set": {"entitlement": {"privileged": false}}},
		"unknown whether privileged": {"remove": ["/entitlement/privileged"]},
		"members unknown": {"remove": ["/entitlement/effective_members"]},
	}
	subject := example.changed(flagged, case)
	{{.Name}}.findings == set() with input as subject
}

package {{.Package}}_test

import rego.v2

import data.lapse.example
import {{.Data}}

flagged := example.changed(example.account, {"set": {"account": {"days_since_login": 60}}})

test_flags if {
	found := {{.Name}}.findings with input as flagged
	{finding.message | some finding in found} == {"ada in Corp AD of Ada Byron has not been used for 60 days"}
}

test_passes_over[note] if {
	some note, case in {
		"used": {"set": {"account": {"days_since_login": 59}}},
		"disabled": {"set": {"account": {"enabled": false}}},
		"a service account": {"set": {"account": {"kind": "service"}}},
		"last use unknown": {"remove": ["/account/days_since_login"]},
		"unknown whether enabled": {"remove": ["/account/enabled"]},
		"unknown kind": {"remove": ["/account/kind"]},
	}
	subject := example.changed(flagged, case)
	{{.Name}}.findings == set() with input as subject
}

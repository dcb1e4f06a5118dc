package lapse.directory.sid_history_test

import rego.v2

import data.lapse.directory.sid_history
import data.lapse.example

migrated := example.changed(example.account, {"set": {"account": {"attributes": {"sid": "S-1-5-21-1-2-3-1104", "sid_history": "S-1-5-21-9-9-9-500"}}}})

text := "the account ada in Corp AD of Ada Byron carries other SIDs (sIDHistory): it has what these have, in no group"

test_flags[note] if {
	some note, case in {
		"a person's account": {"message": text},
		"disabled, kind unknown": {"set": {"account": {"enabled": false}}, "remove": ["/account/kind", "/account/attributes/sid"], "message": text},
		"a privileged one of nobody": {"set": {"account": {"privileged": true}}, "remove": ["/person", "/account/enabled"], "message": "the privileged account ada in Corp AD carries other SIDs (sIDHistory): it has what these have, in no group"},
	}
	subject := example.changed(migrated, case)
	found := sid_history.findings with input as subject
	{finding.message | some finding in found} == {case.message}
}

test_passes_over[note] if {
	some note, case in {
		"none": {"set": {"account": {"attributes": {"sid_history": ""}}}},
		"unknown": {"remove": ["/account/attributes/sid_history"]},
		"attributes unread": {"remove": ["/account/attributes"]},
	}
	subject := example.changed(migrated, case)
	sid_history.findings == set() with input as subject
}

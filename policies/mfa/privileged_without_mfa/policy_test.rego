package lapse.mfa.privileged_without_mfa_test

import rego.v2

import data.lapse.example
import data.lapse.mfa.privileged_without_mfa

open_door := example.changed(example.account, {"set": {"account": {"privileged": true, "mfa": false}}})

test_flags[note] if {
	some note, case in {
		"a person's account": {"message": "the privileged account ada in Corp AD of Ada Byron has no second factor"},
		"nobody's account": {"remove": ["/person"], "message": "the privileged account ada in Corp AD has no second factor"},
		"on leave": {"set": {"person": {"status": "leave", "on_leave": true}}, "message": "the privileged account ada in Corp AD of Ada Byron has no second factor"},
	}
	subject := example.changed(open_door, case)
	found := privileged_without_mfa.findings with input as subject
	{finding.message | some finding in found} == {case.message}
}

test_passes_over[note] if {
	some note, case in {
		"with a second factor": {"set": {"account": {"mfa": true}}},
		"unknown whether it has one": {"remove": ["/account/mfa"]},
		"not privileged": {"set": {"account": {"privileged": false}}},
		"unknown privilege": {"remove": ["/account/privileged"]},
		"disabled": {"set": {"account": {"enabled": false}}},
		"a service account": {"set": {"account": {"kind": "service"}}},
		"a shared account": {"set": {"account": {"kind": "shared"}}},
		"unknown kind": {"remove": ["/account/kind"]},
	}
	subject := example.changed(open_door, case)
	privileged_without_mfa.findings == set() with input as subject
}

package lapse.leaver.high_risk_person_test

import rego.v2

import data.lapse.example
import data.lapse.leaver.high_risk_person

risky := example.changed(example.account, {"set": {"person": {"high_risk": true}}})

test_flags[note] if {
	some note, case in {
		"an employee": {"message": "Ada Byron is named as a high risk, and the account ada in Corp AD can still sign in"},
		"a privileged account": {"set": {"account": {"privileged": true}}, "message": "Ada Byron is named as a high risk, and the privileged account ada in Corp AD can still sign in"},
		"on leave": {"set": {"person": {"status": "leave", "on_leave": true}}, "message": "Ada Byron is named as a high risk, and the account ada in Corp AD can still sign in"},
		"unknown status": {"remove": ["/person/status"], "message": "Ada Byron is named as a high risk, and the account ada in Corp AD can still sign in"},
	}
	subject := example.changed(risky, case)
	found := high_risk_person.findings with input as subject
	{finding.message | some finding in found} == {case.message}
}

test_passes_over[note] if {
	some note, case in {
		"no risk": {"set": {"person": {"high_risk": false}}},
		"unknown": {"remove": ["/person/high_risk"]},
		"a leaver is the matter of LVR-01": {"set": {"person": {"status": "ended"}}},
		"disabled": {"set": {"account": {"enabled": false}}},
		"unknown whether enabled": {"remove": ["/account/enabled"]},
		"a service account": {"set": {"account": {"kind": "service"}}},
		"unknown kind": {"remove": ["/account/kind"]},
		"a disputed link": {"set": {"link": {"status": "disputed"}}},
		"nobody": {"remove": ["/person"]},
	}
	subject := example.changed(risky, case)
	high_risk_person.findings == set() with input as subject
}

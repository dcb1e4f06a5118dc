package lapse.leaver.disabled_in_directory_test

import rego.v2

import data.lapse.example
import data.lapse.leaver.disabled_in_directory

left_behind := example.changed(example.account, {"set": {
	"source": {"uid": "crm", "name": "CRM"},
	"directory": {"id": "d-1", "source": "corp-ad", "username": "abyron", "enabled": false, "days_since_disabled": 0},
}})

test_flags[note] if {
	some note, case in {
		"an account": {"message": "the directory account abyron of Ada Byron has been disabled for 0 days, and the account ada in CRM can still sign in"},
		"on leave": {"set": {"person": {"status": "leave", "on_leave": true}}, "message": "the directory account abyron of Ada Byron has been disabled for 0 days, and the account ada in CRM can still sign in"},
		"unknown status": {"remove": ["/person/status"], "message": "the directory account abyron of Ada Byron has been disabled for 0 days, and the account ada in CRM can still sign in"},
		"unknown since when": {"remove": ["/directory/days_since_disabled", "/directory/username"], "message": "the directory account d-1 of Ada Byron is disabled, and the account ada in CRM can still sign in"},
		"a privileged account": {"set": {"account": {"privileged": true}}, "message": "the directory account abyron of Ada Byron has been disabled for 0 days, and the privileged account ada in CRM can still sign in"},
	}
	subject := example.changed(left_behind, case)
	found := disabled_in_directory.findings with input as subject
	{finding.message | some finding in found} == {case.message}
}

test_passes_over[note] if {
	some note, case in {
		"enabled there": {"set": {"directory": {"enabled": true}}},
		"unknown whether enabled there": {"remove": ["/directory/enabled"]},
		"no directory account": {"remove": ["/directory"]},
		"another account of the directory": {"set": {"source": {"uid": "corp-ad"}}},
		"a leaver is the matter of LVR-01": {"set": {"person": {"status": "ended"}}},
		"disabled": {"set": {"account": {"enabled": false}}},
		"unknown whether enabled": {"remove": ["/account/enabled"]},
		"a service account": {"set": {"account": {"kind": "service"}}},
		"a shared account": {"set": {"account": {"kind": "shared"}}},
		"unknown kind": {"remove": ["/account/kind"]},
		"a disputed link": {"set": {"link": {"status": "disputed"}}},
	}
	subject := example.changed(left_behind, case)
	disabled_in_directory.findings == set() with input as subject
}

test_delay_is_a_parameter if {
	disabled_in_directory.findings == set() with input as left_behind with data.params["LVR-08"].delay_days as 1
}

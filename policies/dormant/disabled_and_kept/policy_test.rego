package lapse.dormant.disabled_and_kept_test

import rego.v2

import data.lapse.dormant.disabled_and_kept
import data.lapse.example

kept := example.changed(example.leaver, {"set": {"account": {"days_since_disabled": 180}}})

test_flags[note] if {
	some note, case in {
		"a leaver's account": {"message": "ada in Corp AD of Ada Byron has been disabled for 180 days and is still there"},
		"nobody's account": {"remove": ["/person"], "message": "ada in Corp AD has been disabled for 180 days and is still there"},
		"a service account": {"set": {"account": {"kind": "service"}}, "message": "ada in Corp AD of Ada Byron has been disabled for 180 days and is still there"},
		"with a mailbox of its own": {"set": {"account": {"mailbox_type": "user"}}, "message": "ada in Corp AD of Ada Byron has been disabled for 180 days and is still there"},
		"on leave: excluded by its METADATA": {"set": {"person": {"status": "leave", "on_leave": true}}, "message": "ada in Corp AD of Ada Byron has been disabled for 180 days and is still there"},
		"an ordinary account of a domain": {"set": {"account": {"attributes": {"rid": "1104"}}}, "message": "ada in Corp AD of Ada Byron has been disabled for 180 days and is still there"},
	}
	subject := example.changed(kept, case)
	found := disabled_and_kept.findings with input as subject
	{finding.message | some finding in found} == {case.message}
}

test_passes_over[note] if {
	some note, case in {
		"not for long": {"set": {"account": {"days_since_disabled": 179}}},
		"unknown since when": {"remove": ["/account/days_since_disabled"]},
		"enabled": {"set": {"account": {"enabled": true}}},
		"unknown whether enabled": {"remove": ["/account/enabled"]},
		"a shared mailbox": {"set": {"account": {"mailbox_type": "shared"}}},
		"a room": {"set": {"account": {"mailbox_type": "room"}}},
		"a held mailbox": {"set": {"account": {"legal_hold": true}}},
		"a shared account": {"set": {"account": {"kind": "shared"}}},
		"krbtgt": {"set": {"account": {"kind": "service", "attributes": {"rid": "502"}}}},
		"unknown kind": {"remove": ["/account/kind"]},
	}
	subject := example.changed(kept, case)
	disabled_and_kept.findings == set() with input as subject
}

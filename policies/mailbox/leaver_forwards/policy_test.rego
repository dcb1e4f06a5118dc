package lapse.mailbox.leaver_forwards_test

import rego.v2

import data.lapse.example
import data.lapse.mailbox.leaver_forwards

forwarding := example.changed(example.leaver, {"set": {"account": {"forwards_externally": true}}})

test_flags[note] if {
	some note, case in {
		"a leaver": {"message": "Ada Byron left 12 days ago, and the mailbox of ada in Corp AD still forwards to an address outside"},
		"a held mailbox": {"set": {"account": {"legal_hold": true}}, "message": "Ada Byron left 12 days ago, and the mailbox of ada in Corp AD still forwards to an address outside"},
		"made a shared mailbox": {"set": {"account": {"kind": "shared", "mailbox_type": "shared"}}, "message": "Ada Byron left 12 days ago, and the mailbox of ada in Corp AD still forwards to an address outside"},
		"unknown since when": {"remove": ["/person/days_since_end", "/person/hours_since_end", "/account/enabled"], "message": "Ada Byron has left, and the mailbox of ada in Corp AD still forwards to an address outside"},
	}
	subject := example.changed(forwarding, case)
	found := leaver_forwards.findings with input as subject
	{finding.message | some finding in found} == {case.message}
}

test_passes_over[note] if {
	some note, case in {
		"forwards within": {"set": {"account": {"forwards_externally": false}}},
		"unknown": {"remove": ["/account/forwards_externally"]},
		"still here": {"set": {"person": {"status": "active"}}},
		"on leave": {"set": {"person": {"status": "leave", "on_leave": true}}},
		"unknown status": {"remove": ["/person/status"]},
		"a service account": {"set": {"account": {"kind": "service"}}},
		"unknown kind": {"remove": ["/account/kind"]},
		"a disputed link": {"set": {"link": {"status": "disputed"}}},
		"nobody": {"remove": ["/person"]},
	}
	subject := example.changed(forwarding, case)
	leaver_forwards.findings == set() with input as subject
}

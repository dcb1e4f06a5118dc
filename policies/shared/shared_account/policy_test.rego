package lapse.shared.shared_account_test

import rego.v2

import data.lapse.example
import data.lapse.shared.shared_account

kiosk := example.changed(example.unlinked, {"set": {"account": {"username": "kasse1", "kind": "shared"}}})

generic := example.changed(example.unlinked, {"set": {"account": {"username": "Reception-02"}}})

test_flags[note] if {
	some note, case in {
		"a shared account": {"subject": kiosk, "message": "the account kasse1 in Corp AD is shared, and can sign in"},
		"a privileged one": {"subject": kiosk, "set": {"account": {"privileged": true}}, "message": "the privileged account kasse1 in Corp AD is shared, and can sign in"},
		"a break-glass account": {"subject": kiosk, "set": {"account": {"break_glass": true}}, "message": "the account kasse1 in Corp AD is shared, and can sign in"},
		"somebody answers for it": {"subject": kiosk, "set": {"account": {"owner_id": "3", "purpose": "till"}}, "message": "the account kasse1 in Corp AD is shared, and can sign in"},
		"a shared mailbox with a login": {"subject": kiosk, "set": {"account": {"mailbox_type": "shared"}}, "message": "the account kasse1 in Corp AD is shared, and can sign in"},
		"a generic name": {"subject": generic, "message": "the account Reception-02 in Corp AD has the name of a purpose and not of a person, and can sign in"},
	}
	subject := example.changed(case.subject, case)
	found := shared_account.findings with input as subject
	{finding.message | some finding in found} == {case.message}
}

test_passes_over[note] if {
	some note, case in {
		"a shared mailbox without a login": {"subject": kiosk, "set": {"account": {"mailbox_type": "shared", "enabled": false}}},
		"unknown whether enabled": {"subject": kiosk, "remove": ["/account/enabled"]},
		"a service account": {"subject": kiosk, "set": {"account": {"kind": "service"}}},
		"unknown kind": {"subject": generic, "remove": ["/account/kind"]},
		"a person's name": {"subject": generic, "set": {"account": {"username": "ada"}}},
		"a name that only begins so": {"subject": generic, "set": {"account": {"username": "testa"}}},
		"somebody's own account": {"subject": generic, "set": {"link": {"status": "linked"}}},
		"a disputed link": {"subject": generic, "set": {"link": {"status": "disputed"}}},
		"no name": {"subject": generic, "remove": ["/account/username"]},
	}
	subject := example.changed(case.subject, case)
	shared_account.findings == set() with input as subject
}

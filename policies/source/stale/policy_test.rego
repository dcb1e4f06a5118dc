package lapse.source.stale_test

import rego.v2

import data.lapse.example
import data.lapse.source.stale

test_flags[note] if {
	some note, case in {
		"stale": {"set": {"source": {"status": "stale", "stale_nights": 2, "age_hours": 49}}, "found": ["stale", "Corp AD has been overdue for 2 nights: what is known of it is 49 hours old"]},
		"an export that is overdue": {"set": {"source": {"status": "stale", "stale_nights": 2, "age_hours": 2209}}, "found": ["stale", "Corp AD has been overdue for 2 nights: what is known of it is 92 days old"]},
		"quarantined": {"set": {"source": {"status": "quarantined", "stale_nights": 3, "age_hours": 73}}, "found": ["stale", "Corp AD could not be read for 3 nights: what is known of it is 73 hours old"]},
		"never read": {"set": {"source": {"status": "quarantined", "stale_nights": 2}}, "remove": ["/source/age_hours", "/source/coverage", "/source/previous_coverage"], "found": ["stale", "Corp AD could not be read for 2 nights"]},
		"a lost signal": {"set": {"source": {"coverage": {"last_login": "none"}}}, "found": ["coverage:last_login", "Corp AD no longer gives last login, which it did within its last seven snapshots"]},
		"a lost signal that was given for some": {"set": {"source": {"coverage": {"last_login": "none"}, "previous_coverage": {"last_login": "partial"}}}, "found": ["coverage:last_login", "Corp AD no longer gives last login, which it did within its last seven snapshots"]},
	}
	subject := example.changed(example.judged, case)
	found := stale.findings with input as subject
	{[f.key, f.message] | some f in found} == {case.found}
}

test_passes_over[note] if {
	some note, case in {
		"fresh": {},
		"one night": {"set": {"source": {"status": "stale", "stale_nights": 1}}},
		"nights unknown": {"remove": ["/source/stale_nights"]},
		"never given": {"set": {"source": {"coverage": {"mfa": "none"}, "previous_coverage": {"mfa": "none"}}}},
		"given for some now": {"set": {"source": {"coverage": {"mfa": "partial"}}}},
		"the first snapshot": {"set": {"source": {"coverage": {"mfa": "none"}}}, "remove": ["/source/previous_coverage"]},
		"no coverage measured": {"remove": ["/source/coverage"]},
	}
	subject := example.changed(example.judged, case)
	stale.findings == set() with input as subject
}

# METADATA
# title: A source is stale or lost a signal
# description: A system could not be read for two nights in a row, its export is overdue, or it no longer gives something that rules go by. What can't be seen is not clean.
# scope: package
# custom:
#   id: SRC-01
#   subject: source
#   severity: high
#   controls: ["NIST-800-53r5:CA-7", "ISO-27001:2022:A.8.16"]
#   action: none
#   assignee: security
#   params: {nights: 2}
#   enabled: false
#   needs: [source.stale_nights|source.previous_coverage]
package lapse.source.stale

import rego.v2

import data.lapse.lib

findings contains {"key": "stale", "message": message, "evidence": evidence} if {
	input.source.stale_nights >= data.params["SRC-01"].nights
	message := sprintf("%s %s for %s%s", [
		input.source.name,
		trouble,
		lib.some_of(input.source.stale_nights, "night"),
		age,
	])
	evidence := json.filter(input, ["source/status", "source/stale_nights", "source/age_hours"])
}

findings contains {"key": concat(":", ["coverage", signal]), "severity": "medium", "message": message, "evidence": evidence} if {
	some signal, before in input.source.previous_coverage
	before in {"full", "partial"}
	input.source.coverage[signal] == "none"
	message := sprintf("%s no longer gives %s, which it did within its last seven snapshots", [
		input.source.name,
		replace(signal, "_", " "),
	])
	evidence := {"signal": signal, "before": before, "now": "none"}
}

default trouble := "could not be read"

trouble := "has been overdue" if input.source.status == "stale"

default age := ""

age := sprintf(": what is known of it is %s old", [lib.hours(input.source.age_hours)]) if input.source.age_hours < 240

age := sprintf(": what is known of it is %s old", [lib.days(floor(input.source.age_hours / 24))]) if input.source.age_hours >= 240

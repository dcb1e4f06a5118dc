# METADATA
# title: A leaver keeps access in another directory
# description: A person has left, and a foreign security principal that stands for an account of theirs is still in groups of another directory. That account may be disabled by now; if it is enabled again, the access is back.
# scope: package
# custom:
#   id: LVR-09
#   subject: account
#   severity: medium
#   controls: ["PCI-DSS-4.0:8.2.5", "CIS-8.1:6.2", "NIST-800-53r5:PS-4", "ISO-27001:2022:A.5.18", "SOC2:CC6.3"]
#   action: review
#   assignee: security
#   params: {delay_days: 0}
#   enabled: false
#   scope: {link.status: linked, person.status: ended}
#   needs: [person.status, grants]
package lapse.leaver.foreign_principal

import rego.v2

import data.lapse.lib

findings contains {"severity": severity, "message": message, "evidence": evidence} if {
	# lapse:allow unsaid-need: absent for every account that is a person's own in its directory, which is the usual case
	input.account.attributes.object_class == "foreign_security_principal"
	input.person.status == "ended"
	input.link.status == "linked"
	count(input.grants) > 0
	overdue
	message := sprintf("%s %s, and %s, which stands in %s for an account of theirs, is still in %s%s", [
		lib.person_name,
		lib.left,
		lib.account_name,
		input.source.name,
		concat(", ", sort(groups)),
		administers,
	])
	facts := {"grants": [json.filter(grant, ["entitlement", "direct", "path"]) | some grant in telling]}
	evidence := object.union(facts, json.filter(input, [
		"account/privileged",
		"link/method",
		"person/kind",
		"person/status",
		"person/days_since_end",
		"directory",
	]))
}

overdue if input.person.days_since_end >= data.params["LVR-09"].delay_days

# Nobody knows how long ago: it may be years.
overdue if not input.person.days_since_end

default severity := "medium"

severity := "high" if input.account.privileged

# What it is in itself, and what gives it administrative rights.
telling contains grant if {
	some grant in input.grants
	grant.direct
}

telling contains grant if {
	some grant in input.grants
	grant.entitlement.privileged
}

groups contains lib.grant_name(grant) if {
	some grant in input.grants
	grant.direct
}

default administers := ""

administers := sprintf(", and so in %s", [concat(", ", sort(reached))]) if count(reached) > 0

reached contains concat("", [lib.grant_name(grant), lib.by_path(grant)]) if {
	some grant in input.grants
	not grant.direct
	grant.entitlement.privileged
}

# METADATA
# title: Conflicting duties
# description: One person holds entitlements that nobody may hold together, in one system or over several. Which these are stands in data.yaml; tags and names that the systems don't give find nothing.
# scope: package
# custom:
#   id: SOD-01
#   subject: person
#   severity: high
#   controls: ["NIST-800-53r5:AC-5", "ISO-27001:2022:A.5.3", "SOC2:CC6.3", "CMMC-2.0:AC.L2-3.1.4", "SOX ITGC: logical access"]
#   action: review
#   assignee: manager
#   enabled: false
#   scope: {person.status: [active, leave]}
#   needs: [grants, accounts.enabled]
package lapse.duties.conflict

import rego.v2

import data.lapse.lib

findings contains {"key": id, "message": message, "evidence": evidence} if {
	input.person.status in {"active", "leave"}
	some id, conflict in data.tables["SOD-01"].conflicts

	# What most people don't have even a part of, before all that they hold is gathered.
	some one in conflict.first
	some part, pattern in one
	in_reach(part, pattern)
	some other in conflict.second
	some beside, text in other
	in_reach(beside, text)
	first := matching(conflict.first)
	count(first) > 0
	second := matching(conflict.second)
	count(second) > 0
	message := sprintf("%s can %s: %s, and %s", [
		lib.person_name,
		conflict.title,
		concat(" or ", sort([label(entitlement) | some entitlement in first])),
		concat(" or ", sort([label(entitlement) | some entitlement in second])),
	])
	evidence := {
		"conflict": id,
		"first": [json.remove(entitlement, ["folded"]) | some entitlement in first],
		"second": [json.remove(entitlement, ["folded"]) | some entitlement in second],
	}
}

# What the person's enabled accounts hold, by whatever path.
held contains entitlement if {
	some grant in input.grants
	some account in input.accounts
	account.id == grant.account_id
	account.source == grant.source
	account.enabled
	entitlement := {
		"source": grant.source,
		"source_name": object.get(account, "source_name", grant.source),
		"id": grant.entitlement.id,
		"name": lib.grant_name(grant),
		"resource": object.get(grant.entitlement, "resource", ""),
		"folded": {
			"source": {lower(grant.source)},
			"entitlement": {lower(grant.entitlement.id), lower(lib.grant_name(grant))},
			"resource": {lower(object.get(grant.entitlement, "resource", ""))},
			"tag": {lower(tag) | some tag in grant.entitlement.tags},
		},
	}
}

matching(side) := {entitlement |
	some entitlement in held
	some matcher in side
	every part, pattern in matcher {
		some text in entitlement.folded[part]
		like(lower(pattern), text)
	}
}

# Whatever a matcher gives beside each other, who holds an entitlement that it fits has each of these somewhere.
in_reach("tag", pattern) if {
	some tag in tags
	like(lower(pattern), tag)
}

in_reach("entitlement", pattern) if {
	some name in names
	like(lower(pattern), name)
}

in_reach("resource", pattern) if {
	some resource in resources
	like(lower(pattern), resource)
}

in_reach("source", pattern) if {
	some source in sources
	like(lower(pattern), source)
}

tags contains lower(tag) if {
	some grant in input.grants
	some tag in grant.entitlement.tags
}

names contains lower(grant.entitlement.id) if some grant in input.grants

names contains lower(name) if {
	some grant in input.grants
	name := grant.entitlement.name
}

resources contains lower(resource) if {
	some grant in input.grants
	resource := grant.entitlement.resource
}

# An entitlement without a resource has an empty one.
resources contains "" if {
	some grant in input.grants
	not grant.entitlement.resource
}

sources contains lower(grant.source) if some grant in input.grants

like(pattern, text) if pattern == text

like(pattern, text) if {
	contains(pattern, "*")
	glob.match(pattern, null, text)
}

label(entitlement) := sprintf("%s in %s", [entitlement.name, entitlement.source_name])

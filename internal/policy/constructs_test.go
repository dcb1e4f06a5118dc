package policy

import (
	"fmt"
	"strings"
	"testing"
)

// construct is a rule made of one construct of Rego. Its body may use params.limit (30), params.share (0.05), params.kinds,
// params.ids and params.none.
type construct struct {
	name string
	lane Lane // that it is to be evaluated in; "" where that may change with OPA
	body string
	rest string // helper rules
}

const elseName = `name := input.account.username if true

else := input.account.email if true

else := input.account.id if true

`

var constructs = []construct{
	{name: "bool", lane: LaneComplete, body: `input.account.enabled`},
	{name: "bool of an absent object", lane: LaneComplete, body: `input.person.on_leave`},
	{name: "bool true", lane: LaneComplete, body: `input.account.mfa == true`},
	{name: "bool false", lane: LaneComplete, body: `input.account.mfa == false`},
	{name: "bool not true", lane: LaneComplete, body: `input.account.mfa != true`},
	{name: "not bool", lane: LaneComplete, body: `not input.account.mfa`},
	{name: "not not bool", lane: LaneComplete, body: `not safe`, rest: `safe if not input.account.mfa`},
	{name: "default false", lane: LaneComplete, body: `known`, rest: "default known := false\nknown if input.account.enabled"},
	{name: "not default false", lane: LaneComplete, body: `not known`, rest: "default known := false\nknown if input.account.enabled"},
	{name: "else in a text", lane: LaneComplete, body: `some reason in reasons`, rest: elseName + `reasons contains sprintf("%s is off", [name]) if input.account.enabled == false`},
	{name: "else in a text of which there may be none", lane: LaneComplete, body: `count(reasons) > 0`, rest: `reasons contains sprintf("%s left", [who]) if input.account.enabled
who := input.person.email if input.person.on_leave

else := input.person.title if not input.person.manager_id

else := concat(" ", [input.manager.name, input.person.department]) if true
`},
	{name: "not else in a text", lane: LaneComplete, body: `not off`, rest: elseName + `off if some _ in reasons
reasons contains sprintf("%s is off", [name]) if input.account.mfa
`},
	{name: "else in a text after a default", lane: LaneComplete, body: `some reason in reasons`, rest: elseName + `default title := "none"
title := input.person.title
reasons contains sprintf("%s %s", [name, title]) if input.account.locked`},
	{name: "a rule with two values in a text", lane: LaneComplete, body: `some reason in reasons`, rest: `reasons contains sprintf("%s is off", [what]) if input.account.enabled
what := input.account.email if not input.account.username
what := input.account.username`},
	{name: "else that conflicts", lane: LaneFull, body: `not held`, rest: `held if p = x
p := input.account.days_since_login if { input.account.enabled } else := 3 if { input.account.mfa }
p := 2 if { not input.account.enabled }`},
	{name: "else that doesn't conflict", lane: LaneComplete, body: `not held`, rest: `held if p = x
p := input.account.days_since_login if { input.account.enabled } else := input.account.username if { input.account.enabled; input.account.mfa }
p := 2 if { not input.account.enabled }`},
	{name: "else that is compared", body: `name == "Beta"`, rest: elseName},
	{name: "else that is not compared", body: `not name == "Beta"`, rest: elseName},
	{name: "default true", body: `known`, rest: "default known := true\nknown := false if input.account.enabled"},
	{name: "bare text", lane: LaneComplete, body: `input.account.username`},
	{name: "bare object", lane: LaneComplete, body: `input.person`},
	{name: "not object", lane: LaneComplete, body: `not input.owner`},
	{name: "bare array", lane: LaneComplete, body: `input.grants`},
	{name: "not array", lane: LaneComplete, body: `not input.seats`},
	{name: "bare map", lane: LaneComplete, body: `input.account.attributes`},
	{name: "map key", lane: LaneComplete, body: `input.source.coverage.mfa == "full"`},
	{name: "map key absent", lane: LaneComplete, body: `not input.source.coverage.owner`},
	{name: "map key in", lane: LaneComplete, body: `input.source.coverage.last_login in {"full", "partial"}`},
	{name: "map key not in", lane: LaneComplete, body: `not input.source.coverage.last_login in {"full", "partial"}`},
	{name: "text", lane: LaneComplete, body: `input.account.username == "Beta"`},
	{name: "text of another alphabet", lane: LaneComplete, body: `input.account.username == "γ"`},
	{name: "odd texts", lane: LaneComplete, body: `input.account.username in {"it's", "a\tb\nc", "b\\s", "\"q\"", "{p1:String}", "%", "?", "\u0001", "x\u0000y"}`},
	{name: "an odd text", lane: LaneComplete, body: `input.account.username == "a\tb\nc"`},
	{name: "a NUL", lane: LaneComplete, body: `input.account.username == "x\u0000y"`},
	{name: "text not", lane: LaneComplete, body: `input.account.username != "Beta"`},
	{name: "not text", lane: LaneComplete, body: `not input.account.username == "Beta"`},
	{name: "not text not", lane: LaneComplete, body: `not input.account.username != "Beta"`},
	{name: "text order", lane: LaneComplete, body: `input.account.username < "a"`},
	{name: "not text order", lane: LaneComplete, body: `not input.account.username < "a"`},
	{name: "two fields", lane: LaneComplete, body: `input.person.department == input.manager.department`},
	{name: "two fields differ", lane: LaneComplete, body: `input.person.department != input.person.previous_department`},
	{name: "not two fields", lane: LaneComplete, body: `not input.person.department == input.person.previous_department`},
	{name: "two numbers", lane: LaneComplete, body: `input.account.days_since_login > input.account.days_since_password`},
	{name: "two booleans", lane: LaneComplete, body: `input.account.enabled == input.directory.enabled`},
	{name: "a number and a text", body: `input.account.days_since_login < input.account.username`},
	{name: "number", lane: LaneComplete, body: `input.account.days_since_login >= params.limit`},
	{name: "number turned", lane: LaneComplete, body: `params.limit < input.account.days_since_login`},
	{name: "number equal", lane: LaneComplete, body: `input.account.days_since_login == 30`},
	{name: "number not equal", lane: LaneComplete, body: `input.account.days_since_login != 30`},
	{name: "negative number", lane: LaneComplete, body: `input.account.days_until_expiry < -1`},
	{name: "fraction below", lane: LaneComplete, body: `input.account.days_until_expiry < -0.5`},
	{name: "fraction above", lane: LaneComplete, body: `input.account.days_until_expiry >= 6.5`},
	{name: "fraction equal", body: `input.account.days_until_expiry == 6.5`},
	{name: "not fraction equal", body: `not input.account.days_until_expiry == 6.5`},
	{name: "whole number with a point", lane: LaneComplete, body: `input.account.days_until_expiry >= 7.0`},
	{name: "beyond 2^53", lane: LaneComplete, body: `input.account.active_sessions > 9007199254740992`},
	{name: "equal beyond 2^53", lane: LaneComplete, body: `input.account.active_sessions == 9007199254740993`},
	{name: "the greatest number", lane: LaneComplete, body: `input.account.active_sessions >= 9223372036854775807`},
	{name: "beyond 64 bits", body: `input.account.active_sessions < 9223372036854775808`},
	{name: "not number", lane: LaneComplete, body: `not input.account.days_since_login >= params.limit`},
	{name: "not not number", lane: LaneComplete, body: `not old`, rest: `old if not input.account.days_since_login < 30`},
	{name: "order of types", body: `input.account.days_since_login < "5"`},
	{name: "not order of types", body: `not input.account.days_since_login < "5"`},
	{name: "order of types turned", body: `input.account.username > 5`},
	{name: "not equal null", body: `input.account.username != null`},
	{name: "in set", lane: LaneComplete, body: `input.account.kind in {"human", "guest"}`},
	{name: "in array", lane: LaneComplete, body: `input.account.kind in ["human", "guest"]`},
	{name: "in parameter", lane: LaneComplete, body: `input.account.kind in params.kinds`},
	{name: "in nothing", body: `input.account.kind in params.none`},
	{name: "not in nothing", body: `not input.account.kind in params.none`},
	{name: "not in set", lane: LaneComplete, body: `not input.account.kind in {"human", "guest"}`},
	{name: "not not in set", lane: LaneComplete, body: `not known`, rest: `known if not input.account.kind in {"human", "guest"}`},
	{name: "numbers in set", lane: LaneComplete, body: `input.account.days_since_login in {7, 30, 90}`},
	{name: "mixed set", lane: LaneComplete, body: `input.account.days_since_login in {7, "30", true, null, 0.5}`},
	{name: "parameter iterated", lane: LaneComplete, body: `some kind in params.kinds
	input.account.kind == kind`},
	{name: "parameter indexed", lane: LaneComplete, body: `input.account.kind == params.kinds[_]`},
	{name: "startswith", lane: LaneComplete, body: `startswith(input.account.username, "al")`},
	{name: "not startswith", lane: LaneComplete, body: `not startswith(input.account.username, "al")`},
	{name: "endswith", lane: LaneComplete, body: `endswith(input.account.username, "a")`},
	{name: "contains", lane: LaneComplete, body: `contains(input.account.username, "quo")`},
	{name: "contains nothing", lane: LaneComplete, body: `contains(input.account.username, "")`},
	{name: "lower", lane: LaneComplete, body: `lower(input.account.username) == "root"`},
	{name: "not lower", lane: LaneComplete, body: `not lower(input.account.username) == "root"`},
	{name: "not not lower", lane: LaneComplete, body: `not other`, rest: `other if not lower(input.account.username) == "root"`},
	{name: "lower of another alphabet", body: `lower(input.account.username) == "é"`},
	{name: "upper", body: `upper(input.account.username) == "ROOT"`},
	{name: "regex", lane: LaneComplete, body: "regex.match(`^(adm|root)`, input.account.username)"},
	{name: "regex to the end", lane: LaneComplete, body: "regex.match(`b.c$`, input.account.username)"},
	{name: "not regex", lane: LaneComplete, body: "not regex.match(`^[A-Z]`, input.account.username)"},
	{name: "not not regex", lane: LaneComplete, body: `not other`, rest: "other if not regex.match(`o+t`, input.account.username)"},
	{name: "regex with flags", body: "regex.match(`(?i)ROOT`, input.account.username)"},
	{name: "object.get", lane: LaneComplete, body: `object.get(input.account, "owner_id", "") == ""`},
	{name: "not object.get", lane: LaneComplete, body: `not object.get(input.account, "owner_id", "") == ""`},
	{name: "object.get of an absent object", lane: LaneComplete, body: `object.get(input.person, "status", "active") == "active"`},
	{name: "object.get of a number", lane: LaneComplete, body: `object.get(input.account, "days_since_login", 30) == 30`},
	{name: "object.get of a map", lane: LaneComplete, body: `object.get(input.account.attributes, "dn", "x") == "x"`},
	{name: "object.get of a path", body: `object.get(input, ["person", "status"], "ended") == "ended"`},
	{name: "object.get compared", body: `object.get(input.account, "days_since_created", input.account.days_known) >= 30`},
	{name: "lower in a set", lane: LaneComplete, body: `lower(input.account.username) in {"root", "beta", "é"}`},
	{name: "not lower in a set", lane: LaneComplete, body: `name := lower(input.account.username)
	not name in {"root", "beta"}`},
	{name: "not not lower in a set", lane: LaneComplete, body: `not odd`, rest: `odd if not lower(input.account.username) in {"root", "beta"}`},
	{name: "lower unlike", lane: LaneComplete, body: `lower(input.account.username) != "root"`},
	{name: "lower of two fields", lane: LaneComplete, body: `lower(input.account.username) == lower(input.account.mailbox_type)`},
	{name: "lower begins with", lane: LaneComplete, body: `startswith(lower(input.account.username), "ro")`},
	{name: "not lower begins with", lane: LaneComplete, body: `not startswith(lower(input.account.username), "ro")`},
	{name: "not not upper ends with", lane: LaneComplete, body: `not odd`, rest: `odd if not endswith(upper(input.account.username), "OT")`},
	{name: "regex of lower", lane: LaneComplete, body: "regex.match(`^ro+t$`, lower(input.account.username))"},
	{name: "lower of an element", lane: LaneComplete, body: `some g in input.grants
	contains(lower(g.entitlement.name), "a")`},
	{name: "lower of an element in a set", lane: LaneComplete, body: `every g in input.grants {
		name := lower(g.entitlement.name)
		not name in {"a", "alpha"}
	}`},
	{name: "lower of a comprehension", lane: "", body: `lower(input.account.username) in {lower(g.entitlement.name) | some g in input.grants}`},
	{name: "lower as a value", lane: LaneComplete, body: `name := lower(input.account.username)
	name > "m"
	name != "root"`},
	{name: "lower of lower", body: `lower(upper(input.account.username)) == "root"`},
	{name: "object.get below", lane: LaneComplete, body: `object.get(input.account, "days_since_created", 0) < 30`},
	{name: "not object.get below", lane: LaneComplete, body: `not object.get(input.account, "days_since_created", 0) < 30`},
	{name: "object.get or another", lane: LaneComplete, body: `object.get(input.account, "days_since_created", input.account.days_since_login) >= 30`},
	{name: "not object.get or another", lane: LaneComplete, body: `not object.get(input.account, "days_since_created", input.account.days_since_login) >= 30`},
	{name: "not not object.get or another", lane: LaneComplete, body: `not odd`, rest: `odd if not object.get(input.account, "days_since_created", input.account.days_since_login) >= 30`},
	{name: "object.get of an element", lane: LaneComplete, body: `some g in input.grants
	object.get(g, "days_since_used", g.days_known) > 30`},
	{name: "some of a comprehension", lane: LaneComplete, body: `count([g | some g in input.grants; g.direct]) > 0`},
	{name: "not some of a comprehension", lane: LaneComplete, body: `not count([g | some g in input.grants; g.direct]) > 0`},
	{name: "at least one", lane: LaneComplete, body: `count({g.entitlement.id | some g in input.grants; not g.direct}) >= 1`},
	{name: "less than one", lane: LaneComplete, body: `count({g.entitlement.id | some g in input.grants; not g.direct}) < 1`},
	{name: "a count unlike zero", lane: LaneComplete, body: `count({g.entitlement.name | some g in input.grants}) != 0`},
	{name: "a count and a fraction", lane: LaneComplete, body: `count([g | some g in input.grants; g.direct]) > 0.5`},
	{name: "a count and a text", lane: LaneComplete, body: `count([g | some g in input.grants; g.direct]) < "5"`},
	{name: "at least no element", lane: LaneComplete, body: `count([g | some g in input.grants; g.direct]) >= 0`},
	{name: "at least two", lane: LaneComplete, body: `count([g | some g in input.grants; g.direct]) >= 2`},
	{name: "not at least two", lane: LaneComplete, body: `not count([g | some g in input.grants; g.direct]) >= 2`},
	{name: "not not at least two", lane: LaneComplete, body: `not few`, rest: `few if not count([g | some g in input.grants; g.direct]) >= 2`},
	{name: "exactly two", lane: LaneComplete, body: `count([g | some g in input.grants; g.direct]) == 2`},
	{name: "not a count of none", lane: LaneComplete, body: `not none`, rest: `none if count([g | some g in input.grants; g.entitlement.high_risk]) == 0`},
	{name: "a count by an element", lane: LaneComplete, body: `some s in input.seats
	count([g | some g in input.grants; g.days_since_used == s.days_since_used]) == 0`},
	{name: "a count of absent values", lane: LaneComplete, body: `count([g.days_since_used | some g in input.grants]) == 0`},
	{name: "a count of objects with absent values", lane: "", body: `count([{"x": g.days_since_used} | some g in input.grants]) > 0`},
	{name: "some of a helper set", lane: LaneComplete, body: `count(direct) > 0`, rest: `direct contains g.entitlement.id if {
	some g in input.grants
	g.direct
}`},
	{name: "none of a helper set", lane: LaneComplete, body: `count(direct) == 0`, rest: `direct contains g.days_since_used if {
	some g in input.grants
	g.direct
}
direct contains g.sku if some g in input.seats`},
	{name: "is a number", lane: LaneComplete, body: `is_number(input.account.days_since_login)`},
	{name: "not a number", lane: LaneComplete, body: `not is_number(input.account.days_since_login)`},
	{name: "not a text", lane: "", body: `not is_string(input.account.days_since_login)`},
	{name: "a text that is made", lane: LanePartly, body: `some reason in reasons
	reason != ""`, rest: `reasons contains sprintf("%v days", [input.account.days_since_login]) if input.account.enabled`},
	{name: "not a text that is made", body: `count(reasons) == 0`, rest: `reasons contains sprintf("%v days", [input.account.days_since_login]) if input.account.enabled
reasons contains concat(" ", [input.account.username, "x"]) if input.account.locked`},
	{name: "a function that makes texts", body: `some seat in input.seats
	some text in idle(seat)
	text != "x"`, rest: `idle(seat) := {sprintf("%v", [seat.days_since_used])} if seat.days_since_used >= 30
idle(seat) := {"never"} if not seat.days_since_used`},
	{name: "not a function that makes texts", body: `every seat in input.seats { count(idle(seat)) == 0 }`, rest: `default idle(_) := set()
idle(seat) := {sprintf("%v", [seat.days_since_used])} if seat.days_since_used >= 30`},
	{name: "a value by either of two", lane: LaneComplete, body: `some g in input.grants
	age(g) > 30`, rest: `age(g) := g.days_since_granted if is_number(g.days_since_granted)
age(g) := g.days_known if not g.days_since_granted`},
	{name: "not a value by either of two", lane: LaneComplete, body: `some g in input.grants
	not age(g) > 30`, rest: `age(g) := g.days_since_granted if is_number(g.days_since_granted)
age(g) := g.days_known if not g.days_since_granted`},
	{name: "a sum of a field", body: `input.account.days_since_login + input.account.days_known > 60`},
	{name: "not a sum of a field", body: `not input.account.days_since_login + input.account.days_known > 60`},
	{name: "a division", body: `ceil((0 - input.person.hours_since_end) / 24) > 3`},
	{name: "some grant", lane: LaneComplete, body: `some g in input.grants
	g.direct`},
	{name: "some grant without more", lane: LaneComplete, body: `some _ in input.grants`},
	{name: "some nullable", lane: LaneComplete, body: `some g in input.grants
	g.approved`},
	{name: "some nullable not", lane: LaneComplete, body: `some g in input.grants
	not g.approved`},
	{name: "some nullable number", lane: LaneComplete, body: `some g in input.grants
	g.days_since_used > 30
	g.entitlement.high_risk`},
	{name: "some float", lane: LaneComplete, body: `some g in input.grants
	g.peer_share < params.share`},
	{name: "some float equal", lane: LaneComplete, body: `some g in input.grants
	g.peer_share == 0.0999`},
	{name: "some float in set", lane: LaneComplete, body: `some g in input.grants
	g.peer_share in {0, 0.05, 12}`},
	{name: "some float zero", lane: LaneComplete, body: `some g in input.grants
	g.peer_share == 0`},
	{name: "some float below zero", lane: LaneComplete, body: `some g in input.grants
	g.peer_share < 0`},
	{name: "some float with many digits", body: `some g in input.grants
	g.peer_share <= 0.05000000000000000001`},
	{name: "some float and whole number", lane: LaneComplete, body: `some s in input.seats
	s.cost_month >= 12`},
	{name: "float and int", body: `some g in input.grants
	g.peer_share < g.peer_count`},
	{name: "not some", lane: LaneComplete, body: `not risky`, rest: `risky if {
	some g in input.grants
	g.entitlement.high_risk
}`},
	{name: "not some not", lane: LaneComplete, body: `not odd`, rest: `odd if {
	some g in input.grants
	not g.direct
}`},
	{name: "not not some", lane: LaneComplete, body: `not calm`, rest: `calm if not risky
risky if {
	some g in input.grants
	g.entitlement.high_risk
}`},
	{name: "two grants", lane: LaneComplete, body: `some a in input.grants
	some b in input.grants
	a.entitlement.kind == "group"
	b.entitlement.privileged`},
	{name: "two grants compared", lane: LaneComplete, body: `some a in input.grants
	some b in input.grants
	a.entitlement.id != b.entitlement.id
	a.days_since_used == b.days_since_used`},
	{name: "pairs", lane: LaneComplete, body: `some pair in [["ent-0", "ent-1"], ["ent-0", "ent-2"], ["ent-1", "ent-3"]]
	some a in input.grants
	some b in input.grants
	a.entitlement.id == pair[0]
	b.entitlement.id == pair[1]`},
	{name: "many pairs", lane: LaneComplete, body: `some pair in [
		["ent-0", "sku-1"], ["ent-1", "sku-2"], ["ent-2", "sku-0"], ["ent-3", "sku-1"], ["ent-4", "sku-0"], ["ent-5", "sku-0"],
		["ent-6", "sku-0"], ["ent-7", "sku-0"], ["ent-8", "sku-0"], ["ent-9", "sku-0"], ["ent-10", "sku-3"], ["ent-11", "sku-2"],
	]
	some a in input.grants
	some b in input.seats
	a.entitlement.id == pair[0]
	b.sku == pair[1]`},
	{name: "ids of a parameter", lane: LaneComplete, body: `some g in input.grants
	g.entitlement.id in params.ids`},
	{name: "join", lane: LaneComplete, body: `some g in input.grants
	some s in input.seats
	g.days_since_used == s.days_since_used`},
	{name: "one index for two arrays", body: `some i
	input.grants[i].direct
	input.seats[i].never_used`},
	{name: "index compared", body: `some i, g in input.grants
	i > 0
	g.direct`},
	{name: "index of the first", body: `input.grants[0].direct`},
	{name: "index under not", body: `some i, _ in input.grants
	not input.grants[i].approved`},
	{name: "computed index under not", body: `some i in numbers.range(0, 1)
	not input.grants[i].direct`},
	{name: "counted index under not", body: `i := count(input.seats)
	not input.grants[i].direct`},
	{name: "counted index", body: `i := count(input.seats)
	input.grants[i].direct`},
	{name: "not counted index", body: `not there`, rest: `there if {
	i := count(input.seats)
	input.grants[i].direct
}`},
	{name: "not not counted index", body: `not absent`, rest: `absent if not there
there if {
	i := count(input.seats)
	input.grants[i].direct
}`},
	{name: "every", lane: LaneComplete, body: `every g in input.grants { g.direct }`},
	{name: "every nullable", lane: LaneComplete, body: `every g in input.grants { g.approved }`},
	{name: "not every", lane: LaneComplete, body: `not fine`, rest: `fine if every g in input.grants { g.approved }`},
	{name: "not not every", lane: LaneComplete, body: `not bad`, rest: `bad if not fine
fine if every g in input.grants { g.approved }`},
	{name: "every of another", lane: LaneComplete, body: `every g in input.grants {
		some s in input.seats
		s.days_since_used == g.days_since_used
	}`},
	{name: "every with a key", body: `every i, g in input.grants { g.direct; i < 2 }`},
	{name: "every key", lane: LaneComplete, body: `every k in input.account.keys { not k.active }`},
	{name: "count of an array", lane: LaneComplete, body: `count(input.grants) >= 2`},
	{name: "count zero", lane: LaneComplete, body: `count(input.grants) == 0`},
	{name: "not count", lane: LaneComplete, body: `not count(input.seats) > 1`},
	{name: "not not count", lane: LaneComplete, body: `not few`, rest: `few if not count(input.seats) > 1`},
	{name: "count of a comprehension", body: `count([g | some g in input.grants; g.direct]) == 0`},
	{name: "count of indexes", body: `count([1 | input.grants[_].direct]) == 0`},
	{name: "count of a helper set", body: `count(direct) >= 2`, rest: `direct contains g.entitlement.id if {
	some g in input.grants
	g.direct
}`},
	{name: "member of a comprehension", lane: LaneComplete, body: `"ent-0" in {g.entitlement.id | some g in input.grants}`},
	{name: "not member of a comprehension", lane: LaneComplete, body: `not "ent-1" in {g.entitlement.id | some g in input.grants}`},
	{name: "member of a comprehension of another", lane: "", body: `some s in input.seats
	s.days_since_used in {g.days_since_used | some g in input.grants; g.direct}`},
	{name: "not member of a comprehension of another", lane: "", body: `some s in input.seats
	not s.days_since_used in {g.days_since_used | some g in input.grants; g.direct}`},
	{name: "comprehension of an outer index", body: `some i, _ in input.seats
	not "x" in {g.entitlement.kind | g := input.grants[i]}`},
	{name: "member of fields", body: `true in {input.account.locked, input.account.enabled}`},
	{name: "helper set", lane: LaneComplete, body: `some g in risky
	g.direct`, rest: `risky contains g if {
	some g in input.grants
	g.entitlement.high_risk
}`},
	{name: "set difference", body: `count({g.entitlement.id | some g in input.grants} - {"ent-0", "ent-1"}) > 0`},
	{name: "max", body: `max([g.days_since_used | some g in input.grants]) > 60`},
	{name: "sum", body: `sum([s.cost_month | some s in input.seats]) > 60`},
	{name: "arithmetic", body: `input.account.days_since_login * 2 > 60`},
	{name: "function", lane: LaneComplete, body: `old(input.account.days_since_login)`, rest: `old(n) if n > 30`},
	{name: "function of values", lane: LaneComplete, body: `size(input.account.days_since_login) == "old"`, rest: `size(n) := "old" if n >= 30
size(n) := "new" if n < 30`},
	{name: "function that conflicts", lane: LaneFull, body: `size(input.account.hours_since_enabled) == "small"`, rest: `size(n) := "old" if n >= 1000000
size(n) := "small" if n >= 1000000`},
	{name: "value that conflicts", lane: LaneFull, body: `chosen == "x"`, rest: `chosen := g.entitlement.kind if some g in input.grants`},
	{name: "function of a grant", lane: LaneComplete, body: `some g in input.grants
	stale(g)`, rest: `stale(g) if g.days_since_used > 60
stale(g) if not g.days_since_used`},
	{name: "not function of a grant", lane: LaneComplete, body: `some g in input.grants
	not stale(g)`, rest: `stale(g) if g.days_since_used > 60
stale(g) if not g.days_since_used`},
	{name: "else of a function", body: `size(input.account.days_since_login) == "old"`, rest: `size(n) := "old" if { n > 30 } else := "new"`},
	{name: "else", body: `chosen`, rest: `chosen if { input.account.enabled } else := false if { input.account.locked }`},
	{name: "not else", body: `not chosen`, rest: `chosen if { input.account.enabled } else := false if { input.account.locked }`},
	{name: "with", lane: LaneFull, body: `both with input.account.enabled as true`, rest: `both if {
	input.account.enabled
	input.account.privileged
}`},
	{name: "not with", lane: LaneFull, body: `not both with input.account.enabled as true`, rest: `both if {
	input.account.enabled
	input.account.privileged
}`},
	{name: "walk", body: `walk(input.account, [_, v])
	v == "Beta"`},
	{name: "dynamic key", lane: "", body: `some k in ["enabled", "locked"]
	input.account[k] == true`},
	{name: "text in array of texts", body: `some g in input.grants
	"a" in g.path`},
	{name: "element of array of texts", body: `some g in input.grants
	g.path[_] == "Ä"`},
	{name: "concat", body: `concat("-", [input.source.type, input.account.kind]) == "Beta-human"`},
	{name: "part dropped under not", body: `not odd`, rest: `odd if {
	input.account.locked
	upper(input.account.username) == "ROOT"
}`},
	{name: "not not with a part dropped", body: `not plain`, rest: `plain if not odd
odd if {
	input.account.enabled
	upper(input.account.username) != "ROOT"
}`},
	{name: "or by helpers", lane: LaneComplete, body: `either`, rest: `either if input.account.locked
either if input.account.days_since_login > 60
either if not input.person`},
	{name: "not not in of a variable", lane: LaneComplete, body: `not odd`, rest: `odd if {
	kind := input.account.mailbox_type
	not kind in {"user", "none"}
}`},
	{name: "not not in of an element", lane: LaneComplete, body: `not odd`, rest: `odd if {
	some kind in [input.account.mailbox_type]
	not kind in {"user", "none"}
}`},
	{name: "not not in of an argument", lane: LaneComplete, body: `not odd(input.account.mailbox_type)`, rest: `odd(kind) if not kind in {"user", "none"}`},
	{name: "not not of an argument", lane: LaneComplete, body: `not unlike(input.person)`, rest: `unlike(p) if not p.status == "active"`},
	{name: "not every of a variable", lane: LanePartly, body: `not odd`, rest: `odd if {
	sponsor := input.account.sponsor
	every g in input.grants { g.account_id == sponsor }
}`},
	{name: "not not of a variable of a grant", lane: LaneComplete, body: `not odd`, rest: `odd if {
	some g in input.grants
	g.direct
	last := g.days_since_used
	not last < 30
}`},
	{name: "not not of a variable in a comprehension", body: `not odd`, rest: `odd if {
	count({g.entitlement.id | some g in input.grants; last := g.days_since_used; not last < 30}) == 0
}`},
	{name: "not not of a variable from around a comprehension", body: `not odd`, rest: `odd if {
	sponsor := input.account.sponsor
	count({g.entitlement.id | some g in input.grants; not g.entitlement.name == sponsor}) == 0
}`},
	{name: "not not of an argument of an argument", lane: LaneComplete, body: `not odd(input.account)`, rest: `odd(account) if unlike(account.mailbox_type)
unlike(kind) if not kind in {"user", "none"}`},
	{name: "not not of a pattern", body: `not odd`, rest: `odd if {
	[kind, _] := [input.account.mailbox_type, 1]
	not kind in {"user", "none"}
}`},
	{name: "not not of an equation", lane: LaneFull, body: `not odd`, rest: `odd if {
	kind = input.account.mailbox_type
	not kind in {"user", "none"}
}`},
	{name: "not not of a negation in a body", lane: LaneComplete, body: `not odd`, rest: `odd if {
	kind := input.account.mailbox_type
	owner := input.account.owner_id
	not alike(kind, owner)
}
alike(a, b) if a == b
alike(a, b) if {
	a == "user"
	not b == "x"
}`},
	{name: "every of an array of fields", body: `not odd`, rest: `odd if {
	every v in [input.account.mailbox_type, input.account.sponsor] { not v == "user" }
}`},
	{name: "not not of a value of a function", body: `not odd`, rest: `odd if {
	some g in input.grants
	age := age_of(g)
	not age < 30
}
age_of(g) := g.days_since_granted
age_of(g) := g.days_since_used if not g.days_since_granted`},
	{name: "every in a parameter", lane: LaneComplete, body: `every g in input.grants {
		name := g.entitlement.id
		not name in params.ids
	}`},
	{name: "either of two searches", lane: LaneComplete, body: `some g in input.grants
	risky(g)`, rest: `risky(g) if {
	g.direct
	g.entitlement.high_risk
}
risky(g) if {
	g.direct
	g.days_since_used > 60
}`},
	{name: "not either of two searches", lane: LaneComplete, body: `not found`, rest: `found if {
	some g in input.grants
	risky(g)
}
risky(g) if {
	g.direct
	g.entitlement.high_risk
}
risky(g) if {
	g.direct
	g.days_since_used > 60
	some s in input.seats
	s.days_since_used == g.days_since_used
}`},
	{name: "not in of a variable", lane: LaneComplete, body: `kind := input.account.mailbox_type
	not kind in {"user", "none"}`},
	{name: "not or", lane: LaneComplete, body: `not either`, rest: `either if input.account.locked
either if input.account.days_since_login > 60
either if not input.person`},
	{name: "assigned", lane: LaneComplete, body: `status := input.person.status
	status == "ended"`},
	{name: "assigned object", lane: LaneComplete, body: `p := input.person
	p.department == p.previous_department`},
	{name: "assigned grant", lane: LaneComplete, body: `g := input.grants[_]
	e := g.entitlement
	e.privileged
	g.direct`},
	{name: "run", body: `input.run.time > "2026"
	input.account.enabled`},
	{name: "now", lane: LaneComplete, body: `time.now_ns() > 0
	input.account.enabled`},
	{name: "a call that can fail", lane: LaneFull, body: `input.account.username == "never"
	to_number(input.account.username) > 3`},
	{name: "bare false", body: `input.account.enabled
	false`},
	// What is gathered and counted, or gone through.
	{name: "other than two", lane: LaneComplete, body: `count([g | some g in input.grants; g.direct]) != 2`},
	{name: "not other than two", lane: LaneComplete, body: `not odd`, rest: `odd if {
	count([g | some g in input.grants; g.direct]) != 2
}
`},
	{name: "at most two", lane: LaneComplete, body: `count([g | some g in input.grants; g.direct]) <= 2`},
	{name: "not at most two", lane: LaneComplete, body: `not odd`, rest: `odd if {
	count([g | some g in input.grants; g.direct]) <= 2
}
`},
	{name: "more than a fraction", body: `count([g | some g in input.grants; g.direct]) > 1.5`},
	{name: "not more than a fraction", body: `not odd`, rest: `odd if {
	count([g | some g in input.grants; g.direct]) > 1.5
}
`},
	{name: "not exactly many", lane: LaneComplete, body: `count([g | some g in input.grants; g.direct]) < 4294967296`},
	{name: "not not exactly many", lane: LaneComplete, body: `not odd`, rest: `odd if {
	count([g | some g in input.grants; g.direct]) < 4294967296
}
`},
	{name: "two that are there", lane: LaneComplete, body: `count([g.days_since_used | some g in input.grants]) >= 2`},
	{name: "not two that are there", lane: LaneComplete, body: `not odd`, rest: `odd if {
	count([g.days_since_used | some g in input.grants]) >= 2
}
`},
	{name: "two without an approval", lane: LaneComplete, body: `count([1 | some g in input.grants; not g.approved]) == 2`},
	{name: "not two without an approval", lane: LaneComplete, body: `not odd`, rest: `odd if {
	count([1 | some g in input.grants; not g.approved]) == 2
}
`},
	{name: "two with a condition on the account", lane: LaneComplete, body: `count([g | input.account.enabled; some g in input.grants]) < 2`},
	{name: "not two with a condition on the account", lane: LaneComplete, body: `not odd`, rest: `odd if {
	count([g | input.account.enabled; some g in input.grants]) < 2
}
`},
	{name: "two of everything", lane: LaneComplete, body: `count([g | some g in input.grants; true]) > 2`},
	{name: "not two of everything", lane: LaneComplete, body: `not odd`, rest: `odd if {
	count([g | some g in input.grants; true]) > 2
}
`},
	{name: "two alike", body: `count({g.entitlement.kind | some g in input.grants}) >= 2`},
	{name: "not two alike", body: `not odd`, rest: `odd if {
	count({g.entitlement.kind | some g in input.grants}) >= 2
}
`},
	{name: "one alike", body: `count({g.entitlement.kind | some g in input.grants}) == 1`},
	{name: "not one alike", body: `not odd`, rest: `odd if {
	count({g.entitlement.kind | some g in input.grants}) == 1
}
`},
	{name: "other than one alike", body: `count({g.entitlement.kind | some g in input.grants}) != 1`},
	{name: "not other than one alike", body: `not odd`, rest: `odd if {
	count({g.entitlement.kind | some g in input.grants}) != 1
}
`},
	{name: "less than two alike", body: `count({g.entitlement.kind | some g in input.grants}) < 2`},
	{name: "not less than two alike", body: `not odd`, rest: `odd if {
	count({g.entitlement.kind | some g in input.grants}) < 2
}
`},
	{name: "a count by an element at least", lane: LaneComplete, body: `some s in input.seats
	count([g | some g in input.grants; g.days_since_used == s.days_since_used]) > 1`},
	{name: "not a count by an element at least", lane: LaneComplete, body: `not odd`, rest: `odd if {
	some s in input.seats
	count([g | some g in input.grants; g.days_since_used == s.days_since_used]) > 1
}
`},
	{name: "two of pairs", body: `count([1 | some g in input.grants; some s in input.seats; g.direct; s.never_used]) >= 2`},
	{name: "not two of pairs", body: `not odd`, rest: `odd if {
	count([1 | some g in input.grants; some s in input.seats; g.direct; s.never_used]) >= 2
}
`},
	{name: "two joined", body: `count([g | some g in input.grants; some s in input.seats; g.days_since_used == s.days_since_used]) == 2`},
	{name: "not two joined", body: `not odd`, rest: `odd if {
	count([g | some g in input.grants; some s in input.seats; g.days_since_used == s.days_since_used]) == 2
}
`},
	{name: "two with others", lane: LaneComplete, body: `count([g | some g in input.grants; count([s | some s in input.seats; s.days_since_used == g.days_since_used]) >= 2]) >= 2`},
	{name: "not two with others", lane: LaneComplete, body: `not odd`, rest: `odd if {
	count([g | some g in input.grants; count([s | some s in input.seats; s.days_since_used == g.days_since_used]) >= 2]) >= 2
}
`},
	{name: "two of texts in an element", body: `count([p | some g in input.grants; some p in g.path]) >= 2`},
	{name: "not two of texts in an element", body: `not odd`, rest: `odd if {
	count([p | some g in input.grants; some p in g.path]) >= 2
}
`},
	{name: "two by texts in an element", body: `count([1 | some g in input.grants; g.path[_]]) == 2`},
	{name: "not two by texts in an element", body: `not odd`, rest: `odd if {
	count([1 | some g in input.grants; g.path[_]]) == 2
}
`},
	{name: "two of an alias in an element", body: `count([1 | some g in input.grants; p := g.path[_]; p != ""]) <= 2`},
	{name: "not two of an alias in an element", body: `not odd`, rest: `odd if {
	count([1 | some g in input.grants; p := g.path[_]; p != ""]) <= 2
}
`},
	{name: "two by a parameter", body: `count([k | some g in input.grants; some k in params.kinds; g.entitlement.kind != k]) >= 2`},
	{name: "not two by a parameter", body: `not odd`, rest: `odd if {
	count([k | some g in input.grants; some k in params.kinds; g.entitlement.kind != k]) >= 2
}
`},
	{name: "two of an array of fields", body: `count([g | some g in input.grants; some b in [g.direct, g.approved]; b == true]) == 2`},
	{name: "not two of an array of fields", body: `not odd`, rest: `odd if {
	count([g | some g in input.grants; some b in [g.direct, g.approved]; b == true]) == 2
}
`},
	{name: "two by a helper set", body: `count([x | some g in input.grants; some x in odd_kinds; x != g.entitlement.kind]) >= 2`, rest: `odd_kinds contains input.account.kind
odd_kinds contains input.account.mailbox_type`},
	{name: "not two by a helper set", body: `not odd`, rest: `odd if {
	count([x | some g in input.grants; some x in odd_kinds; x != g.entitlement.kind]) >= 2
}
odd_kinds contains input.account.kind
odd_kinds contains input.account.mailbox_type`},
	{name: "two by a function", body: `count([g | some g in input.grants; risky(g)]) >= 2`, rest: `risky(g) if g.direct
risky(g) if g.entitlement.high_risk`},
	{name: "not two by a function", body: `not odd`, rest: `odd if {
	count([g | some g in input.grants; risky(g)]) >= 2
}
risky(g) if g.direct
risky(g) if g.entitlement.high_risk`},
	{name: "two by a pattern", body: `count([x | some g in input.grants; [x, _] = [g.direct, 1]]) >= 2`},
	{name: "not two by a pattern", body: `not odd`, rest: `odd if {
	count([x | some g in input.grants; [x, _] = [g.direct, 1]]) >= 2
}
`},
	{name: "two by a walk", body: `count([1 | some g in input.grants; walk(g.entitlement, [_, true])]) >= 2`},
	{name: "not two by a walk", body: `not odd`, rest: `odd if {
	count([1 | some g in input.grants; walk(g.entitlement, [_, true])]) >= 2
}
`},
	{name: "two of none", body: `count([1 | input.account.enabled]) == 2`},
	{name: "not two of none", body: `not odd`, rest: `odd if {
	count([1 | input.account.enabled]) == 2
}
`},
	{name: "one of none", body: `count([1 | input.account.enabled]) == 1`},
	{name: "not one of none", body: `not odd`, rest: `odd if {
	count([1 | input.account.enabled]) == 1
}
`},
	{name: "two and an index", body: `count([i | some i, g in input.grants; i > 0; g.direct]) >= 2`},
	{name: "not two and an index", body: `not odd`, rest: `odd if {
	count([i | some i, g in input.grants; i > 0; g.direct]) >= 2
}
`},
	{name: "gone through", lane: LaneComplete, body: `direct := [g | some g in input.grants; g.direct]
	some d in direct
	d.entitlement.high_risk`},
	{name: "not gone through", lane: LaneComplete, body: `not odd`, rest: `odd if {
	direct := [g | some g in input.grants; g.direct]
	some d in direct
	d.entitlement.high_risk
}
`},
	{name: "gone through a set", lane: LaneComplete, body: `names := {g.entitlement.name | some g in input.grants; g.direct}
	some n in names
	n < "b"`},
	{name: "not gone through a set", lane: LaneComplete, body: `not odd`, rest: `odd if {
	names := {g.entitlement.name | some g in input.grants; g.direct}
	some n in names
	n < "b"
}
`},
	{name: "gone through twice", lane: LaneComplete, body: `direct := [g | some g in input.grants; g.direct]
	some a in direct
	some b in direct
	a.days_since_used < b.days_since_used`},
	{name: "not gone through twice", lane: LaneComplete, body: `not odd`, rest: `odd if {
	direct := [g | some g in input.grants; g.direct]
	some a in direct
	some b in direct
	a.days_since_used < b.days_since_used
}
`},
	{name: "gone through and counted", lane: LaneComplete, body: `direct := [g | some g in input.grants; g.direct]
	count(direct) > 1
	count([d | some d in direct; d.entitlement.high_risk]) > 1`},
	{name: "not gone through and counted", lane: LaneComplete, body: `not odd`, rest: `odd if {
	direct := [g | some g in input.grants; g.direct]
	count(direct) > 1
	count([d | some d in direct; d.entitlement.high_risk]) > 1
}
`},
	{name: "gone through a set and counted", body: `kinds := {g.entitlement.kind | some g in input.grants}
	count([k | some k in kinds; k != "role"]) > 1`},
	{name: "not gone through a set and counted", body: `not odd`, rest: `odd if {
	kinds := {g.entitlement.kind | some g in input.grants}
	count([k | some k in kinds; k != "role"]) > 1
}
`},
	{name: "counted by what is gathered", lane: LaneComplete, body: `kinds := {g.entitlement.kind | some g in input.grants}
	some k in kinds
	same := [g | some g in input.grants; g.entitlement.kind == k; g.direct]
	count(same) > 1
	count([g | some g in same; g.entitlement.high_risk]) <= 1`},
	{name: "not counted by what is gathered", lane: LaneComplete, body: `not odd`, rest: `odd if {
	kinds := {g.entitlement.kind | some g in input.grants}
	some k in kinds
	same := [g | some g in input.grants; g.entitlement.kind == k; g.direct]
	count(same) > 1
	count([g | some g in same; g.entitlement.high_risk]) <= 1
}
`},
	{name: "not in what is gathered", body: `kinds := {g.entitlement.kind | some g in input.grants; g.direct}
	some s in input.seats
	not s.product in kinds`},
	{name: "not not in what is gathered", body: `not odd`, rest: `odd if {
	kinds := {g.entitlement.kind | some g in input.grants; g.direct}
	some s in input.seats
	not s.product in kinds
}
`},
	{name: "every of what is gathered", body: `direct := [g | some g in input.grants; g.direct]
	every d in direct { d.entitlement.high_risk }`},
	{name: "not every of what is gathered", body: `not odd`, rest: `odd if {
	direct := [g | some g in input.grants; g.direct]
	every d in direct { d.entitlement.high_risk }
}
`},
	{name: "gathered by an index", body: `direct := [g | some g in input.grants; g.direct]
	some i, d in direct
	i > 0
	d.entitlement.high_risk`},
	{name: "not gathered by an index", body: `not odd`, rest: `odd if {
	direct := [g | some g in input.grants; g.direct]
	some i, d in direct
	i > 0
	d.entitlement.high_risk
}
`},
	{name: "gathered by one index", body: `a := [g | some g in input.grants; g.direct]
	b := [s | some s in input.seats]
	some i
	a[i].days_since_used == b[i].days_since_used`},
	{name: "not gathered by one index", body: `not odd`, rest: `odd if {
	a := [g | some g in input.grants; g.direct]
	b := [s | some s in input.seats]
	some i
	a[i].days_since_used == b[i].days_since_used
}
`},
	{name: "gathered by the index of another", body: `a := [g | some g in input.grants; g.direct]
	some i
	a[i].entitlement.high_risk
	input.seats[i].never_used`},
	{name: "not gathered by the index of another", body: `not odd`, rest: `odd if {
	a := [g | some g in input.grants; g.direct]
	some i
	a[i].entitlement.high_risk
	input.seats[i].never_used
}
`},
	{name: "the first that is gathered", body: `a := [g | some g in input.grants; g.direct]
	a[0].entitlement.high_risk`},
	{name: "not the first that is gathered", body: `not odd`, rest: `odd if {
	a := [g | some g in input.grants; g.direct]
	a[0].entitlement.high_risk
}
`},
	{name: "a member of what is gathered", body: `a := {g.entitlement.kind | some g in input.grants; g.direct}
	a[input.account.kind]`},
	{name: "not a member of what is gathered", body: `not odd`, rest: `odd if {
	a := {g.entitlement.kind | some g in input.grants; g.direct}
	a[input.account.kind]
}
`},
	{name: "gathered of what is gathered", lane: LaneComplete, body: `a := [g | some g in input.grants; g.direct]
	b := [x.entitlement | some x in a; x.days_known > 30]
	some e in b
	e.high_risk`},
	{name: "not gathered of what is gathered", lane: LaneComplete, body: `not odd`, rest: `odd if {
	a := [g | some g in input.grants; g.direct]
	b := [x.entitlement | some x in a; x.days_known > 30]
	some e in b
	e.high_risk
}
`},
	{name: "gathered with another in it", body: `a := [{"x": g, "n": count([s | some s in input.seats])} | some g in input.grants]
	some e in a
	e.x.direct`},
	{name: "not gathered with another in it", body: `not odd`, rest: `odd if {
	a := [{"x": g, "n": count([s | some s in input.seats])} | some g in input.grants]
	some e in a
	e.x.direct
}
`},
	{name: "gathered texts", body: `a := [lower(g.entitlement.name) | some g in input.grants; g.direct]
	some n in a
	n == "alpha"`},
	{name: "not gathered texts", body: `not odd`, rest: `odd if {
	a := [lower(g.entitlement.name) | some g in input.grants; g.direct]
	some n in a
	n == "alpha"
}
`},
	{name: "gathered under not", body: `a := [g | some g in input.grants; g.direct]
	some x in a
	not high(x)`, rest: `high(x) if x.entitlement.high_risk`},
	{name: "not gathered under not", body: `not odd`, rest: `odd if {
	a := [g | some g in input.grants; g.direct]
	some x in a
	not high(x)
}
high(x) if x.entitlement.high_risk`},
	{name: "gathered for each", lane: LaneComplete, body: `some s in input.seats
	a := [g | some g in input.grants; g.days_since_used == s.days_since_used]
	some x in a
	x.direct`},
	{name: "not gathered for each", lane: LaneComplete, body: `not odd`, rest: `odd if {
	some s in input.seats
	a := [g | some g in input.grants; g.days_since_used == s.days_since_used]
	some x in a
	x.direct
}
`},
	{name: "gathered below every", body: `every s in input.seats {
		a := [g | some g in input.grants; g.days_since_used == s.days_since_used]
		count(a) < 2
	}`},
	{name: "a count under every", lane: LaneComplete, body: `every s in input.seats {
		count([g | some g in input.grants; g.days_since_used == s.days_since_used; g.direct]) < 2
	}`},
	{name: "either of two counts", lane: LaneComplete, body: `many`, rest: `many if count([g | some g in input.grants; g.direct]) > 2
many if count([s | some s in input.seats; s.never_used]) > 1`},
	// Patterns.
	{name: "a glob", lane: LaneComplete, body: `glob.match("r*t", null, input.account.username)`},
	{name: "not a glob", lane: LaneComplete, body: `not odd`, rest: `odd if {
	glob.match("r*t", null, input.account.username)
}
`},
	{name: "a glob of lower", lane: LaneComplete, body: `glob.match("r*o*t", null, lower(input.account.username))`},
	{name: "not a glob of lower", lane: LaneComplete, body: `not odd`, rest: `odd if {
	glob.match("r*o*t", null, lower(input.account.username))
}
`},
	{name: "a glob of anything", lane: LaneComplete, body: `glob.match("*", null, input.account.username)`},
	{name: "not a glob of anything", lane: LaneComplete, body: `not odd`, rest: `odd if {
	glob.match("*", null, input.account.username)
}
`},
	{name: "a glob around a point", lane: LaneComplete, body: `glob.match("*b*c*", null, input.account.username)`},
	{name: "not a glob around a point", lane: LaneComplete, body: `not odd`, rest: `odd if {
	glob.match("*b*c*", null, input.account.username)
}
`},
	{name: "a glob of a quote", lane: LaneComplete, body: `glob.match("it*s", null, input.account.username)`},
	{name: "not a glob of a quote", lane: LaneComplete, body: `not odd`, rest: `odd if {
	glob.match("it*s", null, input.account.username)
}
`},
	{name: "a glob of nothing", lane: LaneComplete, body: `glob.match("", null, input.account.username)`},
	{name: "not a glob of nothing", lane: LaneComplete, body: `not odd`, rest: `odd if {
	glob.match("", null, input.account.username)
}
`},
	{name: "a glob with delimiters", body: `glob.match("r*t", ["."], input.account.username)`},
	{name: "not a glob with delimiters", body: `not odd`, rest: `odd if {
	glob.match("r*t", ["."], input.account.username)
}
`},
	{name: "a glob with one letter", body: `glob.match("r??t", null, input.account.username)`},
	{name: "not a glob with one letter", body: `not odd`, rest: `odd if {
	glob.match("r??t", null, input.account.username)
}
`},
	{name: "a glob with a choice", body: `glob.match("{root,Beta}", null, input.account.username)`},
	{name: "not a glob with a choice", body: `not odd`, rest: `odd if {
	glob.match("{root,Beta}", null, input.account.username)
}
`},
	{name: "a glob that is none", lane: LaneFull, body: `glob.match("[a", null, input.account.username)`},
	{name: "not a glob that is none", lane: LaneFull, body: `not odd`, rest: `odd if {
	glob.match("[a", null, input.account.username)
}
`},
	{name: "a glob of a field", lane: LaneFull, body: `glob.match(input.account.username, null, "root")`},
	{name: "not a glob of a field", lane: LaneFull, body: `not odd`, rest: `odd if {
	glob.match(input.account.username, null, "root")
}
`},
	{name: "globs of a parameter", lane: LaneComplete, body: `some kind in params.kinds
	glob.match(kind, null, input.account.kind)`},
	{name: "not globs of a parameter", lane: LaneComplete, body: `not odd`, rest: `odd if {
	some kind in params.kinds
	glob.match(kind, null, input.account.kind)
}
`},
	{name: "globs of a parameter by a function", body: `some kind in params.kinds
	like(upper(input.account.username), kind)`, rest: `like(text, pattern) if glob.match(lower(pattern), null, text)`},
	{name: "not globs of a parameter by a function", body: `not odd`, rest: `odd if {
	some kind in params.kinds
	like(upper(input.account.username), kind)
}
like(text, pattern) if glob.match(lower(pattern), null, text)`},
	{name: "globs of a parameter in a comprehension", body: `count([1 | some kind in params.kinds; some g in input.grants; like(g.entitlement.name, kind)]) > 0`, rest: `like(text, pattern) if text == pattern
like(text, pattern) if {
	contains(pattern, "*")
	glob.match(pattern, null, text)
}`},
	{name: "not globs of a parameter in a comprehension", body: `not odd`, rest: `odd if {
	count([1 | some kind in params.kinds; some g in input.grants; like(g.entitlement.name, kind)]) > 0
}
like(text, pattern) if text == pattern
like(text, pattern) if {
	contains(pattern, "*")
	glob.match(pattern, null, text)
}`},
	{name: "globs of a parameter below every", body: `every kind in params.kinds { like(input.account.kind, lower(kind)) }`, rest: `like(text, pattern) if glob.match(pattern, null, text)`},
	{name: "not globs of a parameter below every", body: `not odd`, rest: `odd if {
	every kind in params.kinds { like(input.account.kind, lower(kind)) }
}
like(text, pattern) if glob.match(pattern, null, text)`},
	{name: "globs of a parameter, and unused ones of a field", lane: LaneComplete, body: `some kind in params.kinds
	like("a", kind)`, rest: `like(text, pattern) if glob.match(pattern, null, text)
other if like("x", input.account.username)`},
	{name: "not globs of a parameter, and unused ones of a field", lane: LaneComplete, body: `not odd`, rest: `odd if {
	some kind in params.kinds
	like("a", kind)
}
like(text, pattern) if glob.match(pattern, null, text)
other if like("x", input.account.username)`},
	{name: "globs of a field by a function", lane: LaneFull, body: `like(input.account.username, "*")
	like("root", input.account.username)`, rest: `like(text, pattern) if glob.match(pattern, null, text)`},
	{name: "not globs of a field by a function", lane: LaneFull, body: `not odd`, rest: `odd if {
	like(input.account.username, "*")
	like("root", input.account.username)
}
like(text, pattern) if glob.match(pattern, null, text)`},
	{name: "globs of a number", body: `some kind in [1, "a"]
	glob.match(kind, null, input.account.kind)`},
	{name: "not globs of a number", body: `not odd`, rest: `odd if {
	some kind in [1, "a"]
	glob.match(kind, null, input.account.kind)
}
`},
	{name: "regexes of a parameter", lane: LaneComplete, body: `some kind in params.kinds
	regex.match(kind, input.account.kind)`},
	{name: "not regexes of a parameter", lane: LaneComplete, body: `not odd`, rest: `odd if {
	some kind in params.kinds
	regex.match(kind, input.account.kind)
}
`},
	{name: "a regex that is none", lane: LaneFull, body: `regex.match("(", input.account.username)`},
	{name: "not a regex that is none", lane: LaneFull, body: `not odd`, rest: `odd if {
	regex.match("(", input.account.username)
}
`},
	{name: "a regex of a field", lane: LaneFull, body: `regex.match(input.account.username, "a")`},
	{name: "not a regex of a field", lane: LaneFull, body: `not odd`, rest: `odd if {
	regex.match(input.account.username, "a")
}
`},
	{name: "a regex of a field or a parameter", lane: LaneFull, body: `every kind in params.kinds {
		pattern := trim(input.account.username, kind)
		regex.match(pattern, "a")
	}`},
	{name: "not a regex of a field or a parameter", lane: LaneFull, body: `not odd`, rest: `odd if {
	every kind in params.kinds {
		pattern := trim(input.account.username, kind)
		regex.match(pattern, "a")
	}
}
`},
	{name: "a function in a comprehension", lane: LaneComplete, body: `count([g | some g in input.grants; old(g)]) > 1`, rest: `old(g) if g.days_known > 60
old(g) if not g.approved`},
	{name: "none of a function in a comprehension", lane: LaneComplete, body: `not odd`, rest: `odd if {
	count([g | some g in input.grants; old(g)]) > 1
}
old(g) if g.days_known > 60
old(g) if not g.approved`},
	{name: "not a function in a comprehension", lane: LaneComplete, body: `count([g | some g in input.grants; not old(g)]) == 1`, rest: `old(g) if g.days_known > 60
old(g) if not g.approved`},
	{name: "not not a function in a comprehension", lane: LaneComplete, body: `not odd`, rest: `odd if {
	count([g | some g in input.grants; not old(g)]) == 1
}
old(g) if g.days_known > 60
old(g) if not g.approved`},
	{name: "a helper in a comprehension", lane: LaneComplete, body: `count([g | some g in input.grants; g.direct; not safe]) == 0`, rest: `safe if input.account.mfa`},
	{name: "not a helper in a comprehension", lane: LaneComplete, body: `not odd`, rest: `odd if {
	count([g | some g in input.grants; g.direct; not safe]) == 0
}
safe if input.account.mfa`},
	{name: "a default in a comprehension", lane: LaneComplete, body: `count([g | some g in input.grants; old(g)]) > 1`, rest: `default old(_) := false
old(g) if g.days_known > 60`},
	{name: "not a default in a comprehension", lane: LaneComplete, body: `not odd`, rest: `odd if {
	count([g | some g in input.grants; old(g)]) > 1
}
default old(_) := false
old(g) if g.days_known > 60`},
	{name: "another default in a comprehension", body: `count([g | some g in input.grants; old(g) == "old"]) > 1`, rest: `default old(_) := "new"
old(g) := "old" if g.days_known > 60`},
	{name: "not another default in a comprehension", body: `not odd`, rest: `odd if {
	count([g | some g in input.grants; old(g) == "old"]) > 1
}
default old(_) := "new"
old(g) := "old" if g.days_known > 60`},
	{name: "an else in a comprehension", body: `count([g | some g in input.grants; old(g)]) > 1`, rest: `old(g) if { g.days_known > 60 } else := false if { g.direct }`},
	{name: "not an else in a comprehension", body: `not odd`, rest: `odd if {
	count([g | some g in input.grants; old(g)]) > 1
}
old(g) if { g.days_known > 60 } else := false if { g.direct }`},
	{name: "a value of a function in a comprehension", body: `count([g | some g in input.grants; age(g) > 60]) > 1`, rest: `age(g) := g.days_known - 1`},
	{name: "not a value of a function in a comprehension", body: `not odd`, rest: `odd if {
	count([g | some g in input.grants; age(g) > 60]) > 1
}
age(g) := g.days_known - 1`},
	{name: "a helper set in a comprehension", body: `count([g | some g in input.grants; count(locked) > 0]) > 1`, rest: `locked contains 1 if input.account.locked`},
	{name: "not a helper set in a comprehension", body: `not odd`, rest: `odd if {
	count([g | some g in input.grants; count(locked) > 0]) > 1
}
locked contains 1 if input.account.locked`},
	// The keys of a map.
	{name: "some value of a map", lane: LaneComplete, body: `some v in input.source.coverage
	v == "full"`},
	{name: "not some value of a map", lane: LaneComplete, body: `not odd`, rest: `odd if {
	some v in input.source.coverage
	v == "full"
}
`},
	{name: "some key of a map", lane: LaneComplete, body: `some k, v in input.source.coverage
	v != "full"
	k == "mfa"`},
	{name: "not some key of a map", lane: LaneComplete, body: `not odd`, rest: `odd if {
	some k, v in input.source.coverage
	v != "full"
	k == "mfa"
}
`},
	{name: "some key of another map", lane: LaneComplete, body: `some k, v in input.account.attributes
	v != input.source.coverage[k]`},
	{name: "not some key of another map", lane: LaneComplete, body: `not odd`, rest: `odd if {
	some k, v in input.account.attributes
	v != input.source.coverage[k]
}
`},
	{name: "some key that another map has", lane: LaneComplete, body: `some k, _ in input.source.coverage
	input.account.attributes[k] == "x"`},
	{name: "not some key that another map has", lane: LaneComplete, body: `not odd`, rest: `odd if {
	some k, _ in input.source.coverage
	input.account.attributes[k] == "x"
}
`},
	{name: "some key that begins", lane: LaneComplete, body: `some k, v in input.source.coverage
	startswith(k, "l")
	v in {"none", "partial"}`},
	{name: "not some key that begins", lane: LaneComplete, body: `not odd`, rest: `odd if {
	some k, v in input.source.coverage
	startswith(k, "l")
	v in {"none", "partial"}
}
`},
	{name: "some key that another map lacks", lane: LaneComplete, body: `some k, _ in input.account.attributes
	not input.source.coverage[k]`},
	{name: "not some key that another map lacks", lane: LaneComplete, body: `not odd`, rest: `odd if {
	some k, _ in input.account.attributes
	not input.source.coverage[k]
}
`},
	{name: "some key without more", lane: LaneComplete, body: `some k, _ in input.source.coverage
	k != ""`},
	{name: "not some key without more", lane: LaneComplete, body: `not odd`, rest: `odd if {
	some k, _ in input.source.coverage
	k != ""
}
`},
	{name: "some value of a function", lane: LaneComplete, body: `some k, v in input.source.coverage
	lacking(k, v)`, rest: `lacking(k, v) if {
	k in {"mfa", "owner"}
	v == "none"
}`},
	{name: "not some value of a function", lane: LaneComplete, body: `not odd`, rest: `odd if {
	some k, v in input.source.coverage
	lacking(k, v)
}
lacking(k, v) if {
	k in {"mfa", "owner"}
	v == "none"
}`},
	{name: "every value of a map", body: `every v in input.source.coverage { v == "full" }`},
	{name: "not every value of a map", body: `not odd`, rest: `odd if {
	every v in input.source.coverage { v == "full" }
}
`},
	{name: "a count of values", lane: LaneComplete, body: `count([k | some k, v in input.source.coverage; v == "full"]) > 1`},
	{name: "not a count of values", lane: LaneComplete, body: `not odd`, rest: `odd if {
	count([k | some k, v in input.source.coverage; v == "full"]) > 1
}
`},
	{name: "a count of a map", body: `count(input.source.coverage) > 2`},
	{name: "not a count of a map", body: `not odd`, rest: `odd if {
	count(input.source.coverage) > 2
}
`},
	{name: "a key that is a field", body: `input.source.coverage[input.account.kind] == "full"`},
	{name: "not a key that is a field", body: `not odd`, rest: `odd if {
	input.source.coverage[input.account.kind] == "full"
}
`},
	{name: "a key of a map and of an array", body: `some k, v in input.source.coverage
	v == "full"
	input.grants[k].direct`},
	{name: "not a key of a map and of an array", body: `not odd`, rest: `odd if {
	some k, v in input.source.coverage
	v == "full"
	input.grants[k].direct
}
`},
	{name: "a key of a map and an element", lane: LaneComplete, body: `some k, v in input.source.coverage
	some g in input.grants
	g.entitlement.kind != v
	g.direct`},
	{name: "not a key of a map and an element", lane: LaneComplete, body: `not odd`, rest: `odd if {
	some k, v in input.source.coverage
	some g in input.grants
	g.entitlement.kind != v
	g.direct
}
`},
	{name: "a map in what is gathered", body: `full := {k | some k, v in input.source.coverage; v == "full"}
	some k in full
	input.account.attributes[k] != "x"`},
	{name: "not a map in what is gathered", body: `not odd`, rest: `odd if {
	full := {k | some k, v in input.source.coverage; v == "full"}
	some k in full
	input.account.attributes[k] != "x"
}
`},
	// Texts in an element.
	{name: "some text of an element", lane: LaneComplete, body: `some g in input.grants
	some p in g.path
	lower(p) == "alpha"`},
	{name: "not some text of an element", lane: LaneComplete, body: `not odd`, rest: `odd if {
	some g in input.grants
	some p in g.path
	lower(p) == "alpha"
}
`},
	{name: "some text of an element that is a field", lane: LaneComplete, body: `some g in input.grants
	g.direct
	some p in g.path
	p == g.entitlement.name`},
	{name: "not some text of an element that is a field", lane: LaneComplete, body: `not odd`, rest: `odd if {
	some g in input.grants
	g.direct
	some p in g.path
	p == g.entitlement.name
}
`},
	{name: "some text of an element by a helper", lane: LaneComplete, body: `some g in input.grants
	on(g)`, rest: `on(g) if {
	some p in g.path
	p in {"a", "Ä", "b"}
}
on(g) if {
	some p in g.path
	startswith(p, "x")
}`},
	{name: "not some text of an element by a helper", lane: LaneComplete, body: `not odd`, rest: `odd if {
	some g in input.grants
	on(g)
}
on(g) if {
	some p in g.path
	p in {"a", "Ä", "b"}
}
on(g) if {
	some p in g.path
	startswith(p, "x")
}`},
	{name: "no text of an element", lane: LaneComplete, body: `some g in input.grants
	not on(g)`, rest: `on(g) if {
	some p in g.path
	p != "Ä"
}`},
	{name: "not no text of an element", lane: LaneComplete, body: `not odd`, rest: `odd if {
	some g in input.grants
	not on(g)
}
on(g) if {
	some p in g.path
	p != "Ä"
}`},
	{name: "some text without more", lane: LaneComplete, body: `some g in input.grants
	some _ in g.path`},
	{name: "not some text without more", lane: LaneComplete, body: `not odd`, rest: `odd if {
	some g in input.grants
	some _ in g.path
}
`},
	{name: "texts of two elements", lane: LaneComplete, body: `some a in input.grants
	some b in input.grants
	some p in a.path
	some q in b.path
	a.direct != b.direct
	p == q`},
	{name: "not texts of two elements", lane: LaneComplete, body: `not odd`, rest: `odd if {
	some a in input.grants
	some b in input.grants
	some p in a.path
	some q in b.path
	a.direct != b.direct
	p == q
}
`},
	{name: "either of texts of two elements", lane: LaneComplete, body: `some a in input.grants
	a.direct
	some b in input.grants
	b.entitlement.high_risk
	either(a, b)`, rest: `either(a, _) if {
	some p in a.path
	p == "a"
}
either(_, b) if {
	some p in b.path
	p == "Ä"
}`},
	{name: "not either of texts of two elements", lane: LaneComplete, body: `not odd`, rest: `odd if {
	some a in input.grants
	a.direct
	some b in input.grants
	b.entitlement.high_risk
	either(a, b)
}
either(a, _) if {
	some p in a.path
	p == "a"
}
either(_, b) if {
	some p in b.path
	p == "Ä"
}`},
	{name: "how many texts", lane: LaneComplete, body: `some g in input.grants
	count(g.path) > 1`},
	{name: "not how many texts", lane: LaneComplete, body: `not odd`, rest: `odd if {
	some g in input.grants
	count(g.path) > 1
}
`},
	{name: "how many texts are so", lane: LaneComplete, body: `some g in input.grants
	count([p | some p in g.path; p != "Ä"]) >= 2`},
	{name: "not how many texts are so", lane: LaneComplete, body: `not odd`, rest: `odd if {
	some g in input.grants
	count([p | some p in g.path; p != "Ä"]) >= 2
}
`},
	{name: "every element with a text", lane: LaneComplete, body: `every g in input.grants {
		some p in g.path
		p != "a"
	}`},
	{name: "not every element with a text", lane: LaneComplete, body: `not odd`, rest: `odd if {
	every g in input.grants {
		some p in g.path
		p != "a"
	}
}
`},
	{name: "gathered texts of elements", body: `all := [p | some g in input.grants; some p in g.path]
	some p in all
	p == input.account.username`},
	{name: "not gathered texts of elements", body: `not odd`, rest: `odd if {
	all := [p | some g in input.grants; some p in g.path]
	some p in all
	p == input.account.username
}
`},
	{name: "a text by its index", body: `some g in input.grants
	g.path[0] == "a"`},
	{name: "not a text by its index", body: `not odd`, rest: `odd if {
	some g in input.grants
	g.path[0] == "a"
}
`},
	{name: "texts by one index", body: `some g in input.grants
	some i
	g.path[i] == input.grants[i].path[i]`},
	{name: "not texts by one index", body: `not odd`, rest: `odd if {
	some g in input.grants
	some i
	g.path[i] == input.grants[i].path[i]
}
`},
	// Numbers that are reckoned.
	{name: "a difference", lane: LaneComplete, body: `input.account.days_since_login - object.get(input.account, "login_lag_days", 0) >= params.limit`},
	{name: "not a difference", lane: LaneComplete, body: `not input.account.days_since_login - object.get(input.account, "login_lag_days", 0) >= params.limit`},
	{name: "not not a difference", lane: LaneComplete, body: `not odd`, rest: `odd if not input.account.days_since_login - object.get(input.account, "login_lag_days", 0) >= params.limit`},
	{name: "a difference of an absent object", lane: LaneComplete, body: `input.account.hours_since_enabled + 24 <= input.person.hours_since_end`},
	{name: "not a difference of an absent object", lane: LaneComplete, body: `not input.account.hours_since_enabled + 24 <= input.person.hours_since_end`},
	{name: "not not a difference of an absent object", lane: LaneComplete, body: `not odd`, rest: `odd if not input.account.hours_since_enabled + 24 <= input.person.hours_since_end`},
	{name: "an object.get of an absent object in a sum", lane: LaneComplete, body: `object.get(input.person, "days_since_end", 3) + 1 > 3`},
	{name: "not an object.get of an absent object in a sum", lane: LaneComplete, body: `not object.get(input.person, "days_since_end", 3) + 1 > 3`},
	{name: "not not an object.get of an absent object in a sum", lane: LaneComplete, body: `not odd`, rest: `odd if not object.get(input.person, "days_since_end", 3) + 1 > 3`},
	{name: "an object.get or a field in a sum", lane: LaneComplete, body: `object.get(input.account, "days_since_created", input.account.active_sessions) + 1 > 30`},
	{name: "not an object.get or a field in a sum", lane: LaneComplete, body: `not object.get(input.account, "days_since_created", input.account.active_sessions) + 1 > 30`},
	{name: "not not an object.get or a field in a sum", lane: LaneComplete, body: `not odd`, rest: `odd if not object.get(input.account, "days_since_created", input.account.active_sessions) + 1 > 30`},
	{name: "a product of two", lane: LaneComplete, body: `input.account.active_sessions * input.account.days_since_login > input.account.days_since_password * 100`},
	{name: "not a product of two", lane: LaneComplete, body: `not input.account.active_sessions * input.account.days_since_login > input.account.days_since_password * 100`},
	{name: "not not a product of two", lane: LaneComplete, body: `not odd`, rest: `odd if not input.account.active_sessions * input.account.days_since_login > input.account.days_since_password * 100`},
	{name: "a product of three", lane: LaneComplete, body: `input.account.active_sessions * input.account.days_since_login * input.account.days_since_password > 1000`},
	{name: "not a product of three", lane: LaneComplete, body: `not input.account.active_sessions * input.account.days_since_login * input.account.days_since_password > 1000`},
	{name: "not not a product of three", lane: LaneComplete, body: `not odd`, rest: `odd if not input.account.active_sessions * input.account.days_since_login * input.account.days_since_password > 1000`},
	{name: "a product of four", lane: LaneComplete, body: `input.account.active_sessions * input.account.active_sessions * input.account.days_since_login * input.account.days_since_login > 9223372036854775807`},
	{name: "not a product of four", lane: LaneComplete, body: `not input.account.active_sessions * input.account.active_sessions * input.account.days_since_login * input.account.days_since_login > 9223372036854775807`},
	{name: "not not a product of four", lane: LaneComplete, body: `not odd`, rest: `odd if not input.account.active_sessions * input.account.active_sessions * input.account.days_since_login * input.account.days_since_login > 9223372036854775807`},
	{name: "a sum beyond 64 bits", lane: LaneComplete, body: `input.account.active_sessions + input.account.days_since_login > 9223372036854775807`},
	{name: "not a sum beyond 64 bits", lane: LaneComplete, body: `not input.account.active_sessions + input.account.days_since_login > 9223372036854775807`},
	{name: "not not a sum beyond 64 bits", lane: LaneComplete, body: `not odd`, rest: `odd if not input.account.active_sessions + input.account.days_since_login > 9223372036854775807`},
	{name: "a sum that is a field", lane: LaneComplete, body: `input.account.days_since_login + 1 == input.account.days_since_password`},
	{name: "not a sum that is a field", lane: LaneComplete, body: `not input.account.days_since_login + 1 == input.account.days_since_password`},
	{name: "not not a sum that is a field", lane: LaneComplete, body: `not odd`, rest: `odd if not input.account.days_since_login + 1 == input.account.days_since_password`},
	{name: "a sum that is none", lane: LaneComplete, body: `input.account.active_sessions + 1 != input.account.active_sessions - 1`},
	{name: "not a sum that is none", lane: LaneComplete, body: `not input.account.active_sessions + 1 != input.account.active_sessions - 1`},
	{name: "not not a sum that is none", lane: LaneComplete, body: `not odd`, rest: `odd if not input.account.active_sessions + 1 != input.account.active_sessions - 1`},
	{name: "a sum in a set", body: `input.account.days_since_login + 1 in {7, 30, 31}`},
	{name: "not a sum in a set", body: `not input.account.days_since_login + 1 in {7, 30, 31}`},
	{name: "not not a sum in a set", body: `not odd`, rest: `odd if not input.account.days_since_login + 1 in {7, 30, 31}`},
	{name: "a fraction in a sum", body: `input.account.days_since_login + 0.5 > 30`},
	{name: "not a fraction in a sum", body: `not input.account.days_since_login + 0.5 > 30`},
	{name: "not not a fraction in a sum", body: `not odd`, rest: `odd if not input.account.days_since_login + 0.5 > 30`},
	{name: "a sum and a fraction", lane: LaneComplete, body: `input.account.days_since_login + 1 >= 30.5`},
	{name: "not a sum and a fraction", lane: LaneComplete, body: `not input.account.days_since_login + 1 >= 30.5`},
	{name: "not not a sum and a fraction", lane: LaneComplete, body: `not odd`, rest: `odd if not input.account.days_since_login + 1 >= 30.5`},
	{name: "a sum equal to a fraction", body: `input.account.days_since_login + 1 != 30.5`},
	{name: "not a sum equal to a fraction", body: `not input.account.days_since_login + 1 != 30.5`},
	{name: "not not a sum equal to a fraction", body: `not odd`, rest: `odd if not input.account.days_since_login + 1 != 30.5`},
	{name: "a sum and a text", body: `input.account.days_since_login + 1 < input.account.username`},
	{name: "not a sum and a text", body: `not input.account.days_since_login + 1 < input.account.username`},
	{name: "not not a sum and a text", body: `not odd`, rest: `odd if not input.account.days_since_login + 1 < input.account.username`},
	{name: "a sum and a boolean", body: `input.account.days_since_login + 1 < input.account.mfa`},
	{name: "not a sum and a boolean", body: `not input.account.days_since_login + 1 < input.account.mfa`},
	{name: "not not a sum and a boolean", body: `not odd`, rest: `odd if not input.account.days_since_login + 1 < input.account.mfa`},
	{name: "a sum and a constant text", body: `input.account.days_since_login + 1 < "5"`},
	{name: "not a sum and a constant text", body: `not input.account.days_since_login + 1 < "5"`},
	{name: "not not a sum and a constant text", body: `not odd`, rest: `odd if not input.account.days_since_login + 1 < "5"`},
	{name: "a whole number with a point in a sum", lane: LaneComplete, body: `input.account.days_since_login + 1.0 > 30`},
	{name: "not a whole number with a point in a sum", lane: LaneComplete, body: `not input.account.days_since_login + 1.0 > 30`},
	{name: "not not a whole number with a point in a sum", lane: LaneComplete, body: `not odd`, rest: `odd if not input.account.days_since_login + 1.0 > 30`},
	{name: "a sum of a constant beyond 64 bits", body: `input.account.days_since_login + 9223372036854775808 > 30`},
	{name: "not a sum of a constant beyond 64 bits", body: `not input.account.days_since_login + 9223372036854775808 > 30`},
	{name: "not not a sum of a constant beyond 64 bits", body: `not odd`, rest: `odd if not input.account.days_since_login + 9223372036854775808 > 30`},
	{name: "the greatest of two", lane: LaneComplete, body: `max({input.account.days_known, object.get(input.account, "days_since_created", 0)}) >= params.limit`},
	{name: "not the greatest of two", lane: LaneComplete, body: `not max({input.account.days_known, object.get(input.account, "days_since_created", 0)}) >= params.limit`},
	{name: "not not the greatest of two", lane: LaneComplete, body: `not odd`, rest: `odd if not max({input.account.days_known, object.get(input.account, "days_since_created", 0)}) >= params.limit`},
	{name: "the greatest of fields", lane: LaneComplete, body: `max([input.account.days_since_login, input.account.days_since_password, input.account.active_sessions]) > 60`},
	{name: "not the greatest of fields", lane: LaneComplete, body: `not max([input.account.days_since_login, input.account.days_since_password, input.account.active_sessions]) > 60`},
	{name: "not not the greatest of fields", lane: LaneComplete, body: `not odd`, rest: `odd if not max([input.account.days_since_login, input.account.days_since_password, input.account.active_sessions]) > 60`},
	{name: "the least of fields", lane: LaneComplete, body: `min([input.account.days_since_login, input.account.active_sessions]) < 7`},
	{name: "not the least of fields", lane: LaneComplete, body: `not min([input.account.days_since_login, input.account.active_sessions]) < 7`},
	{name: "not not the least of fields", lane: LaneComplete, body: `not odd`, rest: `odd if not min([input.account.days_since_login, input.account.active_sessions]) < 7`},
	{name: "the greatest of a text", body: `max([input.account.days_since_login, input.account.username]) > 60`},
	{name: "not the greatest of a text", body: `not max([input.account.days_since_login, input.account.username]) > 60`},
	{name: "not not the greatest of a text", body: `not odd`, rest: `odd if not max([input.account.days_since_login, input.account.username]) > 60`},
	{name: "a size", lane: LaneComplete, body: `abs(input.account.days_since_login - input.account.days_since_password) < 7`},
	{name: "not a size", lane: LaneComplete, body: `not abs(input.account.days_since_login - input.account.days_since_password) < 7`},
	{name: "not not a size", lane: LaneComplete, body: `not odd`, rest: `odd if not abs(input.account.days_since_login - input.account.days_since_password) < 7`},
	{name: "a size of the least", lane: LaneComplete, body: `abs(input.account.active_sessions) > 9223372036854775807`},
	{name: "not a size of the least", lane: LaneComplete, body: `not abs(input.account.active_sessions) > 9223372036854775807`},
	{name: "not not a size of the least", lane: LaneComplete, body: `not odd`, rest: `odd if not abs(input.account.active_sessions) > 9223372036854775807`},
	{name: "a ceiling", lane: LaneComplete, body: `ceil((0 - input.person.hours_since_end) / 24) > 3`},
	{name: "not a ceiling", lane: LaneComplete, body: `not ceil((0 - input.person.hours_since_end) / 24) > 3`},
	{name: "not not a ceiling", lane: LaneComplete, body: `not odd`, rest: `odd if not ceil((0 - input.person.hours_since_end) / 24) > 3`},
	{name: "a ceiling equal", lane: LaneComplete, body: `ceil(input.person.hours_since_end / 24) == 1`},
	{name: "not a ceiling equal", lane: LaneComplete, body: `not ceil(input.person.hours_since_end / 24) == 1`},
	{name: "not not a ceiling equal", lane: LaneComplete, body: `not odd`, rest: `odd if not ceil(input.person.hours_since_end / 24) == 1`},
	{name: "a floor", lane: LaneComplete, body: `floor(input.account.active_sessions / 7) >= 1`},
	{name: "not a floor", lane: LaneComplete, body: `not floor(input.account.active_sessions / 7) >= 1`},
	{name: "not not a floor", lane: LaneComplete, body: `not odd`, rest: `odd if not floor(input.account.active_sessions / 7) >= 1`},
	{name: "a floor equal", lane: LaneComplete, body: `floor(input.account.hours_since_enabled / 24) == 0`},
	{name: "not a floor equal", lane: LaneComplete, body: `not floor(input.account.hours_since_enabled / 24) == 0`},
	{name: "not not a floor equal", lane: LaneComplete, body: `not odd`, rest: `odd if not floor(input.account.hours_since_enabled / 24) == 0`},
	{name: "a round", lane: LaneComplete, body: `round(input.account.active_sessions / 2) == 4`},
	{name: "not a round", lane: LaneComplete, body: `not round(input.account.active_sessions / 2) == 4`},
	{name: "not not a round", lane: LaneComplete, body: `not odd`, rest: `odd if not round(input.account.active_sessions / 2) == 4`},
	{name: "a round of a negative", lane: LaneComplete, body: `round((0 - input.account.days_since_login) / 60) < 0`},
	{name: "not a round of a negative", lane: LaneComplete, body: `not round((0 - input.account.days_since_login) / 60) < 0`},
	{name: "not not a round of a negative", lane: LaneComplete, body: `not odd`, rest: `odd if not round((0 - input.account.days_since_login) / 60) < 0`},
	{name: "a round of a round", lane: LaneComplete, body: `round(input.account.active_sessions) == input.account.active_sessions + 0`},
	{name: "not a round of a round", lane: LaneComplete, body: `not round(input.account.active_sessions) == input.account.active_sessions + 0`},
	{name: "not not a round of a round", lane: LaneComplete, body: `not odd`, rest: `odd if not round(input.account.active_sessions) == input.account.active_sessions + 0`},
	{name: "a division by a field", lane: LaneFull, body: `ceil(input.account.days_since_login / input.account.days_known) > 3`},
	{name: "not a division by a field", lane: LaneFull, body: `not ceil(input.account.days_since_login / input.account.days_known) > 3`},
	{name: "not not a division by a field", lane: LaneFull, body: `not odd`, rest: `odd if not ceil(input.account.days_since_login / input.account.days_known) > 3`},
	{name: "a division alone", body: `input.account.days_since_login / 3 > 10`},
	{name: "not a division alone", body: `not input.account.days_since_login / 3 > 10`},
	{name: "not not a division alone", body: `not odd`, rest: `odd if not input.account.days_since_login / 3 > 10`},
	{name: "a remainder", lane: LaneFull, body: `input.account.days_since_login % 7 == 0`},
	{name: "not a remainder", lane: LaneFull, body: `not input.account.days_since_login % 7 == 0`},
	{name: "not not a remainder", lane: LaneFull, body: `not odd`, rest: `odd if not input.account.days_since_login % 7 == 0`},
	{name: "a float in a product", body: `input.seats[_].cost_month * 12 > 100`},
	{name: "not a float in a product", body: `every s in input.seats { not s.cost_month * 12 > 100 }`},
	{name: "a sum of a count", lane: LaneComplete, body: `count(input.grants) + count(input.seats) > 3`},
	{name: "not a sum of a count", lane: LaneComplete, body: `not count(input.grants) + count(input.seats) > 3`},
	{name: "not not a sum of a count", lane: LaneComplete, body: `not odd`, rest: `odd if not count(input.grants) + count(input.seats) > 3`},
	{name: "a sum as a value", lane: LaneComplete, body: `sum_of == 31`, rest: `sum_of := input.account.days_since_login + 1`},
	{name: "not a sum as a value", lane: LaneComplete, body: `not sum_of == 31`, rest: `sum_of := input.account.days_since_login + 1`},
	{name: "not not a sum as a value", lane: LaneComplete, body: `not odd`, rest: `odd if not sum_of == 31
sum_of := input.account.days_since_login + 1`},
	{name: "a sum of an element", lane: LaneComplete, body: `some g in input.grants
	g.days_known - 30 > g.days_since_used`},
	{name: "not a sum of an element", lane: LaneComplete, body: `every g in input.grants {
		not g.days_known - object.get(g, "days_since_used", 0) > 30
	}`},
	{name: "a sum of two elements", lane: LaneComplete, body: `some g in input.grants
	some s in input.seats
	g.days_since_used - s.days_since_used == input.account.days_since_login - 30`},
	{name: "the greatest of an element", lane: LaneComplete, body: `some g in input.grants
	max([g.days_since_used, g.days_since_granted, input.account.days_since_login]) > 30`},
	{name: "a sum by a variable", lane: LaneComplete, body: `idle := input.account.days_since_login - object.get(input.account, "login_lag_days", 0)
	idle >= 7
	not idle >= 60`},
	{name: "not not a sum by a variable", lane: LaneComplete, body: `not odd`, rest: `odd if {
	idle := input.account.days_since_login - object.get(input.account, "login_lag_days", 0)
	not idle >= 60
}`},
	{name: "either of two sums", lane: LaneComplete, body: `some age in ages
	age > 60`, rest: `ages contains input.account.days_since_login + 1
ages contains input.account.days_since_password * 2 if input.account.enabled`},
	{name: "a sum of a text below not", lane: LaneFull, body: `not p`, rest: `default p := false
p if not sums.x + sums.y == 3
sums := {"x": 1, "y": input.account.username}`},
	{name: "a helper with a default and a text in a sum", lane: LaneFull, body: `not held`, rest: `held if p = x
default p := false
p if not sums.x + sums.y == 3
sums := {"x": 1, "y": input.account.username}`},
	{name: "a sum of numbers below not", body: `not p`, rest: `default p := false
p if not sums.x + sums.y == 31
sums := {"x": 1, "y": input.account.days_since_login}`},
	// Texts from which something is taken off.
	{name: "trim_right", lane: LaneComplete, body: `trim_right(input.account.username, "t1") == "roo"`},
	{name: "not trim_right", lane: LaneComplete, body: `not trim_right(input.account.username, "t1") == "roo"`},
	{name: "not not trim_right", lane: LaneComplete, body: `not odd`, rest: `odd if not trim_right(input.account.username, "t1") == "roo"`},
	{name: "trim_right of lower", lane: LaneComplete, body: `trim_right(lower(input.account.username), "0123456789-_.t") in {"adm", "roo", "ä"}`},
	{name: "not trim_right of lower", lane: LaneComplete, body: `not trim_right(lower(input.account.username), "0123456789-_.t") in {"adm", "roo", "ä"}`},
	{name: "not not trim_right of lower", lane: LaneComplete, body: `not odd`, rest: `odd if not trim_right(lower(input.account.username), "0123456789-_.t") in {"adm", "roo", "ä"}`},
	{name: "trim_left", lane: LaneComplete, body: `trim_left(input.account.username, "rRbB") in {"oot", "eta", ""}`},
	{name: "not trim_left", lane: LaneComplete, body: `not trim_left(input.account.username, "rRbB") in {"oot", "eta", ""}`},
	{name: "not not trim_left", lane: LaneComplete, body: `not odd`, rest: `odd if not trim_left(input.account.username, "rRbB") in {"oot", "eta", ""}`},
	{name: "trim", lane: LaneComplete, body: `trim(input.account.username, "aABtx") == "e"`},
	{name: "not trim", lane: LaneComplete, body: `not trim(input.account.username, "aABtx") == "e"`},
	{name: "not not trim", lane: LaneComplete, body: `not odd`, rest: `odd if not trim(input.account.username, "aABtx") == "e"`},
	{name: "trim of odd letters", lane: LaneComplete, body: `trim(input.account.username, "]^[-%?\\") == ""`},
	{name: "not trim of odd letters", lane: LaneComplete, body: `not trim(input.account.username, "]^[-%?\\") == ""`},
	{name: "not not trim of odd letters", lane: LaneComplete, body: `not odd`, rest: `odd if not trim(input.account.username, "]^[-%?\\") == ""`},
	{name: "trim of nothing", lane: LaneComplete, body: `trim(input.account.username, "") == "root"`},
	{name: "not trim of nothing", lane: LaneComplete, body: `not trim(input.account.username, "") == "root"`},
	{name: "not not trim of nothing", lane: LaneComplete, body: `not odd`, rest: `odd if not trim(input.account.username, "") == "root"`},
	{name: "trim of another alphabet", body: `trim(input.account.username, "é") == ""`},
	{name: "not trim of another alphabet", body: `not trim(input.account.username, "é") == ""`},
	{name: "not not trim of another alphabet", body: `not odd`, rest: `odd if not trim(input.account.username, "é") == ""`},
	{name: "trim_prefix", lane: LaneComplete, body: `trim_prefix(input.account.username, "adm") in {"1", "inistrator", "root"}`},
	{name: "not trim_prefix", lane: LaneComplete, body: `not trim_prefix(input.account.username, "adm") in {"1", "inistrator", "root"}`},
	{name: "not not trim_prefix", lane: LaneComplete, body: `not odd`, rest: `odd if not trim_prefix(input.account.username, "adm") in {"1", "inistrator", "root"}`},
	{name: "trim_suffix", lane: LaneComplete, body: `trim_suffix(input.account.username, "ot") == "ro"`},
	{name: "not trim_suffix", lane: LaneComplete, body: `not trim_suffix(input.account.username, "ot") == "ro"`},
	{name: "not not trim_suffix", lane: LaneComplete, body: `not odd`, rest: `odd if not trim_suffix(input.account.username, "ot") == "ro"`},
	{name: "trim_space", body: `trim_space(input.account.username) == "root"`},
	{name: "not trim_space", body: `not trim_space(input.account.username) == "root"`},
	{name: "not not trim_space", body: `not odd`, rest: `odd if not trim_space(input.account.username) == "root"`},
	{name: "trim of trim", lane: LaneComplete, body: `startswith(trim_left(trim_right(input.account.username, "t"), "r"), "oo")`},
	{name: "not trim of trim", lane: LaneComplete, body: `not startswith(trim_left(trim_right(input.account.username, "t"), "r"), "oo")`},
	{name: "not not trim of trim", lane: LaneComplete, body: `not odd`, rest: `odd if not startswith(trim_left(trim_right(input.account.username, "t"), "r"), "oo")`},
	{name: "upper of lower", lane: LaneComplete, body: `upper(lower(input.account.username)) == "ROOT"`},
	{name: "not upper of lower", lane: LaneComplete, body: `not upper(lower(input.account.username)) == "ROOT"`},
	{name: "not not upper of lower", lane: LaneComplete, body: `not odd`, rest: `odd if not upper(lower(input.account.username)) == "ROOT"`},
	{name: "trim of an element", lane: LaneComplete, body: `some g in input.grants
	trim_right(lower(g.entitlement.name), "ah") == "alp"`},
	{name: "trim by a field", body: `trim_right(input.account.username, input.account.kind) == "root"`},
	// What follows was found by OPA's own cases: see TestConformance.
	{name: "an object with a computed key", lane: LaneFull, body: `{"root": 1} == {input.account.username: 1}`},
	{name: "a look into an object with a computed key", lane: LaneFull, body: `named.root == 1`, rest: `named := {input.account.username: 1}`},
	{name: "not a look into an object with a computed key", lane: LaneFull, body: `not named.root`, rest: `named := {input.account.username: 1}`},
	{name: "a set with a computed name", lane: LaneFull, body: `found.alpha.names.Beta`, rest: `found[name].names contains other if {
	some a in input.grants
	name := a.entitlement.name
	some b in input.grants
	other := b.entitlement.name
}
found.x.names contains "x"`},
	{name: "a rule named by a field", lane: LaneFull, body: `found[input.account.enabled] == false`, rest: `found[input.account.enabled] := false`},
	{name: "default of a function with a dot", lane: LaneFull, body: `age.of(input.account.days_since_login) == 42`, rest: `default age.of(_) := 42
age.of(n) := n if n < 10`},
	{name: "a field and itself", lane: LaneFull, body: `input.account.enabled == input.account.enabled`},
	{name: "not a field and itself", lane: LaneFull, body: `not alike`, rest: `alike if input.account.username == input.account.username`},
	{name: "a field by two names", body: `a := input.account.enabled
	b := input.account.enabled
	a == b`},
	{name: "not a field by two names", body: `not alike`, rest: `alike if {
	a := input.account.enabled
	b := input.account.enabled
	a == b
}`},
	{name: "not two helpers of one field", lane: LaneFull, body: `not alike`, rest: `alike if list[0] == list[1]
list := [input.account.username, input.account.username]`},
	{name: "not an object and itself", body: `not alike`, rest: `alike if {"x": input.account.enabled} == {"x": input.account.enabled}`},
	{name: "not two names of a helper's values", body: `not alike`, rest: `alike if {
	a := list[0]
	b := list[1]
	a == b
}
list := [input.account.username, input.account.username]`},
	{name: "not arguments of a helper's values", body: `not alike(list[0], list[1])`, rest: `alike(a, b) if a == b
list := [input.account.enabled, input.account.enabled]`},
	{name: "not a field twice as an argument", body: `not alike(input.account.enabled, input.account.enabled)`, rest: `alike(a, b) if a == b`},
	{name: "not an element's field twice as an argument", body: `not odd`, rest: `odd if {
	some g in input.grants
	alike(g.approved, g.approved)
}
alike(a, b) if a == b`},
	{name: "an element's field twice as an argument", body: `some g in input.grants
	alike(g.approved, g.approved)`, rest: `alike(a, b) if a == b`},
	{name: "not an element's field by two names", body: `not odd`, rest: `odd if {
	some g in input.grants
	a := g.approved
	a == g.approved
}`},
	{name: "not a helper's value and itself", body: `not alike`, rest: `alike if name == name
name := input.account.username`},
	{name: "not a helper's value and the field", body: `not alike`, rest: `alike if name == input.account.username
name := input.account.username`},
	{name: "not a helper's value and a name", body: `not alike`, rest: `alike if {
	a := name
	a == name
}
name := input.account.enabled`},
	{name: "not a value of a function and the field", body: `not alike`, rest: `alike if name(input.account) == input.account.username
name(a) := a.username`},
	{name: "not two values of functions", body: `not alike`, rest: `alike if name(input.account) == name(input.account)
name(a) := a.username`},
	{name: "a member of a helper's set", lane: LaneFull, body: `names.root`, rest: `names := {name, "x"} if name := input.account.username`},
	{name: "not a member of a helper's set", lane: LaneFull, body: `not odd`, rest: `odd if names.root
names := {name, "x"} if name := input.account.username`},
	{name: "a member of a helper's set of a field", body: `names.root`, rest: `names := {input.account.username, "x"}`},
	{name: "a member of a function's set", lane: LaneFull, body: `names(input.account).root`, rest: `names(a) := {name, "x"} if name := a.username`},
	{name: "a member of a set of a name", body: `name := input.account.username
	all := {name, "x"}
	all.root`},
	{name: "a member of a set in a helper's array", lane: LaneFull, body: `names[0].root`, rest: `names := [{name, "x"}] if name := input.account.username`},
	{name: "through a helper's set", lane: LaneComplete, body: `some x in names
	x == "root"`, rest: `names := {name, "x"} if name := input.account.username`},
	{name: "not through a helper's set", lane: LaneComplete, body: `not odd`, rest: `odd if {
	some x in names
	x == "root"
}
names := {name, "x"} if name := input.account.username`},
	{name: "through a helper's set to another field", lane: LaneComplete, body: `some x in names
	x == input.account.mailbox_type`, rest: `names := {name, "user"} if name := input.account.username`},
	{name: "not not through a helper's set to a field before", body: `not odd`, rest: `odd if not even
even if {
	wanted := input.account.mailbox_type
	some x in names
	wanted == x
}
names := {name, "user"} if name := input.account.username`},
	{name: "through a helper's set below every", body: `every g in input.grants {
		some x in names(g)
		x != "a"
	}`, rest: `names(g) := {name, "x"} if name := g.entitlement.name`},
	{name: "through a function's set", body: `some g in input.grants
	some x in names(g)
	x in {"a", "alpha"}`, rest: `names(g) := {name, kind} if {
	name := lower(g.entitlement.name)
	kind := g.entitlement.kind
}`},
	{name: "through a function's set within a comprehension", body: `count([x | some g in input.grants; some x in names(g); x == "a"]) == 0`, rest: `names(g) := {name, "x"} if name := g.entitlement.name`},
	{name: "through a function's set of alike", body: `count([x | some x in names(input.person)]) > 1`, rest: `names(p) := {a, b} if {
	a := p.department
	b := p.previous_department
}`},
	{name: "through a helper's set of sets", body: `some x in names
	x.root`, rest: `names := {inner} if {
	name := input.account.username
	inner := {name, "x"}
}`},
	{name: "a set in a helper's set", lane: LaneFull, body: `some x in names
	x.root`, rest: `names := {{name, "x"}, {"y"}} if name := input.account.username`},
	{name: "through a helper's set of arrays", lane: LaneComplete, body: `some x in names
	x[0] == "root"`, rest: `names := {[name, "x"], ["y"]} if name := input.account.username`},
	{name: "through a helper's set by two names", lane: LaneFull, body: `some k, x in names
	x == k
	k == "root"`, rest: `names := {name, "x"} if name := input.account.username`},
	{name: "every of a helper's set", lane: LaneFull, body: `every x in names { x != "root" }`, rest: `names := {name, "x"} if name := input.account.username`},
	{name: "in a helper's set", lane: LaneFull, body: `"root" in names`, rest: `names := {name, "x"} if name := input.account.username`},
	{name: "a field in a helper's set", lane: LaneFull, body: `not input.account.mailbox_type in names`, rest: `names := {name, "user"} if name := input.account.username`},
	{name: "some of a constant in a helper's set", lane: LaneFull, body: `some "root" in names`, rest: `names := {name, "x"} if name := input.account.username`},
	{name: "a count of a helper's set", lane: LaneFull, body: `count(names) == 2`, rest: `names := {name, "x"} if name := input.account.username`},
	{name: "a helper's set alone", lane: LaneFull, body: `not names`, rest: `names := {name, "x"} if name := input.account.username`},
	{name: "a variable in a helper's set", lane: LaneFull, body: `x := input.account.mailbox_type
	names[x]`, rest: `names := {name, "user"} if name := input.account.username`},
	{name: "a wildcard in a helper's set", lane: LaneComplete, body: `x := names[_]
	x == "root"`, rest: `names := {name, "x"} if name := input.account.username`},
	{name: "a helper's set by another helper", lane: LaneFull, body: `all.root`, rest: `all := names
names := {name, "x"} if name := input.account.username`},
	{name: "a function's set by another function", lane: LaneFull, body: `some x in all(input.account)
	x == "root"`, rest: `all(a) := names(a)
names(a) := {name, "x"} if name := a.username`},
	{name: "a function's set by a variable", lane: LaneFull, body: `all := names(input.account)
	some x in all
	x == "root"`, rest: `names(a) := {name, "x"} if name := a.username`},
	{name: "a function's set twice", lane: LaneFull, body: `all := names(input.account)
	some x in all
	x == "root"
	all.x`, rest: `names(a) := {name, "x"} if name := a.username`},
	{name: "else of a helper's set", lane: LaneFull, body: `names.root`, rest: `names := {"y"} if { input.account.locked } else := {name, "x"} if { name := input.account.username }`},
	{name: "through an else of a helper's set", body: `some x in names
	x == "root"`, rest: `names := {"root"} if { input.account.locked } else := {name, "x"} if { name := input.account.username }`},
	{name: "an index by a text", body: `params.kinds[input.account.attributes.admin_count]`},
	{name: "not an index by a text", body: `not params.kinds[input.account.attributes.admin_count]`},
	{name: "a parameter of another type", lane: LaneFull, body: `startswith(input.account.username, params.limit)`},
	{name: "not a parameter of another type", lane: LaneFull, body: `not startswith(input.account.username, params.kinds)`},
}

func (c construct) policy(i int) string {
	var refs = strings.NewReplacer("params.", fmt.Sprintf("data.params[%q].", c.id(i)))
	return fmt.Sprintf(`# METADATA
# title: %[1]q
# description: One construct.
# custom:
#   id: %[2]s
#   subject: account
#   severity: low
#   controls: ["CIS-8.1:5.1"]
#   action: none
#   assignee: manager
#   params: {limit: 30, share: 0.05, kinds: [human, guest], ids: [ent-0, ent-2], none: []}
package lapse.construct.c%[3]d

import rego.v2

findings contains {"message": message} if {
	%[4]s
	message := sprintf("%%v", [input.account.id])
}

%[5]s
`, c.name, c.id(i), i, refs.Replace(c.body), refs.Replace(c.rest))
}

// head is the policy's METADATA, package and imports.
func (c construct) head(i int) string {
	text := c.policy(i)
	return text[:strings.Index(text, "findings contains")]
}

func (c construct) id(i int) string { return fmt.Sprintf("CON-%03d", i) }

func constructPack(t testing.TB) *Pack {
	t.Helper()
	files := map[string]string{}
	for i, c := range constructs {
		files[fmt.Sprintf("c%03d/policy.rego", i)] = c.policy(i)
	}
	pack, err := load(files, Options{})
	if err != nil {
		t.Fatal(err)
	}
	return pack
}

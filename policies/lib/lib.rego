# Package lapse.lib holds what the rules say alike: who somebody is, how long ago something was, what it costs. Each name
# falls back to what is always known, so that no message is lost for want of an optional field.
package lapse.lib

import rego.v2

# Whether the person works for somebody else. Rosters that don't say so have employees only.
contractor if input.person.kind in {"contractor", "vendor", "temp", "external", "consultant"}

# Of what somebody or something is called, the first that is known.
account_name := known if known := input.account.username

else := known if known := input.account.email

else := known if known := input.account.name

else := input.account.id

# " privileged" to be put before "account", or nothing.
default privileged := ""

privileged := " privileged" if input.account.privileged

default last_login := ""

last_login := sprintf(" (last sign-in %s ago)", [days(input.account.days_since_login)])

# Days for which the account has surely not been used: some systems note a sign-in up to two weeks late.
idle_days := input.account.days_since_login - object.get(input.account, "login_lag_days", 0)

# Creation dates are not everywhere: then it counts since when Lapse has known the account.
account_age := object.get(input.account, "days_since_created", input.account.days_known)

default disabled_for := ""

disabled_for := sprintf(" for %s", [days(input.account.days_since_disabled)])

person_name := known if known := input.person.name

else := known if known := input.person.email

else := input.person.id

# " of Ada Byron" to be put after an account, or nothing.
default of_person := ""

of_person := sprintf(" of %s", [person_name])

default left := "has left"

left := sprintf("left %s ago", [days(input.person.days_since_end)]) if input.person.days_since_end >= 1

left := sprintf("left %s ago", [hours(input.person.hours_since_end)]) if input.person.days_since_end == 0

default department := "the same department"

department := input.person.department

owner_name := known if known := input.owner.name

else := known if known := input.owner.email

else := input.owner.id

default owner_left := "has left"

owner_left := sprintf("left %s ago", [days(input.owner.days_since_end)]) if input.owner.days_since_end >= 1

owner_left := sprintf("left %s ago", [hours(input.owner.hours_since_end)]) if input.owner.days_since_end == 0

entitlement_name := object.get(input.entitlement, "name", input.entitlement.id)

entitlement_kind := object.get(input.entitlement, "kind", "entitlement")

grant_name(grant) := object.get(grant.entitlement, "name", grant.entitlement.id)

# Since when a grant is held: as the source says, else since Lapse first saw it. Grants through groups have no date.
grant_age(grant) := grant.days_since_granted if is_number(grant.days_since_granted)

grant_age(grant) := grant.days_known if not grant.days_since_granted

# " through A > B" to be put after a grant's name, or nothing.
default by_path(_) := ""

by_path(grant) := sprintf(" through %s", [concat(" > ", array.slice(grant.path, 0, count(grant.path) - 1))]) if count(grant.path) > 1

product(seat) := object.get(seat, "product", seat.sku)

default price(_) := ""

price(seat) := sprintf(" at %v %s a month", [seat.cost_month, seat.currency])

price(seat) := sprintf(" at %v a month", [seat.cost_month]) if not seat.currency

# What a finding says about money: nothing while the price is unknown.
cost(seat) := object.filter(seat, ["cost_month", "currency"])

days(n) := sprintf("%v day%s", [n, object.get({1: ""}, n, "s")])

hours(n) := sprintf("%v hour%s", [n, object.get({1: ""}, n, "s")])

some_of(n, what) := sprintf("%v %s%s", [n, what, object.get({1: ""}, n, "s")])

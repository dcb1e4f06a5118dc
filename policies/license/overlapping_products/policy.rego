# METADATA
# title: Overlapping products for one person
# description: One person has paid seats of products that do the same. Which these are stands in data.yaml.
# scope: package
# custom:
#   id: LIC-04
#   subject: person
#   severity: low
#   controls: ["NIST-800-53r5:CM-10"]
#   action: review
#   assignee: manager
#   enabled: false
#   scope: {person.status: [active, leave]}
#   needs: [seats]
package lapse.license.overlapping_products

import rego.v2

import data.lapse.lib

findings contains object.union(finding, saving(products)) if {
	input.person.status in {"active", "leave"}
	some id, overlap in data.tables["LIC-04"].overlaps

	# Before all that is paid for somebody is gathered: is there one of them at all?
	some product in overlap.products
	some name in names
	like(lower(product), name)
	products := [seats |
		some pattern in overlap.products
		seats := [seat | some seat in paid; fits(pattern, seat)]
		count(seats) > 0
	]
	count(products) > 1
	finding := {
		"key": id,
		"message": sprintf("%s has paid seats of %v products for %s: %s", [
			lib.person_name,
			count(products),
			overlap.title,
			concat(", ", sort([described(seats) | some seats in products])),
		]),
		"evidence": {"overlap": id, "seats": [seat | some seats in products; some seat in seats]},
	}
}

# Seats of accounts that are disabled are the matter of LIC-01.
paid := [seat |
	some seat in input.seats

	# lapse:allow unknown-not: only a seat known to be free costs nothing, and most systems give no prices
	not seat.cost_month == 0
	not disabled(seat)
]

disabled(seat) if {
	some account in input.accounts
	account.source == seat.source
	account.id == seat.account_id
	account.enabled == false
}

names contains lower(seat.sku) if some seat in input.seats

names contains lower(product) if {
	some seat in input.seats
	product := seat.product
}

# A product is called by its name, or its SKU where it has none.
fits(pattern, seat) if like(lower(pattern), lower(lib.product(seat)))

fits(pattern, seat) if like(lower(pattern), lower(seat.sku))

like(pattern, text) if pattern == text

like(pattern, text) if {
	contains(pattern, "*")
	glob.match(pattern, null, text)
}

described(seats) := sprintf("%s%s", [lib.product(seats[0]), lib.price(seats[0])])

# All but the dearest could be saved, where all prices are known and in one currency.
default saving(_) := {}

saving(products) := {"cost_month": saved, "currency": currency} if {
	every seats in products {
		every seat in seats {
			seat.cost_month > 0
		}
	}
	currencies := {seat.currency | some seats in products; some seat in seats}
	some currency in currencies
	count(currencies) == 1
	costs := [sum([seat.cost_month | some seat in seats]) | some seats in products]
	saved := round((sum(costs) - max(costs)) * 100) / 100
}

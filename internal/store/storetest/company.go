package storetest

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2"
)

// Sizes are how many accounts benchmarks take: 10,000, 100,000, and LAPSE_BENCH_ACCOUNTS if that is more.
func Sizes(tb testing.TB) []int {
	tb.Helper()
	sizes := []int{10_000, 100_000}
	if text := os.Getenv("LAPSE_BENCH_ACCOUNTS"); text != "" {
		n, err := strconv.Atoi(text)
		if err != nil {
			tb.Fatal(err)
		}
		if n > sizes[1] {
			sizes = append(sizes, n)
		}
	}
	return sizes
}

// Company is a made-up company of some size, in a roster and four applications, of which the first is the directory. Its
// departments are of the same size whatever its own, so that an account weighs the same in a large one: about fifteen
// effective grants, five of them its own, and a seat.
type Company struct {
	Accounts int
	Night    time.Time // of its first snapshots, numbered 1
}

// Roster and Sources are the uids of what is read.
const Roster = "hr"

// Sources lists the applications.
func Sources() []string { return []string{"s0", "s1", "s2", "s3"} }

// Reads is what an application gives.
func Reads() []string { return []string{"accounts", "entitlements", "grants", "licenses", "seats"} }

// do runs a statement over the company: $now is the first night, $a and $p are the hash of an account's and of a person's
// number, $person the number of an account's person, $source an account's source.
func (c Company) do(b *Beside, night int, query string) {
	b.tb.Helper()
	text := strings.NewReplacer(
		"$taken", "fromUnixTimestamp64Milli({taken:Int64}, 'UTC')",
		"$now", "fromUnixTimestamp64Milli({now:Int64}, 'UTC')",
		"$source", "concat('s', toString((number + intDiv(number, {people:UInt64})) % 4))",
		"$account", "concat('0b5d3c1e-7a4f-4e2b-', leftPad(toString(number), 12, '0'))",
		"$entitlement", "concat('e7f0c2aa-1111-2222-', leftPad(toString(e), 12, '0'))",
		"$a", "cityHash64(number, 'account')",
		"$ended", "(cityHash64(number % {people:UInt64}, 'person') % 100 < 3)",
		"$p", "cityHash64(number, 'person')",
	).Replace(query)
	b.Do(text, clickhouse.Named("n", uint64(c.Accounts)), clickhouse.Named("people", uint64(c.Accounts/2)),
		clickhouse.Named("departments", c.departments()), clickhouse.Named("entitlements", uint64(c.Accounts/10)),
		clickhouse.Named("now", c.Night.UnixMilli()), clickhouse.Named("taken", c.Night.AddDate(0, 0, night-1).UnixMilli()),
		clickhouse.Named("night", uint64(night)))
}

func (c Company) departments() uint64 { return uint64(max(1, c.Accounts/1250)) }

// Publish writes the snapshots of a night, numbered as it is, from 1 on. From one night to the next people sign in, and one
// account in a hundred changes.
func (c Company) Publish(b *Beside, night int) {
	b.tb.Helper()
	c.do(b, night, `INSERT INTO people (source, snapshot, taken, record_id, id, employee_id, employee_id_key, username, username_key,
			email, email_key, name, kind, status, department, title, location, company, manager_id, start_at, end_at, attributes_known)
		WITH leftPad(toString(number), 7, '0') AS n,
			toNullable($now - toIntervalDay(1 + $p % 160)) AS ended
		SELECT 'hr', {night:UInt64}, $taken, concat('P', n), concat('P', n), concat('E', n), concat('e', n), concat('person', n), concat('person', n),
			concat('Person.', n, '@example.com'), concat('person.', n, '@example.com'), concat('Person Number ', n),
			if($p % 100 BETWEEN 10 AND 15, 'contractor', 'employee'),
			multiIf($p % 100 < 3, 'ended', $p % 100 < 5, 'leave', 'active'),
			concat('Department ', toString(number % {departments:UInt64})), concat('Title ', toString($p % 300)),
			concat('Office ', toString($p % 20)), 'Example', concat('P', leftPad(toString(intDiv(number, 10)), 7, '0')),
			$now - toIntervalDay(1100 + $p % 900), if($p % 100 < 3, ended, NULL), true
		FROM numbers({people:UInt64})`)
	c.do(b, night, `INSERT INTO accounts (source, snapshot, taken, id, username, username_key, email, email_key, name, employee_id, employee_id_key,
			kind, enabled, mfa, owner_id, owner_key, created_at, last_login_at, never_logged_in, password_changed_at, disabled_at, attributes, attributes_known)
		WITH leftPad(toString(number % {people:UInt64}), 7, '0') AS n,
			$a % 100 AS part, $source AS src, intDiv($a, 100) % 1000 AS fate,
			part = 0 AS service, part = 1 AND fate < 500 AS orphan,
			NOT service AND NOT orphan AND src IN ('s0', 's1') AS by_id,
			NOT service AND NOT orphan AS mailed,
			if($ended, fate < 50, fate >= 15) AND NOT (({night:UInt64} + number) % 200 = 0 AND {night:UInt64} > 1) AS enabled,
			service AND fate >= 50 AS owned
		SELECT src, {night:UInt64}, $taken, $account, if(service, concat('svc', toString(number)), concat('user', n)), if(service, concat('svc', toString(number)), concat('user', n)),
			if(mailed, concat('Person.', n, '@example.com'), ''), if(mailed, concat('person.', n, '@example.com'), ''), concat('Person Number ', n),
			if(by_id, concat('E', n), ''), if(by_id, concat('e', n), ''), if(service, 'service', 'human'), enabled, fate % 40 != 0,
			if(owned, concat('P', leftPad(toString((number % {people:UInt64}) - (number % 10)), 7, '0')), ''),
			if(owned, concat('p', leftPad(toString((number % {people:UInt64}) - (number % 10)), 7, '0')), ''),
			$now - toIntervalDay(60 + $a % 1000),
			multiIf(fate < 30, $now - toIntervalDay(100 + fate), $ended, $now - toIntervalDay(161 + fate % 30), $taken - toIntervalHour(fate % 700)),
			false, $now - toIntervalDay($a % 300), if(enabled, NULL, toNullable($now - toIntervalDay($a % 150))),
			map('dn', concat('CN=Person ', n, ',OU=People,DC=example,DC=com')), true
		FROM numbers({n:UInt64})`)
	// Of a department's entitlements in a source, from 0 on: leaves, of which 23 is an administrator's, six that they are
	// members of, and one above all.
	c.do(b, night, `INSERT INTO entitlements (source, snapshot, taken, id, name, kind, resource, privileged, owner_id, owner_key, reviewed_at, tags_known, attributes_known)
		WITH number AS e, intDiv(intDiv(e, 4), {departments:UInt64}) AS rank
		SELECT concat('s', toString(e % 4)), {night:UInt64}, $taken, $entitlement, concat('Group ', toString(rank), ' of department ', toString(intDiv(e, 4) % {departments:UInt64})),
			'group', concat('Resource ', toString(e % 50)), rank = 23, concat('P', leftPad(toString(e % {people:UInt64}), 7, '0')),
			concat('p', leftPad(toString(e % {people:UInt64}), 7, '0')), $now - toIntervalDay(e % 100), true, true
		FROM numbers({entitlements:UInt64})`)
	const at = "(((department + shift) % {departments:UInt64}) + rank * {departments:UInt64}) * 4 + which AS e"
	c.do(b, night, `INSERT INTO grants (source, snapshot, taken, holder_kind, holder_id, entitlement_id, granted_at, reviewed_at)
		WITH (number + intDiv(number, {people:UInt64})) % 4 AS which, (number % {people:UInt64}) % {departments:UInt64} AS department,
			cityHash64(number, i) AS h, intDiv($a, 100000) % 1000 AS luck,
			if(i < 3, 0, i * 7) AS shift,
			multiIf(i = 3 AND luck < 12, 23, i = 4 AND luck BETWEEN 8 AND 15, 12 + h % 11, i < 3, 3 * i + h % 3, i - 3) AS rank, `+at+`
		SELECT $source, {night:UInt64}, $taken, 'account', $account, $entitlement, $now - toIntervalDay(h % 900), $now - toIntervalDay(h % 80)
		FROM (SELECT number, arrayJoin(range(5)) AS i FROM numbers({n:UInt64}))
		WHERE NOT (({night:UInt64} + number) % 400 = 0 AND i = 1)`)
	c.do(b, night, `INSERT INTO grants (source, snapshot, taken, holder_kind, holder_id, entitlement_id)
		WITH number % 4 AS which, intDiv(number, 4) % {departments:UInt64} AS department, intDiv(intDiv(number, 4), {departments:UInt64}) AS below,
			0 AS shift, multiIf(below < 24, 24 + (below + up) % 6, 30) AS rank, `+at+`
		SELECT concat('s', toString(which)), {night:UInt64}, $taken, 'entitlement',
			concat('e7f0c2aa-1111-2222-', leftPad(toString(number), 12, '0')), $entitlement
		FROM (SELECT number, arrayJoin([0, 3]) AS up FROM numbers({entitlements:UInt64})) WHERE below < 24 OR below < 30 AND up = 0`)
	c.do(b, night, `INSERT INTO licenses (source, snapshot, taken, sku, product, cost_month, currency, purchased)
		SELECT concat('s', toString(number)), {night:UInt64}, $taken, 'suite', 'Office Suite', 57.25, 'USD', {n:UInt64} FROM numbers(4)`)
	c.do(b, night, `INSERT INTO seats (source, snapshot, taken, account_id, sku, assigned_at, last_used_at)
		WITH intDiv($a, 100) % 1000 AS fate
		SELECT $source, {night:UInt64}, $taken, $account, sku, $now - toIntervalDay(200 + fate),
			if(intDiv($a, 7) % 60 = 0, $now - toIntervalDay(70 + fate % 30), $taken - toIntervalHour(fate % 700))
		FROM (SELECT number, arrayJoin(if($a % 20 = 0, ['suite', 'suite plus'], ['suite'])) AS sku FROM numbers({n:UInt64}))
		WHERE NOT $ended AND fate >= 15 OR $a % 19 = 0`)
	for kind, hash := range map[string]string{"account": "sipHash128(id)", "entitlement": "sipHash128(id)", "grant": "sipHash128(holder_kind, holder_id, entitlement_id)"} {
		c.do(b, night, fmt.Sprintf(`INSERT INTO first_seen (source, kind, id_hash, first_seen, snapshot)
			SELECT source, '%s', reinterpretAsUInt128(%s) AS hash, taken - toIntervalDay(30), {night:UInt64} FROM %ss WHERE snapshot = {night:UInt64}
				AND (source, hash) NOT IN (SELECT source, id_hash FROM first_seen WHERE kind = '%s')`, kind, hash, kind, kind))
	}
	c.do(b, night, `INSERT INTO snapshots (source, snapshot, taken, recorded_at, name, type, roster, status, reads, coverage)
		SELECT if(number = 4, 'hr', concat('s', toString(number))), {night:UInt64}, $taken, $taken, if(number = 4, 'HR', concat('App ', toString(number))),
			'file', number = 4, 'accepted', if(number = 4, ['people'], ['accounts', 'entitlements', 'grants', 'licenses', 'seats']),
			mapFromArrays(['last_login', 'mfa', 'owner', 'enabled', 'kind', 'end_date', 'reviewed'], arrayWithConstant(7, 'full'))
		FROM numbers(5)`)
}

// Repeat puts copies of a night, with its run, into the store as those of the nights after it, up to the last.
func (c Company) Repeat(b *Beside, night, last int) {
	b.tb.Helper()
	for copied := night + 1; copied <= last; copied++ {
		days := copied - night
		snapshots := fmt.Sprintf("%d AS snapshot, taken + toIntervalDay(%d) AS taken", copied, days)
		for _, table := range []string{"people", "accounts", "entitlements", "grants", "licenses", "seats"} {
			b.Do(fmt.Sprintf("INSERT INTO %s SELECT * REPLACE (%s) FROM %s WHERE snapshot = %d", table, snapshots, table, night))
		}
		b.Do(fmt.Sprintf("INSERT INTO snapshots SELECT * REPLACE (%s, recorded_at + toIntervalDay(%d) AS recorded_at) FROM snapshots WHERE snapshot = %d", snapshots, days, night))
		for _, table := range []string{"run_people", "run_aliases", "run_links", "run_privileged", "run_judged", "tallies"} {
			b.Do(fmt.Sprintf("INSERT INTO %s SELECT * REPLACE (%d AS run) FROM %s WHERE run = %d", table, copied, table, night))
		}
		at := fmt.Sprintf("%d AS run, time + toIntervalDay(%d) AS time", copied, days)
		b.Do(fmt.Sprintf("INSERT INTO finding_hits SELECT * REPLACE (%s) FROM finding_hits WHERE run = %d", at, night))
		b.Do(fmt.Sprintf("INSERT INTO finding_states SELECT * REPLACE (%s, last_seen + toIntervalDay(%d) AS last_seen, %d AS hit_run) FROM finding_states WHERE run = %d AND status != 'closed'",
			at, days, copied, night))
		b.Do(fmt.Sprintf("INSERT INTO run_inputs SELECT * REPLACE (%s, %d AS snapshot, taken + toIntervalDay(%d) AS taken) FROM run_inputs WHERE run = %d", at, copied, days, night))
		b.Do(fmt.Sprintf("INSERT INTO runs SELECT * REPLACE (%s, %d AS previous) FROM runs WHERE run = %d", at, copied-1, night))
	}
}

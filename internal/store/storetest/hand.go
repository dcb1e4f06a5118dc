package storetest

import (
	_ "embed"
	"fmt"
	"strings"

	"github.com/ClickHouse/clickhouse-go/v2"
	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"
)

// Named is a parameter of a statement.
func Named(name string, value any) driver.NamedValue { return clickhouse.Named(name, value) }

// Hand is what somebody would write who knows ClickHouse, and this company: statements straight over the tables of one night's
// snapshots, which make the account subjects with all of their columns, in slices so that they stay in memory, and count on
// them. It keeps nothing for the next night and looks at none before, links by equality alone, and knows which source is what.
type Hand struct {
	b       *Beside
	c       Company
	columns string // of the subjects
	step    func(string)
}

// NewHand prepares it; step is told of each part that is done.
func NewHand(b *Beside, c Company, step func(string)) *Hand {
	h := &Hand{b: b, c: c, step: step}
	for _, table := range []string{"accounts", "entitlements", "groups", "direct", "edges", "closure", "effective", "flags", "peers", "seats", "usage", "keys", "directory"} {
		h.table("hand_"+table, "work_"+table)
	}
	h.table("hand_people", "run_people")
	h.table("hand_inputs", "run_inputs")
	h.table("hand_subjects", "subject_account")
	names := b.Texts(`SELECT name FROM system.columns WHERE database = currentDatabase() AND table = 'subject_account' AND name NOT IN ('run', 'slice', 'no') ORDER BY position`)
	h.columns = strings.Join(names, ", ")
	return h
}

func (h *Hand) table(name, like string) {
	h.b.Do("DROP TABLE IF EXISTS " + name)
	h.b.Do("CREATE TABLE " + name + " AS " + like)
}

func (h *Hand) do(query string, args ...any) {
	h.b.tb.Helper()
	text := strings.NewReplacer(
		"$now", "fromUnixTimestamp64Milli({now:Int64}, 'UTC')",
	).Replace(query)
	h.b.Do(text, append(args, Named("now", h.c.Night.UnixMilli()))...)
}

// Make makes the subjects.
func (h *Hand) Make() {
	h.b.tb.Helper()
	const days = "WITH (t) -> toInt64(floor(({now:Int64} - toUnixTimestamp64Milli(t)) / 86400000)) AS days "
	const settings = " SETTINGS min_insert_block_size_rows = 131072, min_insert_block_size_bytes = 33554432, max_block_size = 16384"
	h.do(`INSERT INTO hand_inputs (run, source, name, type, roster, reads, coverage)
		SELECT 1, source, name, type, roster, reads, coverage FROM snapshots WHERE snapshot = 1`)
	h.do(`INSERT INTO hand_people (run, no, key, roster, id, employee_id, username, email, name, kind, status, department, title, location,
			company, manager, manager_no, start_at, end_at, end_first_known, first_start_at, records)
		SELECT 1, n.no, concat('hr:', p.id), 'hr', p.id, p.employee_id, p.username, p.email, p.name, p.kind,
			multiIf(p.end_at <= $now, 'ended', p.start_at > $now, 'future', p.status = 'leave', 'leave', 'active'), p.department, p.title, p.location,
			p.company, concat('hr:', p.manager_id), m.no, p.start_at, p.end_at, if(p.end_at IS NULL, NULL, $now), p.start_at, 1
		FROM (SELECT * FROM people WHERE source = 'hr' AND snapshot = 1) AS p
		INNER JOIN (SELECT id, row_number() OVER (ORDER BY department, id) AS no FROM people WHERE source = 'hr' AND snapshot = 1) AS n ON n.id = p.id
		LEFT ANY JOIN (SELECT id, row_number() OVER (ORDER BY department, id) AS no FROM people WHERE source = 'hr' AND snapshot = 1) AS m ON m.id = p.manager_id` + settings)
	h.step("people")
	h.do(`INSERT INTO hand_accounts (no, person_no, owner_no, peer_group, source, id, username, email, name, kind, enabled, privileged, external, mfa,
			owner_id, days_known, created_at, last_login_at, never_logged_in, days_since_password, days_since_disabled, keys_known, attributes,
			attributes_known, link_method, link_status, link_since) ` + days + `
		SELECT row_number() OVER (ORDER BY p.department, p.no, a.source, a.id), p.no, o.no,
			if(ifNull(a.enabled, false) AND a.kind = 'human' AND p.no > 0 AND p.status = 'active', dense_rank() OVER (ORDER BY p.department, a.source), 0),
			a.source, a.id, a.username, a.email, a.name, a.kind, a.enabled, a.privileged, a.external, a.mfa, a.owner_id, greatest(0, ifNull(days(f.seen), 0)),
			a.created_at, a.last_login_at, if(a.last_login_at IS NULL, a.never_logged_in, false), days(a.password_changed_at),
			if(ifNull(a.enabled, false), NULL, days(a.disabled_at)), a.keys_known, a.attributes, a.attributes_known,
			multiIf(p.no = 0, 'none', startsWith(p.key, 'id:'), 'employee_id', 'email'), if(p.no > 0, 'linked', 'unmatched'), toNullable($now)
		FROM (SELECT *, bitXor(reinterpretAsUInt128(sipHash128(id)), reinterpretAsUInt128(sipHash128(source))) AS sight, multiIf(employee_id_key != '', concat('id:', employee_id_key), kind = 'human' AND email_key != '', concat('mail:', email_key), '') AS person_key
			FROM accounts WHERE snapshot = 1) AS a
		LEFT ANY JOIN (SELECT arrayJoin([concat('id:', lower(employee_id)), concat('mail:', lower(email))]) AS key, no, status, department FROM hand_people) AS p ON p.key = a.person_key
		LEFT ANY JOIN (SELECT lower(id) AS key, no FROM hand_people) AS o ON o.key = a.owner_key
		LEFT ANY JOIN (SELECT bitXor(id_hash, reinterpretAsUInt128(sipHash128(source))) AS sight, toNullable(min(first_seen)) AS seen FROM first_seen
			WHERE kind = 'account' GROUP BY sight) AS f ON f.sight = a.sight` + settings)
	h.do(`INSERT INTO hand_groups (no, members) SELECT peer_group, count() FROM hand_accounts WHERE peer_group > 0 GROUP BY peer_group`)
	h.do(`INSERT INTO hand_directory (person_no, id, source, username, enabled, days_since_disabled)
		SELECT person_no, id, source, username, enabled, days_since_disabled FROM hand_accounts WHERE person_no > 0 AND source = 's0'
		ORDER BY person_no, kind = 'human' DESC, ifNull(enabled, false) DESC, created_at, id LIMIT 1 BY person_no`)
	h.step("accounts")
	h.do(`INSERT INTO hand_entitlements (no, source, id, name, kind, resource, privileged, high_risk)
		SELECT row_number() OVER (ORDER BY source, id), source, id, name, kind, resource, privileged, high_risk FROM entitlements WHERE snapshot = 1`)
	h.do(`INSERT INTO hand_seats (account, sku, product, cost_month, currency, days_since_assigned, days_since_used, never_used) ` + days + `
		SELECT n.no, s.sku, l.product, l.cost_month, l.currency, days(s.assigned_at), days(s.last_used_at), if(s.last_used_at IS NOT NULL, false, s.never_used)
		FROM (SELECT * FROM seats WHERE snapshot = 1) AS s
		INNER JOIN (SELECT source, id, no FROM hand_accounts) AS n ON n.source = s.source AND n.id = s.account_id
		LEFT ANY JOIN (SELECT source, sku, product, toNullable(cost_month) AS cost_month, currency FROM licenses WHERE snapshot = 1) AS l ON l.source = s.source AND l.sku = s.sku` + settings)
	h.step("entitlements and seats")
	// All first sights of grants at once take more memory than the rest: it goes source by source.
	for _, source := range Sources() {
		h.do(`INSERT INTO hand_direct (account, entitlement, days_known, days_since_granted, days_since_used, days_since_review) `+days+`
			SELECT n.no, e.no, days(f.seen), days(g.granted_at), days(g.last_used_at), days(g.reviewed_at)
			FROM (SELECT *, reinterpretAsUInt128(sipHash128(holder_kind, holder_id, entitlement_id)) AS hash FROM grants
				WHERE source = {source:String} AND snapshot = 1 AND holder_kind = 'account') AS g
			INNER JOIN (SELECT id, no FROM hand_accounts WHERE source = {source:String}) AS n ON n.id = g.holder_id
			INNER JOIN (SELECT id, no FROM hand_entitlements WHERE source = {source:String}) AS e ON e.id = g.entitlement_id
			LEFT ANY JOIN (SELECT id_hash, toNullable(first_seen) AS seen FROM first_seen WHERE source = {source:String} AND kind = 'grant') AS f ON f.id_hash = g.hash`+settings,
			Named("source", source))
	}
	h.do(`INSERT INTO hand_edges (holder, entitlement)
		SELECT h.no, e.no FROM (SELECT source, holder_id, entitlement_id FROM grants WHERE snapshot = 1 AND holder_kind = 'entitlement') AS g
		INNER JOIN (SELECT source, id, no FROM hand_entitlements) AS h ON h.source = g.source AND h.id = g.holder_id
		INNER JOIN (SELECT source, id, no FROM hand_entitlements) AS e ON e.source = g.source AND e.id = g.entitlement_id`)
	h.step("grants")
	h.do(`INSERT INTO hand_closure (no, holder, entitlement, depth, path)
		SELECT row_number() OVER (ORDER BY holder, entitlement), holder, entitlement, depth, path
		FROM (
			WITH RECURSIVE reach AS (
				SELECT holder, entitlement, toUInt16(1) AS depth, [holder, entitlement] AS path FROM hand_edges
				UNION ALL
				SELECT r.holder, e.entitlement, toUInt16(r.depth + 1), arrayPushBack(r.path, e.entitlement)
				FROM reach AS r INNER JOIN hand_edges AS e ON e.holder = r.entitlement WHERE NOT has(r.path, e.entitlement))
			SELECT holder, entitlement, depth, path FROM reach ORDER BY depth, path LIMIT 1 BY holder, entitlement)`)
	h.step("nesting")
	for first := 1; first <= h.c.Accounts; first += handSlice {
		h.do(`INSERT INTO hand_effective (account, entitlement, depth, via)
			SELECT account, entitlement, bitShiftRight(best, 32), bitAnd(best, 4294967295)
			FROM (
				SELECT account, entitlement, min(way) AS best
				FROM (
					SELECT account, entitlement, toUInt64(0) AS way FROM hand_direct WHERE account BETWEEN {first:UInt32} AND {last:UInt32}
					UNION ALL
					SELECT d.account, c.entitlement, bitShiftLeft(toUInt64(c.depth), 32) + c.no
					FROM (SELECT account, entitlement FROM hand_direct WHERE account BETWEEN {first:UInt32} AND {last:UInt32}) AS d
					INNER JOIN (SELECT holder, entitlement, depth, no FROM hand_closure) AS c ON c.holder = d.entitlement)
				GROUP BY account, entitlement)`+settings, h.slice(first)...)
	}
	h.do(`INSERT INTO hand_flags (account, privileged, unknown)
		WITH (SELECT groupArray(flag) FROM (SELECT ifNull(toInt8(privileged), -1) AS flag FROM hand_entitlements ORDER BY no)) AS flags
		SELECT account, max(flags[entitlement] = 1), max(flags[entitlement] = -1) FROM hand_effective GROUP BY account SETTINGS optimize_aggregation_in_order = 1`)
	h.do(`INSERT INTO hand_peers (peer_group, entitlement, holders)
		SELECT a.peer_group, e.entitlement, count() FROM hand_effective AS e
		INNER JOIN (SELECT no, peer_group FROM hand_accounts WHERE peer_group > 0) AS a ON a.no = e.account GROUP BY a.peer_group, e.entitlement`)
	h.step("effective grants and peers")
	for first := 1; first <= h.c.Accounts; first += handSlice {
		h.do("INSERT INTO hand_subjects (run, slice, no, "+h.columns+")\nSELECT 1, {slice:UInt32}, no, "+h.columns+"\nFROM (\n"+handSubjects+`)
			SETTINGS max_block_size = 8192, min_insert_block_size_rows = 65536, min_insert_block_size_bytes = 33554432, max_insert_threads = 1`,
			append(h.slice(first), Named("run", uint64(1)), Named("run_time", h.c.Night.Format("2006-01-02T15:04:05.999Z07:00")))...)
	}
	h.step("subjects")
}

//go:embed sql/subjects.sql
var handSubjects string

// handSlice is how many accounts are made at a time, about as many as a scan makes.
const handSlice = 25_000

func (h *Hand) slice(first int) []any {
	return []any{Named("first", uint32(first)), Named("last", uint32(first+handSlice-1)), Named("slice", uint32(first/handSlice))}
}

// Count counts the findings of the policies that are Written, in that order.
func (h *Hand) Count() []uint64 {
	h.b.tb.Helper()
	sums := make([]string, len(Written()))
	for i, rule := range ByHand() {
		sums[i] = "toUInt64(sum(toUInt64(" + rule + ")))"
	}
	out := h.b.Numbers("SELECT " + strings.Join(sums, ", ") + " FROM hand_subjects SETTINGS compile_expressions = 0")
	h.step("counting")
	return out
}

// Written are the policies that a Hand counts.
func Written() []string {
	return []string{"DOR-03", "DOR-01", "DOR-02", "LVR-01", "LVR-04", "LVR-03", "MFA-01", "ORP-02", "ORP-01", "LIC-01", "LIC-02", "PEER-01", "SVC-01"}
}

// ByHand is how many findings each of these has on an account, in SQL over the columns of its subject.
func ByHand() []string {
	live := "ifNull(account_enabled, false) AND ifNull(account_kind = 'human', false)"
	ended := "ifNull(person_status = 'ended', false)"
	contractor := "ifNull(person_kind IN ('contractor', 'vendor', 'temp', 'external', 'consultant'), false)"
	linked := "ifNull(account_kind IN ('human', 'guest'), false) AND link_status = 'linked'"
	service := "ifNull(account_kind = 'service', false) AND ifNull(account_enabled, false)"
	overdue := "(person_hours_since_end IS NULL OR person_hours_since_end >= 24 OR (ifNull(account_privileged, false) AND person_hours_since_end >= 0))"
	idle := "(ifNull(cost != 0, true) AND (ifNull(used >= 60, false) OR (used IS NULL AND ifNull(never, false) AND ifNull(assigned >= 60, false))))"
	return []string{
		"ifNull(account_never_logged_in, false) AND " + live + " AND ifNull(account_days_since_created, account_days_known) >= 30 AND NOT ifNull(person_days_since_start < 30, false)",
		live + " AND ifNull(account_days_since_login >= 90, false) AND NOT ifNull(account_privileged, false) AND NOT ifNull(account_never_logged_in, false)",
		live + " AND ifNull(account_days_since_login >= 30, false) AND ifNull(account_privileged, false) AND NOT ifNull(account_never_logged_in, false)",
		ended + " AND ifNull(account_enabled, false) AND " + linked + " AND NOT " + contractor + " AND " + overdue,
		ended + " AND ifNull(account_enabled, false) AND " + linked + " AND " + contractor + " AND (person_days_since_end IS NULL OR person_days_since_end >= 0)",
		ended + " AND ifNull(account_enabled, false) AND ifNull(account_used_after_end, false) AND " + linked,
		live + " AND ifNull(account_privileged, false) AND ifNull(account_mfa = false, false)",
		live + " AND ifNull(link_status = 'disputed', false) AND ifNull(link_days >= 14, false)",
		live + " AND ifNull(link_status = 'unmatched', false) AND greatest(account_days_known, ifNull(account_days_since_created, 0)) >= 7",
		"if(" + ended + " OR ifNull(NOT account_enabled, false), length(seats_sku), 0)",
		"if(ifNull(account_enabled, false) AND NOT " + ended + ", arrayCount((cost, used, never, assigned) -> " + idle +
			", seats_cost_month, seats_days_since_used, seats_never_used, seats_days_since_assigned), 0)",
		"if(" + live + " AND link_status = 'linked' AND ifNull(person_status = 'active', false), " +
			"arrayCount((d, s, n) -> d AND ifNull(s < 0.1, false) AND ifNull(n >= 8, false), grants_direct, grants_peer_share, grants_peer_count), 0)",
		"if(" + service + ", if(account_owner_id IS NULL, toUInt16(NOT owner_known AND source_coverage['owner'] IN ('full', 'partial')), toUInt16(NOT owner_known))" +
			" + toUInt16(owner_known AND ifNull(owner_status = 'ended', false)), 0)",
	}
}

// Size says how much of everything there is, to be held against the run's.
func (h *Hand) Size() string {
	n := h.b.Numbers(`SELECT (SELECT count() FROM hand_subjects), (SELECT toUInt64(sum(length(grants_depth))) FROM hand_subjects), (SELECT toUInt64(sum(length(seats_sku))) FROM hand_subjects)`)
	return fmt.Sprintf("%d subjects, %d effective grants, %d seats", n[0], n[1], n[2])
}

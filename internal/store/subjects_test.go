package store

import (
	"testing"

	"github.com/ClickHouse/clickhouse-go/v2"
	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"
	"github.com/google/go-cmp/cmp"

	"github.com/lapse-audit/lapse/internal/access"
)

// Every column of every schema is produced, under its name, in its order, with its type.
func TestSubjectColumns(t *testing.T) {
	s := openEmbedded(t)
	r, err := s.BeginRun(t.Context(), RunSpec{Time: night})
	if err != nil {
		t.Fatal(err)
	}
	for _, kind := range access.SubjectKinds() {
		t.Run(string(kind), func(t *testing.T) {
			want := placed(access.SchemaOf(kind).Columns())[3:]
			want = append(want, [2]string{"no", "UInt32"})
			type described = [2]string
			var rest [5]string
			args := r.parameters([]driver.NamedValue{clickhouse.Named("first", uint32(1)), clickhouse.Named("last", uint32(1))})
			got, err := list(t.Context(), s, func(rows driver.Rows, d *described) error {
				return rows.Scan(&d[0], &d[1], &rest[0], &rest[1], &rest[2], &rest[3], &rest[4])
			}, "DESCRIBE (\n"+subjectQuery(kind)+")", args...)
			if err != nil {
				t.Fatal(err)
			}
			wantEqual(t, "columns", got, want)
		})
	}
}

// fields compares some of a document's fields; nil says that the field must be absent.
func fields(t *testing.T, doc map[string]any, want map[string]any) {
	t.Helper()
	for path, w := range want {
		got, ok := doc[path]
		if w == nil {
			if ok {
				t.Errorf("%s = %v, want it absent", path, got)
			}
			continue
		}
		if diff := cmp.Diff(w, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", path, diff)
		}
	}
}

func testSubjects(t *testing.T, s *Store) {
	evaluate(t, s, company(t, s, night), func(r *Run) {
		if s.holder == HolderSelf { // it takes a while, and the way there is no matter
			t.Run("asked", func(t *testing.T) { testAsking(t, r) })
		}
		t.Run("account", func(t *testing.T) { testAccountSubjects(t, documents(t, r, access.SubjectAccount, "account.id")) })
		t.Run("held", func(t *testing.T) { testHeld(t, s, r.ID) })
		t.Run("person", func(t *testing.T) { testPersonSubjects(t, documents(t, r, access.SubjectPerson, "person.id")) })
		t.Run("entitlement", func(t *testing.T) {
			docs := documents(t, r, access.SubjectEntitlement, "entitlement.id")
			fields(t, docs["g1"], map[string]any{"entitlement.name": "Users", "entitlement.kind": "group", "entitlement.resource": "AD",
				"entitlement.privileged": false, "entitlement.high_risk": false, "entitlement.owner_id": "BOSS@x.org", "entitlement.tags[]": []string{"x", "y"},
				"entitlement.attributes": map[string]string{"k": "v"}, "entitlement.days_since_review": int64(22), "entitlement.days_known": int64(0),
				"entitlement.direct_members": int64(3), "entitlement.effective_members": int64(3), "entitlement.enabled_members": int64(3),
				"owner.id": "hr:p2", "owner.name": "Boss", "owner.email": "boss@x.org", "owner.status": "active", "owner.department": "Sales",
				"owner.hours_since_end": int64(-183), "owner.days_since_end": int64(-8), "source.uid": "ad"})
			fields(t, docs["g3"], map[string]any{"entitlement.direct_members": int64(0), "entitlement.effective_members": int64(1),
				"entitlement.privileged": true, "owner.id": nil, "entitlement.tags[]": nil, "entitlement.attributes": nil, "entitlement.days_since_review": nil})
			fields(t, docs["g4"], map[string]any{"entitlement.name": nil, "entitlement.privileged": nil, "entitlement.owner_id": nil})
		})
		t.Run("license", func(t *testing.T) {
			docs := documents(t, r, access.SubjectLicense, "license.sku")
			fields(t, docs["s1"], map[string]any{"license.product": "Suite", "license.cost_month": 57.5, "license.currency": "USD", "license.purchased": int64(10),
				"license.assigned": int64(2), "license.unassigned": int64(8), "license.days_until_renewal": int64(7), "source.name": "App"})
			fields(t, docs["s2"], map[string]any{"license.assigned": int64(0), "license.purchased": nil, "license.unassigned": nil, "license.days_until_renewal": nil})
			fields(t, docs["s3"], map[string]any{"license.assigned": int64(1), "license.product": nil, "license.cost_month": nil, "license.currency": nil})
		})
		t.Run("source", func(t *testing.T) {
			docs := documents(t, r, access.SubjectSource, "source.uid")
			fields(t, docs["ad"], map[string]any{"source.name": "Corp AD", "source.type": "ldap", "source.roster": false, "source.status": "fresh",
				"source.age_hours": int64(1), "source.stale_nights": int64(0), "source.coverage": map[string]string{"mfa": "full"}, "source.previous_coverage": nil,
				"source.counts.accounts": int64(7), "source.counts.enabled": int64(5), "source.counts.privileged": int64(1), "source.counts.people": nil,
				"source.counts.entitlements": int64(4), "source.counts.grants": int64(8), "source.counts.seats": nil, "source.counts.unmatched": int64(0),
				"source.counts.disputed": int64(1), "source.counts.kind_unknown": int64(1)})
			fields(t, docs["hr"], map[string]any{"source.roster": true, "source.counts.people": int64(4), "source.counts.accounts": int64(0), "source.counts.grants": nil})
			fields(t, docs["app"], map[string]any{"source.counts.seats": int64(3), "source.counts.entitlements": nil})
		})
	})
}

func testAccountSubjects(t *testing.T, docs map[string]map[string]any) {
	if len(docs) != 9 {
		t.Errorf("there are %d accounts, want 9", len(docs))
	}
	fields(t, docs["a1"], map[string]any{
		"run.id": docs["a3"]["run.id"], "run.time": "2026-11-23T02:00:00.123Z", "source.uid": "ad", "source.name": "Corp AD", "source.type": "ldap", "source.roster": false,
		"source.coverage": map[string]string{"mfa": "full"}, "account.username": "ANNA", "account.email": "anna@x.org", "account.name": "Anna A", "account.kind": "human",
		"account.enabled": true, "account.external": false, "account.break_glass": false, "account.legal_hold": true, "account.local_login": true,
		"account.locked": false, "account.mfa": false, "account.mailbox_type": "user", "account.purpose": "work", "account.sponsor": "S", "account.owner_id": nil,
		"account.password_never_expires": true, "account.password_not_required": false, "account.forwards_externally": false, "account.has_spn": true,
		"account.active_sessions": int64(4),
		"account.privileged":      true, // not by its own flag: through Helpdesk
		"account.days_known":      int64(0), "account.days_since_created": int64(10),
		"account.days_since_login": int64(7), "account.hours_since_login": int64(168), "account.never_logged_in": false, // the usage row is later
		"account.login_lag_days": nil, "account.used_after_end": nil, "account.days_since_interactive_login": int64(11),
		"account.days_since_password": int64(1), // a second short of two days
		"account.days_since_disabled": nil, "account.hours_since_enabled": nil,
		"account.days_until_expiry": int64(-2), // 26 hours ago
		"account.keys[].id":         []string{"k1", "k2"}, "account.keys[].kind": []string{"key", "token"}, "account.keys[].active": []any{true, nil},
		"account.keys[].days_since_created": []any{int64(22), nil}, "account.keys[].days_since_used": []any{int64(1), nil},
		"account.attributes": map[string]string{"dn": "CN=Anna"},
		"link.method":        "employee_id", "link.status": "linked", "link.candidates": nil, "link.days": int64(0),
		"person.id": "hr:p1", "person.employee_id": "E1", "person.name": "Anna", "person.email": "anna@x.org", "person.username": "anna", "person.status": "active",
		"person.kind": "employee", "person.department": "Sales", "person.title": "Lead", "person.location": "Oslo", "person.company": "C", "person.cost_center": "7",
		"person.manager_id": "hr:p2", "person.on_leave": false, "person.high_risk": true, "person.hours_since_start": int64(23), "person.days_since_start": int64(0),
		"person.hours_since_end": nil, "person.days_since_end": nil, "person.end_first_known_days": nil, "person.open_ended": true, "person.previous_department": nil,
		"person.previous_title": nil, "person.days_since_transfer": nil, "person.records": int64(2),
		"manager.id": "hr:p2", "manager.name": "Boss", "manager.email": "boss@x.org", "manager.status": "active", "manager.department": "Sales",
		"manager.hours_since_end": int64(-183), "manager.days_since_end": int64(-8), "owner.id": nil,
		"directory.id": "a1", "directory.source": "ad", "directory.username": "ANNA", "directory.enabled": true, "directory.days_since_disabled": nil,
		"grants[].entitlement.id":         []string{"g1", "g2", "g3"},
		"grants[].entitlement.name":       []any{"Users", "Helpdesk", "Domain Admins"},
		"grants[].entitlement.kind":       []any{"group", nil, nil},
		"grants[].entitlement.resource":   []any{"AD", nil, nil},
		"grants[].entitlement.privileged": []any{false, false, true},
		"grants[].entitlement.high_risk":  []any{false, nil, true},
		"grants[].direct":                 []bool{true, true, false},
		"grants[].depth":                  []int64{0, 0, 1}, // g1 is there at depth 2 as well
		"grants[].path[]":                 [][]string{{"Users"}, {"Helpdesk"}, {"Helpdesk", "Domain Admins"}},
		"grants[].days_known":             []any{int64(0), int64(0), nil},
		"grants[].days_since_granted":     []any{int64(21), nil, nil},
		"grants[].days_since_used":        []any{int64(3), nil, int64(1)}, // usage rows are later, or all there is
		"grants[].days_since_review":      []any{int64(19), nil, nil},
		"grants[].days_until_expiry":      []any{int64(7), nil, nil},
		"grants[].approved":               []any{true, nil, nil},
		"grants[].peer_share":             []any{1.0, 0.5, 0.5}, // of a1 and a1adm; a7 is disabled
		"grants[].peer_count":             []any{int64(2), int64(2), int64(2)},
		"seats[].sku":                     nil,
	})
	fields(t, docs["a1adm"], map[string]any{"person.id": "hr:p1", "account.never_logged_in": true, "account.privileged": false, "directory.id": "a1", "account.keys[].id": nil})
	fields(t, docs["a3"], map[string]any{"person.status": "ended", "person.hours_since_end": int64(57), "person.days_since_end": int64(2), "person.end_first_known_days": int64(0),
		"person.open_ended": false, "account.login_lag_days": int64(14), "person.manager_id": "hr:p9", "manager.id": nil, "person.previous_department": "Ops", "person.previous_title": "Clerk", "person.days_since_transfer": int64(22),
		"account.used_after_end": true, "account.privileged": false, "grants[].peer_share": []any{nil}, "grants[].peer_count": []any{nil}})
	fields(t, docs["a4"], map[string]any{"person.id": nil, "owner.id": "hr:p3", "owner.status": "ended", "owner.days_since_end": int64(2), "account.keys[].id": []string{},
		"link.method": "none", "link.status": "unmatched", "directory.id": nil, "grants[].entitlement.id": []string{}, "account.privileged": false})
	fields(t, docs["a5"], map[string]any{"link.status": "disputed", "link.candidates": int64(2), "person.id": nil, "account.never_logged_in": true,
		"account.privileged": false, "grants[].entitlement.privileged": []any{nil}, "grants[].path[]": [][]string{{"g4"}}})
	fields(t, docs["a6"], map[string]any{"account.kind": nil, "account.enabled": nil, "account.username": nil, "account.owner_id": "nobody", "owner.id": nil, "account.attributes": nil,
		"person.open_ended": nil})
	fields(t, docs["a7"], map[string]any{"account.enabled": false, "account.days_since_disabled": int64(3), "directory.enabled": false, "directory.days_since_disabled": int64(3),
		"person.hours_since_end": int64(-183)})
	fields(t, docs["b1"], map[string]any{"grants[].entitlement.id": nil, "account.privileged": nil, "directory.id": "a1",
		"seats[].sku": []string{"s1", "s3"}, "seats[].product": []any{"Suite", nil}, "seats[].cost_month": []any{57.5, nil}, "seats[].currency": []any{"USD", nil},
		"seats[].days_since_assigned": []any{int64(22), nil}, "seats[].days_since_used": []any{int64(3), nil}, "seats[].never_used": []any{false, true}})
	fields(t, docs["b3"], map[string]any{"seats[].product": []any{"Suite EU"}, "seats[].cost_month": []any{0.25}, "seats[].currency": []any{"EUR"}})
}

func testPersonSubjects(t *testing.T, docs map[string]map[string]any) {
	if len(docs) != 4 {
		t.Errorf("there are %d people, want 4", len(docs))
	}
	fields(t, docs["hr:p1"], map[string]any{
		"person.name": "Anna", "manager.id": "hr:p2", "directory.id": "a1",
		"accounts[].source": []string{"ad", "ad", "app"}, "accounts[].source_name": []any{"Corp AD", "Corp AD", "App"}, "accounts[].id": []string{"a1", "a1adm", "b1"},
		"accounts[].username": []any{"ANNA", "anna.admin", "anna"}, "accounts[].kind": []any{"human", "human", "human"}, "accounts[].enabled": []any{true, true, true},
		"accounts[].privileged": []any{true, false, nil}, "accounts[].legal_hold": []any{true, nil, nil}, "accounts[].mfa": []any{false, nil, nil},
		"accounts[].active_sessions": []any{int64(4), nil, nil}, "accounts[].days_known": []any{int64(0), int64(0), int64(0)},
		"accounts[].days_since_login": []any{int64(7), nil, nil}, "accounts[].never_logged_in": []any{false, true, nil}, "accounts[].days_until_expiry": []any{int64(-2), nil, nil},
		"grants[].source": []string{"ad", "ad", "ad", "ad"}, "grants[].account_id": []string{"a1", "a1", "a1", "a1adm"},
		"grants[].entitlement.id": []string{"g1", "g2", "g3", "g1"}, "grants[].direct": []bool{true, true, false, true}, "grants[].depth": []int64{0, 0, 1, 0},
		"grants[].entitlement.tags[]": [][]string{{"x", "y"}, {}, {}, {"x", "y"}},
		"grants[].path[]":             [][]string{{"Users"}, {"Helpdesk"}, {"Helpdesk", "Domain Admins"}, {"Users"}},
		"grants[].days_since_granted": []any{int64(21), nil, nil, nil}, "grants[].days_since_used": []any{int64(3), nil, int64(1), nil}, "grants[].approved": []any{true, nil, nil, nil},
		"grants[].peer_share": []any{1.0, 0.5, 0.5, 1.0}, "grants[].peer_count": []any{int64(2), int64(2), int64(2), int64(2)},
		"seats[].source": []string{"app", "app"}, "seats[].account_id": []string{"b1", "b1"}, "seats[].sku": []string{"s1", "s3"}, "seats[].cost_month": []any{57.5, nil},
	})
	fields(t, docs["hr:p3"], map[string]any{"accounts[].id": []string{"a3", "b3"}, "accounts[].used_after_end": []any{true, nil}, "manager.id": nil})
	fields(t, docs["hr:p4"], map[string]any{"person.on_leave": true, "person.status": "leave", "accounts[].id": []string{}, "grants[].direct": []bool{}, "seats[].sku": []string{}, "directory.id": nil})
}

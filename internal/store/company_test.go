package store

import (
	"testing"
	"time"

	"github.com/lapse-audit/lapse/internal/access"
)

// A company of four people, a directory and an app, as of one night: small enough to work out every field by hand.

func worker(p access.Person, aliases ...string) access.Identity {
	key := access.PersonKey("hr", p.ID)
	return access.Identity{Person: p, Key: key, Roster: "hr", Aliases: append(aliases, key), Records: 1, FirstStartAt: p.StartAt}
}

func companyPeople() []access.Identity {
	anna := worker(access.Person{ID: "p1", EmployeeID: "E1", Username: "anna", Email: "anna@x.org", Name: "Anna", Kind: "employee",
		Status: access.PersonActive, Department: "Sales", Title: "Lead", Location: "Oslo", Company: "C", CostCenter: "7", ManagerID: "hr:p2",
		StartAt: at("2026-11-22T03:00:00Z"), HighRisk: ptr(true)}, "hr2:77")
	anna.Records = 2
	return []access.Identity{
		anna,
		worker(access.Person{ID: "p2", Name: "Boss", Email: "boss@x.org", Status: access.PersonActive, Department: "Sales", EndAt: at("2026-11-30T17:00:00Z")}),
		worker(access.Person{ID: "p3", EmployeeID: "E3", Username: "carl", Name: "Carl", Status: access.PersonEnded, Department: "IT", ManagerID: "hr:p9", EndAt: at("2026-11-20T17:00:00Z"),
			PreviousDepartment: "Ops", PreviousTitle: "Clerk", TransferredAt: at("2026-11-01T00:00:00Z")}),
		worker(access.Person{ID: "p4", Name: "Dora", Status: access.PersonLeave}),
	}
}

func human(id, username string) access.Account {
	return access.Account{ID: id, Username: username, Kind: access.KindHuman, Enabled: ptr(true)}
}

func companyDirectory() []access.Record {
	a1 := human("a1", "ANNA")
	a1.Email, a1.Name, a1.MailboxType, a1.Purpose, a1.Sponsor = "anna@x.org", "Anna A", "user", "work", "S"
	a1.Privileged, a1.External, a1.BreakGlass, a1.LegalHold, a1.LocalLogin, a1.Locked, a1.MFA = ptr(false), ptr(false), ptr(false), ptr(true), ptr(true), ptr(false), ptr(false)
	a1.PasswordNeverExpires, a1.PasswordNotRequired, a1.ForwardsExternally, a1.HasSPN, a1.ActiveSessions = ptr(true), ptr(false), ptr(false), ptr(true), ptr(int64(4))
	a1.CreatedAt, a1.LastLoginAt, a1.InteractiveLoginAt, a1.PasswordChangedAt, a1.ExpiresAt = at("2026-11-13T02:00:00Z"), at("2026-11-13T02:00:00Z"), at("2026-11-12T02:00:00Z"), at("2026-11-21T02:00:01Z"), at("2026-11-22T00:00:00Z")
	a1.LoginLagDays = ptr(int64(14)) // the usage row is exact
	a1.NeverLoggedIn = ptr(true)     // a last sign-in disproves it
	a1.Keys = []access.Key{{ID: "k2", Kind: "token"}, {ID: "k1", Kind: "key", Active: ptr(true), CreatedAt: at("2026-11-01T00:00:00Z"), LastUsedAt: at("2026-11-22T00:00:00Z")}}
	a1.Attributes = map[string]string{"dn": "CN=Anna"}
	a1admin := human("a1adm", "anna.admin")
	a3 := human("a3", "carl")
	a3.LastLoginAt, a3.LoginLagDays = at("2026-11-21T00:00:00Z"), ptr(int64(14))
	a4 := access.Account{ID: "a4", Username: "svc", Kind: access.KindService, Enabled: ptr(true), OwnerID: "e3", Keys: []access.Key{}}
	a5 := human("a5", "orphan")
	a5.NeverLoggedIn, a5.Privileged = ptr(true), ptr(false)
	a6 := access.Account{ID: "a6", OwnerID: "nobody"}
	a7 := human("a7", "boss")
	a7.Enabled, a7.DisabledAt = ptr(false), at("2026-11-20T00:00:00Z")
	return []access.Record{a1, a1admin, a3, a4, a5, a6, a7,
		access.Usage{AccountID: "a1", LastUsedAt: at("2026-11-16T02:00:00Z")},
		access.Usage{AccountID: "a1adm", NeverUsed: ptr(true)},
		access.Usage{AccountID: "a1", EntitlementID: "g3", LastUsedAt: at("2026-11-22T02:00:00Z")},
		access.Usage{AccountID: "a1", EntitlementID: "g1", LastUsedAt: at("2026-11-20T02:00:00Z")},
		access.Entitlement{ID: "g1", Name: "Users", Kind: "group", Resource: "AD", Privileged: ptr(false), HighRisk: ptr(false), Tags: []string{"x", "y"},
			Attributes: map[string]string{"k": "v"}, ReviewedAt: at("2026-11-01T00:00:00Z"), OwnerID: "BOSS@x.org"},
		access.Entitlement{ID: "g2", Name: "Helpdesk", Privileged: ptr(false)},
		access.Entitlement{ID: "g3", Name: "Domain Admins", Privileged: ptr(true), HighRisk: ptr(true)},
		access.Entitlement{ID: "g4"},
		access.Grant{HolderKind: access.HolderAccount, HolderID: "a1", EntitlementID: "g1", GrantedAt: at("2026-11-02T00:00:00Z"), LastUsedAt: at("2026-11-03T00:00:00Z"),
			ExpiresAt: at("2026-12-01T00:00:00Z"), ReviewedAt: at("2026-11-04T00:00:00Z"), Approved: ptr(true)},
		access.Grant{HolderKind: access.HolderAccount, HolderID: "a1", EntitlementID: "g2"},
		access.Grant{HolderKind: access.HolderEntitlement, HolderID: "g2", EntitlementID: "g3"},
		access.Grant{HolderKind: access.HolderEntitlement, HolderID: "g3", EntitlementID: "g1"},
		access.Grant{HolderKind: access.HolderAccount, HolderID: "a3", EntitlementID: "g1"},
		access.Grant{HolderKind: access.HolderAccount, HolderID: "a5", EntitlementID: "g4"},
		access.Grant{HolderKind: access.HolderAccount, HolderID: "a1adm", EntitlementID: "g1"},
		access.Grant{HolderKind: access.HolderAccount, HolderID: "gone", EntitlementID: "g1"},
	}
}

func companyApp() []access.Record {
	b3 := human("b3", "carl")
	b3.Enabled = ptr(false)
	return []access.Record{human("b1", "anna"), b3,
		access.License{SKU: "s1", Product: "Suite", CostMonth: "57.50", Currency: "USD", Purchased: ptr(int64(10)), RenewsAt: at("2026-12-01T00:00:00Z")},
		access.License{SKU: "s2", Product: "Extra", CostMonth: "1", Currency: "USD"},
		access.Seat{AccountID: "b1", SKU: "s1", AssignedAt: at("2026-11-01T00:00:00Z"), LastUsedAt: at("2026-11-02T00:00:00Z")},
		access.Seat{AccountID: "b3", SKU: "s1", Product: "Suite EU", CostMonth: "0.25", Currency: "EUR", NeverUsed: ptr(true)},
		access.Seat{AccountID: "b1", SKU: "s3", NeverUsed: ptr(true)},
		access.Usage{AccountID: "b1", SKU: "s1", LastUsedAt: at("2026-11-20T00:00:00Z")},
	}
}

func linked(source, account, person string) access.Link {
	return access.Link{Source: source, AccountID: account, Person: person, Method: access.LinkEmployeeID, Status: access.LinkLinked}
}

func companyLinks() []access.Link {
	return []access.Link{
		linked("ad", "a1", "hr:p1"), linked("ad", "a1adm", "hr2:77"), linked("ad", "a3", "hr:p3"), linked("ad", "a7", "hr:p2"),
		{Source: "ad", AccountID: "a4", Method: access.LinkNone, Status: access.LinkUnmatched},
		{Source: "ad", AccountID: "a5", Method: access.LinkUsername, Status: access.LinkDisputed, Candidates: []string{"hr:p1", "hr:p2"}, Reason: "two"},
		{Source: "ad", AccountID: "a6", Method: access.LinkNone, Status: access.LinkUnmatched},
		linked("app", "b1", "hr:p1"), linked("app", "b3", "hr:p3"),
	}
}

// closeNesting is nesting done by hand for short chains.
func closeNesting(edges []Edge) []Reach {
	next := map[uint32][]uint32{}
	for _, e := range edges {
		next[e.Holder] = append(next[e.Holder], e.Entitlement)
	}
	var all []Reach
	for from := range next {
		seen := map[uint32]bool{from: true}
		for queue := [][]uint32{{from}}; len(queue) > 0; queue = queue[1:] {
			path := queue[0]
			for _, to := range next[path[len(path)-1]] {
				if !seen[to] {
					seen[to] = true
					longer := append(path[:len(path):len(path)], to)
					all = append(all, Reach{from, to, len(path), longer})
					queue = append(queue, longer)
				}
			}
		}
	}
	return all
}

var (
	infoHR  = SnapshotInfo{Source: "hr", Name: "HR", Type: "file", Roster: true, TakenAt: night}
	infoAD  = SnapshotInfo{Source: "ad", Name: "Corp AD", Type: "ldap", TakenAt: night}
	infoApp = SnapshotInfo{Source: "app", Name: "App", Type: "scim", TakenAt: night}
	metaHR  = SnapshotMeta{Reads: []string{"people"}, Coverage: map[string]access.Coverage{"end_date": access.CoveragePartial}}
	metaAD  = SnapshotMeta{Reads: []string{"accounts", "entitlements", "grants"}, Coverage: map[string]access.Coverage{"mfa": access.CoverageFull}}
	metaApp = SnapshotMeta{Reads: []string{"accounts", "licenses", "seats"}}
)

// company is the first night: everything fresh.
func company(t testing.TB, s *Store, when time.Time) evaluation {
	t.Helper()
	hr, ad, app := infoHR, infoAD, infoApp
	hr.TakenAt, ad.TakenAt, app.TakenAt = when, when.Add(-90*time.Minute), when
	var records []access.Record
	for _, p := range companyPeople() {
		p.RecordID = p.ID
		records = append(records, p.Person)
	}
	return evaluation{
		time: when,
		inputs: []RunInput{
			{Source: "hr", Name: "HR", Type: "file", Roster: true, Status: InputFresh, Snapshot: snap(t, s, hr, metaHR, records...)},
			{Source: "ad", Name: "Corp AD", Type: "ldap", Directory: true, Status: InputFresh, Snapshot: snap(t, s, ad, metaAD, companyDirectory()...)},
			{Source: "app", Name: "App", Type: "scim", Status: InputFresh, Snapshot: snap(t, s, app, metaApp, companyApp()...)},
		},
		people: companyPeople(), links: companyLinks(), reach: closeNesting,
	}
}

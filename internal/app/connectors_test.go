//go:build unix

package app_test

import (
	"bufio"
	"cmp"
	"database/sql"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	_ "github.com/jackc/pgx/v5/stdlib" // the driver that fills PostgreSQL

	"github.com/lapse-audit/lapse/collectors/rest"
	"github.com/lapse-audit/lapse/collectors/scim/scimtest"
	"github.com/lapse-audit/lapse/internal/access"
	"github.com/lapse-audit/lapse/internal/app"
	"github.com/lapse-audit/lapse/internal/config"
	"github.com/lapse-audit/lapse/internal/finding"
	"github.com/lapse-audit/lapse/internal/state"
	"github.com/lapse-audit/lapse/internal/state/statetest"
	"github.com/lapse-audit/lapse/internal/store"
	"github.com/lapse-audit/lapse/internal/synth"
)

// unseen are the rules that find less in a source because of what its kind of system doesn't tell.
var unseen = map[string]map[string]string{
	synth.Chat: { // Slack's recipe
		"DOR-01": "sign-ins: Slack doesn't tell them", "DOR-02": "sign-ins: Slack doesn't tell them", "LVR-03": "sign-ins: Slack doesn't tell them",
	},
	synth.CRM: { // SCIM
		"DOR-01": "sign-ins: SCIM has none", "DOR-02": "sign-ins: SCIM has none", "DOR-03": "sign-ins: SCIM has none",
		"LIC-01": "seats: SCIM has none", "LIC-02": "seats: SCIM has none", "MFA-01": "second factors: SCIM has none",
		"LVR-05": "owners: SCIM has none", "SVC-01": "owners: SCIM has none",
	},
	synth.Code: { // SCIM with an extension
		"LIC-01": "seats: SCIM has none", "LIC-02": "seats: SCIM has none",
	},
	synth.Wiki: { // .c1z
		"DOR-03": "that somebody never signed in: a connector doesn't say", "LIC-02": "the last use of a seat: a connector doesn't say",
	},
}

// TestDemoThroughEveryConnector puts the made-up company into systems of every kind (Active Directory in LDIF, two SCIM
// servers, PostgreSQL, recorded traffic of a shipped recipe and of a user's own, a .c1z file; exports are left of HR and
// two apps) and scans them: it finds what a scan of everybody's exports finds, but for what unseen says that such a
// system doesn't tell.
func TestDemoThroughEveryConnector(t *testing.T) {
	const night = 14
	company := synth.New(synth.Config{Seed: 7, People: 350})
	dir := t.TempDir()
	if err := company.WriteExports(dir, night); err != nil {
		t.Fatal(err)
	}
	exports := standing(t, company, night, dir, company.Config(), nil)

	s := systems{t: t, company: company, night: night, dir: dir, config: company.ConfigLDIF(), canonical: map[string]map[string]string{}}
	write(t, filepath.Join(dir, "token"), scimToken)
	write(t, filepath.Join(dir, "password"), statetest.Password)
	s.crmInBetterAuth()
	s.codeInScimmy()
	s.chatInSlack()
	s.labInOwnRecipe()
	s.wikiInC1Z()
	s.erpInPostgres()
	connected := standing(t, company, night, dir, s.config, s.canonical)

	missed := map[string]map[string]int{}
	for f := range exports {
		part := strings.Fields(f)
		rule, source := part[0], part[1]
		if connected[f] {
			continue
		}
		if unseen[source][rule] == "" {
			t.Errorf("missed: %s", f)
		}
		if missed[source] == nil {
			missed[source] = map[string]int{}
		}
		missed[source][rule]++
	}
	for _, f := range connected.minus(exports) {
		// To a connector of ConductorOne's a license is something that is granted, too, which few peers may hold.
		if !strings.HasPrefix(f, "PEER-01 wiki account ") || !strings.Contains(f, `"license:WIKI-FREE:assigned"`) {
			t.Errorf("extra: %s", f)
		}
	}
	for source, rules := range unseen {
		for rule, what := range rules {
			if missed[source][rule] == 0 {
				t.Errorf("%s in %s was found in full, although it is said to lack %s", rule, source, what)
			}
		}
	}
	found := map[string]int{}
	for f := range connected {
		found[strings.Fields(f)[1]]++
	}
	for _, source := range []string{synth.AD, synth.CRM, synth.Code, synth.Chat, synth.Wiki, synth.ERP, synth.Lab} {
		if found[source] == 0 {
			t.Errorf("nothing was found in %s, so nothing was shown of it", source)
		}
	}
	t.Logf("%d findings in exports, %d through connectors, by source: %v; not seen: %v", len(exports), len(connected), found, missed)
}

const scimToken = "token-for-tests"

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o750); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// standing scans a night in a store of its own and returns what is found: rule, source, subject and key. Ids that a system
// gave itself are put back to the company's own.
func standing(t *testing.T, company *synth.Company, n int, dir, text string, canonical map[string]map[string]string) night {
	t.Helper()
	library := os.Getenv("LAPSE_LIBCHDB")
	if library == "" && os.Getenv("CI") == "" {
		t.Skip("LAPSE_LIBCHDB is not set: run `make test`")
	}
	store1 := filepath.Join(t.TempDir(), "store")
	text = strings.Replace(text, "store: embedded:./lapse-data", "store: embedded:"+store1, 1)
	write(t, filepath.Join(dir, "lapse.yaml"), text)
	c, err := config.Load(filepath.Join(dir, "lapse.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	a := app.New(c, app.Options{Now: func() time.Time { return company.RunTime(n) }, Library: library, Log: slog.New(slog.DiscardHandler), Version: "test"})
	defer func() {
		if err := a.Close(); err != nil {
			t.Error(err)
		}
	}()
	out, err := a.Scan(t.Context(), app.ScanOptions{Progress: silent{}, Actor: state.Actor{ID: "test"}})
	if err != nil {
		t.Fatal(err)
	}
	if out.Run.Status != store.RunComplete || out.Failed != nil {
		t.Fatalf("%v %v %v", out.Run.Status, out.Run.Reasons, out.Failed)
	}
	all, err := a.Findings(t.Context(), app.FindingQuery{Statuses: []finding.Status{finding.Open, finding.Excluded}})
	if err != nil {
		t.Fatal(err)
	}
	got := night{}
	for f, err := range all {
		if err != nil {
			t.Fatal(err)
		}
		own := func(id string) string { return cmp.Or(canonical[f.Subject.Source][id], id) }
		got[fmt.Sprintf("%s %s %s %s %q %s", f.Policy, f.Subject.Source, f.Subject.Kind, own(f.Subject.ID), own(f.Key), f.Status)] = true
	}
	return got
}

// systems are those that the company is put into.
type systems struct {
	t         *testing.T
	company   *synth.Company
	night     int
	dir       string
	config    string
	canonical map[string]map[string]string // the company's ids by those of the systems
}

// configure replaces the section of a source.
func (s *systems) configure(source, section string) {
	s.t.Helper()
	before, rest, ok := strings.Cut(s.config, "  - uid: "+source+"\n")
	name, rest, _ := strings.Cut(rest, "\n")
	_, after, ok2 := strings.Cut(rest, "\n\n")
	if !ok || !ok2 {
		s.t.Fatalf("lapse.yaml has no source %s", source)
	}
	section = strings.ReplaceAll(strings.TrimSpace(section), "\n", "\n    ")
	s.config = before + "  - uid: " + source + "\n" + name + "\n    " + section + "\n\n" + after
}

// same says that an id of a system is another of the company's.
func (s *systems) same(source, theirs, ours string) {
	if s.canonical[source] == nil {
		s.canonical[source] = map[string]string{}
	}
	s.canonical[source][theirs] = ours
}

// source is all that a source of the company holds.
type source struct {
	accounts     []access.Account
	entitlements []access.Entitlement
	grants       []access.Grant
	licenses     []access.License
	seats        []access.Seat
}

func (s *systems) records(uid string) (out source) {
	for r := range s.company.Records(uid, s.night) {
		switch r := r.(type) {
		case access.Account:
			out.accounts = append(out.accounts, r)
		case access.Entitlement:
			out.entitlements = append(out.entitlements, r)
		case access.Grant:
			out.grants = append(out.grants, r)
		case access.License:
			out.licenses = append(out.licenses, r)
		case access.Seat:
			out.seats = append(out.seats, r)
		}
	}
	return out
}

// text is JSON.
func (s *systems) text(v any) string {
	s.t.Helper()
	b, err := json.Marshal(v)
	if err != nil {
		s.t.Fatal(err)
	}
	return string(b)
}

type object map[string]any

const (
	scimUser  = "urn:ietf:params:scim:schemas:core:2.0:User"
	scimGroup = "urn:ietf:params:scim:schemas:core:2.0:Group"
	member    = "urn:ietf:params:scim:schemas:extension:membership:2.0:User"
)

var scimServers = filepath.Join("..", "..", "collectors", "scim", "testdata", "servers")

// post puts a resource into a SCIM server and returns the id that it gets.
func (s *systems) post(server *scimtest.Server, path string, v any) string {
	s.t.Helper()
	id, _ := server.Do(s.t, http.MethodPost, path, s.text(v))["id"].(string)
	return id
}

// scimAccount is an account as an identity provider would put it into a SCIM server.
func scimAccount(a access.Account) object {
	o := object{"schemas": []string{scimUser}, "userName": a.Username, "displayName": a.Name, "active": *a.Enabled, "userType": a.Kind}
	if a.Email != "" {
		o["emails"] = []object{{"value": a.Email, "type": "work", "primary": true}}
	}
	return o
}

// crmInBetterAuth makes the permissions of the CRM roles of its users.
func (s *systems) crmInBetterAuth() {
	crm, server := s.records(synth.CRM), scimtest.Start(s.t, scimServers, scimtest.BetterAuth, scimToken)
	roles := map[string][]object{}
	var privileged []string
	for _, e := range crm.entitlements {
		s.same(synth.CRM, "role:"+e.ID, e.ID)
		if *e.Privileged {
			privileged = append(privileged, e.ID)
		}
	}
	for _, g := range crm.grants {
		roles[g.HolderID] = append(roles[g.HolderID], object{"value": g.EntitlementID})
	}
	shared := map[string]bool{}
	for _, a := range crm.accounts {
		if shared[a.Email] { // the server takes an address once, and the username's for whoever has none
			a.Email = ""
		}
		shared[a.Email] = true
		o := scimAccount(a)
		if len(roles[a.ID]) > 0 {
			o["roles"] = roles[a.ID]
		}
		s.same(synth.CRM, s.post(server, "/Users", o), a.ID)
	}
	s.configure(synth.CRM, fmt.Sprintf(`
type: scim
url: %s
auth: {bearer: "file:token"}
max_rate: 100
memberships: off
privileged: [%s]
kinds: [{kind: human, user_type: human}, {kind: service, user_type: service}, {kind: guest, user_type: guest}]`, server.URL, strings.Join(privileged, ", ")))
}

// codeInScimmy makes the teams groups within groups, and keeps in an extension what SCIM has no attribute for.
func (s *systems) codeInScimmy() {
	code, server := s.records(synth.Code), scimtest.Start(s.t, scimServers, scimtest.Scimmy, scimToken)
	ids := map[string]string{}
	for _, a := range code.accounts {
		o := scimAccount(a)
		more := object{"owner": *a.Privileged, "joined": a.CreatedAt}
		if a.MFA != nil {
			more["secondFactor"] = *a.MFA
		}
		o["schemas"], o[member] = []string{scimUser, member}, more
		ids[a.ID] = s.post(server, "/Users", o)
		s.same(synth.Code, ids[a.ID], a.ID)
	}
	held := map[string][]access.Grant{}
	for _, g := range code.grants {
		held[g.EntitlementID] = append(held[g.EntitlementID], g)
	}
	var privileged []string
	for left := code.entitlements; len(left) > 0; {
		e := left[0]
		left = left[1:]
		var members []object
		waits := false
		for _, g := range held[e.ID] {
			kind := "User"
			if g.HolderKind == access.HolderEntitlement {
				kind = "Group"
			}
			waits = waits || ids[g.HolderID] == ""
			members = append(members, object{"value": ids[g.HolderID], "type": kind})
		}
		if waits { // for a team within it
			left = append(left, e)
			continue
		}
		ids[e.ID] = s.post(server, "/Groups", object{"schemas": []string{scimGroup}, "displayName": e.Name, "members": members})
		s.same(synth.Code, ids[e.ID], e.ID)
		if *e.Privileged {
			privileged = append(privileged, e.Name)
		}
	}
	s.configure(synth.Code, fmt.Sprintf(`
type: scim
url: %s
auth: {bearer: "file:token"}
max_rate: 100
privileged: [%s]
fields: {privileged: "%[3]s:owner", mfa: "%[3]s:secondFactor", created_at: "%[3]s:joined"}
kinds: [{kind: human, user_type: human}, {kind: service, user_type: service}]`, server.URL, strings.Join(privileged, ", "), member))
}

// traffic are exchanges in the form of rest.Replay.
type traffic struct{ strings.Builder }

func (r *traffic) add(request, body string) {
	fmt.Fprintf(r, "###\nGET %s\n\nHTTP/1.1 200 OK\nContent-Type: application/json\n\n%s\n", request, body)
}

// replay answers from recorded traffic, and returns where.
func (s *systems) replay(name string, r *traffic) string {
	folder := filepath.Join(s.dir, "replay", name)
	write(s.t, filepath.Join(folder, "traffic.http"), r.String())
	tape, err := rest.OpenReplay(folder)
	if err != nil {
		s.t.Fatal(err)
	}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		res, err := tape.RoundTrip(req)
		if err != nil {
			http.Error(w, err.Error(), http.StatusNotImplemented)
			return
		}
		defer res.Body.Close()
		w.Header().Set("Content-Type", res.Header.Get("Content-Type"))
		w.WriteHeader(res.StatusCode)
		_, _ = io.Copy(w, res.Body)
	}))
	s.t.Cleanup(server.Close)
	return server.URL
}

// chatInSlack answers as Slack's users.list, team.billableInfo and usergroups.list do.
func (s *systems) chatInSlack() {
	var members []object
	for _, a := range s.records(synth.Chat).accounts {
		profile := object{"real_name": a.Name}
		if a.Email != "" {
			profile["email"] = a.Email
		}
		o := object{
			"id": a.ID, "name": a.Username, "deleted": !*a.Enabled, "is_admin": *a.Privileged, "is_owner": false, "is_restricted": a.Kind == access.KindGuest,
			"is_ultra_restricted": false, "is_bot": a.Kind == access.KindService, "updated": 1790000000, "profile": profile,
		}
		if a.MFA != nil {
			o["has_2fa"] = *a.MFA
		}
		members = append(members, o)
	}
	var r traffic
	page, cursor := "/api/users.list?limit=200", ""
	for i, part := range slices.Collect(slices.Chunk(members, 200)) {
		request := page
		if i > 0 {
			request += "&cursor=" + cursor
		}
		if cursor = fmt.Sprintf("page%d", i+2); (i+1)*200 >= len(members) {
			cursor = ""
		}
		r.add(request, s.text(object{"ok": true, "members": part, "response_metadata": object{"next_cursor": cursor}}))
	}
	r.add("/api/team.billableInfo?limit=200", `{"ok": true, "billable_info": {}, "response_metadata": {"next_cursor": ""}}`)
	r.add("/api/usergroups.list?include_users=true", `{"ok": true, "usergroups": []}`)
	s.configure(synth.Chat, fmt.Sprintf(`
type: rest
recipe: slack
url: %s/api
params: {kind: human}
auth: {token: "file:token"}
share: 100%%`, s.replay("slack", &r)))
}

// labs is the recipe of a user for a directory with an API.
const labs = `language: 1
name: Labs directory
about: Users and groups within groups.
documents: [https://directory.labs.example/api]
params: {}
auth:
  - {type: bearer, about: a token}
requests:
  - name: groups
    path: /groups
    rows: .items
    entitlements: {id: .objectGUID, name: .name, kind: '"group"', resource: '"labs.example"', privileged: .privileged, attributes: {sid: .objectSid}}
  - name: users
    path: /users
    query: {size: 20}
    rows: .items
    paging: {type: cursor, next: .next, param: after}
    accounts:
      id: .objectGUID
      username: .sAMAccountName
      name: .displayName
      employee_id: .employeeID
      kind: .type | if . == "user" then "human" else . end
      enabled: .enabled
      created_at: .whenCreated
      last_login_at: .lastLogon | strings | select(. != "never")
      never_logged_in: .lastLogon | strings | if . == "never" then true else null end
      owner_id: .managedBy
      break_glass: .emergency
      password_not_required: .passwordNotRequired
      password_never_expires: .passwordNeverExpires
      has_spn: .hasServicePrincipalName
      password_changed_at: .pwdLastSet
      disabled_at: .disabledSince
      mailbox_type: .mailbox
      legal_hold: .litigationHold
      forwards_externally: .forwardsOutside
      interactive_login_at: .interactiveLogon
      attributes: {sid: .objectSid, object_class: .objectClass, rid: .rid, admin_count: .adminCount, no_preauth: .dontRequirePreauth, sid_history: .sIDHistory}
  - name: members
    path: /members
    rows: .items
    grants: {holder_kind: '.class | if . == "user" then "account" else "entitlement" end', holder_id: .member, entitlement_id: .group}
`

// labInOwnRecipe answers page by page with what the exports hold.
func (s *systems) labInOwnRecipe() {
	rows := func(name string) (out []json.RawMessage) {
		f, err := os.Open(filepath.Join(s.dir, synth.Exports, synth.Lab, name))
		if err != nil {
			s.t.Fatal(err)
		}
		defer f.Close()
		for lines := bufio.NewScanner(f); lines.Scan(); {
			out = append(out, slices.Clone(lines.Bytes()))
		}
		return out
	}
	var r traffic
	r.add("/groups", s.text(object{"items": rows("groups.jsonl")}))
	r.add("/members", s.text(object{"items": rows("members.jsonl")}))
	pages := slices.Collect(slices.Chunk(rows("users.jsonl"), 20))
	for i, page := range pages {
		request, next := "/users?size=20", any(nil)
		if i > 0 {
			request += fmt.Sprintf("&after=p%d", i)
		}
		if i < len(pages)-1 {
			next = fmt.Sprintf("p%d", i+1)
		}
		r.add(request, s.text(object{"items": page, "next": next}))
	}
	write(s.t, filepath.Join(s.dir, "labs.yaml"), labs)
	s.configure(synth.Lab, fmt.Sprintf(`
type: rest
links: {employee_id: [hr]}
recipe: ./labs.yaml
url: %s
auth: {token: "file:token"}`, s.replay("labs", &r)))
}

// wikiInC1Z makes a group a resource whose entitlement is to be a member, and a product one whose holders have a seat.
func (s *systems) wikiInC1Z() {
	wiki := s.records(synth.Wiki)
	const user, group, product = 1, 2, 10 // traits
	writeC1Z(s.t, filepath.Join(s.dir, "wiki.c1z"), map[string]uint64{"user": user, "group": group, "license": product}, func(f c1z) {
		of := map[string]string{}
		for _, e := range wiki.entitlements {
			f.resource("group", e.ID, e.Name, "GroupTrait", nil)
			of[e.ID] = f.entitlement("group", e.ID, e.Name, "member")
			s.same(synth.Wiki, of[e.ID], e.ID)
		}
		for _, l := range wiki.licenses {
			of[l.SKU] = f.entitlement("license", l.SKU, l.Product, "assigned")
			f.resource("license", l.SKU, l.Product, "LicenseProfileTrait", pbJoin(pbText(1, l.Product), pbText(6, of[l.SKU])))
			s.same(synth.Wiki, "license:"+l.SKU, l.SKU)
		}
		for _, a := range wiki.accounts {
			f.resource("user", a.ID, a.Name, "UserTrait", userTrait(a))
			s.same(synth.Wiki, "user:"+a.ID, a.ID)
		}
		for _, g := range wiki.grants {
			if g.HolderKind == access.HolderEntitlement {
				f.grant(of[g.EntitlementID], "group", g.HolderID, of[g.HolderID])
			} else {
				f.grant(of[g.EntitlementID], "user", g.HolderID, "")
			}
		}
		for _, seat := range wiki.seats {
			f.grant(of[seat.SKU], "user", seat.AccountID, "")
		}
	})
	var privileged []string
	for _, e := range wiki.entitlements {
		if e.Privileged != nil && *e.Privileged {
			privileged = append(privileged, fmt.Sprintf("%q", "group:"+e.ID+":member"))
		}
	}
	s.configure(synth.Wiki, fmt.Sprintf(`
type: baton
path: wiki.c1z
privileged: [%s]
kinds: [{kind: guest, username: "*@auditors.example"}]`, strings.Join(privileged, ", ")))
}

// erpInPostgres makes the ERP an application with tables of its own.
func (s *systems) erpInPostgres() {
	erp := s.records(synth.ERP)
	address := statetest.StartPostgres(s.t).Database(s.t)
	db, err := sql.Open("pgx", address)
	if err != nil {
		s.t.Fatal(err)
	}
	defer db.Close()
	tx, err := db.BeginTx(s.t.Context(), nil)
	if err != nil {
		s.t.Fatal(err)
	}
	exec := func(query string, args ...any) {
		s.t.Helper()
		if _, err := tx.ExecContext(s.t.Context(), query, args...); err != nil {
			s.t.Fatalf("%s: %v", query, err)
		}
	}
	exec(`CREATE TABLE logins (id text PRIMARY KEY, login text, name text, kind text, active boolean, made timestamptz, seen timestamptz, owner text)`)
	exec(`CREATE TABLE roles (id text PRIMARY KEY, name text, critical boolean, owner text, duties text)`)
	exec(`CREATE TABLE holds (login text REFERENCES logins, role text REFERENCES roles)`)
	exec(`CREATE TABLE products (sku text PRIMARY KEY, name text, price numeric(10, 2), currency text)`)
	exec(`CREATE TABLE seats (login text REFERENCES logins, sku text REFERENCES products, since timestamptz)`)
	for _, a := range erp.accounts {
		exec(`INSERT INTO logins VALUES ($1, $2, $3, $4, $5, $6, $7, $8)`, a.ID, a.Username, a.Name, a.Kind, a.Enabled, a.CreatedAt, a.LastLoginAt, a.OwnerID)
	}
	for _, e := range erp.entitlements {
		exec(`INSERT INTO roles VALUES ($1, $2, $3, $4, $5)`, e.ID, e.Name, e.Privileged, e.OwnerID, strings.Join(e.Tags, ";"))
	}
	for _, g := range erp.grants {
		exec(`INSERT INTO holds VALUES ($1, $2)`, g.HolderID, g.EntitlementID)
	}
	for _, l := range erp.licenses {
		exec(`INSERT INTO products VALUES ($1, $2, $3, $4)`, l.SKU, l.Product, l.CostMonth, l.Currency)
	}
	for _, seat := range erp.seats {
		exec(`INSERT INTO seats VALUES ($1, $2, $3)`, seat.AccountID, seat.SKU, seat.AssignedAt)
	}
	if err := tx.Commit(); err != nil {
		s.t.Fatal(err)
	}
	u, err := url.Parse(address)
	if err != nil {
		s.t.Fatal(err)
	}
	s.configure(synth.ERP, fmt.Sprintf(`
type: sql
url: postgres://%s%s
user: %s
password: "file:password"
queries:
  accounts: SELECT id, login AS username, name, kind, active AS enabled, made AS created_at, seen AS last_login_at, owner AS owner_id FROM logins
  entitlements: SELECT id, name, 'role' AS kind, 'ERP' AS resource, critical AS privileged, owner AS owner_id, duties AS tags FROM roles
  grants: SELECT login AS account_id, role AS entitlement_id FROM holds
  licenses: SELECT sku, name AS product, price AS cost_month, currency FROM products
  seats: SELECT login AS account_id, sku, since AS assigned_at FROM seats`, u.Host, u.Path, u.User.Username()))
}

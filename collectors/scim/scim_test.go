package scim

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.yaml.in/yaml/v3"

	"github.com/lapse-audit/lapse/internal/access"
	"github.com/lapse-audit/lapse/internal/collect"
	"github.com/lapse-audit/lapse/internal/collect/collecttest"
)

const token = "t0ken-of-the-tests"

// keeper is a sink that keeps everything.
type keeper struct {
	records    []access.Record
	rejections []collect.Rejection
}

func (k *keeper) Put(r access.Record) error {
	k.records = append(k.records, r)
	return nil
}

func (k *keeper) Reject(r collect.Rejection) error {
	k.rejections = append(k.rejections, r)
	return nil
}

func (k *keeper) reasons() []string {
	var out []string
	for _, r := range k.rejections {
		out = append(out, r.String())
	}
	return out
}

func only[R access.Record](k *keeper) []R {
	var out []R
	for _, r := range k.records {
		if r, ok := r.(R); ok {
			out = append(out, r)
		}
	}
	return out
}

func parseConfig(t testing.TB, section string) Config {
	t.Helper()
	d := yaml.NewDecoder(bytes.NewReader([]byte(section)))
	d.KnownFields(true)
	var c Config
	if err := d.Decode(&c); err != nil {
		t.Fatalf("%v in\n%s", err, section)
	}
	return c
}

// build makes a collector for a service, with a clock that moves only when the collector waits.
func build(t testing.TB, url, section string) *Collector {
	t.Helper()
	c := parseConfig(t, "url: "+url+"\nmax_rate: 1000000\nauth: {bearer: env:TOKEN}\n"+section)
	k, err := New(c, Options{Base: t.TempDir(), UID: "app", Secret: func(context.Context, collect.Secret) (string, error) { return token, nil }})
	if err != nil {
		t.Fatalf("New: %v", err)
	}
	var mu sync.Mutex
	now := time.Date(2026, 11, 23, 2, 0, 0, 0, time.UTC)
	k.now = func() time.Time { mu.Lock(); defer mu.Unlock(); return now }
	k.sleep = func(ctx context.Context, d time.Duration) error {
		mu.Lock()
		defer mu.Unlock()
		now = now.Add(d)
		return ctx.Err()
	}
	k.jitter = func() float64 { return 0.5 }
	return k
}

func gather(t testing.TB, url, section string) (*keeper, collect.Provenance, error) {
	t.Helper()
	var out keeper
	p, err := build(t, url, section).Collect(t.Context(), &out)
	return &out, p, err
}

func same(t testing.TB, got, want any) {
	t.Helper()
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("-want +got\n%s", d)
	}
}

// fake is a service in memory. What is not set behaves as RFC 7644 wants it.
type fake struct {
	users, groups []string // resources in JSON
	config        string   // ServiceProviderConfig; "" for none
	most          int      // of a page; 20 by default
	// answer is asked first; it reports whether it did answer.
	answer func(w http.ResponseWriter, r *http.Request, n int) bool

	mu       sync.Mutex
	requests []*http.Request
	tokens   map[string]bool // that came
}

func (f *fake) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	f.mu.Lock()
	f.requests = append(f.requests, r)
	if f.tokens == nil {
		f.tokens = map[string]bool{}
	}
	f.tokens[r.Header.Get("Authorization")] = true
	n := len(f.requests)
	f.mu.Unlock()
	if f.answer != nil && f.answer(w, r, n) {
		return
	}
	w.Header().Set("Content-Type", "application/scim+json")
	switch r.URL.Path {
	case "/v2/Users":
		fmt.Fprint(w, list(f.users, r, f.most))
	case "/v2/Groups":
		fmt.Fprint(w, list(f.groups, r, f.most))
	case "/v2/ServiceProviderConfig":
		if f.config != "" {
			fmt.Fprint(w, f.config)
			return
		}
		w.WriteHeader(http.StatusNotFound)
	default:
		w.WriteHeader(http.StatusNotFound)
	}
}

func (f *fake) start(t testing.TB) string {
	s := httptest.NewServer(f)
	t.Cleanup(s.Close)
	return s.URL + "/v2"
}

// list is the page that a request wants.
func list(all []string, r *http.Request, most int) string {
	if most == 0 {
		most = 20
	}
	start, count := 1, most
	if n, err := strconv.Atoi(r.URL.Query().Get("startIndex")); err == nil {
		start = n
	}
	if n, err := strconv.Atoi(r.URL.Query().Get("count")); err == nil {
		count = min(n, most)
	}
	from := min(start-1, len(all))
	return listOf(len(all), all[from:min(from+count, len(all))])
}

func listOf(total int, resources []string) string {
	return fmt.Sprintf(`{"schemas":["urn:ietf:params:scim:api:messages:2.0:ListResponse"],"Resources":[%s],"totalResults":%d}`, strings.Join(resources, ","), total)
}

func person(i int) string { return fmt.Sprintf(`{"id":"u%d","userName":"user%d","active":true}`, i, i) }

func people(n int) []string {
	var out []string
	for i := range n {
		out = append(out, person(i+1))
	}
	return out
}

func ids(k *keeper) string {
	var out []string
	for _, a := range only[access.Account](k) {
		out = append(out, a.ID)
	}
	return strings.Join(out, " ")
}

func yes() *bool { b := true; return &b }
func no() *bool  { b := false; return &b }

func at(s string) *time.Time {
	t, err := time.Parse(time.RFC3339, s)
	if err != nil {
		panic(err)
	}
	return &t
}

func TestSuite(t *testing.T) {
	echo := func(w http.ResponseWriter, r *http.Request, _ int) bool {
		w.WriteHeader(http.StatusBadRequest)
		fmt.Fprintf(w, `{"detail":"bad header %s"}`, r.Header.Get("Authorization"))
		return true
	}
	start := func(f *fake) func(testing.TB) collect.Collector {
		return func(t testing.TB) collect.Collector { return build(t, f.start(t), "page_size: 2\nconcurrency: 2") }
	}
	collecttest.Run(t, collecttest.Spec{
		New:       start(&fake{users: people(7), groups: []string{`{"id":"g1","displayName":"All","members":[{"value":"u1"},{"value":"u2"}]}`}}),
		Rejecting: start(&fake{users: append(people(2), `{"id":null,"userName":"x"}`, `7`)}),
		Broken: map[string]func(testing.TB) collect.Collector{
			"an error that repeats the token": start(&fake{answer: echo}),
			"a service that isn't there":      func(t testing.TB) collect.Collector { return build(t, "http://127.0.0.1:1/v2", "") },
			"totals that lie": start(&fake{answer: func(w http.ResponseWriter, r *http.Request, _ int) bool {
				if strings.HasSuffix(r.URL.Path, "/Users") {
					fmt.Fprint(w, listOf(5, people(4)))
					return true
				}
				return false
			}}),
		},
		Secrets: []string{token},
	})
}

func TestRecords(t *testing.T) {
	f := &fake{
		config: `{"filter":{"supported":true,"maxResults":3},"patch":{"supported":true}}`,
		users: []string{
			`{"schemas":["x"],"id":"1","externalId":"E-1","userName":"ada","displayName":" Ada L ","userType":"Employee","title":"Engineer","active":true,
			  "emails":[{"value":"home@x.test","type":"home"},{"value":"ada@x.test","type":"work","primary":true}],
			  "roles":[{"value":"admin","display":"Administrator"},{"value":"admin"},"reader"],"entitlements":{"value":"seat"},
			  "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User":{"employeeNumber":"701","department":"R&D","costCenter":42,"manager":{"value":"2","displayName":"Bob"}},
			  "urn:example:User":{"lastLogin":"2026-11-01T02:03:04+01:00","Mfa":"TRUE","nested":{"deep":"x"}},
			  "meta":{"created":"2020-01-02T03:04:05.678Z"}}`,
			`{"id":"2","username":"bob","active":"False","name":{"givenName":"Bob","familyName":"B"},"emails":[{"value":"b1@x.test"},{"value":"b2@x.test","type":"Work"}],"meta":{"created":"0001-01-01T00:00:00Z"}}`,
			`{"id":"3","userName":"svc-ci","roles":[],"emails":null,"name":null,"active":null}`,
			`{"id":"4","userName":"odd","active":3,"displayName":{"a":1},"emails":"x","meta":{"created":"yesterday"}}`,
		},
		groups: []string{
			`{"id":"g1","displayName":"Owners","externalId":"x","members":[{"value":"1"},{"value":"1"},{"value":"g2","type":"Group"},{"value":"gone"}]}`,
			`{"id":"g2","displayName":"Staff","members":[{"value":"2","$ref":"https://app/v2/Users/2"},{"value":"g3"}]}`,
			`{"id":"g3","displayName":"Empty"}`,
		},
	}
	out, prov, err := gather(t, f.start(t), `
page_size: 50
fields: {last_login_at: "urn:example:User:lastLogin", mfa: "urn:example:User:mfa"}
attributes: {deep: "urn:example:User:nested.deep", nick: nickName}
kinds: [{kind: service, username: SVC-*}, {kind: human, user_type: employee}]
privileged: [owners, Administrator]
`)
	if err != nil {
		t.Fatal(err)
	}
	same(t, out.reasons(), []string(nil))
	same(t, only[access.Account](out), []access.Account{
		{ID: "1", Username: "ada", Email: "ada@x.test", Name: "Ada L", EmployeeID: "701", Kind: access.KindHuman, Enabled: yes(), MFA: yes(), CreatedAt: func() *time.Time { t := at("2020-01-02T03:04:05Z").Add(678 * time.Millisecond); return &t }(), LastLoginAt: at("2026-11-01T01:03:04Z"),
			Attributes: map[string]string{"external_id": "E-1", "user_type": "Employee", "title": "Engineer", "department": "R&D", "cost_center": "42", "manager_id": "2", "manager": "Bob", "deep": "x"}},
		{ID: "2", Username: "bob", Email: "b2@x.test", Name: "Bob B", Enabled: no()},
		{ID: "3", Username: "svc-ci", Kind: access.KindService},
		{ID: "4", Username: "odd", Email: "x"},
	})
	same(t, only[access.Entitlement](out), []access.Entitlement{
		{ID: "role:admin", Name: "Administrator", Kind: "role", Privileged: yes()},
		{ID: "role:reader", Name: "reader", Kind: "role"},
		{ID: "entitlement:seat", Name: "seat", Kind: "entitlement"},
		{ID: "g1", Name: "Owners", Kind: "group", Privileged: yes(), Attributes: map[string]string{"external_id": "x"}},
		{ID: "g2", Name: "Staff", Kind: "group"},
		{ID: "g3", Name: "Empty", Kind: "group"},
	})
	account, nested := access.HolderAccount, access.HolderEntitlement
	same(t, only[access.Grant](out), []access.Grant{
		{HolderKind: account, HolderID: "1", EntitlementID: "role:admin"},
		{HolderKind: account, HolderID: "1", EntitlementID: "role:reader"},
		{HolderKind: account, HolderID: "1", EntitlementID: "entitlement:seat"},
		{HolderKind: account, HolderID: "1", EntitlementID: "g1"},
		{HolderKind: nested, HolderID: "g2", EntitlementID: "g1"},
		{HolderKind: account, HolderID: "2", EntitlementID: "g2"},
		{HolderKind: account, HolderID: "gone", EntitlementID: "g1"},
		{HolderKind: nested, HolderID: "g3", EntitlementID: "g2"},
	})
	same(t, prov.Reads, []string{"accounts", "entitlements", "grants"})
	same(t, prov.Coverage, map[string]access.Coverage{"password": "none", "privileged": "none"})
	same(t, prov.Notes, []string{
		"active is neither true nor false, of 1 resources: it stays unknown",
		"displayName is no text, of 1 resources: it stays unknown",
		"meta.created is no date and time with a zone, of a year from 1900 to 2299, of 2 resources: it stays unknown",
	})
	for _, r := range f.requests {
		if c := r.URL.Query().Get("count"); c != "" && c != "3" {
			t.Errorf("%s: asks for %s at once; the server gives 3 at most", r.URL, c)
		}
	}
}

// A field that silently turns null gives accounts without it; the guard then sees the coverage fall.
func TestFieldsTurnNull(t *testing.T) {
	measure := func(active string) collect.Result {
		var users []string
		for i := range 10 {
			users = append(users, fmt.Sprintf(`{"id":"%d","userName":"u%d","active":%s}`, i, i, active))
		}
		f := &fake{users: users}
		res, err := collect.Run(t.Context(), build(t, f.start(t), ""), &keeper{}, collect.Options{Limits: collect.DefaultLimits(), Now: time.Now()})
		if err != nil {
			t.Fatal(err)
		}
		return res
	}
	before, after := measure("true"), measure("null")
	same(t, after.Provenance.Coverage["enabled"], access.CoverageNone)
	v := collect.Judge(collect.DefaultLimits(), []collect.Past{{Measure: before.Measure}}, collect.Current{Measure: after.Measure, Reads: after.Provenance.Reads})
	if v.Accepted || !strings.Contains(v.String(), "no record has enabled any more") {
		t.Errorf("verdict %+v", v)
	}
}

// A member that is nobody in the snapshot is counted by the runner.
func TestDanglingMember(t *testing.T) {
	f := &fake{users: people(1), groups: []string{`{"id":"g1","displayName":"G","members":[{"value":"u1"},{"value":"gone"},{"value":"lost","type":"Group"}]}`}}
	var out keeper
	res, err := collect.Run(t.Context(), build(t, f.start(t), ""), &out, collect.Options{Now: time.Now()})
	if err != nil {
		t.Fatal(err)
	}
	var gaps []string
	for _, g := range res.Gaps {
		gaps = append(gaps, g.String())
	}
	same(t, gaps, []string{
		"1 grants name 1 accounts that the snapshot doesn't hold, among them gone",
		"1 grants name 1 entitlements that the snapshot doesn't hold, among them lost",
	})
}

func TestRejected(t *testing.T) {
	big := strings.Repeat("x", 10<<20)
	for _, c := range []struct{ name, user, want string }{
		{"null id", `{"id":null,"userName":"x"}`, `/Users line 2 column "id": is empty, and RFC 7643 requires it`},
		{"no id", `{"userName":"x"}`, `/Users line 2 column "id": is empty, and RFC 7643 requires it`},
		{"id of another type", `{"id":[1],"userName":"x"}`, `/Users line 2 column "id": is no text`},
		{"null name", `{"id":"x","userName":null}`, `/Users line 2 column "userName": is empty, and RFC 7643 requires it`},
		{"blank name", `{"id":"x","userName":"  "}`, `/Users line 2 column "userName": is empty, and RFC 7643 requires it`},
		{"10 MB id", `{"id":"` + big + `","userName":"x"}`, `/Users line 2 column "id": is a text of 10485762 bytes: the most is 65536`},
		{"10 MB name", `{"id":"x","userName":"` + big + `"}`, `/Users line 2 column "userName": is a text of 10485762 bytes: the most is 65536`},
		{"invalid UTF-8", "{\"id\":\"x\",\"userName\":\"\xff\"}", `/Users line 2 column "id": is unknown: the resource is not valid UTF-8`},
		{"half a character", `{"id":"x","userName":"\ud800"}`, `/Users line 2 column "userName": is a text with a character that is none (U+FFFD)`},
		{"NUL", `{"id":"x\u0000","userName":"a"}`, `/Users line 2 column "id": is a text with a NUL character`},
		{"no object", `["x"]`, `/Users line 2 column "id": is missing: the resource is no object`},
		{"null", `null`, `/Users line 2 column "id": is empty, and RFC 7643 requires it`},
	} {
		t.Run(c.name, func(t *testing.T) {
			f := &fake{users: []string{person(1), c.user, person(2)}}
			out, _, err := gather(t, f.start(t), "")
			if err != nil {
				t.Fatal(err)
			}
			same(t, out.reasons(), []string{c.want})
			same(t, ids(out), "u1 u2")
		})
	}
	for _, c := range []struct{ name, group, want string }{
		{"no name", `{"id":"g"}`, `/Groups line 1 column "displayName": is empty, and RFC 7643 requires it`},
		{"members of another type", `{"id":"g","displayName":"G","members":{"value":"u1"}}`, `/Groups line 1 column "members": is no list of members`},
		{"members without a value", `{"id":"g","displayName":"G","members":[{"display":"x"},{"value":null},{"value":"u1"}]}`, `/Groups line 1 column "members": 2 have no value: nobody can tell who they are`},
	} {
		t.Run("group with "+c.name, func(t *testing.T) {
			f := &fake{users: people(1), groups: []string{c.group}}
			out, _, err := gather(t, f.start(t), "")
			if err != nil {
				t.Fatal(err)
			}
			same(t, out.reasons(), []string{c.want})
		})
	}
}

func TestMemberships(t *testing.T) {
	f := &fake{users: []string{`{"id":"u1","userName":"a","groups":[{"value":"g1","type":"direct"},{"value":"g2","type":"indirect"}],"roles":["r"]}`},
		groups: []string{`{"id":"g1","displayName":"A"}`, `{"id":"g2","displayName":"B"}`}}
	f.answer = func(w http.ResponseWriter, r *http.Request, _ int) bool {
		id, ok := strings.CutPrefix(r.URL.Path, "/v2/Groups/")
		if ok {
			fmt.Fprintf(w, `{"id":%q,"displayName":"A","members":[{"value":"u1"}]}`, id)
		}
		return ok
	}
	grants := func(k *keeper) (out []string) {
		for _, g := range only[access.Grant](k) {
			out = append(out, g.HolderID+" "+g.EntitlementID)
		}
		return out
	}
	for _, c := range []struct {
		how      string
		want     []string
		coverage access.Coverage
	}{
		{"groups", []string{"u1 role:r"}, "partial"}, // no group of the list has members: that is not known, and not none
		{"each_group", []string{"u1 role:r", "u1 g1", "u1 g2"}, ""},
		{"users", []string{"u1 role:r", "u1 g1"}, ""},
		{"off", []string{"u1 role:r"}, ""},
	} {
		out, prov, err := gather(t, f.start(t), "memberships: "+c.how)
		if err != nil {
			t.Fatalf("%s: %v", c.how, err)
		}
		same(t, grants(out), c.want)
		same(t, prov.Coverage["grants"], c.coverage)
	}
	f.users = people(1)
	_, prov, err := gather(t, f.start(t), "")
	if err != nil {
		t.Fatal(err)
	}
	same(t, prov.Reads, []string{"accounts", "entitlements"})
}

func TestServerWithoutGroups(t *testing.T) {
	types := `{"totalResults":1,"Resources":[{"schema":"urn:ietf:params:scim:schemas:core:2.0:User"}]}`
	f := &fake{users: people(1)}
	f.answer = func(w http.ResponseWriter, r *http.Request, _ int) bool {
		switch {
		case strings.HasSuffix(r.URL.Path, "/Groups"):
			w.WriteHeader(http.StatusNotFound)
		case strings.HasSuffix(r.URL.Path, "/ResourceTypes") && types != "":
			fmt.Fprint(w, types)
		default:
			return false
		}
		return true
	}
	if _, prov, err := gather(t, f.start(t), ""); err != nil || !strings.Contains(strings.Join(prov.Notes, "\n"), "the server has no groups") {
		t.Errorf("notes %q, error %v", prov.Notes, err)
	}
	types = ""
	if _, _, err := gather(t, f.start(t), ""); err == nil || !strings.Contains(err.Error(), "set memberships: off") {
		t.Errorf("error %v", err)
	}
}

func TestFilter(t *testing.T) {
	f := &fake{users: people(1), config: `{"filter":{"supported":false}}`}
	const section = `filter: 'userType eq "Employee"'`
	if _, _, err := gather(t, f.start(t), section); err == nil || !strings.Contains(err.Error(), "supports no filters") {
		t.Errorf("error %v", err)
	}
	f.config = `{"filter":{"supported":true}}`
	_, prov, err := gather(t, f.start(t), section)
	if err != nil {
		t.Fatal(err)
	}
	same(t, prov.Filter, `userType eq "Employee"`)
	for _, r := range f.requests {
		got := r.URL.Query().Get("filter")
		if want := strings.HasSuffix(r.URL.Path, "/Users") && r.URL.Query().Get("count") != ""; (got == `userType eq "Employee"`) != want {
			t.Errorf("%s: filter %q", r.URL, got)
		}
	}
}

func TestConfig(t *testing.T) {
	for _, c := range []struct{ section, want string }{
		{"{}", "auth: is missing: set auth.bearer, or auth.user and auth.password\nurl: is missing: write https://HOST/scim/v2"},
		{"{url: 'http://app.example.com/scim', auth: {bearer: env:T}}", "url: http: would send the credentials unencrypted: write https://"},
		{"{url: 'https://u:p@app.example.com/', auth: {bearer: env:T}}", "url: must have no user, ? or #: write https://HOST/scim/v2, and the credentials under auth"},
		{"{url: 'https://app.example.com/v2/Users', auth: {bearer: env:T}}", "url: name the base of the service, without /Users"},
		{"{url: 'https://a.example.com', auth: {user: a}}", "auth: user goes with password, and password with user"},
		{"{url: 'https://a.example.com', auth: {user: a, password: env:P, bearer: env:T}}", "auth: bearer goes without user and password"},
		{"{url: 'https://a.example.com', auth: {bearer: env:T}, proxy: 'http://u:p@proxy:3128'}", "proxy: a password has no place here: set the proxy by HTTPS_PROXY in the environment"},
		{"{url: 'https://a.example.com', auth: {bearer: env:T}, memberships: all}", `memberships: "all" is none of groups, each_group, users, off`},
		{"{url: 'https://a.example.com', auth: {bearer: env:T}, fields: {last_logn_at: x}}", `fields: there is no field "last_logn_at": did you mean "last_login_at"?`},
		{"{url: 'https://a.example.com', auth: {bearer: env:T}, kinds: [{kind: robot, username: x}, {kind: human}, {kind: human, username: '[x'}]}", "kinds[0]: kind: \"robot\" is none of human, service, shared, guest, machine\nkinds[1]: says nothing of which accounts: set username or user_type\nkinds[2]: username: \"[x\" is no pattern: write svc-* or ?-robot"},
		{"{url: 'https://a.example.com', auth: {bearer: env:T}, concurrency: 65, page_size: -1}", "concurrency: 65 is more than 64\npage_size: is less than 0"},
	} {
		_, err := New(parseConfig(t, c.section), Options{})
		if err == nil || err.Error() != c.want {
			t.Errorf("%s:\n%v\nwant\n%s", c.section, err, c.want)
		}
	}
	if _, err := New(parseConfig(t, "{url: 'https://a.example.com', auth: {bearer: env:T}}"), Options{Roster: true, UID: "app"}); err == nil {
		t.Error("a roster")
	}
}

// The RFCs' examples, one a file.
func TestSamples(t *testing.T) {
	dir := os.Getenv("LAPSE_REALDATA")
	if dir == "" {
		t.Skip("LAPSE_REALDATA names no folder of real exports")
	}
	files, err := filepath.Glob(filepath.Join(dir, "scim_rfc_samples", "samples", "*.json"))
	if err != nil || len(files) == 0 {
		t.Skipf("no samples there: %v", err)
	}
	r := &reading{Collector: &Collector{}, oddities: map[string]int{}}
	for _, file := range files {
		body, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		var m message
		err = parse(body, &m, &m)
		name := filepath.Base(file)
		switch isError := strings.Contains(name, "-error-") && !strings.Contains(name, "bulk"); {
		case isError && (err == nil || !strings.Contains(err.Error(), m.Status.s)):
			t.Errorf("%s: error %v", name, err)
		case !isError && err != nil:
			t.Errorf("%s: %v", name, err)
		}
		switch {
		case strings.Contains(name, "list_response"):
			if _, err := parsePage(body); err != nil {
				t.Errorf("%s: %v", name, err)
			}
		case strings.HasPrefix(name, "rfc7643-8.1-"), strings.HasPrefix(name, "rfc7643-8.2-"), strings.HasPrefix(name, "rfc7643-8.3-"):
			a, u, f := r.account(body)
			if f != nil {
				t.Fatalf("%s: %+v", name, f)
			}
			same(t, []any{a.ID, a.Username, a.Email, a.CreatedAt}, []any{"2819c223-7f76-453a-919d-413861904646", "bjensen@example.com", map[bool]string{true: "", false: "bjensen@example.com"}[strings.Contains(name, "minimal")], at("2010-01-23T04:56:22Z")})
			if strings.Contains(name, "enterprise") {
				same(t, []any{a.EmployeeID, a.Attributes["department"], a.Attributes["manager_id"], a.Attributes["manager"], *a.Enabled}, []any{"701984", "Tour Operations", "26118915-6090-4610-87e4-49d8ca9f808d", "John Smith", true})
			}
			if strings.Contains(name, "full") && len(u.Groups.list) != 3 {
				t.Errorf("%s: %d groups", name, len(u.Groups.list))
			}
		case strings.HasPrefix(name, "rfc7643-8.4-"):
			g, f := r.parseGroup(body)
			if f != nil {
				t.Fatalf("%s: %+v", name, f)
			}
			var members []string
			if err := g.members(func(p plural) error { members = append(members, p.Display.s); return nil }); err != nil {
				t.Error(err)
			}
			same(t, members, []string{"Babs Jensen", "Mandy Pepperidge"})
		}
	}
	same(t, r.oddities, map[string]int{})
}

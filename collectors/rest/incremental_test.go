package rest

import (
	"fmt"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/lapse-audit/lapse/internal/access"
)

// tenant is Graph's groups, their members and the log of what changes there, in the documented shapes:
// https://learn.microsoft.com/en-us/graph/delta-query-groups and https://learn.microsoft.com/en-us/graph/api/group-list-members.
// A token of the log is how long it was.
type tenant struct {
	*cloud
	groups  map[string][]string // members
	log     []string            // groups
	expired int                 // tokens below it are not known any more
	broken  string              // a group whose members can't be read, for status
	status  int
	asked   []string // the groups whose members were asked for
}

const graph = "graph.microsoft.com/v1.0"

func newTenant(t testing.TB) *tenant {
	n := &tenant{cloud: newCloud(t, bearer("Bearer", "issued-t0ken")), groups: map[string][]string{"g-1": {"u-1", "u-2", "u-3"}, "g-2": {"u-1"}, "g-3": {}}}
	n.token("POST login.microsoftonline.com/acme.example/oauth2/v2.0/token")
	list := func(rows ...doc) (int, any) { return 200, doc{"value": append([]doc{}, rows...)} }
	for _, path := range []string{"/reports/authenticationMethods/userRegistrationDetails", "/subscribedSkus", "/directoryRoles"} {
		n.on("GET "+graph+path, func(*http.Request, doc) (int, any) { return list() })
	}
	n.on("GET "+graph+"/users", func(*http.Request, doc) (int, any) {
		var rows []doc
		for i := range 4 {
			rows = append(rows, doc{"id": fmt.Sprintf("u-%d", i+1), "userPrincipalName": fmt.Sprintf("u%d@acme.example", i+1), "accountEnabled": true})
		}
		return list(rows...)
	})
	n.on("GET "+graph+"/groups", func(*http.Request, doc) (int, any) {
		var rows []doc
		for _, id := range slices.Sorted(maps.Keys(n.groups)) {
			rows = append(rows, doc{"id": id, "displayName": "Group " + id, "groupTypes": []string{}})
		}
		return list(rows...)
	})
	n.on("GET "+graph+"/groups/{id}/members", func(r *http.Request, _ doc) (int, any) { // two a page
		id, skip := r.PathValue("id"), 0
		fmt.Sscan(r.URL.Query().Get("$skiptoken"), &skip)
		if n.asked = append(n.asked, id); id == n.broken {
			return n.status, doc{"error": doc{"code": "BadRequest", "message": "no"}}
		}
		members := n.groups[id][skip:]
		out := doc{"value": []doc{}}
		for _, m := range members[:min(2, len(members))] {
			out["value"] = append(out["value"].([]doc), doc{"@odata.type": "#microsoft.graph.user", "id": m})
		}
		if len(members) > 2 {
			out["@odata.nextLink"] = fmt.Sprintf("https://%s/groups/%s/members?$select=id&$skiptoken=%d", graph, id, skip+2)
		}
		return 200, out
	})
	n.on("GET "+graph+"/groups/delta", func(r *http.Request, _ doc) (int, any) { // two a page
		q := r.URL.Query()
		at := 0
		if token := q.Get("$deltatoken") + q.Get("$skiptoken"); token == "latest" {
			at = len(n.log)
		} else if fmt.Sscan(token, &at); at < n.expired {
			return 410, doc{"error": doc{"code": "resyncRequired", "message": "Resync required."}}
		}
		rest := n.log[at:]
		out := doc{"value": []doc{}}
		for _, id := range rest[:min(2, len(rest))] {
			row := doc{"id": id, "members@delta": []doc{}}
			if _, there := n.groups[id]; !there {
				row = doc{"id": id, "@removed": doc{"reason": "deleted"}}
			}
			out["value"] = append(out["value"].([]doc), row)
		}
		if len(rest) > 2 {
			out["@odata.nextLink"] = fmt.Sprintf("https://%s/groups/delta?$skiptoken=%d", graph, at+2)
		} else {
			out["@odata.deltaLink"] = fmt.Sprintf("https://%s/groups/delta?$deltatoken=%d", graph, len(n.log))
		}
		return 200, out
	})
	return n
}

// collector reads the tenant, at a time after now.
func (n *tenant) collector(t testing.TB, dir, more string, after time.Duration) *Collector {
	t.Helper()
	k, err := New(config(t, "recipe: entra\nparams: {tenant: acme.example}\nauth: {client_id: reader, client_secret: env:READ}\n"+more), Options{UID: "app", Transport: n.cloud, Secret: credentials, Private: dir})
	if err != nil {
		t.Fatal(err)
	}
	c := fake(k)
	c.set(c.start.Add(after))
	return k
}

// read reads the tenant and returns the grants, what was said of it, and whose members were asked for.
func (n *tenant) read(t testing.TB, k *Collector) (grants, notes string, asked []string) {
	t.Helper()
	n.asked = nil
	var out keeper
	prov, err := k.Collect(t.Context(), &out)
	if err != nil {
		t.Fatal(err)
	}
	slices.Sort(n.asked) // several are asked for at a time
	return grantsOf(out.records), strings.Join(prov.Notes, "\n"), n.asked
}

func grantsOf(records []access.Record) string {
	var list []string
	for _, r := range records {
		if g, ok := r.(access.Grant); ok {
			list = append(list, g.HolderID+" in "+g.EntitlementID)
		}
	}
	return strings.Join(list, ", ")
}

const weekly = "incremental: {full_every: 7d}"

// Members are asked for where the log of changes tells of one, and nowhere else; what comes out is what a full read gives. Then
// the log ends, and then it lies.
func TestIncremental(t *testing.T) {
	n, dir, now := newTenant(t), t.TempDir(), time.Duration(0)
	check := func(what, wantAsked, wantNote string) {
		t.Helper()
		now += time.Hour
		grants, notes, asked := n.read(t, n.collector(t, dir, weekly, now))
		if got := strings.Join(asked, " "); got != wantAsked {
			t.Errorf("%s: members of %s were asked for, want %s", what, got, wantAsked)
		}
		if !strings.Contains(notes, wantNote) {
			t.Errorf("%s: notes\n%s\nwant %s", what, notes, wantNote)
		}
		if want, _, _ := n.read(t, n.collector(t, "", "", now)); grants != want {
			t.Errorf("%s: grants %s\na full read gives %s", what, grants, want)
		}
	}
	check("the first time", "g-1 g-1 g-2 g-3", "everything was asked for: there is nothing yet")
	check("nothing changed", "", "3 requests were not made, as nothing has changed there since the last reading, and 0 were")

	n.groups["g-1"] = []string{"u-1", "u-4"}
	n.log = append(n.log, "g-1")
	check("a change", "g-1", "2 requests were not made")
	check("and no further", "", "3 requests were not made")

	delete(n.groups, "g-2")
	n.groups["g-4"] = []string{"u-2"}
	n.groups["g-3"] = []string{"u-3", "u-2", "u-1"}
	n.log = append(n.log, "g-2", "g-4", "g-3")
	check("one removed, one new, one larger, on two pages of changes", "g-3 g-3 g-4", "1 requests were not made")

	n.expired = len(n.log) + 1
	n.log = append(n.log, "g-4", "g-4")
	check("the mark has expired", "g-1 g-3 g-3 g-4", "members was asked for everything: what has changed can't be told any more: GET /v1.0/groups/delta, page 1: 410 Gone")
	check("and there is a new one", "", "3 requests were not made")

	// Of this change the log says nothing: it shows when everything is read.
	stale := slices.Clone(n.groups["g-4"])
	n.groups["g-4"] = []string{"u-1"}
	grants, _, _ := n.read(t, n.collector(t, dir, weekly, now+time.Hour))
	if !strings.Contains(grants, stale[0]+" in g-4") {
		t.Errorf("grants %s: something else than the log of changes was asked", grants)
	}
	now += 8 * 24 * time.Hour
	check("everything is read", "g-1 g-3 g-3 g-4", "1 of 3 requests gave something else than the last time, although the app told no change; it changed in the meantime, or what the app tells of changes is wrong: GET /v1.0/groups/g-4/members")
	check("and stands", "", "3 requests were not made")
	now += 8 * 24 * time.Hour
	check("everything agrees", "g-1 g-3 g-3 g-4", "3 requests gave what the app said had not changed")
}

// What can't be trusted is not used: then everything is asked for, and that is said. A reading that fails on what was kept forgets it.
func TestIncrementalUnusable(t *testing.T) {
	file := func(dir string) string { return filepath.Join(dir, "app.answers") }
	edit := func(t *testing.T, name string, change func([]byte) []byte) {
		t.Helper()
		data, err := os.ReadFile(name)
		if err == nil {
			err = os.WriteFile(name, change(data), 0o600)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	for name, c := range map[string]struct {
		spoil func(t *testing.T, n *tenant, dir string)
		more  string
		want  string
	}{
		"cut off": {spoil: func(t *testing.T, _ *tenant, dir string) {
			edit(t, file(dir), func(b []byte) []byte { return b[:len(b)-1] })
		}, want: "damaged"},
		"changed": {spoil: func(t *testing.T, _ *tenant, dir string) {
			edit(t, file(dir), func(b []byte) []byte { b[len(b)/2] ^= 1; return b })
		}, want: "damaged"},
		"open to others": {spoil: func(t *testing.T, _ *tenant, dir string) {
			if err := os.Chmod(file(dir), 0o644); err != nil { //nolint:gosec // that is what is refused
				t.Fatal(err)
			}
		}, want: "damaged, or of another"},
		"of another configuration": {more: "\nurl: https://graph.microsoft.com/", spoil: func(t *testing.T, n *tenant, dir string) {
			k := n.collector(t, dir, weekly, 0)
			k.params["tenant"] = "other.example"
			n.token("POST login.microsoftonline.com/other.example/oauth2/v2.0/token")
			if _, err := k.Collect(t.Context(), &keeper{}); err != nil {
				t.Fatal(err)
			}
		}, want: "of another recipe, account or configuration"},
		"no log": {spoil: func(_ *testing.T, n *tenant, _ string) { n.expired = 1 << 30 }, want: "410 Gone"},
	} {
		t.Run(name, func(t *testing.T) {
			n, dir := newTenant(t), t.TempDir()
			n.read(t, n.collector(t, dir, weekly, 0))
			c.spoil(t, n, dir)
			if _, notes, asked := n.read(t, n.collector(t, dir, weekly+c.more, time.Hour)); len(asked) != 4 || !strings.Contains(notes, c.want) {
				t.Errorf("members of %v were asked for; notes\n%s\nwant %s", asked, notes, c.want)
			}
		})
	}
	t.Run("a failed reading", func(t *testing.T) {
		n, dir := newTenant(t), t.TempDir()
		n.read(t, n.collector(t, dir, weekly, 0))
		n.log, n.broken, n.status = append(n.log, "g-2"), "g-2", 400
		if _, err := n.collector(t, dir, weekly, time.Hour).Collect(t.Context(), &keeper{}); err == nil {
			t.Fatal("no error")
		}
		n.broken = ""
		if _, notes, asked := n.read(t, n.collector(t, dir, weekly, 2*time.Hour)); len(asked) != 4 || !strings.Contains(notes, "there is nothing yet") {
			t.Errorf("members of %v were asked for; notes\n%s", asked, notes)
		}
	})
}

// A reading that was interrupted goes on where it stopped, with the changes that it was told, and what the last one left is
// still there.
func TestIncrementalResumed(t *testing.T) {
	n, dir := newTenant(t), t.TempDir()
	n.read(t, n.collector(t, dir, weekly, 0))
	n.groups["g-1"], n.groups["g-3"] = []string{"u-4"}, []string{"u-4"}
	n.log, n.broken, n.status = append(n.log, "g-1", "g-3"), "g-3", 503
	if _, err := n.collector(t, dir, weekly, time.Hour).Collect(t.Context(), &keeper{}); err == nil || !strings.Contains(err.Error(), "503") {
		t.Fatalf("error %v", err)
	}
	n.broken = ""
	n.groups["g-2"] = []string{"u-4"} // since the changes were told: the next reading sees it
	n.log = append(n.log, "g-2")
	grants, notes, asked := n.read(t, n.collector(t, dir, weekly, 2*time.Hour))
	if got, want := strings.Join(asked, " "), "g-3"; got != want || !strings.Contains(notes, "resumed: ") {
		t.Errorf("members of %s were asked for, want %s; notes\n%s", got, want, notes)
	}
	if want := "u-4 in g-1, u-1 in g-2, u-4 in g-3"; grants != want {
		t.Errorf("grants %s, want %s", grants, want)
	}
	grants, _, asked = n.read(t, n.collector(t, dir, weekly, 3*time.Hour))
	if got, want := strings.Join(asked, " "), "g-2"; got != want {
		t.Errorf("members of %s were asked for, want %s", got, want)
	}
	if want := "u-4 in g-1, u-4 in g-2, u-4 in g-3"; grants != want {
		t.Errorf("grants %s, want %s", grants, want)
	}
}

// A mark that lies elsewhere is not followed: the credentials would go there.
func TestIncrementalForeignMark(t *testing.T) {
	n, dir := newTenant(t), t.TempDir()
	k := n.collector(t, dir, weekly, 0)
	n.read(t, k)
	r := &reading{k: k, base: k.base, params: k.params, pacers: k.pacers()}
	q := k.recipe.incremental()[0]
	for _, mark := range []string{"https://evil.example/v1.0/groups/delta?$deltatoken=1", "https://graph.microsoft.com/v1.0/users?$deltatoken=1", "https://graph.microsoft.com/v1.0/groups/delta/../../users"} {
		if _, _, err := r.changes(t.Context(), q, mark); err == nil || !strings.Contains(err.Error(), "the mark: ") {
			t.Errorf("%s: error %v", mark, err)
		}
	}
}

// A stamp that a row carries does without a log: the members of Okta's groups are asked for where it is another, or missing.
func TestIncrementalStamp(t *testing.T) {
	stamps := map[string]any{"00g1": "2026-01-01T00:00:00.000Z", "00g2": nil}
	c := newCloud(t, bearer("SSWS", secretText))
	const host = "acme.okta.com/api/v1"
	var asked []string
	none := func(*http.Request, doc) (int, any) { return 200, []doc{} }
	c.on("GET "+host+"/iam/assignees/users", func(*http.Request, doc) (int, any) { return 200, doc{"value": []doc{}} })
	c.on("GET "+host+"/users", none)
	c.on("GET "+host+"/apps", none)
	c.on("GET "+host+"/groups", func(*http.Request, doc) (int, any) {
		var rows []doc
		for _, id := range slices.Sorted(maps.Keys(stamps)) {
			rows = append(rows, doc{"id": id, "type": "OKTA_GROUP", "profile": doc{"name": id}, "lastMembershipUpdated": stamps[id]})
		}
		return 200, rows
	})
	c.on("GET "+host+"/groups/{id}/users", func(r *http.Request, _ doc) (int, any) {
		asked = append(asked, r.PathValue("id"))
		return 200, []doc{{"id": "00u1", "status": "ACTIVE"}}
	})
	dir := t.TempDir()
	for _, want := range []string{"00g1 00g2", "00g2", "00g1 00g2", "00g2"} {
		k, err := New(config(t, "recipe: okta\nurl: https://acme.okta.com\nauth: {token: env:TOKEN}\nincremental: {full_every: 1d}"), Options{UID: "app", Transport: c, Secret: secret, Private: dir})
		if err != nil {
			t.Fatal(err)
		}
		asked = nil
		var out keeper
		if _, err := k.Collect(t.Context(), &out); err != nil {
			t.Fatal(err)
		}
		slices.Sort(asked) // several are asked for at a time
		if got := strings.Join(asked, " "); got != want {
			t.Errorf("members of %s were asked for, want %s", got, want)
		}
		if got, want := grantsOf(out.records), "00u1 in 00g1, 00u1 in 00g2"; got != want {
			t.Errorf("grants %s, want %s", got, want)
		}
		if want == "00g2" {
			stamps["00g1"] = "2026-01-02T00:00:00.000Z"
		}
	}
}

func TestIncrementalFaults(t *testing.T) {
	const child = "each:\n  - {name: roles, path: \"/users/{.id}/roles\", grants: {holder_id: $parent.id, entitlement_id: .id}, incremental: {%s}}\n"
	for more, want := range map[string]string{
		"":                     "needs a stamp or changes",
		"stamp: .at, key: .id": "key goes with changes",
		"changes: {path: /log, rows: ., key: .id, mark: .mark}":                             "key goes with changes",
		"key: .id, changes: {path: '/log?x=1', key: .id, mark: .m}":                         "parameters go under query",
		"key: .id, changes: {path: /log, key: .id}":                                         "incremental.changes.mark: is missing",
		"key: .id, changes: {path: /log, key: .id, mark: .m, paging: {type: next}}":         "incremental.changes.paging.next: is missing",
		"key: .id, changes: {path: /log, key: .id, mark: .m, begin: {from: '{$parent.x}'}}": "",
		"stamp: '.at |'": "jq: unexpected EOF",
	} {
		_, err := Parse("x.yaml", []byte(linked+"  "+fmt.Sprintf(child, more)))
		if want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("%s\nerror %v\nwant %s", more, err, want)
		}
	}
	if _, err := Parse("x.yaml", []byte(linked+"  incremental: {stamp: .at}\n")); err == nil || !strings.Contains(err.Error(), "goes within each only") {
		t.Errorf("error %v", err)
	}
	if _, err := New(config(t, "recipe: zoom\nauth: {client_id: a, client_secret: env:S}\nincremental: {}"), Options{UID: "app"}); err == nil || !strings.Contains(err.Error(), "incremental: zoom has no request") {
		t.Errorf("error %v", err)
	}
}

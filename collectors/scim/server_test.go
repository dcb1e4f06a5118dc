package scim

import (
	"context"
	"fmt"
	"maps"
	"net/http"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/lapse-audit/lapse/collectors/scim/scimtest"
	"github.com/lapse-audit/lapse/internal/access"
	"github.com/lapse-audit/lapse/internal/collect"
	"github.com/lapse-audit/lapse/internal/collect/collecttest"
)

// service is a real SCIM server of its own.
type service struct {
	*scimtest.Server
	url   string
	users map[string]string // ids by userName
}

// startService runs one of testdata/servers until the test ends.
func startService(t testing.TB, name string, env ...string) *service {
	t.Helper()
	s := scimtest.Start(t, filepath.Join("testdata", "servers"), name, token, env...)
	return &service{Server: s, url: s.URL, users: map[string]string{}}
}

// fill puts in users and groups, as an identity provider would.
func (s *service) fill(t testing.TB, users int, nested bool) {
	t.Helper()
	for i := range users {
		name := fmt.Sprintf("user%03d@example.test", i)
		active := i%7 != 3
		r := s.Do(t, http.MethodPost, "/Users", fmt.Sprintf(`{"schemas":["urn:ietf:params:scim:schemas:core:2.0:User","urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"],
			"userName":%q,"externalId":"x%d","displayName":"User %d","active":%t,"emails":[{"value":%q,"type":"work","primary":true}],
			"roles":[{"value":"role%d","primary":true}],"entitlements":[{"value":"tool"}],
			"urn:ietf:params:scim:schemas:extension:enterprise:2.0:User":{"employeeNumber":"%d","department":"D%d"}}`, name, i, i, active, name, i%3, 1000+i, i%5))
		s.users[name] = r["id"].(string)
	}
	var inner string
	for g := range 3 {
		var members []string
		for i := g; i < users; i += g + 2 {
			members = append(members, fmt.Sprintf(`{"value":%q}`, s.users[fmt.Sprintf("user%03d@example.test", i)]))
		}
		if g == 2 {
			members = nil
			if nested {
				members = []string{fmt.Sprintf(`{"value":%q,"type":"Group"}`, inner)}
			}
		}
		r := s.Do(t, http.MethodPost, "/Groups", fmt.Sprintf(`{"schemas":["urn:ietf:params:scim:schemas:core:2.0:Group"],"displayName":"Group %d","members":[%s]}`, g, strings.Join(members, ",")))
		inner = r["id"].(string)
	}
}

// truth is what the server says of each user and group when it is asked for that one.
func (s *service) truth(t testing.TB) (lines []string) {
	t.Helper()
	for name, id := range s.users {
		u := s.Do(t, http.MethodGet, "/Users/"+id, "")
		if u["userName"] != name {
			t.Fatalf("user %s is %v", id, u["userName"])
		}
		e := u["urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"].(map[string]any)
		created, err := time.Parse(time.RFC3339Nano, u["meta"].(map[string]any)["created"].(string))
		if err != nil {
			t.Fatal(err)
		}
		lines = append(lines, fmt.Sprint("account ", id, " ", name, " ", u["displayName"], " ", u["active"], " ", e["employeeNumber"], " ", e["department"], " ", u["externalId"], " ", created.UTC()))
		for attribute, prefix := range map[string]string{"roles": "role:", "entitlements": "entitlement:"} {
			for _, v := range u[attribute].([]any) {
				lines = append(lines, fmt.Sprint("grant account ", id, " ", prefix, v.(map[string]any)["value"]))
			}
		}
	}
	for _, r := range s.Do(t, http.MethodGet, "/Groups?count=100", "")["Resources"].([]any) {
		id := r.(map[string]any)["id"].(string)
		g := s.Do(t, http.MethodGet, "/Groups/"+id, "")
		lines = append(lines, fmt.Sprint("entitlement ", id, " ", g["displayName"]))
		list, _ := g["members"].([]any)
		for _, m := range list {
			kind, member := "account", m.(map[string]any)["value"].(string)
			if !slices.Contains(slices.Collect(maps.Values(s.users)), member) {
				kind = "entitlement"
			}
			lines = append(lines, fmt.Sprint("grant ", kind, " ", member, " ", id))
		}
	}
	slices.Sort(lines)
	return lines
}

func describe(records []access.Record) (lines []string) {
	for _, r := range records {
		switch r := r.(type) {
		case access.Account:
			lines = append(lines, fmt.Sprint("account ", r.ID, " ", r.Email, " ", r.Name, " ", *r.Enabled, " ", r.EmployeeID, " ", r.Attributes["department"], " ", r.Attributes["external_id"], " ", r.CreatedAt.UTC()))
		case access.Entitlement:
			if r.Kind == "group" {
				lines = append(lines, fmt.Sprint("entitlement ", r.ID, " ", r.Name))
			}
		case access.Grant:
			lines = append(lines, fmt.Sprint("grant ", r.HolderKind, " ", r.HolderID, " ", r.EntitlementID))
		}
	}
	slices.Sort(lines)
	return lines
}

// What is read from real servers, in pages of all sizes, is what they say of each resource by itself.
func TestRealServers(t *testing.T) {
	for _, c := range []struct {
		name   string
		users  int
		nested bool
	}{{"scimmy", 75, true}, {"better-auth", 125, false}} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			s := startService(t, c.name)
			s.fill(t, c.users, c.nested)
			want := s.truth(t)
			for _, section := range []string{"", "page_size: 7", "page_size: 25\nconcurrency: 4", "page_size: 1000", "page_size: 20\nmemberships: each_group"} {
				out, prov, err := gather(t, s.url, section)
				if err != nil {
					t.Fatalf("%s: %v", section, err)
				}
				same(t, out.reasons(), []string(nil))
				same(t, describe(out.records), want)
				same(t, prov.Reads, []string{"accounts", "entitlements", "grants"})
			}
			collecttest.Run(t, collecttest.Spec{
				New: func(t testing.TB) collect.Collector { return build(t, s.url, "page_size: 50") },
				Broken: map[string]func(testing.TB) collect.Collector{
					"another path": func(t testing.TB) collect.Collector { return build(t, s.url+"/nothing", "") },
					"a filter that it refuses": func(t testing.TB) collect.Collector {
						return build(t, s.url, `filter: 'userName xx "a"'`)
					},
				},
				Secrets: []string{token},
			})
			_, _, err := gather(t, strings.Replace(s.url, "/v2", "/v3", 1), "")
			if err == nil {
				t.Error("no error for an address without a service")
			}
			out, _, err := gather(t, s.url, `filter: 'userName eq "user003@example.test"'`)
			if err != nil {
				t.Fatal(err)
			}
			if a := only[access.Account](out); len(a) != 1 || a[0].ID != s.users["user003@example.test"] {
				t.Errorf("filtered: %d accounts", len(a))
			}
			testChanges(t, c.name, s)
		})
	}
}

// Better Auth puts requests off with X-Retry-After and a body that is no SCIM.
func TestRealServerPutsOff(t *testing.T) {
	t.Parallel()
	limited := startService(t, "better-auth", "SCIM_LIMIT=1")
	k := build(t, limited.url, "")
	var waits []time.Duration
	k.now = time.Now
	k.sleep = func(ctx context.Context, d time.Duration) error {
		waits = append(waits, d)
		return sleep(ctx, d)
	}
	for i := 0; i < 50 && (len(waits) == 0 || slices.Max(waits) < time.Second); i++ {
		if _, err := k.Collect(t.Context(), &keeper{}); err != nil {
			t.Fatal(err)
		}
	}
	if len(waits) == 0 || slices.Max(waits) < time.Second {
		t.Errorf("waited %v, want as long as the server says", waits)
	}
}

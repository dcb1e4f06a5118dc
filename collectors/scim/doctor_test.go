package scim

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/lapse-audit/lapse/internal/collect"
)

func advised(t *testing.T, k *Collector) (string, error) {
	t.Helper()
	_, advice, err := collect.Examine(t.Context(), k, collect.Options{Limits: collect.Limits{MaxRejected: 1}, Now: time.Now()})
	var lines []string
	for _, a := range advice {
		mark := "ok "
		if a.Missing {
			mark = "MISSING "
		}
		lines = append(lines, mark+a.What+": "+a.Detail)
	}
	return strings.Join(lines, "\n"), err
}

func TestExamine(t *testing.T) {
	f := &fake{
		config: `{"schemas":["urn:ietf:params:scim:schemas:core:2.0:ServiceProviderConfig"],"filter":{"supported":true,"maxResults":50}}`,
		users:  []string{`{"id":"1","userName":"a","emails":[{"value":"a@example.com"}],"urn:example:User":{"lastLogin":"2026-11-01T08:00:00Z"}}`, `{"id":"2","userName":"b"}`},
		groups: []string{`{"id":"g","displayName":"G"}`},
		answer: func(w http.ResponseWriter, r *http.Request, _ int) bool {
			if r.URL.Path != "/v2/Schemas" {
				return false
			}
			fmt.Fprint(w, listOf(2, []string{`{"id":"urn:ietf:params:scim:schemas:core:2.0:User","attributes":[{"name":"userName"},{"name":"emails"}]}`,
				`{"id":"urn:example:User","attributes":[{"name":"lastLogin"}]}`}))
			return true
		},
	}
	k := build(t, f.start(t), "fields: {last_login_at: 'urn:example:User:lastLogin', employee_id: staffNumber}\n")
	got, err := advised(t, k)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"ok ServiceProviderConfig: says that a page has at most 50 resources",
		"ok ResourceTypes: ",
		"ok Schemas: names 3 attributes in 2 schemas",
		"MISSING staffNumber: is named in fields: or attributes:, and the service's schemas have none of that name",
		"MISSING active: came back of none of 2 users: the token may not see it, or the service has none; unknown is enabled",
		"ok emails: came back of 1 of 2 users",
		"ok urn:example:User:lastLogin: came back of 1 of 2 users",
		"MISSING staffNumber: is named in fields: or attributes: and came back of none of 2 users",
		"MISSING members: no group came back with its members",
		"last_login 1 of 2",
	} {
		if !strings.Contains(got, want) {
			t.Errorf("lacks %q:\n%s", want, got)
		}
	}
	if strings.Contains(got, "MISSING urn:example") {
		t.Errorf("got\n%s", got)
	}
}

// A token that is refused is said to be so.
func TestExamineRefused(t *testing.T) {
	f := &fake{answer: func(w http.ResponseWriter, _ *http.Request, _ int) bool {
		w.WriteHeader(http.StatusUnauthorized)
		return true
	}}
	got, err := advised(t, build(t, f.start(t), ""))
	if err == nil || !strings.Contains(got, "MISSING ServiceProviderConfig: ") || !strings.Contains(got, "the token is refused") {
		t.Errorf("error %v\n%s", err, got)
	}
}

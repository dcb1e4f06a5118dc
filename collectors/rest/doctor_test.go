package rest

import (
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/lapse-audit/lapse/internal/collect"
)

const examinedRecipe = `
language: 1
name: Tiny
auth: [{type: bearer}]
requests:
- name: admins
  path: /admins
  rows: .rows
  rights: [admins.read]
  optional: true
  lookup: {key: .id}
- name: users
  path: /users
  rows: .rows
  rights: [users.read]
  accounts: {id: .id, username: .name, mfa: .mfa, last_login_at: .last}
- name: groups
  path: /groups
  rows: .rows
  rights: [groups.read]
  entitlements: {id: .id}
- name: roles
  path: /roles
  rows: .rows
  rights: [roles.read]
  entitlements: {id: '"role:" + .id', name: .name}
`

// advised are the lines of advice.
func advised(t *testing.T, k *Collector) (string, error) {
	t.Helper()
	_, advice, err := collect.Examine(t.Context(), k, collect.Options{Limits: collect.Limits{MaxRejected: 1}, Now: k.time.now()})
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

// An app that refuses some of what is asked: each right that is missing is named at once, and the fields that are null
// everywhere; a collection ends at the first.
func TestExamine(t *testing.T) {
	requests := map[string]int{}
	s := app(t, func(w http.ResponseWriter, r *http.Request, _ string) {
		requests[r.URL.Path]++
		switch r.URL.Path {
		case "/admins", "/groups", "/roles":
			w.WriteHeader(http.StatusForbidden)
			io.WriteString(w, `{"error": "no `+secretText+`"}`)
		default:
			io.WriteString(w, `{"rows": [{"id": "1", "name": "a", "mfa": null}, {"id": "2", "name": "b", "last": "2026-11-01T08:00:00Z"}]}`)
		}
	})
	k := of(t, examinedRecipe, s.URL, "")
	got, err := advised(t, k)
	if err == nil || !strings.Contains(err.Error(), "the request needs groups.read") {
		t.Errorf("error %v, want that of the first request that must not be refused", err)
	}
	for _, want := range []string{
		"MISSING request admins: GET /admins, page 1: 403 Forbidden",
		"ok request users: 2 rows; it needs users.read",
		"ok request users: accounts: of 2 none has mfa: either nobody has it, or whoever signs in may not see it; it needs users.read",
		"the request needs groups.read; unknown is what it gives: entitlements.id",
		"the request needs roles.read; unknown is what it gives: entitlements.id entitlements.name",
	} {
		if !strings.Contains(got, want) {
			t.Errorf("lacks %q:\n%s", want, got)
		}
	}
	if strings.Contains(got, secretText) {
		t.Errorf("a secret shows:\n%s", got)
	}
	if requests["/users"] != 1 {
		t.Errorf("%d requests for users: an examination asks once", requests["/users"])
	}
	clear(requests)
	if _, err := k.Collect(t.Context(), &keeper{}); err == nil || requests["/roles"] != 0 {
		t.Errorf("a collection went on after %v: %v", err, requests)
	}
}

func TestExamineWhole(t *testing.T) {
	s := app(t, func(w http.ResponseWriter, _ *http.Request, _ string) {
		io.WriteString(w, `{"rows": [{"id": "1", "name": "a"}]}`)
	})
	got, err := advised(t, of(t, examinedRecipe, s.URL, ""))
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(got, "MISSING") || !strings.Contains(got, "ok coverage: ") || !strings.Contains(got, "ok request groups: 1 rows; it needs groups.read") {
		t.Errorf("got\n%s", got)
	}
}

package scim

import (
	"context"
	"net/http"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/lapse-audit/lapse/internal/access"
	"github.com/lapse-audit/lapse/internal/collect"
	"github.com/lapse-audit/lapse/internal/strict"
)

// FuzzPage reads anything as the answer of a server: it must end with an error or with records that the runner takes,
// and no resource may get lost: each is an account or a rejection.
func FuzzPage(f *testing.F) {
	for _, seed := range []string{
		listOf(2, people(2)), `{"totalResults":"1","Resources":[{"id":1,"userName":"a","active":"True","emails":["x",{"value":null}],"roles":{"value":"r"},"name":[],"meta":7}]}`,
		`{"TOTALRESULTS":1,"resources":[{"ID":"a","USERNAME":"b","urn:ietf:params:scim:schemas:extension:enterprise:2.0:User":{"manager":"x","employeeNumber":1e3}}]}`,
		`{"totalResults":1,"Resources":[null]}`, `{"totalResults":0}`, `<html>`, `{"schemas":["urn:ietf:params:scim:api:messages:2.0:Error"],"status":404}`, `[]`, ``, `{"totalResults":1e1}`,
		"{\"totalResults\":1,\"Resources\":[{\"id\":\"\xff\"}]}", `{"totalResults":1,"Resources":[{"id":"\ud800","userName":"\u0000"}]}`, `{"totalResults":2,"Resources":[{"id":"a","userName":"x"},{"id":"a","userName":"y"}]}`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		p, err := parsePage(body)
		if err != nil {
			if !utf8.ValidString(err.Error()) || len(err.Error()) > 2000 {
				t.Errorf("error %q", err)
			}
			return
		}
		var out keeper
		fields := map[string]string{"last_login_at": "urn:x:lastLogin", "mfa": "emails.primary", "purpose": "title"}
		k := &Collector{config: Config{Fields: fields, Attributes: strict.Attributes{"a": "name.givenName", "b": "roles"}, Memberships: InUsers}.defaults()}
		r := &reading{Collector: k, ctx: t.Context(), out: &out, values: map[string]bool{}, oddities: map[string]int{}}
		l := r.listing("Users", nil, r.user)
		l.passes, l.seen = 1, collect.NewMarks()
		if _, _, err := l.take(p, true); err != nil {
			return
		}
		if n := len(only[access.Account](&out)) + len(out.rejections); n != l.pass.distinct || n > len(p.items) {
			t.Errorf("%d resources, %d of them different, %d accounts and rejections", len(p.items), l.pass.distinct, n)
		}
		res, err := collect.Run(t.Context(), replayed(out.records), &keeper{}, collect.Options{Limits: collect.Limits{MaxRejected: 1}, Now: time.Now()})
		if err != nil {
			t.Fatal(err)
		}
		for _, rej := range res.Rejections {
			if !strings.Contains(rej.Reason, "duplicate") {
				t.Errorf("the runner refuses a record: %s", rej)
			}
		}
	})
}

// FuzzGroup reads anything as a group.
func FuzzGroup(f *testing.F) {
	for _, seed := range []string{
		`{"id":"g","displayName":"G","members":[{"value":"u1"},"u2",3,null,{"value":{"a":1}},[]]}`, `{"id":"g","displayName":"G","members":{}}`, `{"id":"g","displayName":"G","members":null}`,
		`{"displayName":"G"}`, `{"id":"g","displayName":"G","members":[{"value":"g","type":"Group"},{"value":"u1","type":"Group"},{"value":"x","$ref":"/Groups/x"}]}`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		id := idOf(body)
		if id.s == "" {
			return
		}
		var out keeper
		r := &reading{Collector: &Collector{config: Config{}.defaults()}, ctx: t.Context(), out: &out, values: map[string]bool{}, oddities: map[string]int{}}
		r.users, r.groups = &listing{seen: collect.NewMarks()}, &listing{seen: collect.NewMarks()}
		if err := r.group(1, id, body); err != nil {
			t.Fatal(err)
		}
		if err := r.resolve(); err != nil {
			t.Fatal(err)
		}
		for _, rec := range out.records {
			if g, ok := rec.(access.Grant); ok && (g.EntitlementID != id.s || g.HolderID == "" || !utf8.ValidString(g.HolderID)) {
				t.Errorf("grant %+v of group %q", g, id.s)
			}
		}
		if len(only[access.Entitlement](&out)) == 0 && len(out.rejections) == 0 {
			t.Error("the group is lost")
		}
	})
}

// FuzzRetryAfter wants a wait that isn't negative, or none.
func FuzzRetryAfter(f *testing.F) {
	for _, seed := range []string{"1", "-1", "1e9", "Inf", "Mon, 23 Nov 2026 02:00:40 GMT", "Mon, 23 Nov 9999 02:00:40 GMT", ""} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, value string) {
		if d, ok := retryAfter(http.Header{"Retry-After": {value}}, time.Unix(0, 0)); d < 0 || !ok && d != 0 {
			t.Errorf("%q: %s, %v", value, d, ok)
		}
	})
}

type replayed []access.Record

func (r replayed) Collect(_ context.Context, out collect.Sink) (collect.Provenance, error) {
	for _, rec := range r {
		if err := out.Put(rec); err != nil {
			return collect.Provenance{}, err
		}
	}
	return collect.Provenance{}, nil
}

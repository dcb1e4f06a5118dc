package scim

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/lapse-audit/lapse/internal/access"
	"github.com/lapse-audit/lapse/internal/collect"
	"github.com/lapse-audit/lapse/internal/collect/collecttest"
)

const writing = "write: {auth: {bearer: env:WRITE}, delete: true}\n"

// state is what a bare client sees of a user: its own attributes, and the groups that name it.
func (s *service) state(t testing.TB, id string) string {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, s.url+"/Users/"+id, nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+token)
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	if res.StatusCode == http.StatusNotFound {
		return "gone"
	}
	var u map[string]any
	if err := json.NewDecoder(res.Body).Decode(&u); err != nil {
		t.Fatal(err)
	}
	delete(u, "meta") // lastModified and version
	var groups []string
	for _, r := range s.Do(t, http.MethodGet, "/Groups?count=100", "")["Resources"].([]any) {
		g := s.Do(t, http.MethodGet, "/Groups/"+r.(map[string]any)["id"].(string), "")
		list, _ := g["members"].([]any)
		for _, m := range list {
			if m.(map[string]any)["value"] == id {
				groups = append(groups, fmt.Sprint(g["displayName"]))
			}
		}
	}
	slices.Sort(groups)
	for _, list := range u { // order means nothing
		if l, ok := list.([]any); ok {
			slices.SortFunc(l, func(a, b any) int { return strings.Compare(fmt.Sprint(a), fmt.Sprint(b)) })
		}
	}
	text, err := json.Marshal(u)
	if err != nil {
		t.Fatal(err)
	}
	return fmt.Sprint(string(text), " in ", groups)
}

func (s *service) group(t testing.TB, name string) string {
	t.Helper()
	for _, r := range s.Do(t, http.MethodGet, "/Groups?count=100", "")["Resources"].([]any) {
		if g := r.(map[string]any); g["displayName"] == name {
			return g["id"].(string)
		}
	}
	t.Fatalf("no group %s", name)
	return ""
}

func testChanges(t *testing.T, name string, s *service) {
	changes := func(user string) []collecttest.Changing {
		id := s.users[user]
		o := access.Object{Kind: access.HolderAccount, ID: id}
		witness := func(t testing.TB) string { return s.state(t, id) }
		return []collecttest.Changing{
			{Change: access.Change{Action: access.ActionDisable, Object: o}, Witness: witness},
			{Change: access.Change{Action: access.ActionRevoke, Object: o, Entitlement: s.group(t, "Group 0")}, What: "a group", Witness: witness},
			{Change: access.Change{Action: access.ActionRevoke, Object: o, Entitlement: "entitlement:tool"}, What: "an entitlement", Witness: witness},
			{Change: access.Change{Action: access.ActionRevoke, Object: o, Entitlement: "role:role0"}, What: "a role", Witness: witness},
		}
	}
	t.Run("changes", func(t *testing.T) {
		c := build(t, s.url, writing).Changer()
		defer c.Close()
		list := changes("user000@example.test")
		gone := s.users["user012@example.test"]
		list = append(list, collecttest.Changing{Change: access.Change{Action: access.ActionDelete, Object: access.Object{Kind: access.HolderAccount, ID: gone}},
			Witness: func(t testing.TB) string { return s.state(t, gone) }})
		collecttest.Changes(t, name, c, list)
	})
	if name == "scimmy" {
		t.Run("without PATCH", func(t *testing.T) {
			c := build(t, withoutPatch(t, s), writing).Changer()
			defer c.Close()
			collecttest.Changes(t, name+" by PUT", c, changes("user006@example.test"))
		})
		t.Run("a group in a group", func(t *testing.T) {
			inner, outer := s.group(t, "Group 1"), s.group(t, "Group 2")
			c := build(t, s.url, writing).Changer()
			defer c.Close()
			collecttest.Changes(t, name, c, []collecttest.Changing{{Change: access.Change{Action: access.ActionRevoke, Object: access.Object{Kind: access.HolderEntitlement, ID: inner}, Entitlement: outer},
				Witness: func(t testing.TB) string { return fmt.Sprint(s.Do(t, http.MethodGet, "/Groups/"+outer, "")["members"]) }}})
		})
	}
	t.Run("at once", func(t *testing.T) {
		c := build(t, s.url, writing).Changer()
		defer c.Close()
		var wait sync.WaitGroup
		for i := range 6 {
			wait.Go(func() {
				ch := access.Change{Action: access.ActionDisable, Object: access.Object{Kind: access.HolderAccount, ID: s.users[fmt.Sprintf("user%03d@example.test", 20+i)]}}
				if err := c.Apply(t.Context(), ch); err != nil {
					t.Error(err)
				}
				live, err := c.Look(t.Context(), ch.Object)
				if err != nil {
					t.Error(err)
				} else if done, known := ch.Shows(live); !done || !known {
					t.Errorf("user %d: done %v, known %v", 20+i, done, known)
				}
			})
		}
		wait.Wait()
	})
	t.Run("native", func(t *testing.T) { testNative(t, name, s) })
	t.Run("faults", func(t *testing.T) { testFaults(t, s) })
}

// withoutPatch is the service behind a proxy that says that it supports no PATCH, and takes none.
func withoutPatch(t testing.TB, s *service) string {
	t.Helper()
	target, err := url.Parse(s.url)
	if err != nil {
		t.Fatal(err)
	}
	proxy := httputil.NewSingleHostReverseProxy(&url.URL{Scheme: target.Scheme, Host: target.Host})
	front := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case strings.HasSuffix(r.URL.Path, "/ServiceProviderConfig"):
			fmt.Fprint(w, `{"schemas":[],"patch":{"supported":false},"filter":{"supported":false},"etag":{"supported":false}}`)
		case r.Method == http.MethodPatch:
			http.Error(w, "no", http.StatusNotImplemented)
		default:
			proxy.ServeHTTP(w, r)
		}
	}))
	t.Cleanup(front.Close)
	return front.URL + target.Path
}

// The commands work when they are pasted into a shell.
func testNative(t *testing.T, name string, s *service) {
	if _, err := exec.LookPath("curl"); err != nil {
		const how = "no curl: install it with: apt-get install curl"
		if os.Getenv("CI") == "true" {
			t.Fatal(how)
		}
		t.Skip(how)
	}
	id := s.users["user004@example.test"]
	c := build(t, s.url, writing).Changer()
	for _, ch := range []access.Change{
		{Action: access.ActionDisable, Object: access.Object{Kind: access.HolderAccount, ID: id}},
		{Action: access.ActionRevoke, Object: access.Object{Kind: access.HolderAccount, ID: id}, Entitlement: s.group(t, "Group 0")},
		{Action: access.ActionRevoke, Object: access.Object{Kind: access.HolderAccount, ID: id}, Entitlement: "entitlement:tool"},
	} {
		if name == "better-auth" && ch.Entitlement == "entitlement:tool" {
			continue // it takes no filter in a path of Users
		}
		was := s.state(t, id)
		before, err := c.Look(t.Context(), ch.Object)
		if err != nil {
			t.Fatal(err)
		}
		undo := ch
		undo.Undo, undo.Before = true, &before
		for _, step := range []access.Change{ch, undo} {
			for _, line := range c.Native(step) {
				if strings.Contains(line, token) {
					t.Errorf("the token shows: %s", line)
				}
				cmd := exec.CommandContext(t.Context(), "sh", "-c", line+" -sS --fail")
				cmd.Env = append(cmd.Environ(), "SCIM_TOKEN="+token)
				if out, err := cmd.CombinedOutput(); err != nil {
					t.Fatalf("%s\n%v\n%s", line, err, out)
				}
			}
			if now := s.state(t, id); (now == was) != step.Undo {
				t.Errorf("%s, undo %v:\n%s\n%s", ch.Action, step.Undo, was, now)
			}
		}
	}
}

// tamper is a proxy before a service which does something to the changes.
func tamper(t testing.TB, s *service, do func(w http.ResponseWriter, r *http.Request, pass func()) bool) string {
	t.Helper()
	target, err := url.Parse(s.url)
	if err != nil {
		t.Fatal(err)
	}
	front := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		forward := func(w http.ResponseWriter) {
			req, err := http.NewRequestWithContext(r.Context(), r.Method, target.Scheme+"://"+target.Host+r.URL.RequestURI(), r.Body)
			if err != nil {
				t.Error(err)
				return
			}
			req.Header = r.Header.Clone()
			res, err := http.DefaultClient.Do(req)
			if err != nil {
				t.Error(err)
				return
			}
			defer res.Body.Close()
			maps.Copy(w.Header(), res.Header)
			w.WriteHeader(res.StatusCode)
			_, _ = io.Copy(w, res.Body)
		}
		if r.Method != http.MethodGet && do(w, r, func() { forward(httptest.NewRecorder()) }) {
			return
		}
		forward(w)
	}))
	front.Config.ErrorLog = log.New(io.Discard, "", 0)
	t.Cleanup(front.Close)
	return front.URL + target.Path
}

func testFaults(t *testing.T, s *service) {
	id := s.users["user005@example.test"]
	disable := access.Change{Action: access.ActionDisable, Object: access.Object{Kind: access.HolderAccount, ID: id}}
	enabled := func(t *testing.T) bool { return s.Do(t, http.MethodGet, "/Users/"+id, "")["active"] == true }
	var changes atomic.Int32
	hangUp := func(w http.ResponseWriter) {
		c, _, err := w.(http.Hijacker).Hijack()
		if err != nil {
			t.Error(err)
			return
		}
		c.Close()
	}
	status := func(code int, body string) func(http.ResponseWriter, *http.Request, func()) bool {
		return func(w http.ResponseWriter, _ *http.Request, _ func()) bool {
			w.WriteHeader(code)
			fmt.Fprint(w, body)
			return true
		}
	}
	for _, f := range []struct {
		name string
		do   func(http.ResponseWriter, *http.Request, func()) bool
		want error // nil: it says that it was done
		done bool
		sent int32
	}{
		{"no right", status(403, `{"schemas":["urn:ietf:params:scim:api:messages:2.0:Error"],"status":"403","detail":"read only `+token+`"}`), access.ErrRefused, false, 1},
		{"trouble", status(500, ""), access.ErrUnsure, false, 1},
		{"an error in spite of its status", status(200, `{"schemas":["urn:ietf:params:scim:api:messages:2.0:Error"],"status":"400","detail":"no"}`), access.ErrUnsure, false, 1},
		{"success and nothing done", status(204, ""), nil, false, 1},
		{"closed after it was accepted", func(w http.ResponseWriter, _ *http.Request, pass func()) bool { pass(); hangUp(w); return true }, access.ErrUnsure, true, 1},
		{"closed before", func(w http.ResponseWriter, _ *http.Request, _ func()) bool { hangUp(w); return true }, access.ErrUnsure, false, 1},
		{"no answer", func(_ http.ResponseWriter, r *http.Request, pass func()) bool {
			pass()
			<-r.Context().Done()
			return true
		}, access.ErrUnsure, true, 1},
		{"moved", func(w http.ResponseWriter, r *http.Request, _ func()) bool {
			http.Redirect(w, r, r.URL.Path, http.StatusFound)
			return true
		}, access.ErrRefused, false, 1},
		{"asked too often, twice", func(w http.ResponseWriter, _ *http.Request, _ func()) bool {
			if changes.Load() <= 2 {
				w.Header().Set("Retry-After", "1")
				w.WriteHeader(http.StatusTooManyRequests)
				return true
			}
			return false
		}, nil, true, 3},
	} {
		t.Run(f.name, func(t *testing.T) {
			changes.Store(0)
			at := tamper(t, s, func(w http.ResponseWriter, r *http.Request, pass func()) bool {
				changes.Add(1)
				return f.do(w, r, pass)
			})
			c := build(t, at, writing+"timeout: 1s\n").Changer()
			defer c.Close()
			before, err := c.Look(t.Context(), disable.Object)
			if err != nil {
				t.Fatal(err)
			}
			err = c.Apply(t.Context(), disable)
			if !errors.Is(err, f.want) || f.want == nil && err != nil {
				t.Errorf("error %v, want %v", err, f.want)
			}
			for _, kind := range []error{access.ErrRefused, access.ErrUnsure, access.ErrGone, access.ErrCannot} {
				if kind != f.want && errors.Is(err, kind) {
					t.Errorf("%v is %v, too", err, kind)
				}
			}
			if err != nil && strings.Contains(err.Error(), token) {
				t.Errorf("the token shows: %v", err)
			}
			if n := changes.Load(); n != f.sent {
				t.Errorf("sent %d times, want %d", n, f.sent)
			}
			after, err := c.Look(t.Context(), disable.Object)
			if err != nil {
				t.Fatal(err)
			}
			if done, known := disable.Shows(after); !known || done != f.done || enabled(t) == f.done {
				t.Errorf("shows done %v, known %v; want %v", done, known, f.done)
			}
			undo := disable
			undo.Undo, undo.Before = true, &before
			if err := build(t, s.url, writing).Changer().Apply(t.Context(), undo); err != nil {
				t.Fatal(err)
			}
		})
	}
	t.Run("nobody listens", func(t *testing.T) {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		c := build(t, s.url, writing).Changer()
		if _, _, err := c.open(t.Context()); err != nil {
			t.Fatal(err)
		}
		c.client.base, err = url.Parse("http://" + l.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		l.Close()
		r := c.reading(t.Context(), c.client, c.caps, &found{})
		err = r.send(http.MethodPatch, "Users", id, patch(operation{"replace", "active", false}), nil)
		for _, kind := range []error{access.ErrRefused, access.ErrUnsure, access.ErrGone, access.ErrCannot} {
			if err == nil || errors.Is(err, kind) {
				t.Errorf("%v is %v, and it wasn't sent", err, kind)
			}
		}
	})
	t.Run("deleted and made again", func(t *testing.T) {
		create := func(email string) string {
			return s.Do(t, http.MethodPost, "/Users", `{"schemas":["urn:ietf:params:scim:schemas:core:2.0:User"],"userName":"again","emails":[{"value":"`+email+`","primary":true}],"active":true}`)["id"].(string)
		}
		old := create("first@example.test")
		s.Do(t, http.MethodDelete, "/Users/"+old, "")
		again := create("second@example.test") // a mailbox is never given out twice there
		c := build(t, s.url, writing).Changer()
		defer c.Close()
		o := access.Object{Kind: access.HolderAccount, ID: old}
		if _, err := c.Look(t.Context(), o); !errors.Is(err, access.ErrGone) {
			t.Errorf("look: %v", err)
		}
		if err := c.May(t.Context(), access.Change{Action: access.ActionDisable, Object: o}); !errors.Is(err, access.ErrGone) {
			t.Errorf("may: %v", err)
		}
		if err := c.Apply(t.Context(), access.Change{Action: access.ActionDisable, Object: o}); !errors.Is(err, access.ErrGone) {
			t.Errorf("apply: %v", err)
		}
		if s.Do(t, http.MethodGet, "/Users/"+again, "")["active"] != true {
			t.Error("the one who was made again was changed")
		}
		s.Do(t, http.MethodDelete, "/Users/"+again, "")
	})
	t.Run("doctor", func(t *testing.T) {
		advice, err := build(t, s.url, writing).Changer().Diagnose(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		same(t, advice, []collect.Advice{{What: "changes", Detail: "by PATCH"}})
	})
	t.Run("a wrong token", func(t *testing.T) {
		k := build(t, s.url, writing)
		k.opt.Secret = func(context.Context, collect.Secret) (string, error) { return "another", nil }
		_, err := k.Changer().Look(t.Context(), disable.Object)
		if err == nil || errors.Is(err, access.ErrGone) {
			t.Errorf("look: %v", err)
		}
		if err := k.Changer().May(t.Context(), disable); !errors.Is(err, access.ErrRefused) {
			t.Errorf("may: %v", err)
		}
	})
}

// What can't be done is said before anything is asked.
func TestCannot(t *testing.T) {
	nowhere := "http://127.0.0.1:1/v2"
	o := access.Object{Kind: access.HolderAccount, ID: "u1"}
	if _, err := build(t, nowhere, "").Changer().Abilities(); !errors.Is(err, access.ErrCannot) || !strings.Contains(err.Error(), "write.auth") {
		t.Errorf("without a credential: %v", err)
	}
	c := build(t, nowhere, "write: {auth: {user: hr, password: env:P}}").Changer()
	for _, ch := range []access.Change{
		{Action: access.ActionDelete, Object: o}, {Action: access.ActionResetPassword, Object: o}, {Action: access.ActionDisable, Object: o, Undo: true},
	} {
		if err := c.Apply(t.Context(), ch); !errors.Is(err, access.ErrCannot) {
			t.Errorf("%s: %v", ch.Action, err)
		}
	}
	same(t, c.Native(access.Change{Action: access.ActionRevoke, Object: access.Object{ID: `a"b'; rm -rf /`}, Entitlement: "../x y"}), []string{
		`curl -X PATCH -u 'hr' -H 'Content-Type: application/scim+json' --data-raw '{"Operations":[{"op":"remove","path":"members[value eq \"a\\\"b'\''; rm -rf /\"]"}],"schemas":["urn:ietf:params:scim:api:messages:2.0:PatchOp"]}' 'http://127.0.0.1:1/v2/Groups/..%2Fx%20y'`})
	if _, err := New(parseConfig(t, "url: "+nowhere+"\nauth: {bearer: env:T}\nwrite: {delete: true}"), Options{}); err == nil || !strings.Contains(err.Error(), "write.auth: is missing") {
		t.Errorf("write without auth: %v", err)
	}
}

// Of versions that a service knows, one that somebody else has replaced is not overwritten.
func TestPutKeepsAllAndMatches(t *testing.T) {
	const user = `{"schemas":["urn:ietf:params:scim:schemas:core:2.0:User"],"id":"u1","userName":"ann","Active":true,"nickName":"An","x":{"deep":[1,null]},"meta":{"version":"W/\"3\""}}`
	version := `W/"3"`
	var got map[string]any
	f := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case strings.HasSuffix(r.URL.Path, "/ServiceProviderConfig"):
			fmt.Fprint(w, `{"patch":{"supported":false},"etag":{"supported":true}}`)
		case r.Method == http.MethodPut && r.Header.Get("If-Match") != version:
			w.WriteHeader(http.StatusPreconditionFailed)
		case r.Method == http.MethodPut:
			if err := json.NewDecoder(r.Body).Decode(&got); err != nil {
				t.Error(err)
			}
			fmt.Fprint(w, user)
		case strings.HasSuffix(r.URL.Path, "/Users/u1"):
			fmt.Fprint(w, user)
		default:
			w.WriteHeader(http.StatusNotFound)
		}
	}))
	defer f.Close()
	disable := access.Change{Action: access.ActionDisable, Object: access.Object{Kind: access.HolderAccount, ID: "u1"}}
	k := build(t, f.URL+"/v2", writing)
	var asked []string
	k.opt.Secret = func(_ context.Context, s collect.Secret) (string, error) {
		asked = append(asked, s.Reference())
		return token, nil
	}
	if err := k.Changer().Apply(t.Context(), disable); err != nil {
		t.Fatal(err)
	}
	same(t, asked, []string{"env:WRITE"})
	var want map[string]any
	if err := json.Unmarshal([]byte(user), &want); err != nil {
		t.Fatal(err)
	}
	want["Active"] = false
	same(t, got, want)
	version = `W/"4"`
	err := build(t, f.URL+"/v2", writing).Changer().Apply(t.Context(), disable)
	if !errors.Is(err, access.ErrRefused) || !strings.Contains(err.Error(), "somebody changed it at the same time") {
		t.Errorf("another version: %v", err)
	}
}

// A service that answers the filter for members with nothing is not believed.
func TestFilterForMembersThatFindsNothing(t *testing.T) {
	f := &fake{users: []string{`{"id":"u1","userName":"ann","active":true}`}, groups: []string{`{"id":"g1","displayName":"All","members":[{"value":"u1"}]}`}}
	f.answer = func(w http.ResponseWriter, r *http.Request, _ int) bool {
		switch {
		case r.URL.Query().Get("filter") != "":
			fmt.Fprint(w, `{"totalResults":0}`)
		case r.URL.Path == "/v2/Users/u1":
			fmt.Fprint(w, f.users[0])
		default:
			return false
		}
		return true
	}
	s := httptest.NewServer(f)
	defer s.Close()
	live, err := build(t, s.URL+"/v2", writing).Changer().Look(t.Context(), access.Object{Kind: access.HolderAccount, ID: "u1"})
	if err != nil {
		t.Fatal(err)
	}
	same(t, live.Grants, []access.Grant{{HolderKind: access.HolderAccount, HolderID: "u1", EntitlementID: "g1"}})
	if live.Account.Enabled == nil || !*live.Account.Enabled || time.Since(live.At) < 0 {
		t.Errorf("%+v", live)
	}
}

// Where groups don't tell their members, the users' attribute does, and a member is taken out all the same.
func TestGroupsThatTellNoMembers(t *testing.T) {
	in := true
	f := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch at := r.Method + " " + r.URL.Path; at {
		case "GET /v2/Users/u1":
			groups := `{"value":"g1"}`
			if !in {
				groups = ""
			}
			fmt.Fprintf(w, `{"id":"u1","userName":"ann","active":true,"groups":[%s]}`, groups)
		case "GET /v2/Groups/g1":
			fmt.Fprint(w, `{"id":"g1","displayName":"All"}`)
		case "PATCH /v2/Groups/g1":
			body, err := io.ReadAll(r.Body)
			if err != nil {
				t.Error(err)
			}
			in = strings.Contains(string(body), `"op":"add"`)
			w.WriteHeader(http.StatusNoContent)
		default:
			w.WriteHeader(http.StatusNotFound)
		}
	}))
	defer f.Close()
	collecttest.Changes(t, "memberships: users", build(t, f.URL+"/v2", writing+"memberships: users\n").Changer(), []collecttest.Changing{{
		Change:  access.Change{Action: access.ActionRevoke, Object: access.Object{Kind: access.HolderAccount, ID: "u1"}, Entitlement: "g1"},
		Witness: func(testing.TB) string { return fmt.Sprint(in) },
	}})
}

func FuzzPut(f *testing.F) {
	for _, s := range []string{`{"id":"1","Active":true,"x":[1]}`, `{"active":null}`, `{}`, `{"a":"\ud800"}`, `{"roles":[{"value":"a"},"b",null,7]}`, `{"roles":"x"}`, `[]`} {
		f.Add([]byte(s), "active", "x")
	}
	f.Fuzz(func(t *testing.T, raw []byte, attribute, text string) {
		plurals(raw, "roles")
		var m map[string]json.RawMessage
		if json.Unmarshal(raw, &m) != nil || m == nil {
			return
		}
		var again map[string]json.RawMessage
		if err := json.Unmarshal(with(raw, attribute, text), &again); err != nil {
			t.Fatal(err)
		}
		for name := range m {
			if _, ok := again[name]; !ok {
				t.Errorf("%q was lost", name)
			}
		}
		var back string
		if err := json.Unmarshal([]byte(quoted(text)), &back); err != nil {
			t.Fatal(err)
		}
	})
}

package rest

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
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

type doc = map[string]any

// cloud is a vendor's API, in the shapes that its documents show, and with a state that changes. It stands for all of the
// vendor's hosts.
type cloud struct {
	t   testing.TB
	mux *http.ServeMux

	mu     sync.Mutex
	hosts  map[string]bool
	issued bool // a token was
	auth   func(*http.Request) bool
	busy   int // so many changes are put off
	log    []string
}

func newCloud(t testing.TB, auth func(*http.Request) bool) *cloud {
	return &cloud{t: t, mux: http.NewServeMux(), hosts: map[string]bool{}, auth: auth}
}

// bearer is the check of a token that was given, or issued.
func bearer(scheme, token string) func(*http.Request) bool {
	return func(r *http.Request) bool { return r.Header.Get("Authorization") == scheme+" "+token }
}

// on answers METHOD HOST/PATH with a status and a document; nil for an empty answer.
func (c *cloud) on(pattern string, do func(r *http.Request, body doc) (int, any)) {
	_, at, _ := strings.Cut(pattern, " ")
	host, _, _ := strings.Cut(at, "/")
	c.hosts[host] = true
	c.mux.HandleFunc(pattern, func(w http.ResponseWriter, r *http.Request) {
		var body doc
		if text, err := io.ReadAll(r.Body); err == nil && len(text) > 0 {
			if err := json.Unmarshal(text, &body); err != nil && !strings.HasSuffix(r.URL.Path, "/token") {
				c.t.Errorf("%s %s: the body is no JSON: %s", r.Method, r.URL, text)
			}
		}
		c.mu.Lock()
		defer c.mu.Unlock()
		status, out := do(r, body)
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(status)
		if out != nil {
			_ = json.NewEncoder(w).Encode(out)
		}
	})
}

// token issues tokens at METHOD HOST/PATH.
func (c *cloud) token(pattern string) {
	c.on(pattern, func(*http.Request, doc) (int, any) {
		c.issued = true
		return 200, doc{"access_token": "issued-t0ken", "token_type": "Bearer", "expires_in": 3600}
	})
}

// RoundTrip implements http.RoundTripper.
func (c *cloud) RoundTrip(r *http.Request) (*http.Response, error) {
	c.mu.Lock()
	signing := strings.HasSuffix(r.URL.Path, "/token")
	switch {
	case !c.hosts[r.URL.Host]:
		c.t.Errorf("%s: a request to another host", r.URL)
	case !signing && !c.auth(r):
		c.t.Errorf("%s %s: credentials: %q", r.Method, r.URL, r.Header.Get("Authorization"))
	}
	put := false
	if r.Method != http.MethodGet && !signing && c.busy > 0 && r.Header.Get("Authorization") != "witness" {
		c.busy--
		put = true
	}
	c.log = append(c.log, r.Method+" "+r.URL.Path)
	c.mu.Unlock()
	rec := httptest.NewRecorder()
	if put {
		rec.Header().Set("Retry-After", "1")
		rec.WriteHeader(http.StatusTooManyRequests)
	} else {
		var body io.Reader = http.NoBody
		if r.Body != nil {
			body = r.Body
		}
		in := httptest.NewRequest(r.Method, r.URL.String(), body).WithContext(r.Context())
		in.Header = r.Header
		c.mux.ServeHTTP(rec, in)
	}
	res := rec.Result()
	res.Request = r
	return res, nil
}

// ask is another client than the changer: it reads addresses, with the credentials given.
func (c *cloud) ask(headers map[string]string, requests ...string) func(testing.TB) string {
	return func(t testing.TB) string {
		t.Helper()
		var out []string
		for _, request := range requests {
			method, rest, _ := strings.Cut(request, " ")
			at, body, _ := strings.Cut(rest, " ")
			req, err := http.NewRequestWithContext(t.Context(), method, at, strings.NewReader(body))
			if err != nil {
				t.Fatal(err)
			}
			for name, value := range headers {
				req.Header.Set(name, value)
			}
			res, err := (&http.Client{Transport: c}).Do(req)
			if err != nil {
				t.Fatal(err)
			}
			text, err := io.ReadAll(res.Body)
			res.Body.Close()
			if err != nil {
				t.Fatal(err)
			}
			out = append(out, fmt.Sprint(res.StatusCode, " ", strings.TrimSpace(string(text))))
		}
		return strings.Join(out, "\n")
	}
}

// changer builds the changer of a shipped recipe over a vendor's API.
func (c *cloud) changer(t testing.TB, section string) *Changer {
	t.Helper()
	k, err := New(config(t, section), Options{UID: "app", Transport: c, Secret: credentials})
	if err != nil {
		t.Fatal(err)
	}
	fake(k)
	ch, err := k.Changer()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { ch.Close() })
	return ch
}

func user(id string) access.Object  { return access.Object{Kind: access.HolderAccount, ID: id} }
func group(id string) access.Object { return access.Object{Kind: access.HolderEntitlement, ID: id} }

// vendors are the recipes that change something: what each is asked to do, and an API to do it in.
var vendors = map[string]func(t *testing.T) (*cloud, *Changer, []collecttest.Changing, access.Object){
	"okta": okta, "entra": entra, "google": google, "github": github, "slack": slack, "atlassian": atlassian, "salesforce": salesforce, "zoom": zoom, "aws": awsCenter,
}

// TestRecipesChange makes and undoes every change of every shipped recipe, while the app puts one request of it off.
func TestRecipesChange(t *testing.T) {
	for _, name := range Names() {
		t.Run(name, func(t *testing.T) {
			vendor, ok := vendors[name]
			if !ok {
				recipe, err := Load(name, "")
				if err != nil {
					t.Fatal(err)
				}
				if recipe.Changes != nil {
					t.Fatal("the recipe changes something, and no test shows it")
				}
				k := build(t, source(t, name), recorded(t, name))
				c, err := k.Changer()
				if err != nil {
					t.Fatal(err)
				}
				if _, err := c.Abilities(); !errors.Is(err, access.ErrCannot) || !strings.Contains(err.Error(), "only reads") {
					t.Errorf("abilities: %v", err)
				}
				return
			}
			cloud, c, changes, nobody := vendor(t)
			cloud.busy = 1
			collecttest.Changes(t, name, c, changes)
			if cloud.busy > 0 {
				t.Error("nothing was put off")
			}
			able, err := c.Abilities()
			if err != nil {
				t.Fatal(err)
			}
			for action, a := range able {
				if !slices.ContainsFunc(changes, func(ch collecttest.Changing) bool { return ch.Action == action }) {
					t.Errorf("%s was not shown", action)
				}
				if a.Right == "" {
					t.Errorf("%s needs no right", action)
				}
			}
			for _, ch := range changes {
				for _, line := range c.Native(ch.Change) {
					if strings.Contains(line, secretText) || strings.Contains(line, "issued-") || !strings.HasPrefix(line, "curl -X ") {
						t.Errorf("native: %s", line)
					}
				}
			}
			if _, err := c.Look(t.Context(), nobody); !errors.Is(err, access.ErrGone) {
				t.Errorf("nobody: %v", err)
			}
			if err := c.Apply(t.Context(), access.Change{Action: changes[0].Action, Object: nobody, Entitlement: "x", SKU: "x"}); !errors.Is(err, access.ErrGone) {
				t.Errorf("a change to nobody: %v", err)
			}
		})
	}
}

func missing() (int, any) { return 404, doc{"error": doc{"message": "not found"}} }

// changing is a tiny recipe that changes something.
const changing = tiny + `
changes:
  look:
  - {name: user, path: "/users/{$id}", rows: objects, gone: [404], like: users}
  disable:
    rights: [users.write]
    do: [{method: PUT, path: "/users/{$id}/status", body: {active: false, note: "{$change.note}"}}]
    undo: [{method: PUT, path: "/users/{$id}/status", body: {active: true}}]
`

// writing is a server of the tiny recipe's, which does something to changes.
func writing(t testing.TB, do func(w http.ResponseWriter, r *http.Request, set func(bool)) bool) (*httptest.Server, *atomic.Bool, *atomic.Int32) {
	t.Helper()
	active, sent := new(atomic.Bool), new(atomic.Int32)
	active.Store(true)
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") != "Bearer "+secretText {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		switch {
		case r.Method == http.MethodGet && r.URL.Path == "/users/1":
			fmt.Fprintf(w, `{"id": "1", "name": "ann", "active": %t}`, active.Load())
		case r.Method == http.MethodGet:
			w.WriteHeader(http.StatusNotFound)
		default:
			sent.Add(1)
			var body struct{ Active bool }
			if err := json.NewDecoder(r.Body).Decode(&body); err != nil {
				t.Error(err)
			}
			if !do(w, r, func(bool) { active.Store(body.Active) }) {
				active.Store(body.Active)
			}
		}
	}))
	s.Config.ErrorLog = log.New(io.Discard, "", 0)
	t.Cleanup(s.Close)
	return s, active, sent
}

func TestChangeFaults(t *testing.T) {
	hangUp := func(w http.ResponseWriter) {
		c, _, err := w.(http.Hijacker).Hijack()
		if err != nil {
			t.Error(err)
			return
		}
		c.Close()
	}
	status := func(code int, body string) func(http.ResponseWriter, *http.Request, func(bool)) bool {
		return func(w http.ResponseWriter, _ *http.Request, _ func(bool)) bool {
			w.WriteHeader(code)
			_, _ = io.WriteString(w, body)
			return true
		}
	}
	var n atomic.Int32
	for _, f := range []struct {
		name string
		do   func(http.ResponseWriter, *http.Request, func(bool)) bool
		want error
		done bool
		sent int32
	}{
		{"no right", status(403, `{"message": "not with `+secretText+`"}`), access.ErrRefused, false, 1},
		{"bad request", status(400, `{}`), access.ErrRefused, false, 1},
		{"an error in spite of its status", status(200, `{"error": "no"}`), access.ErrRefused, false, 1},
		{"a page to sign in", status(200, `<html>`), access.ErrUnsure, false, 1},
		{"trouble", status(502, ``), access.ErrUnsure, false, 1},
		{"success and nothing done", status(204, ""), nil, false, 1},
		{"closed after it was accepted", func(w http.ResponseWriter, _ *http.Request, set func(bool)) bool { set(false); hangUp(w); return true }, access.ErrUnsure, true, 1},
		{"closed before", func(w http.ResponseWriter, _ *http.Request, _ func(bool)) bool { hangUp(w); return true }, access.ErrUnsure, false, 1},
		{"no answer", func(_ http.ResponseWriter, r *http.Request, set func(bool)) bool {
			set(false)
			<-r.Context().Done()
			return true
		}, access.ErrUnsure, true, 1},
		{"another host", func(w http.ResponseWriter, r *http.Request, _ func(bool)) bool {
			http.Redirect(w, r, "https://evil.example/", http.StatusTemporaryRedirect)
			return true
		}, access.ErrUnsure, false, 1},
		{"put off twice", func(w http.ResponseWriter, _ *http.Request, _ func(bool)) bool {
			if n.Add(1) <= 2 {
				w.Header().Set("Retry-After", "7")
				w.WriteHeader(http.StatusTooManyRequests)
				return true
			}
			return false
		}, nil, true, 3},
	} {
		t.Run(f.name, func(t *testing.T) {
			t.Parallel()
			s, active, sent := writing(t, f.do)
			k := of(t, changing, s.URL, "write: {auth: {token: env:WRITE}}")
			clock := fake(k)
			c, err := k.Changer()
			if err != nil {
				t.Fatal(err)
			}
			defer c.Close()
			disable := access.Change{Action: access.ActionDisable, Object: user("1")}
			ctx, cancel := t.Context(), func() {}
			if f.name == "no answer" {
				ctx, cancel = context.WithTimeout(ctx, 2*time.Second)
			}
			defer cancel()
			err = c.Apply(ctx, disable)
			if !errors.Is(err, f.want) || f.want == nil && err != nil {
				t.Errorf("error %v, want %v", err, f.want)
			}
			for _, kind := range []error{access.ErrRefused, access.ErrUnsure, access.ErrGone, access.ErrCannot} {
				if kind != f.want && errors.Is(err, kind) {
					t.Errorf("%v is %v, too", err, kind)
				}
			}
			if err != nil && strings.Contains(err.Error(), secretText) {
				t.Errorf("the token shows: %v", err)
			}
			if sent.Load() != f.sent {
				t.Errorf("sent %d times, want %d", sent.Load(), f.sent)
			}
			live, err := c.Look(t.Context(), disable.Object)
			if err != nil {
				t.Fatal(err)
			}
			if done, known := disable.Shows(live); !known || done != f.done || active.Load() == f.done {
				t.Errorf("shows done %v, known %v; want %v", done, known, f.done)
			}
			if f.name == "put off twice" && clock.slept() < 14*time.Second {
				t.Errorf("slept %s, want as long as the app says", clock.slept())
			}
		})
	}
}

func TestChangeNotSent(t *testing.T) {
	s, _, sent := writing(t, func(http.ResponseWriter, *http.Request, func(bool)) bool { return false })
	c, err := of(t, changing, s.URL, "write: {auth: {token: env:WRITE}}").Changer()
	if err != nil {
		t.Fatal(err)
	}
	cl, err := c.open(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	c.k.base.Host = l.Addr().String()
	l.Close()
	d := &doing{c: c, cl: cl, r: c.reading(cl, &found{}), vars: c.vars(access.Change{Object: user("1")}, nil)}
	err = d.step(t.Context(), c.k.recipe.Changes.Disable[0].Do[0])
	for _, kind := range []error{access.ErrRefused, access.ErrUnsure, access.ErrGone, access.ErrCannot} {
		if err == nil || errors.Is(err, kind) {
			t.Errorf("%v is %v, and it wasn't sent", err, kind)
		}
	}
	if sent.Load() != 0 {
		t.Error("something was sent")
	}
}

// Of several requests one may be refused when others were carried out: then it isn't so that nothing was changed.
func TestChangeHalfDone(t *testing.T) {
	two := strings.Replace(changing, `body: {active: false, note: "{$change.note}"}}]`, `body: {active: false}}, {method: PUT, path: "/users/{$id}/other", body: {active: false}}]`, 1)
	s, _, _ := writing(t, func(w http.ResponseWriter, r *http.Request, _ func(bool)) bool {
		if strings.HasSuffix(r.URL.Path, "/other") {
			w.WriteHeader(http.StatusForbidden)
			return true
		}
		return false
	})
	c, err := of(t, two, s.URL, "write: {auth: {token: env:WRITE}}").Changer()
	if err != nil {
		t.Fatal(err)
	}
	err = c.Apply(t.Context(), access.Change{Action: access.ActionDisable, Object: user("1")})
	if !errors.Is(err, access.ErrUnsure) || errors.Is(err, access.ErrRefused) || !strings.Contains(err.Error(), "1 requests of the change were carried out") {
		t.Errorf("%v", err)
	}
}

func TestChangeCannot(t *testing.T) {
	s, _, sent := writing(t, func(http.ResponseWriter, *http.Request, func(bool)) bool { return false })
	reads, err := of(t, tiny, s.URL, "").Changer()
	if err != nil {
		t.Fatal(err)
	}
	without, err := of(t, changing, s.URL, "").Changer()
	if err != nil {
		t.Fatal(err)
	}
	for want, c := range map[string]*Changer{"only reads": reads, "write.auth": without} {
		if _, err := c.Abilities(); !errors.Is(err, access.ErrCannot) || !strings.Contains(err.Error(), want) {
			t.Errorf("abilities: %v, want %s", err, want)
		}
		if err := c.Apply(t.Context(), access.Change{Action: access.ActionDisable, Object: user("1")}); !errors.Is(err, access.ErrCannot) {
			t.Errorf("apply: %v", err)
		}
	}
	c, err := of(t, changing, s.URL, "write: {auth: {token: env:WRITE}}").Changer()
	if err != nil {
		t.Fatal(err)
	}
	for _, ch := range []access.Change{{Action: access.ActionRevoke, Object: user("1")}, {Action: access.ActionDisable, Object: user("1"), Undo: true}, {Action: access.ActionDisable, Object: user("1"), Undo: true, Before: &access.Live{}}, {Action: access.ActionDisable, Object: group("1")}, {Action: access.ActionDelete, Object: user("1")}} {
		if err := c.Apply(t.Context(), ch); !errors.Is(err, access.ErrCannot) {
			t.Errorf("%s of %s: %v", ch.Action, ch.Object.Kind, err)
		}
	}
	if err := c.Apply(t.Context(), access.Change{Action: access.ActionDisable, Object: user("../1")}); !errors.Is(err, access.ErrGone) {
		t.Errorf("an id that leads elsewhere: %v", err)
	}
	if sent.Load() != 0 {
		t.Error("something was sent")
	}
	got := c.Native(access.Change{Action: access.ActionDisable, Object: user("a'/../b"), Note: "it's \"x\" $(y)"})
	want := `curl -X PUT -H "Authorization: Bearer $TOKEN" -H 'Content-Type: application/json' --data-raw '{"active":false,"note":"it'\''s \"x\" $(y)"}' '` + s.URL + `/users/a%27%2F..%2Fb/status'`
	if !slices.Equal(got, []string{want}) {
		t.Errorf("native\n%s\nwant\n%s", got, want)
	}
	bad := filepath.Join(t.TempDir(), "x.yaml")
	if err := os.WriteFile(bad, []byte(tiny), 0o600); err != nil {
		t.Fatal(err)
	}
	for section, want := range map[string]string{
		"recipe: " + bad + "\nurl: https://a.example\nauth: {token: env:T}\nwrite: {auth: {token: env:T}}":                 "says nothing of how to change it",
		"recipe: zoom\nparams: {account_id: a}\nauth: {client_id: a, client_secret: env:T}\nwrite: {auth: {client_id: b}}": "write.auth.client_secret: is missing",
	} {
		if _, err := New(config(t, section), Options{}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s\n%v, want %s", section, err, want)
		}
	}
}

func TestChangeRecipeFaults(t *testing.T) {
	for name, c := range map[string]struct{ from, to, want string }{
		"no request":   {"- name: users\n", "-\n- name: users\n", `requests[0]: is empty`},
		"no look step": {"  - {name: user,", "  -\n  - {name: user,", `changes.look[0]: is empty`},
		"no step":      {"do: [{", "do: [null, {", `do[0]: is empty`},
		"no child":     {"like: users}", "like: users, each: [null]}", `each[0]: is empty`},
		"no action":    {"disable:\n", "revoke: [null]\n  disable:\n", `changes.revoke.do: is missing`},
		"method":       {"method: PUT, path", "method: TRACE, path", `changes.disable.do[0].method: "TRACE" is none of GET, POST`},
		"unknown key":  {"rights: [users.write]", "right: users.write", `unknown key "right": did you mean "rights"?`},
		"like":         {"like: users", "like: user", `there is no request "user" that makes records: did you mean "users"?`},
		"jq":           {"{$change.note}", "{$change.}", `jq: unexpected`},
		"variable":     {"{$change.note}", "{$chang}", `variable not defined: $chang`},
		"no do":        {"do: [{", "undo: [{", `stands already`},
		"nothing":      {"disable:", "delete:", ``},
		"no look":      {"look:\n  - {name: user, path: \"/users/{$id}\", rows: objects, gone: [404], like: users}", "look: []", `changes.look: is missing: nothing counts as done until it was read back`},
		"unseen":       {"disable:", "revoke:", `changes.revoke: look reads no grants, which show if it was done: read them, or say unseen: true`},
		"of":           {"like: users", "like: users, of: person", `"person" is neither account nor entitlement`},
		"outside":      {"rows: .users", "rows: .users\n  like: users", `of, like, keep and gone_when go within changes.look only`},
		"lookup":       {"like: users", "lookup: {key: .id}", `a lookup here stands for one of requests`},
		"until":        {"method: PUT, path", "until: .done, method: PUT, path", `goes with a request that reads`},
		"path":         {"/users/{$id}/status\"", "/users?id={$id}\"", `parameters go under query`},
	} {
		t.Run(name, func(t *testing.T) {
			text := strings.Replace(changing, c.from, c.to, 1)
			if text == changing {
				t.Fatalf("%q is not in the recipe", c.from)
			}
			_, err := Parse("x.yaml", []byte(text))
			if c.want == "" {
				if err != nil {
					t.Error(err)
				}
				return
			}
			if err == nil || !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), "x.yaml:") {
				t.Errorf("error %v\nwant %s", err, c.want)
			}
		})
	}
}

func TestChangesAtOnce(t *testing.T) {
	s, _, _ := writing(t, func(http.ResponseWriter, *http.Request, func(bool)) bool { return false })
	c, err := of(t, changing, s.URL, "write: {auth: {token: env:WRITE}}").Changer()
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	disable := access.Change{Action: access.ActionDisable, Object: user("1")}
	var wait sync.WaitGroup
	for range 8 {
		wait.Go(func() {
			if err := c.Apply(t.Context(), disable); err != nil {
				t.Error(err)
			}
			if live, err := c.Look(t.Context(), disable.Object); err != nil || *live.Account.Enabled {
				t.Errorf("%+v, %v", live.Account, err)
			}
			c.Native(disable)
		})
	}
	wait.Wait()
}

func TestChangeDoctor(t *testing.T) {
	s, _, sent := writing(t, func(http.ResponseWriter, *http.Request, func(bool)) bool { return false })
	k := of(t, changing, s.URL, "write: {auth: {token: env:WRITE}}")
	for token, want := range map[string]string{secretText: "disable false needs users.write", "another": "changes true the credentials under write.auth are refused"} {
		k.opt.Secret = func(context.Context, collect.Secret) (string, error) { return token, nil }
		c, err := k.Changer()
		if err != nil {
			t.Fatal(err)
		}
		advice, err := c.Diagnose(t.Context())
		if err != nil || len(advice) == 0 || !strings.HasPrefix(fmt.Sprint(advice[0].What, " ", advice[0].Missing, " ", advice[0].Detail), want) {
			t.Errorf("%+v, %v; want %s", advice, err, want)
		}
	}
	if sent.Load() != 0 {
		t.Error("something was changed")
	}
}

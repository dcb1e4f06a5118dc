package rest

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/lapse-audit/lapse/internal/access"
	"github.com/lapse-audit/lapse/internal/collect"
)

// vendor is a server that answers as recorded, issues tokens, and makes trouble.
type vendor struct {
	t      testing.TB
	replay *Replay
	trouble

	mu     sync.Mutex
	tokens int      // issued
	asks   []string // requests, each once, but for those for tokens
}

// trouble names requests; "" is none.
type trouble struct {
	lost    string // which is answered by 500, for ever
	limited string // which is answered by 429, once
	expired string // before which the token expires
}

func (v *vendor) RoundTrip(r *http.Request) (*http.Response, error) {
	w := httptest.NewRecorder()
	v.serve(w, r)
	return w.Result(), r.Context().Err()
}

func (v *vendor) serve(w http.ResponseWriter, r *http.Request) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if r.Header.Get("Cookie") != "" {
		v.t.Errorf("%s %s carries a cookie", r.Method, r.URL)
	}
	if r.Header.Get("Content-Type") == "application/x-www-form-urlencoded" {
		v.tokens++
		w.Header().Set("Content-Type", "application/json")
		fmt.Fprintf(w, `{"access_token": "issued-%d", "token_type": "Bearer", "expires_in": 3600}`, v.tokens)
		return
	}
	what := r.Method + " " + r.URL.RequestURI()
	if r.Body != nil {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			v.t.Error(err)
		}
		r.Body = io.NopCloser(bytes.NewReader(body))
		if len(body) > 0 {
			what += "?" + r.Header.Get("X-Amz-Target") + string(body)
		}
	}
	if !slices.Contains(v.asks, what) {
		v.asks = append(v.asks, what)
	}
	if v.expired == what && v.tokens == 1 && r.Header.Get("Authorization") == "Bearer issued-1" {
		w.WriteHeader(http.StatusUnauthorized)
		return
	}
	switch {
	case v.lost == what:
		w.WriteHeader(http.StatusInternalServerError)
		return
	case v.limited == what:
		v.limited = ""
		w.Header().Set("Retry-After", "3")
		w.WriteHeader(http.StatusTooManyRequests)
		return
	}
	if r.Header.Get("Authorization") == "" && !strings.Contains(r.URL.RawQuery, secretText) {
		v.t.Errorf("%s is not signed", what)
	}
	res, err := v.replay.RoundTrip(r)
	switch {
	case r.Context().Err() != nil: // it was asked ahead, and is not wanted any more
		return
	case err != nil:
		v.t.Error(err)
		w.WriteHeader(http.StatusTeapot)
		return
	}
	for name, values := range res.Header {
		w.Header()[name] = values
	}
	w.WriteHeader(res.StatusCode)
	if _, err := io.Copy(w, res.Body); err != nil && r.Context().Err() == nil {
		v.t.Error(err)
	}
}

var privateKey = sync.OnceValue(func() string {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		panic(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "RSA PRIVATE KEY", Bytes: x509.MarshalPKCS1PrivateKey(key)}))
})

// credentials resolves the references in testdata/*/source.yaml.
func credentials(_ context.Context, s collect.Secret) (string, error) {
	switch s.Reference() {
	case "env:KEY":
		return privateKey(), nil
	case "env:GOOGLE_KEY":
		text, err := json.Marshal(map[string]string{"type": "service_account", "client_email": "reader@acme.example", "private_key": privateKey(), "private_key_id": "k1", "token_uri": "https://evil.example/token"})
		return string(text), err
	}
	return secretText, nil
}

// disturbed is a shipped recipe, to be read again and again.
func disturbed(t *testing.T, name string) *Collector {
	t.Helper()
	c := source(t, name)
	k, err := New(c, Options{Roster: c.Roster != nil, UID: name, Secret: credentials, Transport: &vendor{}})
	if err != nil {
		t.Fatal(err)
	}
	return k
}

// read reads a recipe from a server that makes trouble.
func read(t *testing.T, k *Collector, name string, tr trouble) (*keeper, *vendor, error) {
	t.Helper()
	v := &vendor{t: t, replay: recorded(t, name), trouble: tr}
	k.opt.Transport = v
	fake(k)
	var out keeper
	_, err := collect.Run(t.Context(), k, &out, collect.Options{Limits: collect.DefaultLimits(), Now: k.time.now()})
	return &out, v, err
}

// TestRecipesDisturbed reads each shipped recipe over and over: with each of its answers lost in turn it fails and names
// the request; with a 429 or an expired token at each of them it gives what it gives undisturbed.
func TestRecipesDisturbed(t *testing.T) {
	for _, name := range Names() {
		t.Run(name, func(t *testing.T) {
			k := disturbed(t, name)
			whole, v, err := read(t, k, name, trouble{})
			if err != nil {
				t.Fatal(err)
			}
			want := dump(whole.records)
			if golden, err := os.ReadFile(filepath.Join("testdata", name, "want.txt")); err != nil || !strings.HasPrefix(string(golden), want) {
				t.Errorf("signed, it reads something else than unsigned: %v", err)
			}
			for _, ask := range v.asks {
				path, _, _ := strings.Cut(ask, "?")
				_, _, err := read(t, k, name, trouble{lost: ask})
				if err == nil || !strings.Contains(err.Error(), path) || !strings.Contains(err.Error(), "500") {
					t.Errorf("%s lost: error %v", ask, err)
				}
				for what, tr := range map[string]trouble{"limited": {limited: ask}, "token expired": {expired: ask}} {
					out, _, err := read(t, k, name, tr)
					if err != nil {
						t.Errorf("%s, %s: %v", ask, what, err)
						continue
					}
					if d := cmp.Diff(want, dump(out.records)); d != "" {
						t.Errorf("%s, %s: -want +got\n%s", ask, what, d)
					}
				}
			}
		})
	}
}

const oauthRecipe = `
language: 1
name: Tiny
auth:
- {type: oauth2_client, token_url: "https://login.example/token", scopes: [read]}
- {type: jwt_bearer, token_url: "https://login.example/token"}
requests:
- {name: users, path: /users, accounts: {id: .id}}
`

// An assertion goes to the token_url and nowhere else, and what the server says against it is told without secrets.
func TestTokens(t *testing.T) {
	file := filepath.Join(t.TempDir(), "tiny.yaml")
	if err := os.WriteFile(file, []byte(oauthRecipe), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		auth  string
		token func(w http.ResponseWriter, r *http.Request)
		want  string
	}{
		"client": {"{client_id: c, client_secret: env:TOKEN}", func(w http.ResponseWriter, r *http.Request) {
			if id, pass, ok := r.BasicAuth(); !ok || id != "c" || pass != secretText || r.FormValue("scope") != "read" {
				t.Errorf("asked with %v %v", r.Header, r.Form)
			}
			io.WriteString(w, `{"access_token": "issued", "token_type": "Bearer"}`)
		}, ""},
		"assertion": {"{type: jwt_bearer, client_id: c, subject: s@x.example, key: env:KEY}", func(w http.ResponseWriter, r *http.Request) {
			if r.FormValue("grant_type") != "urn:ietf:params:oauth:grant-type:jwt-bearer" || strings.Count(r.FormValue("assertion"), ".") != 2 {
				t.Errorf("asked with %v", r.Form)
			}
			io.WriteString(w, `{"access_token": "issued", "token_type": "Bearer"}`)
		}, ""},
		"refused": {"{client_id: c, client_secret: env:TOKEN}", func(w http.ResponseWriter, r *http.Request) {
			w.WriteHeader(http.StatusUnauthorized)
			io.WriteString(w, `{"error": "invalid_client", "error_description": "secret `+secretText+` is wrong"}`)
		}, "get a token from login.example: 401 Unauthorized invalid_client"},
		"redirected": {"{client_id: c, client_secret: env:TOKEN}", func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Location", "https://evil.example/")
			w.WriteHeader(http.StatusTemporaryRedirect)
		}, "get a token from login.example: 307"},
		"empty": {"{client_id: c, client_secret: env:TOKEN}", func(w http.ResponseWriter, r *http.Request) {
			io.WriteString(w, `{"access_token": ""}`)
		}, "get a token from login.example"},
	} {
		t.Run(name, func(t *testing.T) {
			conf := config(t, "recipe: "+file+"\nurl: https://app.example\nauth: "+c.auth)
			k, err := New(conf, Options{Secret: credentials, Transport: handler(func(w http.ResponseWriter, r *http.Request) {
				w.Header().Set("Content-Type", "application/json")
				switch r.URL.Host {
				case "login.example":
					c.token(w, r)
				case "app.example":
					if r.Header.Get("Authorization") != "Bearer issued" {
						t.Errorf("signed with %q", r.Header.Get("Authorization"))
					}
					io.WriteString(w, `[{"id": "1"}]`)
				default:
					t.Errorf("asked %s", r.URL.Host)
				}
			})})
			if err != nil {
				t.Fatal(err)
			}
			fake(k)
			var out keeper
			_, err = k.Collect(t.Context(), &out)
			if c.want == "" && (err != nil || len(out.records) != 1) {
				t.Errorf("%v, %d records", err, len(out.records))
			}
			if c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), secretText)) {
				t.Errorf("error %v, want %q", err, c.want)
			}
		})
	}
}

// A request to AWS is signed for the service and the region of its host, with the hash of its body, and to no other host.
func TestSignedForAWS(t *testing.T) {
	c := source(t, "aws")
	tape := recorded(t, "aws")
	k, err := New(c, Options{Secret: credentials, Transport: handler(func(w http.ResponseWriter, r *http.Request) {
		service, _, _ := strings.Cut(r.URL.Host, ".")
		auth := r.Header.Get("Authorization")
		if !strings.HasPrefix(auth, "AWS4-HMAC-SHA256 Credential=AKIAEXAMPLE/") || !strings.Contains(auth, "/eu-central-1/"+service+"/aws4_request") ||
			!strings.Contains(auth, "x-amz-target") || !strings.Contains(auth, "host") || r.Header.Get("X-Amz-Date") == "" || strings.Contains(auth, secretText) {
			t.Errorf("%s is signed with %q", r.URL.Host, auth)
		}
		res, err := tape.RoundTrip(r)
		if err != nil {
			t.Error(err)
			return
		}
		_, _ = io.Copy(w, res.Body)
	})})
	if err != nil {
		t.Fatal(err)
	}
	fake(k)
	if _, err := k.Collect(t.Context(), &keeper{}); err != nil {
		t.Error(err)
	}
	c.URL = "https://identitystore.example"
	if k, err = New(c, Options{Secret: credentials, Transport: handler(func(http.ResponseWriter, *http.Request) { t.Error("another host was asked") })}); err != nil {
		t.Fatal(err)
	}
	if _, err := k.Collect(t.Context(), &keeper{}); err == nil || !strings.Contains(err.Error(), "is no host of AWS") {
		t.Errorf("error %v", err)
	}
}

// handler is a transport that ends in a handler.
type handler http.HandlerFunc

func (h handler) RoundTrip(r *http.Request) (*http.Response, error) {
	w := httptest.NewRecorder()
	h(w, r)
	res := w.Result()
	res.Request = r
	return res, r.Context().Err()
}

// A feed whose fields silently turn null gives records without them; the guard then sees the coverage fall.
func TestFieldsTurnNull(t *testing.T) {
	var whole, hollow []string
	for i := range 10 {
		whole = append(whole, fmt.Sprintf(`{"id": "%d", "name": "n", "active": true, "last": "2026-01-01T00:00:00Z"}`, i))
		hollow = append(hollow, fmt.Sprintf(`{"id": "%d", "name": null, "active": null, "last": null}`, i))
	}
	measure := func(users []string) collect.Result {
		s := app(t, pagesOf(`{"users": [`+strings.Join(users, ",")+`]}`))
		var out keeper
		res, err := collect.Run(t.Context(), of(t, tiny, s.URL, ""), &out, collect.Options{Limits: collect.DefaultLimits()})
		if err != nil {
			t.Fatal(err)
		}
		return res
	}
	before, after := measure(whole), measure(hollow)
	if got := after.Provenance.Coverage["enabled"]; got != access.CoverageNone {
		t.Errorf("coverage of enabled is %s", got)
	}
	v := collect.Judge(collect.DefaultLimits(), []collect.Past{{Measure: before.Measure}}, collect.Current{Measure: after.Measure, Reads: after.Provenance.Reads})
	if v.Accepted || !strings.Contains(v.String(), "no record has enabled any more") {
		t.Errorf("verdict %+v", v)
	}
}

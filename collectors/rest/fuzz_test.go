package rest

import (
	"bytes"
	"errors"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/lapse-audit/lapse/internal/strict"
)

// FuzzParse reads anything as a recipe: it must end with an error that names the file, or with a recipe whose every
// expression can be run.
func FuzzParse(f *testing.F) {
	f.Add([]byte(tiny))
	f.Add([]byte(thirteenth))
	f.Add([]byte(changing))
	for _, seed := range []string{"", "{", "a: &a [*a]", "language: 1\nname: x\nauth: [{type: bearer}]\nrequests: [&a {name: a, path: /a, method: POST, body: &b [*b], each: [*a]}]", "requests: [{name: a, path: '/{', accounts: {id: .}}]", "language: 1\nname: x\nauth: [{type: bearer}]\nrequests: [{name: a, path: /a, body: {a: ['{.x}']}, method: POST, each: [{name: b, path: /b}]}]"} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		p, err := Parse("x.yaml", data)
		if err != nil {
			var at *strict.Error
			if !strings.Contains(err.Error(), "x.yaml") {
				t.Errorf("the error doesn't name the file: %v", err)
			}
			if errors.As(err, &at) && (at.Line < 1 || at.Column < 1) {
				t.Errorf("a fault at %d:%d", at.Line, at.Column)
			}
			return
		}
		// The number of variables that an expression was compiled with is not more than there are when it runs.
		vars := make([]any, fixedVars+len(p.Requests))
		walkRequests(p.Requests, func(q *Request) {
			for _, m := range q.plan.mappings {
				for i := range m.fields {
					if n := m.fields[i].Expr.vars; n < fixedVars || n > len(vars) {
						t.Errorf("%s was compiled with %d variables", m.fields[i].Name, n)
					}
				}
			}
		})
	})
}

// FuzzNextLink reads anything as a Link header. What it finds stands in the header between angle brackets, and what is
// written as RFC 8288 says is found again.
func FuzzNextLink(f *testing.F) {
	for _, seed := range []string{
		`<https://x.example/a?after=1>; rel="next"`, `<a>; rel="self", <b>; rel=next`, `<a>;title="x, <y>; rel=\"next\"";rel="prev next"`, `<a`, `<>; rel="next"`, `<a>; rel=next; rel=prev`, `;`, `<a>;;,,<b>;rel="next`,
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, header string) {
		got := nextLink(http.Header{"Link": {header}})
		if got != "" && !strings.Contains(header, got) {
			t.Errorf("%q is not in %q", got, header)
		}
		target := strings.Map(func(r rune) rune {
			if r == '<' || r == '>' {
				return -1
			}
			return r
		}, strings.TrimSpace(header))
		if target = strings.TrimSpace(target); target == "" {
			return
		}
		for _, text := range []string{
			"<" + target + `>; rel="next"`, `<https://x.example/>; rel="self"; title="a, b; <c>", <` + target + ">;REL=next", "<" + target + `> ; title="\"" ; rel="last next"`,
		} {
			if got := nextLink(http.Header{"Link": {"<first>; rel=first", text}}); got != target {
				t.Errorf("of %q it found %q", text, got)
			}
		}
	})
}

// FuzzAnswer reads anything as an answer: it must end, with an error or with rows that are valid text, and give the same
// rows whether the answer comes at once or byte by byte.
func FuzzAnswer(f *testing.F) {
	for _, seed := range []string{
		`{"a": {"users": [{"id": "1"}, {"id": 2}, null, 7, "x"]}, "next": null}`, `{"a": {"users": null}}`, `{"a": null}`, `[]`, `{"a": {"users": [`, `{"a": {"users": {}}}`, "\xff", `{"a":{"users":["` + "\xff" + `"]}}`,
		`{"a":{"users":[1e999, -0, 123456789012345678901234567890]}}`, `{"a":{"users":[]},"a":{"users":[1]}}`, strings.Repeat("[", 20000), `{"a":{"users":["\ud800"]}}`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		var rows [2][]row
		var errs [2]error
		for i := range rows {
			p := parser{path: []string{"a", "users"}, maxRecord: 1000}
			var in interface{ Read([]byte) (int, error) } = bytes.NewReader(data)
			if i == 1 {
				in = slowly{bytes.NewReader(data)}
			}
			_, errs[i] = p.parse(t.Context(), in, nil, func(r row) error {
				rows[i] = append(rows[i], r)
				return nil
			})
		}
		if (errs[0] == nil) != (errs[1] == nil) || len(rows[0]) != len(rows[1]) {
			t.Errorf("at once %d rows and %v, byte by byte %d and %v", len(rows[0]), errs[0], len(rows[1]), errs[1])
		}
		for _, r := range rows[0] {
			r.decode()
			if s, ok := r.value.(string); ok && !utf8.ValidString(s) {
				t.Errorf("%q is no text", s)
			}
			if (r.value == nil) == (r.reason == "") {
				t.Errorf("a row with value %v and reason %q", r.value, r.reason)
			}
		}
	})
}

type slowly struct{ r *bytes.Reader }

func (s slowly) Read(p []byte) (int, error) { return s.r.Read(p[:min(1, len(p))]) }

// FuzzReset reads anything as when a quota is filled up; what is read is no time that can't be waited for.
func FuzzReset(f *testing.F) {
	for _, seed := range []string{"17", "1.5", "1790000000", "1790000000123", "Fri, 31 Dec 1999 23:59:59 GMT", "2026-11-25T15:00:00Z", "-1", "1e300", "NaN", "soon"} {
		f.Add(seed)
	}
	now := time.Date(2026, 11, 25, 12, 0, 0, 0, time.UTC)
	f.Fuzz(func(t *testing.T, s string) {
		if at, ok := parseReset(s, now); ok && (at.Year() < 0 || at.Year() > 400000) {
			t.Errorf("%q is %s", s, at)
		}
		if d := retryAfter(http.Header{"Retry-After": {s}}, now); d < 0 {
			t.Errorf("%q is %s", s, d)
		}
	})
}

// FuzzFollow takes anything as the address of a next page: what is followed is on the same host, at the request's path.
func FuzzFollow(f *testing.F) {
	for _, seed := range []string{"/users?page=2", "https://app.example/users/2", "//evil.example/users", "https://app.example@evil.example/users", "/users/../admin", "/users/%2e%2e/admin", "users", "?a", "http://app.example/users", `\\evil.example/users`, "/users/..%2fadmin"} {
		f.Add(seed)
	}
	from, err := url.Parse("https://app.example/users")
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, next string) {
		p := newPages(&Paging{Type: "next"}, from)
		to, _, err := p.follow(from, next, nil, nil)
		if err != nil || to == nil {
			return
		}
		if to.Scheme != "https" || !strings.EqualFold(to.Host, "app.example") || to.User != nil || to.Path != "/users" && !strings.HasPrefix(to.Path, "/users/") {
			t.Errorf("%q leads to %s", next, to)
		}
		for _, segment := range strings.Split(to.Path, "/") {
			if segment == ".." {
				t.Errorf("%q leads up, to %s", next, to.Path)
			}
		}
	})
}

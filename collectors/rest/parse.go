package rest

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/lapse-audit/lapse/internal/access"
	"github.com/lapse-audit/lapse/internal/collect"
	"github.com/lapse-audit/lapse/internal/spell"
	"github.com/lapse-audit/lapse/internal/strict"
)

// Parsed is a recipe whose expressions are compiled. Several collectors may use one.
type Parsed struct {
	Recipe
	file string
	sum  string // hexadecimal SHA-256 of the text
}

// plan is what a request is compiled to.
type plan struct {
	where    string // how messages name it
	mappings []*mapping
	rows     []string // the path to the list, where it is one
	byExpr   bool     // rows are yielded by an expression
}

// Language is the version of the recipe language that is understood.
const Language = 1

// Parse reads a recipe. All faults are reported at once, each with file, line and column.
func Parse(file string, data []byte) (*Parsed, error) {
	var doc yaml.Node
	dec := yaml.NewDecoder(bytes.NewReader(data))
	switch err := dec.Decode(&doc); {
	case errors.Is(err, io.EOF) || err == nil && len(doc.Content) == 0:
		return nil, fmt.Errorf("%s: the recipe is empty", file)
	case err != nil:
		return nil, fmt.Errorf("%s: %s", file, strings.TrimPrefix(err.Error(), "yaml: "))
	}
	if err := dec.Decode(new(yaml.Node)); !errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("%s: more than one YAML document: keep one", file)
	}
	sum := sha256.Sum256(data)
	p := &Parsed{file: file, sum: hex.EncodeToString(sum[:])}
	if err := strict.Decode(file, doc.Content[0], "", &p.Recipe); err != nil {
		return nil, err
	}
	c := &compiler{file: file, root: doc.Content[0]}
	c.recipe(&p.Recipe)
	if err := errors.Join(c.errs...); err != nil {
		return nil, err
	}
	return p, nil
}

// compiler checks a recipe and compiles its expressions. vars are the variables known so far.
type compiler struct {
	file  string
	root  *yaml.Node
	vars  []string
	names map[string]bool
	errs  []error

	looking bool                // within changes.look
	look    map[string]*Request // those that it may name
}

// The variables that every expression sees; lookups come after them.
const (
	varParams = iota
	varItem
	varParent
	varRow
	fixedVars
)

// fail reports a fault at a place, or at the top.
func (c *compiler) fail(at place, path, format string, args ...any) {
	c.errs = append(c.errs, &strict.Error{File: c.file, Line: max(at.line, 1), Column: max(at.column, 1), Path: path, Reason: fmt.Sprintf(format, args...)})
}

func (c *compiler) compile(path string, what interface{ compile([]string) error }) {
	c.report(path, what.compile(c.vars))
}

func (c *compiler) report(path string, err error) {
	if many, ok := err.(interface{ Unwrap() []error }); ok {
		for _, e := range many.Unwrap() {
			c.report(path, e)
		}
		return
	}
	var at *strict.Error
	if errors.As(err, &at) {
		c.fail(place{at.Line, at.Column}, path, "%s", at.Reason)
	}
}

func (c *compiler) templates(path string, m map[string]Template) {
	for _, name := range slices.Sorted(maps.Keys(m)) {
		t := m[name]
		c.compile(path+"."+name, &t)
		m[name] = t
	}
}

// line finds the place of a top-level key.
func (c *compiler) line(key string) place {
	for i := 0; i+1 < len(c.root.Content); i += 2 {
		if k := c.root.Content[i]; k.Value == key {
			return place{k.Line, k.Column}
		}
	}
	return place{c.root.Line, c.root.Column}
}

func (c *compiler) recipe(r *Recipe) {
	c.vars = []string{"$params", "$item", "$parent", "$row"}
	c.names = map[string]bool{"params": true, "item": true, "parent": true, "row": true}
	if r.Language != Language {
		c.fail(c.line("language"), "language", "is %d: this version reads recipes of language %d", r.Language, Language)
	}
	if r.Name == "" {
		c.fail(c.line("name"), "name", "is missing: the app's name")
	}
	c.compile("url", &r.URL)
	if len(r.Auth) == 0 {
		c.fail(c.line("auth"), "auth", "is missing: name at least one of %s", strings.Join(authTypes, ", "))
	}
	for i := range r.Auth {
		c.auth(&r.Auth[i], fmt.Sprintf("auth[%d]", i))
	}
	c.compile("limits.when", &r.Limits.When)
	if r.Limits.PerMinute < 0 {
		c.fail(c.line("limits"), "limits.per_minute", "%d is less than 0", r.Limits.PerMinute)
	}
	c.templates("headers", r.Headers)
	c.compile("error", &r.Error)
	for _, host := range r.Redirects {
		if !hostForm.MatchString(strings.TrimPrefix(host, "*.")) || strings.Count(strings.TrimPrefix(host, "*."), ".") == 0 {
			c.fail(c.line("redirects"), "redirects", "%q is no host: write api.example.com or *.example.com", host)
		}
	}
	if len(r.Requests) == 0 {
		c.fail(c.line("requests"), "requests", "is missing: what is asked for")
	}
	for i, q := range r.Requests {
		c.request(q, fmt.Sprintf("requests[%d]", i), false)
	}
	c.changes(r)
	for _, signal := range slices.Sorted(maps.Keys(r.Coverage)) {
		if !slices.Contains(signals, signal) {
			c.fail(c.line("coverage"), "coverage", "there is no signal %q%s", signal, near(signal, signals))
		}
		switch level := r.Coverage[signal].Level; level {
		case "", access.CoverageFull, access.CoveragePartial, access.CoverageNone:
		default:
			c.fail(c.line("coverage"), "coverage."+signal, "%q is neither full, partial nor none", level)
		}
	}
}

// signals are those of which collect measures the coverage.
var signals = []string{
	"status", "end_date", "start_date", "department", "manager",
	"enabled", "kind", "email", "employee_id", "last_login", "created", "password", "mfa", "privileged", "owner",
	"grants", "seats", "last_used",
}

var authTypes = []string{"bearer", "ssws", "basic", "api_key", "oauth2_client", "jwt_bearer", "google", "aws"}

func (c *compiler) auth(a *Auth, path string) {
	at := c.line("auth")
	if !slices.Contains(authTypes, a.Type) {
		c.fail(at, path+".type", "%q is none of %s", a.Type, strings.Join(authTypes, ", "))
		return
	}
	only := func(field string, set bool, types ...string) {
		if set && !slices.Contains(types, a.Type) {
			c.fail(at, path+"."+field, "goes with %s only", strings.Join(types, ", "))
		}
	}
	only("header", a.Header != "", "api_key")
	only("query", a.Query != "", "api_key")
	only("prefix", a.Prefix != "", "api_key")
	only("password", a.Password != "", "basic")
	only("token_url", a.TokenURL.IsSet(), "oauth2_client", "jwt_bearer", "google")
	only("scopes", len(a.Scopes) > 0, "oauth2_client", "jwt_bearer", "google")
	only("write_scopes", len(a.WriteScopes) > 0, "oauth2_client", "jwt_bearer", "google")
	only("parameters", len(a.Parameters) > 0, "oauth2_client")
	only("style", a.Style != "", "oauth2_client")
	only("audience", a.Audience.IsSet(), "jwt_bearer")
	switch {
	case a.Type == "api_key" && (a.Header == "") == (a.Query == ""):
		c.fail(at, path, "api_key needs a header or a query")
	case strings.EqualFold(a.Header, "cookie"):
		c.fail(at, path+".header", "a cookie is somebody's session: use a key or a token")
	case slices.Contains([]string{"oauth2_client", "jwt_bearer", "google"}, a.Type) && !a.TokenURL.IsSet():
		c.fail(at, path+".token_url", "is missing")
	case !slices.Contains([]string{"", "header", "body"}, a.Style):
		c.fail(at, path+".style", "%q is neither header nor body", a.Style)
	}
	c.compile(path+".token_url", &a.TokenURL)
	c.compile(path+".audience", &a.Audience)
	c.templates(path+".parameters", a.Parameters)
}

var nameForm = regexp.MustCompile(`^[a-z][a-z0-9_]*$`)

func (c *compiler) request(q *Request, path string, each bool) {
	at := q.Path.at
	if q.Name != "" {
		path += "(" + q.Name + ")"
	}
	switch {
	case !nameForm.MatchString(q.Name):
		c.fail(at, path+".name", "%q: want lower-case letters, digits and '_'", q.Name)
	case c.names[q.Name]:
		c.fail(at, path+".name", "%q is taken", q.Name)
	}
	c.names[q.Name] = true
	if q.Method == "" {
		q.Method = http.MethodGet
	}
	if q.Method != http.MethodGet && q.Method != http.MethodPost {
		c.fail(at, path+".method", "%q: a recipe reads by GET, or by POST where the app reads by it", q.Method)
	}
	if !strings.HasPrefix(q.Path.text, "/") || strings.ContainsAny(q.Path.text, "?#") {
		c.fail(at, path+".path", "%q: want a path that begins with /; parameters go under query", q.Path.text)
	}
	if q.Body.set && q.Method != http.MethodPost {
		c.fail(at, path+".body", "goes with method: POST only")
	}
	if len(q.Refusals) > 0 && !q.Optional {
		c.fail(at, path+".refusals", "goes with optional: true only")
	}
	if !each {
		if q.When.IsSet() {
			c.fail(q.When.at, path+".when", "goes within each only: it is asked of the row")
		}
		if len(q.Gone) > 0 {
			c.fail(at, path+".gone", "goes within each only: a whole list can't be gone")
		}
	}
	for name, what := range map[string]interface{ compile([]string) error }{
		"url": &q.URL, "path": &q.Path, "body": &q.Body, "over": &q.Over, "when": &q.When, "rows": &q.Rows, "error": &q.Error,
		"paging.next": &q.Paging.Next, "paging.total": &q.Paging.Total, "paging.more": &q.Paging.More,
	} {
		c.compile(path+"."+name, what)
	}
	c.templates(path+".query", q.Query)
	c.templates(path+".headers", q.Headers)
	c.paging(q, path)
	q.plan = plan{where: q.place(q.Path.text)}
	q.rows()
	if q.Stream && (q.plan.byExpr || q.Paging.Type != "" && q.Paging.Type != "none" || q.Error.IsSet()) {
		c.fail(at, path+".stream", "needs rows: that is a path, no paging, and no error:")
	}
	for _, k := range q.kinds() {
		for i, m := range k.mappings {
			where := fmt.Sprintf("%s.%s", path, k.kind)
			if len(k.mappings) > 1 {
				where = fmt.Sprintf("%s[%d]", where, i)
			}
			if bound := c.mapping(k.kind, m, where); bound != nil {
				q.plan.mappings = append(q.plan.mappings, bound)
			}
		}
	}
	c.looks(q, path)
	if q.Lookup != nil {
		if each && !c.looking || len(q.plan.mappings) > 0 || len(q.Each) > 0 {
			c.fail(at, path+".lookup", "a request that keeps its rows for later stands at the top, and makes no records itself")
		}
		if !q.Lookup.Key.IsSet() {
			c.fail(at, path+".lookup.key", "is missing")
		}
		c.compile(path+".lookup.key", &q.Lookup.Key)
		c.compile(path+".lookup.value", &q.Lookup.Value)
		c.vars = append(c.vars, "$"+q.Name)
	} else if len(q.plan.mappings) == 0 && len(q.Each) == 0 && q.Like == "" && len(q.Keep) == 0 {
		c.fail(at, path, "makes nothing of its rows: map accounts, grants or another kind, or keep them as a lookup")
	}
	c.incremental(q, path, each)
	for i, child := range q.Each {
		c.request(child, fmt.Sprintf("%s.each[%d]", path, i), true)
	}
}

func (c *compiler) incremental(q *Request, path string, each bool) {
	n := q.Incremental
	if n == nil {
		return
	}
	at := q.Path.at
	path += ".incremental"
	switch {
	case !each || c.looking:
		c.fail(at, path, "goes within each only: a list of its own is always read")
	case len(q.Each) > 0 || q.Stream:
		c.fail(at, path, "goes with no each and no stream: what is read further is asked for anyway")
	case !n.Stamp.IsSet() && n.Changes == nil:
		c.fail(at, path, "needs a stamp or changes: when does the last answer still stand?")
	case (n.Changes != nil) != n.Key.IsSet():
		c.fail(at, path, "key goes with changes, and changes with key")
	}
	c.compile(path+".stamp", &n.Stamp)
	c.compile(path+".key", &n.Key)
	l := n.Changes
	if l == nil {
		return
	}
	path += ".changes"
	for field, set := range map[string]bool{"key": l.Key.IsSet(), "mark": l.Mark.IsSet()} {
		if !set {
			c.fail(at, path+"."+field, "is missing")
		}
	}
	if !strings.HasPrefix(l.Path.text, "/") || strings.ContainsAny(l.Path.text, "?#") {
		c.fail(at, path+".path", "%q: want a path that begins with /; parameters go under query", l.Path.text)
	}
	known := c.vars
	c.vars = known[:fixedVars] // it is asked before any lookup is made
	for name, what := range map[string]interface{ compile([]string) error }{
		"path": &l.Path, "rows": &l.Rows, "paging.next": &l.Paging.Next, "paging.total": &l.Paging.Total, "paging.more": &l.Paging.More, "key": &l.Key, "mark": &l.Mark,
	} {
		c.compile(path+"."+name, what)
	}
	c.templates(path+".query", l.Query)
	c.templates(path+".begin", l.Begin)
	c.vars = known
	l.request = &Request{Name: q.Name, Method: http.MethodGet, URL: q.URL, Headers: q.Headers, Path: l.Path, Query: l.Query, Rows: l.Rows, Paging: l.Paging, Rights: q.Rights}
	c.paging(l.request, path)
	l.request.plan = plan{where: l.request.place(l.Path.text)}
	l.request.rows()
}

func (c *compiler) paging(q *Request, path string) {
	p, at := &q.Paging, q.Path.at
	path += ".paging"
	need := func(field string, set bool, types ...string) {
		switch want := slices.Contains(types, p.Type); {
		case want && !set:
			c.fail(at, path+"."+field, "is missing")
		case !want && set:
			c.fail(at, path+"."+field, "goes with %s only", strings.Join(types, ", "))
		}
	}
	switch p.Type {
	case "", "none", "link", "next", "cursor", "offset", "page":
	default:
		c.fail(at, path+".type", "%q is none of link, next, cursor, offset, page, none", p.Type)
		return
	}
	need("next", p.Next.IsSet(), "next", "cursor")
	need("param", p.Param != "", "cursor", "offset", "page")
	if p.Type == "offset" {
		need("size", p.Size > 0, "offset")
	}
	if p.Body && (p.Type != "cursor" || q.Method != http.MethodPost) {
		c.fail(at, path+".body", "goes with type: cursor and method: POST only")
	}
	for _, allowed := range p.Paths {
		if !strings.HasPrefix(allowed, "/") || len(allowed) < 2 {
			c.fail(at, path+".paths", "%q: want a path that begins with /, and not all of them", allowed)
		}
	}
}

// kinds lists the mappings in the order in which the records of a row are put.
func (q *Request) kinds() []struct {
	kind     collect.Kind
	mappings Mappings
} {
	return []struct {
		kind     collect.Kind
		mappings Mappings
	}{
		{collect.People, q.People}, {collect.Accounts, q.Accounts}, {collect.Entitlements, q.Entitlements}, {collect.Licenses, q.Licenses},
		{collect.Grants, q.Grants}, {collect.Seats, q.Seats}, {collect.Usages, q.Usage},
	}
}

// place names a request in messages. Where all have one path, its name has to tell.
func (q *Request) place(path string) string {
	if path == "/" {
		return q.Method + " / for " + q.Name
	}
	return q.Method + " " + path
}

// rows decides how the rows of an answer are found.
func (q *Request) rows() {
	if q.Rows.root < 0 && q.Rows.fixed == nil {
		q.plan.rows = q.Rows.path
	}
	q.plan.byExpr = q.Rows.IsSet() && q.plan.rows == nil && (!q.Rows.whole || q.Rows.root >= 0)
}

// walk calls do with every request, a parent before what it has under each.
func walkRequests(list []*Request, do func(*Request)) {
	for _, q := range list {
		do(q)
		walkRequests(q.Each, do)
	}
}

// gives lists the kinds of record that the recipe maps.
func (r *Recipe) gives() []collect.Kind {
	var out []collect.Kind
	walkRequests(r.Requests, func(q *Request) {
		for _, k := range q.kinds() {
			if len(k.mappings) > 0 && !slices.Contains(out, k.kind) {
				out = append(out, k.kind)
			}
		}
	})
	slices.Sort(out)
	return out
}

// Gives lists the kinds of record that the recipe maps, by name.
func (r *Recipe) Gives() []string {
	var out []string
	for _, kind := range r.gives() {
		out = append(out, string(kind))
	}
	return out
}

// Rights lists the rights that the requests need, each once.
func (r *Recipe) Rights() []string {
	var out []string
	walkRequests(r.Requests, func(q *Request) {
		for _, right := range q.Rights {
			if !slices.Contains(out, right) {
				out = append(out, right)
			}
		}
	})
	return out
}

func near(word string, known []string) string {
	if n := spell.Nearest(word, known); n != "" {
		return fmt.Sprintf(": did you mean %q?", n)
	}
	return ": there are " + strings.Join(known, ", ")
}

// base is the recipe's URL with the params filled in.
func (r *Recipe) base(vars []any) (string, error) {
	text, ok, err := r.URL.fill(nil, vars, hostPart)
	switch {
	case err != nil:
		return "", err
	case !ok || text == "":
		return "", errors.New("url: is missing: where the app's API is, such as https://acme.example.com")
	}
	return text, nil
}

// checkURL refuses an address that would send the credentials in clear.
func checkURL(text string) (*url.URL, error) {
	u, err := url.Parse(text)
	switch {
	case err != nil || u.Host == "":
		return nil, errors.New("is no address: write https://acme.example.com")
	case u.User != nil:
		return nil, errors.New("holds credentials: give them under auth, as references")
	case u.RawQuery != "" || u.Fragment != "":
		return nil, errors.New("has parameters: leave them out")
	case u.Scheme != "https" && (u.Scheme != "http" || !loopback(u.Hostname())):
		return nil, errors.New("is not https: the credentials would go in clear")
	}
	u.Path = strings.TrimRight(u.Path, "/")
	return u, nil
}

func loopback(host string) bool { return host == "localhost" || host == "127.0.0.1" || host == "::1" }

// Package rest collects from apps with a REST API. An app is described by a recipe, one YAML file: what to ask for, how to
// page, and how the rows become records. Half of an app is never passed off as the whole, and the credentials never leave
// the hosts that the recipe and the source name.
package rest

import (
	"context"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"hash/maphash"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/lapse-audit/lapse/internal/access"
	"github.com/lapse-audit/lapse/internal/collect"
)

// Options are what a Collector needs beside its configuration.
type Options struct {
	// Base is the folder of lapse.yaml: relative paths start there.
	Base string
	// Roster says that the source is a roster: its recipe must give people.
	Roster bool
	// UID names the source in messages.
	UID string
	// Secret resolves a reference to a secret.
	Secret func(context.Context, collect.Secret) (string, error)
	// Transport carries the requests; nil for the network.
	Transport http.RoundTripper
	// Private is the folder in which what was read of an interrupted collection is kept; "" to keep nothing. Who makes it lets
	// nobody else in.
	Private string
	// Only are the names of the requests at the top of the recipe that are made; none means all.
	Only []string
}

// Collector reads an app. It implements collect.Collector.
type Collector struct {
	config Config
	opt    Options
	recipe *Parsed
	auth   *Auth
	params map[string]any
	base   *url.URL
	clock  *collect.Clock
	time   clock
}

// New returns a collector, or all faults of its configuration. It reads the recipe, and touches no app.
func New(c Config, o Options) (*Collector, error) {
	if err := c.Validate(); err != nil {
		return nil, err
	}
	recipe, err := Load(c.Recipe, o.Base)
	if err != nil {
		return nil, err
	}
	k := &Collector{config: c.defaults(), opt: o, recipe: recipe, time: clock{time.Now, realSleep}}
	people := slices.Contains(recipe.gives(), collect.People)
	var errs []error
	switch {
	case o.Roster && !people:
		errs = append(errs, fmt.Errorf("recipe: %s gives no people, and %s is a roster", c.Recipe, o.UID))
	case !o.Roster && people:
		errs = append(errs, fmt.Errorf("roster: is missing: %s gives people; say what their dates mean, at least end_date: last_day or first_day_off", c.Recipe))
	}
	calendar := collect.Calendar{}
	if c.Roster != nil {
		calendar = *c.Roster
	}
	if k.clock, err = calendar.Clock(); err != nil {
		errs = append(errs, within("roster", err))
	}
	if k.params, err = c.params(&recipe.Recipe); err != nil {
		errs = append(errs, err)
	} else if err := k.address(); err != nil {
		errs = append(errs, err)
	}
	if k.auth, err = choose(&recipe.Recipe, c.Auth); err != nil {
		errs = append(errs, err)
	} else if _, recorded := o.Transport.(*Replay); !recorded {
		errs = append(errs, checkCredentials(k.auth, c.Auth))
	}
	if c.Write != nil {
		errs = append(errs, k.checkWrite(recipe, c.Write))
	}
	if c.Proxy != "" {
		if u, err := url.Parse(c.Proxy); err != nil || u.Host == "" {
			errs = append(errs, errors.New("proxy: is no address: write http://proxy.example.com:3128"))
		}
	}
	if c.Incremental != nil && len(recipe.incremental()) == 0 {
		errs = append(errs, fmt.Errorf("incremental: %s has no request for which that is known: leave it out", c.Recipe))
	}
	var names []string
	for _, q := range recipe.Requests {
		names = append(names, q.Name)
	}
	for _, name := range o.Only {
		if !slices.Contains(names, name) {
			errs = append(errs, fmt.Errorf("the recipe has no request %q%s", name, near(name, names)))
		}
	}
	return k, errors.Join(errs...)
}

// address is where the app is.
func (k *Collector) address() error {
	text := k.config.URL
	if text == "" {
		var err error
		if text, err = k.recipe.base([]any{k.params, nil, nil, nil}); err != nil {
			return err
		}
	}
	var err error
	if k.base, err = checkURL(text); err != nil {
		return fmt.Errorf("url: %w", err)
	}
	return nil
}

// Collect implements collect.Collector.
func (k *Collector) Collect(ctx context.Context, out collect.Sink) (collect.Provenance, error) {
	return k.read(ctx, out, nil)
}

// read is Collect, watched or not.
func (k *Collector) read(ctx context.Context, out collect.Sink, w *watch) (collect.Provenance, error) {
	hide := new(secrets)
	guard := &sink{Sink: out}
	prov, err := k.collect(ctx, guard, hide, w)
	switch {
	case guard.err != nil:
		return prov, guard.err
	case err == nil || errors.Is(err, context.Canceled):
		return prov, err
	case errors.Is(err, context.DeadlineExceeded) && ctx.Err() == nil:
		return prov, fmt.Errorf("%s: reading took longer than timeout, which is %s", k.recipe.Name, k.config.Timeout)
	}
	// What an app answers ends up in messages: it may repeat what it was sent.
	if text := err.Error(); hide.hide(text) != text {
		err = errors.New(hide.hide(text))
	}
	return prov, fmt.Errorf("%s: %w", k.recipe.Name, err)
}

// sink remembers the error of the one below it, which is returned as it is.
type sink struct {
	collect.Sink
	err error
}

func (s *sink) Put(r access.Record) error {
	err := s.Sink.Put(r)
	if err != nil {
		s.err = err
	}
	return err
}

func (s *sink) Reject(r collect.Rejection) error {
	err := s.Sink.Reject(r)
	if err != nil {
		s.err = err
	}
	return err
}

// Locate implements collect.Locator.
func (s *sink) Locate(file string, line int64) {
	if l, ok := s.Sink.(collect.Locator); ok {
		l.Locate(file, line)
	}
}

func (k *Collector) collect(parent context.Context, out collect.Sink, hide *secrets, w *watch) (collect.Provenance, error) {
	prov := collect.Provenance{Request: k.base.String(), Identity: identity(k.auth, k.config.Auth), Mapping: k.recipe.sum, Filter: k.filter()}
	if err := parent.Err(); err != nil {
		return prov, err
	}
	ctx, cancel := context.WithTimeout(parent, k.config.Timeout)
	client, err := k.client(ctx, hide)
	if err != nil {
		cancel()
		return prov, err
	}
	defer client.http.CloseIdleConnections()
	interrupted := false
	if k.opt.Private != "" && *k.config.Resume > 0 && w == nil {
		if client.spool, err = openSpool(filepath.Join(k.opt.Private, k.opt.UID+".spool"), k.question(), *k.config.Resume, k.time.now()); err != nil {
			cancel()
			return prov, fmt.Errorf("keep what is read, to resume from: %w; set resume: 0s to do without", err)
		}
		defer func() { client.spool.close(interrupted) }()
	}
	r := &reading{
		k: k, c: client, out: out, base: k.base, params: k.params, clock: k.clock, seed: maphash.MakeSeed(), pacers: k.pacers(),
		types: types{}, things: collect.NewIndex(), rows: map[*Request]int64{}, refused: map[*Request]error{}, once: map[*Request]bool{}, gone: map[*Request]int64{}, watch: w,
	}
	if w != nil {
		w.reading = r
	}
	defer r.wait.Wait()
	defer cancel() // what is under way ends before the wait for it
	if k.config.Incremental != nil && k.opt.Private != "" && len(k.opt.Only) == 0 && w == nil {
		if r.standing, err = r.stand(ctx); err != nil {
			interrupted = interrupts(err)
			return prov, err
		}
		defer func() { r.standing.close(err != nil && !interrupted) }()
	}
	for _, q := range k.requests() {
		if err = r.request(ctx, q); err != nil {
			interrupted = interrupts(err) || out.(*sink).err != nil
			return prov, err
		}
	}
	if w != nil && w.denied != nil {
		return prov, w.denied
	}
	r.sum(&prov)
	prov.Notes = append(prov.Notes, client.spool.notes()...)
	if client.spool != nil && client.spool.used > 0 {
		prov.AsOf = client.spool.began
	}
	interrupted = ctx.Err() != nil
	if !interrupted {
		prov.Notes = append(prov.Notes, r.standing.commit()...)
	}
	return prov, ctx.Err()
}

// question is a hash of what is asked for, and as whom: answers to another are not taken for those to this.
func (k *Collector) question() string {
	text, err := json.Marshal([]any{k.recipe.sum, k.base.String(), k.params, k.opt.Only, identity(k.auth, k.config.Auth), k.config.Auth.Username})
	if err != nil { // they are what jq knows
		panic(err)
	}
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:])
}

// requests are those at the top that are made.
func (k *Collector) requests() []*Request {
	if len(k.opt.Only) == 0 {
		return k.recipe.Requests
	}
	var out []*Request
	for _, q := range k.recipe.Requests {
		if q.Lookup != nil || slices.Contains(k.opt.Only, q.Name) {
			out = append(out, q)
		}
	}
	return out
}

// sum says in the provenance what was read, what was not, and why.
func (r *reading) sum(prov *collect.Provenance) {
	given, missing := map[collect.Kind]bool{}, map[collect.Kind]bool{}
	var walk func(list []*Request, refused bool)
	walk = func(list []*Request, refused bool) {
		for _, q := range list {
			no := refused || r.refused[q] != nil
			for _, m := range q.plan.mappings {
				if no {
					missing[m.kind] = true
				} else {
					given[m.kind] = true
				}
			}
			walk(q.Each, no)
			if err := r.refused[q]; err != nil {
				prov.Notes = append(prov.Notes, fmt.Sprintf("%s was refused, and what it gives is unknown: %v", q.Name, r.c.hide.hide(err.Error())))
			}
			if n := r.gone[q]; n > 0 {
				prov.Notes = append(prov.Notes, fmt.Sprintf("%s: %d objects had gone when they were asked for", q.Name, n))
			}
		}
	}
	walk(r.k.requests(), false)
	for _, kind := range collect.Kinds() {
		if given[kind] {
			prov.Reads = append(prov.Reads, string(kind))
		}
	}
	prov.Coverage = map[string]access.Coverage{}
	for _, kind := range []collect.Kind{collect.Grants, collect.Seats} {
		if given[kind] && missing[kind] {
			prov.Coverage[string(kind)] = access.CoveragePartial
		}
	}
	var signals []string
	for signal := range r.k.recipe.Coverage {
		signals = append(signals, signal)
	}
	slices.Sort(signals)
	for _, signal := range signals {
		c := r.k.recipe.Coverage[signal]
		if c.Level != "" {
			prov.Coverage[signal] = c.Level
		}
		if c.Note != "" {
			prov.Notes = append(prov.Notes, signal+": "+c.Note)
		}
	}
	a := r.k.recipe.Authority
	if a.Accounts != "" {
		prov.Notes = append(prov.Notes, "accounts: "+a.Accounts)
	}
	if a.Entitlements != "" {
		prov.Notes = append(prov.Notes, "entitlements: "+a.Entitlements)
	}
}

// filter says in words what the source's params are.
func (k *Collector) filter() string {
	if len(k.config.Params) == 0 && len(k.opt.Only) == 0 {
		return ""
	}
	text, err := json.Marshal(k.params)
	if err != nil { // they are what jq knows
		panic(err)
	}
	if len(k.opt.Only) > 0 {
		return fmt.Sprintf("%s, only %s", text, strings.Join(k.opt.Only, ", "))
	}
	return string(text)
}

// pacers are those of each request: one for all, or one for each where their quotas are their own.
func (k *Collector) pacers() map[*Request]*pacer {
	l := &k.recipe.Limits
	share := float64(k.config.Share)
	all := newPacer(l, l.PerMinute, share, k.time)
	out := map[*Request]*pacer{}
	walkRequests(k.recipe.Requests, func(q *Request) {
		switch {
		case q.PerMinute > 0:
			out[q] = newPacer(l, q.PerMinute, share, k.time)
		case l.Each:
			out[q] = newPacer(l, l.PerMinute, share, k.time)
		default:
			out[q] = all
		}
	})
	return out
}

func (k *Collector) client(ctx context.Context, hide *secrets) (*client, error) {
	transport := k.opt.Transport
	if transport == nil {
		t, err := k.transport()
		if err != nil {
			return nil, err
		}
		transport = t
	}
	h := &http.Client{Transport: transport, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	resolve := k.opt.Secret
	if resolve == nil {
		resolve = func(context.Context, collect.Secret) (string, error) {
			return "", errors.New("there is nothing to resolve secrets with")
		}
	}
	if _, ok := transport.(*Replay); ok { // it was signed when it was recorded
		return k.with(h, fixed{func(*http.Request) {}}, hide), nil
	}
	signer, err := newSigner(ctx, k.auth, k.config.Auth, []any{k.params, nil, nil, nil}, resolve, h, hide)
	if err != nil {
		return nil, err
	}
	return k.with(h, signer, hide), nil
}

func (k *Collector) with(h *http.Client, s signer, hide *secrets) *client {
	return &client{http: h, signer: s, hide: hide, clock: k.time, redirects: k.recipe.Redirects, under: make(chan struct{}, k.config.Concurrency),
		limits: &k.recipe.Limits, userAgent: "lapse"}
}

// transport is the network: TLS verified, by the proxy that is configured or that the environment names.
func (k *Collector) transport() (*http.Transport, error) {
	t := &http.Transport{
		Proxy:                 http.ProxyFromEnvironment,
		ForceAttemptHTTP2:     true,
		TLSClientConfig:       &tls.Config{MinVersion: tls.VersionTLS12},
		TLSHandshakeTimeout:   30 * time.Second,
		ResponseHeaderTimeout: 2 * time.Minute,
		IdleConnTimeout:       90 * time.Second,
		MaxIdleConnsPerHost:   k.config.Concurrency,
	}
	if k.config.Proxy != "" {
		u, err := url.Parse(k.config.Proxy)
		if err != nil {
			return nil, errors.New("proxy: can't be read as an address")
		}
		t.Proxy = http.ProxyURL(u)
	}
	if k.config.CA != "" {
		pem, err := os.ReadFile(join(k.opt.Base, k.config.CA))
		if err != nil {
			return nil, fmt.Errorf("ca: %w", err)
		}
		pool, err := x509.SystemCertPool()
		if err != nil {
			pool = x509.NewCertPool()
		}
		if !pool.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("ca: %s holds no certificate in PEM", k.config.CA)
		}
		t.TLSClientConfig.RootCAs = pool
	}
	return t, nil
}

func join(base, name string) string {
	if filepath.IsAbs(name) {
		return name
	}
	return filepath.Join(base, name)
}

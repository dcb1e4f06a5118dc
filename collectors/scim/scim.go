// Package scim collects from any application with SCIM 2.0 (RFC 7643, RFC 7644): users, groups with their members, roles and
// entitlements. A server's own words are checked: half a directory is never taken for the whole, and what a server doesn't
// say is unknown.
package scim

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"time"

	"github.com/lapse-audit/lapse/internal/collect"
)

// Options are what a Collector needs beside its configuration.
type Options struct {
	// Base is the folder of lapse.yaml: relative paths start there.
	Base string
	// Roster says that the source is a roster, which SCIM can't be.
	Roster bool
	// UID names the source in messages.
	UID string
	// Secret resolves a reference to a secret.
	Secret func(context.Context, collect.Secret) (string, error)
}

// Collector reads a service. It implements collect.Collector.
type Collector struct {
	config Config
	opt    Options
	now    func() time.Time
	sleep  func(context.Context, time.Duration) error
	jitter func() float64
}

// New returns a collector, or all faults of its configuration. It opens no connection and no file.
func New(c Config, o Options) (*Collector, error) {
	if err := c.Validate(); err != nil {
		return nil, err
	}
	if o.Roster {
		return nil, fmt.Errorf("roster: SCIM gives no start and end of employment: %s can't be a roster", o.UID)
	}
	return &Collector{config: c.defaults(), opt: o, now: time.Now, sleep: sleep, jitter: rand.Float64}, nil
}

// Collect implements collect.Collector.
func (k *Collector) Collect(ctx context.Context, out collect.Sink) (collect.Provenance, error) {
	return k.read(ctx, out, nil)
}

// read is Collect, watched or not.
func (k *Collector) read(ctx context.Context, out collect.Sink, w *watch) (collect.Provenance, error) {
	prov := collect.Provenance{Request: k.config.URL, Filter: k.config.Filter, Mapping: k.mapping(), Identity: "the owner of a bearer token"}
	if k.config.Auth.User != "" {
		prov.Identity = k.config.Auth.User
	}
	if err := ctx.Err(); err != nil {
		return prov, err
	}
	c, err := k.client()
	if err != nil {
		return prov, err
	}
	defer c.http.CloseIdleConnections()
	if _, err := c.renew(ctx, ""); err != nil {
		return prov, err
	}
	r := &reading{Collector: k, client: c, ctx: ctx, out: out, values: map[string]bool{}, oddities: map[string]int{}, watch: w}
	if w != nil {
		w.reading = r
	}
	prov.Reads, prov.Coverage, err = r.run()
	prov.Notes = r.summary()
	return prov, err
}

// path of a file as configured.
func (k *Collector) path(name string) string {
	if filepath.IsAbs(name) {
		return name
	}
	return filepath.Join(k.opt.Base, name)
}

// mapping is a hash of the configuration. Secrets are no part of it.
func (k *Collector) mapping() string {
	text, err := json.Marshal(k.config)
	if err != nil { // it holds nothing that JSON can't
		panic(err)
	}
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:])
}

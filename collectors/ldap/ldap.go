// Package ldap collects from directories: Active Directory, and servers with the schemas of RFC 2307 and inetOrgPerson,
// over the network or from an export in LDIF. What a bind account may not read is unknown, and said to be.
package ldap

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"iter"
	"strings"
	"time"

	"github.com/lapse-audit/lapse/internal/access"
	"github.com/lapse-audit/lapse/internal/collect"
)

// Options are what a Collector needs beside its configuration.
type Options struct {
	// Base is the folder of lapse.yaml: relative paths start there.
	Base string
	// Now is the run's clock.
	Now func() time.Time
	// Roster says that the source is a roster.
	Roster bool
	// UID names the source in messages.
	UID string
	// Secret resolves a reference to a secret.
	Secret func(context.Context, collect.Secret) (string, error)
	// Private is a folder that only this user may read, for what is kept between two reads; "" for none. It need not exist.
	Private string
}

// Collector reads a directory. It implements collect.Collector.
type Collector struct {
	config Config
	opt    Options
	pause  time.Duration // between attempts to connect again
	filter *filter       // of the entries of files
	pinned string        // the address to connect to, whatever the URL's name leads to; "" for none
}

// New returns a collector, or all faults of its configuration. It opens no connection and no file.
func New(c Config, o Options) (*Collector, error) {
	if err := c.Validate(); err != nil {
		return nil, err
	}
	switch {
	case o.Roster && c.Roster == nil:
		return nil, fmt.Errorf("roster: is missing: %s is a roster", o.UID)
	case !o.Roster && c.Roster != nil:
		return nil, fmt.Errorf("roster: %s is not a roster", o.UID)
	}
	if c.defaults().Incremental.Method != "off" && o.Private == "" {
		return nil, fmt.Errorf("incremental: there is no folder to keep the entries of %s in", o.UID)
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	k := &Collector{config: c.defaults(), opt: o, pause: time.Second}
	if c.Filter != "" && c.files() != nil {
		var err error
		if k.filter, err = parseFilter(c.Filter); err != nil {
			return nil, fmt.Errorf("filter: %q: %w", c.Filter, err)
		}
	}
	return k, nil
}

// Collect implements collect.Collector.
func (k *Collector) Collect(ctx context.Context, out collect.Sink) (collect.Provenance, error) {
	if k.config.files() != nil {
		return k.collectFiles(ctx, out)
	}
	return k.collectServer(ctx, out)
}

func (k *Collector) collectFiles(ctx context.Context, out collect.Sink) (collect.Provenance, error) {
	prov := collect.Provenance{Mapping: k.mapping(), Identity: "local files", Request: strings.Join(k.config.files(), ", "), Filter: k.config.Filter}
	s, err := k.survey(ctx)
	prov.Files, prov.AsOf = s.files, s.oldest(k.opt.Now())
	if err != nil {
		return prov, err
	}
	d := k.dialect(s.dialect, s.has, nil)
	return k.finish(ctx, prov, d, k.fileEntries(ctx, s), out)
}

// dialect returns the dialect that is configured, or else the one that the directory shows.
func (k *Collector) dialect(shown string, given map[string]bool, exact *signIns) dialect {
	name := k.config.Dialect
	if name == "auto" {
		name = shown
	}
	r := reading{config: &k.config, now: k.opt.Now(), signIns: exact, given: func(attribute string) bool { return given[attribute] }}
	if name == ActiveDirectory {
		return newActiveDirectory(r)
	}
	return newRFC2307(r)
}

// finish has a dialect read the entries, and adds to the provenance what it found.
func (k *Collector) finish(ctx context.Context, prov collect.Provenance, d dialect, entries iter.Seq2[located, error], out collect.Sink) (collect.Provenance, error) {
	found, err := d.collect(entries, watched{out, ctx})
	if err == nil {
		err = ctx.Err()
	}
	prov.Reads, prov.Coverage = found.reads, found.coverage
	prov.Notes = append(prov.Notes, found.notes...)
	return prov, err
}

// watched is a sink that takes nothing once ctx has ended.
type watched struct {
	collect.Sink
	ctx context.Context
}

func (w watched) Put(r access.Record) error {
	if err := w.ctx.Err(); err != nil {
		return err
	}
	return w.Sink.Put(r)
}

// Locate implements collect.Locator.
func (w watched) Locate(file string, line int64) {
	if l, ok := w.Sink.(collect.Locator); ok {
		l.Locate(file, line)
	}
}

// asked reports whether an entry of a file is one that the configuration asks for.
func (k *Collector) asked(e located) bool {
	if k.filter != nil && !matches(k.filter, e.Entry) {
		return false
	}
	if len(k.config.Base) == 0 {
		return true
	}
	dn, err := canonicalDN(e.DN)
	if err != nil {
		return true // the dialect rejects it with its place
	}
	for _, b := range k.config.Base {
		if base, err := canonicalDN(b); err == nil && underDN(dn, base) {
			return true
		}
	}
	return false
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

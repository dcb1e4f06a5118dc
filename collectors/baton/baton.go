// Package baton collects from .c1z files, the output of any ConductorOne connector (github.com/conductorone/baton-*):
// users as accounts, and who holds which entitlement of which resource. What a connector worked out itself (expanded
// grants) is left out and worked out anew from the memberships behind it, so that every path is known.
package baton

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"
	"time"

	"github.com/lapse-audit/lapse/internal/access"
	"github.com/lapse-audit/lapse/internal/collect"
)

// Options are what a Collector needs beside its configuration.
type Options struct {
	// Base is the folder of lapse.yaml: relative paths start there.
	Base string
	// Now is the clock by which a sync of the future is noticed.
	Now func() time.Time
	// Roster says that the source is a roster, which a connector can't be.
	Roster bool
	// UID names the source in messages.
	UID string
	// Private is the folder in which the file is unpacked. What stands there is removed when a collection ends. By default
	// it is the system's for temporary files.
	Private string
}

// Collector reads a file. It implements collect.Collector.
type Collector struct {
	config Config
	opt    Options
	watch  *watch // nil where nobody watches
}

// New returns a collector, or all faults of its configuration. It opens no file.
func New(c Config, o Options) (*Collector, error) {
	if err := c.Validate(); err != nil {
		return nil, err
	}
	if o.Roster {
		return nil, fmt.Errorf("roster: a connector gives no start and end of employment: %s can't be a roster", o.UID)
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	return &Collector{config: c.defaults(), opt: o}, nil
}

// Collect implements collect.Collector. The file is unpacked into a folder of its own, which only this user may enter.
func (k *Collector) Collect(ctx context.Context, out collect.Sink) (collect.Provenance, error) {
	prov := collect.Provenance{
		Request: k.config.Path, Identity: "the connector that wrote the file", Mapping: k.mapping(),
		Reads: []string{string(collect.Accounts), string(collect.Entitlements), string(collect.Grants)}, // and what else there is
		// What a connector can't say, of anything.
		Coverage: map[string]access.Coverage{"password": access.CoverageNone},
	}
	if err := ctx.Err(); err != nil {
		return prov, err
	}
	err := k.read(ctx, &prov, out)
	var full *sinkError
	switch {
	case errors.As(err, &full):
		return prov, full.error
	case ctx.Err() != nil:
		return prov, ctx.Err()
	case err != nil:
		return prov, fmt.Errorf("%s: %w", k.config.Path, err)
	}
	return prov, nil
}

// sinkError is an error of the sink, which is returned as it is.
type sinkError struct{ error }

func (k *Collector) read(ctx context.Context, prov *collect.Provenance, out collect.Sink) error {
	f, err := open(k.path(k.config.Path), k.config.Path)
	if err != nil {
		return err
	}
	defer f.Close()
	s, err := f.unpack(ctx, k.opt.Private, k.opt.UID, int64(k.config.MaxSize))
	if err != nil {
		return err
	}
	defer s.close()
	runs, err := s.syncs(ctx)
	if err != nil {
		return err
	}
	run, notes, err := choose(runs)
	if err != nil {
		return err
	}
	prov.Filter = "sync " + run.id
	if at := run.began(); at.Before(k.opt.Now()) { // a clock that runs ahead says nothing
		prov.AsOf = at
	}
	r := newReading(k, s, run, out)
	r.notes = append(r.notes, notes...)
	if k.watch != nil {
		k.watch.reading = r
	}
	if err := r.run(ctx); err != nil {
		return err
	}
	prov.Reads = r.reads()
	prov.Notes = r.summary()
	r.coverage(prov.Coverage)
	done, err := f.finish()
	if err != nil {
		return err
	}
	for _, n := range r.rows {
		done.Rows += n
	}
	prov.Files = []collect.File{done}
	return nil
}

// path of a file as configured.
func (k *Collector) path(name string) string {
	if filepath.IsAbs(name) {
		return name
	}
	return filepath.Join(k.opt.Base, name)
}

// mapping is a hash of the configuration.
func (k *Collector) mapping() string {
	text, err := json.Marshal(k.config)
	if err != nil { // it holds nothing that JSON can't
		panic(err)
	}
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:])
}

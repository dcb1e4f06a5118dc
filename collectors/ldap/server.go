package ldap

import (
	"context"
	"fmt"
	"iter"
	"maps"
	"strings"

	"github.com/lapse-audit/lapse/internal/collect"
)

func (k *Collector) collectServer(ctx context.Context, out collect.Sink) (prov collect.Provenance, err error) {
	prov = collect.Provenance{Mapping: k.mapping(), Identity: k.describe(), Request: strings.Join(k.config.URL, ", "), Filter: k.config.Filter}
	if err := ctx.Err(); err != nil {
		return prov, err
	}
	s, err := k.connect(ctx)
	if err != nil {
		return prov, err
	}
	defer s.close()
	bases, err := k.bases(s.root)
	if err != nil {
		return prov, fmt.Errorf("%s: %w", s.url, err)
	}
	log := k.config.Incremental.Method != "off"
	if log && s.root.dialect() != ActiveDirectory {
		return prov, fmt.Errorf("%s: incremental.method: only Active Directory keeps a log of changes: write off", s.url)
	}
	if log {
		for _, b := range bases {
			if !underDN(fold(b), fold(s.root.defaultContext)) {
				return prov, fmt.Errorf("%s: incremental.method: %s lies outside of %s, which is all that the log of changes is of: write off, or a source of its own", s.url, b, s.root.defaultContext)
			}
		}
	}
	var exact *signIns
	if k.config.ExactSignIn {
		if exact, err = k.exactSignIns(ctx, s, bases); err != nil {
			return prov, err
		}
	}
	given := map[string]bool{}
	d := k.dialect(s.root.dialect(), given, exact)
	q := d.query()
	q.attributes = distinct(q.attributes)
	if log {
		q = steady(q)
	}
	prov.Request, prov.Filter, prov.Identity = s.url+" "+strings.Join(bases, "; "), q.filter, s.identity
	var searches, more []search
	for _, base := range bases {
		searches = append(searches, search{base: base, filter: q.filter, names: q.attributes})
		for _, m := range q.more {
			m.base = base
			more = append(more, m)
		}
	}
	st := newStream(k, s, searches)
	found, err := st.given(ctx, bases, q.filter, q.telling)
	if err != nil {
		return prov, err
	}
	maps.Copy(given, found)
	if log {
		x := &incremental{k: k, st: st, bases: bases, query: q, now: k.opt.Now().UTC()}
		beside := newStream(k, s, more)
		prov, err = k.finish(ctx, prov, d, both(x.all(ctx), beside.all(ctx)), out)
		prov.Notes = append(prov.Notes, x.notes...)
	} else {
		st.searches = append(st.searches, more...)
		prov, err = k.finish(ctx, prov, d, st.all(ctx), out)
	}
	for _, why := range s.passed {
		prov.Notes = append(prov.Notes, "another server was read, as the one before it did not answer: "+why)
	}
	if st.referrals > 0 {
		prov.Notes = append(prov.Notes, fmt.Sprintf("%d referrals to other servers were not followed: name a base: of theirs and their url: in a source of its own to read them", st.referrals))
	}
	if st.resumed > 0 {
		prov.Notes = append(prov.Notes, fmt.Sprintf("the connection broke %d times and was made again", st.resumed))
	}
	return prov, err
}

// both yields one stream after the other.
func both(first, second iter.Seq2[located, error]) iter.Seq2[located, error] {
	return func(yield func(located, error) bool) {
		for _, part := range []iter.Seq2[located, error]{first, second} {
			for e, err := range part {
				if !yield(e, err) || err != nil {
					return
				}
			}
		}
	}
}

// distinct leaves out attributes that are named already, in whatever case.
func distinct(names []string) []string {
	var out []string
	seen := map[string]bool{}
	for _, n := range names {
		if key := strings.ToLower(n); !seen[key] {
			seen[key] = true
			out = append(out, n)
		}
	}
	return out
}

package file

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/lapse-audit/lapse/internal/collect"
)

// watch notices, while files are read, what of them isn't used and what they don't have.
type watch struct{ advice []collect.Advice }

// Examine implements collect.Examiner.
func (k *Collector) Examine(ctx context.Context, out collect.Sink) (collect.Provenance, []collect.Advice, error) {
	w := new(watch)
	c := *k
	c.watch = w
	prov, err := c.Collect(ctx, out)
	return prov, w.advice, err
}

// watched notes the columns of a file that nothing is made of, and the fields that have no column in it.
func watched[R any](k *Collector, b *binding[R], kd kind[R], s *source) {
	if k.watch == nil {
		return
	}
	note := func(what, format string, args ...any) {
		k.watch.advice = append(k.watch.advice, collect.Advice{What: what, Detail: fmt.Sprintf(format, args...)})
	}
	age := k.opt.Now().Sub(s.mtime)
	note(s.name, "%d rows for %s, last changed %s ago", s.rows, kd.kind, age.Round(time.Minute))
	var unused, absent []string
	for _, h := range s.header {
		if !slices.ContainsFunc(b.columns, func(c column) bool { return c.takes(h) }) {
			unused = append(unused, h)
		}
	}
	if len(unused) > 0 {
		note(s.name, "columns that nothing is made of: %s; name them under files.%s.columns or attributes where they say something", strings.Join(unused, ", "), kd.kind)
	}
	for _, f := range kd.fields {
		if !b.gives(f.name, s.found) {
			absent = append(absent, f.name)
		}
	}
	if len(absent) > 0 {
		note(s.name, "fields of %s without a column, which stay unknown: %s", kd.kind, strings.Join(absent, ", "))
	}
}

// takes reports whether a header, or the first key of a path, is the column's.
func (c column) takes(header string) bool {
	first, _, _ := strings.Cut(c.name, ".")
	return header == c.name || header == first || c.auto && plain(header) == plain(c.name)
}

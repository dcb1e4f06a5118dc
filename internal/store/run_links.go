package store

import (
	"context"
	"fmt"
	"iter"

	"github.com/lapse-audit/lapse/internal/access"
)

// WriteLinks writes whom each account of the run belongs to, at most one Link an account; an account without one is
// unmatched. Since when a link has stood is carried forward from the run before. An error of links ends it and is
// returned.
func (r *Run) WriteLinks(ctx context.Context, links iter.Seq2[access.Link, error]) error {
	if err := r.writeLinks(ctx, links); err != nil {
		return fmt.Errorf("write links of run %d: %w", r.ID, err)
	}
	return nil
}

func (r *Run) writeLinks(ctx context.Context, links iter.Seq2[access.Link, error]) error {
	b := newBatch(ctx, r.s, "work_links", r.token("links"), []field[access.Link]{
		column("source", func(l *access.Link) string { return l.Source }),
		column("account", func(l *access.Link) string { return l.AccountID }),
		column("person", func(l *access.Link) string { return l.Person }),
		column("method", func(l *access.Link) string { return string(l.Method) }),
		column("status", func(l *access.Link) string { return string(l.Status) }),
		column("candidates", func(l *access.Link) []string { return l.Candidates }),
		column("reason", func(l *access.Link) string { return l.Reason }),
	})
	for l, err := range links {
		if err == nil {
			err = b.put(l)
		}
		if err != nil {
			b.wait()
			return err
		}
	}
	if err := b.close(); err != nil {
		return err
	}
	if err := r.do(ctx, "links"); err != nil {
		return err
	}
	if r.Previous == 0 {
		return nil
	}
	return r.do(ctx, "change_links")
}

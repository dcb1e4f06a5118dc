package file

import (
	"time"

	"github.com/lapse-audit/lapse/internal/access"
	"github.com/lapse-audit/lapse/internal/collect"
)

// latest makes one record of all rows about an account, and what of it was used: rows of a log, of which the last use
// counts. It holds one record for each in memory.
type latest struct {
	out   collect.Sink
	last  map[access.Usage]*use // without times
	order []access.Usage
}

type use struct {
	at    *time.Time
	never *bool
	place place
}

func newLatest(out collect.Sink) *latest {
	return &latest{out: out, last: map[access.Usage]*use{}}
}

func (l *latest) add(u access.Usage, at place) error {
	key := access.Usage{AccountID: u.AccountID, SKU: u.SKU, EntitlementID: u.EntitlementID}
	was := l.last[key]
	if was == nil {
		l.last[key] = &use{u.LastUsedAt, u.NeverUsed, at}
		l.order = append(l.order, key)
		return nil
	}
	if u.LastUsedAt != nil && (was.at == nil || u.LastUsedAt.After(*was.at)) {
		*was = use{u.LastUsedAt, nil, at}
	}
	return nil
}

func (l *latest) flush() error {
	for _, u := range l.order {
		e := l.last[u]
		u.LastUsedAt, u.NeverUsed = e.at, e.never
		locate(l.out, e.place.file, e.place.line)
		if err := l.out.Put(u); err != nil {
			return err
		}
	}
	return nil
}

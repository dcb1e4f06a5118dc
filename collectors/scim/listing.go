package scim

import (
	"context"
	"encoding/json"
	"fmt"
	"net/url"
	"strconv"
	"unicode/utf8"

	"github.com/lapse-audit/lapse/internal/collect"
)

// listing reads all resources of one endpoint, page after page, and knows when it has them all. Pages are counted by
// index (RFC 7644, 3.4.2.4), so that a resource that is deleted meanwhile moves all after it, and one of them may slip
// through between two pages. Therefore a pass counts only if as many different resources came as totalResults says, if
// that never fell, if none came twice, and if nothing is behind the last; else all is read once more, and what is new is
// added. A server that stays wrong is an error.
type listing struct {
	client   *client
	endpoint string
	query    url.Values // beside startIndex and count
	size     int
	ahead    int // pages to ask for at the same time

	// do takes a resource that wasn't there before. line is its place in the list, from 1.
	do func(line int64, id text, raw json.RawMessage) error

	seen   *collect.Marks // of the id, the pass that saw it last
	number *bool          // ids are numbers
	passes int

	pass pass
}

// pass is what one reading from the first page to the end knows.
type pass struct {
	rows     int64
	distinct int
	head     collect.Mark // the first resource
	moved    string       // why something may have slipped through
}

// maxPasses is how often a list is read that changes meanwhile.
const maxPasses = 3

func (l *listing) read(ctx context.Context) error {
	l.seen, l.passes = collect.NewMarks(), 0
	for {
		l.passes++
		l.pass = pass{}
		if err := l.once(ctx); err != nil {
			return err
		}
		if l.pass.moved == "" {
			return nil
		}
		if l.passes == maxPasses {
			return fmt.Errorf("/%s: changed each of the %d times it was read: %s: read it when less happens there; if it happens always, the server gives one id to two resources or has no fixed order",
				l.endpoint, l.passes, l.pass.moved)
		}
	}
}

// once reads from the first page to the end.
func (l *listing) once(ctx context.Context) error {
	f := newFetcher(ctx, l)
	defer f.close()
	at, total, most := 1, 0, 0
	for first := true; ; first = false {
		p, err := f.get(at)
		if err != nil {
			if !first && at > total && isStatus(err, 400, 404) {
				return nil // it refuses to look behind the end
			}
			return err
		}
		switch {
		case first:
			most = 2*p.total + 1000
		case at > total && len(p.items) == 0 && l.pass.distinct == total:
			return nil // whatever it says of the total behind the end: some servers then say 0
		case p.total < total:
			l.moved("totalResults fell from %d to %d", total, p.total)
		}
		total = p.total
		f.ahead(at+len(p.items), len(p.items), total) // while this page is taken
		fresh, again, err := l.take(p, first)
		if err != nil {
			return err
		}
		done := l.pass.distinct
		behind := at > total
		switch {
		case total > most:
			return fmt.Errorf("/%s: totalResults grows while it is read, and is %d by now: that has no end", l.endpoint, total)
		case done > total && l.pass.moved == "":
			return fmt.Errorf("/%s: totalResults is %d, and %d resources came: nobody can tell if those are all", l.endpoint, total, done)
		case fresh > 0:
			if fresh < len(p.items) {
				l.moved("a resource of the page at startIndex %d was in an earlier one", at)
			}
		case done >= total: // nothing new behind the end
			return nil
		case behind: // what came twice took the place of what didn't come
			l.moved("totalResults is %d, and %d resources came", total, done)
			return nil
		case len(p.items) == 0:
			return fmt.Errorf("/%s: nothing came for startIndex %d, and totalResults is %d: a page is lost", l.endpoint, at, total)
		case again:
			return fmt.Errorf("/%s: the first page came again for startIndex %d: the server doesn't keep to startIndex and count (RFC 7644, 3.4.2.4), and %d of %d resources came", l.endpoint, at, done, total)
		default:
			l.moved("the page at startIndex %d holds what was in earlier ones", at)
		}
		at += len(p.items)
	}
}

func (l *listing) moved(format string, args ...any) {
	if l.pass.moved == "" {
		l.pass.moved = fmt.Sprintf(format, args...)
	}
}

// take hands on what is new in a page. fresh is how many this pass hadn't seen; again says that the page begins like the
// first one.
func (l *listing) take(p page, first bool) (fresh int, again bool, err error) {
	here := make(map[collect.Mark]bool, len(p.items))
	for i, raw := range p.items {
		id := idOf(raw)
		l.pass.rows++
		key := l.seen.Of(string(raw)) // of what has no id
		if id.s != "" {
			key = l.seen.Of(id.s)
			if l.number == nil {
				l.number = &id.number
			} else if *l.number != id.number {
				return fresh, again, fmt.Errorf("/%s number %d: its id is %s, and those before are not: an id must stay what it is", l.endpoint, l.pass.rows, idType(id))
			}
		}
		switch {
		case i == 0 && first:
			l.pass.head = key
		case i == 0:
			again = key == l.pass.head
		}
		was := l.seen.Get(key)
		if int(was) == l.passes && !here[key] {
			continue
		}
		twice := here[key] // two resources with one id: whoever takes them says so
		here[key] = true
		l.seen.Set(key, uint32(l.passes))
		fresh++
		l.pass.distinct++
		if was == 0 || twice && l.passes == 1 {
			if err := l.do(l.pass.rows, id, raw); err != nil {
				return fresh, again, err
			}
		}
	}
	return fresh, again, nil
}

func idOf(raw json.RawMessage) text {
	var r struct {
		ID text `json:"id"`
	}
	switch {
	case !utf8.Valid(raw):
		return text{odd: "unknown: the resource is not valid UTF-8"}
	case json.Unmarshal(raw, &r) != nil:
		return text{odd: "missing: the resource is no object"}
	}
	return r.ID
}

func idType(id text) string {
	if id.number {
		return "a number"
	}
	return "a text"
}

// has reports whether a resource with the id was read.
func (l *listing) has(id string) bool { return l.seen.Get(l.seen.Of(id)) > 0 }

// fetch asks for one page, while it is let through the gate.
func (l *listing) fetch(ctx context.Context, at int, gate chan struct{}) (page, error) {
	q := url.Values{"startIndex": {strconv.Itoa(at)}, "count": {strconv.Itoa(l.size)}}
	for name, values := range l.query {
		q[name] = values
	}
	gate <- struct{}{}
	body, err := l.client.get(ctx, l.endpoint, q)
	<-gate
	if err != nil {
		return page{}, err
	}
	p, err := parsePage(body)
	if err != nil {
		return page{}, fmt.Errorf("GET /%s?%s: %w", l.endpoint, q.Encode(), l.client.hidden(err))
	}
	return p, nil
}

// fetcher gets pages, some of them before they are asked for: in which order they come makes no difference to what is made
// of them.
type fetcher struct {
	l      *listing
	ctx    context.Context
	cancel context.CancelFunc
	early  map[int]chan fetched
	gate   chan struct{} // holds as many as are asked for at the same time
	next   int           // index of what to fetch early next
	off    bool
}

type fetched struct {
	page page
	err  error
}

func newFetcher(ctx context.Context, l *listing) *fetcher {
	f := &fetcher{l: l, early: map[int]chan fetched{}, gate: make(chan struct{}, max(l.ahead, 1)), off: l.ahead < 2}
	f.ctx, f.cancel = context.WithCancel(ctx)
	return f
}

// ahead fetches pages that presumably follow: each as long as the one before index at, and the one behind the end. Where
// pages come short of that, it stops guessing. As many again as are asked for at the same time wait to be taken, so that the
// server needn't wait while a page is taken.
func (f *fetcher) ahead(at, size, total int) {
	if _, ok := f.early[at]; !ok {
		f.off = f.off || len(f.early) > 0 || size == 0
		f.next = at
	}
	for !f.off && len(f.early) < 2*f.l.ahead && f.next <= total+1 {
		ch, index := make(chan fetched, 1), f.next
		f.early[index] = ch
		if f.next += size; index <= total {
			f.next = min(f.next, total+1)
		}
		go func() {
			p, err := f.l.fetch(f.ctx, index, f.gate)
			ch <- fetched{p, err}
		}()
	}
}

func (f *fetcher) get(at int) (page, error) {
	ch, ok := f.early[at]
	if !ok {
		return f.l.fetch(f.ctx, at, f.gate)
	}
	delete(f.early, at)
	r := <-ch
	return r.page, r.err
}

// close waits for what is under way.
func (f *fetcher) close() {
	f.cancel()
	for _, ch := range f.early {
		<-ch
	}
}

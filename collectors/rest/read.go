package rest

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"hash/maphash"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"sync"

	"github.com/lapse-audit/lapse/internal/access"
	"github.com/lapse-audit/lapse/internal/collect"
)

// reading is one pass over an app. Pages are fetched by goroutines, ahead of what is done with them; rows become records
// in one goroutine and in order.
type reading struct {
	k      *Collector
	c      *client
	out    collect.Sink
	base   *url.URL
	params map[string]any
	clock  *collect.Clock
	seed   maphash.Seed
	pacers map[*Request]*pacer
	wait   sync.WaitGroup

	lookups []any // values of the lookups so far
	types   types
	things  *collect.Index     // that many rows tell of
	rows    map[*Request]int64 // so far
	refused map[*Request]error // why an optional request gives nothing
	once    map[*Request]bool  // requests that were answered
	gone    map[*Request]int64
	kept    map[string][]string // what look keeps beside records
	watch   *watch              // nil where nobody watches

	standing *standing // what the last reading left; nil where nothing is taken over
}

// scope is what a request's expressions see.
type scope struct{ item, parent any }

func (r *reading) vars(s scope, row any) []any {
	return append([]any{r.params, s.item, s.parent, row}, r.lookups...)
}

// feed is the answers to one request, as they come.
type feed struct {
	request *Request
	scope   scope
	vars    []any
	ch      chan batch
	begun   bool  // a page of it was read
	held    *held // of a request with incremental: what it gives
	id      spoolKey
}

// batch is some rows of an answer, or how it ended.
type batch struct {
	rows []row
	err  error
}

// batchSize is how many rows of a stream are handed on at once.
const batchSize = 500

// request reads a request at the top.
func (r *reading) request(ctx context.Context, q *Request) error {
	v, err := r.gather(ctx, q)
	if err == nil && q.Lookup != nil {
		r.lookups = append(slices.Clip(r.lookups), v)
	}
	return err
}

// gather reads a request at the top, and returns what a lookup keeps.
func (r *reading) gather(ctx context.Context, q *Request) (any, error) {
	items := []any{nil}
	if q.Over.IsSet() {
		items = nil
		if err := q.Over.all(ctx, nil, r.vars(scope{}, nil), func(v any) error {
			items = append(items, v)
			return nil
		}); err != nil {
			return nil, fmt.Errorf("%s: over: %w", q.Name, err)
		}
	}
	var keep map[string]any
	if q.Lookup != nil {
		keep = map[string]any{}
	}
	var scopes []scope
	for _, item := range items {
		scopes = append(scopes, scope{item: item})
	}
	if err := r.each(ctx, q, scopes, keep); err != nil || q.Lookup == nil || r.refused[q] != nil {
		return nil, err
	}
	return keep, nil
}

// each reads a request for every scope, some at a time, in order.
func (r *reading) each(ctx context.Context, q *Request, scopes []scope, keep map[string]any) error {
	var feeds []*feed
	for next := 0; next < len(scopes) || len(feeds) > 0; {
		for len(feeds) < r.k.config.Concurrency && next < len(scopes) {
			// Whether an optional request is refused must be known before more are made.
			if q.Optional && !r.once[q] && len(feeds) > 0 {
				break
			}
			feeds = append(feeds, r.start(ctx, q, scopes[next]))
			next++
		}
		if err := r.consume(ctx, feeds[0], keep); err != nil {
			return err
		}
		if _, no := r.refused[q]; no {
			return nil
		}
		feeds = feeds[1:]
	}
	return nil
}

// consume makes records of a feed's rows, and reads what is under each of them.
func (r *reading) consume(ctx context.Context, f *feed, keep map[string]any) error {
	q := f.request
	for b := range f.ch {
		if b.err != nil {
			return r.ended(ctx, f, b.err)
		}
		f.begun, r.once[q] = true, true
		for i := range b.rows {
			b.rows[i].decode()
			if err := r.row(ctx, f, b.rows[i], keep); err != nil {
				return err
			}
		}
		for _, child := range q.Each {
			scopes, err := r.scopes(ctx, child, b.rows, f.vars)
			if err != nil {
				return err
			}
			if r.refused[child] == nil {
				if err := r.each(ctx, child, scopes, nil); err != nil {
					return err
				}
			}
		}
	}
	if f.held != nil && ctx.Err() == nil {
		r.standing.done(f)
	}
	return ctx.Err()
}

// ended decides what an error of a request means.
func (r *reading) ended(ctx context.Context, f *feed, err error) error {
	q := f.request
	if ctx.Err() != nil {
		return ctx.Err()
	}
	var status *statusError
	switch {
	case errors.As(err, &status) && !f.begun && (slices.Contains(q.Gone, status.status) || q.goneBy(status, f.vars)):
		r.once[q] = true
		r.gone[q]++
		return nil
	case q.Optional && !r.once[q] && q.refusedBy(err):
		r.refused[q] = err
		return nil
	case r.watch.denies(err) && !r.once[q]:
		r.refused[q] = err
		return nil
	}
	return err
}

// goneBy reports whether an answer says in its body that the object is gone.
func (q *Request) goneBy(e *statusError, vars []any) bool {
	if !q.GoneWhen.IsSet() {
		return false
	}
	var doc any
	if json.Unmarshal(e.body, &doc) != nil {
		doc = nil
	}
	yes, err := q.GoneWhen.truth(map[string]any{"status": e.status, "body": doc}, vars)
	return err == nil && yes
}

// refusedBy reports whether an error means that an optional request is not allowed.
func (q *Request) refusedBy(err error) bool {
	var status *statusError
	var told *toldError
	switch {
	case errors.As(err, &status):
		return status.status == http.StatusForbidden || status.status == http.StatusNotFound || slices.Contains(q.Refusals, strconv.Itoa(status.status))
	case errors.As(err, &told):
		return slices.Contains(q.Refusals, told.text)
	}
	return false
}

// toldError is an error inside an answer of status 200.
type toldError struct{ text string }

func (e *toldError) Error() string {
	runes := []rune(e.text)
	return "the app answers with an error: " + string(runes[:min(200, len(runes))])
}

// scopes are those of a request under the rows.
func (r *reading) scopes(ctx context.Context, q *Request, rows []row, vars []any) ([]scope, error) {
	var out []scope
	for _, row := range rows {
		if row.reason != "" {
			continue // it was rejected
		}
		if q.When.IsSet() {
			yes, err := q.When.truth(row.value, vars)
			if err != nil {
				return nil, fmt.Errorf("%s: when: %w", q.Name, err)
			}
			if !yes {
				continue
			}
		}
		if !q.Over.IsSet() {
			out = append(out, scope{parent: row.value})
			continue
		}
		if err := q.Over.all(ctx, row.value, vars, func(v any) error {
			out = append(out, scope{item: v, parent: row.value})
			return nil
		}); err != nil {
			return nil, fmt.Errorf("%s: over: %w", q.Name, err)
		}
	}
	return out, nil
}

// row makes the records of one row.
func (r *reading) row(ctx context.Context, f *feed, in row, keep map[string]any) error {
	q := f.request
	r.rows[q]++
	line := r.rows[q]
	reject := func(field, reason string) error {
		return r.out.Reject(collect.Rejection{File: q.plan.where, Line: line, Column: field, Reason: reason})
	}
	if in.reason != "" {
		return reject("", in.reason)
	}
	vars := slices.Clone(f.vars)
	vars[varRow] = in.value
	if q.Lookup != nil {
		return r.keep(q, in.value, vars, keep, reject)
	}
	if len(q.Keep) > 0 {
		if err := r.keepRaw(q, in.value, vars); err != nil {
			return err
		}
	}
	for _, m := range q.plan.mappings {
		one := func(v any) error {
			if m.when.IsSet() {
				yes, err := m.when.truth(v, vars)
				if err != nil {
					return reject("when", err.Error())
				}
				if !yes {
					return nil
				}
			}
			rec, field, reason := m.record(v, vars, r.types, r.clock)
			if reason != "" {
				return reject(field, fmt.Sprintf("%s: %s", m.kind, reason))
			}
			r.watch.see(m, rec)
			if f.held != nil {
				f.held.Sum += sumOf(rec)
			}
			if m.once && r.again(rec) {
				return nil
			}
			if l, ok := r.out.(collect.Locator); ok {
				l.Locate(q.plan.where, line)
			}
			return r.out.Put(rec)
		}
		if !m.from.IsSet() {
			if err := one(in.value); err != nil {
				return err
			}
			continue
		}
		var values []any
		if err := m.from.all(ctx, in.value, vars, func(v any) error {
			values = append(values, v)
			return nil
		}); err != nil {
			if ctx.Err() != nil {
				return ctx.Err()
			}
			if err := reject("from", fmt.Sprintf("%s: %s", m.kind, err)); err != nil {
				return err
			}
			continue
		}
		for _, v := range values {
			if err := one(v); err != nil {
				return err
			}
		}
	}
	return nil
}

// again reports whether a thing of which many rows tell was there before.
func (r *reading) again(rec access.Record) bool {
	var id string
	switch rec := rec.(type) {
	case access.Person:
		id = "person " + rec.RecordID
	case access.Account:
		id = "account " + rec.ID
	case access.Entitlement:
		id = "entitlement " + rec.ID
	case access.License:
		id = "license " + rec.SKU
	case access.Grant:
		id = fmt.Sprintf("grant %s %q %q", rec.HolderKind, rec.HolderID, rec.EntitlementID)
	case access.Seat:
		id = fmt.Sprintf("seat %q %q", rec.AccountID, rec.SKU)
	case access.Usage:
		id = fmt.Sprintf("usage %q %q %q", rec.AccountID, rec.SKU, rec.EntitlementID)
	}
	_, was := r.things.Add("", id, 0, "", 0)
	return was
}

func (r *reading) keep(q *Request, v any, vars []any, into map[string]any, reject func(field, reason string) error) error {
	key, err := q.Lookup.Key.one(v, vars)
	if err != nil {
		return reject("lookup.key", err.Error())
	}
	name, ok := asText(key)
	if !ok || name == "" {
		return reject("lookup.key", fmt.Sprintf("is %s, want a text or a number", describe(key)))
	}
	var value any = true
	if q.Lookup.Value.IsSet() {
		if value, err = q.Lookup.Value.one(v, vars); err != nil {
			return reject("lookup.value", err.Error())
		}
	}
	if old, twice := into[name]; twice && fmt.Sprint(old) != fmt.Sprint(value) {
		return reject("lookup.key", "comes twice, with two values")
	}
	into[name] = value
	return nil
}

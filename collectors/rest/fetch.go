package rest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
)

// start fetches a request's pages in a goroutine, one page ahead.
func (r *reading) start(ctx context.Context, q *Request, s scope) *feed {
	f := &feed{request: q, scope: s, vars: r.vars(s, nil), ch: make(chan batch, 1)}
	r.wait.Go(func() {
		defer close(f.ch)
		send := func(b batch) error {
			select {
			case f.ch <- b:
				return nil
			case <-ctx.Done():
				return ctx.Err()
			}
		}
		if err := r.fetch(ctx, f, func(rows []row) error { return send(batch{rows: rows}) }); err != nil {
			_ = send(batch{err: err}) // if nobody listens, the collection has ended
		}
	})
	return f
}

// fetch reads all pages of a request.
func (r *reading) fetch(ctx context.Context, f *feed, hand func([]row) error) error {
	q := f.request
	input := f.scope.parent
	k, err := r.call(q, input, f.vars)
	if err != nil {
		return fmt.Errorf("%s: %w", q.plan.where, err)
	}
	send := r.c.send
	if q.Incremental != nil && r.standing != nil {
		if send, err = r.standing.sender(r, f, k); err != nil {
			return fmt.Errorf("%s: %w", q.plan.where, err)
		}
	}
	_, err = r.walk(ctx, q, k, input, f.vars, send, hand)
	return err
}

// walk reads the pages of a request, from the one that a call asks for, and returns what stands around the rows of the last.
func (r *reading) walk(ctx context.Context, q *Request, k call, input any, vars []any, send func(context.Context, call) (*answer, error), hand func([]row) error) (around any, err error) {
	p := newPages(&q.Paging, k.url)
	parse := parser{path: q.plan.rows, allowMissing: q.AllowMissing, maxRecord: r.k.config.MaxRecord}
	parse.hash.SetSeed(r.seed)
	if q.plan.byExpr {
		parse.expr = &q.Rows
	}
	place := func(err error) error {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		return fmt.Errorf("%s, page %d: %w", q.place(k.url.Path), p.number+1, err)
	}
	at, extra := p.begin()
	for at != nil {
		k.url = at
		if q.Body.set || extra != nil {
			if k.body, err = q.Body.fill(input, vars, extra); err != nil {
				return nil, place(err)
			}
		}
		a, err := send(ctx, k)
		if err != nil {
			return nil, place(err)
		}
		var n int
		var hash uint64
		if around, n, hash, err = r.page(ctx, q, &parse, a, vars, hand); err != nil {
			return nil, place(err)
		}
		if at, extra, err = p.after(a, around, n, hash, vars); err != nil {
			return nil, place(err)
		}
	}
	return around, nil
}

// page reads one answer and hands its rows on.
func (r *reading) page(ctx context.Context, q *Request, parse *parser, a *answer, vars []any, hand func([]row) error) (around any, n int, hash uint64, err error) {
	if a.stream != nil {
		defer a.stream.Close()
		if html(a.header, nil) {
			return nil, 0, 0, errors.New("is an HTML page and no JSON: a sign-in page, or a proxy's?")
		}
		var rows []row
		around, err = parse.parse(ctx, a.stream, vars, func(one row) error {
			n++
			if rows = append(rows, one); len(rows) < batchSize {
				return nil
			}
			full := rows
			rows = nil
			return hand(full)
		})
		if err == nil {
			err = hand(rows)
		}
		return around, n, uint64(n), err
	}
	if html(a.header, a.body) {
		return nil, 0, 0, errors.New("is an HTML page and no JSON: a sign-in page, or a proxy's?")
	}
	var rows []row
	around, err = parse.parse(ctx, bytes.NewReader(bytes.TrimPrefix(a.body, []byte("\xef\xbb\xbf"))), vars, func(one row) error {
		rows = append(rows, one)
		return nil
	})
	if inside := r.insideError(q, around, vars); inside != nil {
		return nil, 0, 0, inside
	}
	if err != nil {
		return nil, 0, 0, err
	}
	return around, len(rows), parse.hash.Sum64(), hand(rows)
}

// insideError finds an error in an answer of status 200.
func (r *reading) insideError(q *Request, around any, vars []any) error {
	expr := &q.Error
	if !expr.IsSet() {
		expr = &r.k.recipe.Error
	}
	if !expr.IsSet() || around == nil {
		return nil
	}
	v, err := expr.one(around, vars)
	switch {
	case err != nil:
		return fmt.Errorf("error: %w", err)
	case v == nil || v == false || v == "":
		return nil
	}
	text, _ := asText(v)
	return &toldError{r.c.hide.hide(text)}
}

// call is the first page of a request.
func (r *reading) call(q *Request, input any, vars []any) (call, error) {
	base := r.base
	if q.URL.IsSet() {
		text, ok, err := q.URL.fill(input, vars, hostPart)
		if err != nil || !ok {
			return call{}, fmt.Errorf("url: a value is missing: %w", errors.Join(err))
		}
		if base, err = checkURL(text); err != nil {
			return call{}, fmt.Errorf("url: %w", err)
		}
	}
	path, ok, err := q.Path.fill(input, vars, segment)
	if err != nil || !ok {
		return call{}, errors.Join(fmt.Errorf("path: a value of %s is missing", q.Path.text), err)
	}
	at, err := url.Parse(base.String() + path)
	if err != nil {
		return call{}, errors.New("path: can't be read as an address")
	}
	query := url.Values{}
	for name, t := range q.Query {
		value, ok, err := t.fill(input, vars, plain)
		if err != nil {
			return call{}, fmt.Errorf("query.%s: %w", name, err)
		}
		if ok {
			query.Set(name, value)
		}
	}
	at.RawQuery = query.Encode()
	k := call{method: q.Method, url: at, header: http.Header{}, pace: r.pacers[q], vars: vars, rights: q.Rights, stream: q.Stream}
	for _, headers := range []map[string]Template{r.k.recipe.Headers, q.Headers} {
		for name, t := range headers {
			value, ok, err := t.fill(input, vars, plain)
			if err != nil {
				return call{}, fmt.Errorf("headers.%s: %w", name, err)
			}
			if ok {
				k.header.Set(name, value)
			}
		}
	}
	return k, nil
}

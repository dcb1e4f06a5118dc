package rest

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"reflect"
	"strings"

	"github.com/lapse-audit/lapse/internal/access"
	"github.com/lapse-audit/lapse/internal/collect"
)

// watch notices, while an app is read, what it leaves out and refuses.
type watch struct {
	reading *reading
	tallies map[*mapping]*tally
	denied  error // of the first request that isn't optional and was refused
}

// tally counts the records of a mapping, and those in which each of its fields is.
type tally struct {
	records int64
	have    []int64
}

// see counts what a record has.
func (w *watch) see(m *mapping, rec access.Record) {
	if w == nil {
		return
	}
	t := w.tallies[m]
	if t == nil {
		t = &tally{have: make([]int64, len(m.fields))}
		w.tallies[m] = t
	}
	t.records++
	v := reflect.ValueOf(rec)
	for i := range m.fields {
		if !v.Field(m.fields[i].index).IsZero() {
			t.have[i]++
		}
	}
}

// denies reports whether a request was refused for want of a right, which ends a collection and not an examination: the
// next right that is missing is to be found, too.
func (w *watch) denies(err error) bool {
	var status *statusError
	if w == nil || !errors.As(err, &status) || status.status != http.StatusForbidden {
		return false
	}
	if w.denied == nil {
		w.denied = err
	}
	return true
}

// Examine implements collect.Examiner.
func (k *Collector) Examine(ctx context.Context, out collect.Sink) (collect.Provenance, []collect.Advice, error) {
	w := &watch{tallies: map[*mapping]*tally{}}
	prov, err := k.read(ctx, out, w)
	if w.reading == nil { // it could not begin
		return prov, nil, err
	}
	var advice []collect.Advice
	note := func(what string, missing bool, format string, args ...any) {
		advice = append(advice, collect.Advice{What: what, Missing: missing, Detail: w.reading.c.hide.hide(fmt.Sprintf(format, args...))})
	}
	var walk func(list []*Request)
	walk = func(list []*Request) {
		for _, q := range list {
			w.request(q, note)
			walk(q.Each)
		}
	}
	walk(k.requests())
	return prov, advice, err
}

// request says what became of one request.
func (w *watch) request(q *Request, note func(what string, missing bool, format string, args ...any)) {
	needs := ""
	if len(q.Rights) > 0 {
		needs = "; it needs " + strings.Join(q.Rights, ", ")
	}
	what := "request " + q.Name
	if err := w.reading.refused[q]; err != nil {
		if strings.Contains(err.Error(), "the request needs ") {
			needs = ""
		}
		note(what, true, "%v%s; unknown is what it gives: %s", err, needs, strings.Join(q.gives(), " "))
		return
	}
	if !w.reading.once[q] {
		note(what, false, "was not made%s", needs)
		return
	}
	note(what, false, "%d rows%s", w.reading.rows[q], needs)
	for _, m := range q.plan.mappings {
		t := w.tallies[m]
		if t == nil {
			continue
		}
		var empty []string
		for i := range m.fields {
			if t.have[i] == 0 {
				empty = append(empty, m.fields[i].Name)
			}
		}
		if len(empty) > 0 {
			note(what, false, "%s: of %d none has %s: either nobody has it, or whoever signs in may not see it%s", m.kind, t.records, strings.Join(empty, ", "), needs)
		}
	}
}

// gives names the fields that a request gives, with those below it.
func (q *Request) gives() []string {
	var out []string
	for _, m := range q.plan.mappings {
		for i := range m.fields {
			out = append(out, string(m.kind)+"."+m.fields[i].Name)
		}
	}
	for _, child := range q.Each {
		out = append(out, child.gives()...)
	}
	if q.Lookup != nil {
		out = append(out, "$"+q.Name)
	}
	return out
}

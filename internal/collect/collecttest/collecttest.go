// Package collecttest is the suite that every collector passes.
package collecttest

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/lapse-audit/lapse/internal/access"
	"github.com/lapse-audit/lapse/internal/collect"
)

// Spec is a collector and what the suite must know about its source.
type Spec struct {
	// New returns the collector. Its source yields at least two records and doesn't change.
	New func(t testing.TB) collect.Collector
	// Rejecting returns the collector over a source with at least one row that can't be read. Nil where no source has one.
	Rejecting func(t testing.TB) collect.Collector
	// Broken returns collectors over sources that can't be read as a whole, by what is wrong with each. There must be one.
	Broken map[string]func(t testing.TB) collect.Collector
	// Secrets must appear nowhere but in records.
	Secrets []string
	// Soon is how long a collection may go on after its context ended; 5 s by default.
	Soon time.Duration
}

// Run runs the suite.
func Run(t *testing.T, s Spec) {
	t.Helper()
	for _, c := range checks {
		t.Run(c.name, func(t *testing.T) { c.run(t, s) })
	}
}

type check struct {
	name string
	run  func(testing.TB, Spec)
}

var checks = []check{
	{"same records twice", sameTwice},
	{"valid records", validRecords},
	{"provenance", provenance},
	{"cancelled before", cancelledBefore},
	{"cancelled during", cancelledDuring},
	{"error of the sink", sinkError},
	{"rejections", rejections},
	{"broken source", broken},
	{"secrets", secrets},
}

// recorder is a sink that keeps everything, and can fail or call back.
type recorder struct {
	records    []access.Record
	rejections []collect.Rejection
	calls      int
	onPut      func()
	failPut    error
	failReject error
}

func (r *recorder) Put(rec access.Record) error {
	r.calls++
	if r.onPut != nil {
		r.onPut()
	}
	if r.failPut != nil {
		return r.failPut
	}
	r.records = append(r.records, rec)
	return nil
}

func (r *recorder) Reject(rej collect.Rejection) error {
	r.calls++
	if r.failReject != nil {
		return r.failReject
	}
	r.rejections = append(r.rejections, rej)
	return nil
}

// whole collects the unchanging source; a failure ends the test.
func whole(t testing.TB, s Spec) (*recorder, collect.Provenance) {
	t.Helper()
	var r recorder
	prov, err := s.New(t).Collect(t.Context(), &r)
	if err != nil {
		t.Fatalf("collect: %v", err)
	}
	if len(r.records) < 2 {
		t.Fatalf("%d records: the source of Spec.New needs at least two", len(r.records))
	}
	return &r, prov
}

func sameTwice(t testing.TB, s Spec) {
	c := s.New(t)
	var lists [2][]string
	for i := range lists {
		var r recorder
		if _, err := c.Collect(t.Context(), &r); err != nil {
			t.Fatalf("collect, time %d: %v", i+1, err)
		}
		for _, rec := range r.records {
			text, err := json.Marshal(rec)
			if err != nil {
				t.Fatal(err)
			}
			lists[i] = append(lists[i], fmt.Sprintf("%T%s", rec, text))
		}
		slices.Sort(lists[i])
	}
	if !slices.Equal(lists[0], lists[1]) {
		t.Errorf("an unchanged source gave %d records, then %d, and not the same ones", len(lists[0]), len(lists[1]))
	}
}

func validRecords(t testing.TB, s Spec) {
	r, _ := whole(t, s)
	for _, rec := range r.records {
		walk(t, fmt.Sprintf("%T", rec), reflect.ValueOf(rec))
	}
	// The runner refuses missing and repeated ids.
	var seen recorder
	res, err := collect.Run(t.Context(), replay(r.records), &seen, collect.Options{Limits: collect.Limits{MaxRejected: 1}, Now: time.Now()})
	if err != nil {
		t.Fatalf("run: %v", err)
	}
	for _, rej := range res.Rejections {
		t.Errorf("the runner rejects a record: %s", rej)
	}
}

type replay []access.Record

func (r replay) Collect(_ context.Context, out collect.Sink) (collect.Provenance, error) {
	for _, rec := range r {
		if err := out.Put(rec); err != nil {
			return collect.Provenance{}, err
		}
	}
	return collect.Provenance{}, nil
}

// walk checks every text and time below v.
func walk(t testing.TB, path string, v reflect.Value) {
	t.Helper()
	switch v.Kind() {
	case reflect.String:
		if !utf8.ValidString(v.String()) {
			t.Errorf("%s: not valid UTF-8: %q", path, v.String())
		}
	case reflect.Pointer:
		if !v.IsNil() {
			walk(t, path, v.Elem())
		}
	case reflect.Struct:
		if at, ok := v.Interface().(time.Time); ok {
			if at.Location() != time.UTC {
				t.Errorf("%s: %s is not in UTC", path, at)
			}
			if at.IsZero() {
				t.Errorf("%s: the zero time stands for an absent one", path)
			}
			return
		}
		for i := range v.NumField() {
			walk(t, path+"."+v.Type().Field(i).Name, v.Field(i))
		}
	case reflect.Map:
		for _, k := range v.MapKeys() {
			walk(t, path+" key", k)
			walk(t, fmt.Sprintf("%s[%q]", path, k), v.MapIndex(k))
		}
	case reflect.Slice:
		for i := range v.Len() {
			walk(t, fmt.Sprintf("%s[%d]", path, i), v.Index(i))
		}
	}
}

func provenance(t testing.TB, s Spec) {
	r, p := whole(t, s)
	for what, text := range map[string]string{"Request": p.Request, "Mapping": p.Mapping, "Identity": p.Identity} {
		if text == "" {
			t.Errorf("provenance: %s is empty", what)
		}
	}
	for _, rec := range r.records {
		if kind := string(collect.KindOf(rec)); !slices.Contains(p.Reads, kind) {
			t.Fatalf("provenance: Reads %q lacks %s, of which there are records", p.Reads, kind)
		}
	}
	for _, kind := range p.Reads {
		if !slices.Contains(collect.Kinds(), collect.Kind(kind)) {
			t.Errorf("provenance: Reads names %q, which is no kind of record", kind)
		}
	}
	for _, f := range p.Files {
		if f.Name == "" || len(f.SHA256) != 64 || f.Size == 0 {
			t.Errorf("provenance: file without name, hash or size: %+v", f)
		}
	}
	if !p.AsOf.IsZero() && p.AsOf.After(time.Now().Add(time.Minute)) {
		t.Errorf("provenance: AsOf %s is in the future", p.AsOf)
	}
}

// within runs a collection and fails if it takes longer than it may after its context has ended.
func within(t testing.TB, s Spec, ctx context.Context, out collect.Sink) (err error, ok bool) {
	t.Helper()
	c := s.New(t)
	done := make(chan error, 1)
	go func() {
		_, err := c.Collect(ctx, out)
		done <- err
	}()
	soon := s.Soon
	if soon == 0 {
		soon = 5 * time.Second
	}
	select {
	case err := <-done:
		return err, true
	case <-ctx.Done():
	}
	select {
	case err := <-done:
		return err, true
	case <-time.After(soon):
		t.Errorf("collection still runs %s after its context ended", soon)
		return nil, false
	}
}

func cancelledBefore(t testing.TB, s Spec) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err, ok := within(t, s, ctx, &recorder{}); ok && !errors.Is(err, context.Canceled) {
		t.Errorf("with a context that was cancelled before, error %v, want context.Canceled", err)
	}
}

func cancelledDuring(t testing.TB, s Spec) {
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	if err, ok := within(t, s, ctx, &recorder{onPut: cancel}); ok && !errors.Is(err, context.Canceled) {
		t.Errorf("with a context that was cancelled at the first record, error %v, want context.Canceled", err)
	}
}

var errSink = errors.New("the sink is full")

func sinkError(t testing.TB, s Spec) {
	r := recorder{failPut: errSink}
	_, err := s.New(t).Collect(t.Context(), &r)
	if err != errSink {
		t.Errorf("error %v, want the sink's own as it is", err)
	}
	if r.calls != 1 {
		t.Errorf("%d calls of a sink that failed at the first", r.calls)
	}
}

func rejections(t testing.TB, s Spec) {
	if s.Rejecting == nil {
		t.Skip("Spec.Rejecting is not set")
	}
	var r recorder
	if _, err := s.Rejecting(t).Collect(t.Context(), &r); err != nil {
		t.Fatalf("collect: %v", err)
	}
	if len(r.rejections) == 0 {
		t.Error("no row was rejected")
	}
	if len(r.records) == 0 {
		t.Error("reading did not go on after a rejected row")
	}
	for _, rej := range r.rejections {
		if rej.Reason == "" || rej.File == "" {
			t.Errorf("rejection without place or reason: %+v", rej)
		}
	}
	fail := recorder{failReject: errSink}
	if _, err := s.Rejecting(t).Collect(t.Context(), &fail); err != errSink {
		t.Errorf("error %v when the sink fails to take a rejection, want its own as it is", err)
	}
}

func broken(t testing.TB, s Spec) {
	if len(s.Broken) == 0 {
		t.Fatal("Spec.Broken names no source that can't be read as a whole")
	}
	for what, build := range s.Broken {
		var r recorder
		_, err := build(t).Collect(t.Context(), &r)
		if err == nil {
			t.Errorf("%s: no error, %d records passed off as the whole", what, len(r.records))
		}
	}
}

func secrets(t testing.TB, s Spec) {
	look := func(what string, c collect.Collector) {
		var r recorder
		p, err := c.Collect(t.Context(), &r)
		for _, secret := range s.Secrets {
			for where, text := range map[string]string{
				"error": fmt.Sprint(err), "provenance": fmt.Sprintf("%+v", p), "rejections": fmt.Sprintf("%+v", r.rejections),
			} {
				if strings.Contains(text, secret) {
					t.Errorf("%s: a secret appears in %s", what, where)
				}
			}
		}
	}
	look("whole source", s.New(t))
	if s.Rejecting != nil {
		look("rejecting source", s.Rejecting(t))
	}
	for what, build := range s.Broken {
		look(what, build(t))
	}
}

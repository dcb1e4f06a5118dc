package file

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/lapse-audit/lapse/internal/access"
	"github.com/lapse-audit/lapse/internal/collect"
)

// place is where a row is.
type place struct {
	file string
	line int64
}

func (p place) String() string { return fmt.Sprintf("%s line %d", p.file, p.line) }

// repeated is an id that several rows have.
type repeated struct {
	first, second place
	disagree      bool
}

// readFile is a file that was read, and the last moment from which its data can be.
type readFile struct {
	collect.File
	asOf time.Time
}

// collectTable reads all files of one kind into records.
func collectTable[R any](ctx context.Context, k *Collector, kd kind[R], t *Table, out collect.Sink) ([]readFile, error) {
	if t.Events {
		last := newLatest(out)
		files, err := readTable(ctx, k, kd, t, nil, out, func(bool) (func(R, place) error, func() error) {
			return func(r R, at place) error { return last.add(any(r).(access.Usage), at) }, last.flush
		})
		for i := range files { // a log goes on in its next file: it is as new as the newest
			files[i].asOf = slices.MaxFunc(files, func(a, b readFile) int { return a.asOf.Compare(b.asOf) }).asOf
		}
		return files, err
	}
	return readTable(ctx, k, kd, t, nil, out, func(dated bool) (func(R, place) error, func() error) { return passOn(k, kd, dated, out) })
}

// readTable reads the sources, or else the files of the table. What becomes of each row, and what after the last, pass
// tells; out takes those that can't be read.
func readTable[R any](ctx context.Context, k *Collector, kd kind[R], t *Table, sources []*source, out collect.Sink,
	pass func(dated bool) (put func(R, place) error, flush func() error)) ([]readFile, error) {
	var opened []*source
	defer func() {
		for _, s := range opened {
			s.file.Close()
		}
	}()
	if sources == nil {
		parts, err := k.parts(t)
		if err != nil {
			return nil, err
		}
		for _, p := range parts {
			s, err := k.open(p, t)
			if err != nil {
				return nil, err
			}
			opened = append(opened, s...)
		}
		sources = opened
	}
	b, err := bind(k, kd, t, slices.ContainsFunc(sources, func(s *source) bool { return s.format == xlsx }))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", kd.kind, err)
	}
	repeats, err := b.repeats(ctx, sources, t.Events)
	if err != nil {
		return nil, err
	}
	for _, s := range sources {
		watched(k, b, kd, s)
	}
	var files []readFile
	for _, s := range sources {
		if s.rows == 0 && !t.AllowEmpty {
			return files, fmt.Errorf("%s: has no rows: set allow_empty where that can be right", s.name)
		}
		if missing := b.missing(kd.required, s.found); missing != "" {
			return files, fmt.Errorf("%s: has no column for %s: it has %s; name the column under files.%s.columns",
				s.name, missing, strings.Join(s.header, ", "), kd.kind)
		}
		files = append(files, readFile{collect.File{Name: s.name, SHA256: s.sum, Size: s.size, ModTime: s.mtime.UTC(), Rows: s.rows}, s.asOf()})
	}
	dated := slices.ContainsFunc(sources, func(s *source) bool { return b.gives("effective_from", s.found) })
	if !dated && slices.ContainsFunc(sources, func(s *source) bool { return b.gives("effective_to", s.found) }) {
		return files, fmt.Errorf("files.%s: effective_to needs effective_from", kd.kind)
	}
	put, flush := pass(dated)
	for _, s := range sources {
		reject := func(line int64, column, reason string) error {
			return out.Reject(collect.Rejection{File: s.name, Line: line, Column: column, Reason: reason})
		}
		one := func(line int64, cells []string) error {
			here := place{s.name, line}
			if len(repeats) > 0 {
				if r := repeats[b.id(cells)]; r != nil {
					if reason := r.reason(here); reason != "" {
						if r.disagree {
							reason += kd.hint
						}
						return reject(line, b.keyColumn(), reason)
					}
				}
			}
			row, column, reason, err := b.row(kd, cells)
			if err != nil {
				return fmt.Errorf("%s: %w", here, err)
			}
			if reason != "" {
				return reject(line, column, reason)
			}
			return put(row, here)
		}
		err := s.read(ctx, b.columns, func(line int64, cells []string) error {
			if !b.wanted(cells) {
				return nil
			}
			return b.each(cells, func(cells []string) error { return one(line, cells) })
		}, out.Reject)
		if err != nil {
			return files, err
		}
	}
	return files, flush()
}

// repeats reads the files for the ids that several rows have; where rows are events, that is no fault.
func (b *binding[R]) repeats(ctx context.Context, sources []*source, events bool) (map[string]*repeated, error) {
	index := collect.NewIndex()
	out := map[string]*repeated{}
	for _, s := range sources {
		one := func(line int64, cells []string) error {
			id := b.id(cells)
			if id == "" || events {
				return nil
			}
			content := b.content(cells)
			was, again := index.Add("", id, content, s.name, line)
			if !again {
				return nil
			}
			r := out[id]
			if r == nil {
				r = &repeated{first: place{was.File, was.Line}, second: place{s.name, line}}
				out[id] = r
			}
			r.disagree = r.disagree || !was.Same(content)
			return nil
		}
		err := s.read(ctx, b.columns, func(line int64, cells []string) error {
			if !b.wanted(cells) {
				return nil
			}
			return b.each(cells, func(cells []string) error { return one(line, cells) })
		}, func(collect.Rejection) error { return nil })
		if err != nil {
			return nil, err
		}
	}
	return out, nil
}

// reason is why the row at a place is rejected, "" if it isn't: the first of rows that are the same stays.
func (r *repeated) reason(at place) string {
	switch {
	case !r.disagree && at == r.first:
		return ""
	case !r.disagree:
		return fmt.Sprintf("the same row as %s", r.first)
	case at == r.first:
		return fmt.Sprintf("%s has the same id and says something else: neither is taken", r.second)
	}
	return fmt.Sprintf("%s has the same id and says something else: neither is taken", r.first)
}

// keyColumn names the column of the id.
func (b *binding[R]) keyColumn() string {
	for _, at := range b.key {
		if len(at) > 0 {
			return b.columns[at[0]].name
		}
	}
	return ""
}

// passOn returns what to do with each row, and what to do after the last.
func passOn[R any](k *Collector, kd kind[R], dated bool, out collect.Sink) (put func(R, place) error, flush func() error) {
	if dated {
		history := newHistory(k, out)
		return func(r R, at place) error { return history.add(any(r).(personRow), at) }, history.flush
	}
	return func(r R, at place) error {
		locate(out, at.file, at.line)
		return out.Put(kd.record(&r))
	}, func() error { return nil }
}

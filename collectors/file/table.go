package file

import (
	"context"
	"fmt"
	"hash/fnv"
	"maps"
	"slices"
	"strings"

	"github.com/lapse-audit/lapse/internal/collect"
)

// binding is what becomes of the cells of a row.
type binding[R any] struct {
	columns []column
	cells   []boundCell[R]
	fixed   []boundCell[R] // constants
	where   []condition
	attrs   []attribute
	key     [][]int          // cells of each field that tells rows apart
	ids     map[string][]int // cells of each field that no row may lack
}

type boundCell[R any] struct {
	parser[R]
	at    []int // cells; more than one are joined
	fixed string
}

type condition struct {
	at    int
	texts map[string]bool
}

type attribute struct {
	name string
	at   int
}

// bind says which cells are wanted and what they become.
func bind[R any](k *Collector, kd kind[R], t *Table) (*binding[R], error) {
	b := &binding[R]{ids: map[string][]int{}}
	want := func(c column) int {
		if i := slices.Index(b.columns, c); i >= 0 {
			return i
		}
		b.columns = append(b.columns, c)
		return len(b.columns) - 1
	}
	at := map[string][]int{}
	for _, f := range kd.fields {
		p := parser[R]{field: f, comma: t.DecimalComma, zone: k.zone}
		if f.typ == timeCell {
			names, ok := t.Dates[f.name]
			if !ok {
				names = t.Dates["*"]
			}
			var err error
			if p.dates, err = newLayouts(names); err != nil {
				return nil, err
			}
			p.never = lowered(t.Never)
		}
		for to, from := range t.Values[f.name] {
			if p.values == nil {
				p.values = map[string]string{}
			}
			for text := range lowered(from) {
				p.values[text] = to
			}
		}
		if fixed, ok := t.Constant[f.name]; ok {
			b.fixed = append(b.fixed, boundCell[R]{parser: p, fixed: strings.TrimSpace(fixed)})
			continue
		}
		names := t.Columns[f.name]
		auto := len(t.Columns) == 0
		if auto {
			names = Texts{f.name}
		}
		for _, name := range names {
			at[f.name] = append(at[f.name], want(column{name: name, auto: auto, list: f.typ == listCell}))
		}
		if len(names) > 0 {
			b.cells = append(b.cells, boundCell[R]{parser: p, at: at[f.name]})
		}
	}
	for _, name := range kd.key {
		b.key = append(b.key, at[name])
	}
	for _, name := range kd.required {
		if cells := at[name]; len(cells) > 0 {
			b.ids[name] = cells
		}
	}
	for _, name := range slices.Sorted(maps.Keys(t.Where)) {
		b.where = append(b.where, condition{at: want(column{name: name}), texts: lowered(t.Where[name])})
	}
	if len(t.Attributes) > 0 && kd.attributes == nil {
		return nil, fmt.Errorf("attributes: %s have none", kd.kind)
	}
	for _, name := range slices.Sorted(maps.Keys(t.Attributes)) {
		b.attrs = append(b.attrs, attribute{name: name, at: want(column{name: t.Attributes[name]})})
	}
	return b, nil
}

func lowered(texts Texts) map[string]bool {
	out := make(map[string]bool, len(texts))
	for _, t := range texts {
		out[strings.ToLower(strings.TrimSpace(t))] = true
	}
	return out
}

// missing names the required fields that neither a column nor a constant gives.
func (b *binding[R]) missing(required []string, found []bool) string {
	var out []string
	for _, r := range required {
		if !slices.ContainsFunc(strings.Split(r, "|"), func(name string) bool { return b.gives(name, found) }) {
			out = append(out, strings.ReplaceAll(r, "|", " or "))
		}
	}
	return strings.Join(out, ", ")
}

func (b *binding[R]) gives(name string, found []bool) bool {
	for _, c := range b.fixed {
		if c.field.name == name {
			return true
		}
	}
	for _, c := range b.cells {
		if c.field.name == name && slices.ContainsFunc(c.at, func(i int) bool { return found[i] }) {
			return true
		}
	}
	return false
}

func (b *binding[R]) wanted(cells []string) bool {
	for _, w := range b.where {
		if !w.texts[strings.ToLower(cells[w.at])] {
			return false
		}
	}
	return true
}

// id is what tells the row apart from others, "" where it has nothing of the kind.
func (b *binding[R]) id(cells []string) string {
	var s strings.Builder
	some := false
	for _, at := range b.key {
		for _, i := range at {
			s.WriteString(cells[i])
			some = some || cells[i] != ""
		}
		s.WriteByte(0xff)
	}
	if !some {
		return ""
	}
	return s.String()
}

// content is a hash of all that the row says.
func (b *binding[R]) content(cells []string) uint64 {
	h := fnv.New64a()
	for _, c := range cells {
		h.Write([]byte(c))
		h.Write([]byte{0xff})
	}
	return h.Sum64()
}

// row makes a row of cells, or gives the column and the reason why it can't. The first fault is the one reported.
func (b *binding[R]) row(kd kind[R], cells []string) (row R, column, reason string, err error) {
	for _, at := range b.ids {
		if joined(cells, at) == "" {
			return row, b.columns[at[0]].name, "the id is empty", nil
		}
	}
	for i := range b.fixed {
		if reason := b.fixed[i].set(&row, b.fixed[i].fixed); reason != "" {
			return row, b.fixed[i].field.name, reason, nil
		}
	}
	for i := range b.cells {
		c := &b.cells[i]
		s := joined(cells, c.at)
		if s == "" {
			continue
		}
		if reason := c.set(&row, s); reason != "" {
			return row, b.columns[c.at[0]].name, reason, nil
		}
	}
	for _, a := range b.attrs {
		if cells[a.at] == "" {
			continue
		}
		m := kd.attributes(&row)
		if *m == nil {
			*m = make(map[string]string, len(b.attrs))
		}
		(*m)[a.name] = cells[a.at]
	}
	if kd.finish == nil {
		return row, "", "", nil
	}
	column, reason, err = kd.finish(&row)
	if i := slices.IndexFunc(b.cells, func(c boundCell[R]) bool { return c.field.name == column }); i >= 0 {
		column = b.columns[b.cells[i].at[0]].name
	}
	return row, column, reason, err
}

func joined(cells []string, at []int) string {
	s := cells[at[0]]
	for _, i := range at[1:] {
		s = strings.TrimSpace(s + " " + cells[i])
	}
	return s
}

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

// collectTable reads all files of one kind.
func collectTable[R any](ctx context.Context, k *Collector, kd kind[R], t *Table, out collect.Sink) ([]collect.File, error) {
	b, err := bind(k, kd, t)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", kd.kind, err)
	}
	var sources []*source
	defer func() {
		for _, s := range sources {
			s.file.Close()
		}
	}()
	for _, name := range t.Path {
		s, err := open(name, k.path(name), t, int64(k.config.MaxRecord))
		if err != nil {
			return nil, err
		}
		sources = append(sources, s)
	}
	repeats, err := b.repeats(ctx, sources)
	if err != nil {
		return nil, err
	}
	for _, s := range sources {
		watched(k, b, kd, s)
	}
	var files []collect.File
	for _, s := range sources {
		if s.rows == 0 && !t.AllowEmpty {
			return files, fmt.Errorf("%s: has no rows: set allow_empty where that can be right", s.name)
		}
		if missing := b.missing(kd.required, s.found); missing != "" {
			return files, fmt.Errorf("%s: has no column for %s: it has %s; name the column under files.%s.columns",
				s.name, missing, strings.Join(s.header, ", "), kd.kind)
		}
		files = append(files, collect.File{Name: s.name, SHA256: s.sum, Size: s.size, ModTime: s.mtime.UTC(), Rows: s.rows})
	}
	dated := slices.ContainsFunc(sources, func(s *source) bool { return b.gives("effective_from", s.found) })
	if !dated && slices.ContainsFunc(sources, func(s *source) bool { return b.gives("effective_to", s.found) }) {
		return files, fmt.Errorf("files.%s: effective_to needs effective_from", kd.kind)
	}
	put, flush := passOn(k, kd, dated, out)
	for _, s := range sources {
		reject := func(line int64, column, reason string) error {
			return out.Reject(collect.Rejection{File: s.name, Line: line, Column: column, Reason: reason})
		}
		err := s.read(ctx, b.columns, func(line int64, cells []string) error {
			if !b.wanted(cells) {
				return nil
			}
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
		}, out.Reject)
		if err != nil {
			return files, err
		}
	}
	return files, flush()
}

// repeats reads the files for the ids that several rows have.
func (b *binding[R]) repeats(ctx context.Context, sources []*source) (map[string]*repeated, error) {
	index := collect.NewIndex()
	out := map[string]*repeated{}
	for _, s := range sources {
		err := s.read(ctx, b.columns, func(line int64, cells []string) error {
			id := b.id(cells)
			if id == "" || !b.wanted(cells) {
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

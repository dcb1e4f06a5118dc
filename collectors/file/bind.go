package file

import (
	"fmt"
	"hash/fnv"
	"maps"
	"slices"
	"strings"

	"github.com/lapse-audit/lapse/internal/strict"
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
	split   *splitCell
}

// splitCell is a cell of several texts.
type splitCell struct {
	at   int
	by   string
	none map[string]bool // texts that stand for nothing
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

// bind says which cells are wanted and what they become. Sheets give dates as such, whatever the layouts of those that
// are written as text.
func bind[R any](k *Collector, kd kind[R], t *Table, sheets bool) (*binding[R], error) {
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
			if sheets && len(names) > 0 && !slices.Contains(names, "iso") {
				names = append(slices.Clip(names), "iso")
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
		auto := len(t.Columns) == 0 || t.optional[f.name]
		if len(t.Columns) == 0 {
			names = strict.Texts{f.name}
		}
		for _, name := range names {
			at[f.name] = append(at[f.name], want(column{name: name, auto: auto, list: f.typ == listCell}))
		}
		if len(names) > 0 {
			b.cells = append(b.cells, boundCell[R]{parser: p, at: at[f.name]})
		}
	}
	for name, by := range t.Split {
		b.split = &splitCell{at: at[name][0], by: by, none: lowered(t.Values[name][""])}
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

func lowered(texts strict.Texts) map[string]bool {
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

// each calls do with the row, or with a row for each text of the cell that is split.
func (b *binding[R]) each(cells []string, do func(cells []string) error) error {
	if b.split == nil {
		return do(cells)
	}
	var seen []string
	row := slices.Clone(cells)
	for text := range strings.SplitSeq(cells[b.split.at], b.split.by) {
		if text = strings.TrimSpace(text); text == "" || b.split.none[strings.ToLower(text)] || slices.Contains(seen, text) {
			continue
		}
		seen = append(seen, text)
		row[b.split.at] = text
		if err := do(row); err != nil {
			return err
		}
	}
	return nil
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

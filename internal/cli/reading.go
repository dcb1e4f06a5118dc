package cli

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"time"
)

// reading draws a line for each source that is being read, on a terminal: a bar where the last snapshot says how many records there
// may be, a count elsewhere. Below them stands how many sources were read.
type reading struct {
	w     io.Writer
	of    int // sources, 0 where nobody knows
	width int // of the terminal
	now   func() time.Time

	open  []open
	ended int
	drawn int // lines that stand on the terminal
	last  time.Time
}

// open is a source that is being read.
type open struct {
	source          string
	records, before int64
}

// A screen is drawn no more often, and a bar is so long.
const (
	drawEvery = 100 * time.Millisecond
	barLength = 30
)

// at says how far a source is.
func (r *reading) at(source string, records, before int64) {
	o := open{source, records, before}
	i := slices.IndexFunc(r.open, func(o open) bool { return o.source == source })
	if i < 0 {
		r.open = append(r.open, o)
		r.draw()
		return
	}
	r.open[i] = o
	if r.now().Sub(r.last) >= drawEvery {
		r.draw()
	}
}

// end says that a source was read.
func (r *reading) end(source string) {
	r.open = slices.DeleteFunc(r.open, func(o open) bool { return o.source == source })
	r.ended++
}

// all reports whether every source was read.
func (r *reading) all() bool { return r.of > 0 && r.ended >= r.of }

// draw puts the lines in the place of those that stand there.
func (r *reading) draw() {
	var b strings.Builder
	b.WriteString(r.erase())
	longest := 0
	for _, o := range r.open {
		longest = max(longest, len(o.source))
	}
	for _, o := range r.open {
		r.line(&b, fmt.Sprintf("%-*s %s %d records", longest, o.source, o.bar(), o.records))
	}
	done := fmt.Sprintf("%d sources read", r.ended)
	if r.of > 0 {
		done = fmt.Sprintf("%d of %d sources read", r.ended, r.of)
	}
	r.line(&b, done)
	r.last = r.now()
	_, _ = io.WriteString(r.w, b.String())
}

// line adds one that doesn't wrap: what stands could not be counted else.
func (r *reading) line(b *strings.Builder, text string) {
	if runes := []rune(text); r.width > 0 && len(runes) >= r.width {
		text = string(runes[:r.width-1])
	}
	b.WriteString(text)
	b.WriteByte('\n')
	r.drawn++
}

// bar shows a share, at most all but the end, which is known only when it is there.
func (o open) bar() string {
	if o.before == 0 {
		return strings.Repeat(" ", barLength+2)
	}
	n := int(min(o.records*barLength/o.before, barLength-1))
	return "[" + strings.Repeat("=", n) + ">" + strings.Repeat(" ", barLength-n-1) + "]"
}

// clear takes the lines off the terminal.
func (r *reading) clear() { _, _ = io.WriteString(r.w, r.erase()) }

// erase goes up over the lines and erases them (ECMA-48: CPL, ED).
func (r *reading) erase() string {
	n := r.drawn
	if r.drawn = 0; n == 0 {
		return ""
	}
	return fmt.Sprintf("\x1b[%dF\x1b[J", n)
}

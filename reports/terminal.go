package reports

import (
	"bufio"
	"fmt"
	"strings"
	"unicode"

	"golang.org/x/text/width"

	"github.com/lapse-audit/lapse/internal/finding"
)

// terminal writes lines of a limited width. What comes from foreign systems passes through Printable first.
type terminal struct {
	out   *bufio.Writer
	width int
	color bool
}

func (t *terminal) line(s string) { fmt.Fprintln(t.out, strings.TrimRight(s, " ")) }

func (t *terminal) heading(s string) {
	t.line("")
	t.line(t.bold(s))
}

func (t *terminal) alarm(s string) {
	for i, line := range t.lines(s, t.width-3) {
		mark := "!! "
		if i > 0 {
			mark = "   "
		}
		t.line(t.paint("1;31", mark+line))
	}
}

func (t *terminal) wrap(indent, s string) {
	for _, line := range t.lines(s, t.width-len(indent)) {
		t.line(indent + line)
	}
}

func (t *terminal) wrapDim(indent, s string) {
	for _, line := range t.lines(s, t.width-len(indent)) {
		t.line(indent + t.dim(line))
	}
}

// wrapMarked puts a mark of two columns before the first line.
func (t *terminal) wrapMarked(mark, s string) {
	for _, line := range t.lines(s, t.width-2) {
		t.line(mark + line)
		mark = "  "
	}
}

// lines breaks s at blanks; a word longer than a line is cut.
func (t *terminal) lines(s string, width int) []string {
	var out []string
	line := ""
	for word := range strings.FieldsSeq(Printable(s)) {
		switch {
		case line == "":
			line = word
		case Columns(line)+1+Columns(word) <= width:
			line += " " + word
		default:
			out = append(out, t.fit(line, width))
			line = word
		}
	}
	return append(out, t.fit(line, width))
}

// fit cuts s to so many columns and marks the cut.
func (t *terminal) fit(s string, width int) string {
	if Columns(s) <= width {
		return s
	}
	var out strings.Builder
	used := 0
	for _, r := range s {
		if used+runeColumns(r) > width-3 {
			break
		}
		out.WriteRune(r)
		used += runeColumns(r)
	}
	return out.String() + "..."
}

func (t *terminal) paint(code, s string) string {
	if !t.color || s == "" {
		return s
	}
	return "\x1b[" + code + "m" + s + "\x1b[0m"
}

func (t *terminal) bold(s string) string   { return t.paint("1", s) }
func (t *terminal) dim(s string) string    { return t.paint("2", s) }
func (t *terminal) red(s string) string    { return t.paint("1;31", s) }
func (t *terminal) yellow(s string) string { return t.paint("33", s) }

func (t *terminal) severity(s finding.Severity, text string) string {
	switch s {
	case finding.Critical:
		return t.red(text)
	case finding.High:
		return t.paint("31", text)
	case finding.Medium:
		return t.yellow(text)
	}
	return text
}

func pad(s string, width int) string {
	return s + strings.Repeat(" ", max(width-Columns(s), 0))
}

// Columns is how wide s stands on a terminal.
func Columns(s string) int {
	n := 0
	for _, r := range s {
		n += runeColumns(r)
	}
	return n
}

func runeColumns(r rune) int {
	switch {
	case unicode.In(r, unicode.Mn, unicode.Me, unicode.Cf):
		return 0
	case width.LookupRune(r).Kind() == width.EastAsianWide, width.LookupRune(r).Kind() == width.EastAsianFullwidth:
		return 2
	}
	return 1
}

// Printable replaces what could steer a terminal or turn the writing direction of what follows.
func Printable(s string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsControl(r) || unicode.Is(unicode.Bidi_Control, r) || r == '\u2028' || r == '\u2029' {
			return ' '
		}
		return r
	}, s)
}

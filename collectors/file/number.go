package file

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
)

// value is the text of a cell: of a formula what it came to when the workbook was saved. A reason says why there is none.
func (b *book) value(c sheetCell) (text, reason string) {
	if c.formula && !c.valued {
		return "", "the formula was never computed: open the workbook in a spreadsheet and save it"
	}
	switch c.kind {
	case "s":
		i, err := strconv.Atoi(strings.TrimSpace(c.text))
		text, ok := b.shared.At(i)
		if err != nil || !ok {
			return "", "refers to a text that the workbook doesn't hold"
		}
		return text, ""
	case "inlineStr", "str":
		return unescape(c.text), ""
	case "b":
		switch strings.TrimSpace(c.text) {
		case "1", "true":
			return "true", ""
		case "0", "false":
			return "false", ""
		}
		return "", "is neither true nor false"
	case "e":
		return "", fmt.Sprintf("holds the error %s", quoteError(c.text))
	case "d": // ISO 8601
		return strings.TrimSpace(c.text), ""
	case "n", "":
		return b.number(strings.TrimSpace(c.text), c.style)
	}
	return "", fmt.Sprintf("is of the unknown type %s", quoteWord(c.kind))
}

// quoteError shows one of the errors that spreadsheets have, and nothing else.
func quoteError(s string) string {
	if len(s) <= 16 && strings.Trim(s, "#ABCDEFGHIJKLMNOPQRSTUVWXYZ/0!?_") == "" {
		return s
	}
	return "of a formula"
}

// exact is how many digits a spreadsheet holds of a number.
const exact = 15

// number writes a number as text: a date as one, and others with the digits that a spreadsheet holds and shows, not with
// those that come of computing in halves.
func (b *book) number(s string, at int) (text, reason string) {
	if s == "" {
		return "", ""
	}
	var st style
	if at >= 0 && at < len(b.styles) {
		st = b.styles[at]
	}
	f, err := strconv.ParseFloat(s, 64)
	if err != nil || math.IsInf(f, 0) || math.IsNaN(f) {
		return "", "is not a number"
	}
	if st.date {
		if text, ok := b.date(f); ok {
			return text, ""
		}
	}
	digits := strings.TrimPrefix(s, "-")
	if strings.Trim(digits, "0123456789") != "" {
		if f, err = strconv.ParseFloat(strconv.FormatFloat(f, 'e', exact-1, 64), 64); err != nil {
			return "", "is not a number"
		}
		s = strconv.FormatFloat(f, 'f', -1, 64)
	}
	if n := st.zeros - len(s); n > 0 && strings.Trim(s, "0123456789") == "" {
		s = strings.Repeat("0", n) + s
	}
	return s, ""
}

// date reads a serial number: days, and parts of one. ECMA-376 part 1, 18.17.4.1: with the 1900 system day 60 is 29
// February 1900, which never was, so that days before it are one later than they would be.
func (b *book) date(f float64) (string, bool) {
	const last = 2958465 // 31 December 9999
	if f < 1 && !b.y1904 || f < 0 || f >= last+1 || f >= 60 && f < 61 && !b.y1904 {
		return "", false
	}
	epoch := time.Date(1899, 12, 30, 0, 0, 0, 0, time.UTC)
	switch {
	case b.y1904:
		epoch = time.Date(1904, 1, 1, 0, 0, 0, 0, time.UTC)
	case f < 60:
		epoch = epoch.AddDate(0, 0, 1)
	}
	days, part := math.Modf(f)
	t := epoch.AddDate(0, 0, int(days)).Add(time.Duration(math.Round(part*86400e3)) * time.Millisecond)
	if t.Equal(t.Truncate(24 * time.Hour)) {
		return t.Format(time.DateOnly), true
	}
	return t.Format("2006-01-02T15:04:05.999"), true
}

// styleOf reads what a number format says: ECMA-376 part 1, 18.8.30 (numFmt).
func styleOf(id string, codes map[string]string) style {
	if code, ok := codes[id]; ok {
		return style{date: dateCode(code), zeros: zeroCode(code)}
	}
	n, err := strconv.Atoi(id)
	return style{date: err == nil && (n >= 14 && n <= 17 || n == 22 || n >= 27 && n <= 31 || n == 36 || n >= 50 && n <= 54 || n == 57 || n == 58)}
}

// dateCode tells whether a format has a year or a day in it. A format of times alone is none of dates.
func dateCode(code string) bool {
	code, _, _ = strings.Cut(code, ";")
	for i := 0; i < len(code); i++ {
		switch code[i] {
		case '"':
			end := strings.IndexByte(code[i+1:], '"')
			if end < 0 {
				return false
			}
			i += end + 1
		case '\\', '_', '*':
			i++
		case '[': // a colour, a condition, a language, or hours that go on
			end := strings.IndexByte(code[i:], ']')
			if end < 0 {
				return false
			}
			i += end
		case 'y', 'Y', 'd', 'D':
			return true
		case 'G', 'g': // General, or the year of an era
			if strings.HasPrefix(strings.ToLower(code[i:]), "general") {
				i += len("general") - 1
			}
		}
	}
	return false
}

// zeroCode counts the digits of a format that only pads: 00000.
func zeroCode(code string) int {
	if len(code) > 1 && len(code) <= exact && strings.Trim(code, "0") == "" {
		return len(code)
	}
	return 0
}

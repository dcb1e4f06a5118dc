package file

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"

	"github.com/lapse-audit/lapse/internal/access"
	"github.com/lapse-audit/lapse/internal/collect"
)

// cellType is what a field holds.
type cellType string

const (
	textCell  cellType = "a text"
	flagCell  cellType = "true or false"
	timeCell  cellType = "a date"
	countCell cellType = "a number"
	priceCell cellType = "a price"
	enumCell  cellType = "one of a few words"
	listCell  cellType = "a list"
)

// field is one field of a row type R and how its cell is put there; one of the functions is set, by its type.
type field[R any] struct {
	fieldInfo
	text  func(*R) *string
	flag  func(*R) **bool
	time  func(*R) **time.Time
	when  func(*R) *moment // resolved when the row is whole
	count func(*R) **int64
	list  func(*R) *[]string
	never func(*R) **bool // beside time: set to true by a text for never
}

// fieldInfo is what the configuration needs to know about a field.
type fieldInfo struct {
	name string
	typ  cellType
	enum []string
	fold func(string) string // of a text
}

// shape is the fields of a kind of record.
type shape struct {
	kind     collect.Kind
	fields   []fieldInfo
	required []string // field names, of which "a|b" needs one
}

func (s shape) names() []string {
	var out []string
	for _, f := range s.fields {
		out = append(out, f.name)
	}
	slices.Sort(out)
	return out
}

// canonical is the text of a flag, an enumeration or a text as the record holds it.
func (f fieldInfo) canonical(s string) (text, reason string) {
	switch f.typ {
	case flagCell:
		switch strings.ToLower(s) {
		case "true", "yes", "y", "t", "1", "on":
			return "true", ""
		case "false", "no", "n", "f", "0", "off":
			return "false", ""
		}
		return "", fmt.Sprintf("%s is neither true nor false; say under values.%s what it stands for", quoteWord(s), f.name)
	case enumCell:
		if i := slices.IndexFunc(f.enum, func(e string) bool { return strings.EqualFold(e, s) }); i >= 0 {
			return f.enum[i], ""
		}
		return "", fmt.Sprintf("%s is none of %s; say under values.%s what it stands for", quoteWord(s), strings.Join(f.enum, ", "), f.name)
	}
	if f.fold != nil {
		return f.fold(s), ""
	}
	return s, ""
}

// quoteWord shows a value only if it is a short word or two: a column mapped by mistake may hold anything.
func quoteWord(s string) string {
	odd := strings.ContainsFunc(s, func(r rune) bool {
		return !unicode.IsLetter(r) && !unicode.IsDigit(r) && r != ' ' && r != '-' && r != '_'
	})
	if len(s) <= 24 && !odd {
		return strconv.Quote(s)
	}
	return fmt.Sprintf("a text of %d characters", len([]rune(s)))
}

// parser turns the text of a cell into what the field holds.
type parser[R any] struct {
	field  field[R]
	values map[string]string // folded text to canonical
	dates  []*layout
	never  map[string]bool
	comma  bool
	zone   *time.Location
}

var price = regexp.MustCompile(`^[0-9]{1,12}(\.[0-9]{1,8})?$`)

// set puts the text of a cell, trimmed and not empty, into the row, or gives the reason why it can't.
func (p *parser[R]) set(row *R, s string) (reason string) {
	f := &p.field
	if len(p.values) > 0 {
		if to, ok := p.values[strings.ToLower(s)]; ok {
			if s = to; s == "" {
				return ""
			}
		}
	}
	switch f.typ {
	case textCell, enumCell:
		text, reason := f.canonical(s)
		*f.text(row) = text
		return reason
	case flagCell:
		text, reason := f.canonical(s)
		if reason != "" {
			return reason
		}
		b := text == "true"
		*f.flag(row) = &b
	case countCell:
		n, err := strconv.ParseInt(s, 10, 64)
		if err != nil || n < 0 {
			return "not a whole number"
		}
		*f.count(row) = &n
	case priceCell:
		if p.comma {
			s = strings.Replace(s, ",", ".", 1)
		}
		if !price.MatchString(s) {
			return "not a price: write 57.00, or set decimal_comma where it is 57,00"
		}
		*f.text(row) = s
	case listCell:
		for e := range strings.SplitSeq(s, ";") {
			if e = strings.TrimSpace(e); e != "" {
				*f.list(row) = append(*f.list(row), e)
			}
		}
	case timeCell:
		return p.setTime(row, s)
	}
	return ""
}

func (p *parser[R]) setTime(row *R, s string) (reason string) {
	var m moment
	if len(p.never) > 0 && p.never[strings.ToLower(s)] {
		m = moment{given: true, never: true, open: true}
	} else if m, reason = parseMoment(p.dates, s); reason != "" {
		return reason
	}
	if p.field.when != nil {
		*p.field.when(row) = m
		return ""
	}
	switch {
	case m.never && p.field.never != nil:
		yes := true
		*p.field.never(row) = &yes
	case m.never:
	case m.open && p.field.name != "expires_at":
		return fmt.Sprintf("%s is no date; if it stands for never, list it under never", quoteDate(s))
	case m.open:
	default:
		t := m.in(p.zone)
		*p.field.time(row) = &t
	}
	return ""
}

func accountKind(k *access.AccountKind) *string   { return (*string)(k) }
func personStatus(s *access.PersonStatus) *string { return (*string)(s) }
func holderKind(k *access.HolderKind) *string     { return (*string)(k) }

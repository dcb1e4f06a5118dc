package scim

import (
	"encoding/json"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

// maxText is the longest text in bytes that is taken for one.
const maxText = 64 << 10

// text is a JSON string, or a whole number as some servers write ids. What is neither leaves it empty and says so in
// odd; null is absent.
type text struct {
	s      string
	number bool
	odd    string
}

var wholeNumber = regexp.MustCompile(`^-?(0|[1-9][0-9]*)$`)

// UnmarshalJSON implements json.Unmarshaler. It returns no error: one bad attribute is no bad page.
func (t *text) UnmarshalJSON(data []byte) error {
	*t = text{}
	switch c := data[0]; {
	case c == 'n':
	case c == '"' && len(data) > maxText:
		t.odd = fmt.Sprintf("a text of %d bytes: the most is %d", len(data), maxText)
	case c == '"':
		if err := json.Unmarshal(data, &t.s); err != nil {
			t.odd = "no text"
		}
		switch {
		case strings.ContainsRune(t.s, utf8.RuneError):
			*t = text{odd: "a text with a character that is none (U+FFFD)"}
		case strings.IndexByte(t.s, 0) >= 0:
			*t = text{odd: "a text with a NUL character"}
		}
	case len(data) <= 40 && wholeNumber.Match(data):
		t.s, t.number = string(data), true
	default:
		t.odd = "no text"
	}
	return nil
}

// flag is a JSON boolean, or the text of one, which some servers write; nil is unknown.
type flag struct {
	value *bool
	odd   string
}

// UnmarshalJSON implements json.Unmarshaler.
func (f *flag) UnmarshalJSON(data []byte) error {
	*f = flag{}
	s := strings.ToLower(strings.Trim(string(data[:min(len(data), 16)]), `"`))
	switch s {
	case "true", "false":
		b := s == "true"
		f.value = &b
	case "null", "":
	default:
		f.odd = "neither true nor false"
	}
	return nil
}

// count is a number of resources, which some servers write as a text; nil is absent.
type count struct {
	value *int
	odd   bool
}

// UnmarshalJSON implements json.Unmarshaler.
func (c *count) UnmarshalJSON(data []byte) error {
	*c = count{}
	s := strings.Trim(string(data[:min(len(data), 32)]), `"`)
	if s == "null" {
		return nil
	}
	if n, err := strconv.Atoi(s); err == nil && n >= 0 && n <= 1<<40 {
		c.value = &n
	} else {
		c.odd = true
	}
	return nil
}

// some is what may be a T, or a list of T, or something else altogether, which is nothing.
type some[T any] struct {
	list []T
	odd  string
}

// UnmarshalJSON implements json.Unmarshaler.
func (s *some[T]) UnmarshalJSON(data []byte) error {
	*s = some[T]{}
	switch data[0] {
	case 'n':
		return nil
	case '[':
		if err := json.Unmarshal(data, &s.list); err != nil {
			*s = some[T]{odd: "no list of objects"}
		}
	default:
		var one T
		if json.Unmarshal(data, &one) == nil {
			s.list = []T{one}
		} else {
			s.odd = "no list of objects"
		}
	}
	return nil
}

// instant reads an xsd:dateTime with a zone (RFC 7643, 2.3.5). Without one it is no instant, and what can't be stored
// stands for no date: some servers write the year 1.
func instant(s string) (*time.Time, bool) {
	if s == "" {
		return nil, true
	}
	t, err := time.Parse(time.RFC3339Nano, strings.ToUpper(s))
	if err != nil || t.UTC().Year() < 1900 || t.UTC().Year() > 2299 {
		return nil, false
	}
	t = t.UTC()
	return &t, true
}

package strict

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"
)

// Texts is one text or a list of texts in YAML.
type Texts []string

// UnmarshalYAML implements yaml.Unmarshaler.
func (t *Texts) UnmarshalYAML(n *yaml.Node) error {
	list := []*yaml.Node{n}
	if n.Kind == yaml.SequenceNode {
		list = n.Content
	}
	*t = nil
	for _, e := range list {
		if e.Kind == yaml.AliasNode {
			e = e.Alias
		}
		if e.Kind != yaml.ScalarNode {
			return fmt.Errorf("line %d, column %d: want a text or a list of texts", e.Line, e.Column)
		}
		*t = append(*t, e.Value)
	}
	return nil
}

// Attributes gives what a source calls each attribute: in YAML a map of our name to the source's, or a list of names that
// are the same in both.
type Attributes map[string]string

// UnmarshalYAML implements yaml.Unmarshaler.
func (a *Attributes) UnmarshalYAML(n *yaml.Node) error {
	if n.Kind == yaml.MappingNode {
		return n.Decode((*map[string]string)(a))
	}
	var names Texts
	if err := names.UnmarshalYAML(n); err != nil {
		return err
	}
	*a = Attributes{}
	for _, name := range names {
		(*a)[name] = name
	}
	return nil
}

// Span is a length of time: 60s, 12h, 14d.
type Span time.Duration

// maxDays keeps a Span from overflowing.
const maxDays = 36500

// UnmarshalText reads Go's notation, and days.
func (s *Span) UnmarshalText(text []byte) error {
	if days, ok := strings.CutSuffix(string(text), "d"); ok {
		if n, err := strconv.Atoi(days); err == nil && n >= 0 && n <= maxDays {
			*s = Span(time.Duration(n) * 24 * time.Hour)
			return nil
		}
	}
	d, err := time.ParseDuration(string(text))
	if err != nil || d < 0 {
		return fmt.Errorf("%q is no length of time: write 60s, 12h or 14d", text)
	}
	*s = Span(d)
	return nil
}

func (s Span) String() string {
	const day = 24 * time.Hour
	if d := time.Duration(s); d >= day && d%day == 0 {
		return fmt.Sprintf("%dd", d/day)
	}
	return time.Duration(s).String()
}

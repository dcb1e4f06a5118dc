package rest

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"regexp"
	"strings"

	"go.yaml.in/yaml/v3"
)

// Template is a text with expressions in braces: /groups/{.id}/members.
type Template struct {
	text  string
	at    place
	parts []part
}

type part struct {
	text string
	expr *Expr // or nil
}

// UnmarshalYAML implements yaml.Unmarshaler.
func (t *Template) UnmarshalYAML(n *yaml.Node) error {
	if n.Kind == yaml.AliasNode {
		n = n.Alias
	}
	if n.Kind != yaml.ScalarNode {
		return fault(n, "want a text")
	}
	return t.parse(n.Value, place{n.Line, n.Column})
}

func (t *Template) parse(text string, at place) error {
	*t = Template{text: text, at: at}
	for rest := text; rest != ""; {
		open := strings.IndexByte(rest, '{')
		if open < 0 {
			t.parts = append(t.parts, part{text: rest})
			break
		}
		if open > 0 {
			t.parts = append(t.parts, part{text: rest[:open]})
		}
		depth, end := 0, -1
		for i := open; i < len(rest) && end < 0; i++ {
			switch rest[i] {
			case '{':
				depth++
			case '}':
				if depth--; depth == 0 {
					end = i
				}
			}
		}
		if end < 0 {
			return fault(&yaml.Node{Line: at.line, Column: at.column}, "a brace is not closed")
		}
		expr := new(Expr)
		if err := expr.parse(rest[open+1:end], at); err != nil {
			return err
		}
		t.parts = append(t.parts, part{expr: expr})
		rest = rest[end+1:]
	}
	return nil
}

// IsSet reports whether there is a text.
func (t *Template) IsSet() bool { return t.text != "" }

func (t *Template) compile(vars []string) error {
	var errs []error
	for _, p := range t.parts {
		if p.expr != nil {
			errs = append(errs, p.expr.compile(vars))
		}
	}
	return errors.Join(errs...)
}

// fill puts the values in, each through escape. It is "", false where an expression yields null.
func (t *Template) fill(v any, vars []any, escape func(string) (string, error)) (string, bool, error) {
	var b strings.Builder
	for _, p := range t.parts {
		if p.expr == nil {
			b.WriteString(p.text)
			continue
		}
		out, err := p.expr.one(v, vars)
		if err != nil {
			return "", false, fmt.Errorf("%s: {%s}: %w", t.text, p.expr.text, err)
		}
		if out == nil {
			return "", false, nil
		}
		text, ok := asText(out)
		if !ok {
			return "", false, fmt.Errorf("%s: {%s} is %s", t.text, p.expr.text, describe(out))
		}
		if text, err = escape(text); err != nil {
			return "", false, fmt.Errorf("%s: {%s}: %w", t.text, p.expr.text, err)
		}
		b.WriteString(text)
	}
	return b.String(), true, nil
}

func plain(s string) (string, error) { return s, nil }

// segment escapes a value for one segment of a path. A value that would lead out of its folder is refused.
func segment(s string) (string, error) {
	if s == "" || s == "." || s == ".." {
		return "", errors.New("is empty or dots, which would be another path")
	}
	return url.PathEscape(s), nil
}

var hostForm = regexp.MustCompile(`^[A-Za-z0-9._-]+$`)

// hostPart lets through what can stand within a host's name.
func hostPart(s string) (string, error) {
	if !hostForm.MatchString(s) {
		return "", errors.New("is no part of a host's name")
	}
	return s, nil
}

// Body is a JSON document whose texts are templates. A text that is one expression takes on its value.
type Body struct {
	value any // of map[string]any, []any, *Template and scalars
	set   bool
}

// UnmarshalYAML implements yaml.Unmarshaler.
func (b *Body) UnmarshalYAML(n *yaml.Node) error {
	v, err := bodyValue(n)
	*b = Body{value: v, set: err == nil}
	return err
}

func bodyValue(n *yaml.Node) (any, error) {
	switch n.Kind {
	case yaml.AliasNode:
		return bodyValue(n.Alias)
	case yaml.MappingNode:
		m := map[string]any{}
		for i := 0; i < len(n.Content); i += 2 {
			v, err := bodyValue(n.Content[i+1])
			if err != nil {
				return nil, err
			}
			m[n.Content[i].Value] = v
		}
		return m, nil
	case yaml.SequenceNode:
		list := []any{}
		for _, e := range n.Content {
			v, err := bodyValue(e)
			if err != nil {
				return nil, err
			}
			list = append(list, v)
		}
		return list, nil
	}
	if n.Tag == "!!str" {
		t := new(Template)
		return t, t.UnmarshalYAML(n)
	}
	var v any
	err := n.Decode(&v)
	return v, err
}

func (b *Body) compile(vars []string) error {
	var errs []error
	var walk func(any)
	walk = func(v any) {
		switch v := v.(type) {
		case map[string]any:
			for _, e := range v {
				walk(e)
			}
		case []any:
			for _, e := range v {
				walk(e)
			}
		case *Template:
			errs = append(errs, v.compile(vars))
		}
	}
	walk(b.value)
	return errors.Join(errs...)
}

// fill makes the document, with extra keys at the top.
func (b *Body) fill(v any, vars []any, extra map[string]any) ([]byte, error) {
	var walk func(any) (any, error)
	walk = func(in any) (any, error) {
		switch in := in.(type) {
		case map[string]any:
			out := map[string]any{}
			for k, e := range in {
				o, err := walk(e)
				if err != nil {
					return nil, err
				}
				out[k] = o
			}
			return out, nil
		case []any:
			out := []any{}
			for _, e := range in {
				o, err := walk(e)
				if err != nil {
					return nil, err
				}
				out = append(out, o)
			}
			return out, nil
		case *Template:
			if len(in.parts) == 1 && in.parts[0].expr != nil {
				return in.parts[0].expr.one(v, vars)
			}
			text, _, err := in.fill(v, vars, plain)
			return text, err
		}
		return in, nil
	}
	out, err := walk(b.value)
	if err != nil {
		return nil, err
	}
	if len(extra) > 0 {
		m, ok := out.(map[string]any)
		if out != nil && !ok {
			return nil, errors.New("body: want an object to put the cursor in")
		}
		if m == nil {
			m = map[string]any{}
		}
		for k, e := range extra {
			m[k] = e
		}
		out = m
	}
	return json.Marshal(out)
}

// shown is the text for a person: what has no value yet stays as it is written.
func (t *Template) shown(vars []any, escape func(string) (string, error)) string {
	var b strings.Builder
	for _, p := range t.parts {
		if p.expr == nil {
			b.WriteString(p.text)
			continue
		}
		text := "{" + p.expr.text + "}"
		if out, err := p.expr.one(nil, vars); err == nil && out != nil {
			if s, ok := asText(out); ok {
				if s, err = escape(s); err == nil {
					text = s
				}
			}
		}
		b.WriteString(text)
	}
	return b.String()
}

// shown is the document for a person.
func (b *Body) shown(vars []any) string {
	var walk func(any) any
	walk = func(in any) any {
		switch in := in.(type) {
		case map[string]any:
			out := map[string]any{}
			for k, e := range in {
				out[k] = walk(e)
			}
			return out
		case []any:
			out := []any{}
			for _, e := range in {
				out = append(out, walk(e))
			}
			return out
		case *Template:
			if len(in.parts) == 1 && in.parts[0].expr != nil {
				if v, err := in.parts[0].expr.one(nil, vars); err == nil && v != nil {
					return v
				}
			}
			return in.shown(vars, plain)
		}
		return in
	}
	var text strings.Builder
	e := json.NewEncoder(&text)
	e.SetEscapeHTML(false)
	if err := e.Encode(walk(b.value)); err != nil { // of values of jq
		panic(err)
	}
	return strings.TrimSuffix(text.String(), "\n")
}

func escaped(s string) (string, error) { return url.QueryEscape(s), nil }

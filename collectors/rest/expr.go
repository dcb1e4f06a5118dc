package rest

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/itchyny/gojq"
	"go.yaml.in/yaml/v3"

	"github.com/lapse-audit/lapse/internal/strict"
)

// Expr is a jq expression. It is parsed when it is read and compiled when its variables are known; then it may be used
// by several goroutines.
type Expr struct {
	text  string
	at    place
	query *gojq.Query
	code  *gojq.Code
	path  []string // of an expression that is a plain path: .profile.login, $params.kind
	root  int      // the variable at which a path begins, -1 for the input
	whole bool     // the expression is ".", or a variable
	fixed any      // of an expression that is a constant: "group"
	vars  int
}

// UnmarshalYAML implements yaml.Unmarshaler.
func (e *Expr) UnmarshalYAML(n *yaml.Node) error {
	if n.Kind == yaml.AliasNode {
		n = n.Alias
	}
	if n.Kind != yaml.ScalarNode {
		return fault(n, "want a jq expression: quote one that begins with a brace, a bracket or a quote")
	}
	return e.parse(n.Value, place{n.Line, n.Column})
}

func (e *Expr) parse(text string, at place) error {
	source := text
	if strings.Contains(text, "now") { // a function of the recipe's own hides jq's
		source = `def now: error("now is not there: a recipe gives the same for the same answers"); ` + text
	}
	query, err := gojq.Parse(source)
	if err != nil {
		return &strict.Error{Line: at.line, Column: at.column, Reason: fmt.Sprintf("jq: %v", err)}
	}
	*e = Expr{text: text, at: at, query: query}
	return nil
}

func fault(n *yaml.Node, reason string) error {
	return &strict.Error{Line: n.Line, Column: n.Column, Reason: reason}
}

// IsSet reports whether there is an expression.
func (e *Expr) IsSet() bool { return e.query != nil }

var (
	plainPath = regexp.MustCompile(`^(\$[a-z][a-z0-9_]*)?((?:\.[A-Za-z_][A-Za-z0-9_]*)*)$`)
	constant  = regexp.MustCompile(`^(true|false|"[^"\\]*")$`)
)

// compile binds the variables. Expressions can't read files, the environment or the time of day.
func (e *Expr) compile(vars []string) error {
	if !e.IsSet() {
		return nil
	}
	code, err := gojq.Compile(e.query, gojq.WithVariables(vars))
	if err != nil {
		return &strict.Error{Line: e.at.line, Column: e.at.column, Reason: fmt.Sprintf("jq: %v", err)}
	}
	e.code, e.vars = code, len(vars)
	// What jq need not be started for: most expressions are one of these.
	text := strings.TrimSpace(e.text)
	e.root = -1
	if m := plainPath.FindStringSubmatch(text); m != nil && text != "" {
		if m[1] != "" {
			e.root = slices.Index(vars, m[1])
		}
		if m[2] != "" {
			e.path = strings.Split(m[2], ".")[1:]
		}
		e.whole = m[2] == ""
	}
	if text == "." {
		e.whole = true
	}
	if constant.MatchString(text) {
		return json.Unmarshal([]byte(text), &e.fixed)
	}
	return nil
}

// easy gives the only output of an expression that needs no jq. It is what jq gives.
func (e *Expr) easy(v any, vars []any) (out any, err error, ok bool) {
	switch {
	case e.fixed != nil:
		return e.fixed, nil, true
	case e.path == nil && !e.whole:
		return nil, nil, false
	case e.root >= 0:
		v = vars[e.root]
	}
	out, err = e.walk(v)
	return out, err, true
}

// walk follows a plain path. It is what jq does, without starting jq: most fields are one.
func (e *Expr) walk(v any) (any, error) {
	for _, key := range e.path {
		switch m := v.(type) {
		case nil:
			return nil, nil
		case map[string]any:
			v = m[key]
		default:
			return nil, fmt.Errorf("expected an object but got %s", describe(v))
		}
	}
	return v, nil
}

// one gives the only output, nil where there is none.
func (e *Expr) one(v any, vars []any) (any, error) {
	if out, err, ok := e.easy(v, vars); ok {
		return out, err
	}
	iter := e.code.Run(v, vars[:e.vars]...)
	out, ok := iter.Next()
	if !ok {
		return nil, nil
	}
	if err, bad := out.(error); bad {
		return nil, clean(err)
	}
	if _, more := iter.Next(); more {
		return nil, errors.New("yields several values: use first(…), or from: for several records")
	}
	return out, nil
}

// all calls do with every output.
func (e *Expr) all(ctx context.Context, v any, vars []any, do func(any) error) error {
	if out, err, ok := e.easy(v, vars); ok {
		if err != nil {
			return err
		}
		return do(out)
	}
	iter := e.code.RunWithContext(ctx, v, vars[:e.vars]...)
	for {
		out, ok := iter.Next()
		if !ok {
			return nil
		}
		if err, bad := out.(error); bad {
			if ctx.Err() != nil {
				return ctx.Err()
			}
			return clean(err)
		}
		if err := do(out); err != nil {
			return err
		}
	}
}

// truth is one output as a condition.
func (e *Expr) truth(v any, vars []any) (bool, error) {
	out, err := e.one(v, vars)
	return out != nil && out != false, err
}

// clean is jq's error without the values that it quotes: they may be anything.
func clean(err error) error {
	text := err.Error()
	var value gojq.ValueError
	if errors.As(err, &value) { // error("…") of the recipe itself
		if s, ok := value.Value().(string); ok && strings.HasPrefix(text, "error: ") {
			return errors.New(s)
		}
	}
	if i := strings.Index(text, " ("); i >= 0 {
		text = text[:i]
	}
	if i := strings.IndexByte(text, '"'); i >= 0 {
		text = strings.TrimRight(text[:i], " :(")
	}
	return fmt.Errorf("jq: %s", text)
}

// describe says what a value is, and not its content.
func describe(v any) string {
	switch v := v.(type) {
	case nil:
		return "null"
	case bool:
		return fmt.Sprint(v)
	case string:
		return "a text"
	case []any:
		return "a list"
	case map[string]any:
		return "an object"
	case time.Time:
		return "a time"
	}
	return "a number"
}

// asText is a scalar as text.
func asText(v any) (string, bool) {
	switch v := v.(type) {
	case string:
		return v, true
	case bool:
		return fmt.Sprint(v), true
	case json.Number:
		return v.String(), true
	case nil, []any, map[string]any:
		return "", false
	}
	text, err := gojq.Marshal(v)
	return string(text), err == nil
}

package serve

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/itchyny/gojq"
	"go.yaml.in/yaml/v3"
)

// Expr is a jq expression over the body of an event. It sees no file, no environment and no time of day.
type Expr struct{ code *gojq.Code }

// UnmarshalYAML implements yaml.Unmarshaler.
func (e *Expr) UnmarshalYAML(n *yaml.Node) error {
	if n.Kind != yaml.ScalarNode {
		return errors.New("want a jq expression: quote one that begins with a brace, a bracket or a quote")
	}
	query, err := gojq.Parse(n.Value)
	if err != nil {
		return fmt.Errorf("jq: %w", err)
	}
	if e.code, err = gojq.Compile(query); err != nil {
		return fmt.Errorf("jq: %w", err)
	}
	return nil
}

// IsSet reports whether there is an expression.
func (e *Expr) IsSet() bool { return e.code != nil }

// exprTime is the most that an expression may take.
const exprTime = time.Second

// text gives the only output as text, "" for null or none. What the body holds is in no error.
func (e *Expr) text(ctx context.Context, body any) (string, error) {
	if !e.IsSet() {
		return "", nil
	}
	ctx, cancel := context.WithTimeout(ctx, exprTime)
	defer cancel()
	iter := e.code.RunWithContext(ctx, body)
	v, ok := iter.Next()
	if !ok {
		return "", nil
	}
	if _, bad := v.(error); bad {
		return "", errors.New("its expression doesn't fit the body")
	}
	if _, more := iter.Next(); more {
		return "", errors.New("its expression yields several values: use first(…)")
	}
	switch v := v.(type) {
	case nil:
		return "", nil
	case string:
		return strings.TrimSpace(v), nil
	case json.Number:
		return v.String(), nil
	case bool, []any, map[string]any:
		return "", errors.New("its expression yields neither a text nor a number")
	}
	data, err := gojq.Marshal(v)
	return string(data), err
}

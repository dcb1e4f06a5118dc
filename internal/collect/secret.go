package collect

import (
	"fmt"
	"log/slog"
	"strings"

	"go.yaml.in/yaml/v3"
)

// Secret refers to a secret: env:NAME, file:PATH or exec:COMMAND. The secret itself never stands in a file of
// configuration, and neither the reference nor the secret is ever printed. Whoever runs a collector gives it the means
// to resolve one.
type Secret struct{ ref string }

// IsSet reports whether there is a reference.
func (s Secret) IsSet() bool { return s.ref != "" }

// Reference is what was written: for whoever resolves it, not for print.
func (s Secret) Reference() string { return s.ref }

func (s Secret) String() string {
	if s.ref == "" {
		return ""
	}
	return "<secret>"
}

// GoString keeps %#v from printing the reference.
func (s Secret) GoString() string { return s.String() }

// LogValue keeps slog from printing the reference.
func (s Secret) LogValue() slog.Value { return slog.StringValue(s.String()) }

// MarshalText writes <secret>.
func (s Secret) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// MarshalYAML writes <secret>.
func (s Secret) MarshalYAML() (any, error) { return s.String(), nil }

// UnmarshalYAML accepts only references.
func (s *Secret) UnmarshalYAML(n *yaml.Node) error {
	kind, rest, ok := strings.Cut(n.Value, ":")
	if n.Kind != yaml.ScalarNode || !ok || rest == "" || kind != "env" && kind != "file" && kind != "exec" {
		return fmt.Errorf("a secret is only referred to: write env:NAME, file:PATH or exec:COMMAND")
	}
	s.ref = n.Value
	return nil
}

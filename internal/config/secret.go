package config

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"strings"

	"go.yaml.in/yaml/v3"
)

// Secret refers to a secret: env:NAME, file:PATH or exec:COMMAND. The secret itself never stands in a file of
// configuration, and neither the reference nor the secret is ever printed.
type Secret struct{ ref string }

// IsSet reports whether there is a reference.
func (s Secret) IsSet() bool { return s.ref != "" }

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

// Resolve fetches the secret. A trailing newline is cut off. Relative files are relative to base.
func (s Secret) Resolve(ctx context.Context, base string) (string, error) {
	kind, rest, _ := strings.Cut(s.ref, ":")
	switch kind {
	case "":
		return "", nil
	case "env":
		v, ok := os.LookupEnv(rest)
		if !ok {
			return "", fmt.Errorf("secret env:%s: the variable is not set", rest)
		}
		return v, nil
	case "file":
		data, err := os.ReadFile(resolvePath(base, rest))
		if err != nil {
			return "", fmt.Errorf("secret file: %w", err)
		}
		return strings.TrimRight(string(data), "\r\n"), nil
	}
	cmd := exec.CommandContext(ctx, "/bin/sh", "-c", rest)
	cmd.Dir = base
	out, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("secret exec: the command failed: %w", err)
	}
	return strings.TrimRight(string(out), "\r\n"), nil
}

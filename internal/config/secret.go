package config

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"strings"

	"github.com/lapse-audit/lapse/internal/collect"
)

// Secret is a reference that can be resolved: only here are the environment read and commands run for one.
type Secret struct{ collect.Secret }

// Secret fetches what stands at a key of lapse.yaml; "" if nothing does.
func (c *Config) Secret(ctx context.Context, key string, ref collect.Secret) (string, error) {
	text, err := Secret{ref}.Resolve(ctx, c.Dir)
	if err != nil {
		return "", fmt.Errorf("%s: %w", key, err)
	}
	return text, nil
}

// Resolve fetches the secret. A trailing newline is cut off. Relative files are relative to base.
func (s Secret) Resolve(ctx context.Context, base string) (string, error) {
	kind, rest, _ := strings.Cut(s.Reference(), ":")
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

package baton

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/lapse-audit/lapse/internal/access"
	"github.com/lapse-audit/lapse/internal/spell"
)

// Config is the section of a source of type baton in lapse.yaml.
type Config struct {
	// Path is the .c1z file that the connector writes, relative to the folder of lapse.yaml.
	Path string `yaml:"path"`
	// MaxSize is how large the file may become when it is unpacked, 4GiB by default.
	MaxSize Size `yaml:"max_size"`

	// Fields gives the key of a user's profile for a field of accounts: employee_id: userid. What the connector says of the
	// field itself goes before it.
	Fields map[string]string `yaml:"fields"`
	// Attributes are keys of a user's profile that are kept as they are.
	Attributes []string `yaml:"attributes"`
	// Kinds say what an account is for; the first that fits wins over what the connector says.
	Kinds []Kind `yaml:"kinds"`
	// Privileged are the entitlements that give special rights: patterns of their id, as role:*:assignment. A connector
	// doesn't say.
	Privileged []string `yaml:"privileged"`
	// Inherit says, by type of resource, which of its entitlements hand on what the resource itself holds: {group: member}
	// where the members of a group have what is granted to the group. It is asked only where the connector doesn't say.
	Inherit map[string]string `yaml:"inherit"`
}

// Kind gives accounts a kind. All that it names must fit.
type Kind struct {
	Kind access.AccountKind `yaml:"kind"`
	// Username is a pattern with * and ?, matched whatever the case.
	Username string `yaml:"username"`
	// Type is a type of resource, as the connector names it.
	Type string `yaml:"type"`
}

// Size is a number of bytes: 512MiB, 4GiB.
type Size int64

var sizeForm = regexp.MustCompile(`^(\d{1,9}) ?(MiB|GiB)$`)

// UnmarshalText reads a number with its unit.
func (s *Size) UnmarshalText(text []byte) error {
	m := sizeForm.FindSubmatch(text)
	if m == nil {
		return fmt.Errorf("%q is no size: write 512MiB or 4GiB", text)
	}
	n, err := strconv.ParseInt(string(m[1]), 10, 64)
	if err != nil {
		return err
	}
	*s = Size(n << map[string]int{"MiB": 20, "GiB": 30}[string(m[2])])
	return nil
}

func (s Size) String() string { return fmt.Sprintf("%dMiB", s>>20) }

const defaultMaxSize = Size(4 << 30)

// defaults are the values of what is not set.
func (c Config) defaults() Config {
	c.MaxSize = cmp.Or(c.MaxSize, defaultMaxSize)
	return c
}

var accountKinds = []access.AccountKind{access.KindHuman, access.KindService, access.KindShared, access.KindGuest, access.KindMachine}

// Validate reports all faults at once, each with the name of its field.
func (c Config) Validate() error {
	var errs []error
	add := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }
	if c.Path == "" {
		add("path: is missing: name the .c1z file that the connector writes (its option --file)")
	}
	if c.MaxSize < 0 {
		add("max_size: is less than 0")
	}
	for _, name := range slices.Sorted(maps.Keys(c.Fields)) {
		switch {
		case textFields[name] == nil:
			known := slices.Sorted(maps.Keys(textFields))
			hint := ": there are " + strings.Join(known, ", ")
			if near := spell.Nearest(name, known); near != "" {
				hint = fmt.Sprintf(": did you mean %q?", near)
			}
			add("fields: there is no field %q%s", name, hint)
		case c.Fields[name] == "":
			add("fields: %s: name a key of the profile", name)
		}
	}
	for i, k := range c.Kinds {
		if err := k.validate(); err != nil {
			add("kinds[%d]: %w", i, err)
		}
	}
	for i, p := range c.Privileged {
		if _, err := path.Match(p, ""); err != nil || p == "" {
			add("privileged[%d]: %q is no pattern: write role:admin:assigned or role:*:owner", i, p)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(c.Inherit)) {
		if c.Inherit[name] == "" {
			add("inherit: %s: name the slug of an entitlement, as member", name)
		}
	}
	return errors.Join(errs...)
}

func (k Kind) validate() error {
	if !slices.Contains(accountKinds, k.Kind) {
		return fmt.Errorf("kind: %q is none of human, service, shared, guest, machine", k.Kind)
	}
	if k.Username == "" && k.Type == "" {
		return errors.New("says nothing of which accounts: set username or type")
	}
	if _, err := path.Match(strings.ToLower(k.Username), ""); err != nil {
		return fmt.Errorf("username: %q is no pattern: write svc-* or ?-robot", k.Username)
	}
	return nil
}

// fits reports whether an account is of the kind.
func (k Kind) fits(username, resourceType string) bool {
	if k.Type != "" && k.Type != resourceType {
		return false
	}
	if k.Username == "" {
		return true
	}
	ok, err := path.Match(strings.ToLower(k.Username), strings.ToLower(username))
	return err == nil && ok
}

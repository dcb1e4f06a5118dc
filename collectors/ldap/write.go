package ldap

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/go-ldap/ldap/v3"

	"github.com/lapse-audit/lapse/internal/strict"
)

// Write says as whom to carry out changes, and how. What it doesn't name is that of reading.
type Write struct {
	// URL is of a server that takes changes, where that which is read is a copy that takes none.
	URL  strict.Texts `yaml:"url"`
	Bind Bind         `yaml:"bind"`
	// Cert and Key are PEM files of a client certificate.
	Cert string `yaml:"cert"`
	Key  string `yaml:"key"`

	// Note is the attribute of an account that says when, why and by whom it was disabled: by default info in Active
	// Directory, to which a line is added, and elsewhere description, which gets a value more; "none" for none.
	Note string `yaml:"note"`
	// Disable is how an account is disabled outside of Active Directory: pwdAccountLockedTime, nsAccountLock, loginDisabled
	// or ATTRIBUTE=VALUE, which must be what disabled: asks for. By default it is what the server is known to heed.
	Disable string `yaml:"disable"`
}

// How accounts are disabled outside of Active Directory.
const (
	lockByPolicy     = "pwdAccountLockedTime"
	lockByNetscape   = "nsAccountLock"
	lockByEDirectory = "loginDisabled"
)

// noNote is the Note of whoever wants none.
const noNote = "none"

// writing is the configuration of whoever carries out changes.
func (c Config) writing() Config {
	w := c.Write
	if w == nil {
		return c
	}
	if len(w.URL) > 0 {
		c.URL = w.URL
	}
	c.Bind = w.Bind
	if w.Cert != "" {
		c.Cert, c.Key = w.Cert, w.Key
	}
	return c
}

func (w *Write) validate(c Config) []error {
	var errs []error
	add := func(format string, args ...any) { errs = append(errs, fmt.Errorf("write."+format, args...)) }
	if c.files() != nil {
		return []error{errors.New("write: nothing can be changed in an export")}
	}
	if c.Dialect == "auto" {
		add("bind: goes with dialect: %s or %s: say what is written to", ActiveDirectory, RFC2307)
	}
	encrypted := true
	for _, u := range c.writing().URL {
		safe, err := checkURL(u, c.StartTLS)
		if err == nil && strings.HasPrefix(u, "ldif:") {
			err = errors.New("nothing can be changed in an export")
		}
		if err != nil && len(w.URL) > 0 {
			add("url: %w", err)
		}
		encrypted = encrypted && safe
	}
	bind := c.writing().defaults().Bind
	if bind.Method == Anonymous {
		add("bind: is missing: nobody may change anything without a name")
	} else {
		for _, err := range bind.validate(encrypted) {
			add("%w", err)
		}
	}
	if (w.Cert == "") != (w.Key == "") {
		add("cert: goes with key, and key with cert")
	}
	if w.Note != "" && !attributeType(w.Note) {
		add("note: %q is no attribute", w.Note)
	}
	if err := w.validateDisable(c); err != nil {
		add("disable: %w", err)
	}
	return errs
}

func (w *Write) validateDisable(c Config) error {
	attribute, value, custom := strings.Cut(w.Disable, "=")
	switch {
	case w.Disable == "":
		return nil
	case c.Dialect == ActiveDirectory:
		return errors.New("in Active Directory there is one way to disable an account")
	case !custom && !slices.Contains([]string{lockByPolicy, lockByNetscape, lockByEDirectory}, w.Disable):
		return fmt.Errorf("%q is none of %s, %s, %s, ATTRIBUTE=VALUE", w.Disable, lockByPolicy, lockByNetscape, lockByEDirectory)
	case !custom:
		return nil
	case !attributeType(attribute) || value == "":
		return fmt.Errorf("%q is no ATTRIBUTE=VALUE", w.Disable)
	}
	f, err := parseFilter(c.Disabled)
	if c.Disabled == "" || err != nil || !matches(f, ldap.NewEntry("", map[string][]string{attribute: {value}})) {
		return fmt.Errorf("an account with %s would not be read as disabled: write disabled: (%s=%s)", w.Disable, attribute, value)
	}
	return nil
}

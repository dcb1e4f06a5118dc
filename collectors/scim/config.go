package scim

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"net"
	"net/url"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/lapse-audit/lapse/internal/access"
	"github.com/lapse-audit/lapse/internal/collect"
	"github.com/lapse-audit/lapse/internal/spell"
	"github.com/lapse-audit/lapse/internal/strict"
)

// Config is the section of a source of type scim in lapse.yaml.
type Config struct {
	// URL is the base of the service, without /Users: https://app.example.com/scim/v2.
	URL  string `yaml:"url"`
	Auth Auth   `yaml:"auth"`
	// Write lets Lapse change accounts and groups, as somebody else than who reads. Without it nothing can be changed.
	Write *Write `yaml:"write" json:"-"`
	// CA is a PEM file of whom to trust instead of the system's authorities.
	CA string `yaml:"ca"`
	// Proxy is http://HOST:PORT; by default what HTTPS_PROXY and NO_PROXY say.
	Proxy string `yaml:"proxy"`

	// PageSize is how many resources to ask for at once, 100 by default, and never more than the server says it gives.
	PageSize int `yaml:"page_size"`
	// MaxPage is the longest answer in bytes, 32 MiB by default.
	MaxPage int64 `yaml:"max_page"`
	// Concurrency is how many pages are asked for at the same time, 1 by default.
	Concurrency int `yaml:"concurrency"`
	// MaxRate is how many requests are sent a second, 10 by default. Others share the server's limit.
	MaxRate float64 `yaml:"max_rate"`
	// Timeout is how long one request may take, 60s by default.
	Timeout strict.Span `yaml:"timeout"`
	// RetryFor is how long a request is tried again that was put off or broke, 5m by default.
	RetryFor strict.Span `yaml:"retry_for"`

	// Filter narrows which users are read: userType eq "Employee". A user that it leaves out is not in the snapshot, and
	// looks deleted.
	Filter string `yaml:"filter"`
	// Memberships says where it stands who is in a group: groups (the default: in the list of groups), each_group (in each
	// group, which is asked for by itself: for servers that leave members out of the list), users (in the users' attribute
	// groups), or off, where the server has no groups.
	Memberships string `yaml:"memberships"`

	// Fields gives the attribute of a field of accounts: employee_id: externalId. It is a name, with a dot before a
	// sub-attribute, and after the URN of an extension and a colon: urn:example:User:lastLogin.
	Fields map[string]string `yaml:"fields"`
	// Attributes are kept as they are: a list of SCIM attributes, or a map of our name to theirs.
	Attributes strict.Attributes `yaml:"attributes"`
	// Kinds say what an account is for; the first that fits wins. SCIM itself doesn't say.
	Kinds []Kind `yaml:"kinds"`
	// Privileged are the groups, roles and entitlements that give special rights: by name, value or id.
	Privileged strict.Texts `yaml:"privileged"`
}

// Auth says as whom to read: with a bearer token, or a user and a password.
type Auth struct {
	Bearer   collect.Secret `yaml:"bearer"`
	User     string         `yaml:"user"`
	Password collect.Secret `yaml:"password"`
}

// Write says as whom to change what is read, and what may be changed beyond the usual.
type Write struct {
	Auth Auth `yaml:"auth"`
	// Delete allows to delete accounts, which can't be undone.
	Delete bool `yaml:"delete"`
}

// Where memberships stand.
const (
	InGroups    = "groups"
	InEachGroup = "each_group"
	InUsers     = "users"
	Off         = "off"
)

// Kind gives accounts a kind. All that it names must fit.
type Kind struct {
	Kind access.AccountKind `yaml:"kind"`
	// Username is a pattern with * and ?, matched whatever the case.
	Username string `yaml:"username"`
	// UserType is the attribute userType, whatever the case.
	UserType string `yaml:"user_type"`
}

// defaults are the values of what is not set.
func (c Config) defaults() Config {
	c.URL = strings.TrimRight(c.URL, "/")
	c.PageSize = cmp.Or(c.PageSize, 100)
	c.MaxPage = cmp.Or(c.MaxPage, 32<<20)
	c.Concurrency = cmp.Or(c.Concurrency, 1)
	c.MaxRate = cmp.Or(c.MaxRate, 10)
	c.Timeout = cmp.Or(c.Timeout, strict.Span(time.Minute))
	c.RetryFor = cmp.Or(c.RetryFor, strict.Span(5*time.Minute))
	c.Memberships = cmp.Or(c.Memberships, InGroups)
	return c
}

// Validate reports all faults at once, each with the name of its field.
func (c Config) Validate() error {
	c = c.defaults()
	var errs []error
	add := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }
	if err := checkURL(c.URL); err != nil {
		add("url: %w", err)
	}
	if c.Proxy != "" {
		switch u, err := url.Parse(c.Proxy); {
		case err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" && u.Scheme != "socks5":
			add("proxy: is no proxy: write http://HOST:PORT")
		case u.User != nil:
			add("proxy: a password has no place here: set the proxy by HTTPS_PROXY in the environment")
		}
	}
	if err := c.Auth.validate("auth"); err != nil {
		errs = append(errs, err)
	}
	if c.Write != nil {
		if err := c.Write.Auth.validate("write.auth"); err != nil {
			errs = append(errs, err)
		}
	}
	for name, n := range map[string]float64{"page_size": float64(c.PageSize), "max_page": float64(c.MaxPage), "concurrency": float64(c.Concurrency), "max_rate": c.MaxRate} {
		if n < 0 {
			add("%s: is less than 0", name)
		}
	}
	if c.Concurrency > 64 {
		add("concurrency: %d is more than 64", c.Concurrency)
	}
	if m := []string{InGroups, InEachGroup, InUsers, Off}; !slices.Contains(m, c.Memberships) {
		add("memberships: %q is none of %s", c.Memberships, strings.Join(m, ", "))
	}
	for _, name := range slices.Sorted(maps.Keys(c.Fields)) {
		switch {
		case !slices.Contains(fieldNames(), name):
			add("fields: there is no field %q%s", name, suggest(name, fieldNames()))
		case c.Fields[name] == "":
			add("fields: %s: name an attribute", name)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(c.Attributes)) {
		if c.Attributes[name] == "" {
			add("attributes: %s: name an attribute", name)
		}
	}
	for i, k := range c.Kinds {
		if err := k.validate(); err != nil {
			add("kinds[%d]: %w", i, err)
		}
	}
	slices.SortFunc(errs, func(a, b error) int { return cmp.Compare(a.Error(), b.Error()) })
	return errors.Join(errs...)
}

func (a Auth) validate(at string) error {
	switch basic := a.User != "" || a.Password.IsSet(); {
	case !a.Bearer.IsSet() && !basic:
		return fmt.Errorf("%s: is missing: set %s.bearer, or %s.user and %s.password", at, at, at, at)
	case a.Bearer.IsSet() && basic:
		return fmt.Errorf("%s: bearer goes without user and password", at)
	case basic && (a.User == "" || !a.Password.IsSet()):
		return fmt.Errorf("%s: user goes with password, and password with user", at)
	case strings.Contains(a.User, ":"):
		return fmt.Errorf("%s.user: a user name can't hold a colon (RFC 7617)", at)
	}
	return nil
}

// checkURL refuses what would send a token in the clear, or hold one.
func checkURL(text string) error {
	u, err := url.Parse(text)
	switch {
	case text == "":
		return errors.New("is missing: write https://HOST/scim/v2")
	case err != nil || u.Hostname() == "" || u.Scheme != "http" && u.Scheme != "https":
		return errors.New("is no address: write https://HOST/scim/v2")
	case u.User != nil || u.RawQuery != "" || u.Fragment != "":
		return errors.New("must have no user, ? or #: write https://HOST/scim/v2, and the credentials under auth")
	case u.Scheme == "http" && !loopback(u.Hostname()):
		return errors.New("http: would send the credentials unencrypted: write https://")
	case strings.HasSuffix(strings.ToLower(u.Path), "/users"):
		return errors.New("name the base of the service, without /Users")
	}
	return nil
}

func loopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

func (k Kind) validate() error {
	kinds := []access.AccountKind{access.KindHuman, access.KindService, access.KindShared, access.KindGuest, access.KindMachine}
	if !slices.Contains(kinds, k.Kind) {
		return fmt.Errorf("kind: %q is none of human, service, shared, guest, machine", k.Kind)
	}
	if k.Username == "" && k.UserType == "" {
		return errors.New("says nothing of which accounts: set username or user_type")
	}
	if _, err := path.Match(strings.ToLower(k.Username), ""); err != nil {
		return fmt.Errorf("username: %q is no pattern: write svc-* or ?-robot", k.Username)
	}
	return nil
}

// suggest names the nearest of the known words, or all where none is near.
func suggest(word string, known []string) string {
	if near := spell.Nearest(word, known); near != "" {
		return fmt.Sprintf(": did you mean %q?", near)
	}
	return ": there are " + strings.Join(known, ", ")
}

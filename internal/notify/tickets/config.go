// Package tickets opens a ticket in another system for each finding that a role is asked about: one a finding, and not one a
// message, so that each can be given to somebody, is written into when there is news, and is closed when its finding is settled.
// How a system is spoken to is a recipe.
package tickets

import (
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"

	"github.com/lapse-audit/lapse/internal/collect"
	"github.com/lapse-audit/lapse/internal/notify"
)

// Config is the section notify.tickets of lapse.yaml.
type Config struct {
	Recipe   string            `yaml:"recipe"` // jira or servicenow, or a file
	URL      string            `yaml:"url"`    // of the system, such as https://acme.atlassian.net
	User     string            `yaml:"user"`
	Password collect.Secret    `yaml:"password"` // of user; at Jira an API token
	Token    collect.Secret    `yaml:"token"`    // or this, as a bearer
	Params   map[string]string `yaml:"params"`   // that the recipe asks for
	// For are the roles whose items become tickets: security, which is the default, and app_owner:UID. People are never: a
	// ticket is read by more than one. Nor is a summary, which needs another channel.
	For []string `yaml:"for"`
}

// Validate reports everything that is missing or makes no sense. The recipe is another matter.
func (c *Config) Validate() error {
	var errs []error
	fail := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }
	if c.Recipe == "" {
		fail("recipe is missing: want one of %s, or a file", strings.Join(Names(), ", "))
	}
	switch u, err := url.Parse(c.URL); {
	case c.URL == "":
		fail("url is missing: the address of the system, such as https://acme.atlassian.net")
	case err != nil || u.Host == "" || u.User != nil || u.RawQuery != "" || u.Fragment != "":
		fail("url: want an address alone, such as https://acme.atlassian.net")
	case u.Scheme != "https" && (u.Scheme != "http" || u.Hostname() != "127.0.0.1"):
		fail("url: want https")
	}
	switch {
	case c.Token.IsSet() && (c.User != "" || c.Password.IsSet()):
		fail("token: there is a user, too: want the one or the other")
	case !c.Token.IsSet() && (c.User == "" || !c.Password.IsSet()):
		fail("user and password are missing, or token: such as env:TICKETS_PASSWORD")
	}
	for _, role := range c.For {
		if !notify.IsRole(role) {
			fail("for: %q is no role: want security or app_owner:UID", role)
		}
	}
	return errors.Join(errs...)
}

// takes says whether the items of a recipient become tickets.
func (c *Config) takes(r notify.Recipient) bool {
	if r.Person != "" {
		return false
	}
	if len(c.For) == 0 {
		return r.Role == notify.RoleSecurity
	}
	return slices.Contains(c.For, r.Role)
}

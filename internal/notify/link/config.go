// Package link lets people answer by links: each is signed, for one recipient, one finding and one answer, ends on a day, and
// counts once. Following one shows a page that asks for confirmation; only sending its form decides.
package link

import (
	"errors"
	"fmt"
	"maps"
	"net/url"
	"regexp"
	"slices"
	"strings"

	"github.com/lapse-audit/lapse/internal/collect"
)

// Config is the section notify.links of lapse.yaml.
type Config struct {
	// URL is where Lapse is reached, such as https://lapse.example.com. A proxy there does well to leave what is below /answer/ out
	// of its log: whoever reads a link that was not used can answer with it.
	URL string `yaml:"url"`
	// Keys are what links are signed with, by an id that stands in them: an old one stays until its links have ended.
	Keys map[string]collect.Secret `yaml:"keys"`
	Key  string                    `yaml:"key"`  // id of the one that new links are signed with; may be left out where there is one
	Days int                       `yaml:"days"` // that a link can be used, 14 by default
}

// keyID is short: it stands in every link.
var keyID = regexp.MustCompile(`^[a-z0-9._-]{1,16}$`)

// maxDays is as long as a link may be good for: whoever holds it answers in its recipient's name.
const maxDays = 60

// Validate reports everything that is missing or makes no sense.
func (c *Config) Validate() error {
	var errs []error
	fail := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }
	switch u, err := url.Parse(c.URL); {
	case c.URL == "":
		fail("url is missing: the address by which people reach Lapse, such as https://lapse.example.com")
	case err != nil || u.Host == "" || u.User != nil || u.RawQuery != "" || u.Fragment != "":
		fail("url: want an address alone, such as https://lapse.example.com")
	case u.Scheme != "https" && (u.Scheme != "http" || !loopback(u.Hostname())):
		fail("url: want https: whoever reads a link on its way can answer with it")
	}
	if len(c.Keys) == 0 {
		fail("keys is missing: what links are signed with, such as {k1: env:LAPSE_LINK_KEY}, of at least %d characters", minSecret)
	}
	for _, id := range slices.Sorted(maps.Keys(c.Keys)) {
		if !keyID.MatchString(id) {
			fail("keys: the id %q: want at most 16 lower-case letters, digits, '.', '_' or '-'", id)
		}
	}
	if _, ok := c.Keys[c.signing()]; !ok && len(c.Keys) > 0 {
		if c.Key == "" {
			fail("key is missing: say which of the keys new links are signed with: %s", strings.Join(slices.Sorted(maps.Keys(c.Keys)), ", "))
		} else {
			fail("key: there is none called %q among keys", c.Key)
		}
	}
	if c.Days < 0 || c.Days > maxDays {
		fail("days: %d: want 1 to %d", c.Days, maxDays)
	}
	return errors.Join(errs...)
}

func loopback(host string) bool { return host == "localhost" || host == "127.0.0.1" || host == "::1" }

// signing is the id of the key that new links are signed with.
func (c *Config) signing() string {
	if c.Key == "" && len(c.Keys) == 1 {
		for id := range c.Keys {
			return id
		}
	}
	return c.Key
}

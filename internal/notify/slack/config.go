// Package slack asks people by Slack: a digest as a direct message, whose buttons bring the answers back, and a summary in
// a channel.
package slack

import (
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"net/url"
	"regexp"
	"slices"
	"strings"

	"github.com/lapse-audit/lapse/internal/collect"
)

// Config is the section notify.slack of lapse.yaml.
type Config struct {
	Token         collect.Secret `yaml:"token"`          // of the bot: xoxb-…
	SigningSecret collect.Secret `yaml:"signing_secret"` // of the app, for answers over HTTP
	AppToken      collect.Secret `yaml:"app_token"`      // xapp-…, for answers over Socket Mode, which needs no public address
	Channel       string         `yaml:"channel"`        // id of the channel of the security team, which gets the summaries
	// Channels are those of other roles: app_owner:CRM to the id of a channel.
	Channels map[string]string `yaml:"channels"`
	API      string            `yaml:"api"` // address of the Web API where it is reached by a proxy; Slack's by default
}

// channelID is the form of a channel's id. A name would have to be looked up, with a right to list every channel.
var channelID = regexp.MustCompile(`^[CG][A-Z0-9]{6,}$`)

// Validate reports everything that is missing or makes no sense.
func (c *Config) Validate() error {
	var errs []error
	if !c.Token.IsSet() {
		errs = append(errs, errors.New("token is missing: the bot token of the app, such as env:SLACK_BOT_TOKEN"))
	}
	if !c.SigningSecret.IsSet() && !c.AppToken.IsSet() {
		errs = append(errs, errors.New("signing_secret and app_token are both missing: with neither no answer can come back"))
	}
	if c.Channel == "" {
		errs = append(errs, errors.New("channel is missing: the id of the security team's channel, which is at the foot of its details"))
	} else if !channelID.MatchString(c.Channel) {
		errs = append(errs, fmt.Errorf("channel: %w", notAnID(c.Channel)))
	}
	for _, role := range slices.Sorted(maps.Keys(c.Channels)) {
		if id := c.Channels[role]; !channelID.MatchString(id) {
			errs = append(errs, fmt.Errorf("channels.%s: %w", role, notAnID(id)))
		}
	}
	if c.API != "" {
		if err := checkAPI(c.API); err != nil {
			errs = append(errs, fmt.Errorf("api: %w", err))
		}
	}
	return errors.Join(errs...)
}

// checkAPI holds an address to what the token may be sent to: https, or this machine itself.
func checkAPI(address string) error {
	u, err := url.Parse(address)
	switch {
	case err != nil || u.Host == "" || u.RawQuery != "" || u.Fragment != "": // it may hold a secret, so it is not repeated
		return errors.New("it is no address: want one such as https://slack-proxy.example.com/api/")
	case u.User != nil:
		return errors.New("it holds a password: the proxy must know the bot by its token")
	case u.Scheme == "https":
		return nil
	case u.Scheme == "http":
		if ip, err := netip.ParseAddr(u.Hostname()); u.Hostname() == "localhost" || err == nil && ip.IsLoopback() {
			return nil
		}
		return errors.New("it is not encrypted, and the token would be read on the way: want https")
	}
	return fmt.Errorf("%q is no scheme for it: want https", u.Scheme)
}

func notAnID(text string) error {
	return fmt.Errorf("%q is no id of a channel: want one such as C024BE91L, which is at the foot of the channel's details", text)
}

// Secrets are what the references in Config resolve to. They print as <secret>.
type Secrets struct{ Token, SigningSecret, AppToken string }

func (Secrets) String() string { return "<secret>" }

// GoString keeps %#v from printing them.
func (Secrets) GoString() string { return "<secret>" }

// Validate finds the tokens that are mistaken for each other. Nothing of them is in the error.
func (s Secrets) Validate() error {
	var errs []error
	if !strings.HasPrefix(s.Token, "xoxb-") {
		errs = append(errs, errors.New("token: it is no bot token, which begins with xoxb-"))
	}
	if s.AppToken != "" && !strings.HasPrefix(s.AppToken, "xapp-") {
		errs = append(errs, errors.New("app_token: it is no app-level token, which begins with xapp-"))
	}
	return errors.Join(errs...)
}

// scrub takes them out of a text that came from elsewhere.
func (s Secrets) scrub(text string) string {
	for _, secret := range []string{s.Token, s.SigningSecret, s.AppToken} {
		if secret != "" {
			text = strings.ReplaceAll(text, secret, "<secret>")
		}
	}
	return text
}

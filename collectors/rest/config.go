package rest

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/lapse-audit/lapse/internal/collect"
	"github.com/lapse-audit/lapse/internal/strict"
)

// Config is the section of a source of type rest in lapse.yaml.
type Config struct {
	// Recipe is the name of a recipe that is shipped, or the path of one of your own: ./my-app.yaml.
	Recipe string `yaml:"recipe"`
	// URL is where the app's API is, if the recipe doesn't say or says otherwise.
	URL string `yaml:"url"`
	// Params are what the recipe asks for.
	Params map[string]any `yaml:"params"`
	Auth   Credentials    `yaml:"auth"`
	// Write lets Lapse change the app, as somebody else than who reads. Without it nothing can be changed.
	Write *Write `yaml:"write"`
	// Roster says what the dates of people mean; a recipe that gives people needs it.
	Roster *collect.Calendar `yaml:"roster"`
	// Share is how much of the app's quota Lapse may use: others need it, too. 50% by default.
	Share collect.Share `yaml:"share"`
	// Concurrency is how many requests may be under way at the same time, 4 by default.
	Concurrency int `yaml:"concurrency"`
	// Timeout is how long reading the app may take, waiting for its quota included: 6h by default.
	Timeout time.Duration `yaml:"timeout"`
	// Resume is for how long what was read is kept when the reading was interrupted: a collection that begins until then goes
	// on from the last page. 4h by default; 0s keeps nothing.
	Resume *time.Duration `yaml:"resume"`
	// Incremental takes over from the last reading what the app says, in a way that the recipe knows, not to have changed.
	// Without it everything is asked for each time.
	Incremental *IncrementalRead `yaml:"incremental"`
	// MaxRecord is the longest record in bytes, 1 MiB by default. A longer one is rejected.
	MaxRecord int `yaml:"max_record"`
	// CA is a PEM file of authorities that are trusted beside the system's.
	CA string `yaml:"ca"`
	// Proxy is the proxy's URL, where the environment (HTTPS_PROXY) doesn't say.
	Proxy string `yaml:"proxy"`
}

// IncrementalRead says how often to ask for everything nevertheless. What was answered the last time is kept in a file that nobody
// else may read.
type IncrementalRead struct {
	// FullEvery is when everything is asked for again and compared; 7 days by default.
	FullEvery strict.Span `yaml:"full_every"`
}

// Write says as whom to change what is read, and what may be changed beyond the usual.
type Write struct {
	Auth Credentials `yaml:"auth"`
	// Delete allows to delete accounts, which can't be undone.
	Delete bool `yaml:"delete"`
}

// Credentials are how a source signs in. The recipe says which of them it takes.
type Credentials struct {
	// Type chooses among the ways that the recipe knows; by default the first.
	Type string `yaml:"type"`
	// Token is an API token or key, or the session token of temporary credentials.
	Token    collect.Secret `yaml:"token"`
	Username string         `yaml:"username"`
	Password collect.Secret `yaml:"password"`
	// ClientID is the client's id, the issuer of an assertion, or the id of an access key.
	ClientID     string         `yaml:"client_id"`
	ClientSecret collect.Secret `yaml:"client_secret"`
	// Key is a private key in PEM, or the JSON key of a Google service account.
	Key collect.Secret `yaml:"key"`
	// Subject is the user that a key acts for.
	Subject string `yaml:"subject"`
}

// What holds where the configuration gives nothing.
const (
	DefaultShare       = collect.Share(0.5)
	DefaultConcurrency = 4
	DefaultTimeout     = 6 * time.Hour
	DefaultMaxRecord   = 1 << 20
	DefaultResume      = 4 * time.Hour
	DefaultFullEvery   = 7 * 24 * time.Hour
)

func (c Config) defaults() Config {
	if c.Share == 0 {
		c.Share = DefaultShare
	}
	if c.Concurrency == 0 {
		c.Concurrency = DefaultConcurrency
	}
	if c.Timeout == 0 {
		c.Timeout = DefaultTimeout
	}
	if c.MaxRecord == 0 {
		c.MaxRecord = DefaultMaxRecord
	}
	if c.Resume == nil {
		resume := DefaultResume
		c.Resume = &resume
	}
	if c.Incremental != nil && c.Incremental.FullEvery == 0 {
		c.Incremental = &IncrementalRead{FullEvery: strict.Span(DefaultFullEvery)}
	}
	return c
}

// Validate reports all faults at once, each with the name of its field.
func (c Config) Validate() error {
	var errs []error
	if c.Share < 0 || c.Share > 1 {
		errs = append(errs, fmt.Errorf("share: %s is not between 0%% and 100%%", c.Share))
	}
	if c.Concurrency < 0 || c.Concurrency > 64 {
		errs = append(errs, fmt.Errorf("concurrency: %d is not between 1 and 64", c.Concurrency))
	}
	if c.Timeout < 0 {
		errs = append(errs, fmt.Errorf("timeout: %s is less than 0", c.Timeout))
	}
	if c.Resume != nil && *c.Resume < 0 {
		errs = append(errs, fmt.Errorf("resume: %s is less than 0", *c.Resume))
	}
	if c.MaxRecord < 0 {
		errs = append(errs, fmt.Errorf("max_record: %d is less than 0", c.MaxRecord))
	}
	if c.Roster != nil {
		if _, err := c.Roster.Clock(); err != nil {
			errs = append(errs, within("roster", err))
		}
	}
	return errors.Join(errs...)
}

// params are what the source gives, with the recipe's defaults, as jq knows values.
func (c Config) params(r *Recipe) (map[string]any, error) {
	var errs []error
	out := map[string]any{}
	known := slices.Sorted(maps.Keys(r.Params))
	for _, name := range slices.Sorted(maps.Keys(c.Params)) {
		if _, ok := r.Params[name]; !ok {
			hint := ": the recipe has none"
			if len(known) > 0 {
				hint = near(name, known)
			}
			errs = append(errs, fmt.Errorf("params: the recipe knows no %q%s", name, hint))
		}
	}
	for _, name := range known {
		p := r.Params[name]
		v, ok := c.Params[name]
		switch {
		case !ok && p.Default == nil && !p.Optional:
			errs = append(errs, fmt.Errorf("params: %s is missing: %s", name, p.About))
			continue
		case !ok:
			v = p.Default
		}
		value, err := toJQ(v)
		if err != nil {
			errs = append(errs, fmt.Errorf("params: %s: %w", name, err))
		}
		out[name] = value
	}
	return out, errors.Join(errs...)
}

// toJQ turns a value of YAML into one of jq.
func toJQ(v any) (any, error) {
	switch v := v.(type) {
	case nil, bool, string, int, float64:
		return v, nil
	case time.Time: // an unquoted date
		return v.Format(time.DateOnly), nil
	case []any:
		out := make([]any, len(v))
		for i, e := range v {
			var err error
			if out[i], err = toJQ(e); err != nil {
				return nil, err
			}
		}
		return out, nil
	case map[string]any:
		out := map[string]any{}
		for k, e := range v {
			var err error
			if out[k], err = toJQ(e); err != nil {
				return nil, err
			}
		}
		return out, nil
	}
	return nil, fmt.Errorf("is a %T: write a text, a number, a list or a mapping", v)
}

// within puts the name of a section before each error.
func within(section string, err error) error {
	list := []error{err}
	if joined, ok := err.(interface{ Unwrap() []error }); ok {
		list = joined.Unwrap()
	}
	out := make([]error, len(list))
	for i, e := range list {
		out[i] = fmt.Errorf("%s.%w", section, e)
	}
	return errors.Join(out...)
}

package store

import (
	"errors"
	"fmt"
	"net"
	"net/url"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/lapse-audit/lapse/internal/spell"
)

// location is a parsed Options.URL.
type location struct {
	scheme   string // embedded, clickhouse, http, https
	dir      string // embedded: absolute
	addr     string // server: host:port
	database string
	secure   bool
	dial     time.Duration // 0: the driver's
	read     time.Duration
}

const defaultDatabase = "lapse"

var databaseName = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]{0,62}$`)

// String is the address as errors and logs show it.
func (l location) String() string {
	if l.scheme == "embedded" {
		return "embedded:" + l.dir
	}
	return l.scheme + "://" + l.addr + "/" + l.database
}

// ParseURL checks a store's address without opening it.
func ParseURL(text string) error {
	_, err := parseURL(text)
	return err
}

// parseURL never puts text into an error: somebody will have written a password into it.
func parseURL(text string) (location, error) {
	scheme, rest, ok := strings.Cut(text, ":")
	if !ok || strings.ContainsAny(scheme, `/\.`) {
		return location{}, errors.New("store url has no scheme: want embedded:DIR, clickhouse://host:9000/database or https://host:8443/database")
	}
	switch scheme {
	case "embedded":
		return parseEmbedded(rest)
	case "clickhouse", "http", "https":
	default:
		return location{}, fmt.Errorf("store url has the unknown scheme %q: want embedded:FOLDER, clickhouse://HOST:9000/DB or https://HOST:8443/DB", scheme)
	}
	u, err := url.Parse(text)
	if err != nil {
		return location{}, fmt.Errorf("store url %s://… can't be read: %w", scheme, errors.Unwrap(err))
	}
	if u.User != nil {
		return location{}, errors.New("store url carries credentials: name them as store.username and store.password instead")
	}
	if u.Hostname() == "" {
		return location{}, fmt.Errorf("store url has no host: want %s://host:port/database", scheme)
	}
	l := location{scheme: scheme, database: strings.Trim(u.Path, "/"), secure: scheme == "https"}
	if l.database == "" {
		l.database = defaultDatabase
	}
	if !databaseName.MatchString(l.database) {
		return location{}, fmt.Errorf("store url names the database %q: want letters, digits and underscores", l.database)
	}
	switch strings.ToLower(l.database) {
	case "default", "system", "information_schema":
		return location{}, fmt.Errorf("store url names the database %q, which is ClickHouse's own: choose another, such as %q", l.database, defaultDatabase)
	}
	if err := l.parameters(u.RawQuery); err != nil {
		return location{}, err
	}
	port := u.Port()
	if port == "" {
		port = map[string]string{"clickhouse": "9000", "clickhouse+tls": "9440", "http": "8123", "https": "8443"}[l.scheme+tlsSuffix(l)]
	}
	l.addr = net.JoinHostPort(u.Hostname(), port)
	return l, nil
}

func tlsSuffix(l location) string {
	if l.scheme == "clickhouse" && l.secure {
		return "+tls"
	}
	return ""
}

func parseEmbedded(rest string) (location, error) {
	dir, query, _ := strings.Cut(rest, "?")
	if query != "" {
		return location{}, errors.New("store url embedded:DIR takes no parameters")
	}
	if strings.HasPrefix(dir, "//") {
		return location{}, errors.New("store url embedded:DIR names a folder, without //: embedded:./lapse-data or embedded:/var/lib/lapse")
	}
	if dir == "" {
		return location{}, errors.New("store url embedded: names no folder: want embedded:./lapse-data")
	}
	abs, err := filepath.Abs(dir)
	if err != nil {
		return location{}, fmt.Errorf("store url embedded:%s: %w", dir, err)
	}
	return location{scheme: "embedded", dir: abs, database: defaultDatabase}, nil
}

func (l *location) parameters(query string) error {
	values, err := url.ParseQuery(query)
	if err != nil {
		return errors.New("store url has parameters that can't be read")
	}
	known := []string{"dial_timeout", "read_timeout"}
	if l.scheme == "clickhouse" {
		known = append(known, "secure")
	}
	names := make([]string, 0, len(values))
	for name := range values {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		value := values.Get(name)
		switch {
		case name == "cluster":
			return errors.New("store url asks for a cluster: a self-run cluster is not supported, because a snapshot must be whole on every replica " +
				"before it is read; use one server, or ClickHouse Cloud")
		case name == "password" || name == "username" || name == "user":
			return fmt.Errorf("store url carries credentials (%s): name them as store.username and store.password instead", name)
		case !slices.Contains(known, name):
			return fmt.Errorf("store url has the unknown parameter %q: did you mean %q?", name, nearest(name, known...))
		case name == "secure":
			if value != "true" && value != "false" {
				return fmt.Errorf("store url parameter secure is %q: want true or false", value)
			}
			l.secure = value == "true"
		default:
			d, err := time.ParseDuration(value)
			if err != nil || d <= 0 {
				return fmt.Errorf("store url parameter %s is %q: want a duration such as 10s", name, value)
			}
			if name == "dial_timeout" {
				l.dial = d
			} else {
				l.read = d
			}
		}
	}
	return nil
}

// nearest returns the word that takes the fewest edits to become name.
func nearest(name string, words ...string) string {
	best, least := "", 1<<30
	for _, w := range words {
		if d := spell.Distance(name, w); d < least {
			best, least = w, d
		}
	}
	return best
}

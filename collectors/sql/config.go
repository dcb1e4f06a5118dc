package sql

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"net"
	"net/url"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/lapse-audit/lapse/internal/access"
	"github.com/lapse-audit/lapse/internal/collect"
	"github.com/lapse-audit/lapse/internal/spell"
	"github.com/lapse-audit/lapse/internal/strict"
)

// Config is the section of a source of type sql in lapse.yaml.
type Config struct {
	// URL is postgres://HOST:5432/DATABASE, mysql://HOST:3306/DATABASE, mariadb://HOST:3306/DATABASE, clickhouse://HOST:9440/DATABASE,
	// or https://HOST:8443/DATABASE, which is ClickHouse, too.
	URL string `yaml:"url"`
	// Socket is the server's socket on this machine, or for PostgreSQL the folder it is in. It is used instead of the host.
	Socket   string         `yaml:"socket"`
	User     string         `yaml:"user"`
	Password collect.Secret `yaml:"password"`
	// Write lets Lapse change the accounts that a preset reads, as another user than the one that reads. Without it nothing
	// can be changed.
	Write *Write `yaml:"write" json:"-"`
	// TLS is verify (the default: the server's certificate must be for its host, and of an authority that is trusted) or
	// off, which on the same machine is the default.
	TLS string `yaml:"tls"`
	// CA is a PEM file of whom to trust instead of the system's authorities.
	CA string `yaml:"ca"`
	// Timeout is how long one query may run, 5m by default. The server ends it then.
	Timeout strict.Span `yaml:"timeout"`

	// Preset reads the accounts of the database server itself: postgres, mariadb, mysql (8.0 and later), or clickhouse.
	Preset string `yaml:"preset"`
	// Queries are one SELECT for each kind of record, beside or instead of the preset's. The names of its columns are
	// those of the fields; attr_department is the attribute department.
	Queries Queries `yaml:"queries"`
	// Zone is the zone of dates and times that have none, by default the roster's, else UTC.
	Zone string `yaml:"zone"`
	// Kinds say what an account is for, where the query doesn't; the first that fits wins.
	Kinds []Kind `yaml:"kinds"`
	// Roster says what the dates of people mean; a source of people needs it.
	Roster *collect.Calendar `yaml:"roster"`
}

// Write says as whom to change what is read, and what may be changed beyond the usual.
type Write struct {
	User     string         `yaml:"user"`
	Password collect.Secret `yaml:"password"`
	// Delete allows to drop accounts, which can't be undone.
	Delete bool `yaml:"delete"`
}

// Queries are the SELECTs by kind of record.
type Queries struct {
	People       string `yaml:"people"`
	Accounts     string `yaml:"accounts"`
	Entitlements string `yaml:"entitlements"`
	Licenses     string `yaml:"licenses"`
	Grants       string `yaml:"grants"`
	Seats        string `yaml:"seats"`
	Usage        string `yaml:"usage"`
}

// Kind gives accounts a kind.
type Kind struct {
	Kind access.AccountKind `yaml:"kind"`
	// Username is a pattern with * and ?, matched whatever the case.
	Username string `yaml:"username"`
}

// How a connection is secured.
const (
	Verify = "verify"
	Plain  = "off"
)

// query is what gives the records of one kind.
type query struct {
	kind collect.Kind
	text string
}

// list is in the order of reading: what is named before what names it.
func (q Queries) list() []query {
	var out []query
	for _, e := range []query{
		{collect.People, q.People}, {collect.Accounts, q.Accounts}, {collect.Entitlements, q.Entitlements},
		{collect.Licenses, q.Licenses}, {collect.Grants, q.Grants}, {collect.Seats, q.Seats}, {collect.Usages, q.Usage},
	} {
		if e.text != "" {
			out = append(out, e)
		}
	}
	return out
}

// defaults are the values of what is not set.
func (c Config) defaults() Config {
	c.Timeout = cmp.Or(c.Timeout, strict.Span(5*time.Minute))
	if c.TLS == "" {
		c.TLS = Verify
		if a, err := parseAddress(c.URL); err == nil && (a.local() || c.Socket != "") && !strings.HasPrefix(c.URL, "https:") {
			c.TLS = Plain
		}
	}
	if p, ok := presets[c.Preset]; ok {
		c.Queries.Accounts = cmp.Or(c.Queries.Accounts, p.Accounts)
		c.Queries.Entitlements = cmp.Or(c.Queries.Entitlements, p.Entitlements)
		c.Queries.Grants = cmp.Or(c.Queries.Grants, p.Grants)
	}
	return c
}

// address is where a server is.
type address struct {
	driver, host, database string
	port                   int
	http                   bool // of ClickHouse, whose own protocol is another
}

// The drivers, by the scheme of a URL.
var schemes = map[string]struct {
	driver string
	port   int
}{
	"postgres": {"postgres", 5432}, "postgresql": {"postgres", 5432}, "mysql": {"mysql", 3306}, "mariadb": {"mysql", 3306},
	"clickhouse": {"clickhouse", 0}, "https": {"clickhouse", 8443}, "http": {"clickhouse", 8123}, // 0: it depends on TLS
}

func parseAddress(text string) (address, error) {
	const want = "write postgres://HOST:5432/DATABASE, mysql://HOST:3306/DATABASE, mariadb://HOST:3306/DATABASE or clickhouse://HOST:9440/DATABASE"
	if text == "" {
		return address{}, errors.New("is missing: " + want)
	}
	u, err := url.Parse(text) // its message could show a password
	if err != nil || u.Hostname() == "" {
		return address{}, errors.New("is no address: " + want)
	}
	s, ok := schemes[u.Scheme]
	switch {
	case !ok:
		return address{}, fmt.Errorf("%q is a database that is not known: %s", u.Scheme, want)
	case u.User != nil || u.RawQuery != "" || u.Fragment != "":
		return address{}, errors.New("must have no user, ? or #: name the user under user, and a reference to the password under password")
	}
	a := address{driver: s.driver, http: strings.HasPrefix(u.Scheme, "http"), host: u.Hostname(), port: s.port, database: strings.TrimPrefix(u.Path, "/")}
	if u.Port() != "" {
		if a.port, err = strconv.Atoi(u.Port()); err != nil {
			return address{}, errors.New("is no address: " + want)
		}
	}
	if a.driver == "postgres" && a.database == "" {
		return address{}, errors.New("names no database: " + want)
	}
	return a, nil
}

// local reports whether what is sent stays on this machine.
func (a address) local() bool {
	ip := net.ParseIP(a.host)
	return a.host == "localhost" || ip != nil && ip.IsLoopback()
}

// selects is what a query must begin with: the transaction is read-only besides.
var selects = regexp.MustCompile(`(?is)^\s*(--[^\n]*\n\s*|/\*.*?\*/\s*)*(select|with|values|table)\b`)

// Validate reports all faults at once, each with the name of its field.
func (c Config) Validate() error {
	var errs []error
	add := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }
	a, err := parseAddress(c.URL)
	if err != nil {
		add("url: %w", err)
	}
	if c.User == "" {
		add("user: is missing")
	}
	if c.Write != nil {
		switch p, ok := presets[c.Preset]; {
		case c.Write.User == "":
			add("write.user: is missing")
		case c.Preset == "" || ok && (c.defaults().Queries.Accounts != p.Accounts || c.defaults().Queries.Grants != p.Grants):
			add("write: goes with a preset, whose accounts and grants are read: how to change what other queries read is not known here")
		}
	}
	if err == nil && a.driver == "clickhouse" {
		switch scheme, _, _ := strings.Cut(c.URL, ":"); {
		case c.Socket != "":
			add("socket: ClickHouse has none")
		case scheme == "http" && c.defaults().TLS != Plain:
			add("url: is not https: the password would go in clear; with tls: off it does")
		case scheme == "https" && c.TLS == Plain:
			add("tls: off contradicts https")
		}
	}
	if c.Socket != "" && (!path.IsAbs(c.Socket) || c.TLS == Verify) {
		add("socket: want an absolute path, and no tls")
	}
	if c.TLS != "" && c.TLS != Verify && c.TLS != Plain {
		add("tls: %q is neither verify nor off", c.TLS)
	}
	if c.CA != "" && c.TLS == Plain {
		add("ca: goes with tls: verify")
	}
	if c.Preset != "" {
		p, ok := presets[c.Preset]
		switch {
		case !ok:
			add("preset: there is no preset %q%s", c.Preset, suggest(c.Preset, slices.Sorted(maps.Keys(presets))))
		case err == nil && p.driver != a.driver:
			add("preset: %s is not for %s", c.Preset, c.URL)
		}
	}
	queries := c.defaults().Queries.list()
	if len(queries) == 0 {
		add("queries: name a preset, or at least one query of people, accounts, entitlements, licenses, grants, seats, usage")
	}
	for _, q := range queries {
		if !selects.MatchString(q.text) {
			add("queries.%s: is no SELECT", q.kind)
		}
	}
	if _, err := collect.LoadZone(c.Zone); err != nil {
		add("zone: %w", err)
	}
	if c.Roster != nil {
		if _, err := c.Roster.Clock(); err != nil {
			add("roster: %w", err)
		}
	}
	for i, k := range c.Kinds {
		if !slices.Contains(accountKinds, k.Kind) {
			add("kinds[%d]: kind: %q is none of %s", i, k.Kind, words(accountKinds))
		}
		if _, err := path.Match(strings.ToLower(k.Username), ""); err != nil || k.Username == "" {
			add("kinds[%d]: username: %q is no pattern: write svc-* or ?-robot", i, k.Username)
		}
	}
	return errors.Join(errs...)
}

var (
	accountKinds   = []access.AccountKind{access.KindHuman, access.KindService, access.KindShared, access.KindGuest, access.KindMachine}
	personStatuses = []access.PersonStatus{access.PersonActive, access.PersonLeave, access.PersonEnded, access.PersonFuture}
	holderKinds    = []access.HolderKind{access.HolderAccount, access.HolderEntitlement}
)

func words[T ~string](list []T) string {
	var out []string
	for _, w := range list {
		out = append(out, string(w))
	}
	return strings.Join(out, ", ")
}

// suggest names the nearest of the known words, or all where none is near.
func suggest(word string, known []string) string {
	if near := spell.Nearest(word, known); near != "" {
		return fmt.Sprintf(": did you mean %q?", near)
	}
	return ": there are " + strings.Join(known, ", ")
}

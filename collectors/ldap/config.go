package ldap

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"net/url"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/go-ldap/ldap/v3"

	"github.com/lapse-audit/lapse/internal/access"
	"github.com/lapse-audit/lapse/internal/collect"
	"github.com/lapse-audit/lapse/internal/spell"
	"github.com/lapse-audit/lapse/internal/strict"
)

// Config is the section of a source of type ldap in lapse.yaml.
type Config struct {
	// URL is ldaps://HOST, ldap://HOST, ldapi://PATH or ldif:FILE. Of several servers the first that answers is read, and
	// only that one: they must hold the same directory. Of several files all are read.
	URL strict.Texts `yaml:"url"`
	// Dialect is active_directory, rfc2307 or auto (the default): what the server says of itself, or what a file holds.
	Dialect string `yaml:"dialect"`

	StartTLS bool `yaml:"start_tls"`
	Bind     Bind `yaml:"bind"`
	// CA is a PEM file of whom to trust instead of the system's authorities.
	CA string `yaml:"ca"`
	// ServerName is the name that the server's certificate must have, where it isn't the URL's.
	ServerName string `yaml:"server_name"`
	// Cert and Key are PEM files of a client certificate.
	Cert string `yaml:"cert"`
	Key  string `yaml:"key"`

	// Base is where to read; by default all that the server says it holds.
	Base strict.Texts `yaml:"base"`
	// Filter narrows what is read. An entry that it leaves out is not in the snapshot, and looks deleted.
	Filter string `yaml:"filter"`
	// PageSize is how many entries a page has, 1000 by default, which is what Active Directory gives at most.
	PageSize uint32 `yaml:"page_size"`
	// Timeout is how long the server may leave a request without any answer; 60s by default.
	Timeout strict.Span `yaml:"timeout"`

	// Lag is by how much lastLogonTimestamp may be behind the last sign-in: 14 days unless the domain's
	// msDS-LogonTimeSyncInterval was changed.
	Lag *strict.Span `yaml:"lag"`
	// ExactSignIn reads lastLogon from every server of URL, which then must name each domain controller.
	ExactSignIn bool `yaml:"exact_sign_in"`

	// Computers, Contacts and Deleted make accounts of these, too.
	Computers bool `yaml:"computers"`
	Contacts  bool `yaml:"contacts"`
	Deleted   bool `yaml:"deleted"`

	// Fields gives the attribute of a field of accounts: employee_id: employeeNumber.
	Fields map[string]string `yaml:"fields"`
	// Attributes are kept as they are: a list, or a map of our name to the directory's.
	Attributes strict.Attributes `yaml:"attributes"`
	// Kinds say what an account is for; the first that fits wins over what the directory itself says.
	Kinds []Kind `yaml:"kinds"`
	// Disabled is a filter for accounts that can't sign in, for a directory that has no sign of its own: all others can.
	Disabled string `yaml:"disabled"`
	// Privileged are groups that give special rights beside those that are known to: by name, DN or SID.
	Privileged strict.Texts `yaml:"privileged"`

	Incremental Incremental `yaml:"incremental"`

	// Roster says that the directory is the roster.
	Roster *Roster `yaml:"roster"`

	// Write is for whoever carries out changes; without it nothing is changed.
	Write *Write `yaml:"write" json:"-"`
}

// Bind says as whom to read.
type Bind struct {
	// Method is anonymous, simple, gssapi or external (by ldapi or client certificate); by default simple where a DN is
	// given, else anonymous.
	Method string `yaml:"method"`
	// DN is what a simple bind names: a DN, or in Active Directory also user@domain.
	DN       string         `yaml:"dn"`
	Password collect.Secret `yaml:"password"`

	// User and Realm are whom gssapi signs in, with the password or a keytab; without a user the credential cache is used.
	User   string `yaml:"user"`
	Realm  string `yaml:"realm"`
	Keytab string `yaml:"keytab"`
	CCache string `yaml:"ccache"`
	// Krb5Conf is /etc/krb5.conf by default.
	Krb5Conf string `yaml:"krb5_conf"`
	// SPN is the server's principal, ldap/HOST by default.
	SPN string `yaml:"spn"`
}

// How to bind.
const (
	Anonymous = "anonymous"
	Simple    = "simple"
	GSSAPI    = "gssapi"
	External  = "external"
)

// The dialects.
const (
	ActiveDirectory = "active_directory"
	RFC2307         = "rfc2307"
)

// Kind gives accounts a kind. All that it names must fit.
type Kind struct {
	Kind access.AccountKind `yaml:"kind"`
	// OU is a DN: of accounts at or below it.
	OU string `yaml:"ou"`
	// Username is a pattern with * and ?, matched whatever the case.
	Username string `yaml:"username"`
	// ObjectClass is one the account has.
	ObjectClass string `yaml:"object_class"`
	// Attribute is one the account has, with the Value if there is one.
	Attribute string `yaml:"attribute"`
	Value     string `yaml:"value"`
}

// Incremental says how to read only what changed. The entries of the last read are kept in a file that nobody else may
// read.
type Incremental struct {
	// Method is dirsync, usn or off (the default).
	Method string `yaml:"method"`
	// FullEvery is when all is read again and compared; 7 days by default.
	FullEvery strict.Span `yaml:"full_every"`
}

// How to read only what changed.
const (
	DirSync = "dirsync"
	USN     = "usn"
)

// Roster says what a directory that is the roster means by its dates.
type Roster struct {
	collect.Calendar `yaml:",inline"`
	// Filter says which entries are people, beside being users; by default all that have an employee number.
	Filter string `yaml:"filter"`
	// Fields gives the attribute of a field of people.
	Fields map[string]string `yaml:"fields"`
}

// defaults are the values of what is not set.
func (c Config) defaults() Config {
	c.Dialect = cmp.Or(c.Dialect, "auto")
	c.PageSize = cmp.Or(c.PageSize, 1000)
	c.Timeout = cmp.Or(c.Timeout, strict.Span(time.Minute))
	if c.Lag == nil {
		lag := strict.Span(14 * 24 * time.Hour)
		c.Lag = &lag
	}
	c.Incremental.Method = cmp.Or(c.Incremental.Method, "off")
	c.Incremental.FullEvery = cmp.Or(c.Incremental.FullEvery, strict.Span(7*24*time.Hour))
	if c.Bind.Method == "" {
		c.Bind.Method = Anonymous
		if c.Bind.DN != "" {
			c.Bind.Method = Simple
		}
	}
	return c
}

// files are the LDIF files that URL names, nil where it names servers.
func (c Config) files() []string {
	var out []string
	for _, u := range c.URL {
		if name, ok := strings.CutPrefix(u, "ldif:"); ok {
			out = append(out, name)
		}
	}
	return out
}

// Validate reports all faults at once, each with the name of its field.
func (c Config) Validate() error {
	c = c.defaults()
	var errs []error
	add := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }
	if len(c.URL) == 0 {
		add("url: is missing: write ldaps://HOST or ldif:FILE")
	}
	encrypted := len(c.URL) > 0
	for _, u := range c.URL {
		safe, err := checkURL(u, c.StartTLS)
		if err != nil {
			add("url: %w", err)
		}
		encrypted = encrypted && safe
	}
	files := len(c.files())
	if files > 0 && files < len(c.URL) {
		add("url: name servers or files, not both")
	}
	if !slices.Contains([]string{"auto", ActiveDirectory, RFC2307}, c.Dialect) {
		add("dialect: %q is none of auto, %s, %s", c.Dialect, ActiveDirectory, RFC2307)
	}
	if files == 0 {
		errs = append(errs, c.Bind.validate(encrypted)...)
	} else {
		for name, set := range map[string]bool{"start_tls": c.StartTLS, "bind": c.Bind != (Bind{Method: Anonymous}), "ca": c.CA != "", "server_name": c.ServerName != "", "cert": c.Cert != "", "exact_sign_in": c.ExactSignIn, "incremental": c.Incremental.Method != "off"} {
			if set {
				add("%s: goes with a server, not with ldif:", name)
			}
		}
	}
	if (c.Cert == "") != (c.Key == "") {
		add("cert: goes with key, and key with cert")
	}
	if c.Write != nil {
		errs = append(errs, c.Write.validate(c)...)
	}
	for _, b := range c.Base {
		if _, err := ldap.ParseDN(b); err != nil {
			add("base: %q is no DN", b)
		}
	}
	if c.Filter != "" {
		if _, err := ldap.CompileFilter(c.Filter); err != nil {
			add("filter: %q: %w", c.Filter, reason(err))
		}
	}
	if c.Disabled != "" {
		if c.Dialect != RFC2307 {
			add("disabled: goes with dialect: %s; Active Directory says itself who is disabled", RFC2307)
		}
		if _, err := parseFilter(c.Disabled); err != nil {
			add("disabled: %q: %w", c.Disabled, err)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(c.Fields)) {
		switch {
		case !slices.Contains(accountFields, name):
			add("fields: there is no field %q%s", name, suggest(name, accountFields))
		case c.Fields[name] == "":
			add("fields: %s: name an attribute", name)
		}
	}
	for i, k := range c.Kinds {
		if err := k.validate(); err != nil {
			add("kinds[%d]: %w", i, err)
		}
	}
	if !slices.Contains([]string{"off", DirSync, USN}, c.Incremental.Method) {
		add("incremental.method: %q is none of off, %s, %s", c.Incremental.Method, DirSync, USN)
	}
	if r := c.Roster; r != nil {
		if _, err := r.Clock(); err != nil {
			add("roster.%w", err)
		}
		for _, name := range slices.Sorted(maps.Keys(r.Fields)) {
			if !slices.Contains(personFields, name) {
				add("roster.fields: there is no field %q%s", name, suggest(name, personFields))
			}
		}
		if r.Filter != "" {
			if _, err := ldap.CompileFilter(r.Filter); err != nil {
				add("roster.filter: %q: %w", r.Filter, reason(err))
			}
		}
	}
	return errors.Join(errs...)
}

// The fields that an attribute can be given for.
var (
	accountFields = []string{"username", "email", "name", "employee_id", "owner_id", "sponsor", "purpose"}
	personFields  = []string{"employee_id", "username", "email", "name", "kind", "status", "department", "title", "location", "company", "cost_center", "manager_id", "start_at", "end_at"}
)

// checkURL reports whether what is sent to a URL can't be read on its way.
func checkURL(text string, startTLS bool) (safe bool, err error) {
	if name, ok := strings.CutPrefix(text, "ldif:"); ok {
		if name == "" {
			return true, errors.New("ldif: names no file")
		}
		return true, nil
	}
	if strings.HasPrefix(text, "ldapi:") { // its host is a path, which net/url refuses
		return true, nil
	}
	u, err := url.Parse(text)
	switch {
	case err != nil:
		return false, fmt.Errorf("%q can't be read", redact(text))
	case u.User != nil:
		return false, errors.New("holds a user or password: write bind: {dn: …, password: env:NAME}")
	case u.Scheme != "ldap" && u.Scheme != "ldaps":
		return false, fmt.Errorf("%q is none of ldaps://HOST, ldap://HOST, ldapi://PATH, ldif:FILE", redact(text))
	case u.Hostname() == "":
		return false, fmt.Errorf("%q names no host", text)
	case strings.Trim(u.Path, "/") != "" || u.RawQuery != "":
		return false, fmt.Errorf("%q: the base belongs in base: and the filter in filter: instead", text)
	case u.Scheme == "ldaps" && startTLS:
		return true, fmt.Errorf("%q: start_tls goes with ldap://, ldaps:// is encrypted from the start", text)
	}
	return u.Scheme == "ldaps" || startTLS, nil
}

// redact leaves out what could be a password in a URL that can't be read.
func redact(text string) string {
	if at := strings.LastIndexByte(text, '@'); at >= 0 {
		return "…" + text[at:]
	}
	return text
}

func (b Bind) validate(encrypted bool) []error {
	var errs []error
	add := func(format string, args ...any) { errs = append(errs, fmt.Errorf("bind."+format, args...)) }
	switch b.Method {
	case Anonymous:
		if b.DN != "" || b.Password.IsSet() {
			add("method: anonymous goes without dn and password")
		}
	case Simple:
		if b.DN == "" {
			add("dn: is missing")
		}
		if !b.Password.IsSet() {
			add("password: is missing: without one a server takes the bind for an anonymous one")
		}
		if !encrypted {
			add("method: simple sends the password readable over ldap://: write ldaps:// or start_tls: true")
		}
	case GSSAPI:
		if b.User != "" && b.Realm == "" {
			add("realm: is missing")
		}
		if b.User != "" && b.Keytab == "" && !b.Password.IsSet() {
			add("keytab: give a keytab or a password for %s", b.User)
		}
		if b.User == "" && b.CCache == "" {
			add("user: give user and realm, or ccache")
		}
	case External:
	default:
		add("method: %q is none of %s, %s, %s, %s", b.Method, Anonymous, Simple, GSSAPI, External)
	}
	return errs
}

func (k Kind) validate() error {
	var errs []error
	kinds := []access.AccountKind{access.KindHuman, access.KindService, access.KindShared, access.KindGuest, access.KindMachine}
	if !slices.Contains(kinds, k.Kind) {
		errs = append(errs, fmt.Errorf("kind: %q is none of human, service, shared, guest, machine", k.Kind))
	}
	if k.OU == "" && k.Username == "" && k.ObjectClass == "" && k.Attribute == "" {
		errs = append(errs, errors.New("name at least one of ou, username, object_class, attribute"))
	}
	if _, err := ldap.ParseDN(k.OU); err != nil {
		errs = append(errs, fmt.Errorf("ou: %q is no DN", k.OU))
	}
	if _, err := path.Match(k.Username, ""); err != nil {
		errs = append(errs, fmt.Errorf("username: %q is no pattern", k.Username))
	}
	if k.Value != "" && k.Attribute == "" {
		errs = append(errs, errors.New("value: goes with attribute"))
	}
	return errors.Join(errs...)
}

// suggest names the nearest of the known words, or all where none is near.
func suggest(word string, known []string) string {
	if near := spell.Nearest(word, known); near != "" {
		return fmt.Sprintf(": did you mean %q?", near)
	}
	return ": there are " + strings.Join(known, ", ")
}

// reason is an error of the library without its own prefix.
func reason(err error) error {
	var e *ldap.Error
	if errors.As(err, &e) && e.Err != nil {
		return e.Err
	}
	return err
}

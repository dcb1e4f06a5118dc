// Package config reads lapse.yaml.
package config

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"

	"github.com/lapse-audit/lapse/internal/collect"
	"github.com/lapse-audit/lapse/internal/notify"
	"github.com/lapse-audit/lapse/internal/notify/email"
	"github.com/lapse-audit/lapse/internal/notify/link"
	"github.com/lapse-audit/lapse/internal/notify/slack"
	"github.com/lapse-audit/lapse/internal/notify/teams"
	"github.com/lapse-audit/lapse/internal/notify/tickets"
	"github.com/lapse-audit/lapse/internal/remediate"
	"github.com/lapse-audit/lapse/internal/review"
	"github.com/lapse-audit/lapse/internal/serve"
	"github.com/lapse-audit/lapse/internal/strict"
)

// Error is a fault in lapse.yaml, with its place.
type Error = strict.Error

// Config is lapse.yaml. Relative paths in it are relative to Dir.
type Config struct {
	Timezone   string    `yaml:"timezone"`
	Store      Store     `yaml:"store"`
	State      State     `yaml:"state"`
	Retention  Retention `yaml:"retention"`
	Scan       Scan      `yaml:"scan"`
	Policies   Policies  `yaml:"policies"`
	Guard      Guard     `yaml:"guard"` // for sources that set none of their own
	Sources    []Source  `yaml:"sources"`
	Retired    []string  `yaml:"retired"`    // uids of rosters that are gone for good; none vanishes without being named here
	People     string    `yaml:"people"`     // people.yaml: one person's records over several rosters
	Exceptions string    `yaml:"exceptions"` // a file of exceptions kept in git, applied at each scan
	Contracts  List      `yaml:"contracts"`  // what licenses cost, beside what sources say
	Inventory  List      `yaml:"inventory"`  // every app of the company, connected or not
	Report     Report    `yaml:"report"`

	Remediation remediate.Settings `yaml:"remediation"`
	Notify      Notify             `yaml:"notify"`
	Review      review.Settings    `yaml:"review"`
	Serve       serve.Settings     `yaml:"serve"`

	File string `yaml:"-"` // as it was named
	Dir  string `yaml:"-"` // absolute folder of File

	Location *time.Location `yaml:"-"`
}

// Notify is how people are asked about findings.
type Notify struct {
	notify.Settings `yaml:",inline"`

	Tickets *tickets.Config `yaml:"tickets"`
	Slack   *slack.Config   `yaml:"slack"`
	Teams   *teams.Config   `yaml:"teams"`
	Email   *email.Config   `yaml:"email"`
	Links   *link.Config    `yaml:"links"` // by which answers come back from channels that have no buttons of their own
}

// Validate reports every setting that makes no sense.
func (n *Notify) Validate() error {
	errs := apart(n.Settings.Validate())
	section := func(name string, err error) {
		for _, e := range apart(err) {
			errs = append(errs, fmt.Errorf("%s.%w", name, e))
		}
	}
	if n.Tickets != nil {
		section("tickets", n.Tickets.Validate())
	}
	if n.Slack != nil {
		section("slack", n.Slack.Validate())
	}
	if n.Teams != nil {
		section("teams", n.Teams.Validate())
	}
	if n.Email != nil {
		section("email", n.Email.Validate())
	}
	if n.Links != nil {
		section("links", n.Links.Validate())
	}
	return errors.Join(errs...)
}

// Store says where facts are kept.
type Store struct {
	URL      string `yaml:"url"` // embedded:DIR, clickhouse://HOST:9000/DB, https://HOST:8443/DB
	User     string `yaml:"user"`
	Password Secret `yaml:"password"`
	CA       string `yaml:"ca"`     // PEM file, beside the system's
	Memory   Size   `yaml:"memory"` // of the embedded engine
	Threads  int    `yaml:"threads"`
	Library  string `yaml:"library"` // libchdb, where it is not found by itself
}

// UnmarshalYAML takes a bare URL or the section.
func (s *Store) UnmarshalYAML(n *yaml.Node) error {
	if n.Kind == yaml.ScalarNode {
		s.URL = n.Value
		return nil
	}
	type plain Store
	return strict.Decode("", n, "store", (*plain)(s))
}

// State says where decisions are kept.
type State struct {
	URL      string `yaml:"url"` // a file, or postgres://HOST/DB
	Password Secret `yaml:"password"`
}

// UnmarshalYAML takes a bare URL or the section.
func (s *State) UnmarshalYAML(n *yaml.Node) error {
	if n.Kind == yaml.ScalarNode {
		s.URL = n.Value
		return nil
	}
	type plain State
	return strict.Decode("", n, "state", (*plain)(s))
}

// Retention says how long facts are kept.
type Retention struct {
	Nights        int `yaml:"nights"`         // the last complete run of each day
	Months        int `yaml:"months"`         // one run a month
	ChangesMonths int `yaml:"changes_months"` // observed changes
}

// Scan sets the nightly job.
type Scan struct {
	Parallel    int    `yaml:"parallel"`     // sources read at the same time
	BacklogDays int    `yaml:"backlog_days"` // until the findings of a first night are due
	Workers     int    `yaml:"workers"`      // that evaluate policies
	Lane        string `yaml:"lane"`         // how: auto, full or prefilter; auto prefilters where there are many subjects
}

// Policies chooses and adjusts rules.
type Policies struct {
	Profile Profile         `yaml:"profile"`
	Folders []string        `yaml:"folders"`
	Bundles []Bundle        `yaml:"bundles"`
	Enable  []string        `yaml:"enable"`
	Disable []string        `yaml:"disable"`
	Rules   map[string]Rule `yaml:"rules"`
}

// Profile is the name of a set of rules and thresholds, with its place.
type Profile struct {
	Name         string
	Line, Column int
}

// UnmarshalYAML takes the name.
func (p *Profile) UnmarshalYAML(n *yaml.Node) error {
	p.Line, p.Column = n.Line, n.Column
	return n.Decode(&p.Name)
}

// Bundle is a .tar.gz of policies, as OPA makes them.
type Bundle struct {
	Path      string `yaml:"path"`
	Key       string `yaml:"key"`       // PEM file: the public key of whoever signs it
	Algorithm string `yaml:"algorithm"` // of the signature; RS256 by default
	Scope     string `yaml:"scope"`     // that the signature is for
	Unsigned  bool   `yaml:"unsigned"`  // it is taken as it is

	Line int `yaml:"-"`
}

// UnmarshalYAML notes the place.
func (b *Bundle) UnmarshalYAML(n *yaml.Node) error {
	type plain Bundle
	b.Line = n.Line
	return strict.Decode("", n, "policies.bundles", (*plain)(b))
}

// bundleAlgorithms are those of a signature by a key pair, as JWS names them.
var bundleAlgorithms = []string{"RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA"}

func (b *Bundle) validate(fail func(line int, format string, args ...any)) {
	switch {
	case b.Path == "":
		fail(b.Line, "policies.bundles: path is missing: name a .tar.gz")
	case b.Key == "" && !b.Unsigned:
		fail(b.Line, "policies.bundles: %s: key is missing: name the PEM file of the public key that it is signed with, or write unsigned: true", b.Path)
	case b.Key != "" && b.Unsigned:
		fail(b.Line, "policies.bundles: %s: it has a key and is unsigned: keep one of them", b.Path)
	}
	if b.Algorithm != "" && !slices.Contains(bundleAlgorithms, b.Algorithm) {
		fail(b.Line, "policies.bundles: %s: algorithm %q: want one of %s", b.Path, b.Algorithm, strings.Join(bundleAlgorithms, ", "))
	}
}

// Rule overrides the METADATA of one policy, for all sources or for some.
type Rule struct {
	Enabled  *bool                 `yaml:"enabled"`
	Severity string                `yaml:"severity"`
	Action   string                `yaml:"action"`
	Assignee string                `yaml:"assignee"`
	Params   map[string]any        `yaml:"params"`
	Data     string                `yaml:"data"`    // a file in the place of the table that comes with the rule
	Sources  map[string]SourceRule `yaml:"sources"` // by uid, over what stands above
}

// SourceRule overrides one policy for the subjects of one source.
type SourceRule struct {
	Enabled  *bool          `yaml:"enabled"`
	Severity string         `yaml:"severity"`
	Action   string         `yaml:"action"`
	Assignee string         `yaml:"assignee"`
	Params   map[string]any `yaml:"params"`
}

// Guard says how far a snapshot may differ from the ones before it.
type Guard = collect.Limits

// Source is one connected system. What its type needs besides stands in Section.
type Source struct {
	UID       string    `yaml:"uid"`
	Name      string    `yaml:"name"`
	Type      string    `yaml:"type"`
	Directory bool      `yaml:"directory"` // the people's main directory
	Links     Links     `yaml:"links"`
	Authority string    `yaml:"authority"` // uid of the source of which its accounts and groups are copies
	Usage     List      `yaml:"usage"`     // a file that says when the accounts were last used, where the source doesn't
	Limits    yaml.Node `yaml:"guard"`

	Guard   Guard     `yaml:"-"` // Limits laid over the general guard
	Roster  bool      `yaml:"-"` // the section has a roster key, which the type reads
	Line    int       `yaml:"-"`
	section yaml.Node `yaml:"-"`
	hook    yaml.Node `yaml:"-"` // the key write, where it names a command
	file    string    `yaml:"-"`
}

// Links declares the rosters whose employee ids a source carries.
type Links struct {
	EmployeeID []string `yaml:"employee_id"`
}

// Report says where scans leave their reports.
type Report struct {
	Dir string `yaml:"dir"`
}

// List is a list that is kept by hand: in lapse.yaml, in a file that it names, or in one of which it says how to read it.
// What its items are belongs to whoever decodes it.
type List struct {
	node yaml.Node
	file string
	path string
}

// UnmarshalYAML keeps the section for Decode.
func (l *List) UnmarshalYAML(n *yaml.Node) error {
	l.node = *n
	return nil
}

// IsSet reports whether there is such a section.
func (l *List) IsSet() bool { return !l.node.IsZero() }

// Decode reads the section into v, strictly.
func (l *List) Decode(v any) error { return strict.Decode(l.file, &l.node, l.path, v) }

// Decode reads the part of the section that the source's type owns into v, strictly.
func (s *Source) Decode(v any) error {
	return strict.Decode(s.file, &s.section, fmt.Sprintf("sources[%s]", s.UID), v)
}

// HasHook reports whether a command makes the changes in the source, whatever its type.
func (s *Source) HasHook() bool { return !s.hook.IsZero() }

// DecodeHook reads the section of that command into v, strictly.
func (s *Source) DecodeHook(v any) error {
	return strict.Decode(s.file, &s.hook, fmt.Sprintf("sources[%s].write", s.UID), v)
}

// common are the keys that every source has.
var common = map[string]bool{"uid": true, "name": true, "type": true, "directory": true, "links": true, "usage": true, "guard": true, "authority": true}

// UnmarshalYAML parts the common keys from those of the type.
func (s *Source) UnmarshalYAML(n *yaml.Node) error {
	if n.Kind != yaml.MappingNode {
		return fmt.Errorf("want a mapping with uid and type")
	}
	type plain Source
	shared := yaml.Node{Kind: yaml.MappingNode, Line: n.Line, Column: n.Column}
	s.section = yaml.Node{Kind: yaml.MappingNode, Line: n.Line, Column: n.Column}
	for i := 0; i < len(n.Content); i += 2 {
		to := &s.section
		s.Roster = s.Roster || n.Content[i].Value == "roster"
		if n.Content[i].Value == "write" && hasKey(n.Content[i+1], "exec") {
			if s.HasHook() {
				return fmt.Errorf("key %q stands twice", "write")
			}
			s.hook = *n.Content[i+1]
			continue
		}
		if common[n.Content[i].Value] {
			to = &shared
		}
		to.Content = append(to.Content, n.Content[i], n.Content[i+1])
	}
	s.Line = n.Line
	return strict.Decode("", &shared, "", (*plain)(s))
}

func hasKey(n *yaml.Node, key string) bool {
	if n.Kind == yaml.AliasNode {
		n = n.Alias
	}
	for i := 0; n.Kind == yaml.MappingNode && i < len(n.Content); i += 2 {
		if n.Content[i].Value == key {
			return true
		}
	}
	return false
}

// Size is a number of bytes: 512MiB, 4GiB, 2GB.
type Size int64

// UnmarshalYAML reads a number with an optional unit.
func (s *Size) UnmarshalYAML(n *yaml.Node) error {
	m := regexp.MustCompile(`^(\d+) ?(B|KB|MB|GB|KiB|MiB|GiB)?$`).FindStringSubmatch(n.Value)
	if m == nil {
		return fmt.Errorf("want a size such as 512MiB or 4GiB, got %q", n.Value)
	}
	v, err := strconv.ParseInt(m[1], 10, 64)
	if err != nil {
		return err
	}
	unit := map[string]int64{"": 1, "B": 1, "KB": 1e3, "MB": 1e6, "GB": 1e9, "KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30}[m[2]]
	if v > (1<<62)/unit {
		return fmt.Errorf("%q is too large", n.Value)
	}
	*s = Size(v * unit)
	return nil
}

// Default is the configuration that lapse.yaml is laid over.
func Default() Config {
	return Config{
		Timezone:  "UTC",
		Store:     Store{URL: "embedded:./lapse-data"},
		Retention: Retention{Nights: 35, Months: 13, ChangesMonths: 25},
		Scan:      Scan{Parallel: 4, BacklogDays: 30, Lane: "auto"},
		Guard:     collect.DefaultLimits(),
		Report:    Report{Dir: "./lapse-report"},

		Remediation: remediate.Defaults(),
		Notify:      Notify{Settings: notify.Defaults()},
		Review:      review.Defaults(),
		Serve:       serve.Defaults(),
	}
}

// Load reads and validates a file. All faults are reported at once.
func Load(path string) (*Config, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		if errors.Is(err, os.ErrNotExist) {
			return nil, fmt.Errorf("%s: no such file: write one with `lapse init`, or name it with --config", path)
		}
		return nil, err
	}
	abs, err := filepath.Abs(path)
	if err != nil {
		return nil, err
	}
	return Parse(path, filepath.Dir(abs), data)
}

// Parse reads and validates the text of a file in dir.
func Parse(file, dir string, data []byte) (*Config, error) {
	c := Default()
	c.File, c.Dir = file, dir
	var doc yaml.Node
	dec := yaml.NewDecoder(bytes.NewReader(data))
	switch err := dec.Decode(&doc); {
	case errors.Is(err, io.EOF):
		return nil, fmt.Errorf("%s: the file is empty: write one with `lapse init`", file)
	case err != nil:
		return nil, fmt.Errorf("%s: %s", file, strings.TrimPrefix(err.Error(), "yaml: "))
	}
	if err := dec.Decode(new(yaml.Node)); !errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("%s: more than one YAML document: keep one", file)
	}
	if err := strict.Decode(file, doc.Content[0], "", &c); err != nil {
		return nil, err
	}
	c.Contracts.file, c.Contracts.path = file, "contracts"
	c.Inventory.file, c.Inventory.path = file, "inventory"
	var errs []error
	for i := range c.Sources {
		src := &c.Sources[i]
		src.file, src.Guard = file, c.Guard
		src.Usage.file, src.Usage.path = file, fmt.Sprintf("sources[%s].usage", src.UID)
		if !src.Limits.IsZero() {
			errs = append(errs, strict.Decode(file, &src.Limits, fmt.Sprintf("sources[%s].guard", src.UID), &src.Guard))
			if err := src.Guard.Validate(); err != nil {
				errs = append(errs, &Error{File: file, Line: src.Limits.Line, Column: src.Limits.Column, Path: fmt.Sprintf("sources[%s].guard", src.UID), Reason: err.Error()})
			}
		}
		if src.Name == "" {
			src.Name = src.UID
		}
	}
	return &c, errors.Join(append(errs, c.validate(doc.Content[0]))...)
}

var uidForm = regexp.MustCompile(`^[a-z0-9][a-z0-9._-]{0,63}$`)

// validate looks at what was decoded from doc. A fault without a line is placed by the keys that its text begins with.
func (c *Config) validate(doc *yaml.Node) error {
	var errs []error
	fail := func(line int, format string, args ...any) {
		e := &Error{File: c.File, Line: line, Column: 1, Reason: fmt.Sprintf(format, args...)}
		if line == 0 {
			e.Line, e.Column = placeOf(doc, e.Reason)
		}
		errs = append(errs, e)
	}
	var err error
	if c.Location, err = time.LoadLocation(c.Timezone); err != nil {
		fail(0, "timezone: %q is not in the time zone database: write one such as Europe/Berlin", c.Timezone)
	}
	if c.Retention.Nights < 1 || c.Retention.Months < 1 || c.Retention.ChangesMonths < 1 {
		fail(0, "retention: nights, months and changes_months must be at least 1")
	}
	if !slices.Contains([]string{"auto", "full", "prefilter"}, c.Scan.Lane) {
		fail(0, "scan.lane: %q: want auto, full or prefilter", c.Scan.Lane)
	}
	if err := c.Guard.Validate(); err != nil {
		fail(0, "guard: %v", err)
	}
	if err := c.Remediation.Validate(); err != nil {
		for _, e := range apart(err) {
			fail(0, "remediation.%v", e)
		}
	}
	if c.Remediation.Tickets && c.Notify.Tickets == nil {
		fail(0, "remediation.tickets: notify.tickets is missing, which says where tickets are opened")
	}
	if err := c.Notify.Validate(); err != nil {
		for _, e := range apart(err) {
			fail(0, "notify.%v", e)
		}
	}
	if err := c.Review.Validate(); err != nil {
		for _, e := range apart(err) {
			fail(0, "review.%v", e)
		}
	}
	for _, e := range apart(c.Serve.Validate()) {
		fail(0, "serve.%v", e)
	}
	for i := range c.Policies.Bundles {
		c.Policies.Bundles[i].validate(fail)
	}
	seen := map[string]int{}
	rosters := map[string]bool{}
	for _, s := range c.Sources {
		if !uidForm.MatchString(s.UID) {
			fail(s.Line, "sources: uid %q: want lower-case letters, digits, '.', '_' or '-', at most 64", s.UID)
		}
		if line, ok := seen[s.UID]; ok {
			fail(s.Line, "sources: uid %q stands already in line %d: a uid is permanent and unique", s.UID, line)
		}
		seen[s.UID] = s.Line
		if s.Type == "" {
			fail(s.Line, "sources[%s]: type is missing", s.UID)
		}
		rosters[s.UID] = s.Roster
	}
	for _, w := range c.Serve.Webhooks {
		if w.Roster != "" && !rosters[w.Roster] {
			fail(0, "serve.webhooks.%s.roster: %q is not a source with a roster section", w.Name, w.Roster)
		}
	}
	for _, uid := range slices.Sorted(maps.Keys(c.Notify.Owners)) {
		if _, ok := seen[uid]; !ok {
			fail(0, "notify.owners.%s: there is no such source", uid)
		}
	}
	for _, uid := range c.Retired {
		if rosters[uid] {
			fail(0, "retired: %q is a source with a roster section: it is either there or retired", uid)
		}
	}
	for _, s := range c.Sources {
		if _, ok := seen[s.Authority]; s.Authority != "" && !ok {
			fail(s.Line, "sources[%s]: authority: there is no source %q", s.UID, s.Authority)
		}
		for _, r := range s.Links.EmployeeID {
			if !rosters[r] {
				fail(s.Line, "sources[%s]: links: employee_id: %q is not a source with a roster section", s.UID, r)
			}
		}
	}
	return errors.Join(errs...)
}

// placeOf is where the key stands that a reason begins with, such as serve.webhooks.hr.roster, or the last of those above it.
func placeOf(doc *yaml.Node, reason string) (line, column int) {
	line, column = 1, 1
	path, _, _ := strings.Cut(reason, ":")
	for _, key := range strings.FieldsFunc(path, func(r rune) bool { return r == '.' || r == '[' || r == ' ' }) {
		i := -1
		for j := 0; doc.Kind == yaml.MappingNode && j < len(doc.Content); j += 2 {
			if doc.Content[j].Value == key {
				i = j
			}
		}
		if i < 0 {
			break
		}
		line, column, doc = doc.Content[i].Line, doc.Content[i].Column, doc.Content[i+1]
	}
	return line, column
}

// apart are the faults that were joined into one.
func apart(err error) []error {
	if err == nil {
		return nil
	}
	if many, ok := err.(interface{ Unwrap() []error }); ok {
		return many.Unwrap()
	}
	return []error{err}
}

// Path makes a path of the configuration absolute.
func (c *Config) Path(p string) string { return resolvePath(c.Dir, p) }

// StoreURL is the store's URL with an embedded folder made absolute.
func (c *Config) StoreURL() string {
	if dir, ok := strings.CutPrefix(c.Store.URL, "embedded:"); ok {
		return "embedded:" + c.Path(dir)
	}
	return c.Store.URL
}

// StateURL is where decisions are kept: by default beside the embedded store.
func (c *Config) StateURL() string {
	switch {
	case strings.Contains(c.State.URL, "://"):
		return c.State.URL
	case c.State.URL != "":
		return c.Path(c.State.URL)
	}
	if dir, ok := strings.CutPrefix(c.StoreURL(), "embedded:"); ok {
		return filepath.Join(dir, "state.db")
	}
	return c.Path("lapse-state.db")
}

// PrivateDir is where collectors keep what they need between two reads: within the embedded store, else beside the file.
func (c *Config) PrivateDir() string {
	if dir, ok := strings.CutPrefix(c.StoreURL(), "embedded:"); ok {
		return filepath.Join(dir, "collect")
	}
	return c.Path("lapse-collect")
}

func resolvePath(base, p string) string {
	if filepath.IsAbs(p) {
		return filepath.Clean(p)
	}
	return filepath.Join(base, p)
}

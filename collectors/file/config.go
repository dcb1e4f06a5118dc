package file

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"unicode/utf8"

	"go.yaml.in/yaml/v3"

	"github.com/lapse-audit/lapse/internal/access"
	"github.com/lapse-audit/lapse/internal/collect"
	"github.com/lapse-audit/lapse/internal/spell"
)

// Config is the section of a source of type file in lapse.yaml.
type Config struct {
	// Roster says what the dates of people mean; a source of people needs it.
	Roster *Roster `yaml:"roster"`
	// Zone is the zone of dates and times without one, other than a roster's start and end; by default the roster's
	// zone, else UTC.
	Zone  string `yaml:"zone"`
	Files Files  `yaml:"files"`
	// MaxRecord is the longest row in bytes, 1 MiB by default. A longer one is an error: usually a quote is missing.
	MaxRecord int `yaml:"max_record"`
	// Coverage declares signals that can't be measured: owner: full says that an account without an owner has none.
	Coverage map[string]access.Coverage `yaml:"coverage"`
}

// Roster is the calendar of a roster, and what its history means.
type Roster struct {
	collect.Calendar `yaml:",inline"`
	// History says what rows with effective_from and effective_to are. Rows of employment (the default) say that the
	// person works here while one is in force: the first starts and the last ends the employment, and a gap makes two of
	// it. Rows of assignment say only which job it is; start_at and end_at say the rest.
	History string `yaml:"history"`
}

// What rows with effective dates are.
const (
	Employment = "employment"
	Assignment = "assignment"
)

// Files says where the records of each kind are. One file may serve several kinds.
type Files struct {
	People       *Table `yaml:"people"`
	Accounts     *Table `yaml:"accounts"`
	Keys         *Table `yaml:"keys"` // of accounts, beside their passwords
	Entitlements *Table `yaml:"entitlements"`
	Grants       *Table `yaml:"grants"`
	Licenses     *Table `yaml:"licenses"`
	Seats        *Table `yaml:"seats"`
	Usage        *Table `yaml:"usage"`
}

// Table is how the records of one kind are read.
type Table struct {
	// Path is one file or several, relative to the folder of lapse.yaml.
	Path Texts `yaml:"path"`
	// Format is csv, json (an array, or objects one after the other), or jsonl (one object a line); by default what the
	// file's name ends in.
	Format string `yaml:"format"`
	// Rows is the dotted path to the array in a JSON document.
	Rows string `yaml:"rows"`
	// Encoding is auto (the default), utf-8, utf-16le, utf-16be or windows-1252.
	Encoding string `yaml:"encoding"`
	// Delimiter is one character, tab, or auto (the default).
	Delimiter string `yaml:"delimiter"`
	// Columns gives the column of each field: a header, or a dotted path in JSON. Several columns of a text are joined
	// with a blank. Without Columns each field is the column of its own name, whatever its case and separators.
	Columns map[string]Texts `yaml:"columns"`
	// Constant gives fields that are the same in every row.
	Constant map[string]string `yaml:"constant"`
	// Values translates a field: what is wanted, and the texts that stand for it, whatever their case. The empty one is
	// unknown.
	Values map[string]map[string]Texts `yaml:"values"`
	// Dates are the layouts of dates: Go's, or iso, us, eu, ldap, unix, unix_ms, filetime. By default iso. A map gives the
	// layouts of single fields, and of all others under "*".
	Dates Dates `yaml:"dates"`
	// Never are the texts in a column of dates that stand for never.
	Never Texts `yaml:"never"`
	// DecimalComma says that 57,00 is a price.
	DecimalComma bool `yaml:"decimal_comma"`
	// Where keeps only the rows whose column has one of the texts.
	Where map[string]Texts `yaml:"where"`
	// Attributes are columns that are kept as they are: a list, or a map of attribute to column.
	Attributes Attributes `yaml:"attributes"`
	// AllowEmpty says that a file without rows is no mistake.
	AllowEmpty bool `yaml:"allow_empty"`
}

// Texts is one text or a list of texts in YAML.
type Texts []string

// UnmarshalYAML implements yaml.Unmarshaler.
func (t *Texts) UnmarshalYAML(n *yaml.Node) error {
	list := []*yaml.Node{n}
	if n.Kind == yaml.SequenceNode {
		list = n.Content
	}
	*t = nil
	for _, e := range list {
		if e.Kind == yaml.AliasNode {
			e = e.Alias
		}
		if e.Kind != yaml.ScalarNode {
			return fmt.Errorf("line %d, column %d: want a text or a list of texts", e.Line, e.Column)
		}
		*t = append(*t, e.Value)
	}
	return nil
}

// Dates are layouts: for all fields, or by field with "*" for the others.
type Dates map[string]Texts

// UnmarshalYAML implements yaml.Unmarshaler.
func (d *Dates) UnmarshalYAML(n *yaml.Node) error {
	if n.Kind == yaml.MappingNode {
		return n.Decode((*map[string]Texts)(d))
	}
	var all Texts
	if err := all.UnmarshalYAML(n); err != nil {
		return err
	}
	*d = Dates{"*": all}
	return nil
}

// Attributes gives the column of each attribute.
type Attributes map[string]string

// UnmarshalYAML implements yaml.Unmarshaler.
func (a *Attributes) UnmarshalYAML(n *yaml.Node) error {
	if n.Kind == yaml.MappingNode {
		return n.Decode((*map[string]string)(a))
	}
	var names Texts
	if err := names.UnmarshalYAML(n); err != nil {
		return err
	}
	*a = Attributes{}
	for _, name := range names {
		(*a)[name] = name
	}
	return nil
}

// each calls f with every table that is configured, in the order in which they are read: what is named before what
// names it.
func (f Files) each(do func(kind collect.Kind, t *Table)) {
	for _, e := range []struct {
		kind collect.Kind
		t    *Table
	}{
		{collect.People, f.People}, {accountKeys, f.Keys}, {collect.Accounts, f.Accounts}, {collect.Entitlements, f.Entitlements},
		{collect.Licenses, f.Licenses}, {collect.Grants, f.Grants}, {collect.Seats, f.Seats}, {collect.Usages, f.Usage},
	} {
		if e.t != nil {
			do(e.kind, e.t)
		}
	}
}

// Validate reports all faults at once, each with the name of its field.
func (c Config) Validate() error {
	var errs []error
	add := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }
	if c.Roster != nil {
		if _, err := c.Roster.Clock(); err != nil {
			errs = append(errs, within("roster", err))
		}
		if h := c.Roster.History; h != "" && h != Employment && h != Assignment {
			add("roster.history: %q is neither employment nor assignment", h)
		}
	}
	if _, err := collect.LoadZone(c.Zone); err != nil {
		add("zone: %w", err)
	}
	if c.MaxRecord < 0 {
		add("max_record: %d is less than 0", c.MaxRecord)
	}
	for _, name := range slices.Sorted(maps.Keys(c.Coverage)) {
		if v := c.Coverage[name]; v != access.CoverageFull && v != access.CoveragePartial && v != access.CoverageNone {
			add("coverage.%s: %q is neither full, partial nor none", name, v)
		}
	}
	if c.Files.People != nil && c.Roster == nil {
		add("roster: is missing: say what the dates of people mean, at least end_date: last_day or first_day_off")
	}
	some := false
	c.Files.each(func(kind collect.Kind, t *Table) {
		some = true
		if err := t.validate(shapeOf(kind)); err != nil {
			errs = append(errs, within("files."+string(kind), err))
		}
	})
	if !some {
		add("files: name at least one of people, accounts, entitlements, grants, licenses, seats, usage")
	}
	if c.Files.Keys != nil && c.Files.Accounts == nil {
		add("files.keys: the accounts that have them are missing: name files.accounts")
	}
	return errors.Join(errs...)
}

func (t *Table) validate(s shape) error {
	var errs []error
	add := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }
	if len(t.Path) == 0 || slices.Contains(t.Path, "") {
		add("path: name a file")
	}
	for _, path := range t.Path {
		if _, err := t.format(path); err != nil {
			add("format: %w", err)
		}
	}
	if !slices.Contains([]string{"", "auto", "utf-8", "utf-16le", "utf-16be", "windows-1252"}, t.Encoding) {
		add("encoding: %q is none of auto, utf-8, utf-16le, utf-16be, windows-1252", t.Encoding)
	}
	if d := t.Delimiter; d != "" && d != "auto" && d != "tab" && utf8.RuneCountInString(d) != 1 || d == `"` || d == "\n" || d == "\r" {
		add("delimiter: %q is not one character, tab or auto", d)
	}
	field := func(where, name string, typ ...cellType) {
		i := slices.IndexFunc(s.fields, func(f fieldInfo) bool { return f.name == name })
		if i < 0 {
			add("%s: there is no field %q%s", where, name, suggest(name, s.names()))
			return
		}
		if len(typ) > 0 && !slices.Contains(typ, s.fields[i].typ) {
			add("%s: %s is %s", where, name, s.fields[i].typ)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(t.Columns)) {
		if len(t.Columns[name]) < 2 {
			field("columns", name)
		}
		switch columns := t.Columns[name]; {
		case len(columns) == 0 || slices.Contains(columns, ""):
			add("columns: %s: name a column", name)
		case len(columns) > 1:
			field("columns", name, textCell)
		}
		if _, ok := t.Constant[name]; ok {
			add("constant: %s has a column, too", name)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(t.Constant)) {
		field("constant", name)
	}
	for _, name := range slices.Sorted(maps.Keys(t.Values)) {
		field("values", name, textCell, flagCell, enumCell)
		errs = append(errs, t.validateValues(name, s)...)
	}
	for _, name := range slices.Sorted(maps.Keys(t.Dates)) {
		if name != "*" {
			field("dates", name, timeCell)
		}
		for _, l := range t.Dates[name] {
			if _, err := newLayouts([]string{l}); err != nil {
				add("dates: %w", err)
			}
		}
	}
	for _, column := range slices.Sorted(maps.Keys(t.Where)) {
		if len(t.Where[column]) == 0 {
			add("where: %s: name a text", column)
		}
	}
	return errors.Join(errs...)
}

func (t *Table) validateValues(name string, s shape) []error {
	var errs []error
	targets := map[string]string{}
	i := slices.IndexFunc(s.fields, func(f fieldInfo) bool { return f.name == name })
	for _, to := range slices.Sorted(maps.Keys(t.Values[name])) {
		if i >= 0 && to != "" {
			if _, reason := s.fields[i].canonical(to); reason != "" {
				errs = append(errs, fmt.Errorf("values: %s: %s", name, reason))
			}
		}
		for _, from := range t.Values[name][to] {
			key := strings.ToLower(strings.TrimSpace(from))
			if other, ok := targets[key]; ok && other != to {
				errs = append(errs, fmt.Errorf("values: %s: %q stands for both %q and %q", name, from, other, to))
			}
			targets[key] = to
		}
	}
	return errs
}

// format is how a file is to be read: csv, json or jsonl.
func (t *Table) format(path string) (string, error) {
	switch f := strings.ToLower(t.Format); f {
	case "csv", "json", "jsonl":
		return f, nil
	case "", "auto":
	default:
		return "", fmt.Errorf("%q is none of csv, json, jsonl", t.Format)
	}
	dot := strings.LastIndexByte(path, '.')
	switch ending := strings.ToLower(path[max(dot, 0):]); ending {
	case ".csv", ".tsv", ".txt":
		return "csv", nil
	case ".json":
		return "json", nil
	case ".jsonl", ".ndjson":
		return "jsonl", nil
	default:
		return "", fmt.Errorf("is missing, and %s doesn't tell: write csv, json or jsonl", path)
	}
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

// suggest names the nearest of the known words, or all where none is near.
func suggest(word string, known []string) string {
	if len(known) == 0 {
		return ""
	}
	best := slices.MinFunc(known, func(a, b string) int {
		return cmp.Or(cmp.Compare(spell.Distance(word, a), spell.Distance(word, b)), cmp.Compare(a, b))
	})
	if plain(best) == plain(word) || spell.Distance(word, best) <= max(2, utf8.RuneCountInString(word)/3) {
		return fmt.Sprintf(": did you mean %q?", best)
	}
	return ": there are " + strings.Join(known[:min(30, len(known))], ", ")
}

// plain is a name without case and separators.
func plain(name string) string {
	return strings.Map(func(r rune) rune {
		switch r {
		case ' ', '_', '-', '.', '\t', '\u00a0':
			return -1
		}
		return r
	}, strings.ToLower(name))
}

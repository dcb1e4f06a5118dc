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
	"github.com/lapse-audit/lapse/internal/strict"
)

// Config is the section of a source of type file in lapse.yaml.
type Config struct {
	// Template names the mapping of a vendor's export, over which what stands under files is laid. Path and Take are where
	// its tables are that name no path of their own.
	Template string       `yaml:"template"`
	Path     strict.Texts `yaml:"path"`
	Take     string       `yaml:"take"`
	// Manual says that people make the exports, and how often: a late one is said in every report.
	Manual *Manual `yaml:"manual"`
	// Roster says what the dates of people mean; a source of people needs it.
	Roster *Roster `yaml:"roster"`
	// Zone is the zone of dates and times without one, other than a roster's start and end; by default the roster's
	// zone, else UTC.
	Zone  string `yaml:"zone"`
	Files Files  `yaml:"files"`
	// MaxRecord is the longest row in bytes, 1 MiB by default. A longer one is an error: usually a quote is missing.
	MaxRecord int `yaml:"max_record"`
	// MaxUnpacked is how many bytes an archive may unpack to, and MaxRatio how many times its size, so that a small file
	// can't fill the machine. By default 4 GiB and 200.
	MaxUnpacked int64 `yaml:"max_unpacked"`
	MaxRatio    int64 `yaml:"max_ratio"`
	// Coverage declares signals that can't be measured: owner: full says that an account without an owner has none.
	Coverage map[string]access.Coverage `yaml:"coverage"`

	notes []string // of the template
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
	// Path is one file or several, relative to the folder of lapse.yaml. A file may be packed by gzip (.gz) or zip (.zip).
	Path strict.Texts `yaml:"path"`
	// Take says that each path is a folder or a pattern such as exports/users-*.csv, and which of the files there are
	// read: newest (by the date in its name, or else by when it was changed) or all of them, as parts of one whole.
	Take string `yaml:"take"`
	// Parts is how many files there must be, where that is known: one more or less is an error.
	Parts int `yaml:"parts"`
	// Member names the file in a zip archive, or several by a pattern. Without it there must be one.
	Member string `yaml:"member"`
	// Format is csv, json (an array, or objects one after the other), jsonl (one object a line), xlsx, or yaml (a list);
	// by default what the file's name ends in.
	Format string `yaml:"format"`
	// Sheet names the sheet of a workbook. Without it there must be one.
	Sheet string `yaml:"sheet"`
	// Header is the line of the headings in a CSV file or a sheet, where a title is above them; by default the first that
	// isn't blank.
	Header int `yaml:"header"`
	// Rows is the dotted path to the array in a JSON document.
	Rows string `yaml:"rows"`
	// Encoding is auto (the default), utf-8, utf-16le, utf-16be or windows-1252.
	Encoding string `yaml:"encoding"`
	// Delimiter is one character, tab, or auto (the default).
	Delimiter string `yaml:"delimiter"`
	// Columns gives the column of each field: a header, or a dotted path in JSON. Several columns of a text are joined
	// with a blank. Without Columns each field is the column of its own name, whatever its case and separators.
	Columns map[string]strict.Texts `yaml:"columns"`
	// Constant gives fields that are the same in every row.
	Constant map[string]string `yaml:"constant"`
	// Split says that a cell of a field holds several texts, and what parts them: the products of a user, E3+Visio. Each
	// makes a record of its own.
	Split map[string]string `yaml:"split"`
	// Values translates a field: what is wanted, and the texts that stand for it, whatever their case. The empty one is
	// unknown.
	Values map[string]map[string]strict.Texts `yaml:"values"`
	// Dates are the layouts of dates: Go's, or iso, us, eu, ldap, unix, unix_ms, filetime. By default iso. A map gives the
	// layouts of single fields, and of all others under "*".
	Dates Dates `yaml:"dates"`
	// Never are the texts in a column of dates that stand for never.
	Never strict.Texts `yaml:"never"`
	// DecimalComma says that 57,00 is a price.
	DecimalComma bool `yaml:"decimal_comma"`
	// Where keeps only the rows whose column has one of the texts.
	Where map[string]strict.Texts `yaml:"where"`
	// Attributes are columns that are kept as they are: a list, or a map of attribute to column.
	Attributes strict.Attributes `yaml:"attributes"`
	// Events says that the rows of usage are those of a log, many of an account, of which the last use counts.
	Events bool `yaml:"events"`
	// AllowEmpty says that a file without rows is no mistake.
	AllowEmpty bool `yaml:"allow_empty"`

	optional map[string]bool // fields whose column a template names: a file may lack it
}

// Dates are layouts: for all fields, or by field with "*" for the others.
type Dates map[string]strict.Texts

// UnmarshalYAML implements yaml.Unmarshaler.
func (d *Dates) UnmarshalYAML(n *yaml.Node) error {
	if n.Kind == yaml.MappingNode {
		return n.Decode((*map[string]strict.Texts)(d))
	}
	var all strict.Texts
	if err := all.UnmarshalYAML(n); err != nil {
		return err
	}
	*d = Dates{"*": all}
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
	if c.Manual != nil {
		if err := c.Manual.validate(); err != nil {
			errs = append(errs, within("manual", err))
		}
	}
	for _, m := range []struct {
		name string
		n    int64
	}{{"max_record", int64(c.MaxRecord)}, {"max_unpacked", c.MaxUnpacked}, {"max_ratio", c.MaxRatio}} {
		if m.n < 0 {
			add("%s: %d is less than 0", m.name, m.n)
		}
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
		pack, inner := packed(path)
		if pack == zipped || t.Take != "" { // what is in it will tell
			inner = "x.csv"
		}
		if _, err := t.format(inner); err != nil {
			add("format: %w", err)
		}
	}
	if t.Events && s.kind != collect.Usages {
		add("events: goes with usage only")
	}
	if t.Take != "" && t.Take != Newest && t.Take != All {
		add("take: %q is neither newest nor all", t.Take)
	}
	if t.Parts < 0 {
		add("parts: %d is less than 0", t.Parts)
	}
	if t.Header < 0 {
		add("header: %d is less than 0", t.Header)
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
		// Where values map texts of the field, the constant may be one of those.
		i := slices.IndexFunc(s.fields, func(f fieldInfo) bool { return f.name == name })
		if text := strings.TrimSpace(t.Constant[name]); i >= 0 && text != "" && t.Values[name] == nil {
			if _, reason := s.fields[i].canonical(text); reason != "" {
				add("constant: %s: %s", name, reason)
			}
		}
	}
	for _, name := range slices.Sorted(maps.Keys(t.Split)) {
		field("split", name, textCell)
		switch {
		case len(t.Split) > 1:
			add("split: one field can be split, not %d", len(t.Split))
		case t.Split[name] == "":
			add("split: %s: say what parts the texts", name)
		case len(t.Columns[name]) != 1:
			add("split: %s: name its one column under columns", name)
		}
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

// The formats beside csv, json and jsonl.
const (
	xlsx     = "xlsx"
	yamlList = "yaml"
)

// format is how a file is to be read.
func (t *Table) format(path string) (string, error) {
	switch f := strings.ToLower(t.Format); f {
	case "csv", "json", "jsonl", xlsx, yamlList:
		return f, nil
	case "", "auto":
	default:
		return "", fmt.Errorf("%q is none of csv, json, jsonl, xlsx, yaml", t.Format)
	}
	dot := strings.LastIndexByte(path, '.')
	switch ending := strings.ToLower(path[max(dot, 0):]); ending {
	case ".csv", ".tsv", ".txt":
		return "csv", nil
	case ".json":
		return "json", nil
	case ".jsonl", ".ndjson":
		return "jsonl", nil
	case ".xlsx", ".xlsm":
		return xlsx, nil
	case ".yaml", ".yml":
		return yamlList, nil
	case ".xls", ".xlsb", ".ods":
		return "", fmt.Errorf("%s is not read: save it as .xlsx or as CSV", ending)
	default:
		return "", fmt.Errorf("is missing, and %s doesn't tell: write csv, json, jsonl, xlsx or yaml", path)
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

// Package policy loads rules written in Rego, refuses the faulty ones with the place and the cure, tests them, and
// evaluates them over subjects.
package policy

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"slices"
	"strings"

	"github.com/open-policy-agent/opa/v1/ast"

	"github.com/lapse-audit/lapse/internal/access"
	"github.com/lapse-audit/lapse/internal/finding"
)

// Policy is one rule as it applies: what its METADATA says, with the overrides laid over it.
type Policy struct {
	ID          string
	Title       string
	Description string
	Subject     access.SubjectKind
	Severity    finding.Severity
	Controls    []string // framework:control
	Action      string   // the most the remediator may do
	Assignee    string   // who is asked first: account_owner, manager, app_owner or security
	Params      map[string]any
	Enabled     bool
	Exempt      []string // exemptions that turn a hit into an excluded one: leave
	Scope       []Condition
	Needs       []Need

	// Hash changes whenever the rule could judge otherwise: with its code, what it uses of the library, its parameters,
	// scope, needs and exemptions. Comments, layout, title, severity and the like leave it as it is.
	Hash    string
	Package string // dotted: lapse.leaver.active_account
	File    string
	Line    int    // of its first findings rule
	Table   string // the file of data.tables[ID], "" if it has none
	BuiltIn bool   // comes with the program

	defaults map[string]any // params before overrides
	graded   bool           // the severity is an override: it stands above what findings say themselves
	modules  []*module
	code     []string // what the rule depends on, the library's rules included

	table, ownTable *table // in force, and as it came with the rule
	tableFaulty     bool   // there is one, and it can't be read
	tableSchema     map[string]any

	sources map[string]*Policy // as it applies to the subjects of a source, by uid; where that differs
	off     bool               // for all other sources, though it is enabled for some
}

// Condition says which values a path must have for a subject to be in a policy's scope.
type Condition struct {
	Path   string
	Values []any // bool, string, int64 or float64
}

// Need is a list of paths of which at least one must be known for a subject to be evaluable.
type Need []string

func (n Need) String() string { return strings.Join(n, "|") }

// Override changes one policy. Nil and empty fields leave it as it is.
type Override struct {
	Enabled  *bool
	Severity string
	Params   map[string]any
	Action   string
	Assignee string
	Data     string // absolute path of a file in the place of the rule's table
	Place    string // where the override is written, for errors: lapse.yaml:12
	// Sources change it further for the subjects of a source, by uid.
	Sources map[string]Override
}

// Options change what Load reads.
type Options struct {
	Overrides map[string]Override // by policy id
}

// Source is a folder of policies. Name begins the file names in messages.
type Source struct {
	Name    string
	FS      fs.FS
	BuiltIn bool // comes with the program
}

// Dir is the folder at path.
func Dir(path string) Source { return Source{Name: path, FS: os.DirFS(path)} }

// Pack is a set of policies without fault. It does not change once loaded and may be used from several goroutines.
type Pack struct {
	policies []*Policy
	library  []*module
	tests    []file
	sources  []file
	options  Options
}

// Policies lists all policies, disabled ones too, by id.
func (p *Pack) Policies() []Policy {
	out := make([]Policy, len(p.policies))
	for i, policy := range p.policies {
		out[i] = *policy
	}
	return out
}

// Policy returns the policy of that id.
func (p *Pack) Policy(id string) (Policy, bool) {
	for _, policy := range p.policies {
		if policy.ID == id {
			return *policy, true
		}
	}
	return Policy{}, false
}

// Assignee says who is asked first about what a policy finds in a source: account_owner, manager, app_owner or security; "" of
// a policy that the pack lacks.
func (p *Pack) Assignee(id, source string) string {
	for _, policy := range p.policies {
		if policy.ID != id {
			continue
		}
		if variant := policy.sources[source]; variant != nil {
			return variant.Assignee
		}
		return policy.Assignee
	}
	return ""
}

// Load reads the policies of all sources. If anything is at fault it returns every fault found, joined, each with its
// file and line and with what to write instead; there is no half-loaded pack.
func Load(opts Options, sources ...Source) (*Pack, error) {
	files, err := readSources(sources)
	if err != nil {
		return nil, err
	}
	return loadFiles(opts, files)
}

func loadFiles(opts Options, files []file) (*Pack, error) {
	l := &loader{}
	pack := l.load(opts, files)
	if len(l.faults) > 0 {
		return nil, l.err()
	}
	for _, p := range pack.policies {
		p.Hash = hash(p)
	}
	return pack, nil
}

// load reads what it can and gathers every fault.
func (l *loader) load(opts Options, files []file) *Pack {
	pack := &Pack{options: opts}
	parsed := true
	var tables []file
	byPackage := map[string]*Policy{}
	for _, f := range files {
		pack.sources = append(pack.sources, f)
		if f.table() {
			tables = append(tables, f)
			continue
		}
		if f.test() {
			pack.tests = append(pack.tests, f)
			continue
		}
		m := l.parse(f)
		if m == nil {
			parsed = false
			continue
		}
		if m.library() {
			pack.library = append(pack.library, m)
			continue
		}
		p := byPackage[m.pkg]
		if p == nil {
			p = &Policy{Package: m.pkg, File: m.name, BuiltIn: f.builtIn}
			byPackage[m.pkg] = p
			pack.policies = append(pack.policies, p)
		}
		p.modules = append(p.modules, m)
	}
	l.check = "metadata"
	for _, p := range pack.policies {
		l.describe(p)
	}
	l.duplicates(pack.policies)
	l.tables(pack.policies, tables)
	if parsed {
		for _, p := range pack.policies {
			l.code(p, pack.library)
		}
		l.evaluable(pack)
	}
	slices.SortFunc(pack.policies, func(a, b *Policy) int { return strings.Compare(a.ID, b.ID) })
	l.check = "override"
	l.override(pack.policies, opts.Overrides)
	return pack
}

// loader gathers faults, each once.
type loader struct {
	check  string // what is being looked at: the Check of the problems it finds
	faults []fault
	seen   map[fault]bool
}

// fault is something in a policy that must be changed before it can be loaded.
type fault struct {
	check        string
	file         string
	line, column int
	message      string
}

func (f fault) Error() string {
	if f.line == 0 {
		return f.file + ": " + f.message
	}
	return fmt.Sprintf("%s:%d: %s", f.file, f.line, f.message)
}

func (l *loader) fault(file string, line int, format string, args ...any) {
	l.add(fault{l.check, file, line, 0, fmt.Sprintf(format, args...)})
}

func (l *loader) add(f fault) {
	same := f
	same.check, same.column = "", 0 // one line is told one thing once, whoever finds it
	if l.seen[same] {
		return
	}
	if l.seen == nil {
		l.seen = map[fault]bool{}
	}
	l.seen[same] = true
	l.faults = append(l.faults, f)
}

func (l *loader) faultAt(loc *ast.Location, format string, args ...any) {
	if loc == nil {
		loc = &ast.Location{}
	}
	l.add(fault{l.check, loc.File, loc.Row, loc.Col, fmt.Sprintf(format, args...)})
}

func (l *loader) err() error {
	slices.SortStableFunc(l.faults, func(a, b fault) int {
		if c := strings.Compare(a.file, b.file); c != 0 {
			return c
		}
		return a.line - b.line
	})
	errs := make([]error, len(l.faults))
	for i, f := range l.faults {
		errs[i] = f
	}
	return errors.Join(errs...)
}

// duplicates reports policies that share an id.
func (l *loader) duplicates(policies []*Policy) {
	first := map[string]*Policy{}
	for _, p := range policies {
		if p.ID == "" {
			continue
		}
		if was := first[p.ID]; was != nil {
			l.fault(p.File, p.line("id"), "id %s is taken by %s:%d: every policy needs an id of its own", p.ID, was.File, was.line("id"))
			continue
		}
		first[p.ID] = p
	}
}

// override lays the overrides over the policies.
func (l *loader) override(policies []*Policy, overrides map[string]Override) {
	var ids []string
	for _, p := range policies {
		ids = append(ids, p.ID)
	}
	for id, o := range overrides {
		place := o.Place
		if place == "" {
			place = "override of " + id
		}
		i := slices.Index(ids, id)
		if i < 0 {
			l.fault(place, 0, "there is no policy %s%s", id, didYouMean(id, ids))
			continue
		}
		p := policies[i]
		l.overlay(p, o, place)
		if len(o.Sources) > 0 && (p.Subject == access.SubjectPerson || p.Subject == "") {
			l.fault(place, 0, "%s judges people, who are of no source: leave sources out", id)
			continue
		}
		base := p.Enabled
		for uid, s := range o.Sources {
			variant := *p
			variant.Enabled = base
			l.overlay(&variant, s, place)
			if p.sources == nil {
				p.sources = map[string]*Policy{}
			}
			p.sources[uid] = &variant
			if variant.Enabled && !base {
				p.Enabled, p.off = true, true
			}
		}
	}
}

// overlay lays one override over a policy.
func (l *loader) overlay(p *Policy, o Override, place string) {
	if o.Enabled != nil {
		p.Enabled = *o.Enabled
	}
	if o.Severity != "" {
		s, err := finding.ParseSeverity(o.Severity)
		if err != nil {
			l.fault(place, 0, "severity of %s: %v", p.ID, err)
		}
		p.Severity, p.graded = s, true
	}
	if o.Action != "" {
		p.Action = l.oneOf(place, 0, "action of "+p.ID, o.Action, actions)
	}
	if o.Assignee != "" {
		p.Assignee = l.oneOf(place, 0, "assignee of "+p.ID, o.Assignee, assignees)
	}
	p.Params = l.overrideParams(p, place, o.Params)
	if o.Data != "" {
		l.overrideTable(p, place, o.Data)
	}
}

func (l *loader) overrideParams(p *Policy, place string, params map[string]any) map[string]any {
	merged := maps.Clone(p.Params)
	if merged == nil {
		merged = map[string]any{}
	}
	for k, v := range params {
		was, ok := p.defaults[k]
		if !ok {
			l.fault(place, 0, "%s has no parameter %s%s", p.ID, k, didYouMean(k, keys(p.defaults)))
			continue
		}
		v, err := paramValue(v)
		if err == nil && kindOf(v) != kindOf(was) {
			err = fmt.Errorf("is a %s, want a %s such as %v", kindOf(v), kindOf(was), was)
		}
		if err != nil {
			l.fault(place, 0, "parameter %s of %s %v", k, p.ID, err)
			continue
		}
		merged[k] = v
	}
	return merged
}

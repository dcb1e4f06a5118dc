package policy

import (
	"bytes"
	"fmt"
	"math"
	"regexp"
	"slices"
	"strings"

	"github.com/open-policy-agent/opa/v1/ast"
	"go.yaml.in/yaml/v3"

	"github.com/lapse-audit/lapse/internal/access"
	"github.com/lapse-audit/lapse/internal/finding"
	"github.com/lapse-audit/lapse/internal/spell"
)

var (
	metadataKeys = []string{"title", "description", "scope", "custom", "authors", "organizations", "related_resources"}
	customKeys   = []string{"id", "subject", "severity", "controls", "action", "assignee", "params", "enabled", "exempt", "scope", "needs"}

	actions    = []string{"none", "disable", "end_sessions", "revoke", "reclaim", "rotate_key", "handover", "review"}
	assignees  = []string{"account_owner", "manager", "app_owner", "security"}
	exemptions = []string{"leave"}
	severities = []string{"info", "low", "medium", "high", "critical"}

	idForm      = regexp.MustCompile(`^[A-Z][A-Z0-9]{1,15}-[0-9]{1,4}$`)
	paramForm   = regexp.MustCompile(`^[a-z][a-z0-9_]*$`)
	controlForm = regexp.MustCompile(`^[^:\s][^:]*:.*\S$`)
	yamlLine    = regexp.MustCompile(`^yaml: (?:unmarshal errors:\s*)?line (\d+): `)
)

// line is where a METADATA key of p stands, or its package if it has no such key.
func (p *Policy) line(key string) int {
	for _, m := range p.modules {
		if b := metadataBlock(m.ast); b != nil {
			if _, v, ok := b.lookup("custom", key); ok {
				return b.line(v)
			}
			return b.start
		}
	}
	return 0
}

// describe reads the METADATA of a policy's package.
func (l *loader) describe(p *Policy) {
	var block *block
	for _, m := range p.modules {
		b := metadataBlock(m.ast)
		switch {
		case b == nil:
		case block != nil:
			l.fault(m.name, b.start, "package %s has METADATA in %s:%d already: keep one of them", p.Package, block.file, block.start)
		default:
			block, p.File = b, m.name
		}
	}
	if block == nil {
		l.missingMetadata(p.modules[0])
		return
	}
	(&describer{loader: l, block: block, policy: p}).describe()
}

func (l *loader) missingMetadata(m *module) {
	const cure = "write a `# METADATA` block with title and custom: {id, subject, severity} right before the package"
	row := m.ast.Package.Location.Row
	for _, c := range m.ast.Comments {
		word, _, _ := strings.Cut(strings.TrimSpace(string(c.Text)), ":")
		if word == "METADATA" && c.Location.Row > row {
			l.fault(m.name, c.Location.Row, "METADATA stands after the package, where it describes a single rule: move it before line %d", row)
			return
		}
		if c.Location.Row < row && len(word) < 12 && spell.Distance(word, "METADATA") <= 3 {
			l.fault(m.name, c.Location.Row, "%q is not read as METADATA: write `# METADATA`", "#"+string(c.Text))
			return
		}
	}
	l.fault(m.name, row, "package %s has no METADATA: %s", m.pkg, cure)
}

// block is the METADATA before a package: YAML in comments.
type block struct {
	file  string
	start int // line of "# METADATA"
	text  []byte
	root  *yaml.Node
	err   error
}

// metadataBlock returns nil if there is none.
func metadataBlock(m *ast.Module) *block {
	for i, c := range m.Comments {
		if strings.TrimSpace(string(c.Text)) != "METADATA" || c.Location.Row > m.Package.Location.Row {
			continue
		}
		b := &block{file: c.Location.File, start: c.Location.Row}
		var text bytes.Buffer
		for j, next := range m.Comments[i+1:] {
			if next.Location.Row != b.start+1+j {
				break
			}
			text.Write(bytes.TrimPrefix(next.Text, []byte(" ")))
			text.WriteByte('\n')
		}
		b.text = text.Bytes()
		var doc yaml.Node
		if b.err = yaml.Unmarshal(text.Bytes(), &doc); b.err == nil && len(doc.Content) == 1 {
			b.root = doc.Content[0]
		}
		return b
	}
	return nil
}

// brokenAt is the first line from which on no beginning of the text is YAML. The parser's own line numbers are those of
// whatever it was in the middle of.
func (b *block) brokenAt() int {
	lines := bytes.SplitAfter(b.text, []byte("\n"))
	for n := len(lines); n > 1; n-- {
		var doc yaml.Node
		if yaml.Unmarshal(bytes.Join(lines[:n-1], nil), &doc) == nil {
			return n
		}
	}
	return 1
}

func (b *block) line(n *yaml.Node) int { return b.start + n.Line }

// lookup finds the key node and value node at a path of keys.
func (b *block) lookup(path ...string) (key, value *yaml.Node, ok bool) {
	value = b.root
	for _, name := range path {
		i := -1
		if value != nil && value.Kind == yaml.MappingNode {
			i = slices.IndexFunc(value.Content, func(n *yaml.Node) bool { return n.Value == name })
			for i >= 0 && i%2 == 1 { // a value that looks like the key
				next := slices.IndexFunc(value.Content[i+1:], func(n *yaml.Node) bool { return n.Value == name })
				if next < 0 {
					i = -1
					break
				}
				i += 1 + next
			}
		}
		if i < 0 {
			return nil, nil, false
		}
		key, value = value.Content[i], value.Content[i+1]
	}
	return key, value, true
}

// describer turns a block into the fields of a policy.
type describer struct {
	*loader
	block  *block
	policy *Policy
	schema *access.Schema // nil while the subject is unknown
}

func (d *describer) faultNode(n *yaml.Node, format string, args ...any) {
	d.fault(d.block.file, d.block.line(n), format, args...)
}

func (d *describer) describe() {
	p := d.policy
	if err := d.block.err; err != nil {
		text := yamlLine.ReplaceAllString(err.Error(), "")
		d.fault(d.block.file, d.block.start+d.block.brokenAt(), "METADATA is not YAML: %s", strings.TrimPrefix(text, "yaml: "))
		return
	}
	if d.block.root == nil || d.block.root.Kind != yaml.MappingNode {
		d.fault(d.block.file, d.block.start, "METADATA is empty: write title and custom: {id, subject, severity} under it, without a blank line between")
		return
	}
	top := d.mapping(d.block.root, "METADATA", metadataKeys)
	p.Title = d.text(top, "title")
	if p.Title == "" && top["title"] == nil {
		d.fault(d.block.file, d.block.start, "METADATA has no title: write `# title: …`, what is wrong in a few words")
	}
	p.Description = d.text(top, "description")
	if scope := top["scope"]; scope != nil && scope.Value != "package" {
		d.faultNode(scope, "scope %q describes something else than the policy: write `scope: package`", scope.Value)
	}
	if top["custom"] == nil {
		d.fault(d.block.file, d.block.start, "METADATA has no custom: write `# custom:` with id, subject and severity under it")
		return
	}
	d.custom(d.mapping(top["custom"], "custom", customKeys))
}

func (d *describer) custom(custom map[string]*yaml.Node) {
	p := d.policy
	for _, key := range []string{"id", "subject", "severity"} {
		if custom[key] == nil {
			d.fault(d.block.file, d.block.start, "METADATA has no %s: write it under custom%s", key, map[string]string{
				"id": ", such as ACME-01", "subject": ": account, person, entitlement, license or source", "severity": ": " + list(severities)}[key])
		}
	}
	if n := custom["id"]; n != nil {
		p.ID = d.text(custom, "id")
		if !idForm.MatchString(n.Value) {
			d.faultNode(n, "id %q is not of the form ACME-01: write capitals, a dash and a number", n.Value)
		}
	}
	if n := custom["subject"]; n != nil {
		var kinds []string
		for _, k := range access.SubjectKinds() {
			kinds = append(kinds, string(k))
		}
		if kind := d.word(custom, "subject", kinds); kind != "" {
			p.Subject = access.SubjectKind(kind)
			d.schema = access.SchemaOf(p.Subject)
		}
	}
	if custom["severity"] != nil {
		p.Severity, _ = finding.ParseSeverity(d.word(custom, "severity", severities))
	}
	p.Action, p.Assignee = "none", "security"
	if custom["action"] != nil {
		p.Action = d.word(custom, "action", actions)
	}
	if custom["assignee"] != nil {
		p.Assignee = d.word(custom, "assignee", assignees)
	}
	p.Controls = d.texts(custom["controls"], "controls", func(n *yaml.Node) {
		if !controlForm.MatchString(n.Value) {
			d.faultNode(n, "control %q does not name its framework: write it as \"CIS-8.1:6.2\"", n.Value)
		}
	})
	p.Exempt = d.texts(custom["exempt"], "exempt", func(n *yaml.Node) {
		d.oneOf(d.block.file, d.block.line(n), "exemption", n.Value, exemptions)
		if d.schema != nil && d.schema.Root.Lookup("person.on_leave") == nil {
			d.faultNode(n, "nobody is on leave in a subject %s: leave exempt out", p.Subject)
		}
	})
	p.Enabled = true
	if n := custom["enabled"]; n != nil {
		if n.Tag != "!!bool" || n.Decode(&p.Enabled) != nil {
			d.faultNode(n, "enabled is %s: write true or false", n.Value)
		}
	}
	p.defaults = d.params(custom["params"])
	p.Params = p.defaults
	if d.schema != nil {
		p.Scope = d.scope(custom["scope"])
		p.Needs = d.needs(custom["needs"])
	}
}

// mapping returns the values by key and reports keys that are unknown or there twice. A nil list of known keys means that
// any key will do.
func (d *describer) mapping(n *yaml.Node, what string, known []string) map[string]*yaml.Node {
	out := map[string]*yaml.Node{}
	if n == nil {
		return out
	}
	if n.Kind != yaml.MappingNode {
		d.faultNode(n, "%s is not a map: write `key: value` lines under it", what)
		return out
	}
	for i := 0; i+1 < len(n.Content); i += 2 {
		k, v := n.Content[i], n.Content[i+1]
		if v.Kind == yaml.AliasNode || v.Anchor != "" {
			d.faultNode(k, "%s holds a YAML anchor or alias: write the value out", what)
			continue
		}
		switch {
		case known != nil && !slices.Contains(known, k.Value):
			if what == "METADATA" && slices.Contains(customKeys, k.Value) {
				d.faultNode(k, "key %s belongs under custom", k.Value)
			} else {
				d.faultNode(k, "%s has no key %s%s", what, k.Value, didYouMean(k.Value, known))
			}
		case out[k.Value] != nil:
			d.faultNode(k, "%s has key %s twice", what, k.Value)
		default:
			out[k.Value] = v
		}
	}
	return out
}

func (d *describer) text(m map[string]*yaml.Node, key string) string {
	n := m[key]
	if n == nil {
		return ""
	}
	if n.Kind != yaml.ScalarNode || n.Tag != "!!str" || strings.TrimSpace(n.Value) == "" {
		d.faultNode(n, "%s is not text: write `%s: …`", key, key)
		return ""
	}
	return strings.TrimSpace(n.Value)
}

// word reads one of a list of words; it returns "" after a fault.
func (d *describer) word(m map[string]*yaml.Node, key string, known []string) string {
	n := m[key]
	if n.Kind != yaml.ScalarNode {
		d.faultNode(n, "%s is not a word: want %s", key, list(known))
		return ""
	}
	return d.oneOf(d.block.file, d.block.line(n), key, n.Value, known)
}

func (l *loader) oneOf(file string, line int, what, word string, known []string) string {
	if slices.Contains(known, word) {
		return word
	}
	l.fault(file, line, "%s %q is unknown%s", what, word, didYouMean(word, known))
	return ""
}

func (d *describer) texts(n *yaml.Node, what string, check func(*yaml.Node)) []string {
	if n == nil {
		return nil
	}
	if n.Kind != yaml.SequenceNode {
		d.faultNode(n, "%s is not a list: write `%s: [a, b]`", what, what)
		return nil
	}
	var out []string
	for _, e := range n.Content {
		if e.Kind != yaml.ScalarNode || e.Tag != "!!str" {
			d.faultNode(e, "%s holds something that is not text: put it in quotes", what)
			continue
		}
		check(e)
		out = append(out, e.Value)
	}
	return out
}

func (d *describer) params(n *yaml.Node) map[string]any {
	out := map[string]any{}
	for k, v := range d.mapping(n, "params", nil) {
		if !paramForm.MatchString(k) {
			d.faultNode(v, "parameter %q: write its name in small letters, digits and underscores", k)
			continue
		}
		var raw any
		err := v.Decode(&raw)
		if err == nil {
			raw, err = paramValue(raw)
		}
		if err != nil {
			d.faultNode(v, "parameter %s %v", k, err)
			continue
		}
		out[k] = raw
	}
	return out
}

// paramValue brings a value to one of bool, int64, float64, string or []any of these.
func paramValue(v any) (any, error) {
	switch v := v.(type) {
	case bool, string, int64:
		return v, nil
	case float64:
		if math.IsInf(v, 0) || math.IsNaN(v) {
			return nil, fmt.Errorf("is not a finite number")
		}
		return v, nil
	case int:
		return int64(v), nil
	case []any:
		out := make([]any, len(v))
		for i, e := range v {
			e, err := paramValue(e)
			if _, nested := e.([]any); err != nil || nested {
				return nil, fmt.Errorf("holds a list of something else than numbers, texts or true and false")
			}
			out[i] = e
		}
		return out, nil
	}
	return nil, fmt.Errorf("is neither a number, a text, true or false, nor a list of these")
}

func kindOf(v any) string {
	switch v.(type) {
	case bool:
		return "true or false"
	case string:
		return "text"
	case int64, float64:
		return "number"
	}
	return "list"
}

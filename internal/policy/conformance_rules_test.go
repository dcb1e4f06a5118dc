package policy

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"regexp"
	"slices"
	"strings"

	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/test/cases"

	"github.com/lapse-audit/lapse/internal/access"
)

// variant is a way to make a rule of a case.
type variant struct {
	negated bool   // the rule flags where the case's query does not hold
	valued  bool   // the query has to have the result that the case wants
	edits   []edit // that put a field of the subject in the place of something constant
	given   bool   // that is part of the case's data or input
	values  []any  // that the field is to have: texts and whole numbers
}

// edit is a change of one of a case's texts.
type edit struct {
	text, start, end int
	with             string
}

// subject stands for the input of the rule, until the input of the case is out of the way.
const subject = "lapse_subject"

// fields are the fields that take the place of a constant, by what they hold. Those of an account are the first.
var fields = map[access.FieldType][2]string{
	access.String: {"account.username", "entitlement.name"},
	access.Int:    {"account.days_since_login", "days_since_used"},
	access.Bool:   {"account.enabled", "approved"},
}

func fieldOf(typ access.FieldType) string { return subject + "." + fields[typ][0] }

// elementsOf is all that the grants of an account have in a field; set or array.
func elementsOf(typ access.FieldType, set bool) string {
	list := fmt.Sprintf("lapse_grant.%s | some lapse_grant in %s.grants", fields[typ][1], subject)
	if set {
		return "{" + list + "}"
	}
	return "[" + list + "]"
}

// texts are what a case says, as modules: its query, its own modules, and its data and input.
func texts(tc cases.TestCase, valued bool) []string {
	body := strings.TrimSpace(tc.Query)
	if valued {
		for _, name := range keys((*tc.WantResult)[0]) {
			value := literalOf((*tc.WantResult)[0][name])
			if list, ok := (*tc.WantResult)[0][name].([]any); ok && tc.SortBindings && len(list) > 0 {
				value = "{" + strings.TrimSuffix(strings.TrimPrefix(value, "["), "]") + "}"
			}
			body += "\n\t" + name + " == " + value
		}
	}
	out := append([]string{"package query\n\nlapse_held if {\n\t" + body + "\n}\n"}, tc.Modules...)
	given := "package given\n"
	if tc.Data != nil {
		for _, name := range keys(*tc.Data) {
			if plainName.MatchString(name) {
				given += "\n" + givenName(name) + " := " + literalOf((*tc.Data)[name]) + "\n"
			}
		}
	}
	switch {
	case tc.InputTerm != nil:
		given += "\n" + givenName("input") + " := " + *tc.InputTerm + "\n"
	case tc.Input != nil:
		given += "\n" + givenName("input") + " := " + literalOf(*tc.Input) + "\n"
	}
	return append(out, given)
}

var plainName = regexp.MustCompile(`^[a-zA-Z_]\w*$`)

func givenName(name string) string { return "lapse_given_" + name }

func literalOf(v any) string {
	value, err := ast.InterfaceToValue(v)
	if err != nil {
		panic(fmt.Sprintf("conformance case: %v", err)) // it comes from YAML
	}
	return value.String()
}

// mostPlaces is how many places of one case are tried.
const mostPlaces = 12

// variants are all ways to make a rule of a case.
func variants(tc cases.TestCase) []variant {
	var out []variant
	valued := []bool{false}
	if tc.WantResult != nil && len(*tc.WantResult) > 0 {
		valued = []bool{true, false}
	}
	for _, valued := range valued {
		base := texts(tc, valued)
		places := append(lookups(tc, base), constants(base)...)
		for len(places) > mostPlaces {
			places = slices.Delete(places, len(places)/2, len(places)/2+1)
		}
		for _, p := range append(places, variant{}) {
			for _, negated := range []bool{false, true} {
				p.valued, p.negated = valued, negated
				out = append(out, p)
			}
		}
	}
	return out
}

// lookups put a field in the place of what is looked up in a case's data or input: that of an account for a single value, that
// of all grants for a list of values.
func lookups(tc cases.TestCase, base []string) []variant {
	docs := map[ast.Var]any{}
	if tc.Data != nil {
		docs["data"] = *tc.Data
	}
	if tc.Input != nil {
		docs["input"] = *tc.Input
	}
	byPath := map[string]*variant{}
	var order []string
	for i, text := range base[:len(base)-1] {
		eachTerm(text, func(t *ast.Term, start, end int) {
			ref, ok := t.Value.(ast.Ref)
			if !ok {
				return
			}
			head, _ := ref[0].Value.(ast.Var)
			at, n := docs[head], 1
			for ; n < len(ref); n++ {
				key, isText := ref[n].Value.(ast.String)
				object, isObject := at.(map[string]any)
				if !isText || !isObject {
					break
				}
				at = object[string(key)]
			}
			with, values := lookup(text, at, ref[n:])
			if with == "" {
				return
			}
			path := ref[:n].String()
			if byPath[path] == nil {
				byPath[path] = &variant{}
				order = append(order, path)
			}
			byPath[path].edits = append(byPath[path].edits, edit{i, start, end, with})
			byPath[path].values = values
		})
	}
	var out []variant
	for _, path := range order {
		out = append(out, *byPath[path])
	}
	return out
}

// lookup is what takes the place of a ref, the rest of which leads into a value; "" if nothing does.
func lookup(text string, at any, rest ast.Ref) (with string, values []any) {
	list, isList := at.([]any)
	if !isList {
		typ, values := typeOf(at)
		if typ == "" || len(rest) > 0 {
			return "", nil
		}
		return fieldOf(typ), values
	}
	if len(rest) == 2 {
		key, isText := rest[1].Value.(ast.String)
		list = slices.Clone(list)
		for i, e := range list {
			object, isObject := e.(map[string]any)
			if !isObject || !isText {
				return "", nil
			}
			list[i] = object[string(key)]
		}
	}
	typ, values := typeOf(list...)
	switch {
	case typ == "" || len(rest) > 2:
		return "", nil
	case len(rest) == 0:
		return elementsOf(typ, false), values
	}
	switch rest[0].Value.(type) {
	case ast.Var, ast.Number:
		loc := rest[0].Location
		return fmt.Sprintf("%s.grants[%s].%s", subject, loc.Text, fields[typ][1]), values
	}
	return "", nil
}

// typeOf is the type of the fields that can take the place of values, and those as a row has them; "" if they are not of one.
func typeOf(list ...any) (typ access.FieldType, values []any) {
	for _, v := range list {
		var is access.FieldType
		switch v := v.(type) {
		case string:
			is, values = access.String, append(values, v)
		case bool:
			is = access.Bool
		case json.Number:
			f, err := v.Float64()
			if err != nil || math.Abs(f) > 1<<62 {
				return "", nil
			}
			is, values = access.Int, append(values, int(math.Floor(f)))
			if n, err := v.Int64(); err == nil {
				values[len(values)-1] = int(n)
			}
		default:
			return "", nil
		}
		if typ != "" && is != typ {
			return "", nil
		}
		typ = is
	}
	return typ, values
}

// constants put a field in the place of a constant as it is written: one that holds the like, or one that holds something
// else; and in all places at once where the constant is written more than once.
func constants(base []string) []variant {
	var out []variant
	together := map[string][]variant{}
	var order []string
	for i, text := range base {
		eachTerm(text, func(t *ast.Term, start, end int) {
			var typ access.FieldType
			var values []any
			with, unlike := "", ""
			switch v := t.Value.(type) {
			case ast.String, ast.Number, ast.Boolean:
				typ, values = typeOf(constantValue(v))
				with = fieldOf(typ)
				unlike = fieldOf(map[bool]access.FieldType{true: access.Int, false: access.String}[typ == access.String])
			case ast.Null:
				typ, with = access.String, fieldOf(access.String)
			case *ast.Array:
				var list []any
				v.Foreach(func(e *ast.Term) { list = append(list, constantValue(e.Value)) })
				typ, values = typeOf(list...)
				with = elementsOf(typ, false)
			case ast.Set:
				var list []any
				v.Foreach(func(e *ast.Term) { list = append(list, constantValue(e.Value)) })
				typ, values = typeOf(list...)
				with = elementsOf(typ, true)
			}
			if typ == "" {
				return
			}
			v := variant{edits: []edit{{i, start, end, with}}, values: values, given: i == len(base)-1}
			out = append(out, v)
			if together[t.String()] == nil {
				order = append(order, t.String())
			}
			together[t.String()] = append(together[t.String()], v)
			if unlike != "" {
				v.edits = []edit{{i, start, end, unlike}}
				out = append(out, v)
			}
		})
	}
	for _, name := range order {
		if same := together[name]; len(same) > 1 {
			all := variant{values: same[0].values}
			for _, v := range same {
				all.edits, all.given = append(all.edits, v.edits...), all.given || v.given
			}
			out = append(out, all)
		}
	}
	return out
}

func constantValue(v ast.Value) any {
	switch v := v.(type) {
	case ast.String:
		return string(v)
	case ast.Number:
		return json.Number(v)
	case ast.Boolean:
		return bool(v)
	}
	return nil
}

var writtenNumber = regexp.MustCompile(`^-?[0-9.]+([eE][-+]?[0-9]+)?`)

// eachTerm visits the refs and constants in the rules of a module where they are written, each place once.
func eachTerm(text string, visit func(t *ast.Term, start, end int)) {
	m, err := ast.ParseModuleWithOpts("case.rego", text, parserOptions())
	if err != nil {
		return // the loader says so
	}
	seen := map[[2]int]bool{}
	for _, r := range m.Rules {
		ast.WalkTerms(r, func(t *ast.Term) bool {
			if object, ok := t.Value.(ast.Object); ok { // with a key that is not constant it would not be partially evaluated
				object.Foreach(func(k, _ *ast.Term) {
					if loc := k.Location; loc != nil {
						seen[[2]int{loc.Offset, loc.Offset + len(loc.Text)}] = true
					}
				})
			}
			if t.Location == nil || t.Location.Offset >= len(text) {
				return false
			}
			start := t.Location.Offset
			end := start + len(t.Location.Text)
			if _, ok := t.Value.(ast.Number); ok {
				end = start + len(writtenNumber.FindString(text[start:]))
			}
			if end > len(text) || seen[[2]int{start, end}] {
				return false
			}
			if is, err := ast.ParseTerm(text[start:end]); err != nil || !is.Equal(t) {
				return false // it is written otherwise, as the name of a field is
			}
			seen[[2]int{start, end}] = true
			visit(t, start, end)
			return false
		})
	}
}

// applied is a text with its edits, of which none overlap.
func applied(text string, edits []edit) string {
	edits = slices.SortedFunc(slices.Values(edits), func(a, b edit) int { return cmp.Compare(b.start, a.start) })
	before := len(text)
	for _, e := range edits {
		if e.end > before {
			continue // it lies around one that is made already
		}
		text, before = text[:e.start]+e.with+text[e.end:], e.start
	}
	return text
}

// maker writes the files of a rule.
type maker struct {
	tc      cases.TestCase
	variant variant
	index   int
	library bool // all modules of the case are to be in the library
}

var (
	packageLine = regexp.MustCompile(`(?m)^\s*package\s+(\S+)[^\n]*$`)
	oldImport   = regexp.MustCompile(`(?m)^\s*import\s+(rego\.v[12]|future\.keywords\S*)\s*$`)
	dataRef     = regexp.MustCompile(`^data(?:\.([a-zA-Z_]\w*)|\["([^"]+)"\])`)
)

func (m *maker) files() ([]file, error) {
	var written []string
	for i, text := range texts(m.tc, m.variant.valued) {
		var own []edit
		for _, e := range m.variant.edits {
			if e.text == i {
				own = append(own, e)
			}
		}
		text, err := m.relocated(applied(text, own))
		if err != nil {
			return nil, err
		}
		written = append(written, strings.ReplaceAll(oldImport.ReplaceAllString(text, ""), subject, "input"))
	}
	folder := fmt.Sprintf("c%d/", m.index)
	query, modules, given := bare(written[0]), written[1:len(written)-1], written[len(written)-1]
	findings := "\nfindings contains {\"message\": \"m\"} if "
	switch {
	case m.variant.negated:
		findings += "not lapse_held\n"
	case len(m.variant.edits) == 0:
		findings += "{\n\tinput.account.enabled\n\tlapse_held\n}\n"
	default:
		findings += "lapse_held\n"
	}
	rule := construct{name: "conformance", body: "true"}.head(m.index)
	var files []file
	if m.library {
		for i, text := range append(modules, given) {
			name := packageLine.FindStringSubmatch(text)
			if name == nil {
				return nil, errors.New("has a module without a package")
			}
			text = fmt.Sprintf("package lapse.lib.c%d.%s\n\nimport rego.v2\n%s", m.index, name[1], bare(text))
			files = append(files, file{name: fmt.Sprintf("%slib%d.rego", folder, i), text: text})
		}
	} else {
		for _, text := range modules {
			rule += bare(text)
		}
		query += bare(given)
		if m.table() {
			table, err := json.Marshal(*m.tc.Data)
			if err != nil {
				return nil, err
			}
			files = append(files, file{name: folder + tableFile, text: string(table)})
		}
	}
	return append(files, file{name: folder + "policy.rego", text: rule + query + findings}), nil
}

// bare is a module without its package.
func bare(text string) string {
	at := packageLine.FindStringIndex(text)
	if at == nil {
		return text
	}
	return text[at[1]:]
}

// table reports whether the rule reads the case's data as its table. If not, it reads rules that have it as their values.
func (m *maker) table() bool {
	return !m.library && !m.variant.given && m.tc.Data != nil && len(*m.tc.Data) > 0
}

// relocated leads what a text reads of data and input to where it is now.
func (m *maker) relocated(text string) (string, error) {
	parsed, err := ast.ParseModuleWithOpts("case.rego", text, parserOptions())
	if err != nil {
		return "", errors.New("can't be parsed")
	}
	virtual := map[string]bool{}
	for _, module := range m.tc.Modules {
		if name := packageLine.FindStringSubmatch(module); name != nil {
			root, _, _ := strings.Cut(strings.ReplaceAll(name[1], "[", "."), ".")
			virtual[root] = true
		}
	}
	var edits []edit
	visit := func(t *ast.Term) bool {
		v, ok := t.Value.(ast.Var)
		if !ok || v != "data" && v != "input" || t.Location == nil || err != nil {
			return false
		}
		at := t.Location.Offset
		if at > len(text) || !strings.HasPrefix(text[at:], string(v)) || slices.ContainsFunc(edits, func(e edit) bool { return e.start == at }) {
			return false
		}
		var e edit
		if e, err = m.relocate(text[at:], virtual); err == nil {
			edits = append(edits, edit{start: at, end: at + e.end, with: e.with})
		}
		return false
	}
	for _, i := range parsed.Imports {
		ast.WalkTerms(i.Path, visit)
	}
	for _, r := range parsed.Rules {
		ast.WalkTerms(r, visit)
	}
	return applied(text, edits), err
}

// relocate changes what a text begins with.
func (m *maker) relocate(text string, virtual map[string]bool) (edit, error) {
	if strings.HasPrefix(text, "input") {
		if m.tc.Input == nil && m.tc.InputTerm == nil {
			return edit{}, errors.New("reads an input that it does not have")
		}
		return edit{end: len("input"), with: m.given("input")}, nil
	}
	parts := dataRef.FindStringSubmatch(text)
	if parts == nil {
		return edit{}, errors.New("reads all that data holds")
	}
	name := parts[1] + parts[2]
	base := false
	if m.tc.Data != nil {
		_, base = (*m.tc.Data)[name]
	}
	switch {
	case base && virtual[name]:
		return edit{}, errors.New("mixes base and virtual documents")
	case virtual[name] && m.library:
		return edit{end: len("data"), with: fmt.Sprintf("data.lapse.lib.c%d", m.index)}, nil
	case virtual[name]:
		own := "data." + packageLine.FindStringSubmatch(m.tc.Modules[0])[1]
		rest, ok := strings.CutPrefix(text, own)
		if !ok || rest == "" || rest[0] != '.' && rest[0] != '[' {
			return edit{}, errors.New("reads a whole package")
		}
		return edit{end: len(own), with: fmt.Sprintf("data.lapse.construct.c%d", m.index)}, nil
	case base && m.table():
		return edit{end: len("data"), with: fmt.Sprintf("data.tables[%q]", construct{}.id(m.index))}, nil
	case base && plainName.MatchString(name):
		return edit{end: len(parts[0]), with: m.given(name)}, nil
	}
	return edit{}, errors.New("reads data that it does not have")
}

func (m *maker) given(name string) string {
	if m.library {
		return fmt.Sprintf("data.lapse.lib.c%d.given.%s", m.index, givenName(name))
	}
	return fmt.Sprintf("data.lapse.construct.c%d.%s", m.index, givenName(name))
}

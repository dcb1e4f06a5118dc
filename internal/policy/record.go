package policy

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path"
	"reflect"
	"regexp"
	"slices"
	"strings"

	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/rego"

	"github.com/lapse-audit/lapse/internal/access"
)

// Record writes a test case from a subject that a policy flags: its input, as far as the policy can read it and made
// anonymous, and the messages that it must give. name ends the name of the test. Texts that could name somebody or
// something are replaced, the same one by the same; words with a closed list, numbers, and texts that the policy itself
// holds stay as they are. A subject that the policy does not flag, as it is or made anonymous, is refused.
func Record(ctx context.Context, pack *Pack, id, name string, row access.Row, options EngineOptions) (string, error) {
	p, ok := pack.Policy(id)
	if !ok {
		return "", fmt.Errorf("there is no policy %s", id)
	}
	options.Only = []string{id}
	e, err := NewEngine(ctx, pack, options)
	if err != nil {
		return "", err
	}
	defer e.Close(context.WithoutCancel(ctx))
	l := e.of(p.Subject, e.any(p.Subject).identity.subject(row).Source)
	if len(l.rules) == 0 {
		return "", fmt.Errorf("record %s: it is not enabled for the source", id)
	}
	p = *l.rules[0].Policy // with the parameters of the source
	a := &anonymiser{schema: access.SchemaOf(p.Subject), kept: literals(slices.Concat(p.modules, pack.library)), names: map[string]string{}, counts: map[string]int{}}
	doc := access.Document(p.Subject, row)
	doc = a.object(a.schema.Root, l.reads, doc)
	if l.reads.child("run") != nil {
		doc["run"] = map[string]any{"id": 1, "time": e.options.Time.Format("2006-01-02T15:04:05Z07:00")}
	}
	input, err := ast.InterfaceToValue(doc)
	if err != nil {
		return "", fmt.Errorf("record %s: %w", id, err)
	}
	q, err := l.prepared(ctx, l.rules[0])
	if err != nil {
		return "", err
	}
	budget := newBudget()
	budget.start(ctx, e.options.Budget)
	defer budget.stop()
	rs, err := q.Eval(ctx, rego.EvalTime(e.options.Time), rego.EvalTransaction(l.txn), rego.EvalParsedInput(input), rego.EvalExternalCancel(budget))
	if err != nil {
		return "", fmt.Errorf("record %s: %w", id, e.explain(err))
	}
	messages := map[string]bool{}
	for _, f := range rs[0].Expressions[0].Value.([]any)[0].([]any) {
		if o, ok := f.(map[string]any); ok {
			if m, ok := o["message"].(string); ok {
				messages[m] = true
			}
		}
	}
	if len(messages) == 0 {
		return "", fmt.Errorf("record %s: the policy does not flag the subject as it is now, or made anonymous: write the test by hand", id)
	}
	return a.test(p, name, doc, slices.Sorted(maps.Keys(messages)), options)
}

// literals are all texts in the modules.
func literals(modules []*module) map[string]bool {
	out := map[string]bool{}
	for _, m := range modules {
		ast.WalkTerms(m.ast, func(t *ast.Term) bool {
			if s, ok := t.Value.(ast.String); ok {
				out[string(s)] = true
			}
			return false
		})
	}
	return out
}

type anonymiser struct {
	schema *access.Schema
	kept   map[string]bool
	names  map[string]string // what stands for a text
	counts map[string]int
}

// plainTexts are fields whose texts name nobody and nothing.
var plainTexts = map[string]bool{"kind": true, "type": true, "currency": true, "method": true, "mailbox_type": true}

func (a *anonymiser) object(n *access.Node, reads *pathSet, doc map[string]any) map[string]any {
	out := map[string]any{}
	for _, f := range n.Fields {
		v, ok := doc[f.Name]
		below := reads.child(f.Name)
		if !ok || below == nil || n == a.schema.Root && f.Name == "run" {
			continue
		}
		switch {
		case f.Array && !f.Leaf():
			list := []any{}
			for _, e := range v.([]any) {
				list = append(list, a.object(f, below, e.(map[string]any)))
			}
			out[f.Name] = list
		case !f.Leaf():
			out[f.Name] = a.object(f, below, v.(map[string]any))
		default:
			out[f.Name] = a.leaf(f, v)
		}
	}
	return out
}

func (a *anonymiser) leaf(f *access.Node, v any) any {
	switch v := v.(type) {
	case string:
		return a.text(f, v)
	case map[string]string:
		out := map[string]any{}
		for k, e := range v {
			if f.Name == "coverage" || f.Name == "previous_coverage" {
				out[k] = e
			} else {
				out[k] = a.text(f, e)
			}
		}
		return out
	}
	if list := reflect.ValueOf(v); list.Kind() == reflect.Slice {
		out := make([]any, list.Len())
		for i := range out {
			out[i] = a.leaf(f, list.Index(i).Interface())
		}
		return out
	}
	return v
}

func (a *anonymiser) text(f *access.Node, s string) string {
	if s == "" || f.Enum != nil || plainTexts[f.Name] || a.kept[s] {
		return s
	}
	if was, ok := a.names[s]; ok {
		return was
	}
	if sid := windowsSID.FindStringSubmatch(s); sid != nil {
		a.names[s] = a.sid(sid[1])
		return a.names[s]
	}
	what := strings.ReplaceAll(f.Name, "_id", "")
	if what == "id" || what == "uid" || what == "name" {
		parts := strings.Split(strings.ReplaceAll(f.Path, "[]", ""), ".")
		if len(parts) > 1 {
			what = parts[len(parts)-2] + "-" + what
		}
	}
	a.counts[what]++
	alias := fmt.Sprintf("%s-%d", what, a.counts[what])
	if strings.Contains(f.Name, "email") {
		alias += "@example.com"
	}
	a.names[s] = alias
	return alias
}

// windowsSID is that of somebody in a domain; its last number says who.
var windowsSID = regexp.MustCompile(`^S-1-5-21-\d+-\d+-\d+-(\d+)$`)

// sid is one of another domain. Numbers below 1000 are the same in each and name a role: 512 is Domain Admins.
func (a *anonymiser) sid(rid string) string {
	if len(rid) > 3 {
		a.counts["rid"]++
		rid = fmt.Sprint(1000 + a.counts["rid"])
	}
	return "S-1-5-21-1-1-1-" + rid
}

func (a *anonymiser) test(p Policy, name string, doc map[string]any, messages []string, options EngineOptions) (string, error) {
	input, err := json.MarshalIndent(doc, "", "\t")
	if err != nil {
		return "", err
	}
	want, err := json.MarshalIndent(messages, "", "\t")
	if err != nil {
		return "", err
	}
	with := ""
	if !reflect.DeepEqual(p.Params, p.defaults) { // tests run with the values of METADATA
		params, err := json.Marshal(p.Params)
		if err != nil {
			return "", err
		}
		with += fmt.Sprintf(" with data.params[%q] as %s", p.ID, params)
	}
	if !options.Time.IsZero() && usesClock(p.modules) {
		with += fmt.Sprintf(" with time.now_ns as %d", options.Time.UnixNano())
	}
	rule := "test_recorded_" + name
	text := fmt.Sprintf("package x\n\n# Recorded from a finding, made anonymous.\n%s if {\n\tfound := data.%s.findings with input as %s%s\n\t{finding.message | some finding in found} == {%s}\n}\n",
		rule, p.Package, input, with, strings.TrimSuffix(strings.TrimSuffix(strings.TrimPrefix(string(want), "["), "]"), "\n")+",\n")
	clean, err := formatted("record", text)
	if err != nil {
		return "", fmt.Errorf("record %s: %w", p.ID, err)
	}
	_, clean, _ = strings.Cut(clean, "\n\n")
	return clean, nil
}

func usesClock(modules []*module) bool {
	found := false
	for _, m := range modules {
		eachCall(m.ast, func(name string, _ []*ast.Term, _ *ast.Location) { found = found || name == "time.now_ns" })
	}
	return found
}

// AppendTest adds a test case to the tests beside a policy, or begins them, and returns the file's name.
func AppendTest(p Policy, text string) (string, error) {
	name := strings.TrimSuffix(p.File, ".rego") + "_test.rego"
	have, err := os.ReadFile(name)
	switch {
	case os.IsNotExist(err):
		have = []byte(fmt.Sprintf("package %s_test\n\nimport rego.v2\n", p.Package))
	case err != nil:
		return "", err
	}
	title, _, _ := strings.Cut(text[strings.Index(text, "test_recorded_"):], " ")
	if strings.Contains(string(have), title+" if") {
		return "", fmt.Errorf("%s has %s already", path.Base(name), title)
	}
	return name, os.WriteFile(name, []byte(strings.TrimRight(string(have), "\n")+"\n\n"+text), 0o644)
}

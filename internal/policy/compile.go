package policy

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/open-policy-agent/opa/v1/ast"

	"github.com/lapse-audit/lapse/internal/access"
)

// forbidden are the builtins by which a verdict could depend on something else than the subject, or that leave the
// process. An entry that ends in a dot stands for all that begin so.
var forbidden = []string{"http.", "io.jwt.", "net.", "opa.", "rand.", "rego.", "uuid.", "providers.", "crypto.x509.", "print", "trace",
	"strings.render_template", "graph.reachable_paths"} // the last two can take any time, and nothing stops them

func forbiddenBuiltin(name string) bool {
	return slices.ContainsFunc(forbidden, func(f string) bool {
		return name == f || strings.HasSuffix(f, ".") && strings.HasPrefix(name, f)
	})
}

// policyCapabilities are those of OPA without the forbidden builtins and without the network.
func policyCapabilities() *ast.Capabilities {
	c := ast.CapabilitiesForThisVersion()
	c.Builtins = slices.DeleteFunc(slices.Clone(c.Builtins), func(b *ast.Builtin) bool { return forbiddenBuiltin(b.Name) })
	c.AllowNet = []string{}
	return c
}

// newCompiler returns a compiler that type-checks input against the subject's schema; "" leaves input untyped.
func newCompiler(subject access.SubjectKind) *ast.Compiler {
	c := ast.NewCompiler().WithStrict(true).WithCapabilities(policyCapabilities())
	c.SetErrorLimit(0)
	if subject != "" {
		schemas := ast.NewSchemaSet()
		schemas.Put(ast.SchemaRootRef, access.SchemaOf(subject).JSON)
		c = c.WithSchemas(schemas)
	}
	return c
}

// copies returns modules as the compiler wants them.
func copies(lists ...[]*module) map[string]*ast.Module {
	out := map[string]*ast.Module{}
	for _, list := range lists {
		for _, m := range list {
			out[m.name] = m.ast.Copy()
		}
	}
	return out
}

// code finds the faults of a policy's code: by a look at the code as it is written, then by compiling it, together with
// the library, against the schema of its subject.
func (l *loader) code(p *Policy, library []*module) {
	modules := slices.Concat(p.modules, library)
	before := len(l.faults)
	for _, m := range modules {
		l.check = "forbidden-builtin"
		l.calls(m)
		l.check = "schema"
		l.literals(m, p.Subject)
	}
	l.check = "findings"
	l.findings(p)
	calls := len(l.faults) > before

	c := newCompiler(p.Subject)
	c.Compile(copies(p.modules, library))
	reached := reach(c, p.Package)
	p.code = codeOf(modules, reached)
	for _, e := range c.Errors {
		if c.Graph != nil && e.Code == ast.TypeErr && inUnreached(e.Location, library, reached) {
			continue // a part of the library made for another subject
		}
		if strings.HasPrefix(e.Message, "undefined function") && (calls && l.hasFaultAt(e.Location) || c.Graph != nil && strings.Contains(e.Message, " data.")) {
			continue // told better elsewhere
		}
		l.check = "compile"
		if e.Code == ast.TypeErr {
			l.check = "schema"
		}
		l.faultAt(e.Location, "%s", l.explain(e, p))
	}
	if c.Graph != nil {
		l.check = "reference"
		l.references(c, p)
		l.check = "schema"
		l.functions(c, p)
	}
}

// evaluable compiles all policies at once as an engine does, for which the input may be anything: the types of builtins may
// then rule out what the schema of a subject lets through.
func (l *loader) evaluable(pack *Pack) {
	if len(l.faults) > 0 {
		return
	}
	lists := [][]*module{pack.library}
	for _, p := range pack.policies {
		lists = append(lists, p.modules)
	}
	c := newCompiler("")
	c.Compile(copies(lists...))
	l.check = "compile"
	for _, e := range c.Errors {
		l.faultAt(e.Location, "%s: where policies are evaluated a field may be anything: write a constant in its place", l.explain(e, &Policy{}))
	}
}

func (l *loader) hasFaultAt(loc *ast.Location) bool {
	return loc != nil && slices.ContainsFunc(l.faults, func(f fault) bool { return f.file == loc.File && f.line == loc.Row })
}

// explain adds to a compiler's error what to write instead.
func (l *loader) explain(e *ast.Error, p *Policy) string {
	message := strings.Join(strings.Fields(e.Message), " ")
	d, ok := e.Details.(*ast.RefErrInvalidDetail)
	if !ok {
		if e.Details != nil {
			message += " (" + strings.Join(strings.Fields(strings.Join(e.Details.Lines(), " ")), " ") + ")"
		}
		return message
	}
	if p.Subject != "" && d.Ref[0].Equal(ast.InputRootDocument) {
		if _, _, fault := findPath(access.SchemaOf(p.Subject), constantPath(d.Ref)); fault != "" {
			return fmt.Sprintf("%s: %s", d.Ref, fault)
		}
	}
	if d.Pos < len(d.Ref) {
		if word, ok := d.Ref[d.Pos].Value.(ast.String); ok {
			var known []string
			for _, v := range d.OneOf {
				if s, ok := v.(ast.String); ok {
					known = append(known, string(s))
				}
			}
			message += didYouMean(string(word), known)
		}
	}
	return message
}

// constantPath is the path of a ref to the input, without what indexes arrays, up to the first part that is not constant.
func constantPath(ref ast.Ref) []string {
	var path []string
	for _, t := range ref[1:] {
		switch v := t.Value.(type) {
		case ast.String:
			path = append(path, string(v))
		case ast.Var, ast.Number:
		default:
			return path
		}
	}
	return path
}

// reach returns the places of all rules that a package's rules depend on, its own included.
func reach(c *ast.Compiler, pkg string) map[place]bool {
	reached := map[place]bool{}
	if c.Graph == nil {
		return reached
	}
	var visit func(r *ast.Rule)
	visit = func(r *ast.Rule) {
		for ; r != nil; r = r.Else {
			at := placeOf(r.Location)
			if reached[at] {
				return
			}
			reached[at] = true
			for dep := range c.Graph.Dependencies(r) {
				if d, ok := dep.(*ast.Rule); ok {
					visit(d)
				}
			}
		}
	}
	for _, m := range c.Modules {
		if packageName(m) == pkg {
			for _, r := range m.Rules {
				visit(r)
			}
		}
	}
	return reached
}

// place identifies a rule over copies of its module.
type place struct {
	file     string
	row, col int
}

func placeOf(loc *ast.Location) place {
	if loc == nil {
		return place{}
	}
	return place{loc.File, loc.Row, loc.Col}
}

// inUnreached reports whether a place lies in a rule of the library that the policy does not use.
func inUnreached(loc *ast.Location, library []*module, reached map[place]bool) bool {
	if loc == nil {
		return false
	}
	for _, m := range library {
		if m.name != loc.File {
			continue
		}
		var in *ast.Rule
		for _, r := range m.ast.Rules {
			if r.Location.Row <= loc.Row {
				in = r
			}
		}
		return in != nil && !reached[placeOf(in.Location)]
	}
	return false
}

// codeOf lists the rules that were reached, without comments and layout, in an order of their own.
func codeOf(modules []*module, reached map[place]bool) []string {
	var code []string
	for _, m := range modules {
		for _, r := range m.ast.Rules {
			if reached[placeOf(r.Location)] {
				code = append(code, m.pkg+" "+r.String())
			}
		}
	}
	slices.Sort(code)
	return code
}

// hash covers everything by which the rule judges: see Policy.Hash.
func hash(p *Policy) string {
	judged := map[string]any{"id": p.ID, "subject": p.Subject, "params": p.Params, "scope": p.Scope, "needs": p.Needs, "exempt": p.Exempt, "code": p.code, "table": p.tableContent()}
	if len(p.sources) > 0 {
		sources := map[string]any{}
		for uid, s := range p.sources {
			sources[uid] = map[string]any{"enabled": s.Enabled, "params": s.Params}
		}
		judged["sources"], judged["off"] = sources, p.off
	}
	doc, err := json.Marshal(judged)
	if err != nil {
		panic(fmt.Sprintf("policy: hash of %s: %v", p.ID, err)) // params and tables hold JSON values only
	}
	sum := sha256.Sum256(doc)
	return hex.EncodeToString(sum[:])
}

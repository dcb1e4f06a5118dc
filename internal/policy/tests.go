package policy

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"path"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/cover"
	"github.com/open-policy-agent/opa/v1/storage"
	"github.com/open-policy-agent/opa/v1/storage/inmem"
	"github.com/open-policy-agent/opa/v1/tester"
	"github.com/open-policy-agent/opa/v1/topdown"
)

// TestOptions say what Test runs.
type TestOptions struct {
	Run     string // regular expression over package and name; empty is all
	Verbose bool   // report what passes too
	// Below keeps to the files whose names begin with one of these folders; empty is all.
	Below []string
	// Begin hears of each test before it is run; nil: nobody does.
	Begin func(test string)
}

func (o TestOptions) within(name string) bool {
	return len(o.Below) == 0 || slices.ContainsFunc(o.Below, func(b string) bool { return b == "." || strings.HasPrefix(name, b+"/") })
}

// TestReport counts test cases and the lines of the policies that they reach.
type TestReport struct {
	Passed, Failed, Skipped int
	// Untested are the files of policies that no test file lies beside.
	Untested []string
	Coverage []FileCoverage
}

// OK reports whether something was tested and nothing failed.
func (r TestReport) OK() bool { return r.Failed == 0 && r.Passed > 0 }

// FileCoverage says how much of a policy file its tests reach.
type FileCoverage struct {
	File    string
	Percent float64
	Missed  []int // lines
}

// Test runs the pack's tests (every rule that begins with test_ in a _test.rego file) and writes what failed to w, with the
// expression that did not hold and the variables in it. Parameters have the values of METADATA, whatever the overrides.
// An error means that the tests could not be run.
func Test(ctx context.Context, pack *Pack, w io.Writer, o TestOptions) (TestReport, error) {
	var report TestReport
	modules, err := pack.testModules()
	if err != nil {
		return report, err
	}
	covered := cover.New()
	pattern, err := o.pattern(modules)
	if err != nil {
		return report, err
	}
	run, err := pack.runTests(ctx, modules, pattern, func(r *tester.Runner) { r.SetCoverageQueryTracer(&herald{QueryTracer: covered, begin: o.Begin}) })
	if err != nil {
		return report, err
	}
	results := run.results
	if o.Run != "" && len(o.Below) > 0 { // the runner takes one pattern
		only := regexp.MustCompile(o.Run)
		results = slices.DeleteFunc(results, func(r *tester.Result) bool { return !only.MatchString(r.Package + "." + r.Name) })
	}
	var failed []string
	var broken []*tester.Result // by an error, which says enough
	for _, r := range results {
		switch leaves := leafResults(r.SubResults); {
		case r.Skip:
			report.Skipped++
		case r.Error != nil:
			report.Failed++
		case len(leaves) > 0:
			for _, l := range leaves {
				if l.Fail {
					report.Failed++
				} else {
					report.Passed++
				}
			}
		case r.Fail:
			report.Failed++
		default:
			report.Passed++
		}
		switch {
		case r.Error != nil:
			broken = append(broken, r)
		case !r.Pass() && !r.Skip:
			failed = append(failed, r.Package+"."+r.Name)
		}
	}
	f := &failures{w: w, lines: pack.lines()}
	for _, r := range broken {
		f.write(ctx, r)
	}
	if len(failed) > 0 {
		// Only a run that is traced can say which expression it was.
		traced, err := pack.runTests(ctx, modules, namePattern(failed), func(r *tester.Runner) { r.EnableTracing(true) })
		if err != nil {
			return report, err
		}
		f.compiler, f.store = traced.compiler, traced.store
		for _, r := range traced.results {
			if !r.Pass() {
				f.write(ctx, r)
			}
		}
	} else if o.Verbose && len(broken) == 0 {
		ch := make(chan *tester.Result, len(results))
		for _, r := range results {
			ch <- r
		}
		close(ch)
		if err := (tester.PrettyReporter{Output: w, Verbose: true}).Report(ch); err != nil {
			return report, fmt.Errorf("report tests: %w", err)
		}
	}
	report.Coverage = slices.DeleteFunc(pack.coverage(covered, modules), func(c FileCoverage) bool { return !o.within(c.File) })
	report.Untested = slices.DeleteFunc(pack.untested(), func(f string) bool { return !o.within(f) })
	return report, nil
}

// herald passes events on, and tells of each test that begins.
type herald struct {
	topdown.QueryTracer
	begin func(string)
	last  string
}

// TraceEvent implements topdown.QueryTracer.
func (h *herald) TraceEvent(e topdown.Event) {
	if r, ok := e.Node.(*ast.Rule); ok && h.begin != nil && e.Op == topdown.EnterOp && strings.HasPrefix(r.Head.Name.String(), tester.TestPrefix) {
		if name := fmt.Sprintf("%s (%s:%d)", r.Head.Name, r.Location.File, r.Location.Row); name != h.last {
			h.last = name
			h.begin(name)
		}
	}
	h.QueryTracer.TraceEvent(e)
}

// pattern is a regular expression of the tests to run.
func (o TestOptions) pattern(modules map[string]*ast.Module) (string, error) {
	if _, err := regexp.Compile(o.Run); err != nil {
		return "", fmt.Errorf("tests to run: %w", err)
	}
	if len(o.Below) == 0 {
		return o.Run, nil
	}
	var packages []string
	for _, name := range keys(modules) {
		if pkg := regexp.QuoteMeta(modules[name].Package.Path.String() + "."); o.within(name) && !slices.Contains(packages, pkg) {
			packages = append(packages, pkg)
		}
	}
	if packages == nil {
		return "", fmt.Errorf("there is no policy below %s", list(o.Below))
	}
	return "^(" + strings.Join(packages, "|") + ")", nil
}

// lines are the sources, cut up.
func (p *Pack) lines() map[string][]string {
	out := map[string][]string{}
	for _, f := range p.sources {
		out[f.name] = strings.Split(f.text, "\n")
	}
	return out
}

// testModules parses policies, library and tests together.
func (p *Pack) testModules() (map[string]*ast.Module, error) {
	l := &loader{check: "test"}
	modules := map[string]*ast.Module{}
	for _, f := range p.sources {
		if f.table() {
			continue
		}
		m, err := ast.ParseModuleWithOpts(f.name, f.text, parserOptions())
		if err != nil {
			l.parseFaults(f, err)
			continue
		}
		if m == nil {
			continue
		}
		if f.test() && !imports(m, "rego.v2") {
			l.faultAt(m.Package.Location, "import rego.v2 is missing: write `import rego.v2` after the package")
		}
		modules[f.name] = m
	}
	if len(l.faults) > 0 {
		return nil, l.err()
	}
	return modules, nil
}

// compileTests says what keeps tests from being compiled.
func (p *Pack) compileTests(ctx context.Context, modules map[string]*ast.Module) error {
	_, err := p.runTests(ctx, modules, `^\z`, func(*tester.Runner) {})
	return err
}

// testTime is what one test may take.
const testTime = 5 * time.Second

// testRun is what came of some tests, and what they ran with.
type testRun struct {
	results  []*tester.Result
	compiler *ast.Compiler
	store    storage.Store
}

// runTests runs the tests whose names match the pattern.
func (p *Pack) runTests(ctx context.Context, modules map[string]*ast.Module, pattern string, configure func(*tester.Runner)) (testRun, error) {
	setBuiltins()
	c := ast.NewCompiler().WithEnablePrintStatements(true).WithCapabilities(testCapabilities())
	c.SetErrorLimit(0)
	params := map[string]any{}
	for _, policy := range p.policies {
		params[policy.ID] = maps.Clone(policy.defaults)
	}
	store := inmem.NewFromObject(map[string]any{"params": params, "tables": tablesOf(p.policies, true)})
	copied := map[string]*ast.Module{}
	for name, m := range modules {
		copied[name] = m.Copy()
	}
	runner := tester.NewRunner().SetCompiler(c).SetStore(store).SetModules(copied).RaiseBuiltinErrors(true).CapturePrintOutput(true).SetTimeout(testTime).Filter(pattern)
	configure(runner)
	var results []*tester.Result
	err := storage.Txn(ctx, store, storage.TransactionParams{}, func(txn storage.Transaction) error {
		ch, err := runner.RunTests(ctx, txn)
		if err != nil {
			return err
		}
		for r := range ch {
			results = append(results, r)
		}
		return ctx.Err()
	})
	if err != nil {
		var faults ast.Errors
		if errors.As(err, &faults) {
			l := &loader{check: "test"}
			for _, e := range faults {
				l.faultAt(e.Location, "%s", strings.Join(strings.Fields(e.Message), " "))
			}
			return testRun{}, l.err()
		}
		return testRun{}, fmt.Errorf("run policy tests: %w", err)
	}
	sortResults(results)
	return testRun{results, c, store}, nil
}

// testCapabilities are those of a policy, and print.
func testCapabilities() *ast.Capabilities {
	c := policyCapabilities()
	c.Builtins = append(c.Builtins, ast.Print)
	return c
}

func sortResults(results []*tester.Result) {
	slices.SortFunc(results, func(a, b *tester.Result) int {
		if c := strings.Compare(a.Location.File, b.Location.File); c != 0 {
			return c
		}
		return a.Location.Row - b.Location.Row
	})
}

func leafResults(results tester.SubResultMap) (leaves []*tester.SubResult) {
	for _, r := range results.Iter {
		if len(r.SubResults) == 0 {
			leaves = append(leaves, r)
		}
	}
	return leaves
}

func namePattern(names []string) string {
	quoted := make([]string, len(names))
	for i, n := range names {
		name, _, _ := strings.Cut(n, "[")
		quoted[i] = strings.NewReplacer(".", `\.`).Replace(name)
	}
	return "^(" + strings.Join(quoted, "|") + ")"
}

func (p *Pack) coverage(covered *cover.Cover, modules map[string]*ast.Module) []FileCoverage {
	code := map[string]*ast.Module{}
	for name, m := range modules {
		if !(file{name: name}).test() {
			code[name] = m
		}
	}
	report := covered.Report(code)
	var out []FileCoverage
	for _, name := range keys(code) {
		fr := report.Files[name]
		fc := FileCoverage{File: name, Percent: fr.Coverage}
		for _, r := range fr.NotCovered {
			for row := r.Start.Row; row <= r.End.Row; row++ {
				if !slices.Contains(fc.Missed, row) {
					fc.Missed = append(fc.Missed, row)
				}
			}
		}
		slices.Sort(fc.Missed)
		out = append(out, fc)
	}
	return out
}

func (p *Pack) untested() []string {
	tested := map[string]bool{}
	for _, f := range p.tests {
		tested[path.Dir(f.name)] = true
	}
	var out []string
	for _, policy := range p.policies {
		if !tested[path.Dir(policy.File)] {
			out = append(out, policy.File)
		}
	}
	return out
}

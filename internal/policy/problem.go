package policy

import (
	"cmp"
	"context"
	"errors"
	"regexp"
	"slices"
	"strings"

	"github.com/open-policy-agent/opa/v1/ast"
)

// Level says what a Problem means for a policy.
type Level string

// An Error keeps the pack from loading. A Warning loads, and is likely not what its author means.
const (
	Error   Level = "error"
	Warning Level = "warning"
)

// Problem is something wrong in a policy, with its place, the reason and the cure.
type Problem struct {
	File    string `json:"file"`
	Line    int    `json:"line"`
	Column  int    `json:"column,omitempty"` // 0: the whole line
	Check   string `json:"check"`            // a word for its kind: schema, unknown-not, …
	Level   Level  `json:"level"`
	Policy  string `json:"policy,omitempty"` // id
	Message string `json:"message"`          // what is wrong, and why that matters
	Instead string `json:"instead"`          // what to write
}

// Check loads the policies of all sources and reports everything that Load refuses, and what it lets through but an author
// should know: see Checks. Problems come by file and line. An error means that the sources could not be read.
//
// A Warning is silenced by a comment on its line, or on the line before, that names the check and the reason:
//
//	# lapse:allow unknown-not: nobody knows how long ago they left, so it may be years
func Check(opts Options, sources ...Source) ([]Problem, error) {
	files, err := readSources(sources)
	if err != nil {
		return nil, err
	}
	l := &loader{}
	pack := l.load(opts, files)
	l.tests(pack)
	var out []Problem
	for _, f := range l.faults {
		p := Problem{File: f.file, Line: f.line, Column: f.column, Check: f.check, Level: Error}
		p.Message, p.Instead = parted(f)
		out = append(out, p)
	}
	broken := map[string]bool{}
	for _, f := range l.faults {
		broken[f.file] = true
	}
	for _, p := range pack.policies {
		out = append(out, lint(p, pack)...)
	}
	for _, f := range pack.sources {
		if p, ok := unformatted(f); ok && !broken[f.name] {
			out = append(out, p)
		}
	}
	out = allowed(out, pack.sources, len(l.faults) == 0)
	for i := range out {
		if out[i].Policy == "" {
			out[i].Policy = pack.owner(out[i].File)
		}
	}
	slices.SortStableFunc(out, func(a, b Problem) int {
		return cmp.Or(strings.Compare(a.File, b.File), a.Line-b.Line, a.Column-b.Column, strings.Compare(a.Check, b.Check))
	})
	return out, nil
}

// owner is the id of the policy that a file is part of.
func (p *Pack) owner(file string) string {
	for _, policy := range p.policies {
		for _, m := range policy.modules {
			if m.name == file || strings.TrimSuffix(m.name, ".rego")+"_test.rego" == file {
				return policy.ID
			}
		}
	}
	return ""
}

// tests reports what keeps the tests from running.
func (l *loader) tests(pack *Pack) {
	var faults joined
	if _, err := pack.testModules(); errors.As(err, &faults) {
		for _, e := range faults.Unwrap() {
			var f fault
			if errors.As(e, &f) && (file{name: f.file}).test() {
				l.add(f)
			}
		}
	}
	if len(l.faults) > 0 {
		return // they need what they test
	}
	modules, err := pack.testModules()
	if err != nil {
		return
	}
	if err := pack.compileTests(context.Background(), modules); errors.As(err, &faults) {
		for _, e := range faults.Unwrap() {
			var f fault
			if errors.As(e, &f) {
				l.add(f)
			}
		}
	}
}

// joined is what errors.Join makes.
type joined interface {
	error
	Unwrap() []error
}

// cures are how the second half of a fault begins, which says what to write.
var cures = regexp.MustCompile(`[:;] (write |did you mean |want |keep one |leave |name |put |print |save |move |take |give |add |every policy needs |a policy reads input|correct )`)

// instead says what to do about faults that say only what is wrong.
var instead = map[string]string{
	"syntax":  "correct the Rego here; https://www.openpolicyagent.org/docs/policy-language shows how it is written",
	"compile": "correct the rule; `lapse policy new` writes one to compare with",
	"schema":  "only the fields in the schema exist, with their types: see `lapse policy fields`",
}

// parted cuts a fault into what is wrong and what to write instead.
func parted(f fault) (message, cure string) {
	if at := cures.FindStringIndex(f.message); at != nil {
		message, cure = f.message[:at[0]], strings.TrimPrefix(f.message[at[0]+2:], "write ")
		if word, ok := strings.CutPrefix(cure, "did you mean "); ok {
			cure = strings.TrimSuffix(word, "?")
		}
		return message, cure
	}
	return f.message, cmp.Or(instead[f.check], "correct it as said")
}

var allowForm = regexp.MustCompile(`#\s*lapse:allow\s+([a-z-]+)(?::\s*(\S.*))?\s*$`)

// allowed leaves out the warnings that a comment silences. A comment that silences nothing is one to warn of. Whether
// its warning is gone is known only of a whole pack: in a broken one not all is looked for.
func allowed(problems []Problem, files []file, whole bool) []Problem {
	type place struct {
		file string
		line int
	}
	used := map[place]bool{}
	lines := map[string][]string{}
	for _, f := range files {
		lines[f.name] = strings.Split(f.text, "\n")
	}
	silenced := func(p Problem) bool {
		text := lines[p.File]
		for _, n := range []int{p.Line - 1, p.Line - 2} {
			if n < 0 || n >= len(text) || n == p.Line-2 && !strings.HasPrefix(strings.TrimSpace(text[n]), "#") {
				continue
			}
			if m := allowForm.FindStringSubmatch(text[n]); m != nil && m[1] == p.Check && m[2] != "" {
				used[place{p.File, n}] = true
				return true
			}
		}
		return false
	}
	out := slices.DeleteFunc(problems, func(p Problem) bool { return p.Level == Warning && silenced(p) })
	for _, f := range files {
		for i, line := range lines[f.name] {
			m := allowForm.FindStringSubmatch(line)
			switch {
			case m == nil:
			case m[2] == "":
				out = append(out, Problem{File: f.name, Line: i + 1, Check: "allow", Level: Warning,
					Message: "lapse:allow " + m[1] + " gives no reason, so it silences nothing", Instead: "# lapse:allow " + m[1] + ": why it is meant here"})
			case Checks[m[1]] == "":
				out = append(out, Problem{File: f.name, Line: i + 1, Check: "allow", Level: Warning,
					Message: "lapse:allow names no check that there is: " + m[1], Instead: strings.TrimPrefix(didYouMean(m[1], keys(Checks)), ": ")})
			case whole && !used[place{f.name, i}]:
				out = append(out, Problem{File: f.name, Line: i + 1, Check: "allow", Level: Warning,
					Message: "lapse:allow " + m[1] + " silences nothing: there is no such warning on its line or the next", Instead: "no comment, or one beside what it is about"})
			}
		}
	}
	return out
}

// location makes a place of a file's line.
func location(file string, line int) *ast.Location { return &ast.Location{File: file, Row: line} }

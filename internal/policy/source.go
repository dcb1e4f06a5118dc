package policy

import (
	"errors"
	"fmt"
	"io/fs"
	"path"
	"strings"
	"unicode/utf8"

	"github.com/open-policy-agent/opa/v1/ast"
)

// file is one .rego file, or the table of a rule, as it was read.
type file struct {
	name    string // with the source's name
	text    string
	builtIn bool
}

func (f file) test() bool { return strings.HasSuffix(f.name, "_test.rego") }

// module is a parsed file. The compiler changes the modules it is given, so it only ever gets copies.
type module struct {
	name string
	pkg  string
	ast  *ast.Module
}

func (m *module) library() bool {
	return m.pkg == libraryPackage || strings.HasPrefix(m.pkg, libraryPackage+".")
}

const (
	rootPackage    = "lapse"
	libraryPackage = "lapse.lib"
)

// readSources reads every .rego file of the sources, and the tables of rules. Files and folders whose names begin with a dot are left alone.
func readSources(sources []Source) ([]file, error) {
	var files []file
	taken := map[string]bool{}
	for _, s := range sources {
		err := fs.WalkDir(s.FS, ".", func(name string, d fs.DirEntry, err error) error {
			if err != nil {
				return err
			}
			if strings.HasPrefix(d.Name(), ".") && name != "." {
				if d.IsDir() {
					return fs.SkipDir
				}
				return nil
			}
			if d.IsDir() || path.Ext(name) != ".rego" && !tableName(d.Name()) {
				return nil
			}
			text, err := fs.ReadFile(s.FS, name)
			if err != nil {
				return err
			}
			whole := path.Join(s.Name, name)
			for taken[whole] { // two sources of one name
				whole = "./" + whole
			}
			taken[whole] = true
			files = append(files, file{name: whole, text: string(text), builtIn: s.BuiltIn})
			return nil
		})
		if err != nil {
			return nil, fmt.Errorf("read policies %s: %w", s.Name, err)
		}
	}
	return files, nil
}

// parse reads one file; it returns nil if that failed. A faulty module that can be parsed is returned all the same, so
// that the rest of it is checked too.
func (l *loader) parse(f file) *module {
	l.check = "syntax"
	if !utf8.ValidString(f.text) {
		valid := strings.ToValidUTF8(f.text, "\x00")
		line := 1 + strings.Count(valid[:strings.IndexByte(valid, 0)], "\n")
		l.fault(f.name, line, "is not UTF-8: save it as UTF-8")
		return nil
	}
	m, err := ast.ParseModuleWithOpts(f.name, f.text, parserOptions())
	if err != nil {
		l.parseFaults(f, err)
		return nil
	}
	if m == nil { // nothing but comments and space
		l.fault(f.name, 1, "is empty: write a package and a rule, or delete the file")
		return nil
	}
	l.check = "package"
	pkg := packageName(m)
	if pkg != rootPackage && !strings.HasPrefix(pkg, rootPackage+".") {
		l.faultAt(m.Package.Location, "package %s is outside of %s, where no rule is looked for: write package %s.%s", pkg, rootPackage, rootPackage, pkg)
	} else if strings.Count(pkg, ".") < 2 && !(&module{pkg: pkg}).library() {
		l.faultAt(m.Package.Location, "package %s does not name an area and a rule: write package %s.<area>.<rule>", pkg, rootPackage)
	}
	l.check = "import"
	if !imports(m, "rego.v2") {
		l.faultAt(m.Package.Location, "import rego.v2 is missing: without it a `not` over an absent field passes over silently; write `import rego.v2` after the package%s", insteadOf(m))
	}
	return &module{name: f.name, pkg: pkg, ast: m}
}

func insteadOf(m *ast.Module) string {
	if imports(m, "rego.v1") {
		return " in place of `import rego.v1`"
	}
	return ""
}

func parserOptions() ast.ParserOptions {
	return ast.ParserOptions{RegoVersion: ast.RegoV1, Capabilities: parserCapabilities()}
}

// parserCapabilities are those of the language whole: a forbidden builtin is found by the check that says why.
func parserCapabilities() *ast.Capabilities { return ast.CapabilitiesForThisVersion() }

func (l *loader) parseFaults(f file, err error) {
	var errs ast.Errors
	if !errors.As(err, &errs) {
		l.fault(f.name, 0, "%v", err)
		return
	}
	for _, e := range errs {
		hint := ""
		if strings.Contains(e.Message, "keyword is required before rule body") || strings.Contains(e.Message, "keyword is required for partial set rules") {
			hint = ": this is the old syntax; write `findings contains {…} if {…}` and `import rego.v2`"
		}
		at := ast.Location{File: f.name}
		if e.Location != nil {
			at.Row, at.Col = e.Location.Row, e.Location.Col
		}
		l.faultAt(&at, "%s%s", strings.TrimSpace(e.Message), hint)
	}
}

// packageName is the dotted name of a module's package, without "data".
func packageName(m *ast.Module) string {
	var parts []string
	for _, t := range m.Package.Path[1:] {
		if s, ok := t.Value.(ast.String); ok {
			parts = append(parts, string(s))
		}
	}
	return strings.Join(parts, ".")
}

func imports(m *ast.Module, path string) bool {
	for _, i := range m.Imports {
		if i.Path.String() == path {
			return true
		}
	}
	return false
}

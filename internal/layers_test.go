// Package internal_test checks what holds between packages: imports run one way,
// a library is known to one part, and only main ends the process.
package internal_test

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

const module = "github.com/lapse-audit/lapse"

// layers, the upper first. A part is a folder with all below it; it may import
// the parts of lower layers and nothing of its own layer, unless said below.
var layers = [][]string{
	{".", "internal", "cmd/lapse", "deploy/licenses"}, // the first two hold tests of the whole
	{"internal/cli"},
	{"internal/app"},
	{"internal/config"},
	{"collectors", "collectors/*", "internal/scan", "internal/notify", "internal/review", "internal/remediate", "reports", "internal/serve", "internal/synth", "policies"},
	{"internal/collect", "internal/store", "internal/state", "internal/policy", "internal/correlate", "internal/nesting"},
	{"internal/chdb"},
	{"internal/finding", "internal/strict"},
	{"internal/access", "internal/fold", "internal/spell"},
}

// siblings are the imports within a layer that are meant.
var siblings = map[string][]string{
	"collectors": {"collectors/*"},
}

// importsOnly narrows what a part may import of this module.
var importsOnly = map[string][]string{
	"cmd/lapse":        {"internal/cli"},
	"deploy/licenses":  {"internal/chdb"},
	"collectors/*":     {"internal/access", "internal/collect", "internal/spell", "internal/strict"},
	"policies":         {},
	"internal/chdb":    {},
	"internal/finding": {"internal/access"},
	"internal/access":  {},
	"internal/fold":    {},
	"internal/spell":   {},
	"internal/strict":  {"internal/spell"},
}

// importedBy narrows who may import a part.
var importedBy = map[string][]string{
	"internal/cli":    {"cmd/lapse"},
	"internal/app":    {"internal/cli"},
	"internal/config": {"internal/cli", "internal/app"},
	"internal/synth":  {"internal/cli", "internal/app"},
	"internal/chdb":   {"internal/store", "deploy/licenses"}, // which asks for the licences of what is linked into the engine
	"policies":        {"internal/app"},
	"collectors":      {"internal/config", "internal/app"},
	"collectors/*":    {"collectors"},
}

// owners are the parts that may know a library; tests are held to it too.
var owners = map[string][]string{
	"github.com/ClickHouse":            {"internal/store", "internal/chdb", "collectors/sql"}, // to which a server of it is an app
	"github.com/ebitengine/purego":     {"internal/chdb"},
	"github.com/open-policy-agent/opa": {"internal/policy"},
	"github.com/spf13/cobra":           {"internal/cli"},
}

// standardOnly import nothing outside the standard library and this module.
var standardOnly = []string{"internal/access", "internal/finding"}

// Beyond what its package may import, a _test.go file may import the parts of
// its own layer, these two, and support packages (named …test).
var forTests = []string{"internal/synth", "policies"}

func TestLayers(t *testing.T) {
	root, err := filepath.Abs("..")
	if err != nil {
		t.Fatal(err)
	}
	seen := false
	err = filepath.WalkDir(root, func(file string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name := d.Name()
		if d.IsDir() {
			if file != root && (name == "testdata" || name == "node_modules" || strings.HasPrefix(name, ".") || strings.HasPrefix(name, "_")) {
				return filepath.SkipDir
			}
			return nil
		}
		if !strings.HasSuffix(name, ".go") {
			return nil
		}
		src, err := os.ReadFile(file)
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(root, file)
		if err != nil {
			return err
		}
		faults, err := check(filepath.ToSlash(rel), src)
		if err != nil {
			return err
		}
		for _, fault := range faults {
			t.Error(fault)
		}
		seen = seen || rel == filepath.Join("internal", "layers_test.go")
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if !seen {
		t.Errorf("the walk from %s missed this very file", root)
	}
}

// check lists the faults of one file, each as file:line, what is wrong, and the
// rule. name is relative to the module's root.
func check(name string, src []byte) ([]string, error) {
	fset := token.NewFileSet()
	file, err := parser.ParseFile(fset, name, src, parser.SkipObjectResolution)
	if err != nil {
		return nil, err
	}
	isTest := strings.HasSuffix(name, "_test.go")
	pkg := path.Dir(name)
	part, layer := place(pkg)
	if layer < 0 {
		return []string{fmt.Sprintf("%s: package %s is in no layer: add it to layers in internal/layers_test.go", name, pkg)}, nil
	}

	var faults []string
	report := func(pos token.Pos, format string, args ...any) {
		faults = append(faults, fset.Position(pos).String()+": "+fmt.Sprintf(format, args...))
	}
	for _, spec := range file.Imports {
		imported, err := strconv.Unquote(spec.Path.Value)
		if err != nil {
			return nil, err
		}
		if rule := refuse(pkg, part, layer, imported, isTest); rule != "" {
			report(spec.Pos(), "%s imports %s: %s", pkg, imported, rule)
		}
	}
	if isTest || file.Name.Name == "main" {
		return faults, nil
	}
	ast.Inspect(file, func(n ast.Node) bool {
		sel, ok := n.(*ast.SelectorExpr)
		if !ok {
			return true
		}
		if x, ok := sel.X.(*ast.Ident); ok {
			call := x.Name + "." + sel.Sel.Name
			if call == "os.Exit" || strings.HasPrefix(call, "log.Fatal") {
				report(sel.Pos(), "%s: only main ends the process; return an error", call)
			}
		}
		return true
	})
	return faults, nil
}

// refuse returns the rule that forbids the import, or "".
func refuse(pkg, part string, layer int, imported string, isTest bool) string {
	own, ok := strings.CutPrefix(imported, module)
	if !ok || (own != "" && own[0] != '/') {
		return refuseLibrary(pkg, part, imported, isTest)
	}
	target := path.Clean(strings.TrimPrefix(own, "/"))
	targetPart, targetLayer := place(target)
	support := strings.HasSuffix(path.Base(target), "test")
	switch {
	case targetLayer < 0:
		return "it is in no layer; add it to layers in internal/layers_test.go"
	case support && !isTest && !strings.HasSuffix(path.Base(pkg), "test"):
		return "support for tests, for _test.go files only"
	case sameFolder(pkg, target):
		return "" // within one part
	case isTest && (support || slices.Contains(forTests, targetPart)):
		return ""
	case targetLayer < layer:
		return fmt.Sprintf("imports run one way, and %s lies above %s", targetPart, part)
	case isTest && targetLayer == layer:
		return ""
	case targetLayer == layer && !slices.Contains(siblings[part], targetPart):
		return fmt.Sprintf("%s and %s lie in one layer and do not know each other; declare an interface where it is used, and wire it in internal/app", part, targetPart)
	}
	if only, ok := importsOnly[part]; ok && !isTest && !slices.Contains(only, targetPart) {
		return fmt.Sprintf("of this module %s may import %s", part, list(only))
	}
	if by, ok := importedBy[targetPart]; ok && !isTest && !slices.Contains(by, part) {
		return fmt.Sprintf("%s is imported only by %s", targetPart, list(by))
	}
	return ""
}

func refuseLibrary(pkg, part, imported string, isTest bool) string {
	for library, by := range owners {
		if (imported == library || strings.HasPrefix(imported, library+"/")) && !slices.ContainsFunc(by, func(p string) bool { return within(pkg, p) }) {
			return fmt.Sprintf("%s is known only to %s", library, list(by))
		}
	}
	host, _, _ := strings.Cut(imported, "/")
	if strings.Contains(host, ".") && !isTest && slices.Contains(standardOnly, part) {
		return part + " uses the standard library only"
	}
	return ""
}

// place finds the part a package belongs to and the index of its layer, -1 where
// there is none. The longest name wins: collectors/ldap is not in collectors.
func place(pkg string) (part string, layer int) {
	layer = -1
	for i, parts := range layers {
		for _, p := range parts {
			if within(pkg, p) && (layer < 0 || len(p) > len(part)) {
				part, layer = p, i
			}
		}
	}
	return part, layer
}

func within(pkg, part string) bool {
	if parent, ok := strings.CutSuffix(part, "/*"); ok {
		return strings.HasPrefix(pkg, parent+"/")
	}
	if part == "." || part == "internal" {
		return pkg == part
	}
	return pkg == part || strings.HasPrefix(pkg, part+"/")
}

// sameFolder says whether both packages belong to one part. Of the parts under
// collectors/* each folder is one of its own.
func sameFolder(a, b string) bool {
	partA, _ := place(a)
	partB, _ := place(b)
	if partA != partB {
		return false
	}
	parent, ok := strings.CutSuffix(partA, "/*")
	if !ok {
		return true
	}
	folder := func(pkg string) string {
		name, _, _ := strings.Cut(strings.TrimPrefix(pkg, parent+"/"), "/")
		return name
	}
	return folder(a) == folder(b)
}

func list(parts []string) string {
	if len(parts) == 0 {
		return "nothing"
	}
	return strings.Join(parts, ", ")
}

// The check itself must not pass in silence: each rule has an import it refuses
// beside one it lets through.
func TestCheck(t *testing.T) {
	imports := func(p string) string { return "package p\nimport _ \"" + p + "\"\n" }
	own := func(p string) string { return imports(module + "/" + p) }
	tests := []struct {
		name, file, src string
		want            string // part of the only fault; none expected where empty
	}{
		{"downwards", "internal/scan/scan.go", own("internal/store"), ""},
		{"over several layers", "internal/cli/list.go", own("internal/finding"), ""},
		{"upwards", "internal/store/rows.go", own("internal/scan"), "internal/scan lies above internal/store"},
		{"upwards from a test", "internal/store/rows_test.go", own("internal/scan"), "internal/scan lies above internal/store"},
		{"from the bottom", "internal/access/person.go", own("internal/finding"), "internal/finding lies above internal/access"},
		{"same layer", "internal/scan/scan.go", own("internal/notify"), "lie in one layer"},
		{"same layer, nested", "internal/scan/scan.go", own("internal/notify/slack"), "lie in one layer"},
		{"same layer from a test", "internal/correlate/link_test.go", own("internal/store"), ""},
		{"within a part", "internal/notify/notify.go", own("internal/notify/slack"), ""},
		{"a name that only begins alike", "internal/storefront/x.go", own("internal/access"), "in no layer"},
		{"no such layer", "internal/scan/scan.go", own("internal/util"), "in no layer"},
		{"unknown package", "internal/util/util.go", "package util\n", "in no layer"},

		{"collector", "collectors/ldap/ldap.go", own("internal/collect"), ""},
		{"collector knows the store", "collectors/ldap/ldap.go", own("internal/store"), "may import internal/access, internal/collect"},
		{"collector knows findings", "collectors/ldap/ldap.go", own("internal/finding"), "may import internal/access, internal/collect"},
		{"collector knows another", "collectors/ldap/ldap.go", own("collectors/scim"), "lie in one layer"},
		{"collector's own folder", "collectors/rest/rest.go", own("collectors/rest/recipes"), ""},
		{"collector's test with the suite", "collectors/ldap/ldap_test.go", own("internal/collect/collecttest"), ""},
		{"the suite outside tests", "collectors/ldap/ldap.go", own("internal/collect/collecttest"), "_test.go files only"},
		{"the list of collectors", "collectors/collectors.go", own("collectors/ldap"), ""},
		{"a collector past the list", "internal/app/app.go", own("collectors/ldap"), "is imported only by collectors"},

		{"the engine", "internal/store/open.go", own("internal/chdb"), ""},
		{"the engine past the store", "internal/app/app.go", own("internal/chdb"), "is imported only by internal/store"},
		{"configuration", "internal/cli/root.go", own("internal/config"), ""},
		{"configuration below", "internal/state/open.go", own("internal/config"), "internal/config lies above"},
		{"the made-up company", "internal/app/demo.go", own("internal/synth"), ""},
		{"the made-up company below", "internal/nesting/close.go", own("internal/synth"), "internal/synth lies above"},
		{"the made-up company in a test", "internal/nesting/close_test.go", own("internal/synth"), ""},
		{"rules built in", "internal/app/policies.go", own("policies"), ""},
		{"rules in the loader", "internal/policy/load.go", own("policies"), "policies lies above internal/policy"},
		{"rules in the loader's test", "internal/policy/load_test.go", own("policies"), ""},
		{"rules import nothing", "policies/policies.go", own("internal/policy"), "may import nothing"},
		{"main knows the command line only", "cmd/lapse/main.go", own("internal/app"), "may import internal/cli"},

		{"driver in the store", "internal/store/open.go", imports("github.com/ClickHouse/clickhouse-go/v2"), ""},
		{"driver elsewhere", "internal/scan/scan.go", imports("github.com/ClickHouse/clickhouse-go/v2"), "known only to internal/store, internal/chdb"},
		{"driver in a test elsewhere", "internal/scan/scan_test.go", imports("github.com/ClickHouse/ch-go"), "known only to internal/store, internal/chdb"},
		{"driver where a server is an app", "collectors/sql/connect.go", imports("github.com/ClickHouse/clickhouse-go/v2"), ""},
		{"driver in another collector", "collectors/rest/rest.go", imports("github.com/ClickHouse/clickhouse-go/v2"), "known only to internal/store, internal/chdb, collectors/sql"},
		{"library in access", "internal/access/person.go", imports("golang.org/x/text/cases"), "standard library only"},
		{"library in access's test", "internal/access/person_test.go", imports("github.com/google/go-cmp/cmp"), ""},
		{"standard library in access", "internal/access/person.go", imports("encoding/json"), ""},

		{"exit", "internal/cli/root.go", "package cli\nimport \"os\"\nfunc f() { os.Exit(1) }\n", "only main ends the process"},
		{"fatal", "internal/cli/root.go", "package cli\nimport \"log\"\nfunc f() { log.Fatalln(1) }\n", "only main ends the process"},
		{"exit in main", "cmd/lapse/main.go", "package main\nimport \"os\"\nfunc main() { os.Exit(1) }\n", ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			faults, err := check(tt.file, []byte(tt.src))
			if err != nil {
				t.Fatal(err)
			}
			switch {
			case tt.want == "" && len(faults) > 0:
				t.Errorf("refused: %q", faults)
			case tt.want != "" && len(faults) != 1:
				t.Errorf("got %q, want one fault with %q", faults, tt.want)
			case tt.want != "" && !strings.Contains(faults[0], tt.want):
				t.Errorf("got %q, want it to say %q", faults[0], tt.want)
			}
		})
	}
}

package rest

import (
	"bytes"
	"encoding/json"
	"go/ast"
	goparser "go/parser"
	"go/token"
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/santhosh-tekuri/jsonschema/v6"
	"go.yaml.in/yaml/v3"

	"github.com/lapse-audit/lapse/internal/access"
	"github.com/lapse-audit/lapse/internal/collect"
)

const schemaFile = "recipe.schema.json"

// TestSchema makes the schema of the structs that the decoder fills, with their comments, and compares it with the one
// that is shipped. -update rewrites that.
func TestSchema(t *testing.T) {
	g := generator{docs: comments(t), defs: map[string]any{}}
	schema := g.object(reflect.TypeFor[Recipe]())
	schema["$schema"] = "https://json-schema.org/draft/2020-12/schema"
	schema["title"] = "A recipe: how Lapse reads an app with a REST API"
	schema["required"] = []string{"language", "name", "auth", "requests"}
	schema["$defs"] = g.defs
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetIndent("", "  ")
	e.SetEscapeHTML(false)
	if err := e.Encode(schema); err != nil {
		t.Fatal(err)
	}
	if *update {
		if err := os.WriteFile(schemaFile, b.Bytes(), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(schemaFile)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(string(want), b.String()); d != "" {
		t.Errorf("%s is not that of the decoder; rewrite it with -update:\n%s", schemaFile, d)
	}
}

// The schema and the decoder agree: on the shipped recipes, and on faults that both can see.
func TestSchemaAgrees(t *testing.T) {
	schema, err := jsonschema.NewCompiler().Compile(schemaFile)
	if err != nil {
		t.Fatal(err)
	}
	valid := func(data []byte) error {
		var doc any
		if err := yaml.Unmarshal(data, &doc); err != nil {
			return err
		}
		text, err := json.Marshal(doc)
		if err != nil {
			return err
		}
		in, err := jsonschema.UnmarshalJSON(bytes.NewReader(text))
		if err != nil {
			return err
		}
		return schema.Validate(in)
	}
	for _, name := range Names() {
		data, err := shipped.ReadFile("recipes/" + name + ".yaml")
		if err != nil {
			t.Fatal(err)
		}
		if err := valid(data); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	for _, c := range [][2]string{
		{"name: Tiny", "nam: Tiny"}, {"type: bearer", "type: cookie"}, {"rows: .users", "rows: [1]"}, {"path: /users", "pth: /users"}, {"type: next", "type: nxt"},
		{"username: .name", "user_name: .name"}, {"rights: [users.read]", "rights: users.read"}, {"language: 1", "language: 2"}, {"error: .error", "error: {a: 1}"},
	} {
		text := strings.Replace(tiny, c[0], c[1], 1)
		if text == tiny {
			t.Fatalf("%q is not in the recipe", c[0])
		}
		if _, err := Parse("x.yaml", []byte(text)); err == nil {
			t.Errorf("the decoder takes %q", c[1])
		}
		if err := valid([]byte(text)); err == nil {
			t.Errorf("the schema takes %q", c[1])
		}
	}
	if err := valid([]byte(tiny)); err != nil {
		t.Error(err)
	}
	if onDisk, err := os.ReadFile(schemaFile); err != nil || !bytes.Equal(onDisk, Schema()) {
		t.Error("the schema that is embedded is another one")
	}
}

// comments are the comments on the fields of recipes, by type and field.
func comments(t *testing.T) map[string]string {
	t.Helper()
	out := map[string]string{}
	for _, name := range []string{"recipe.go", "change_recipe.go"} {
		file, err := goparser.ParseFile(token.NewFileSet(), name, nil, goparser.ParseComments)
		if err != nil {
			t.Fatal(err)
		}
		commentsOf(file, out)
	}
	return out
}

func commentsOf(file *ast.File, out map[string]string) {
	ast.Inspect(file, func(n ast.Node) bool {
		spec, ok := n.(*ast.TypeSpec)
		if !ok {
			return true
		}
		if s, ok := spec.Type.(*ast.StructType); ok {
			for _, f := range s.Fields.List {
				for _, name := range f.Names {
					out[spec.Name.Name+"."+name.Name] = strings.Join(strings.Fields(f.Doc.Text()), " ")
				}
			}
		}
		return true
	})
}

type generator struct {
	docs map[string]string
	defs map[string]any
}

func (g *generator) object(t reflect.Type) map[string]any {
	properties := map[string]any{}
	for f := range t.Fields() {
		name, _, _ := strings.Cut(f.Tag.Get("yaml"), ",")
		if name == "" || name == "-" {
			continue
		}
		s := g.of(f.Type, t.Name()+"."+f.Name)
		if doc := g.docs[t.Name()+"."+f.Name]; doc != "" {
			s["description"] = doc
		}
		properties[name] = s
	}
	return map[string]any{"type": "object", "properties": properties, "additionalProperties": false}
}

var enums = map[string]any{
	"Recipe.Language": []int{Language}, "Auth.Type": authTypes, "Auth.Style": []string{"header", "body"}, "Request.Method": []string{"GET", "POST"},
	"Paging.Type": []string{"link", "next", "cursor", "offset", "page", "none"}, "Coverage.Level": []access.Coverage{"full", "partial", "none"},
	"Step.Method": methods, "Request.Of": []access.HolderKind{access.HolderAccount, access.HolderEntitlement},
}

func (g *generator) of(t reflect.Type, where string) map[string]any {
	if values, ok := enums[where]; ok {
		return map[string]any{"enum": values}
	}
	switch t {
	case reflect.TypeFor[Expr](), reflect.TypeFor[Template]():
		return map[string]any{"type": []string{"string", "number", "boolean"}} // a scalar of YAML, read as text
	case reflect.TypeFor[Body]():
		return map[string]any{}
	case reflect.TypeFor[Mappings]():
		kind := collect.Kind(strings.ToLower(strings.TrimPrefix(where, "Request.")))
		name := "mapping_" + string(kind)
		g.defs[name] = g.mapping(kind)
		ref := map[string]any{"$ref": "#/$defs/" + name}
		return map[string]any{"anyOf": []any{ref, map[string]any{"type": "array", "items": ref}}}
	case reflect.TypeFor[Actions]():
		if _, ok := g.defs["action"]; !ok {
			g.defs["action"] = g.object(reflect.TypeFor[Action]())
			g.defs["action"].(map[string]any)["required"] = []string{"do"}
		}
		ref := map[string]any{"$ref": "#/$defs/action"}
		return map[string]any{"anyOf": []any{ref, map[string]any{"type": "array", "items": ref}}}
	case reflect.TypeFor[*Step]():
		if _, ok := g.defs["step"]; !ok {
			g.defs["step"] = g.object(reflect.TypeFor[Step]())
			g.defs["step"].(map[string]any)["required"] = []string{"path"}
		}
		return map[string]any{"$ref": "#/$defs/step"}
	case reflect.TypeFor[*Request]():
		if _, ok := g.defs["request"]; !ok {
			g.defs["request"] = true // it holds itself
			request := g.object(reflect.TypeFor[Request]())
			request["required"] = []string{"name", "path"}
			g.defs["request"] = request
		}
		return map[string]any{"$ref": "#/$defs/request"}
	}
	switch t.Kind() {
	case reflect.String:
		if where == "Request.Refusals[]" {
			return map[string]any{"type": []string{"string", "integer"}}
		}
		return map[string]any{"type": "string"}
	case reflect.Bool:
		return map[string]any{"type": "boolean"}
	case reflect.Int:
		return map[string]any{"type": "integer"}
	case reflect.Pointer:
		return g.of(t.Elem(), where)
	case reflect.Slice:
		return map[string]any{"type": "array", "items": g.of(t.Elem(), where+"[]")}
	case reflect.Map:
		return map[string]any{"type": "object", "additionalProperties": g.of(t.Elem(), where+"{}")}
	case reflect.Struct:
		return g.object(t)
	}
	return map[string]any{}
}

func (g *generator) mapping(kind collect.Kind) map[string]any {
	expr := map[string]any{"type": []string{"string", "number", "boolean"}}
	described := func(field string) map[string]any {
		return map[string]any{"type": expr["type"], "description": g.docs["Mapping."+field]}
	}
	properties := map[string]any{
		"from": described("From"), "when": described("When"),
		"once": map[string]any{"type": "boolean", "description": g.docs["Mapping.Once"]},
	}
	s := shapes[kind]
	for _, name := range s.names() {
		properties[name] = expr
	}
	if _, ok := s.typ.FieldByName("Attributes"); ok {
		properties["attributes"] = map[string]any{"type": "object", "additionalProperties": expr, "description": g.docs["Mapping.Attributes"]}
	}
	required := slices.Clone(s.required)
	return map[string]any{"type": "object", "properties": properties, "additionalProperties": false, "required": required}
}

// Faults name file, line and column, and the nearest word; all of them come at once.
func TestParseFaults(t *testing.T) {
	for name, c := range map[string]struct{ from, to, want string }{
		"unknown key":         {"rows: .users", "row: .users", `x.yaml:9:3: requests[0]: unknown key "row": did you mean "rows"?`},
		"unknown field":       {"username: .name", "user_name: .name", `x.yaml:12:23: requests[0](users).accounts: accounts have no field "user_name": did you mean "username"?`},
		"jq":                  {"rows: .users", "rows: .users[", `x.yaml:9:9: jq: unexpected EOF`},
		"jq in a mapping":     {"username: .name", "username: .name |", `x.yaml:12:33: jq: unexpected EOF`},
		"unknown variable":    {"username: .name", "username: $mfa", `x.yaml:12:33: requests[0](users).accounts.username: jq: variable not defined: $mfa`},
		"no id":               {"id: .id, ", "", `x.yaml:12:13: requests[0](users).accounts: id is missing`},
		"auth":                {"type: bearer", "type: cookie", `x.yaml:4:1: auth[0].type: "cookie" is none of bearer`},
		"a cookie":            {"type: bearer", "type: api_key, header: Cookie", `a cookie is somebody's session`},
		"paging":              {"type: next", "type: nxt", `"nxt" is none of link`},
		"paging without next": {"next: .next, ", "", `paging.next: is missing`},
		"method":              {"path: /users", "path: /users\n  method: DELETE", `a recipe reads by GET`},
		"path":                {"path: /users", "path: /users?x=1", `parameters go under query`},
		"language":            {"language: 1", "language: 2", `x.yaml:2:1: language: is 2`},
		"brace":               {"path: /users", "path: /users/{.id", `a brace is not closed`},
		"nothing":             {"accounts: {id: .id, username: .name, enabled: .active, last_login_at: .last}", "", `makes nothing of its rows`},
		"twice":               {"error: .error", "error: .error\nerror: .error", `stands already in line 5`},
		"two documents":       {"language: 1", "language: 1\n---\nlanguage: 1", `more than one YAML document`},
	} {
		t.Run(name, func(t *testing.T) {
			text := strings.Replace(tiny, c.from, c.to, 1)
			_, err := Parse("x.yaml", []byte(text))
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("error %v\nwant %s", err, c.want)
			}
		})
	}
	_, err := Parse("x.yaml", []byte(strings.NewReplacer("username", "user_name", "type: next", "type: nxt", "language: 1", "language: 9").Replace(tiny)))
	for _, want := range []string{"user_name", "nxt", "is 9"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v, want it to name %s", err, want)
		}
	}
}

func TestConfigFaults(t *testing.T) {
	for text, want := range map[string]string{
		"recipe: oktta\nauth: {token: env:T}":                                     `recipe: there is no "oktta": did you mean "okta"?`,
		"recipe: okta\nauth: {token: env:T}":                                      `url: is missing`,
		"recipe: okta\nurl: http://acme.okta.com\nauth: {token: env:T}":           `is not https`,
		"recipe: okta\nurl: https://a:b@acme.okta.com\nauth: {token: env:T}":      `holds credentials`,
		"recipe: okta\nurl: https://acme.okta.com":                                `auth.token: is missing for ssws: an API token`,
		"recipe: okta\nurl: https://acme.okta.com\nauth: {type: basic}":           `doesn't sign in by "basic"`,
		"recipe: github\nauth: {token: env:T}":                                    `params: org is missing: the organisation's login`,
		"recipe: github\nparams: {org: a, ogr: b}\nauth: {token: env:T}":          `the recipe knows no "ogr": did you mean "org"?`,
		"recipe: github\nparams: {org: a}\nauth: {token: env:T}\nshare: 200%":     `share: 200% is not between`,
		"recipe: github\nparams: {org: a}\nauth: {token: env:T}\nconcurrency: 65": `concurrency: 65 is not between`,
		"recipe: ./none.yaml": `no such file`,
		"{}":                  `recipe: is missing: name a shipped one`,
		"recipe: github\nparams: {org: a}\nauth: {token: env:T}\nproxy: 'no address'": `proxy: is no address`,
	} {
		_, err := New(config(t, text), Options{Base: t.TempDir(), UID: "app"})
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s\nerror %v\nwant %s", text, err, want)
		}
	}
}

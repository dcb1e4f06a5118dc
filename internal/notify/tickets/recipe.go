package tickets

import (
	"context"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path"
	"slices"
	"strings"

	"github.com/itchyny/gojq"
	"go.yaml.in/yaml/v3"

	"github.com/lapse-audit/lapse/internal/strict"
)

// Recipe says how a system of tickets is spoken to. Its expressions are jq. They see a finding as their input (document in
// tickets.go has its fields), and $params, $id of the ticket, $text that is to be said, and $got, the answers by the names of
// their steps. The input of a result is the last answer.
type Recipe struct {
	// What it is for, and which of the vendor's documents it follows.
	About  string           `yaml:"about"`
	Params map[string]Param `yaml:"params"`
	// The open ticket of a finding: its id, or null.
	Find Operation `yaml:"find"`
	// A new ticket: its id.
	Create Operation `yaml:"create"`
	// Whether $text stands in a ticket already. Without it something may be said twice.
	Said Operation `yaml:"said"`
	// Says $text in a ticket.
	Say Operation `yaml:"say"`
	// Closes a ticket whose finding is settled, unless it is closed. Without it the ticket is only written into.
	Close Operation `yaml:"close"`
	// Whether a ticket is closed as done, and not given up. Without it closing a ticket proves nothing.
	Done Operation `yaml:"done"`
}

// Param is what lapse.yaml has to say for a recipe.
type Param struct {
	About   string `yaml:"about"`
	Default string `yaml:"default"` // "": it has to be given
}

// Operation is some requests, one after the other, and what comes of them.
type Operation struct {
	Do     []*Step `yaml:"do"`
	Result Expr    `yaml:"result"`
}

// Step is one request.
type Step struct {
	As     string `yaml:"as"`     // what its answer is called in $got
	When   Expr   `yaml:"when"`   // whether it is made
	Method string `yaml:"method"` // GET (the default), POST, PUT or PATCH
	Path   Expr   `yaml:"path"`   // below the address; values are escaped with @uri
	Query  Expr   `yaml:"query"`  // an object
	Body   Expr   `yaml:"body"`   // sent as JSON
	Reads  bool   `yaml:"reads"`  // it changes nothing, whatever its method
}

// Expr is a jq expression. It can't read files, the environment or the time of day.
type Expr struct {
	text string
	line int
	code *gojq.Code
}

var variables = []string{"$params", "$id", "$text", "$got"}

// UnmarshalYAML implements yaml.Unmarshaler.
func (e *Expr) UnmarshalYAML(n *yaml.Node) error {
	fault := func(format string, args ...any) error {
		return &strict.Error{Line: n.Line, Column: n.Column, Reason: fmt.Sprintf(format, args...)}
	}
	if n.Kind != yaml.ScalarNode {
		return fault("want a jq expression: quote one that begins with a brace, a bracket or a quote")
	}
	query, err := gojq.Parse(n.Value)
	if err != nil {
		return fault("jq: %v", err)
	}
	code, err := gojq.Compile(query, gojq.WithVariables(variables))
	if err != nil {
		return fault("jq: %v", err)
	}
	*e = Expr{n.Value, n.Line, code}
	return nil
}

func (e *Expr) set() bool { return e.code != nil }

// eval gives the first output, nil where there is none.
func (e *Expr) eval(ctx context.Context, input any, vars scope) (any, error) {
	out, ok := e.code.RunWithContext(ctx, input, vars.params, vars.id, vars.text, vars.got).Next()
	if !ok {
		return nil, nil
	}
	if err, bad := out.(error); bad {
		return nil, fmt.Errorf("line %d of the recipe: jq: %.200s", e.line, err.Error())
	}
	return out, nil
}

// scope is what expressions see beside their input.
type scope struct {
	params map[string]any
	id     string
	text   string
	got    map[string]any
}

//go:embed recipes/*.yaml
var builtin embed.FS

// Names are the recipes that come with Lapse.
func Names() []string {
	files, err := fs.Glob(builtin, "recipes/*.yaml")
	if err != nil {
		return nil
	}
	for i, f := range files {
		files[i] = strings.TrimSuffix(path.Base(f), ".yaml")
	}
	return files
}

// LoadRecipe reads one by its name, or a file.
func LoadRecipe(name string) (*Recipe, error) {
	var data []byte
	var err error
	if slices.Contains(Names(), name) {
		data, err = builtin.ReadFile("recipes/" + name + ".yaml")
	} else if data, err = os.ReadFile(name); errors.Is(err, fs.ErrNotExist) {
		err = fmt.Errorf("%w: want one of %s, or a file", err, strings.Join(Names(), ", "))
	}
	if err != nil {
		return nil, err
	}
	return parseRecipe(name, data)
}

func parseRecipe(name string, data []byte) (*Recipe, error) {
	var doc yaml.Node
	if err := yaml.Unmarshal(data, &doc); err != nil {
		return nil, fmt.Errorf("%s: %s", name, strings.TrimPrefix(err.Error(), "yaml: "))
	}
	if len(doc.Content) != 1 {
		return nil, fmt.Errorf("%s: it is empty", name)
	}
	var r Recipe
	if err := strict.Decode(name, doc.Content[0], "", &r); err != nil {
		return nil, err
	}
	return &r, r.validate(name)
}

func (r *Recipe) validate(name string) error {
	var errs []error
	for _, o := range []struct {
		name   string
		op     Operation
		needed bool
		result bool
	}{{"find", r.Find, true, true}, {"create", r.Create, true, true}, {"said", r.Said, false, true}, {"say", r.Say, true, false}, {"close", r.Close, false, false}, {"done", r.Done, false, true}} {
		if len(o.op.Do) == 0 {
			if o.needed {
				errs = append(errs, fmt.Errorf("%s: %s is missing", name, o.name))
			}
			continue
		}
		if o.result != o.op.Result.set() {
			errs = append(errs, fmt.Errorf("%s: %s: result: want one where something is asked for, and only there", name, o.name))
		}
		for i, s := range o.op.Do {
			if !s.Path.set() {
				errs = append(errs, fmt.Errorf("%s: %s: step %d: path is missing", name, o.name, i+1))
			}
			if !slices.Contains([]string{"", "GET", "POST", "PUT", "PATCH"}, s.Method) {
				errs = append(errs, fmt.Errorf("%s: %s: step %d: method %q: want GET, POST, PUT or PATCH", name, o.name, i+1, s.Method))
			}
		}
	}
	return errors.Join(errs...)
}

// fill gives each parameter its value.
func (r *Recipe) fill(given map[string]string) (map[string]any, error) {
	var errs []error
	out := map[string]any{}
	for _, name := range slices.Sorted(maps.Keys(r.Params)) {
		p := r.Params[name]
		if out[name] = p.Default; given[name] != "" {
			out[name] = given[name]
		} else if p.Default == "" {
			errs = append(errs, fmt.Errorf("notify.tickets.params.%s is missing: %s", name, p.About))
		}
	}
	for _, name := range slices.Sorted(maps.Keys(given)) {
		if _, ok := r.Params[name]; !ok {
			errs = append(errs, fmt.Errorf("notify.tickets.params.%s: the recipe has no such parameter: it has %s", name, strings.Join(slices.Sorted(maps.Keys(r.Params)), ", ")))
		}
	}
	return out, errors.Join(errs...)
}

package cli

import (
	"encoding/json"
	"fmt"
	"maps"
	"path/filepath"
	"reflect"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"go.yaml.in/yaml/v3"

	"github.com/lapse-audit/lapse/internal/access"
	"github.com/lapse-audit/lapse/internal/app"
	"github.com/lapse-audit/lapse/internal/collect"
)

func newSource(g *global) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "source",
		Short: "Add a source to lapse.yaml, list the recipes for apps, and test one on recorded traffic",
	}
	cmd.AddCommand(newSourceAdd(g), newSourceList(g), newSourceTest(g), newSourceSchema(g))
	return cmd
}

func newSourceList(g *global) *cobra.Command {
	return &cobra.Command{
		Use:   "list",
		Short: "List what can be read and changed: the types of source, and the recipes that are shipped for apps with a REST API",
		RunE: func(*cobra.Command, []string) error {
			a, err := g.openOrDefault()
			if err != nil {
				return err
			}
			defer a.Close()
			recipes, err := a.Recipes()
			if err != nil {
				return err
			}
			l := list{columns: []string{"source", "app", "gives", "changes", "auth", "must be told"}}
			for _, t := range app.SourceTypes() {
				l.add(t, t.Name, t.About, strings.Join(t.Gives, " "), "", strings.Join(t.Auth, " "), strings.Join(t.Required, " "))
			}
			for _, r := range recipes {
				needs := r.Required
				if r.NeedsURL {
					needs = append([]string{"url"}, needs...)
				}
				l.add(r, r.Name, r.App, strings.Join(r.Gives, " "), strings.Join(slices.Sorted(maps.Keys(r.Changes)), " "), strings.Join(r.Auth, " "), strings.Join(needs, " "))
			}
			return l.print(g.sys.Stdout, g.format, "No recipe is shipped.")
		},
	}
}

func newSourceSchema(g *global) *cobra.Command {
	return &cobra.Command{
		Use:   "schema",
		Short: "Print the JSON Schema of recipes, for an editor",
		RunE: func(*cobra.Command, []string) error {
			a, err := g.openOrDefault()
			if err != nil {
				return err
			}
			defer a.Close()
			_, err = g.sys.Stdout.Write(a.RecipeSchema())
			return err
		},
	}
}

func newSourceTest(g *global) *cobra.Command {
	o := sourceTestOptions{global: g}
	cmd := &cobra.Command{
		Use:   "test RECIPE --replay DIR",
		Short: "Run a recipe on recorded traffic: what it would read, how far each signal is covered, what is rejected",
		Long: `Run a recipe, a shipped one by its name or a file of your own by its path, on recorded traffic. No app is touched and
nothing is kept.

The folder holds files of two kinds. A file *.http holds exchanges, parted by lines that begin with ###: a request line,
an empty line, and the answer as "curl -i" prints it:

    ### the first page
    GET /api/v1/users?limit=200

    HTTP/1.1 200 OK
    Link: <https://acme.okta.com/api/v1/users?after=00u2&limit=200>; rel="next"

    [{"id": "00u1"}]

Headers and a body to compare with may stand below the request line; a parameter * stands for any value. A file *.yaml is a cassette
of VCR. Of several exchanges for one request each answers once, in order. A request that nobody recorded is an error.

Exit codes: 0 read as a whole, 1 error, 4 read, with rows that were rejected.`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error { return o.run(cmd, args[0]) },
	}
	f := cmd.Flags()
	f.StringVar(&o.replay, "replay", "", "folder with the recorded traffic")
	f.StringVar(&o.url, "url", "", "where the app is, where the recipe doesn't say")
	f.StringArrayVar(&o.params, "param", nil, "a param of the recipe, NAME=VALUE, its value in YAML; may be repeated")
	f.StringArrayVar(&o.only, "only", nil, "a request of the recipe; the others are not made; may be repeated")
	f.IntVar(&o.records, "records", 0, "how many records of each kind to print")
	return cmd
}

type sourceTestOptions struct {
	*global
	replay  string
	url     string
	params  []string
	only    []string
	records int
}

// sourceTestJSON is what the test found, as the command line prints it.
type sourceTestJSON struct {
	Counts     map[collect.Kind]int64     `json:"counts"`
	Coverage   map[string]access.Coverage `json:"coverage"`
	Signals    map[string]collect.Signal  `json:"signals"`
	Notes      []string                   `json:"notes"`
	Rejected   int64                      `json:"rejected"`
	Rejections []string                   `json:"rejections"`
	Gaps       []string                   `json:"gaps"`
	Records    []access.Record            `json:"records,omitempty"`
	Error      string                     `json:"error,omitempty"`
}

func (o *sourceTestOptions) run(cmd *cobra.Command, recipe string) error {
	if o.replay == "" {
		return usagef("--replay is missing: the folder with the recorded traffic")
	}
	params := map[string]any{}
	for _, p := range o.params {
		name, text, ok := strings.Cut(p, "=")
		var v any
		if !ok || yaml.Unmarshal([]byte(text), &v) != nil {
			return usagef("--param %q: want NAME=VALUE", p)
		}
		params[name] = v
	}
	base, err := filepath.Abs(".")
	if err != nil {
		return err
	}
	a, err := o.openOrDefault()
	if err != nil {
		return err
	}
	defer a.Close()
	res, records, failed := a.TestRecipe(cmd.Context(), app.Replay{Recipe: recipe, Dir: o.replay, URL: o.url, Params: params, Only: o.only, Base: base}, o.records)
	if res.Counts == nil { // it could not begin
		return failed
	}
	if err := o.print(res, records, failed); err != nil {
		return err
	}
	switch {
	case failed != nil:
		return failed
	case res.Rejected > 0:
		return exit{exitIncomplete}
	}
	return nil
}

func (o *sourceTestOptions) print(res collect.Result, records []access.Record, failed error) error {
	out := sourceTestJSON{Counts: res.Counts, Coverage: res.Provenance.Coverage, Signals: res.Signals, Notes: res.Provenance.Notes, Rejected: res.Rejected, Records: records}
	for _, r := range res.Rejections {
		out.Rejections = append(out.Rejections, r.String())
	}
	for _, g := range res.Gaps {
		out.Gaps = append(out.Gaps, g.String())
	}
	if failed != nil {
		out.Error = failed.Error()
	}
	if o.format == "json" {
		return printJSON(o.sys.Stdout, out)
	}
	l := list{columns: []string{"what", "name", "value"}}
	for _, k := range collect.Kinds() {
		if n, ok := res.Counts[k]; ok {
			l.add(nil, "count", string(k), fmt.Sprint(n))
		}
	}
	for _, name := range slices.Sorted(maps.Keys(out.Coverage)) {
		value := string(out.Coverage[name])
		if s, ok := out.Signals[name]; ok && s.Of > 0 {
			value = fmt.Sprintf("%s (%d of %d)", value, s.Have, s.Of)
		}
		l.add(nil, "coverage", name, value)
	}
	for _, text := range out.Notes {
		l.add(nil, "note", "", text)
	}
	for _, text := range out.Rejections {
		l.add(nil, "rejected", "", text)
	}
	for _, text := range out.Gaps {
		l.add(nil, "gap", "", text)
	}
	for _, r := range records {
		l.add(nil, "record", string(collect.KindOf(r)), describeRecord(r))
	}
	return l.print(o.sys.Stdout, o.format, "Nothing was read.")
}

// describeRecord writes the fields that a record has.
func describeRecord(r access.Record) string {
	v := reflect.ValueOf(r)
	var parts []string
	for i := range v.NumField() {
		if f := v.Field(i); !f.IsZero() {
			text, err := json.Marshal(f.Interface())
			if err != nil { // a record holds nothing that JSON can't
				panic(err)
			}
			parts = append(parts, v.Type().Field(i).Name+"="+string(text))
		}
	}
	return strings.Join(parts, " ")
}

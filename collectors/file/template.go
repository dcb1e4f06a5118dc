package file

import (
	"embed"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/lapse-audit/lapse/internal/access"
	"github.com/lapse-audit/lapse/internal/collect"
	"github.com/lapse-audit/lapse/internal/strict"
)

//go:embed templates/*.yaml
var templates embed.FS

// Template is the mapping of an export that a vendor's product makes.
type Template struct {
	Title string `yaml:"title"` // where the export is made
	// Documents of the vendor that it follows.
	Documents strict.Texts `yaml:"documents"`
	// Notes say what the export doesn't give.
	Notes    strict.Texts               `yaml:"notes"`
	Files    Files                      `yaml:"files"`
	Coverage map[string]access.Coverage `yaml:"coverage"`
}

// Templates lists the names of the templates there are.
func Templates() []string {
	entries, err := templates.ReadDir("templates")
	if err != nil { // it is embedded
		panic(err)
	}
	var out []string
	for _, e := range entries {
		out = append(out, strings.TrimSuffix(e.Name(), ".yaml"))
	}
	return out
}

// LoadTemplate reads a template.
func LoadTemplate(name string) (Template, error) {
	var t Template
	data, err := templates.ReadFile("templates/" + name + ".yaml")
	if err != nil {
		return t, fmt.Errorf("template: there is no %q%s", name, suggest(name, Templates()))
	}
	var doc yaml.Node
	if err := yaml.Unmarshal(data, &doc); err != nil {
		return t, fmt.Errorf("template %s: %w", name, err)
	}
	return t, strict.Decode(name+".yaml", doc.Content[0], "", &t)
}

// templated is the configuration laid over its template: field by field, so that an export that differs in one column is
// told by one line. A column that the template names and the file lacks is left out, unless the records need it.
func (c Config) templated() (Config, error) {
	if c.Template == "" {
		if len(c.Path) > 0 || c.Take != "" {
			return c, errors.New("path, take: go with a template; name the file of each table under files")
		}
		return c, nil
	}
	t, err := LoadTemplate(c.Template)
	if err != nil {
		return c, err
	}
	c.notes = t.Notes
	own := c.Files
	for _, k := range []struct {
		mine **Table
		base *Table
	}{
		{&own.People, t.Files.People}, {&own.Accounts, t.Files.Accounts}, {&own.Entitlements, t.Files.Entitlements}, {&own.Grants, t.Files.Grants},
		{&own.Licenses, t.Files.Licenses}, {&own.Seats, t.Files.Seats}, {&own.Usage, t.Files.Usage},
	} {
		if k.base == nil {
			continue
		}
		over := Table{}
		if *k.mine != nil {
			over = **k.mine
		}
		merged := over.over(*k.base)
		if len(merged.Path) == 0 {
			merged.Path = c.Path
		}
		*k.mine = &merged
	}
	c.Files = own
	coverage := maps.Clone(t.Coverage)
	for name, v := range c.Coverage {
		if coverage == nil {
			coverage = map[string]access.Coverage{}
		}
		coverage[name] = v
	}
	c.Coverage = coverage
	c.Files.each(func(_ collect.Kind, table *Table) {
		if table.Take == "" && len(table.Path) > 0 && slices.Equal(table.Path, c.Path) {
			table.Take = c.Take
		}
	})
	return c, nil
}

// over is the table with what it doesn't say taken from base.
func (t Table) over(base Table) Table {
	out := t
	out.optional = map[string]bool{}
	out.Columns = map[string]strict.Texts{}
	for field, columns := range base.Columns {
		if _, fixed := t.Constant[field]; fixed {
			continue
		}
		if own, ok := t.Columns[field]; ok && len(own) == 0 { // the export has no such column
			continue
		}
		out.Columns[field], out.optional[field] = columns, true
	}
	for field, columns := range t.Columns {
		if len(columns) > 0 {
			out.Columns[field] = columns
			delete(out.optional, field)
		}
	}
	out.Constant = laid(base.Constant, t.Constant)
	for field := range t.Columns {
		if _, own := t.Constant[field]; !own {
			delete(out.Constant, field)
		}
	}
	out.Values = laid(base.Values, t.Values)
	out.Dates = laid(base.Dates, t.Dates)
	out.Where = laid(base.Where, t.Where)
	out.Attributes = laid(base.Attributes, t.Attributes)
	out.Split = laid(base.Split, t.Split)
	if out.Never == nil {
		out.Never = base.Never
	}
	out.AllowEmpty = t.AllowEmpty || base.AllowEmpty
	return out
}

func laid[M ~map[K]V, K comparable, V any](base, over M) M {
	if len(base)+len(over) == 0 {
		return nil
	}
	out := maps.Clone(base)
	if out == nil {
		out = M{}
	}
	maps.Copy(out, over)
	return out
}

package rest

import (
	"embed"
	"errors"
	"fmt"
	"os"
	"path"
	"slices"
	"strings"
)

//go:embed recipes/*.yaml
var shipped embed.FS

//go:embed recipe.schema.json
var schema []byte

// Schema is the JSON Schema of recipes: what Parse takes, as far as a schema can say it.
func Schema() []byte { return schema }

// Names lists the recipes that are shipped, in alphabetical order.
func Names() []string {
	entries, err := shipped.ReadDir("recipes")
	if err != nil { // it is embedded
		panic(err)
	}
	var out []string
	for _, e := range entries {
		out = append(out, strings.TrimSuffix(e.Name(), ".yaml"))
	}
	slices.Sort(out)
	return out
}

// Load reads a shipped recipe by its name, or a file by its path: one that ends in .yaml or .yml, relative to base.
func Load(name, base string) (*Parsed, error) {
	switch {
	case name == "":
		return nil, errors.New("recipe: is missing: name a shipped one (" + strings.Join(Names(), ", ") + ") or a file of your own (./my-app.yaml)")
	case strings.HasSuffix(name, ".yaml") || strings.HasSuffix(name, ".yml"):
		data, err := os.ReadFile(join(base, name))
		if err != nil {
			return nil, fmt.Errorf("recipe: %w", err)
		}
		return Parse(name, data)
	case !slices.Contains(Names(), name):
		return nil, fmt.Errorf("recipe: there is no %q%s; a file of your own ends in .yaml", name, near(name, Names()))
	}
	file := path.Join("recipes", name+".yaml")
	data, err := shipped.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("recipe: %w", err)
	}
	return Parse(file, data)
}

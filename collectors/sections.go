package collectors

import (
	"embed"
	"fmt"
	"slices"
	"strings"

	"github.com/lapse-audit/lapse/collectors/rest"
	"github.com/lapse-audit/lapse/collectors/sql"
	"github.com/lapse-audit/lapse/internal/spell"
)

//go:embed sections/*.yaml
var sections embed.FS

// Blank stands in a section where a value has to be filled in.
const Blank = "FILL-IN"

// Sections lists what Section knows: the types, the recipes and the presets of databases.
func Sections() []string {
	var out []string
	for _, t := range All() {
		if t.Name != "rest" { // which is nothing without a recipe
			out = append(out, t.Name)
		}
	}
	out = append(out, rest.Names()...)
	return append(out, sql.Presets()...)
}

// Section is the section of lapse.yaml of a new source, with comments: one element of sources, without indentation. what is
// one of Sections, or the path of a recipe relative to base. The section is whole but for the blanks.
func Section(what, uid, base string) (string, error) {
	var b strings.Builder
	head := func(name, kind string) {
		fmt.Fprintf(&b, "- %-38s # permanent: findings and history hang on it\n  name: %s\n  type: %s\n", "uid: "+uid, name, kind)
	}
	isRecipe := slices.Contains(rest.Names(), what) || strings.HasSuffix(what, ".yaml") || strings.HasSuffix(what, ".yml")
	switch {
	case isRecipe:
		r, err := rest.Load(what, base)
		if err != nil {
			return "", err
		}
		if r.About != "" {
			fmt.Fprintf(&b, "# %s\n", strings.Join(strings.Fields(r.About), " "))
		}
		head(fmt.Sprintf("%q", r.Name), "rest")
		b.WriteString(r.Section(what, uid, Blank))
	case slices.Contains(sql.Presets(), what):
		head(uid, "sql")
		b.WriteString(fill("sql", uid, sql.Scheme(what), fmt.Sprintf("preset: %-30s # the logins and rights of the server itself", what)))
	case slices.Contains(Sections(), what):
		head(uid, what)
		b.WriteString(fill(what, uid, "postgres", "queries: {accounts: \"SELECT id, login AS username, active AS enabled FROM users\"}"))
	case what == "rest":
		return "", fmt.Errorf("source add: a source of type rest is read by a recipe: name it, one of %s, or a file of your own (./my-app.yaml)", strings.Join(rest.Names(), ", "))
	default:
		hint := ": there are " + strings.Join(Sections(), ", ") + ", and recipes of your own (./my-app.yaml)"
		if near := spell.Nearest(what, Sections()); near != "" {
			hint = fmt.Sprintf(": did you mean %q?", near)
		}
		return "", fmt.Errorf("source add: there is no %q%s", what, hint)
	}
	if !strings.Contains(b.String(), "\n  roster:") { // which is one itself
		b.WriteString("  # links: {employee_id: [hr]}           # the app carries the employee ids of that roster\n")
	}
	b.WriteString("  # guard: {min_records: 50}             # the least number of accounts, or of people, that can be right\n")
	return b.String(), nil
}

// fill puts what differs into a section that is kept as a file.
func fill(name, uid, scheme, preset string) string {
	text, err := sections.ReadFile("sections/" + name + ".yaml")
	if err != nil { // it is embedded
		panic(err)
	}
	env := strings.ToUpper(strings.NewReplacer("-", "_", ".", "_").Replace(uid))
	return strings.NewReplacer("env:UID_", "env:"+env+"_", "SCHEME", scheme, "PRESET", preset).Replace(string(text))
}

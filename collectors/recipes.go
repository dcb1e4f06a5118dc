package collectors

import (
	"fmt"
	"slices"

	"github.com/lapse-audit/lapse/collectors/rest"
	"github.com/lapse-audit/lapse/internal/collect"
)

// RecipeSummary is what there is to know of a recipe before it is used.
type RecipeSummary struct {
	Name      string              `json:"name"` // as lapse.yaml names it
	App       string              `json:"app"`
	About     string              `json:"about"`
	Gives     []string            `json:"gives"`           // kinds of record
	Changes   map[string][]string `json:"changes"`         // actions that it knows, and the rights that each needs
	Params    map[string]string   `json:"params"`          // what each is
	Required  []string            `json:"required"`        // params that must be given
	Auth      []string            `json:"auth"`            // ways to sign in, the usual one first
	Rights    []string            `json:"rights"`          // that all of it needs
	NeedsURL  bool                `json:"needs_url"`       // the source must say where the app is
	Documents []string            `json:"documents"`       // of the vendor
	Notes     map[string]string   `json:"notes,omitempty"` // on signals
}

// TypeSummary is what there is to know of a type of source that needs no recipe.
type TypeSummary struct {
	Name     string   `json:"name"` // as lapse.yaml names it
	About    string   `json:"about"`
	Gives    []string `json:"gives"` // kinds of record
	Auth     []string `json:"auth"`
	Required []string `json:"required"` // keys that must be given
}

// Types lists the types of source that need no recipe.
func Types() []TypeSummary {
	access := []string{"accounts", "entitlements", "grants"}
	all := append([]string{"people"}, append(slices.Clone(access), "licenses", "seats", "usage")...)
	return []TypeSummary{
		{"baton", "a .c1z file, the output of any ConductorOne connector", append(slices.Clone(access), "licenses", "seats"), nil, []string{"path"}},
		{"file", "exports in CSV, JSON, XLSX or YAML", all, nil, []string{"files"}},
		{"ldap", "Active Directory and LDAP, and LDIF files", append([]string{"people"}, access...), []string{"simple", "gssapi", "external", "anonymous"}, []string{"url"}},
		{"scim", "any app with SCIM 2.0", access, []string{"bearer", "basic"}, []string{"url"}},
		{"sql", "a database: its own logins, or an application's tables", all, []string{"password"}, []string{"url", "user"}},
	}
}

// Recipes lists the recipes that are shipped.
func Recipes() ([]RecipeSummary, error) {
	var out []RecipeSummary
	for _, name := range rest.Names() {
		r, err := rest.Load(name, "")
		if err != nil {
			return nil, err
		}
		s := RecipeSummary{Name: name, App: r.Name, About: r.About, Gives: r.Gives(), Changes: r.Actions(), Params: map[string]string{}, Rights: r.Rights(), NeedsURL: !r.URL.IsSet(),
			Documents: r.Documents, Notes: map[string]string{}}
		for param, p := range r.Params {
			s.Params[param] = p.About
			if p.Default == nil && !p.Optional {
				s.Required = append(s.Required, param)
			}
		}
		slices.Sort(s.Required)
		for _, a := range r.Auth {
			s.Auth = append(s.Auth, a.Type)
		}
		for signal, c := range r.Coverage {
			if c.Note != "" {
				s.Notes[signal] = c.Note
			}
		}
		out = append(out, s)
	}
	return out, nil
}

// RecipeSchema is the JSON Schema of recipes, for editors.
func RecipeSchema() []byte { return rest.Schema() }

// Replay says what of a recipe is run on what recorded traffic.
type Replay struct {
	Recipe string // a shipped name, or a file
	Dir    string // with the traffic
	URL    string // of the app, where the recipe doesn't say; by default the first that was recorded
	Params map[string]any
	Only   []string // requests at the top of the recipe; none means all
	Base   string   // folder that relative paths are relative to
}

// Collector returns a collector that reads the traffic and touches no network. It also reports whether the recipe gives
// people, whose dates are then read as last days in UTC.
func (r Replay) Collector() (c collect.Collector, roster bool, err error) {
	tape, err := rest.OpenReplay(r.Dir)
	if err != nil {
		return nil, false, err
	}
	recipe, err := rest.Load(r.Recipe, r.Base)
	if err != nil {
		return nil, false, err
	}
	conf := rest.Config{Recipe: r.Recipe, URL: r.URL, Params: r.Params}
	if conf.URL == "" && !recipe.URL.IsSet() {
		if conf.URL = tape.Host(); conf.URL == "" {
			conf.URL = "https://replay.example"
		}
	}
	for _, kind := range recipe.Gives() {
		roster = roster || kind == string(collect.People)
	}
	if roster {
		conf.Roster = &collect.Calendar{EndDate: collect.LastDay}
	}
	k, err := rest.New(conf, rest.Options{Base: r.Base, Roster: roster, UID: "replay", Transport: tape, Only: r.Only})
	if err != nil {
		return nil, false, fmt.Errorf("%s: %w", r.Recipe, err)
	}
	return k, roster, nil
}

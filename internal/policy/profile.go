package policy

import (
	"errors"
	"fmt"
	"maps"

	"go.yaml.in/yaml/v3"
)

// Profile turns rules on, beside those that are on by default, and sets their parameters.
type Profile struct {
	Name  string
	Title string

	enable []string
	params map[string]map[string]any
}

// Profiles are read from one file, by name.
type Profiles struct {
	file  string
	named map[string]Profile
}

// ReadProfiles reads a file of profiles. It knows no rules: Load refuses what a profile says of one that is not there.
func ReadProfiles(file string, text []byte) (Profiles, error) {
	out := Profiles{file: file, named: map[string]Profile{}}
	l := &loader{}
	d := &describer{loader: l, block: &block{file: file, text: text}}
	var doc yaml.Node
	if err := yaml.Unmarshal(text, &doc); err != nil || len(doc.Content) != 1 {
		return out, fmt.Errorf("%s: is not YAML: %w", file, err)
	}
	for name, n := range d.mapping(doc.Content[0], "the file", nil) {
		p := Profile{Name: name, params: map[string]map[string]any{}}
		keys := d.mapping(n, "profile "+name, []string{"title", "enable", "params"})
		p.Title = d.text(keys, "title")
		p.enable = d.texts(keys["enable"], "enable", func(*yaml.Node) {})
		for id, n := range d.mapping(keys["params"], "params", nil) {
			p.params[id] = d.params(n)
		}
		out.named[name] = p
	}
	if len(l.faults) > 0 {
		return out, l.err()
	}
	return out, nil
}

// Names lists the profiles.
func (p Profiles) Names() []string { return keys(p.named) }

// Overrides are what a profile changes; "" changes nothing. An unknown name is an error that names the nearest.
func (p Profiles) Overrides(name string) (map[string]Override, error) {
	out := map[string]Override{}
	if name == "" {
		return out, nil
	}
	profile, ok := p.named[name]
	if !ok {
		return nil, errors.New("there is no profile " + name + didYouMean(name, p.Names()))
	}
	on := true
	for _, id := range profile.enable {
		out[id] = Override{Enabled: &on, Place: p.file}
	}
	for id, params := range profile.params {
		o := out[id]
		o.Params, o.Place = params, p.file
		out[id] = o
	}
	return out, nil
}

// Over lays an override over another one: what it says itself stands, parameter by parameter.
func (o Override) Over(under Override) Override {
	if o.Enabled == nil {
		o.Enabled = under.Enabled
	}
	for _, f := range []struct{ over, under *string }{
		{&o.Severity, &under.Severity}, {&o.Action, &under.Action}, {&o.Assignee, &under.Assignee}, {&o.Data, &under.Data}, {&o.Place, &under.Place},
	} {
		if *f.over == "" {
			*f.over = *f.under
		}
	}
	params := map[string]any{}
	maps.Copy(params, under.Params)
	maps.Copy(params, o.Params)
	o.Params = params
	return o
}

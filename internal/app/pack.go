package app

import (
	"errors"
	"fmt"
	"slices"

	"github.com/lapse-audit/lapse/internal/config"
	"github.com/lapse-audit/lapse/internal/policy"
	"github.com/lapse-audit/lapse/policies"
)

// Pack loads the policies: the built-in ones and the configured folders, with the overrides of lapse.yaml.
func (a *App) Pack() (*policy.Pack, error) {
	if a.pack != nil {
		return a.pack, nil
	}
	overrides, err := a.overrides()
	if err != nil {
		return nil, err
	}
	p, err := policy.Load(policy.Options{Overrides: overrides}, a.policySources()...)
	if err != nil {
		return nil, err
	}
	a.pack = p
	return p, nil
}

// policySources are the built-in policies and the configured folders.
func (a *App) policySources() []policy.Source {
	out := []policy.Source{{Name: "policies", FS: policies.FS}}
	for _, folder := range a.Config.Policies.Folders {
		out = append(out, policy.Dir(a.Config.Path(folder)))
	}
	return out
}

// overrides are what lapse.yaml says of rules, laid over what its profile says.
func (a *App) overrides() (map[string]policy.Override, error) {
	c := a.Config.Policies
	profiles, err := policy.ReadProfiles("policies/profiles.yaml", policies.Profiles)
	if err != nil {
		return nil, err
	}
	out, err := profiles.Overrides(c.Profile.Name)
	if err != nil {
		return nil, &config.Error{File: a.Config.File, Line: c.Profile.Line, Column: c.Profile.Column, Path: "policies.profile", Reason: err.Error()}
	}
	for id, r := range c.Rules {
		o := policy.Override{Enabled: r.Enabled, Severity: r.Severity, Params: r.Params, Action: r.Action, Assignee: r.Assignee, Place: a.Config.File}
		if r.Data != "" {
			o.Data = a.Config.Path(r.Data)
		}
		out[id] = o.Over(out[id])
	}
	var errs []error
	for _, list := range []struct {
		ids []string
		on  bool
	}{{c.Enable, true}, {c.Disable, false}} {
		for _, id := range list.ids {
			if list.on && slices.Contains(c.Disable, id) {
				errs = append(errs, &config.Error{File: a.Config.File, Line: 1, Column: 1, Path: "policies", Reason: fmt.Sprintf("%s is both in enable and in disable", id)})
			}
			o := out[id]
			o.Enabled, o.Place = &list.on, a.Config.File
			out[id] = o
		}
	}
	return out, errors.Join(errs...)
}

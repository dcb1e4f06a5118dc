package app

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

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
	sources, err := a.policySources()
	if err != nil {
		return nil, err
	}
	p, err := policy.Load(policy.Options{Overrides: overrides}, sources...)
	if err != nil {
		return nil, err
	}
	a.pack = p
	return p, nil
}

// builtIn begins the file names of the policies that come with the program.
const builtIn = "built-in"

// policySources are the built-in policies, the configured folders and bundles, and the folders that were added. A folder is
// named as whoever reads a message finds it: from where the program was started.
func (a *App) policySources() ([]policy.Source, error) {
	out := []policy.Source{{Name: builtIn, FS: policies.FS, BuiltIn: true}}
	var errs []error
	for _, f := range a.policyFolders() {
		if info, err := os.Stat(f.path); err != nil || !info.IsDir() {
			errs = append(errs, fmt.Errorf("%s: policies.folders: %s is no folder: name one that holds .rego files", a.Config.File, f.name))
			continue
		}
		out = append(out, policy.Source{Name: f.name, FS: os.DirFS(f.path)})
	}
	for _, b := range a.Config.Policies.Bundles {
		key := policy.BundleKey{Algorithm: b.Algorithm, Scope: b.Scope}
		if b.Key != "" {
			pem, err := os.ReadFile(a.Config.Path(b.Key))
			if err != nil {
				errs = append(errs, fmt.Errorf("%s: policies.bundles: key of %s: %w", a.Config.File, b.Path, err))
				continue
			}
			key.PEM = string(pem)
		}
		source, err := policy.Bundle(a.display(b.Path), a.Config.Path(b.Path), key)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		out = append(out, source)
	}
	return out, errors.Join(errs...)
}

// display names a path of lapse.yaml as whoever started the program finds it.
func (a *App) display(p string) string {
	if !filepath.IsAbs(p) {
		p = filepath.Join(filepath.Dir(a.Config.File), p)
	}
	return filepath.ToSlash(p)
}

// folder is one that holds policies.
type folder struct{ name, path string }

func (a *App) policyFolders() []folder {
	var out []folder
	for _, f := range a.Config.Policies.Folders {
		out = append(out, folder{a.display(f), a.Config.Path(f)})
	}
	return append(out, a.added...)
}

// AddPolicies adds folders to those of lapse.yaml, before the first use of the policies. One that lies in a folder of
// lapse.yaml is there already. The names returned are how the files below them begin in messages.
func (a *App) AddPolicies(folders []string) ([]string, error) {
	var names []string
	for _, f := range folders {
		path, err := filepath.Abs(f)
		if err != nil {
			return nil, err
		}
		if info, err := os.Stat(path); err != nil || !info.IsDir() {
			return nil, fmt.Errorf("%s is no folder: name one that holds .rego files", f)
		}
		have := a.policyFolders()
		i := slices.IndexFunc(have, func(h folder) bool {
			rel, err := filepath.Rel(h.path, path)
			return err == nil && rel != ".." && !strings.HasPrefix(rel, ".."+string(filepath.Separator))
		})
		if i < 0 {
			name := filepath.ToSlash(filepath.Clean(f))
			a.added = append(a.added, folder{name, path})
			names = append(names, name)
			continue
		}
		rel, err := filepath.Rel(have[i].path, path)
		if err != nil {
			return nil, err
		}
		names = append(names, filepath.ToSlash(filepath.Join(have[i].name, rel)))
	}
	return names, nil
}

// CheckPolicies reports what is wrong with the policies, and what is likely not meant. An error means that they could not
// be read.
func (a *App) CheckPolicies() ([]policy.Problem, error) {
	overrides, err := a.overrides()
	if err != nil {
		return nil, err
	}
	sources, err := a.policySources()
	if err != nil {
		return nil, err
	}
	return policy.Check(policy.Options{Overrides: overrides}, sources...)
}

// Lanes says of every policy, enabled or not, how far the prefilter lane serves it, by subject and id.
func (a *App) Lanes(ctx context.Context) ([]policy.Coverage, error) {
	pack, err := a.Pack()
	if err != nil {
		return nil, err
	}
	var all []string
	for _, p := range pack.Policies() {
		all = append(all, p.ID)
	}
	engine, err := policy.NewEngine(ctx, pack, policy.EngineOptions{Time: a.Now(), Only: all})
	if err != nil {
		return nil, err
	}
	defer engine.Close(context.WithoutCancel(ctx))
	return engine.Coverage(ctx)
}

// IsBuiltIn reports whether a file of a policy comes with the program.
func IsBuiltIn(file string) bool { return strings.HasPrefix(file, builtIn+"/") }

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
	var errs []error
	for id, r := range c.Rules {
		o := policy.Override{Enabled: r.Enabled, Severity: r.Severity, Params: r.Params, Action: r.Action, Assignee: r.Assignee, Place: a.Config.File}
		if r.Data != "" {
			o.Data = a.Config.Path(r.Data)
		}
		for uid, s := range r.Sources {
			if !slices.ContainsFunc(a.Config.Sources, func(c config.Source) bool { return c.UID == uid }) {
				errs = append(errs, fmt.Errorf("%s: policies.rules.%s.sources: there is no source %q%s", a.Config.File, id, uid, a.nearSource(uid)))
				continue
			}
			if o.Sources == nil {
				o.Sources = map[string]policy.Override{}
			}
			o.Sources[uid] = policy.Override{Enabled: s.Enabled, Severity: s.Severity, Params: s.Params, Action: s.Action, Assignee: s.Assignee}
		}
		out[id] = o.Over(out[id])
	}
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

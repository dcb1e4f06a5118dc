package app

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/lapse-audit/lapse/collectors"
	"github.com/lapse-audit/lapse/internal/collect"
	"github.com/lapse-audit/lapse/internal/config"
	"github.com/lapse-audit/lapse/internal/scan"
	"github.com/lapse-audit/lapse/internal/spell"
)

// Sources builds the collectors of the named sources, or of all. It touches none of them. All faults are reported at
// once.
func (a *App) Sources(uids []string) ([]scan.Source, error) {
	var errs []error
	for _, uid := range uids {
		if !slices.ContainsFunc(a.Config.Sources, func(s config.Source) bool { return s.UID == uid }) {
			errs = append(errs, fmt.Errorf("%s: there is no source %q%s", a.Config.File, uid, a.nearSource(uid)))
		}
	}
	var out []scan.Source
	for _, s := range a.Config.Sources {
		if len(uids) > 0 && !slices.Contains(uids, s.UID) {
			continue
		}
		src, err := a.source(s)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		out = append(out, src)
	}
	return out, errors.Join(errs...)
}

func (a *App) source(s config.Source) (scan.Source, error) {
	var names []string
	for _, t := range collectors.All() {
		if t.Name != s.Type {
			names = append(names, t.Name)
			continue
		}
		c, err := t.New(s.Decode, a.env(s))
		if err == nil && s.HasHook() {
			_, err = collectors.Hook(s.DecodeHook, a.env(s))
		}
		if err == nil && s.Usage.IsSet() {
			c, err = collectors.WithUsage(c, s.Usage.Decode, a.env(s))
		}
		if err != nil {
			return scan.Source{}, a.placed(s, err)
		}
		return scan.Source{UID: s.UID, Name: s.Name, Type: s.Type, Roster: s.Roster, Directory: s.Directory,
			EmployeeIDs: s.Links.EmployeeID, Limits: s.Guard, Collector: c}, nil
	}
	return scan.Source{}, fmt.Errorf("%s:%d: sources[%s]: unknown type %q: there are %s", a.Config.File, s.Line, s.UID, s.Type, strings.Join(names, ", "))
}

func (a *App) env(s config.Source) collectors.Env {
	return collectors.Env{UID: s.UID, Roster: s.Roster, Base: a.Config.Dir, Now: a.Now, Secret: a.secret, Private: a.Config.PrivateDir()}
}

// Changer is what carries out changes in a source: its command where it has one, else what its type knows. It is closed
// with the App, and may be asked for from several goroutines. It touches nothing yet.
func (a *App) Changer(uid string) (collect.Changer, error) {
	a.opening.Lock()
	defer a.opening.Unlock()
	if c, ok := a.changers[uid]; ok {
		return c, nil
	}
	c, err := a.changer(uid)
	if err != nil {
		return nil, err
	}
	if a.changers == nil {
		a.changers = map[string]collect.Changer{}
	}
	a.changers[uid] = c
	a.closes = append(a.closes, c.Close)
	return c, nil
}

func (a *App) changer(uid string) (collect.Changer, error) {
	i := slices.IndexFunc(a.Config.Sources, func(s config.Source) bool { return s.UID == uid })
	if i < 0 {
		return nil, fmt.Errorf("%s: there is no source %q%s", a.Config.File, uid, a.nearSource(uid))
	}
	s := a.Config.Sources[i]
	if s.HasHook() {
		return collectors.Hook(s.DecodeHook, a.env(s))
	}
	s.Usage = config.List{} // which is read by somebody else than who changes
	src, err := a.source(s)
	if err != nil {
		return nil, err
	}
	return collectors.ChangerOf(src.Collector)
}

// secret resolves a reference of a source.
func (a *App) secret(ctx context.Context, s collect.Secret) (string, error) {
	return config.Secret{Secret: s}.Resolve(ctx, a.Config.Dir)
}

// placed puts the source before faults that don't name their own place.
func (a *App) placed(s config.Source, err error) error {
	var at *config.Error
	if errors.As(err, &at) {
		return err
	}
	if many, ok := err.(interface{ Unwrap() []error }); ok {
		var out []error
		for _, e := range many.Unwrap() {
			out = append(out, a.placed(s, e))
		}
		return errors.Join(out...)
	}
	return fmt.Errorf("%s:%d: sources[%s]: %w", a.Config.File, s.Line, s.UID, err)
}

func (a *App) nearSource(uid string) string {
	var names []string
	for _, s := range a.Config.Sources {
		names = append(names, s.UID)
	}
	if near := spell.Nearest(uid, names); near != "" {
		return fmt.Sprintf(": did you mean %q?", near)
	}
	if len(names) == 0 {
		return ": the file names none"
	}
	return ": there are " + strings.Join(names, ", ")
}

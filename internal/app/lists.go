package app

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/lapse-audit/lapse/collectors"
	"github.com/lapse-audit/lapse/internal/collect"
	"github.com/lapse-audit/lapse/internal/config"
	"github.com/lapse-audit/lapse/internal/spell"
	"github.com/lapse-audit/lapse/internal/store"
	"github.com/lapse-audit/lapse/reports"
)

// Contracts reads what lapse.yaml says that licenses cost.
func (a *App) Contracts(ctx context.Context) (collect.Contracts, error) {
	if !a.Config.Contracts.IsSet() {
		return collect.Contracts{}, nil
	}
	var list collectors.List
	if err := a.Config.Contracts.Decode(&list); err != nil {
		return collect.Contracts{}, err
	}
	out, err := collectors.ReadContracts(ctx, list, a.listEnv())
	errs := []error{a.listError(err)}
	for _, c := range out.List {
		errs = append(errs, a.knownSource("contracts", c.Place, c.Source))
	}
	return out, errors.Join(errs...)
}

// Inventory reads which apps the company has; nil where lapse.yaml doesn't say.
func (a *App) Inventory(ctx context.Context) ([]collectors.App, error) {
	if !a.Config.Inventory.IsSet() {
		return nil, nil
	}
	var list collectors.List
	if err := a.Config.Inventory.Decode(&list); err != nil {
		return nil, err
	}
	out, err := collectors.ReadApps(ctx, list, a.listEnv())
	errs := []error{a.listError(err)}
	for _, app := range out {
		errs = append(errs, a.knownSource("inventory", app.Place, app.Source))
	}
	return out, errors.Join(errs...)
}

func (a *App) listEnv() collectors.Env {
	return collectors.Env{UID: a.Config.File, Base: a.Config.Dir, Now: a.Now}
}

func (a *App) listError(err error) error {
	if err == nil || strings.Contains(err.Error(), a.Config.File) {
		return err
	}
	return fmt.Errorf("%s: %w", a.Config.File, err)
}

// knownSource refuses an item that names a source that there isn't.
func (a *App) knownSource(section, place, uid string) error {
	if uid == "" {
		return nil
	}
	for _, s := range a.Config.Sources {
		if s.UID == uid {
			return nil
		}
	}
	return fmt.Errorf("%s: %s: there is no source %q%s", section, place, uid, a.nearSource(uid))
}

// idle says which contracts are of no license in a run: a SKU that is misspelt would else be passed over in silence.
func (a *App) idle(ctx context.Context, contracts collect.Contracts, inputs []store.RunInput) ([]string, error) {
	skus := map[string][]string{} // by source
	for _, in := range inputs {
		if in.Snapshot == 0 {
			continue
		}
		skus[in.Source] = []string{}
		for l, err := range a.store.Licenses(ctx, in.Source, in.Snapshot) {
			if err != nil {
				return nil, err
			}
			skus[in.Source] = append(skus[in.Source], l.SKU)
		}
	}
	var out []string
	for _, c := range contracts.List {
		where, known := "any source", []string{}
		for uid, list := range skus {
			if c.Source == "" || c.Source == uid {
				known = append(known, list...)
			}
		}
		if c.Source != "" {
			if where = c.Source; skus[c.Source] == nil {
				continue // it wasn't read, and the report says so
			}
		}
		if hasFold(known, c.SKU) {
			continue
		}
		note := fmt.Sprintf("%s: nobody is known to hold a seat of %q in %s, so the contract says nothing", c.Place, c.SKU, where)
		if near := spell.Nearest(c.SKU, known); near != "" {
			note += fmt.Sprintf(": did you mean %q?", near)
		}
		out = append(out, note)
	}
	return out, nil
}

func hasFold(list []string, s string) bool {
	for _, e := range list {
		if strings.EqualFold(strings.TrimSpace(e), strings.TrimSpace(s)) {
			return true
		}
	}
	return false
}

// reportLists adds to the report what the lists say of the run. A list that can't be read by now is told of, and keeps
// nobody from the report of a run that is over.
func (a *App) reportLists(ctx context.Context, data *reports.Data) error {
	inputs, err := a.store.Inputs(ctx, data.Run.ID)
	if err != nil {
		return err
	}
	contracts, unread := a.Contracts(ctx)
	if unread != nil {
		data.Notes = append(data.Notes, unread.Error())
	} else if data.Notes, err = a.idle(ctx, contracts, inputs); err != nil {
		return err
	}
	apps, unread := a.Inventory(ctx)
	if unread != nil {
		data.Notes = append(data.Notes, unread.Error())
	}
	if unread != nil || apps == nil {
		return ctx.Err()
	}
	data.Inventory = &reports.Inventory{}
	for _, app := range apps {
		data.Inventory.Apps = append(data.Inventory.Apps, reports.App{Name: app.Name, Source: app.Source, Owner: app.Owner, Why: app.Why,
			PersonalData: app.PersonalData, Criticality: app.Criticality})
	}
	return nil
}

// checkLists reads the lists for the doctor.
func (a *App) checkLists(ctx context.Context, note func(what string, err error, detail string)) {
	if a.Config.Contracts.IsSet() {
		c, err := a.Contracts(ctx)
		note("contracts", err, fmt.Sprintf("%d contracts", len(c.List)))
	}
	if !a.Config.Inventory.IsSet() {
		return
	}
	apps, err := a.Inventory(ctx)
	open := 0
	for _, app := range apps {
		if app.Source == "" {
			open++
		}
	}
	note("inventory", err, fmt.Sprintf("%d apps, %d not connected", len(apps), open))
	for _, s := range a.unlisted(apps) {
		note("inventory", fmt.Errorf("%s is connected and not in the inventory", s.UID), "")
	}
}

// unlisted are the sources that no app of the inventory names.
func (a *App) unlisted(apps []collectors.App) []config.Source {
	listed := map[string]bool{}
	for _, app := range apps {
		listed[app.Source] = true
	}
	var out []config.Source
	for _, s := range a.Config.Sources {
		if !listed[s.UID] {
			out = append(out, s)
		}
	}
	return out
}

package app

import (
	"context"

	"github.com/lapse-audit/lapse/collectors"
	"github.com/lapse-audit/lapse/internal/access"
	"github.com/lapse-audit/lapse/internal/collect"
)

// Replay says what of a recipe is run on what recorded traffic.
type Replay = collectors.Replay

// SourceTypes lists the types of source that need no recipe.
func SourceTypes() []collectors.TypeSummary { return collectors.Types() }

// Recipes lists the recipes that are shipped.
func (a *App) Recipes() ([]collectors.RecipeSummary, error) { return collectors.Recipes() }

// Section is the section of lapse.yaml of a new source, with comments and with blanks to be filled in.
func Section(what, uid, base string) (string, error) { return collectors.Section(what, uid, base) }

// RecipeSchema is the JSON Schema of recipes.
func (a *App) RecipeSchema() []byte { return collectors.RecipeSchema() }

// TestRecipe runs a recipe on recorded traffic. It keeps nothing but the records, up to keep of each kind.
func (a *App) TestRecipe(ctx context.Context, r Replay, keep int) (collect.Result, []access.Record, error) {
	c, _, err := r.Collector()
	if err != nil {
		return collect.Result{}, nil, err
	}
	some := &sample{keep: keep, seen: map[collect.Kind]int{}}
	res, err := collect.Run(ctx, c, some, collect.Options{Limits: collect.Limits{MaxRejected: 1}, Now: a.Now()})
	return res, some.records, err
}

// sample keeps the first records of each kind.
type sample struct {
	keep    int
	seen    map[collect.Kind]int
	records []access.Record
}

func (s *sample) Put(r access.Record) error {
	kind := collect.KindOf(r)
	if s.seen[kind]++; s.seen[kind] <= s.keep {
		s.records = append(s.records, r)
	}
	return nil
}

func (s *sample) Reject(collect.Rejection) error { return nil }

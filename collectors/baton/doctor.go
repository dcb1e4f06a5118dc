package baton

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/lapse-audit/lapse/internal/collect"
)

// watch notices, while a file is read, what it holds of which type.
type watch struct {
	reading   *reading
	resources map[string]int // by type
	grants    map[string]int // by type of the principal
}

// Examine implements collect.Examiner.
func (k *Collector) Examine(ctx context.Context, out collect.Sink) (collect.Provenance, []collect.Advice, error) {
	w := &watch{resources: map[string]int{}, grants: map[string]int{}}
	c := *k
	c.watch = w
	prov, err := c.Collect(ctx, out)
	if w.reading == nil { // it could not begin
		return prov, nil, err
	}
	return prov, w.advice(), err
}

func (w *watch) advice() []collect.Advice {
	r := w.reading
	var out []collect.Advice
	note := func(what string, missing bool, format string, args ...any) {
		out = append(out, collect.Advice{What: what, Missing: missing, Detail: fmt.Sprintf(format, args...)})
	}
	if at := r.sync.began(); !at.IsZero() {
		note("sync", false, "%s began %s", r.sync.id, at.Format("2006-01-02 15:04 MST"))
	}
	users := false
	for _, id := range slices.Sorted(maps.Keys(w.resources)) {
		t := r.kinds[id]
		as := "a resource"
		if len(t.traits) > 0 {
			as = strings.Join(t.traits, ", ")
		}
		users = users || slices.Contains(t.traits, "user")
		note("type "+id, false, "%d, each %s; they hold %d grants", w.resources[id], as, w.grants[id])
	}
	if !users && len(r.held) > 0 {
		note("users", true, "no type of resource in the file is that of users: the connector has none, or was told to leave it out (--sync-resource-types)")
	}
	for _, name := range slices.Sorted(maps.Keys(r.wanted)) {
		if r.profiles[name] == 0 {
			note("profile "+name, true, "is named in fields: or attributes:, and no user's profile has it")
		}
	}
	return out
}

package reports

import (
	"cmp"
	"slices"
)

// Inventory is every app of the company, connected or not.
type Inventory struct{ Apps []App }

// App is one of them. Source is the uid of the input that it is read by, "" where it isn't connected; Why says why not.
type App struct {
	Name         string
	Source       string
	Owner        string
	Why          string
	PersonalData *bool
	Criticality  string // low, medium, high, critical; "" is unknown
}

var criticalities = []string{"low", "medium", "high", "critical"}

// Unconnected lists the apps of the inventory that nothing is known of, the most critical first and those that hold
// personal data before others.
func (r *Report) Unconnected() []App {
	if r.Inventory == nil {
		return nil
	}
	var out []App
	for _, a := range r.Inventory.Apps {
		if a.Source == "" {
			out = append(out, a)
		}
	}
	slices.SortStableFunc(out, func(a, b App) int {
		return cmp.Or(cmp.Compare(slices.Index(criticalities, b.Criticality), slices.Index(criticalities, a.Criticality)),
			cmp.Compare(truth(b.PersonalData), truth(a.PersonalData)))
	})
	return out
}

// Unlisted lists the inputs that no app of the inventory names.
func (r *Report) Unlisted() []Input {
	if r.Inventory == nil {
		return nil
	}
	return slices.DeleteFunc(slices.Clone(r.Inputs), func(in Input) bool {
		return slices.ContainsFunc(r.Inventory.Apps, func(a App) bool { return a.Source == in.UID })
	})
}

// About says in words what is known of an app that isn't connected.
func (a App) About() string {
	out := ""
	add := func(s string) {
		if out != "" {
			out += "; "
		}
		out += s
	}
	if a.Criticality != "" {
		add("criticality " + a.Criticality)
	}
	if truth(a.PersonalData) > 0 {
		add("holds personal data")
	}
	if a.Owner != "" {
		add("owner " + a.Owner)
	}
	if a.Why != "" {
		add(a.Why)
	}
	return out
}

// truth is 1 for true, 0 for unknown and -1 for false.
func truth(b *bool) int {
	switch {
	case b == nil:
		return 0
	case *b:
		return 1
	}
	return -1
}

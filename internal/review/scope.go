package review

import (
	"errors"
	"fmt"
	"path"
	"slices"
	"strings"

	"github.com/lapse-audit/lapse/internal/fold"
	"github.com/lapse-audit/lapse/internal/spell"
)

// Scope chooses grants. Values of one kind are alternatives; every kind that is given has to hold.
type Scope struct {
	All          bool // everything, written out so that a forgotten word can't ask about everything
	Sources      []string
	Entitlements []string // globs over the id or the name
	Tags         []string
	Departments  []string
	Managers     []string // keys of people
	Privileged   bool     // known to be, by the entitlement
}

var scopeWords = []string{"all", "source", "entitlement", "tag", "department", "manager", "privileged"}

// ParseScope reads terms such as source=crm, entitlement=Admin*, privileged.
func ParseScope(terms []string) (Scope, error) {
	var s Scope
	var errs []error
	for _, term := range terms {
		word, value, given := strings.Cut(strings.TrimSpace(term), "=")
		value = strings.TrimSpace(value)
		lists := map[string]*[]string{"source": &s.Sources, "entitlement": &s.Entitlements, "tag": &s.Tags, "department": &s.Departments, "manager": &s.Managers}
		flags := map[string]*bool{"all": &s.All, "privileged": &s.Privileged}
		switch {
		case flags[word] != nil && given:
			errs = append(errs, fmt.Errorf("%q: %s takes no value", term, word))
		case flags[word] != nil:
			*flags[word] = true
		case lists[word] != nil && value == "":
			errs = append(errs, fmt.Errorf("%q: write %s=VALUE", term, word))
		case lists[word] != nil:
			*lists[word] = append(*lists[word], value)
		default:
			near := ""
			if n := spell.Nearest(word, scopeWords); n != "" {
				near = fmt.Sprintf(": did you mean %q?", n)
			}
			errs = append(errs, fmt.Errorf("%q: want %s%s", term, strings.Join(scopeWords, ", "), near))
		}
	}
	for _, glob := range s.Entitlements {
		if _, err := path.Match(fold.Text(glob), ""); err != nil {
			errs = append(errs, fmt.Errorf("entitlement=%s: it is no pattern: * stands for any text, ? for one character", glob))
		}
	}
	if err := errors.Join(errs...); err != nil {
		return s, err
	}
	switch narrow := s.narrows(); {
	case s.All && narrow:
		return s, errors.New("all and something narrower exclude each other")
	case !s.All && !narrow:
		return s, errors.New("say what is reviewed: source=crm, entitlement=Admin*, tag=sox, department=Sales, manager=hr:1001, privileged, or all")
	}
	return s, nil
}

func (s Scope) narrows() bool {
	return s.Privileged || len(s.Sources)+len(s.Entitlements)+len(s.Tags)+len(s.Departments)+len(s.Managers) > 0
}

// String writes the scope as ParseScope reads it.
func (s Scope) String() string {
	var terms []string
	if s.All {
		terms = append(terms, "all")
	}
	for _, l := range []struct {
		word   string
		values []string
	}{{"source", s.Sources}, {"entitlement", s.Entitlements}, {"tag", s.Tags}, {"department", s.Departments}, {"manager", s.Managers}} {
		for _, v := range l.values {
			terms = append(terms, l.word+"="+v)
		}
	}
	if s.Privileged {
		terms = append(terms, "privileged")
	}
	return strings.Join(terms, ", ")
}

// Match says whether a grant is in the scope. What isn't known to be privileged is not taken for it.
func (s Scope) Match(g Grant) bool {
	if s.All {
		return true
	}
	among := func(list []string, values ...string) bool {
		return len(list) == 0 || slices.ContainsFunc(list, func(want string) bool {
			return slices.ContainsFunc(values, func(v string) bool { return fold.Text(v) == fold.Text(want) })
		})
	}
	named := len(s.Entitlements) == 0 || slices.ContainsFunc(s.Entitlements, func(glob string) bool {
		return matches(glob, g.Entitlement) || matches(glob, g.EntitlementName)
	})
	return named && (!s.Privileged || truth(g.Privileged)) && (len(s.Sources) == 0 || slices.Contains(s.Sources, g.Source)) && among(s.Tags, g.Tags...) &&
		among(s.Departments, g.Department) && (len(s.Managers) == 0 || slices.Contains(s.Managers, g.Manager))
}

// Unknown says why a grant that is not in the scope may belong there, "" if it doesn't: what decides it is not known.
func (s Scope) Unknown(g Grant) string {
	if s.Match(g) {
		return ""
	}
	var why []string
	rest := s
	if s.Privileged && g.Privileged == nil {
		rest.Privileged, why = false, append(why, "whether they are privileged")
	}
	if len(s.Departments)+len(s.Managers) > 0 && g.Person == "" {
		rest.Departments, rest.Managers, why = nil, nil, append(why, "whose they are")
	}
	if len(why) == 0 || !rest.Match(g) {
		return ""
	}
	return strings.Join(why, " and ")
}

// matches takes a slash for any other character: an id may be a path.
func matches(glob, text string) bool {
	plain := strings.NewReplacer("/", "\x01")
	ok, err := path.Match(plain.Replace(fold.Text(glob)), plain.Replace(fold.Text(text)))
	return err == nil && ok
}

func truth(b *bool) bool { return b != nil && *b }

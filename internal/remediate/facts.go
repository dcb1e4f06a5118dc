package remediate

import (
	"slices"
	"strings"
	"time"

	"github.com/lapse-audit/lapse/internal/access"
	"github.com/lapse-audit/lapse/internal/store"
)

// Facts are what is known of the objects that a plan is about: of each source what its last snapshot says, by uid.
type Facts map[string]*Source

// Source is one source, as far as plans go.
type Source struct {
	UID  string
	Name string
	// Authority is the uid of the source whose word counts for these accounts and groups; "" is this one.
	Authority string
	// Live says that objects can be read now, and Abilities what can be done to them. Cannot says why nothing can.
	Live      bool
	Abilities map[access.Action]access.Ability
	Cannot    error

	Status InputStatus
	Taken  time.Time
	AsOf   time.Time // zero: the source doesn't say
	Roster bool
	Total  uint64 // accounts

	Accounts     map[string]access.Account
	Links        map[string]access.Link
	Grants       map[string][]access.Grant // that accounts hold directly
	Nested       map[string][]string       // entitlements that an entitlement holds
	Entitlements map[string]access.Entitlement
	Seats        map[string][]access.Seat
}

// InputStatus says how good a source's snapshot is.
type InputStatus = store.InputStatus

// name of an entitlement, its id where it has none.
func (s *Source) name(entitlement string) string {
	if e, ok := s.Entitlements[entitlement]; ok && e.Name != "" {
		return e.Name
	}
	return entitlement
}

// reach are the entitlements that come with one, itself included.
func (s *Source) reach(entitlement string) map[string]bool {
	seen := map[string]bool{entitlement: true}
	for todo := []string{entitlement}; len(todo) > 0; {
		e := todo[len(todo)-1]
		todo = todo[:len(todo)-1]
		for _, next := range s.Nested[e] {
			if !seen[next] {
				seen[next] = true
				todo = append(todo, next)
			}
		}
	}
	return seen
}

// Privileged says whether an account is known to be privileged: by itself, by what it holds, or by the entitlement that a
// finding on it is about, "" for none.
func (s *Source) Privileged(account, entitlement string) bool {
	known := func(b *bool) bool { return b != nil && *b }
	if known(s.Accounts[account].Privileged) || entitlement != "" && known(s.Entitlements[entitlement].Privileged) {
		return true
	}
	for _, g := range s.Grants[account] {
		for e := range s.reach(g.EntitlementID) {
			if known(s.Entitlements[e].Privileged) {
				return true
			}
		}
	}
	return false
}

// causes are the direct grants of an account by which it holds an entitlement: all of them have to go.
func (s *Source) causes(account, entitlement string) []string {
	var out []string
	for _, g := range s.Grants[account] {
		if s.reach(g.EntitlementID)[entitlement] {
			out = append(out, g.EntitlementID)
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// loses names what goes with a direct grant: what the account does not hold by another one, too.
func (s *Source) loses(account, grant string) []string {
	kept := map[string]bool{}
	for _, g := range s.Grants[account] {
		if g.EntitlementID != grant {
			for e := range s.reach(g.EntitlementID) {
				kept[e] = true
			}
		}
	}
	var out []string
	for e := range s.reach(grant) {
		if !kept[e] {
			out = append(out, s.name(e))
		}
	}
	slices.Sort(out)
	return out
}

// rule says that nobody holds the entitlement by a grant that could be taken: who does is decided by a rule.
func (s *Source) rule(entitlement string) bool {
	e := s.Entitlements[entitlement]
	return strings.Contains(strings.ToLower(e.Kind), "dynamic") || e.Attributes["dynamic"] == "true"
}

// implicit says that everybody who has an account holds the entitlement: it goes with the account.
func (s *Source) implicit(entitlement string) bool {
	return s.Entitlements[entitlement].Attributes["implicit"] == "true"
}

func subjectName(a access.Account) string {
	for _, n := range []string{a.Username, a.Email, a.Name} {
		if n != "" {
			return n
		}
	}
	return a.ID
}

package collect

import (
	"slices"

	"github.com/lapse-audit/lapse/internal/access"
)

// Signal counts how far a source gives a signal: Have of Of records have it, Lacking of them ought to and don't. A
// person who works here lacks no end date, a human account lacks no owner.
type Signal struct {
	Have    int64 `json:"have"`
	Lacking int64 `json:"lacking"`
	Of      int64 `json:"of"`
}

// Coverage is none if no record has the signal, full if no record lacks it, else partial.
func (s Signal) Coverage() access.Coverage {
	switch {
	case s.Have == 0:
		return access.CoverageNone
	case s.Lacking == 0:
		return access.CoverageFull
	}
	return access.CoveragePartial
}

// signals tallies while records go by. A Usage row speaks for an account or a seat that may come before or after it, so
// uses are counted apart; rows are unique, so that none counts twice.
type signals struct {
	byName map[string]*Signal
	logins int64 // Usage rows of accounts themselves
	uses   int64 // Usage rows of seats
}

func (s *signals) count(name string, has, needs bool) {
	if s.byName == nil {
		s.byName = map[string]*Signal{}
	}
	n := s.byName[name]
	if n == nil {
		n = new(Signal)
		s.byName[name] = n
	}
	n.Of++
	switch {
	case has:
		n.Have++
	case needs:
		n.Lacking++
	}
}

func (s *signals) add(r access.Record) {
	switch r := r.(type) {
	case access.Person:
		s.count("status", r.Status != "", true)
		s.count("end_date", r.EndAt != nil, r.Status == access.PersonEnded)
		s.count("start_date", r.StartAt != nil, true)
		s.count("department", r.Department != "", true)
		s.count("manager", r.ManagerID != "", true)
	case access.Account:
		person := r.Kind == "" || r.Kind == access.KindHuman || r.Kind == access.KindGuest
		s.count("enabled", r.Enabled != nil, true)
		s.count("kind", r.Kind != "", true)
		s.count("email", r.Email != "", person)
		s.count("employee_id", r.EmployeeID != "", person)
		s.count("last_login", r.LastLoginAt != nil || truth(r.NeverLoggedIn), true)
		s.count("created", r.CreatedAt != nil, true)
		s.count("password", r.PasswordChangedAt != nil, true)
		s.count("mfa", r.MFA != nil, person)
		s.count("privileged", r.Privileged != nil, true)
		outside := r.Kind == access.KindGuest || truth(r.External)
		s.count("sponsor", r.Sponsor != "", outside)
		s.count("expiry", r.ExpiresAt != nil, outside)
		s.count("interactive_login", r.InteractiveLoginAt != nil, r.Kind == access.KindService)
		s.count("owner", r.OwnerID != "", r.Kind == access.KindService || r.Kind == access.KindShared)
	case access.Entitlement:
		s.count("entitlement_privileged", r.Privileged != nil, true)
		s.count("reviewed", r.ReviewedAt != nil, true)
	case access.Grant:
		s.count("approved", r.Approved != nil, r.HolderKind == access.HolderAccount)
	case access.Seat:
		s.count("last_used", r.LastUsedAt != nil || truth(r.NeverUsed), true)
	case access.Usage:
		known := r.LastUsedAt != nil || truth(r.NeverUsed)
		switch {
		case !known || r.EntitlementID != "":
		case r.SKU != "":
			s.uses++
		default:
			s.logins++
		}
	}
}

// measure returns the signals of the kinds that were read.
func (s *signals) measure(counts map[Kind]int64, reads []string) map[string]Signal {
	out := map[string]Signal{}
	for name, n := range s.byName {
		out[name] = *n
	}
	// How many records have the signal both ways is not known; the larger number is what certainly has it.
	widen := func(name string, uses int64) {
		n := out[name]
		if have := min(uses, n.Of); have > n.Have {
			out[name] = Signal{Have: have, Lacking: n.Of - have, Of: n.Of}
		}
	}
	widen("last_login", s.logins)
	widen("last_used", s.uses)
	for _, kind := range []Kind{Grants, Seats} {
		if len(reads) == 0 || !slices.Contains(reads, string(Accounts)) && !slices.Contains(reads, string(kind)) {
			continue // a roster
		}
		var n Signal
		if slices.Contains(reads, string(kind)) { // read: none of them is an answer, too
			n = Signal{Have: max(1, counts[kind]), Of: max(1, counts[kind])}
		}
		out[string(kind)] = n
	}
	return out
}

func truth(b *bool) bool { return b != nil && *b }

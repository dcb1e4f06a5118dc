package access

import (
	"errors"
	"slices"
	"strings"
	"time"
)

// Action is what a Change does to an object of a source.
type Action string

// The actions. All but delete are in use without being asked for.
const (
	// ActionDisable makes that the account can't sign in.
	ActionDisable Action = "disable"
	// ActionEndSessions ends what the account is signed in to now, its tokens included.
	ActionEndSessions Action = "end_sessions"
	// ActionResetPassword gives the account a password that nobody knows.
	ActionResetPassword Action = "reset_password"
	// ActionExpire makes that the account can't sign in after Until.
	ActionExpire Action = "expire"
	// ActionRevoke takes the entitlement from the object, which holds it directly.
	ActionRevoke Action = "revoke"
	// ActionReclaim takes the seat of SKU from the account.
	ActionReclaim Action = "reclaim"
	// ActionDisableKey makes Key of the account useless.
	ActionDisableKey Action = "disable_key"
	// ActionHandover gives To what the account owns in the source.
	ActionHandover Action = "handover"
	// ActionClearManager takes the manager from the account.
	ActionClearManager Action = "clear_manager"
	// ActionMove puts the account into the container To.
	ActionMove Action = "move"
	// ActionDelete deletes the account.
	ActionDelete Action = "delete"
)

// Actions lists the actions in the order in which they are carried out on one account: what would be out of reach after
// another one comes before it.
func Actions() []Action {
	return []Action{ActionHandover, ActionEndSessions, ActionDisable, ActionResetPassword, ActionExpire, ActionDisableKey, ActionRevoke, ActionReclaim,
		ActionClearManager, ActionMove, ActionDelete}
}

// Object is what a Change is made to: an account, or an entitlement that holds another one.
type Object struct {
	Kind HolderKind `json:"kind"`
	ID   string     `json:"id"`
}

// Change is one change to one object of one source. It names what is to be true afterwards, so that making it twice is
// the same as making it once.
type Change struct {
	Action      Action     `json:"action"`
	Object      Object     `json:"object"`
	Entitlement string     `json:"entitlement,omitempty"` // revoke: its id
	SKU         string     `json:"sku,omitempty"`         // reclaim
	Key         string     `json:"key,omitempty"`         // disable_key: its id
	Until       *time.Time `json:"until,omitempty"`       // expire
	To          string     `json:"to,omitempty"`          // handover: id of an account or name of an owner; move: a container
	// Note is a sentence that says when, by which plan and whom to call. A system that has a place for it keeps it on the
	// object; undoing takes it away.
	Note string `json:"note,omitempty"`
	// Undo puts back what the change has changed, and nothing else, to what it was in Before.
	Undo   bool  `json:"undo,omitempty"`
	Before *Live `json:"before,omitempty"`
}

// Live is what a source says of one object at one moment, read for itself and not with the rest of the source. A list
// that is nil was not read; an empty one is none.
type Live struct {
	At time.Time
	// Partial says that fields of the account which are absent here were not read, and may be what they were.
	Partial      bool
	Account      *Account
	Entitlement  *Entitlement  // of an Object of kind entitlement
	Grants       []Grant       // that the object holds directly
	Entitlements []Entitlement // that Grants name
	Seats        []Seat
	// Keep is what the source needs beside these to put the object back as it was: raw values, meant for nobody else. It
	// holds no secrets. Three keys mean the same everywhere: "move" is the container that the object is in, "clear_manager"
	// its manager, and "handover" the ids of what it owns.
	Keep map[string][]string
}

// Ability is how well a source carries out an action.
type Ability struct {
	Right    string // that the writing credential needs, in the system's own words
	Undo     bool   // whether it can be undone
	ReadBack bool   // whether the object shows that it was done
}

var (
	// ErrGone means that the source has no such object.
	ErrGone = errors.New("there is no such object")
	// ErrRefused means that the source said no, and has changed nothing.
	ErrRefused = errors.New("the source refused it")
	// ErrUnsure means that the change was sent and nobody knows what came of it: only reading can tell.
	ErrUnsure = errors.New("the outcome is unknown")
	// ErrCannot means that the source has no way to do it, or was given none.
	ErrCannot = errors.New("it can't be done here")
)

// Shows says whether what was read shows the change: done, not done, or that it can't be seen (known is false).
func (c Change) Shows(l Live) (done, known bool) {
	done, known = c.made(l)
	if c.Undo && known {
		return c.unmade(l, done)
	}
	return done, known
}

// unmade says whether an undone change is as it was before. What was true before the change is no part of undoing it.
func (c Change) unmade(l Live, made bool) (done, known bool) {
	if c.Before == nil {
		return false, false
	}
	switch was, known := c.made(*c.Before); {
	case !known:
		return false, false
	case was:
		return true, true
	}
	switch c.Action {
	case ActionExpire:
		return sameTime(l.Account.ExpiresAt, c.Before.Account.ExpiresAt), true
	case ActionMove, ActionClearManager:
		return slices.Equal(l.Keep[string(c.Action)], c.Before.Keep[string(c.Action)]), true
	}
	return !made, true
}

func (c Change) made(l Live) (done, known bool) {
	a := l.Account
	switch c.Action {
	case ActionDisable:
		if a == nil || a.Enabled == nil {
			return false, false
		}
		return !*a.Enabled, true
	case ActionEndSessions:
		if a == nil || a.ActiveSessions == nil {
			return false, false
		}
		return *a.ActiveSessions == 0, true
	case ActionExpire:
		if a == nil || c.Until == nil {
			return false, false
		}
		return a.ExpiresAt != nil && !a.ExpiresAt.After(*c.Until), true
	case ActionRevoke:
		if l.Grants == nil {
			return false, false
		}
		for _, g := range l.Grants {
			if g.EntitlementID == c.Entitlement {
				return false, true
			}
		}
		return true, true
	case ActionReclaim:
		if l.Seats == nil {
			return false, false
		}
		for _, s := range l.Seats {
			if s.SKU == c.SKU {
				return false, true
			}
		}
		return true, true
	case ActionDisableKey:
		return c.keyDisabled(a)
	case ActionClearManager, ActionMove, ActionHandover:
		v, ok := l.Keep[string(c.Action)]
		if !ok {
			return false, false
		}
		if c.Action == ActionMove {
			return len(v) == 1 && sameContainer(v[0], c.To), true
		}
		return len(v) == 0, true
	}
	return false, false
}

func (c Change) keyDisabled(a *Account) (done, known bool) {
	if a == nil || a.Keys == nil {
		return false, false
	}
	for _, k := range a.Keys {
		if k.ID == c.Key {
			if k.Active == nil {
				return false, false
			}
			return !*k.Active, true
		}
	}
	return true, true
}

// sameContainer compares names of containers as a person may have written them: whatever the case, and with or without
// spaces between their parts.
func sameContainer(a, b string) bool {
	parts := func(s string) string {
		fields := strings.Split(s, ",")
		for i := range fields {
			fields[i] = strings.TrimSpace(fields[i])
		}
		return strings.Join(fields, ",")
	}
	return strings.EqualFold(parts(a), parts(b))
}

func sameTime(a, b *time.Time) bool {
	if a == nil || b == nil {
		return a == b
	}
	return a.Equal(*b)
}

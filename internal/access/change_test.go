package access

import (
	"testing"
	"time"
)

func TestChangeShows(t *testing.T) {
	yes, no := true, false
	day := time.Date(2026, 11, 25, 0, 0, 0, 0, time.UTC)
	later := day.AddDate(0, 1, 0)
	enabled := &Live{Account: &Account{Enabled: &yes}}
	member := &Live{Grants: []Grant{{EntitlementID: "admins"}}}
	placed := &Live{Account: &Account{}, Keep: map[string][]string{"move": {"OU=People"}}}
	for _, c := range []struct {
		name        string
		change      Change
		live        Live
		done, known bool
	}{
		{"disabled", Change{Action: ActionDisable}, Live{Account: &Account{Enabled: &no}}, true, true},
		{"still enabled", Change{Action: ActionDisable}, *enabled, false, true},
		{"whether it is enabled is unknown", Change{Action: ActionDisable}, Live{Account: &Account{}}, false, false},
		{"no account was read", Change{Action: ActionDisable}, Live{}, false, false},
		{"enabled again", Change{Action: ActionDisable, Undo: true, Before: enabled}, *enabled, true, true},
		{"not enabled again", Change{Action: ActionDisable, Undo: true, Before: enabled}, Live{Account: &Account{Enabled: &no}}, false, true},
		{"it was disabled before", Change{Action: ActionDisable, Undo: true, Before: &Live{Account: &Account{Enabled: &no}}}, Live{Account: &Account{Enabled: &no}}, true, true},
		{"what was before is lost", Change{Action: ActionDisable, Undo: true}, *enabled, false, false},
		{"revoked", Change{Action: ActionRevoke, Entitlement: "admins"}, Live{Grants: []Grant{}}, true, true},
		{"grants unread", Change{Action: ActionRevoke, Entitlement: "admins"}, Live{}, false, false},
		{"still a member", Change{Action: ActionRevoke, Entitlement: "admins"}, *member, false, true},
		{"member again", Change{Action: ActionRevoke, Entitlement: "admins", Undo: true, Before: member}, *member, true, true},
		{"seat freed", Change{Action: ActionReclaim, SKU: "E3"}, Live{Seats: []Seat{{SKU: "E5"}}}, true, true},
		{"seats unread", Change{Action: ActionReclaim, SKU: "E3"}, Live{}, false, false},
		{"expires", Change{Action: ActionExpire, Until: &day}, Live{Account: &Account{ExpiresAt: &day}}, true, true},
		{"expires too late", Change{Action: ActionExpire, Until: &day}, Live{Account: &Account{ExpiresAt: &later}}, false, true},
		{"expires as before", Change{Action: ActionExpire, Until: &day, Undo: true, Before: &Live{Account: &Account{ExpiresAt: &later}}}, Live{Account: &Account{ExpiresAt: &later}}, true, true},
		{"expires neither then nor as before", Change{Action: ActionExpire, Until: &day, Undo: true, Before: &Live{Account: &Account{ExpiresAt: &later}}}, Live{Account: &Account{}}, false, true},
		{"key off", Change{Action: ActionDisableKey, Key: "k"}, Live{Account: &Account{Keys: []Key{{ID: "k", Active: &no}}}}, true, true},
		{"key gone", Change{Action: ActionDisableKey, Key: "k"}, Live{Account: &Account{Keys: []Key{}}}, true, true},
		{"keys unread", Change{Action: ActionDisableKey, Key: "k"}, Live{Account: &Account{}}, false, false},
		{"moved", Change{Action: ActionMove, To: "OU=Left"}, Live{Keep: map[string][]string{"move": {"OU=Left"}}}, true, true},
		{"moved back", Change{Action: ActionMove, To: "OU=Left", Undo: true, Before: placed}, *placed, true, true},
		{"moved elsewhere", Change{Action: ActionMove, To: "OU=Left", Undo: true, Before: placed}, Live{Keep: map[string][]string{"move": {"OU=Other"}}}, false, true},
		{"a password shows nothing", Change{Action: ActionResetPassword}, *enabled, false, false},
	} {
		if done, known := c.change.Shows(c.live); done != c.done || known != c.known {
			t.Errorf("%s: done %v, known %v; want %v, %v", c.name, done, known, c.done, c.known)
		}
	}
}

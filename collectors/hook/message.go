package hook

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/lapse-audit/lapse/internal/access"
)

const version = 1

// question is what the command reads.
type question struct {
	Version int            `json:"version"`
	Op      string         `json:"op"`
	Object  *access.Object `json:"object,omitempty"`
	Change  *change        `json:"change,omitempty"`
}

// change is an access.Change with what was before in the words of the protocol.
type change struct {
	access.Change
	Before *live `json:"before,omitempty"`
}

func changeOf(c access.Change) *change {
	out := &change{Change: c}
	if c.Before != nil {
		out.Before = liveOf(*c.Before)
	}
	return out
}

// answer is what the command writes.
type answer struct {
	Live     *live    `json:"live"`
	Commands []string `json:"commands"`
	Error    string   `json:"error"`
	Message  string   `json:"message"`
}

func parse(text []byte) (answer, error) {
	if len(bytes.TrimSpace(text)) == 0 {
		return answer{}, errors.New("no answer: want a JSON object")
	}
	var a answer
	d := json.NewDecoder(bytes.NewReader(text))
	d.DisallowUnknownFields()
	if err := d.Decode(&a); err != nil {
		return answer{}, fmt.Errorf("the answer is not as it should be: %w", err)
	}
	if _, err := d.Token(); err != io.EOF {
		return answer{}, errors.New("something follows the answer")
	}
	return a, nil
}

// live is an access.Live. Lists are of ids.
type live struct {
	Account     *account            `json:"account,omitempty"`
	Entitlement *entitlement        `json:"entitlement,omitempty"`
	Grants      *[]string           `json:"grants,omitempty"`
	Seats       *[]string           `json:"seats,omitempty"`
	Keep        map[string][]string `json:"keep,omitempty"`
}

type account struct {
	ID                string            `json:"id"`
	Username          string            `json:"username,omitempty"`
	Email             string            `json:"email,omitempty"`
	Name              string            `json:"name,omitempty"`
	EmployeeID        string            `json:"employee_id,omitempty"`
	OwnerID           string            `json:"owner_id,omitempty"`
	Enabled           *bool             `json:"enabled,omitempty"`
	Privileged        *bool             `json:"privileged,omitempty"`
	Locked            *bool             `json:"locked,omitempty"`
	MFA               *bool             `json:"mfa,omitempty"`
	ActiveSessions    *int64            `json:"active_sessions,omitempty"`
	CreatedAt         *time.Time        `json:"created_at,omitempty"`
	LastLoginAt       *time.Time        `json:"last_login_at,omitempty"`
	PasswordChangedAt *time.Time        `json:"password_changed_at,omitempty"`
	ExpiresAt         *time.Time        `json:"expires_at,omitempty"`
	Keys              *[]key            `json:"keys,omitempty"`
	Attributes        map[string]string `json:"attributes,omitempty"`
}

type key struct {
	ID     string `json:"id"`
	Kind   string `json:"kind,omitempty"`
	Active *bool  `json:"active,omitempty"`
}

type entitlement struct {
	ID   string `json:"id"`
	Name string `json:"name,omitempty"`
	Kind string `json:"kind,omitempty"`
}

// access is what the command says of an object that was asked for.
func (l *live) access(o access.Object) (access.Live, error) {
	out := access.Live{Partial: true, Keep: l.Keep}
	if out.Keep == nil {
		out.Keep = map[string][]string{}
	}
	switch {
	case o.Kind == access.HolderEntitlement && (l.Entitlement == nil || l.Entitlement.ID != o.ID):
		return out, fmt.Errorf("live.entitlement.id is not %q, which was asked for", o.ID)
	case o.Kind == access.HolderEntitlement:
		out.Entitlement = &access.Entitlement{ID: o.ID, Name: l.Entitlement.Name, Kind: l.Entitlement.Kind}
	case l.Account == nil || l.Account.ID != o.ID:
		return out, fmt.Errorf("live.account.id is not %q, which was asked for", o.ID)
	default:
		a := l.Account
		out.Account = &access.Account{ID: a.ID, Username: a.Username, Email: a.Email, Name: a.Name, EmployeeID: a.EmployeeID, OwnerID: a.OwnerID, Enabled: a.Enabled, Privileged: a.Privileged,
			Locked: a.Locked, MFA: a.MFA, ActiveSessions: a.ActiveSessions, CreatedAt: a.CreatedAt, LastLoginAt: a.LastLoginAt, PasswordChangedAt: a.PasswordChangedAt, ExpiresAt: a.ExpiresAt, Attributes: a.Attributes}
		if a.Keys != nil {
			out.Account.Keys = []access.Key{}
			for _, k := range *a.Keys {
				out.Account.Keys = append(out.Account.Keys, access.Key{ID: k.ID, Kind: k.Kind, Active: k.Active})
			}
		}
	}
	if l.Grants != nil {
		out.Grants = []access.Grant{}
		for _, id := range *l.Grants {
			out.Grants = append(out.Grants, access.Grant{HolderKind: o.Kind, HolderID: o.ID, EntitlementID: id})
		}
	}
	if l.Seats != nil {
		out.Seats = []access.Seat{}
		for _, sku := range *l.Seats {
			out.Seats = append(out.Seats, access.Seat{AccountID: o.ID, SKU: sku})
		}
	}
	return out, nil
}

// liveOf is the other way round, for what was before a change.
func liveOf(l access.Live) *live {
	out := &live{Keep: l.Keep}
	if a := l.Account; a != nil {
		out.Account = &account{ID: a.ID, Username: a.Username, Email: a.Email, Name: a.Name, EmployeeID: a.EmployeeID, OwnerID: a.OwnerID, Enabled: a.Enabled, Privileged: a.Privileged,
			Locked: a.Locked, MFA: a.MFA, ActiveSessions: a.ActiveSessions, CreatedAt: a.CreatedAt, LastLoginAt: a.LastLoginAt, PasswordChangedAt: a.PasswordChangedAt, ExpiresAt: a.ExpiresAt, Attributes: a.Attributes}
		if a.Keys != nil {
			keys := []key{}
			for _, k := range a.Keys {
				keys = append(keys, key{k.ID, k.Kind, k.Active})
			}
			out.Account.Keys = &keys
		}
	}
	if e := l.Entitlement; e != nil {
		out.Entitlement = &entitlement{e.ID, e.Name, e.Kind}
	}
	if l.Grants != nil {
		ids := []string{}
		for _, g := range l.Grants {
			ids = append(ids, g.EntitlementID)
		}
		out.Grants = &ids
	}
	if l.Seats != nil {
		ids := []string{}
		for _, s := range l.Seats {
			ids = append(ids, s.SKU)
		}
		out.Seats = &ids
	}
	return out
}

// Package review is what an access review is: which grants it asks about, what is suggested of each and why, how its items
// stand after all that was decided, and what that says of the review itself. Who is asked is decided by its caller, and what
// was decided is kept in the decisions (internal/state).
package review

import (
	"cmp"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/lapse-audit/lapse/internal/access"
	"github.com/lapse-audit/lapse/internal/state"
)

// Grant is an account's hold on an entitlement, as a run saw it. Days are as of that run; what its source doesn't say is nil.
type Grant struct {
	Source     string `json:"source"`
	SourceName string `json:"source_name"`

	Account       string             `json:"account"` // id
	Username      string             `json:"username,omitempty"`
	AccountName   string             `json:"account_name,omitempty"`
	Kind          access.AccountKind `json:"account_kind,omitempty"`
	Enabled       *bool              `json:"enabled,omitempty"`
	AccountOwner  string             `json:"account_owner,omitempty"` // as the source names them
	NeverSignedIn *bool              `json:"never_signed_in,omitempty"`
	SignInDays    *int64             `json:"days_since_sign_in,omitempty"`
	SignInLag     *int64             `json:"sign_in_lag_days,omitempty"`

	Person     string              `json:"person,omitempty"` // key
	PersonName string              `json:"person_name,omitempty"`
	Status     access.PersonStatus `json:"person_status,omitempty"`
	Department string              `json:"department,omitempty"`
	Manager    string              `json:"manager,omitempty"` // key
	EndDays    *int64              `json:"days_since_end,omitempty"`

	Entitlement     string   `json:"entitlement"` // id
	EntitlementName string   `json:"entitlement_name,omitempty"`
	EntitlementKind string   `json:"entitlement_kind,omitempty"`
	Resource        string   `json:"resource,omitempty"`
	Privileged      *bool    `json:"privileged,omitempty"`
	HighRisk        *bool    `json:"high_risk,omitempty"`
	Tags            []string `json:"tags,omitempty"`

	Direct      bool     `json:"direct"`
	Path        []string `json:"path,omitempty"` // through which it comes, by names
	KnownDays   *int64   `json:"days_known,omitempty"`
	GrantedDays *int64   `json:"days_since_granted,omitempty"`
	UsedDays    *int64   `json:"days_since_used,omitempty"`
	ReviewDays  *int64   `json:"days_since_review,omitempty"`
	Approved    *bool    `json:"approved,omitempty"`
	PeerShare   *float64 `json:"peer_share,omitempty"` // of the peer group, who hold it too
	Peers       *int64   `json:"peers,omitempty"`

	Holders int64 `json:"-"` // of the entitlement, in the review or not
}

// Entitled names the entitlement for people to read.
func (g Grant) Entitled() string { return cmp.Or(g.EntitlementName, g.Entitlement) }

// Holder names the account for people to read.
func (g Grant) Holder() string { return cmp.Or(g.Username, g.AccountName, g.Account) }

// Item is a grant that is reviewed.
type Item struct {
	N        int64    `json:"item"`
	Reviewer string   `json:"asked_first"` // a person's key or a role
	Why      string   `json:"why"`         // it is they
	Passed   []string `json:"not_asked,omitempty"`
	Grant
	Suggestion
}

// Order puts the hard ones first: who decides is fresh then. The rest is by source, entitlement and account.
func Order(items []Item) {
	slices.SortFunc(items, func(a, b Item) int {
		return cmp.Or(cmp.Compare(b.weight, a.weight), strings.Compare(a.Source, b.Source), strings.Compare(a.Entitled(), b.Entitled()),
			strings.Compare(a.Entitlement, b.Entitlement), strings.Compare(a.Holder(), b.Holder()), strings.Compare(a.Account, b.Account))
	})
}

// Seal turns an item into what is recorded.
func (i Item) Seal() (state.ReviewItem, error) {
	body, err := json.Marshal(i)
	if err != nil {
		return state.ReviewItem{}, fmt.Errorf("review of %s in %s: %w", i.Entitlement, i.Source, err)
	}
	return state.ReviewItem{Source: i.Source, Account: i.Account, Entitlement: i.Entitlement, Holders: i.Holders, Reviewer: i.Reviewer, Body: body}, nil
}

// Unseal reads a recorded item.
func Unseal(s state.ReviewItem) (Item, error) {
	var i Item
	if err := json.Unmarshal(s.Body, &i); err != nil {
		return i, fmt.Errorf("review item %d: %w", s.N, err)
	}
	i.N, i.Holders, i.Reviewer = s.N, s.Holders, s.Reviewer
	return i, nil
}

package remediate

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"time"

	"github.com/lapse-audit/lapse/internal/access"
	"github.com/lapse-audit/lapse/internal/finding"
	"github.com/lapse-audit/lapse/internal/state"
)

// The kinds of a plan.
const (
	KindFindings = "findings" // made of findings
	KindOffboard = "offboard" // everything of one person
	KindTransfer = "transfer" // what a person's new role no longer needs
	KindReview   = "review"   // what an access review decided to take away
)

// Plan is what would be changed, in order, and why: what a person reads and approves. It never changes; what came of its
// steps is in the journal.
type Plan struct {
	ID      string    `json:"id"`
	Kind    string    `json:"kind"`
	Made    time.Time `json:"made"`
	By      string    `json:"by"` // actor
	Run     uint64    `json:"run"`
	RunTime time.Time `json:"run_time"`
	// Query is what was asked for, in words.
	Query string `json:"query,omitempty"`
	// Person is whom an offboarding is about.
	Person     string `json:"person,omitempty"`
	PersonName string `json:"person_name,omitempty"`
	// Emergency plans are not bound to the change window, nor to how fresh the roster is.
	Emergency bool   `json:"emergency,omitempty"`
	Reason    string `json:"reason,omitempty"`
	// Confidential plans are told to nobody but those who carry them out.
	Confidential bool `json:"confidential,omitempty"`
	// Auto says that lapse.yaml approves it.
	Auto bool `json:"auto,omitempty"`
	// Answer is the id of an assignee's answer that it is made from.
	Answer string `json:"answer,omitempty"`
	// Review is the access review that it is made from, and ReviewItems are the items of it.
	Review      string  `json:"review,omitempty"`
	ReviewItems []int64 `json:"review_items,omitempty"`
	Steps       []Step  `json:"steps"`
	Left        []Left  `json:"left,omitempty"`
}

// Step is one change of a plan.
type Step struct {
	N          int           `json:"n"` // from 1
	Source     string        `json:"source"`
	Change     access.Change `json:"change"`
	Subject    string        `json:"subject"` // user name or the like, for people to read
	Person     string        `json:"person,omitempty"`
	PersonName string        `json:"person_name,omitempty"`
	Target     string        `json:"target,omitempty"` // name of the entitlement or product
	Why        []Why         `json:"why,omitempty"`
	Undo       bool          `json:"undo"`             // whether it can be undone
	ReadBack   bool          `json:"read_back"`        // whether the source can show that it was done
	Manual     string        `json:"manual,omitempty"` // a person has to do it: how, and why Lapse can't
	Effect     Effect        `json:"effect,omitzero"`
	// NotBefore is when the notice period, or the policy for offboarding, allows it.
	NotBefore   time.Time `json:"not_before,omitzero"`
	Responsible string    `json:"responsible,omitempty"`
	Assignee    string    `json:"assignee,omitempty"`
}

// Why is a finding that a step is for.
type Why struct {
	Finding finding.Fingerprint `json:"finding"`
	Policy  string              `json:"policy"`
	Message string              `json:"message"`
	Subject finding.Subject     `json:"subject"`
}

// Effect is what a step comes to beside the change itself.
type Effect struct {
	Loses     []string `json:"loses,omitempty"`      // names of the entitlements that go, with what comes through them
	AlsoHit   []string `json:"also_hit,omitempty"`   // who else loses them
	Seats     int      `json:"seats,omitempty"`      // freed
	CostMonth string   `json:"cost_month,omitempty"` // of the freed seats, decimal
	Currency  string   `json:"currency,omitempty"`
}

// Left is a finding, or a part of what somebody has, that no step is for, and why.
type Left struct {
	Why     Why    `json:"why"`
	Source  string `json:"source,omitempty"`
	Subject string `json:"subject,omitempty"`
	Reason  string `json:"reason"`
}

// Seal turns a plan into what is recorded: its text, and the hash of that.
func (p Plan) Seal() (state.Plan, error) {
	body, err := json.Marshal(p)
	if err != nil {
		return state.Plan{}, fmt.Errorf("plan %s: %w", p.ID, err)
	}
	sum := sha256.Sum256(body)
	return state.Plan{ID: p.ID, Kind: p.Kind, Person: p.Person, Steps: int64(len(p.Steps)), Body: body, Hash: hex.EncodeToString(sum[:])}, nil
}

// Unseal reads a recorded plan.
func Unseal(s state.Plan) (Plan, error) {
	var p Plan
	if err := json.Unmarshal(s.Body, &p); err != nil {
		return p, fmt.Errorf("plan %s: %w", s.ID, err)
	}
	return p, nil
}

// File is a plan as it is written to a file: with the hash by which it was recorded.
type File struct {
	Hash string          `json:"hash"`
	Plan json.RawMessage `json:"plan"`
}

// Sheet puts a recorded plan into a file.
func Sheet(s state.Plan) File { return File{Hash: s.Hash, Plan: s.Body} }

// CheckSheet holds a file against the plan that was recorded under its id. Another text is refused, also with a hash that
// was computed anew: what counts is what was recorded.
func CheckSheet(text []byte, recorded func(id string) (state.Plan, error)) (state.Plan, error) {
	var f File
	if err := json.Unmarshal(text, &f); err != nil {
		return state.Plan{}, fmt.Errorf("it is no plan: %w", err)
	}
	var head struct {
		ID string `json:"id"`
	}
	if err := json.Unmarshal(f.Plan, &head); err != nil || head.ID == "" {
		return state.Plan{}, fmt.Errorf("it is no plan: it has no id")
	}
	p, err := recorded(head.ID)
	if err != nil {
		return state.Plan{}, err
	}
	sum := sha256.Sum256(compact(f.Plan))
	if got := hex.EncodeToString(sum[:]); got != p.Hash {
		return state.Plan{}, fmt.Errorf("plan %s was altered: the hash of the file's text is %.12s, and %.12s was recorded: make a new plan", p.ID, got, p.Hash)
	}
	return p, nil
}

// compact takes the blanks out that are there for people.
func compact(text []byte) []byte {
	var out bytes.Buffer
	if json.Compact(&out, text) != nil {
		return text
	}
	return out.Bytes()
}

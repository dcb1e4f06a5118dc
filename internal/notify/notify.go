// Package notify asks people about findings: it says who is asked, groups what each is asked into one digest, sends it once
// by a channel, reminds, escalates, and takes answers. What it has sent and was answered is in the decisions (internal/state).
package notify

import (
	"context"
	"errors"
	"time"

	"github.com/lapse-audit/lapse/internal/finding"
)

// Recipient is who is asked: a person, or with Person "" a role's channel.
type Recipient struct {
	Person string // person key
	Name   string
	Email  string
	Role   string // security, app_owner:CRM; of a channel
	Zone   *time.Location
}

// Urgency orders the items of a digest.
type Urgency int

// The urgencies, the greater the more urgent.
const (
	Normal Urgency = iota
	Soon           // due within three days
	Overdue
)

// Item is one finding that somebody is asked about.
type Item struct {
	Finding finding.Finding
	Urgency Urgency
	Why     string    // the person is asked: manager, owner of the account, ...
	Due     time.Time // zero: nothing happens by itself
	// Otherwise says what happens by Due if nobody answers, "" for nothing.
	Otherwise  string
	Privileged bool // no bulk decision, and never by whom it benefits
	Answers    []Answer
}

// Answer is what can be answered to an item.
type Answer string

// The answers.
const (
	Revoke  Answer = "revoke"   // approves a plan of one
	Keep    Answer = "keep"     // an exception, with a reason and an expiry
	NotMine Answer = "not_mine" // somebody else is to be asked
	Later   Answer = "later"    // ask again in some days
)

// Kind says which turn a message is.
type Kind string

// The kinds of message.
const (
	First      Kind = "first"
	Reminder   Kind = "reminder"
	Escalation Kind = "escalation" // to the manager or the security team, past the deadline
	Summary    Kind = "summary"    // to a channel, after a scan
	Notice     Kind = "notice"     // something to know, and nothing to answer here
)

// Message is what one recipient gets at once: only their own items, grouped by source and urgency, in order.
type Message struct {
	Key   string // idempotency key: the same message has the same key whenever it is sent
	Kind  Kind
	To    Recipient
	Run   uint64
	AsOf  time.Time // of what the run knew of people
	Items []Item
	// Counts are of a Summary.
	Counts []Count
	// Earlier are the keys of the messages that asked the same recipient about these items before, of a Reminder.
	Earlier []string `json:",omitempty"`
	// Title and Lines are of a Notice. A title names nobody: it is read on lock screens.
	Title string   `json:",omitempty"`
	Lines []string `json:",omitempty"`
	// Decided are items of an earlier message that were settled since: who decided what, or that it resolved by itself.
	Decided map[finding.Fingerprint]string
}

// Count is a line of a summary.
type Count struct {
	Text string
	N    int
}

// Receipt says where a message went: what a channel needs to find or change it.
type Receipt struct {
	Channel string   `json:"channel"` // name of the channel
	Place   string   `json:"place"`   // conversation, mailbox, URL
	IDs     []string `json:"ids"`     // one a part
}

// Channel is a way to reach people. One contract suite holds for all.
type Channel interface {
	Name() string
	// Send delivers a message and says where it went. ErrUnreachable means that this recipient can't be reached by the
	// channel at all: the next in line is asked. ErrUnsure means that it may have been delivered. Other errors are passing.
	Send(ctx context.Context, m Message) (Receipt, error)
	// Find looks for a message that may have been delivered, by its key. A channel that can't look says false.
	Find(ctx context.Context, m Message) (Receipt, bool, error)
	// Update changes a delivered message to say how its items stand. A channel that can't does nothing.
	Update(ctx context.Context, r Receipt, m Message) error
}

var (
	// ErrUnreachable means that the recipient can't be reached by the channel.
	ErrUnreachable = errors.New("can't be reached")
	// ErrUnsure means that nobody knows whether it was delivered.
	ErrUnsure = errors.New("nobody knows whether it was delivered")
)

// RetryError says when to try again.
type RetryError struct {
	After time.Duration
	Err   error
}

func (e *RetryError) Error() string { return e.Err.Error() }

func (e *RetryError) Unwrap() error { return e.Err }

// Decision is an answer that came back by a channel, not yet authorised: Who is how the channel knows them.
type Decision struct {
	Channel string
	Who     string // in the channel's words: a Slack user id, an address
	Email   string // of them, as the channel knows it; "" if it doesn't
	Finding finding.Fingerprint
	Answer  Answer
	Reason  string
	Until   time.Time // keep, later
	To      string    // not_mine: who is to be asked, as the channel knows them
	ID      string    // unique per click: the second time is the same decision
}

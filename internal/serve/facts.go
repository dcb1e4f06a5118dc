package serve

import (
	"context"
	"sync"
	"time"

	"github.com/lapse-audit/lapse/internal/state"
)

// Facts are what is measured of the store and the state. They are the same after a restart.
type Facts struct {
	Run      *Scanned // the last one; nil before the first
	Sources  []Source
	Findings []Findings
	Messages []Messages
	Changes  []Changes
	Outbox   int // messages that are to be sent
	Leavers  map[state.LeaverStatus]int
}

// Scanned is the last published run of a scan.
type Scanned struct {
	ID       uint64
	Time     time.Time // the run's clock
	Took     time.Duration
	Complete bool
}

// Source is what the last run knew of a source.
type Source struct {
	UID     string
	Records map[string]uint64 // by kind
	AsOf    time.Time         // zero: it was never read
	Stale   int               // nights in a row that it was not read anew
}

// Findings counts findings of the last run.
type Findings struct {
	Policy, Status string
	Backlog        bool
	N              int
}

// Messages counts messages to people, by kind (first, reminder, ...) and what came of them.
type Messages struct {
	Kind, Outcome string
	N             int
}

// Changes counts changes in sources, by action and what came of them.
type Changes struct {
	Action, Outcome string
	N               int
}

// reading keeps facts until something was decided or scanned, which the ledger's head shows.
type reading struct {
	head func(context.Context) (state.Anchor, error)
	read func(context.Context) (Facts, error)

	mu    sync.Mutex
	at    time.Time // of the last try, by the machine's clock
	of    state.Anchor
	ok    bool
	facts Facts
	err   error
}

// How old facts may be: as long as nothing happened, and when much does.
const (
	atMostEvery  = 15 * time.Second
	atLeastEvery = 15 * time.Minute
)

// get gives the facts as of the last reading that went well, and whether the last one did.
func (r *reading) get(ctx context.Context) (f Facts, known bool, err error) {
	head, headErr := r.head(ctx)
	r.mu.Lock()
	defer r.mu.Unlock()
	age := time.Since(r.at)
	switch {
	case headErr != nil:
		return r.facts, r.ok, headErr
	case !r.at.IsZero() && (age < atMostEvery || r.err == nil && head == r.of && age < atLeastEvery):
		return r.facts, r.ok, r.err
	}
	facts, err := r.read(ctx)
	r.at, r.err = time.Now(), err
	if err == nil {
		r.facts, r.of, r.ok = facts, head, true
	}
	return r.facts, r.ok, err
}

// forget lets the next get read anew.
func (r *reading) forget() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.at = time.Time{}
}

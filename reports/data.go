// Package reports writes what one run found: for a terminal, as JSON, as CSV, and as one HTML page to be forwarded.
//
// Every format says when the run was and as of when the roster is, what could not be evaluated, and how much it leaves
// out. All count alike, because [New] counts once for all of them.
package reports

import (
	"iter"
	"time"

	"github.com/lapse-audit/lapse/internal/access"
	"github.com/lapse-audit/lapse/internal/collect"
	"github.com/lapse-audit/lapse/internal/finding"
)

// Data is everything of one run. Slices are printed in the order given unless said otherwise; a zero time is an unknown
// one. Names come from foreign systems and may hold anything.
type Data struct {
	Company string // for the heading, "" for none
	Run     Run
	Zone    *time.Location // in which times are printed, nil for UTC; JSON and CSV are always UTC

	Inputs   []Input  // every configured source, those without a snapshot too
	Policies []Policy // all that were loaded, the disabled ones too, by id

	// Findings yields each finding of the run once: all that are open, excepted or excluded, and those that this run
	// closed. Higher severities come first, and within one severity the backlog comes last; within that, the dearer and
	// then the longer standing should come first. It is ranged over several times and yields the same each time.
	Findings iter.Seq2[finding.Finding, error]

	Tallies    []finding.Tally
	Nights     []Night     // oldest first, this run included
	Gone       []Gone      // what the run before read and this one does not
	Exceptions []Exception // active ones, and those that ran out since the run before
	Changes    []Change    // what else is different from the run before

	Inventory *Inventory // of all apps, nil where there is none
	Notes     []string   // what is to be known of the run as a whole

	// AssigneeName turns an assignee (a person key or a role) into words; what it leaves as it is, and all where it is nil, are roles.
	AssigneeName func(assignee string) string
}

// Run is the run that is reported.
type Run struct {
	ID       uint64
	Time     time.Time // the run's clock
	Recorded time.Time // when it was made, which --at sets apart from Time
	Duration time.Duration
	Version  string   // of the program
	Reasons  []string // why it is incomplete; none: it is complete
	Previous *RunRef  // the run it is compared with, nil on the first night
}

// RunRef names another run.
type RunRef struct {
	ID   uint64
	Time time.Time
}

// Complete reports whether every source was fresh and every rule ran.
func (r Run) Complete() bool { return len(r.Reasons) == 0 }

// InputStatus says what a source brought to the run.
type InputStatus string

// The statuses of an input.
const (
	Fresh       InputStatus = "fresh"       // read for this run
	Stale       InputStatus = "stale"       // read for this run, and older than it may be
	Quarantined InputStatus = "quarantined" // this run's snapshot was refused; the last good one, if any, stands in
	Absent      InputStatus = "missing"     // there is no snapshot
)

// Input is one source and the snapshot of it that was used.
type Input struct {
	UID, Name, Type string
	Roster          bool // people come from it
	StandIn         bool // a directory that stands in for a roster

	Status  InputStatus
	Reasons []string  // why it isn't fresh, in words
	Taken   time.Time // of the snapshot used; zero: none was
	AsOf    time.Time // when the source says its data is from; zero: Taken

	Records    map[string]uint64 // rows read by kind: "accounts": 2311
	Rejected   uint64            // rows refused, exactly
	Rejections []collect.Rejection
	Coverage   map[string]access.Coverage // by signal
	Provenance collect.Provenance
}

func (in Input) asOf() time.Time {
	if in.AsOf.IsZero() {
		return in.Taken
	}
	return in.AsOf
}

// DataOf is the moment that what was used of the source is from; zero: nothing was used.
func (in Input) DataOf() time.Time {
	if in.Status == Stale {
		return in.asOf()
	}
	return in.Taken
}

// Gone is a source of the run before that is none of this run: what stood on it was closed, and nothing of it was judged.
type Gone struct{ UID, Name string }

// Policy is what the reader needs to know of a rule.
type Policy struct {
	ID, Title, Description string
	Severity               finding.Severity
	Subject                access.SubjectKind
	Action                 string
	Controls               []string
	Enabled                bool
}

// Night is one point of the trend: what stood after a run, and what it brought. Open and Backlog are apart: their sum is
// what stood. New doesn't count the backlog.
type Night struct {
	Time     time.Time
	Complete bool
	Open     uint64
	Backlog  uint64
	New      uint64
	Closed   uint64
}

// Exception is a finding, or a set of them, accepted on purpose.
type Exception struct {
	ID               string
	Covers           string // its scope in words
	Reason           string
	By               string
	Ticket           string
	Created, Expires time.Time
}

// Change counts one sort of change since the run before, such as person.status from active to ended. Field is the kind and
// the field of the store's change.
type Change struct {
	Field    string
	From, To string
	Count    uint64
}

// Package finding holds what a policy flags and how that lives on from run to run.
package finding

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"time"

	"github.com/lapse-audit/lapse/internal/access"
)

// Severity orders findings; the order of the constants is the order of urgency.
type Severity int

// The severities, least first.
const (
	Info Severity = iota
	Low
	Medium
	High
	Critical
)

var severityNames = [...]string{"info", "low", "medium", "high", "critical"}

func (s Severity) String() string {
	if s < 0 || int(s) >= len(severityNames) {
		return fmt.Sprintf("severity(%d)", int(s))
	}
	return severityNames[s]
}

// ParseSeverity reads the name of a severity.
func ParseSeverity(name string) (Severity, error) {
	for i, n := range severityNames {
		if n == name {
			return Severity(i), nil
		}
	}
	return 0, fmt.Errorf("unknown severity %q: want info, low, medium, high or critical", name)
}

// MarshalText writes the name.
func (s Severity) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// UnmarshalText reads the name.
func (s *Severity) UnmarshalText(text []byte) (err error) {
	*s, err = ParseSeverity(string(text))
	return err
}

// Subject names what a finding is about. Source is empty for a person, whose ID is an access.PersonKey.
type Subject struct {
	Kind   access.SubjectKind
	Source string
	ID     string
}

// Fingerprint is a finding's identity from run to run, 64 lower-case hexadecimal digits.
type Fingerprint string

// NewFingerprint is the SHA-256 over the length-prefixed policy id, subject kind, source uid, subject id and key, so
// that neither a rename nor a changed message makes a finding new.
func NewFingerprint(policy string, s Subject, key string) Fingerprint {
	h := sha256.New()
	for _, part := range []string{policy, string(s.Kind), s.Source, s.ID, key} {
		var n [8]byte
		binary.BigEndian.PutUint64(n[:], uint64(len(part)))
		h.Write(n[:])
		h.Write([]byte(part))
	}
	return Fingerprint(hex.EncodeToString(h.Sum(nil)))
}

// Hit is what one evaluation of one policy on one subject yields.
type Hit struct {
	Policy  string
	Subject Subject
	Key     string // tells two findings of one policy on one subject apart
	Message string

	Evidence  string // JSON object, "" for none
	CostMonth string // decimal in Currency, "" for none
	Currency  string

	// ExcludedBy is the exemption that keeps the hit from being a finding (leave), "" for none. Excluded hits are
	// listed for the auditor.
	ExcludedBy string
}

// Status says where a finding stands after a run.
type Status string

// A finding is open from the first run that yields it until a fresh complete evaluation no longer does. Excluded is a
// hit under an exemption. Excepted is laid over open findings at read time; it is never stored.
const (
	Open     Status = "open"
	Closed   Status = "closed"
	Excluded Status = "excluded"
	Excepted Status = "excepted"
)

// Cause says why a finding closed.
type Cause string

// The causes of closing.
const (
	Fixed        Cause = "fixed"
	SubjectGone  Cause = "subject_gone"
	RuleChanged  Cause = "rule_changed"
	RuleDisabled Cause = "rule_disabled"
)

// Finding is a hit and its life so far, as readers see it.
type Finding struct {
	Fingerprint Fingerprint
	Hit

	Severity   Severity
	Title      string // of the policy
	Category   string // LVR, ORP, DOR, LIC, ...: the policy id before the dash
	Action     string
	Controls   []string
	SourceName string
	Name       string // of the subject: username, person's name, entitlement's name, ...
	Person     string // access.PersonKey of whose case it is, "" for none
	PersonName string
	Department string
	Assignee   string // who is asked first: person key, or a role such as security

	Status    Status
	Cause     Cause
	FirstSeen time.Time // time of the first run of this stretch
	LastSeen  time.Time // time of the last run that yielded it
	ClosedAt  time.Time // time of the run that closed it, zero while open
	// Carried says that the last run could not judge it (stale source, failed rule) and let it stand.
	Carried bool
	// Backlog says that it was there on the first night of its source or rule.
	Backlog bool
	DueAt   time.Time // backlog only
	// ExceptionID is the exception that covers it, "" for none.
	ExceptionID string
	// ExceptionEnded says of an open finding which exception covered it before, and how that ended; "" for none.
	ExceptionEnded string
}

// Tally is the account of one policy on one source in one run. Every subject in scope is in exactly one of Evaluated
// and NotEvaluable; Flagged and Excluded count subjects among Evaluated.
type Tally struct {
	Policy       string
	Source       string // "" for person subjects
	Subjects     uint64
	OutOfScope   uint64
	Evaluated    uint64
	Flagged      uint64
	Excluded     uint64
	NotEvaluable uint64
	Missing      map[string]uint64 // field to number of subjects not evaluable for want of it
	Failed       string            // the policy's error; its numbers then say nothing
}

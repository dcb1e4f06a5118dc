package state

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/lapse-audit/lapse/internal/fold"
)

// EverySource as a scope's Source means a policy wherever it applies. It has to
// be written out, so that a forgotten field can't accept everything.
const EverySource = "*"

// subjectKinds are the kinds a scope may name.
var subjectKinds = []string{"account", "person", "entitlement", "license", "source"}

// Scope is what an exception accepts. It has one of three forms:
//
//   - one finding: Fingerprint alone;
//   - a policy for one subject: Policy, SubjectKind, Source and SubjectID;
//   - a policy for a group: Policy and Source or Department or both, Source
//     [EverySource] for the whole policy.
//
// Ids and source uids match exactly; departments by NFKC and case folding. It is
// comparable.
type Scope struct {
	Fingerprint string `json:"fingerprint,omitempty"`
	Policy      string `json:"policy,omitempty"`
	SubjectKind string `json:"subject_kind,omitempty"`
	Source      string `json:"source,omitempty"`
	SubjectID   string `json:"subject_id,omitempty"`
	Department  string `json:"department,omitempty"`
}

// String names the scope in an error or a list.
func (s Scope) String() string {
	switch {
	case s.Fingerprint != "":
		return "finding " + s.Fingerprint
	case s.SubjectID != "":
		return fmt.Sprintf("%s for %s %s in %s", s.Policy, s.SubjectKind, s.SubjectID, s.Source)
	case s.Source == EverySource && s.Department == "":
		return s.Policy + " everywhere"
	}
	var parts []string
	if s.Source != "" {
		parts = append(parts, "source "+s.Source)
	}
	if s.Department != "" {
		parts = append(parts, "department "+s.Department)
	}
	return s.Policy + " for " + strings.Join(parts, ", ")
}

func (s Scope) validate() error {
	err := errors.Join(
		text("policy", s.Policy, 0, maxID), text("source", s.Source, 0, maxID),
		text("subject id", s.SubjectID, 0, maxID), text("department", s.Department, 0, maxID))
	if err != nil {
		return err
	}
	if s.Fingerprint != "" {
		if s != (Scope{Fingerprint: s.Fingerprint}) {
			return errors.New("a fingerprint stands alone: it already says policy and subject")
		}
		if b, err := hex.DecodeString(s.Fingerprint); err != nil || len(b) != sha256.Size || strings.ToLower(s.Fingerprint) != s.Fingerprint {
			return fmt.Errorf("fingerprint %q is not 64 lower-case hex digits", s.Fingerprint)
		}
		return nil
	}
	if s.Policy == "" {
		return errors.New("the scope is missing: give a finding's fingerprint, or a policy with a subject, source or department")
	}
	if s.SubjectKind != "" || s.SubjectID != "" {
		switch {
		case !slices.Contains(subjectKinds, s.SubjectKind):
			return fmt.Errorf("subject kind %q is none of %s", s.SubjectKind, strings.Join(subjectKinds, ", "))
		case s.SubjectID == "" || s.Source == "" || s.Source == EverySource:
			return errors.New("a subject needs its kind, source and id")
		case s.Department != "":
			return errors.New("a subject and a department exclude each other")
		}
		return nil
	}
	if s.Source == "" && s.Department == "" {
		return fmt.Errorf("an exception from the whole of %s needs source %q written out", s.Policy, EverySource)
	}
	return nil
}

// normal is the form in which equal scopes are equal.
func (s Scope) normal() Scope {
	s.Department = fold.Text(s.Department)
	if s.Department != "" && s.Source == EverySource {
		s.Source = ""
	}
	return s
}

// key stands for the scope in an index.
func (s Scope) key() string {
	n := s.normal()
	h := sha256.New()
	for _, f := range []string{n.Fingerprint, n.Policy, n.SubjectKind, n.Source, n.SubjectID, n.Department} {
		h.Write(binary.BigEndian.AppendUint64(nil, uint64(len(f))))
		h.Write([]byte(f))
	}
	return hex.EncodeToString(h.Sum(nil))
}

package scan

import (
	"context"
	"hash/maphash"
	"sync"

	"github.com/lapse-audit/lapse/internal/finding"
	"github.com/lapse-audit/lapse/internal/store"
)

// standing knows on what findings stand since the run before, and gathers which of that could not be judged tonight: a
// finding closes because it is known to be fixed, never because its subject can't be seen any more.
type standing struct {
	seed maphash.Seed
	// seen are hashes, so that half a million findings take 20 MB. A pair that is taken for another carries nothing.
	seen map[uint64]struct{}

	mu      sync.Mutex
	unknown []store.Judged
}

func newStanding(ctx context.Context, run *store.Run) (*standing, error) {
	s := &standing{seed: maphash.MakeSeed(), seen: map[uint64]struct{}{}}
	for j, err := range run.Standing(ctx) {
		if err != nil {
			return nil, err
		}
		s.seen[maphash.Comparable(s.seed, j)] = struct{}{}
	}
	return s, nil
}

// cantJudge is policy.EngineOptions.Unknown.
func (s *standing) cantJudge(policy string, subject finding.Subject) {
	if !s.stands(policy, subject) {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.unknown = append(s.unknown, store.Judged{Policy: policy, Subject: subject})
}

// stands is policy.EngineOptions.Stands.
func (s *standing) stands(policy string, subject finding.Subject) bool {
	_, stands := s.seen[maphash.Comparable(s.seed, store.Judged{Policy: policy, Subject: subject})]
	return stands
}

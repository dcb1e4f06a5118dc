package collect

import (
	"time"

	"github.com/lapse-audit/lapse/internal/access"
)

// Reviews are when somebody last reviewed who holds what, by the evidence that Lapse has itself.
type Reviews map[ReviewKey]time.Time

// ReviewKey is an account's grant of an entitlement, or with Account "" all of who holds it.
type ReviewKey struct{ Source, Account, Entitlement string }

// Into returns the sink that puts the reviews of one source into its records, where the source itself tells of no later one. It
// stands behind the counting of what the source gives: that some of it was reviewed here says nothing of the rest.
func (r Reviews) Into(source string, out Sink) Sink {
	if len(r) == 0 {
		return out
	}
	return &reviewed{r, source, out}
}

type reviewed struct {
	Reviews
	source string
	out    Sink
}

// Put implements Sink.
func (s *reviewed) Put(r access.Record) error {
	switch v := r.(type) {
	case access.Entitlement:
		v.ReviewedAt = s.later(v.ReviewedAt, "", v.ID)
		return s.out.Put(v)
	case access.Grant:
		if v.HolderKind == access.HolderAccount {
			v.ReviewedAt = s.later(v.ReviewedAt, v.HolderID, v.EntitlementID)
			return s.out.Put(v)
		}
	}
	return s.out.Put(r)
}

func (s *reviewed) later(said *time.Time, account, entitlement string) *time.Time {
	at, ok := s.Reviews[ReviewKey{s.source, account, entitlement}]
	if !ok || said != nil && said.After(at) {
		return said
	}
	return &at
}

// Reject implements Sink.
func (s *reviewed) Reject(r Rejection) error { return s.out.Reject(r) }

package state

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"time"
)

// ExceptionHistory is how long something has been accepted.
type ExceptionHistory struct {
	// Since is when it was accepted first, by this exception or by those of the same scope that it went on from.
	Since   time.Time
	Renewed int // how often it was accepted for longer since then
}

// renewalGap is how soon after the end of one exception another of the same scope goes on from it.
const renewalGap = 30 * 24 * time.Hour

// ExceptionHistories says of each exception, by id, how long it has gone on, as the ledger tells it.
func (s *State) ExceptionHistories(ctx context.Context) (map[string]ExceptionHistory, error) {
	out := map[string]ExceptionHistory{}
	now, last := map[string]Exception{}, map[string]string{} // by id; id, by scope
	for e, err := range s.Ledger(ctx, 0) {
		if err != nil {
			return nil, err
		}
		if !strings.HasPrefix(e.Kind, "exception.") {
			continue
		}
		var x Exception
		if err := json.Unmarshal(e.Payload, &x); err != nil {
			return nil, fmt.Errorf("ledger entry %d: %w", e.Seq, err)
		}
		was, known := now[x.ID]
		h := out[x.ID]
		switch {
		case !known:
			h = ExceptionHistory{Since: x.Created}
			if before, ok := now[last[x.Scope.key()]]; ok && x.Created.Sub(before.ended()) <= renewalGap {
				h = out[before.ID]
				h.Renewed++
			}
		case e.Kind == KindExceptionChanged && x.Expires.After(was.Expires):
			h.Renewed++
		}
		out[x.ID], now[x.ID], last[x.Scope.key()] = h, x, x.ID
	}
	return out, nil
}

// ended is when the exception ended, or is to.
func (e Exception) ended() time.Time {
	if !e.Revoked.IsZero() && e.Revoked.Before(e.Expires) {
		return e.Revoked
	}
	return e.Expires
}

// NewEndedMatcher tells which exception applied to a finding and has ended by the given time: of several of one scope the one
// that ended last.
func NewEndedMatcher(list []Exception, at time.Time) *Matcher {
	m := &Matcher{byScope: map[Scope]Exception{}}
	for _, e := range list {
		if st := e.Status(at); st != Expired && st != Revoked {
			continue
		}
		scope := e.Scope.normal()
		if other, ok := m.byScope[scope]; ok && !e.ended().After(other.ended()) {
			continue
		}
		m.byScope[scope] = e
		m.departments = m.departments || scope.Department != ""
	}
	return m
}

// EndedBy says how an exception came to its end, in words.
func (e Exception) EndedBy(zone *time.Location) string {
	day := e.ended().In(zone).Format("2006-01-02 15:04 MST")
	if e.ended().Equal(e.Revoked) {
		return fmt.Sprintf("%s by %s was ended on %s by %s: %s", e.ID, e.By, day, e.RevokedBy, e.RevokeReason)
	}
	return fmt.Sprintf("%s by %s expired on %s", e.ID, e.By, day)
}

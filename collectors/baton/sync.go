package baton

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"math/big"
	"slices"
	"strings"
	"time"
)

// syncRun is one run of a connector, of which a file may hold several.
type syncRun struct {
	id       string
	kind     string    // full; others hold a part only
	started  time.Time // zero for unknown; without a zone in v1
	ended    time.Time // zero for not yet
	finished bool
	counts   *counts // what the connector counted at the end; nil where it didn't
}

// counts are the rows that a sync should have.
type counts struct {
	Resources    int64 `json:"resources"`
	Entitlements int64 `json:"entitlements"`
	Grants       int64 `json:"grants"`
}

// choose takes the full sync that ended last, as baton-sdk does (getFinishedSync), and says what else there is.
func choose(runs []syncRun) (syncRun, []string, error) {
	var whole []syncRun
	kinds := map[string]bool{}
	for _, s := range runs {
		if s.kind != "" && s.kind != "full" {
			kinds[s.kind] = true
		} else if s.finished {
			whole = append(whole, s)
		}
	}
	slices.SortFunc(whole, func(a, b syncRun) int { return cmp.Or(b.ended.Compare(a.ended), cmp.Compare(b.id, a.id)) })
	switch {
	case len(runs) == 0:
		return syncRun{}, nil, errors.New("holds no sync: run the connector again")
	case len(whole) == 0 && len(kinds) > 0:
		return syncRun{}, nil, fmt.Errorf("holds no full sync that was finished, only some of type %s: run the connector on all resources", strings.Join(slices.Sorted(maps.Keys(kinds)), ", "))
	case len(whole) == 0:
		return syncRun{}, nil, errors.New("holds only a sync that was not finished: half of an app looks like half of it is gone; run the connector again")
	}
	var notes []string
	last := whole[0]
	for _, s := range runs {
		if !s.finished && s.started.After(last.started) {
			notes = append(notes, "a later sync in the file was not finished: what is read is of the one before")
			break
		}
	}
	return last, notes, nil
}

// began is when the sync began. Files of v1 give it in a zone that they don't name; the id, which is a KSUID, tells the
// instant to the second. A sync whose id says another day was given its id by hand.
func (s syncRun) began() time.Time {
	at, ok := ksuidTime(s.id)
	if !ok || s.started.IsZero() {
		return s.started
	}
	if off := at.Sub(s.started); off < -15*time.Hour || off > 15*time.Hour {
		return s.started
	}
	return at
}

// ksuidTime is the instant within a KSUID (github.com/segmentio/ksuid): 27 digits to base 62, of which the first 32 of 160
// bits count seconds from 1,400,000,000.
func ksuidTime(id string) (time.Time, bool) {
	const length, epoch, bits = 27, 1_400_000_000, 160
	if len(id) != length {
		return time.Time{}, false
	}
	swapped := strings.Map(func(r rune) rune { // big.Int has the small letters first
		switch {
		case r >= '0' && r <= '9':
			return r
		case r >= 'A' && r <= 'Z':
			return r - 'A' + 'a'
		case r >= 'a' && r <= 'z':
			return r - 'a' + 'A'
		}
		return '!'
	}, id)
	n, ok := new(big.Int).SetString(swapped, 62)
	if !ok || n.BitLen() > bits {
		return time.Time{}, false
	}
	return time.Unix(epoch+int64(n.Rsh(n, bits-32).Uint64()), 0).UTC(), true
}

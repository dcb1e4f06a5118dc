package synth

import (
	"runtime"
	"testing"

	"github.com/lapse-audit/lapse/internal/access"
)

// However large the company, no more than a record at a time is held: 40,000 people or 400,000 take the same heap.
func TestRecordsStream(t *testing.T) {
	peak := func(people int) uint64 {
		c := New(Config{Seed: 1, People: people})
		var m runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&m)
		start, highest, n := m.HeapAlloc, uint64(0), 0
		for r := range c.Records(AD, 3) {
			if _, ok := r.(access.Account); !ok {
				continue
			}
			if n++; n%10_000 == 0 {
				runtime.GC()
				runtime.ReadMemStats(&m)
				highest = max(highest, m.HeapAlloc)
			}
			if n == 60_000 { // the rest would be more of the same
				break
			}
		}
		if n < people && n < 60_000 {
			t.Errorf("%d accounts of %d people", n, people)
		}
		return max(highest, start) - start
	}
	small, large := peak(40_000), peak(400_000)
	t.Logf("heap grown by %d kB and %d kB", small/1000, large/1000)
	if large > 8<<20 {
		t.Errorf("the heap grew by %d MB", large>>20)
	}
}

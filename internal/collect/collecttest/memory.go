package collecttest

import (
	"os"
	"runtime"
	"runtime/debug"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/lapse-audit/lapse/internal/collect"
)

// Accounts is how many accounts a benchmark reads: as many as LAPSE_BENCH_ACCOUNTS says, else usual.
func Accounts(b *testing.B, usual int) int {
	b.Helper()
	text := os.Getenv("LAPSE_BENCH_ACCOUNTS")
	if text == "" {
		return usual
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 1 {
		b.Fatalf("LAPSE_BENCH_ACCOUNTS: %q is no number of accounts", text)
	}
	return n
}

// Grown runs f as frugally as a scan reads its sources, and returns by how many MiB this process grew meanwhile at most: its resident memory, looked at a hundred
// times a second. What f doesn't need any more and the runtime has not given back counts, as it does for whoever pays for
// the machine.
func Grown(f func()) float64 {
	defer collect.Frugal()()
	debug.FreeOSMemory()
	before := resident()
	done := make(chan struct{})
	var most uint64
	var all sync.WaitGroup
	all.Go(func() {
		tick := time.NewTicker(10 * time.Millisecond)
		defer tick.Stop()
		for {
			select {
			case <-tick.C:
				most = max(most, resident())
			case <-done:
				return
			}
		}
	})
	f()
	close(done)
	all.Wait()
	if most < before {
		return 0
	}
	return float64(most-before) / (1 << 20)
}

// resident is how many bytes of memory the process has: where Linux doesn't say, those that Go has.
func resident() uint64 {
	if text, err := os.ReadFile("/proc/self/statm"); err == nil {
		if fields := strings.Fields(string(text)); len(fields) > 1 {
			if pages, err := strconv.ParseUint(fields[1], 10, 64); err == nil {
				return pages * uint64(os.Getpagesize())
			}
		}
	}
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.Sys - m.HeapReleased
}

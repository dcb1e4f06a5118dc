package policy

import (
	"runtime"
	"runtime/metrics"
	"sync"
	"sync/atomic"
	"time"
)

// defaultMemory is what evaluations may add to the heap.
const defaultMemory = 512 << 20

const heapTick = 10 * time.Millisecond

// heap watches how much memory the process takes while policies are evaluated, and cancels all evaluations when it is too
// much. Whose fault that is shows when the rules are evaluated again, one at a time and nobody else beside.
type heap struct {
	limit uint64
	base  atomic.Uint64 // what is taken without the evaluations
	stop  chan struct{}
	done  chan struct{}

	// gate is held for reading by evaluations of many, and for writing by that of one under suspicion.
	gate sync.RWMutex

	mu      sync.Mutex
	budgets map[*budget]bool // of the evaluations under way
}

func newHeap(limit int64) *heap {
	if limit <= 0 {
		limit = defaultMemory
	}
	h := &heap{limit: uint64(limit), stop: make(chan struct{}), done: make(chan struct{}), budgets: map[*budget]bool{}}
	h.base.Store(taken())
	go h.watch()
	return h
}

func (h *heap) close() {
	close(h.stop)
	<-h.done
}

func (h *heap) watch() {
	defer close(h.done)
	tick := time.NewTicker(heapTick)
	defer tick.Stop()
	for {
		select {
		case <-h.stop:
			return
		case <-tick.C:
		}
		// What is no longer used is counted too until the collector has been by: it lets the heap double.
		if taken() > 2*h.base.Load()+h.limit {
			h.alarm()
		}
	}
}

// alarm cancels whatever is being evaluated.
func (h *heap) alarm() {
	h.mu.Lock()
	defer h.mu.Unlock()
	for b := range h.budgets {
		b.memory.Store(true)
		b.Cancel()
	}
}

// begin notes an evaluation; alone keeps all others out, and measures anew what is taken without it.
func (h *heap) begin(b *budget, alone bool) {
	if alone {
		h.gate.Lock()
		runtime.GC()
		h.base.Store(taken())
	} else {
		h.gate.RLock()
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	b.memory.Store(false)
	h.budgets[b] = true
}

func (h *heap) end(b *budget, alone bool) {
	h.mu.Lock()
	delete(h.budgets, b)
	h.mu.Unlock()
	if !alone {
		h.gate.RUnlock()
		return
	}
	if b.memory.Load() {
		runtime.GC() // or the next one would be charged for it
	}
	h.gate.Unlock()
}

// taken is what the objects on the heap take.
func taken() uint64 {
	sample := []metrics.Sample{{Name: "/memory/classes/heap/objects:bytes"}}
	metrics.Read(sample)
	return sample[0].Value.Uint64()
}

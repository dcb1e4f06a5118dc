package policy

import (
	"runtime"
	"runtime/debug"
	"runtime/metrics"
	"sync"
	"sync/atomic"
	"time"
)

// defaultMemory is what evaluations may add to the heap.
const defaultMemory = 512 << 20

const heapTick = 10 * time.Millisecond

// Evaluating makes little but garbage, and collecting it as often as Go does, whenever the heap has doubled, takes a sixth of
// the time. So it may lie about for longer, as long as that is no more than garbageRoom.
const (
	garbageRoom   = 256 << 20
	usualPercent  = 100
	rarestPercent = 400
)

// heap watches how much memory the process takes while policies are evaluated, and cancels all evaluations when it is too
// much. Whose fault that is shows when the rules are evaluated again, one at a time and nobody else beside.
type heap struct {
	limit uint64
	base  atomic.Uint64 // what is taken without the evaluations
	stop  chan struct{}
	done  chan struct{}
	gogc  int // what it was set to, 0 unless it was

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
	defer h.unease()
	tick := time.NewTicker(heapTick)
	defer tick.Stop()
	for {
		select {
		case <-h.stop:
			return
		case <-tick.C:
		}
		h.ease()
		// What is no longer used is counted too until the collector has been by: it lets the heap double.
		if taken() > 2*h.base.Load()+h.limit {
			h.alarm()
		}
	}
}

// ease has garbage collected more rarely, by what of the heap is in use. If GOGC, or somebody else, says something, that stands.
func (h *heap) ease() {
	sample := []metrics.Sample{{Name: "/gc/gogc:percent"}, {Name: "/gc/heap/live:bytes"}}
	metrics.Read(sample)
	now, live := int(sample[0].Value.Uint64()), max(1, sample[1].Value.Uint64())
	if now != max(h.gogc, usualPercent) {
		h.gogc = 0
		return
	}
	room := min(garbageRoom, h.limit/2)
	if want := int(min(rarestPercent, max(usualPercent, 100*room/live))); want < now*7/8 || want > now*9/8 {
		debug.SetGCPercent(want)
		h.gogc = want
	}
}

func (h *heap) unease() {
	if h.gogc == 0 {
		return
	}
	if now := debug.SetGCPercent(usualPercent); now != h.gogc {
		debug.SetGCPercent(now)
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

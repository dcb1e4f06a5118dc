package policy

import "time"

// Again makes the engine evaluate for another run, as a new one would. What it has compiled serves on; evaluators, failures,
// tallies and doubts were the other run's. Its Evaluators must be at rest, and are of no use any more.
func (e *Engine) Again(at time.Time, run int64) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.options.Time, e.options.RunID = at.UTC(), run
	e.begin()
	e.heap.close()
	e.heap = newHeap(e.options.Memory) // by what the process holds now
	for _, l := range e.lanes {
		failed := false
		for _, r := range l.rules {
			failed = r.failed.Swap(false) || failed
		}
		if !failed {
			continue
		}
		if err := l.regroup(); err != nil {
			return err
		}
	}
	return nil
}

// UsesClock reports whether some policy that is evaluated, or what it may use of the library, asks for the time beside
// input.run: a Screen then holds for one run alone.
func (e *Engine) UsesClock() bool {
	for _, l := range e.lanes {
		if usesClock(l.library) {
			return true
		}
		for _, r := range l.rules {
			if usesClock(r.modules) {
				return true
			}
		}
	}
	return false
}

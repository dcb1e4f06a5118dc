package serve

import (
	"context"
	"time"
)

// Clock is the time that schedules go by. Leases and the ends of requests don't: they live in real time.
type Clock interface {
	Now() time.Time
	// Wait returns at the given time, or when ctx ends.
	Wait(ctx context.Context, until time.Time)
}

// WallClock is the machine's clock. It is looked at again and again: a timer stands still while the machine sleeps, and
// knows nothing of a clock that is set.
type WallClock struct{}

// Now implements [Clock].
func (WallClock) Now() time.Time { return time.Now().Round(0) }

// lookAgain is how late something may be after the machine slept.
const lookAgain = 15 * time.Second

// Wait implements [Clock].
func (c WallClock) Wait(ctx context.Context, until time.Time) {
	for ctx.Err() == nil {
		left := until.Sub(c.Now())
		if left <= 0 {
			return
		}
		sleep(ctx, min(left, lookAgain))
	}
}

// PacedClock begins at a time and runs some times faster than the machine's, to show in minutes what takes nights.
type PacedClock struct {
	From  time.Time
	Begun time.Time // by the machine's clock
	Pace  float64
}

// Now implements [Clock].
func (c PacedClock) Now() time.Time {
	return c.From.Add(time.Duration(float64(time.Since(c.Begun)) * c.Pace)).Round(0)
}

// Wait implements [Clock].
func (c PacedClock) Wait(ctx context.Context, until time.Time) {
	for ctx.Err() == nil {
		left := until.Sub(c.Now())
		if left <= 0 {
			return
		}
		sleep(ctx, time.Duration(float64(left)/c.Pace)+time.Millisecond)
	}
}

func sleep(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
	case <-t.C:
	}
}

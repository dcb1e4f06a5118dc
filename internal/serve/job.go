package serve

import (
	"context"
	"errors"
	"log/slog"
	"time"
)

// Job is work that is done on a schedule.
type Job struct {
	Name     string
	Schedule Schedule
	Steps    []Step
	Attempts int           // of each step; at least 1
	Backoff  time.Duration // before the second attempt, doubled for each that follows
	Overdue  time.Duration // how long after its time it may be undone before something is wrong
	After    func()        // called in this process when a slot has ended, whatever came of it
}

// Step is a part of a job. Run is called again after an error, and after whoever ran it has died: it has to bear that. When
// its context ends it is to come to its end soon; what it has begun is then run again.
type Step struct {
	Name string
	Run  func(context.Context, Attempt) (Result, error)
}

// Attempt says for what a step is run.
type Attempt struct {
	Run    string // id of the run of the job, the same for all its steps and attempts
	Job    string
	Step   string
	Slot   time.Time // the time of the schedule
	Number int       // the first is 1
	Log    *slog.Logger
}

// Result is what came of a step that ended well.
type Result struct {
	Skipped    string // why there was nothing to do, "" if there was
	Incomplete string // what is not as it should be, though the step was done
}

// outcome names what came of a step in logs and metrics.
func (r Result) outcome(err error) string {
	switch {
	case err != nil:
		return "failed"
	case r.Skipped != "":
		return "skipped"
	case r.Incomplete != "":
		return "incomplete"
	}
	return "done"
}

// ErrHopeless is an error's mark that another attempt would end no better.
var ErrHopeless = errors.New("trying again is of no use")

// maxBackoff bounds the doubling.
const maxBackoff = time.Hour

// backoff is how long to wait after the given attempt.
func (j Job) backoff(attempt int) time.Duration {
	if attempt < 1 {
		return 0
	}
	wait := j.Backoff
	for range attempt - 1 {
		if wait >= maxBackoff {
			return max(maxBackoff, j.Backoff)
		}
		wait *= 2
	}
	return wait
}

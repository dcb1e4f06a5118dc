package collect

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/lapse-audit/lapse/internal/access"
)

// Doctor is a Collector that can say what it may not read and what to do about it. Diagnose reads the source and changes
// nothing in it; an error means that it could not be examined.
type Doctor interface {
	Diagnose(context.Context) ([]Advice, error)
}

// Examiner is a Collector that can say so of what it reads while it reads it: a source that is asked once is not asked
// twice. Examine is Collect, which may go on where Collect ends, to find the next thing that is missing; its error is
// Collect's. There is advice whether there is an error or not.
type Examiner interface {
	Examine(context.Context, Sink) (Provenance, []Advice, error)
}

// Advice is one thing that was looked at.
type Advice struct {
	What    string // a field, a right, or what to do
	Missing bool   // something that reading needs is not there
	Detail  string // one line; holds no secrets
}

// Examine reads a source whole, keeps nothing, and says what there is to know of it: what was read, how far each signal is
// covered, and what the collector itself has to say. The error is that of reading; one of examining alone is advice.
func Examine(ctx context.Context, c Collector, o Options) (Result, []Advice, error) {
	var own []Advice
	read := c
	if x, ok := c.(Examiner); ok {
		read = examined{x, &own}
	}
	res, err := Run(ctx, read, nowhere{}, o)
	var out []Advice
	var rejected *RejectedError
	if err == nil || errors.As(err, &rejected) { // it was read to its end
		out = append(out, res.coverage())
	}
	out = append(out, own...)
	if d, ok := c.(Doctor); ok {
		advice, failed := d.Diagnose(ctx)
		out = append(out, advice...)
		if failed != nil && (err == nil || failed.Error() != err.Error()) {
			out = append(out, Advice{What: "examination", Missing: true, Detail: failed.Error()})
		}
	}
	return res, out, err
}

// examined is an Examiner as Run takes it.
type examined struct {
	Examiner
	advice *[]Advice
}

func (e examined) Collect(ctx context.Context, out Sink) (prov Provenance, err error) {
	prov, *e.advice, err = e.Examine(ctx, out)
	return prov, err
}

// nowhere takes records and keeps none.
type nowhere struct{}

func (nowhere) Put(access.Record) error { return nil }
func (nowhere) Reject(Rejection) error  { return nil }

// coverage says of each signal how many of the records that could have it do.
func (r Result) coverage() Advice {
	var parts []string
	for _, name := range slices.Sorted(maps.Keys(r.Provenance.Coverage)) {
		level := r.Provenance.Coverage[name]
		s, measured := r.Signals[name]
		switch {
		case !measured || s.Coverage() != level || name == string(Grants) || name == string(Seats): // the collector knows better
			parts = append(parts, fmt.Sprintf("%s %s", name, level))
		case s.Of > 0:
			parts = append(parts, fmt.Sprintf("%s %d of %d", name, s.Have, s.Of))
		}
	}
	return Advice{What: "coverage", Detail: strings.Join(parts, "; ")}
}

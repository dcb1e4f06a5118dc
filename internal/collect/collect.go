// Package collect runs collectors: it reads a source whole, accounts for every row, measures how far each signal is
// covered, and decides whether what was read is complete enough to judge by.
package collect

import (
	"context"
	"time"

	"github.com/lapse-audit/lapse/internal/access"
)

// Collector reads one source.
//
// Collect reads the whole source once, from start to end, and puts every record into out. It is called from one
// goroutine and calls out from one goroutine; two collectors may run at the same time. It keeps nothing between calls:
// a second call reads the source anew, and an unchanged source yields the same records.
//
// A record that can't be read is given to out.Reject with its place and reading goes on. What can't be read as a whole
// (no connection, a lost page, a truncated file) is an error: a part is never passed off as the whole. An error of out
// ends the collection and is returned as it is. When ctx ends, Collect returns its error soon.
type Collector interface {
	Collect(ctx context.Context, out Sink) (Provenance, error)
}

// Sink takes what a collector reads. Records may come in any order; a record must not be changed after it was put.
type Sink interface {
	Put(access.Record) error
	Reject(Rejection) error
}

// Rejection is a row that could not be read, with its place. It holds no value of the row that could be a secret.
type Rejection struct {
	File   string // or request
	Line   int64  // from 1; 0 where there are no lines
	Column string // name of the column or field
	Reason string // what is wrong and what to do about it
}

// Provenance says where a snapshot came from, so that an auditor can read it again.
type Provenance struct {
	Request  string // base DN, URL or file names; no secrets
	Filter   string
	Identity string // as whom the source was read
	Mapping  string // version of the mapping: a hash of its text
	Files    []File
	// AsOf is when the source itself says that its data is from (an export's time); zero is the time of reading.
	AsOf time.Time
	// Stale says in words why the data, though it was read whole, is older than the source may be: an export by hand that is
	// overdue. "" where it isn't.
	Stale string
	// Coverage names the signals that the collector knows to be whole or missing. For all others it is measured from the
	// records.
	Coverage map[string]access.Coverage
	// Notes say in sentences what could not be known and why, and what is to be known of how the source was read.
	Notes []string
	// Reads names the kinds of record the source gives at all: "grants" absent means unread, not none.
	Reads []string
}

// File is one file that was read.
type File struct {
	Name    string
	SHA256  string // hexadecimal
	Size    int64
	ModTime time.Time
	Rows    int64
}

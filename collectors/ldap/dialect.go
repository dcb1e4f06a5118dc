package ldap

import (
	"iter"
	"time"

	"github.com/go-ldap/ldap/v3"

	"github.com/lapse-audit/lapse/internal/access"
	"github.com/lapse-audit/lapse/internal/collect"
)

// located is an entry and where it was read.
type located struct {
	*ldap.Entry
	File string // an LDIF file's name, or the server's URL
	Line int64  // 0 over the network
}

// dialect knows what the entries of one kind of directory mean: which to ask for, and which records they make. Entries
// come the same way from a server, a file and a cache.
type dialect interface {
	// query is one search that takes every entry of interest, whatever its class.
	query() query
	// collect reads entries to their end, which may come in any order, and puts the records they make. An entry that makes
	// none is rejected with its place and reading goes on; an error of entries or of out ends it and is returned as it is.
	collect(entries iter.Seq2[located, error], out collect.Sink) (outcome, error)
}

// query says which entries to ask a server for.
type query struct {
	filter string
	// attributes are asked for by name: an attribute that is not asked for is not given.
	attributes []string
	// telling are those of which the absence tells something, so that whether they are given at all must be known.
	telling []string
	// more are searches of their own, which the first can't take.
	more []search
}

// outcome is what a dialect knows of the whole once it has read it.
type outcome struct {
	reads    []string                   // kinds of record, for Provenance.Reads
	coverage map[string]access.Coverage // only what measuring the records would get wrong
	notes    []string                   // what could not be known and why, for whoever reads the evidence
}

// reading is what a dialect is told of one collection.
type reading struct {
	config *Config
	now    time.Time
	// given says whether the source gives an attribute (lower case) at all, to this reader: for an attribute that it doesn't
	// give, absent means unknown. For one that it does give, absent means not set.
	given func(attribute string) bool
	// signIns are the last sign-ins at other servers of the same directory; nil where these were not asked.
	signIns *signIns
}

// reject says why an entry makes no record. Over the network its place is its DN.
func (l located) reject(out collect.Sink, attribute, reason string) error {
	if l.Line == 0 {
		reason = l.DN + ": " + reason
	}
	return out.Reject(collect.Rejection{File: l.File, Line: l.Line, Column: attribute, Reason: reason})
}

// locate tells the sink where the next record is from, if it wants to know.
func (l located) locate(out collect.Sink) {
	if to, ok := out.(collect.Locator); ok {
		to.Locate(l.File, l.Line)
	}
}

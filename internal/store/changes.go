package store

import (
	"context"
	"fmt"
	"iter"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2"
	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"
)

// Change is something that was one way when Lapse looked, and another when it looked again. It happened after TimeBefore
// and by TimeAfter. Before and After are:
//
//	kind     field       values
//	person   status      the status; "" is: not in the roster
//	account  exists      true, false
//	account  enabled     true, false; "" is unknown
//	account  owner       the owner_id as the source says it
//	account  link        the person's key, else unmatched or disputed
//	seat     seat        held, ""; Key is the SKU
//	grant    privileged  held, ""; Key is the entitlement's id; held by any path
//
// What a source's or roster's first snapshot holds is no change.
type Change struct {
	Kind    string
	Source  string // "" for a person
	Subject string // account id or person key
	Person  string // person key, "" for none
	Field   string
	Key     string
	Before  string
	After   string

	RunBefore, RunAfter   uint64
	TimeBefore, TimeAfter time.Time
}

// ChangeFilter chooses changes. Empty fields choose all.
type ChangeFilter struct {
	Kinds        []string
	Fields       []string
	Sources      []string
	Subject      string
	Person       string
	Since, Until time.Time // of TimeAfter, Since included and Until not
	RunAfter     uint64    // seen by that run
}

// Changes reads the changes that published runs saw, in the order of their seeing. They outlive the snapshots.
func (s *Store) Changes(ctx context.Context, f ChangeFilter) iter.Seq2[Change, error] {
	var where conditions
	where.add("run_after IN (SELECT run FROM runs)")
	for _, among := range []struct {
		column string
		values []string
	}{{"kind", f.Kinds}, {"field", f.Fields}, {"source", f.Sources}} {
		if len(among.values) > 0 {
			where.add(among.column+" IN {"+among.column+":Array(String)}", clickhouse.Named(among.column, among.values))
		}
	}
	if f.Subject != "" {
		where.add("subject = {subject:String}", clickhouse.Named("subject", f.Subject))
	}
	if f.Person != "" {
		where.add("person = {person:String}", clickhouse.Named("person", f.Person))
	}
	if !f.Since.IsZero() {
		where.add("time_after >= fromUnixTimestamp64Milli({since:Int64}, 'UTC')", instant("since", f.Since))
	}
	if !f.Until.IsZero() {
		where.add("time_after < fromUnixTimestamp64Milli({until:Int64}, 'UTC')", instant("until", f.Until))
	}
	if f.RunAfter != 0 {
		where.add("run_after = {run:UInt64}", clickhouse.Named("run", f.RunAfter))
	}
	scan := func(rows driver.Rows, c *Change) error {
		return rows.Scan(&c.Kind, &c.Source, &c.Subject, &c.Person, &c.Field, &c.Key, &c.Before, &c.After,
			&c.RunBefore, &c.RunAfter, &c.TimeBefore, &c.TimeAfter)
	}
	return func(yield func(Change, error) bool) {
		for c, err := range stream(ctx, s, scan, `SELECT kind, source, subject, person, field, key, before, after,
			run_before, run_after, time_before, time_after FROM changes`+where.sql()+
			" ORDER BY time_after, run_after, kind, source, subject, field, key", where.args...) {
			if err != nil {
				err = fmt.Errorf("read changes: %w", err)
			}
			if !yield(c, err) {
				return
			}
		}
	}
}

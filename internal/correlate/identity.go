// Package correlate says who the people are and which account belongs to whom.
package correlate

import (
	"cmp"
	"iter"
	"slices"
	"time"

	"github.com/lapse-audit/lapse/internal/access"
)

// RosterRecord is a worker record and the uid of the roster it comes from.
type RosterRecord struct {
	Roster string
	access.Person
}

// Joins says which people of several rosters are one: alias key to canonical key, both access.PersonKey. A canonical
// key may itself be an alias; in a ring of aliases the smallest key is canonical.
type Joins map[string]string

// Canonical follows the joins from key to the key that stands for the person.
func (j Joins) Canonical(key string) string {
	to, ok := j[key]
	if !ok {
		return key
	}
	trail := []string{key}
	for ok {
		if at := slices.Index(trail, to); at >= 0 {
			return slices.Min(trail[at:])
		}
		trail = append(trail, to)
		key = to
		to, ok = j[key]
	}
	return key
}

// standing is where one worker record stands at a moment. The order of the constants is the order in which records
// decide about their person: whoever works somewhere is active, and a rehire who has not started yet has still ended.
type standing int

const (
	stActive standing = iota
	stLeave
	stEnded
	stFuture
)

var statuses = [...]access.PersonStatus{access.PersonActive, access.PersonLeave, access.PersonEnded, access.PersonFuture}

// stands judges a record by its dates; the roster's own word counts only where the date is absent, and for leave.
func stands(p *access.Person, at time.Time) standing {
	switch {
	case p.EndAt != nil && !p.EndAt.After(at):
		return stEnded
	case p.EndAt == nil && p.Status == access.PersonEnded:
		return stEnded
	case p.StartAt != nil && p.StartAt.After(at):
		return stFuture
	case p.StartAt == nil && p.Status == access.PersonFuture:
		return stFuture
	case p.Status == access.PersonLeave:
		return stLeave
	}
	return stActive
}

// People are worker records brought together into people, without a copy of either.
type People struct {
	records []RosterRecord
	joins   Joins
	at      time.Time
	keys    []string // by record, canonical
	order   []int32  // the records by key, the leading one first
	count   int
}

// Identities makes one identity of all worker records that share a roster and ID, or that joins ties together, as of
// at. The result is ordered by key; the order of records does not matter, and records is not changed.
//
// A record has ended when its EndAt is not after at, is in the future when its StartAt is after at, is on leave when the
// roster says so, and else is active. The person is active if any record is; else on leave, ended, or in the future, in
// that order. The record that decides leads: its fields are the identity's. Among several the one that started last
// leads if current, that ended last if ended, that starts first if in the future. So EndAt of a current person is the
// leading record's, if it has one, and EndAt of an ended person the latest known. ManagerID becomes the manager's
// canonical access.PersonKey.
func Identities(records []RosterRecord, joins Joins, at time.Time) *People {
	p := &People{records: records, joins: joins, at: at, keys: make([]string, len(records)), order: make([]int32, len(records))}
	for i := range records {
		p.keys[i] = joins.Canonical(access.PersonKey(records[i].Roster, records[i].ID))
		p.order[i] = int32(i)
	}
	slices.SortFunc(p.order, func(a, b int32) int {
		return cmp.Or(cmp.Compare(p.keys[a], p.keys[b]), compareRecords(&records[a], &records[b], at))
	})
	for i := range p.order {
		if i == 0 || p.keys[p.order[i]] != p.keys[p.order[i-1]] {
			p.count++
		}
	}
	return p
}

// Len is the number of people.
func (p *People) Len() int { return p.count }

// All yields the identities, which are made anew each time: of a large company all at once take more memory than its records.
func (p *People) All() iter.Seq[access.Identity] {
	return func(yield func(access.Identity) bool) {
		for key, records := range p.each() {
			if !yield(identity(key, p.records, records, p.joins, p.at)) {
				return
			}
		}
	}
}

// each yields the key of each person and which records are his.
func (p *People) each() iter.Seq2[string, []int32] {
	return func(yield func(string, []int32) bool) {
		for rest := p.order; len(rest) > 0; {
			key := p.keys[rest[0]]
			n := 1
			for n < len(rest) && p.keys[rest[n]] == key {
				n++
			}
			if !yield(key, rest[:n]) {
				return
			}
			rest = rest[n:]
		}
	}
}

// compareRecords puts the leading record first.
func compareRecords(a, b *RosterRecord, at time.Time) int {
	sa, sb := stands(&a.Person, at), stands(&b.Person, at)
	if sa != sb {
		return cmp.Compare(sa, sb)
	}
	var byDate int
	switch sa {
	case stEnded:
		byDate = latestFirst(a.EndAt, b.EndAt)
	case stFuture:
		byDate = -latestFirst(a.StartAt, b.StartAt)
	default:
		byDate = latestFirst(a.StartAt, b.StartAt)
	}
	return cmp.Or(byDate, cmp.Compare(a.Roster, b.Roster), cmp.Compare(a.ID, b.ID), cmp.Compare(a.RecordID, b.RecordID))
}

// latestFirst orders later times first and absent ones last.
func latestFirst(a, b *time.Time) int {
	switch {
	case a == nil && b == nil:
		return 0
	case a == nil:
		return 1
	case b == nil:
		return -1
	}
	return b.Compare(*a)
}

func identity(key string, records []RosterRecord, order []int32, joins Joins, at time.Time) access.Identity {
	lead := &records[order[0]]
	id := access.Identity{Person: lead.Person, Key: key, Roster: lead.Roster, Records: len(order)}
	id.Status = statuses[stands(&lead.Person, at)]
	if id.ManagerID != "" {
		id.ManagerID = joins.Canonical(access.PersonKey(lead.Roster, lead.ManagerID))
	}
	id.Aliases = make([]string, 1, 1+len(order)/2)
	id.Aliases[0] = key
	for _, i := range order {
		r := &records[i]
		if r.StartAt != nil && (id.FirstStartAt == nil || r.StartAt.Before(*id.FirstStartAt)) {
			id.FirstStartAt = r.StartAt
		}
		if alias := access.PersonKey(r.Roster, r.ID); !slices.Contains(id.Aliases, alias) {
			id.Aliases = append(id.Aliases, alias)
		}
	}
	slices.Sort(id.Aliases[1:])
	return id
}

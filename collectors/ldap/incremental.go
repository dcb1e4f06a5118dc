package ldap

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"hash/maphash"
	"iter"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/go-ldap/ldap/v3"
)

// incremental reads what changed and takes the rest from the cache. What it yields is what a full read would: attributes
// that change without a trace in the log of changes are not asked for, or asked for each time.
type incremental struct {
	k     *Collector
	st    *stream // of all entries
	bases []string
	query query
	now   time.Time
	notes []string
	// locks are the computed bits of accounts that were locked at some time, by objectGUID. They change with time alone.
	locks map[string]string
}

// volatile are the attributes that leave no trace in the log of changes: they differ from server to server, or with time.
var volatile = []string{"lastLogon", "msDS-User-Account-Control-Computed"}

// steady is a query without them. It takes containers, too: what they are called is part of what all others are called.
func steady(q query) query {
	q.filter = "(|" + q.filter
	for _, class := range containers {
		q.filter += "(objectClass=" + class + ")"
	}
	q.filter += ")"
	q.attributes = slices.DeleteFunc(slices.Clone(q.attributes), func(a string) bool {
		return slices.ContainsFunc(volatile, func(v string) bool { return strings.EqualFold(a, v) })
	})
	return q
}

func (x *incremental) note(format string, args ...any) {
	x.notes = append(x.notes, fmt.Sprintf(format, args...))
}

// all yields every entry. The cache is replaced once all were taken.
func (x *incremental) all(ctx context.Context) iter.Seq2[located, error] {
	return func(yield func(located, error) bool) {
		if err := x.run(ctx, yield); err != nil && !errors.Is(err, errStop) {
			yield(located{}, err)
		}
	}
}

func (x *incremental) run(ctx context.Context, yield func(located, error) bool) error {
	head, err := x.begin(ctx)
	if err != nil {
		return err
	}
	if err := x.readLocks(ctx); err != nil {
		return err
	}
	kept, why := x.usable(head)
	var changes *delta
	if kept != nil {
		changes, err = x.st.delta(ctx, kept, x.bases, x.query)
		switch {
		case ctx.Err() != nil:
			return context.Cause(ctx)
		case err != nil:
			kept, why = nil, err.Error()
		}
	}
	if kept == nil {
		x.note("everything was read: what was kept of the last time can't be used: %s", why)
		return x.full(ctx, head, nil, yield)
	}
	head.Cookie = kept.head.Cookie
	if !x.now.Before(kept.head.FullAt.Add(time.Duration(x.k.config.Incremental.FullEvery))) {
		x.note("everything was read, which was last done at %s", kept.head.FullAt.Format(time.RFC3339))
		want, err := x.expect(kept, changes)
		if err != nil {
			return err
		}
		return x.full(ctx, head, want, yield)
	}
	head.FullAt = kept.head.FullAt
	return x.merge(ctx, head, kept, changes, yield)
}

// begin notes where the log of changes stands before anything is read.
func (x *incremental) begin(ctx context.Context) (cacheHead, error) {
	identity, err := json.Marshal([]any{x.bases, x.query.filter, x.query.attributes, x.k.describe(), x.st.s.identity, x.st.s.root.defaultContext})
	if err != nil {
		panic(err)
	}
	head := cacheHead{Query: fmt.Sprintf("%x", sha256.Sum256(identity)), Method: x.k.config.Incremental.Method, FullAt: x.now}
	if head.Method == USN {
		if head.USN, err = x.st.s.root.highestUSN(); err != nil {
			return head, err
		}
		if head.Invocation, err = x.st.invocation(ctx); err != nil {
			return head, fmt.Errorf("incremental.method: usn: %w", err)
		}
	}
	return head, nil
}

// usable opens the cache, or says why it is of no use.
func (x *incremental) usable(head cacheHead) (*cache, string) {
	c, err := openCache(x.k.cacheFile())
	switch {
	case err != nil:
		return nil, err.Error()
	case c.head.Query != head.Query:
		return nil, "it is of another configuration, account or domain"
	case c.head.Method != head.Method:
		return nil, "it was written with another incremental.method"
	case c.head.Invocation != head.Invocation:
		return nil, "it is of another domain controller, or this one was restored from a backup"
	case c.head.USN > head.USN:
		return nil, "the domain controller has gone back in time: it was restored from a backup"
	case c.head.FullAt.After(x.now):
		return nil, "it is from the future: a clock was set back"
	}
	return c, ""
}

// full reads everything, keeps it, and compares it with what was expected.
func (x *incremental) full(ctx context.Context, head cacheHead, want map[string]uint64, yield func(located, error) bool) error {
	if head.Method == DirSync && head.Cookie == nil {
		err := x.st.insist(ctx, func() (err error) {
			head.Cookie, err = x.st.dirSync(ctx, []string{"objectGUID"}, nil, func(*ldap.Entry) error { return nil })
			return err
		})
		if err != nil {
			return fmt.Errorf("incremental.method: dirsync: %w", err)
		}
	}
	w, err := newCache(x.k.cacheFile(), head)
	if err != nil {
		return fmt.Errorf("incremental: %w", err)
	}
	defer w.discard()
	var wrong []string
	extra, different := 0, 0
	for e, err := range x.st.all(ctx) {
		if err != nil {
			return err
		}
		if err := w.put(e.Entry); err != nil {
			return fmt.Errorf("incremental: %w", err)
		}
		if want != nil {
			id := guidOf(e.Entry)
			sum, ok := want[id]
			switch {
			case !ok:
				extra++
				wrong = append(wrong, e.DN)
			case sum != contentSum(e.Entry):
				different++
				wrong = append(wrong, e.DN)
			}
			delete(want, id)
		}
		if !yield(x.locked(e), nil) {
			return errStop
		}
	}
	if want != nil {
		if len(want)+extra+different == 0 {
			x.note("it agrees with what was kept and the changes since")
		} else {
			x.note("it differs from what was kept and the changes since: %d entries were missing there, %d there no longer exist, %d are different; they changed in the meantime, or the incremental read is at fault: %s",
				extra, len(want), different, strings.Join(wrong[:min(5, len(wrong))], "; "))
		}
	}
	if err := w.commit(); err != nil {
		return fmt.Errorf("incremental: %w", err)
	}
	return nil
}

// merge yields what is kept with the changes in it, and keeps that.
func (x *incremental) merge(ctx context.Context, head cacheHead, kept *cache, d *delta, yield func(located, error) bool) error {
	w, err := newCache(x.k.cacheFile(), head)
	if err != nil {
		return fmt.Errorf("incremental: %w", err)
	}
	defer w.discard()
	n := 0
	for e, err := range merged(kept, d) {
		if err == nil {
			err = ctx.Err()
		}
		if err == nil {
			err = w.put(e)
		}
		if err != nil {
			return fmt.Errorf("incremental: %w", err)
		}
		n++
		if !yield(x.locked(located{Entry: e, File: x.st.s.url}), nil) {
			return errStop
		}
	}
	x.note("%d entries are from the full read of %s and the changes since; this time %d had changed and %d were deleted or left what is read", n, head.FullAt.Format(time.RFC3339), len(d.changed), len(d.gone))
	if err := w.commit(); err != nil {
		return fmt.Errorf("incremental: %w", err)
	}
	return nil
}

// expect is what a full read should find: a sum of each entry by its objectGUID.
func (x *incremental) expect(kept *cache, d *delta) (map[string]uint64, error) {
	out := map[string]uint64{}
	for e, err := range merged(kept, d) {
		if err != nil {
			return nil, fmt.Errorf("incremental: %w", err)
		}
		out[guidOf(e)] = contentSum(e)
	}
	return out, nil
}

// merged is the cache as it would be if it were written now. An entry that is renamed or deleted changes the values of
// those that name it, without these counting as changed: so they are changed here.
func merged(kept *cache, d *delta) iter.Seq2[*ldap.Entry, error] {
	return func(yield func(*ldap.Entry, error) bool) {
		renamed := map[string]string{} // canonical DN to the present one, "" for none
		if len(d.changed)+len(d.gone) > 0 {
			for e, err := range kept.entries() {
				if err != nil {
					yield(nil, err)
					return
				}
				id := guidOf(e.Entry)
				if now := d.changed[id]; now != nil && now.DN != e.DN {
					renamed[fold(e.DN)] = now.DN
				} else if d.gone[id] {
					renamed[fold(e.DN)] = ""
				}
			}
		}
		old := map[string]bool{}
		for e, err := range kept.entries() {
			if err != nil {
				yield(nil, err)
				return
			}
			id := guidOf(e.Entry)
			now := e.Entry
			if changed := d.changed[id]; changed != nil {
				now, old[id] = changed, true
			} else if d.gone[id] {
				continue
			} else if len(renamed) > 0 {
				rename(now, renamed)
			}
			if !yield(now, nil) {
				return
			}
		}
		for _, id := range slices.Sorted(maps.Keys(d.changed)) {
			if !old[id] && !yield(d.changed[id], nil) {
				return
			}
		}
	}
}

// naming are the attributes whose values are names of entries.
var naming = []string{"member", "manager", "managedBy", "msDS-PSOAppliesTo"}

func rename(e *ldap.Entry, renamed map[string]string) {
	for _, a := range e.Attributes {
		if !slices.ContainsFunc(naming, func(n string) bool { return strings.EqualFold(n, a.Name) }) {
			continue
		}
		values := a.Values[:0]
		for _, v := range a.Values {
			if now, ok := renamed[fold(v)]; !ok {
				values = append(values, v)
			} else if now != "" {
				values = append(values, now)
			}
		}
		a.Values = values
	}
}

var sumSeed = maphash.MakeSeed()

// contentSum is the same for entries with the same values, in whatever order a server gives them.
func contentSum(e *ldap.Entry) uint64 {
	sum := maphash.String(sumSeed, e.DN)
	for _, a := range e.Attributes {
		name := strings.ToLower(a.Name)
		for _, v := range a.Values {
			sum += maphash.String(sumSeed, name+"\x00"+v)
		}
	}
	return sum
}

// readLocks asks who is locked now.
func (x *incremental) readLocks(ctx context.Context) error {
	x.locks = map[string]string{}
	var searches []search
	for _, base := range x.bases {
		searches = append(searches, search{base: base, filter: "(&" + x.query.filter + "(lockoutTime>=1))", names: []string{"objectGUID", "msDS-User-Account-Control-Computed"}})
	}
	v := newView()
	for e, err := range newStream(x.k, x.st.s, searches).all(ctx) {
		if err != nil {
			return err
		}
		v.of(e.Entry)
		x.locks[guidOf(e.Entry)] = v.text("msds-user-account-control-computed")
	}
	return nil
}

// locked adds to an entry whether it is locked now.
func (x *incremental) locked(e located) located {
	bits, ok := x.locks[guidOf(e.Entry)]
	if !ok || bits == "" {
		return e
	}
	now := *e.Entry
	now.Attributes = append(slices.Clip(now.Attributes), &ldap.EntryAttribute{Name: "msDS-User-Account-Control-Computed", Values: []string{bits}})
	e.Entry = &now
	return e
}

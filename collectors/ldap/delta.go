package ldap

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/go-ldap/ldap/v3"
)

// delta is what changed since the last read, by objectGUID as it comes.
type delta struct {
	changed map[string]*ldap.Entry // as they are now, in what is asked for
	gone    map[string]bool        // deleted, or no longer in what is asked for
}

// wholeAbove is how many changes are more than reading all is worth.
const wholeAbove = 50_000

// containers are the classes whose entries name those below them: a renamed one renames all of these, and none of them
// changes for it.
var containers = []string{"organizationalunit", "container", "builtindomain"}

// delta asks what changed since the cache was written. Names of changed entries come from the change log, their content
// from a search for each: what is read is what a full read would give.
func (st *stream) delta(ctx context.Context, c *cache, bases []string, q query) (*delta, error) {
	touched := map[string]bool{}
	var cookie []byte
	err := st.insist(ctx, func() (err error) {
		clear(touched)
		note := func(e *ldap.Entry) error { return touch(e, touched) }
		if c.head.Method == DirSync {
			cookie, err = st.dirSync(ctx, st.k.logNames(q), c.head.Cookie, note)
			return err
		}
		return st.sinceUSN(ctx, c.head.USN, note)
	})
	if err != nil {
		return nil, err
	}
	c.head.Cookie = cookie
	d := &delta{changed: map[string]*ldap.Entry{}, gone: touched}
	if err := st.fetch(ctx, bases, q, d); err != nil {
		return nil, err
	}
	visible, err := st.seesDeleted(ctx)
	if err != nil {
		return nil, err
	}
	if !visible {
		if err := st.missing(ctx, c, bases, q, d); err != nil {
			return nil, err
		}
	}
	return d, d.renamedContainer(c)
}

// renamedContainer is an error if a container has another name than it had, has gone, or came from elsewhere.
func (d *delta) renamedContainer(c *cache) error {
	if len(d.changed)+len(d.gone) == 0 {
		return nil
	}
	v := newView()
	known := map[string]bool{}
	for e, err := range c.entries() {
		if err != nil {
			return err
		}
		if v.of(e.Entry); !isContainer(v) {
			continue
		}
		id := guidOf(e.Entry)
		known[id] = true
		if now := d.changed[id]; d.gone[id] || now != nil && fold(now.DN) != fold(e.DN) {
			return fmt.Errorf("%s was renamed, moved or deleted, and with it the names of all below it", e.DN)
		}
	}
	for id, e := range d.changed {
		if v.of(e); known[id] || !isContainer(v) {
			continue
		}
		if created := v.time("whencreated"); created == nil || created.Before(c.head.FullAt) {
			return fmt.Errorf("%s was moved here with all below it", e.DN)
		}
	}
	return nil
}

// logNames are the attributes to be told changes of: what is asked for, the name, and what decides what is asked for.
func (k *Collector) logNames(q query) []string {
	names := append([]string{"isDeleted", "name"}, q.attributes...)
	if k.config.Filter != "" {
		f, err := parseFilter(k.config.Filter)
		if err != nil { // a server may know more than we do: any change then
			return nil
		}
		names = append(names, f.attributes()...)
	}
	return distinct(names)
}

// touch notes an entry that changed.
func touch(e *ldap.Entry, touched map[string]bool) error {
	id := guidOf(e)
	if id == "" {
		return errors.New("a change came without an objectGUID")
	}
	touched[id] = true
	if len(touched) > wholeAbove {
		return fmt.Errorf("more than %d entries changed", wholeAbove)
	}
	return nil
}

func isContainer(v *view) bool { return slices.ContainsFunc(containers, v.is) }

// dirSync follows the log of changes ([MS-ADTS] 3.1.1.3.4.1.3) from a cookie, nil for the beginning, and returns the one
// to go on from.
func (st *stream) dirSync(ctx context.Context, names []string, cookie []byte, do func(*ldap.Entry) error) ([]byte, error) {
	const objectSecurity = 1 // see what this account may see, without the right to replicate
	control := ldap.NewRequestControlDirSync(objectSecurity, 0, cookie)
	req := ldap.NewSearchRequest(st.s.root.defaultContext, ldap.ScopeWholeSubtree, ldap.NeverDerefAliases, 0, 0, false, "(objectClass=*)", names, []ldap.Control{control})
	for {
		var done answer
		for e, err := range st.s.search(ctx, req, &done) {
			if err == nil {
				err = do(e)
			}
			if err != nil {
				return cookie, err
			}
		}
		answer, ok := ldap.FindControl(done.controls, ldap.ControlTypeDirSync).(*ldap.ControlDirSync)
		if !ok {
			return cookie, errors.New("the server doesn't say how far the log of changes goes")
		}
		cookie = slices.Clone(answer.Cookie)
		control.SetCookie(cookie)
		if answer.Flags == 0 {
			return cookie, nil
		}
	}
}

// sinceUSN finds the entries whose update sequence number is above one.
func (st *stream) sinceUSN(ctx context.Context, usn int64, do func(*ldap.Entry) error) error {
	q := search{
		base: st.s.root.defaultContext, filter: fmt.Sprintf("(uSNChanged>=%d)", usn+1), names: []string{"objectGUID"},
		controls: []ldap.Control{ldap.NewControlMicrosoftShowDeleted()},
	}
	for e, err := range newStream(st.k, st.s, []search{q}).all(ctx) {
		if err != nil {
			return err
		}
		if err := do(e.Entry); err != nil {
			return err
		}
	}
	return nil
}

// fetch reads the entries that changed as they are now.
func (st *stream) fetch(ctx context.Context, bases []string, q query, d *delta) error {
	const batch = 100
	ids := make([]string, 0, len(d.gone))
	for id := range d.gone {
		ids = append(ids, id)
	}
	slices.Sort(ids)
	for part := range slices.Chunk(ids, batch) {
		var which strings.Builder
		for _, id := range part {
			which.WriteString("(objectGUID=")
			for _, b := range []byte(id) {
				fmt.Fprintf(&which, `\%02x`, b)
			}
			which.WriteString(")")
		}
		var searches []search
		for _, base := range bases {
			searches = append(searches, search{base: base, filter: "(&" + q.filter + "(|" + which.String() + "))", names: q.attributes})
		}
		for e, err := range newStream(st.k, st.s, searches).all(ctx) {
			if err != nil {
				return err
			}
			id := guidOf(e.Entry)
			d.changed[id] = e.Entry
			delete(d.gone, id)
		}
	}
	return nil
}

// guidOf is the objectGUID of an entry as it comes, "" for none.
func guidOf(e *ldap.Entry) string {
	for _, a := range e.Attributes {
		if strings.EqualFold(a.Name, "objectGUID") && len(a.Values) > 0 {
			return a.Values[0]
		}
	}
	return ""
}

// seesDeleted reports whether the log of changes tells us of deletions: who may not see a deleted entry is not told that
// it was deleted. That is known only if one is seen.
func (st *stream) seesDeleted(ctx context.Context) (found bool, err error) {
	err = st.insist(ctx, func() error {
		found, err = st.hasAny(ctx, "CN=Deleted Objects,"+st.s.root.defaultContext, "(&(isDeleted=TRUE)(lastKnownParent=*))", ldap.NewControlMicrosoftShowDeleted())
		return err
	})
	return found, err
}

// missing lists the ids of all entries there are, and counts those of the cache that are not among them as gone.
func (st *stream) missing(ctx context.Context, c *cache, bases []string, q query, d *delta) error {
	there := map[string]bool{}
	var searches []search
	for _, base := range bases {
		searches = append(searches, search{base: base, filter: q.filter, names: []string{"objectGUID"}})
	}
	for e, err := range newStream(st.k, st.s, searches).all(ctx) {
		if err != nil {
			return err
		}
		there[guidOf(e.Entry)] = true
	}
	for e, err := range c.entries() {
		if err != nil {
			return err
		}
		if id := guidOf(e.Entry); !there[id] && d.changed[id] == nil {
			d.gone[id] = true
		}
	}
	return nil
}

// invocation is the id of the database that a server's update sequence numbers count in. It changes when the server is
// restored from a backup.
func (st *stream) invocation(ctx context.Context) (string, error) {
	out := ""
	err := st.insist(ctx, func() error {
		req := ldap.NewSearchRequest(st.s.root.service, ldap.ScopeBaseObject, ldap.NeverDerefAliases, 0, 0, false, "(objectClass=*)", []string{"invocationId"}, nil)
		for e, err := range st.s.search(ctx, req, nil) {
			if err != nil {
				return err
			}
			for _, a := range e.Attributes {
				if len(a.Values) > 0 {
					var err error
					if out, err = guidText([]byte(a.Values[0])); err != nil {
						return err
					}
				}
			}
		}
		if out == "" {
			return errors.New("the server doesn't say which database its update sequence numbers count in")
		}
		return nil
	})
	return out, err
}

func (r rootDSE) highestUSN() (int64, error) {
	n, err := strconv.ParseInt(r.usn, 10, 64)
	if err != nil {
		return 0, errors.New("the server doesn't say its highest update sequence number")
	}
	return n, nil
}

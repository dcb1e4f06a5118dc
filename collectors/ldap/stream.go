package ldap

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/go-ldap/ldap/v3"

	"github.com/lapse-audit/lapse/internal/collect"
)

// stream reads the entries of one server, each once, in the order in which the server gives them.
//
// A connection that breaks is made anew, to the same server, and everything is asked for again: the cookie of a page is
// bound to its connection. What was passed on already is known by its id and passed over, so that nothing is lost and
// nothing comes twice.
type stream struct {
	k        *Collector
	s        *session
	searches []search
	seen     *collect.Marks

	referrals int64
	resumed   int
}

// search is one request of a stream.
type search struct {
	base     string
	filter   string
	names    []string
	controls []ldap.Control
	optional bool // that its base is missing or may not be read is no error
}

func newStream(k *Collector, s *session, searches []search) *stream {
	return &stream{k: k, s: s, searches: searches, seen: collect.NewMarks()}
}

// patience is how often in a row a connection may break without a single new entry.
const patience = 3

// errStop says that the consumer wants no more.
var errStop = errors.New("stop")

// all yields the entries. An error is the last that it yields.
func (st *stream) all(ctx context.Context) iter.Seq2[located, error] {
	return func(yield func(located, error) bool) {
		err := st.insist(ctx, func() error { return st.pass(ctx, yield) })
		if err != nil && !errors.Is(err, errStop) {
			yield(located{}, err)
		}
	}
}

// insist does something again, over a new connection, until the connection holds out. It gives up when it breaks time and
// again without a new entry.
func (st *stream) insist(ctx context.Context, do func() error) error {
	for failures := 0; ; {
		before := st.seen.Len()
		err := do()
		switch {
		case err == nil, errors.Is(err, errStop):
			return err
		case ctx.Err() != nil:
			return context.Cause(ctx)
		case !broken(err):
			return fmt.Errorf("%s: %w", st.s.url, explain(err))
		}
		if st.seen.Len() > before {
			failures = 0
		}
		for {
			if failures++; failures > patience {
				return fmt.Errorf("%s: %w: given up after %d entries, as %d attempts brought no other", st.s.url, err, st.seen.Len(), patience)
			}
			if err := pause(ctx, time.Duration(failures)*st.k.pause); err != nil {
				return err
			}
			if err = st.reconnect(ctx); err == nil {
				break
			}
			var refused *refusal
			if errors.As(err, &refused) || ctx.Err() != nil {
				return err
			}
		}
	}
}

func pause(ctx context.Context, d time.Duration) error {
	select {
	case <-time.After(d):
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// reconnect replaces the session by a new one with the same server.
func (st *stream) reconnect(ctx context.Context) error {
	st.s.close()
	s, err := st.k.open(ctx, st.s.url)
	if err != nil {
		return err
	}
	s.passed = st.s.passed
	*st.s = *s
	st.resumed++
	return nil
}

// pass reads everything once from the start.
func (st *stream) pass(ctx context.Context, yield func(located, error) bool) error {
	for _, q := range st.searches {
		err := st.pages(ctx, q, yield)
		if q.optional && ldap.IsErrorAnyOf(err, ldap.LDAPResultNoSuchObject, ldap.LDAPResultInsufficientAccessRights, ldap.LDAPResultUnavailableCriticalExtension) {
			continue
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// pages reads a search page by page.
func (st *stream) pages(ctx context.Context, q search, yield func(located, error) bool) error {
	req := ldap.NewSearchRequest(q.base, ldap.ScopeWholeSubtree, ldap.NeverDerefAliases, 0, 0, false, q.filter, q.names, q.controls)
	paged := slices.Contains(st.s.root.controls, ldap.ControlTypePaging)
	page := ldap.NewControlPaging(st.k.config.PageSize)
	if paged {
		req.Controls = append(slices.Clip(req.Controls), page)
	}
	for empty := 0; ; {
		var done answer
		var ranged []*ldap.Entry // completed after the page: a connection does one thing at a time
		n := 0
		for e, err := range st.s.search(ctx, req, &done) {
			if err != nil {
				return err
			}
			n++
			if _, _, more := rangeOf(e); more {
				ranged = append(ranged, e)
				continue
			}
			if err := st.once(e, yield); err != nil {
				return err
			}
		}
		st.referrals += done.referrals
		for _, e := range ranged {
			there, err := st.complete(ctx, e)
			if err != nil {
				return err
			}
			if !there {
				continue
			}
			if err := st.once(e, yield); err != nil {
				return err
			}
		}
		if !paged {
			return nil
		}
		answer, ok := ldap.FindControl(done.controls, ldap.ControlTypePaging).(*ldap.ControlPaging)
		switch {
		case !ok:
			return fmt.Errorf("search %s: a page ended without saying whether there is another", q.base)
		case len(answer.Cookie) == 0:
			return nil
		}
		if empty++; n > 0 {
			empty = 0
		}
		if empty > 1000 {
			return fmt.Errorf("search %s: a thousand pages in a row are empty and none is the last", q.base)
		}
		page.SetCookie(slices.Clone(answer.Cookie))
	}
}

// once passes an entry on if it was not before.
func (st *stream) once(e *ldap.Entry, yield func(located, error) bool) error {
	key := st.key(e)
	if st.seen.Get(key) > 0 {
		return nil
	}
	st.seen.Set(key, 1)
	if !yield(located{Entry: e, File: st.s.url}, nil) {
		return errStop
	}
	return nil
}

// ids are the attributes that hold an id that never changes.
var ids = []string{"objectguid", "entryuuid", "nsuniqueid", "ipauniqueid"}

// key tells an entry from all others, also after a rename.
func (st *stream) key(e *ldap.Entry) collect.Mark {
	text := e.DN
	for _, a := range e.Attributes {
		if len(a.Values) > 0 && slices.ContainsFunc(ids, func(id string) bool { return strings.EqualFold(id, a.Name) }) {
			text = a.Values[0]
			break
		}
	}
	return st.seen.Of(text)
}

// rangeOf finds the first attribute of which a server gave only a range of values ([MS-ADTS] 3.1.1.3.1.3.3):
// member;range=0-1499. next is the number of the first value that is missing.
func rangeOf(e *ldap.Entry) (a *ldap.EntryAttribute, next int, more bool) {
	for _, a := range e.Attributes {
		if _, high, ok := parseRange(a.Name); ok && high >= 0 {
			return a, high + 1, true
		}
	}
	return nil, 0, false
}

// parseRange reads the range of an attribute description; high is -1 for the last one.
func parseRange(description string) (low, high int, ok bool) {
	for _, option := range strings.Split(description, ";")[1:] {
		if len(option) < 6 || !strings.EqualFold(option[:6], "range=") {
			continue
		}
		from, to, _ := strings.Cut(option[6:], "-")
		low, err := strconv.Atoi(from)
		if err != nil {
			return 0, 0, false
		}
		if to == "*" {
			return low, -1, true
		}
		high, err := strconv.Atoi(to)
		return low, high, err == nil && high >= low
	}
	return 0, 0, false
}

// complete fetches the values that a server left out. It reports false for an entry that was deleted in the meantime.
func (st *stream) complete(ctx context.Context, e *ldap.Entry) (there bool, err error) {
	base := e.DN
	for _, a := range e.Attributes {
		if strings.EqualFold(a.Name, "objectguid") && len(a.Values) > 0 { // stays, whoever renames the entry
			base = fmt.Sprintf("<GUID=%x>", a.Values[0])
		}
	}
	for {
		a, next, more := rangeOf(e)
		if !more {
			return true, nil
		}
		name, _, _ := strings.Cut(a.Name, ";")
		req := ldap.NewSearchRequest(base, ldap.ScopeBaseObject, ldap.NeverDerefAliases, 0, 0, false, "(objectClass=*)", []string{fmt.Sprintf("%s;range=%d-*", name, next)}, nil)
		found := false
		var part *ldap.EntryAttribute
		for got, err := range st.s.search(ctx, req, nil) {
			if ldap.IsErrorWithCode(err, ldap.LDAPResultNoSuchObject) {
				return false, nil
			}
			if err != nil {
				return false, err
			}
			found = true
			for _, b := range got.Attributes {
				if low, _, ok := parseRange(b.Name); ok && low == next && strings.HasPrefix(strings.ToLower(b.Name), strings.ToLower(name)+";") {
					part = b
				}
			}
		}
		if !found {
			return false, nil
		}
		if part == nil || len(part.Values) == 0 {
			// Members were taken away in the meantime, so that the list ends before this range.
			a.Name = name
			continue
		}
		a.Name = part.Name
		a.Values = append(a.Values, part.Values...)
		if _, high, _ := parseRange(part.Name); high < 0 {
			a.Name = name
		}
	}
}

// given asks which of the attributes (lower case) the server gives to us at all, at any entry. Looking for one that is
// nowhere goes through all entries: so it is done once for all that are left.
func (st *stream) given(ctx context.Context, bases []string, filter string, attributes []string) (map[string]bool, error) {
	out := map[string]bool{}
	return out, st.insist(ctx, func() error {
		for _, base := range bases {
			for {
				left := slices.DeleteFunc(slices.Clone(attributes), func(a string) bool { return out[a] })
				if len(left) == 0 {
					return nil
				}
				e, err := st.first(ctx, base, "(&"+filter+"(|("+strings.Join(left, "=*)(")+"=*)))", left)
				if err != nil {
					return fmt.Errorf("ask for %s: %w", strings.Join(left, ", "), err)
				}
				if e == nil {
					break
				}
				before := len(out)
				for _, a := range e.Attributes {
					name, _, _ := strings.Cut(strings.ToLower(a.Name), ";")
					if slices.Contains(left, name) {
						out[name] = true
					}
				}
				if len(out) > before {
					continue
				}
				// Found by what it doesn't show: a server may search what it doesn't let read. Each is looked for by itself.
				for _, a := range left {
					e, err := st.first(ctx, base, "(&"+filter+"("+a+"=*))", []string{a})
					if err != nil {
						return fmt.Errorf("ask for %s: %w", a, err)
					}
					out[a] = e != nil && slices.ContainsFunc(e.Attributes, func(b *ldap.EntryAttribute) bool { return len(b.Values) > 0 })
				}
				break
			}
		}
		return nil
	})
}

// hasAny reports whether any entry is found.
func (st *stream) hasAny(ctx context.Context, base, filter string, controls ...ldap.Control) (bool, error) {
	e, err := st.first(ctx, base, filter, []string{"1.1"}, controls...)
	return e != nil, err
}

// first returns an entry that is found, nil for none. A server that doesn't want to search for so long has not found one.
func (st *stream) first(ctx context.Context, base, filter string, names []string, controls ...ldap.Control) (*ldap.Entry, error) {
	req := ldap.NewSearchRequest(base, ldap.ScopeWholeSubtree, ldap.NeverDerefAliases, 1, 20, false, filter, names, controls)
	if slices.Contains(st.s.root.controls, ldap.ControlTypePaging) { // Samba heeds a page's size and not the limit
		req.Controls = append(slices.Clip(req.Controls), ldap.NewControlPaging(1))
	}
	var found *ldap.Entry
	for e, err := range st.s.search(ctx, req, nil) {
		switch {
		case ldap.IsErrorAnyOf(err, ldap.LDAPResultSizeLimitExceeded, ldap.LDAPResultTimeLimitExceeded, ldap.LDAPResultAdminLimitExceeded,
			ldap.LDAPResultNoSuchObject, ldap.LDAPResultInsufficientAccessRights, ldap.LDAPResultUnwillingToPerform, ldap.LDAPResultUnavailableCriticalExtension):
		case err != nil:
			return nil, err
		default:
			found = e
		}
	}
	return found, nil
}

package ldap

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-ldap/ldap/v3"

	"github.com/lapse-audit/lapse/internal/access"
	"github.com/lapse-audit/lapse/internal/strict"
)

// An account that the domain protects, or will within the hour, is refused before anything is tried, with the reason, and
// nothing of it changes. An administrator may.
func TestProtectedAccount(t *testing.T) {
	d := changingDC(t)
	if err := delegated(); err != nil {
		t.Fatal(err)
	}
	until := time.Now()
	writer, admin := changer(t, d.writing(delegate)), changer(t, d.writing(adminDN))
	for _, dn := range []string{admin2, admin3} {
		was := d.search(t, dn)
		for _, c := range []access.Change{
			{Action: access.ActionDisable}, {Action: access.ActionResetPassword}, {Action: access.ActionExpire, Until: &until}, {Action: access.ActionMove, To: leavers},
		} {
			c.Object = account(d.fixed(t, dn))
			if err := admin.May(t.Context(), c); err != nil {
				t.Errorf("%s: an administrator may not %s: %v", dn, c.Action, err)
			}
			if err := writer.May(t.Context(), c); !errors.Is(err, access.ErrRefused) || !strings.Contains(err.Error(), "CN=AdminSDHolder") {
				t.Errorf("%s: the delegate may %s: %v", dn, c.Action, err)
			}
			if dn == admin3 { // the server would let it
				continue
			}
			if err := writer.Apply(t.Context(), c); !errors.Is(err, access.ErrRefused) || !strings.Contains(err.Error(), "CN=AdminSDHolder") {
				t.Errorf("%s: %s: %v", dn, c.Action, err)
			}
		}
		if now := d.search(t, dn); now != was {
			t.Errorf("it is\n%s\nand was\n%s", now, was)
		}
	}
	// The same goes for a group that gives such rights: taking members from it is no matter for a delegate.
	revoke := access.Change{Action: access.ActionRevoke, Object: account(d.fixed(t, admin3)), Entitlement: d.fixed(t, "CN=Operators,"+staff)}
	if err := admin.May(t.Context(), revoke); err != nil {
		t.Error(err)
	}
	if err := writer.May(t.Context(), revoke); !errors.Is(err, access.ErrRefused) || !strings.Contains(err.Error(), "CN=Domain Admins,CN=Users,") {
		t.Errorf("the delegate may revoke it: %v", err)
	}
	// That is not true of somebody who is in no such group.
	if err := writer.May(t.Context(), access.Change{Action: access.ActionDisable, Object: account(d.fixed(t, "CN=Boss,"+staff))}); err != nil {
		t.Error(err)
	}
	// Nor is it held against undoing what was done before they came into it.
	replace(t, d.admin(t), admin3, "userAccountControl", "66050")
	undo := access.Change{Action: access.ActionDisable, Object: account(d.fixed(t, admin3)), Undo: true, Before: &access.Live{Account: &access.Account{Enabled: new(true)}}}
	if err := writer.May(t.Context(), undo); err != nil {
		t.Error(err)
	}
	if err := writer.Apply(t.Context(), undo); err != nil || !strings.Contains(d.search(t, admin3, "userAccountControl"), ": 66048") {
		t.Errorf("undo: %v", err)
	}
}

// temporary is a user of a test's own.
func (d *dc) temporary(t testing.TB, c *ldap.Conn, dn, name string, more ...string) {
	t.Helper()
	add := ldap.NewAddRequest(dn, nil)
	add.Attribute("objectClass", []string{"user"})
	add.Attribute("sAMAccountName", []string{name})
	add.Attribute("userAccountControl", []string{"544"})
	for _, line := range more {
		attribute, value, _ := strings.Cut(line, ": ")
		add.Attribute(attribute, []string{value})
	}
	if err := c.Add(add); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Del(ldap.NewDelRequest(dn, nil)) }) // the test may have taken it away itself
}

func replace(t testing.TB, c *ldap.Conn, dn, attribute string, values ...string) {
	t.Helper()
	m := ldap.NewModifyRequest(dn, nil)
	m.Replace(attribute, values)
	if err := c.Modify(m); err != nil {
		t.Fatal(err)
	}
}

// What is changed has its effect: whoever is disabled, expired or without their password can't sign in, and can again once
// it is undone.
func TestChangedCantSignIn(t *testing.T) {
	d := changingDC(t)
	c := d.admin(t)
	const dn = "CN=Leaver," + staff
	d.temporary(t, c, dn, "leaver")
	var quoted []byte
	for _, b := range []byte(`"` + password + `"`) {
		quoted = append(quoted, b, 0)
	}
	replace(t, c, dn, "unicodePwd", string(quoted))
	replace(t, c, dn, "userAccountControl", "512")
	signsIn := func() bool {
		s, err := collector(t, func() Config { c := d.config(); c.Bind.DN = "leaver@corp.example"; return c }()).connect(t.Context())
		var refused *refusal
		if err != nil && !errors.As(err, &refused) {
			t.Fatal(err)
		}
		if err == nil {
			s.close()
		}
		return err == nil
	}
	if !signsIn() {
		t.Fatal("can't sign in from the start")
	}
	w := changer(t, d.writing(adminDN))
	object, past := account(d.guid(t, dn)), time.Now().Add(-time.Hour)
	before, err := w.Look(t.Context(), object)
	if err != nil {
		t.Fatal(err)
	}
	for _, ch := range []access.Change{
		{Action: access.ActionDisable, Note: note}, {Action: access.ActionExpire, Until: &past}, {Action: access.ActionResetPassword},
	} {
		ch.Object = object
		if err := w.Apply(t.Context(), ch); err != nil {
			t.Fatal(err)
		}
		if signsIn() {
			t.Errorf("after %s they sign in", ch.Action)
		}
		if ch.Action == access.ActionResetPassword {
			continue
		}
		ch.Undo, ch.Before = true, &before
		if err := w.Apply(t.Context(), ch); err != nil {
			t.Fatal(err)
		}
		if !signsIn() {
			t.Errorf("after undoing %s they can't sign in", ch.Action)
		}
	}
}

// Another account with the name of one that is gone is not it: not when it is looked at, and not between that and the change.
func TestRecreated(t *testing.T) {
	d := changingDC(t)
	c := d.admin(t)
	const dn = "CN=Phoenix," + staff
	d.temporary(t, c, dn, "phoenix")
	old := account(d.guid(t, dn))
	again := func() {
		if err := c.Del(ldap.NewDelRequest(dn, nil)); err != nil {
			t.Error(err)
		}
		add := ldap.NewAddRequest(dn, nil)
		add.Attribute("objectClass", []string{"user"})
		add.Attribute("sAMAccountName", []string{"phoenix"})
		add.Attribute("userAccountControl", []string{"544"})
		if err := c.Add(add); err != nil {
			t.Error(err)
		}
	}
	p := newProxy(t, d)
	p.write = sync.OnceValue(func() fault { again(); return pass })
	config := d.writing(adminDN)
	config.URL, config.CA = strict.Texts{p.url}, p.ca
	w := changer(t, config)
	if _, err := w.Look(t.Context(), old); err != nil {
		t.Fatal(err)
	}
	change := access.Change{Action: access.ActionDisable, Object: old, Note: note}
	if err := w.Apply(t.Context(), change); !errors.Is(err, access.ErrGone) {
		t.Errorf("re-created just before the change: %v", err)
	}
	if _, err := w.Look(t.Context(), old); !errors.Is(err, access.ErrGone) {
		t.Errorf("look: %v", err)
	}
	for _, o := range []access.Object{old, account("no id"), account(dn), account(`)(objectClass=*`)} {
		change.Object = o
		if err := w.Apply(t.Context(), change); !errors.Is(err, access.ErrGone) {
			t.Errorf("%s: %v", o.ID, err)
		}
		if err := w.May(t.Context(), change); !errors.Is(err, access.ErrGone) {
			t.Errorf("%s: may: %v", o.ID, err)
		}
	}
	if got := d.search(t, dn, "userAccountControl"); !strings.Contains(got, "userAccountControl: 544") {
		t.Errorf("the new one is %s", got)
	}
}

// What others write at the same moment, or between a change and its undoing, stays.
func TestChangesOfOthersStay(t *testing.T) {
	d := changingDC(t)
	c := d.admin(t)
	const dn = "CN=Busy," + staff
	d.temporary(t, c, dn, "busy", "info: first", "manager: CN=Boss,"+staff)
	p := newProxy(t, d)
	p.write = sync.OnceValue(func() fault { replace(t, c, dn, "info", "first, and more"); return pass })
	config := d.writing(adminDN)
	config.URL, config.CA = strict.Texts{p.url}, p.ca
	w := changer(t, config)
	object := account(d.guid(t, dn))
	before, err := w.Look(t.Context(), object)
	if err != nil {
		t.Fatal(err)
	}
	disable := access.Change{Action: access.ActionDisable, Object: object, Note: note}
	if err := w.Apply(t.Context(), disable); err != nil {
		t.Fatal(err)
	}
	info := func() string {
		e, err := c.Search(ldap.NewSearchRequest(dn, ldap.ScopeBaseObject, ldap.NeverDerefAliases, 0, 0, false, "(objectClass=*)", []string{"info", "userAccountControl"}, nil))
		if err != nil {
			t.Fatal(err)
		}
		return e.Entries[0].GetAttributeValue("userAccountControl") + " " + e.Entries[0].GetAttributeValue("info")
	}
	if got, want := info(), "546 first, and more\r\n"+note; got != want {
		t.Errorf("after disabling: %q, want %q", got, want)
	}
	replace(t, c, dn, "userAccountControl", "66082") // the password never expires
	replace(t, c, dn, "info", "zeroth\r\nfirst, and more\r\n"+note+"\r\nlast")
	disable.Undo, disable.Before = true, &before
	if err := w.Apply(t.Context(), disable); err != nil {
		t.Fatal(err)
	}
	if got, want := info(), "66080 zeroth\r\nfirst, and more\r\nlast"; got != want {
		t.Errorf("after undoing: %q, want %q", got, want)
	}

	until := time.Date(2026, 11, 30, 17, 0, 0, 0, time.UTC)
	for what, x := range map[string]struct {
		access.Change
		meanwhile func()
	}{
		"expiry":  {access.Change{Action: access.ActionExpire, Until: &until}, func() { replace(t, c, dn, "accountExpires", "133000000000000000") }},
		"manager": {access.Change{Action: access.ActionClearManager}, func() { replace(t, c, dn, "manager", "CN=Heir,"+staff) }},
		"place": {access.Change{Action: access.ActionMove, To: strings.ToLower(leavers)}, func() {
			if err := c.ModifyDN(ldap.NewModifyDNRequest("CN=Busy,"+leavers, "CN=Busy", true, "CN=Users,"+domain)); err != nil {
				t.Fatal(err)
			}
		}},
	} {
		before, err := w.Look(t.Context(), object)
		if err != nil {
			t.Fatal(err)
		}
		x.Object = object
		if err := w.Apply(t.Context(), x.Change); err != nil {
			t.Errorf("%s: %v", what, err)
			continue
		}
		after, err := w.Look(t.Context(), object)
		if err != nil {
			t.Fatal(err)
		}
		if done, known := x.Shows(after); !done || !known {
			t.Errorf("%s: after it was made it doesn't show", what)
		}
		x.meanwhile()
		x.Undo, x.Before = true, &before
		if err := w.Apply(t.Context(), x.Change); !errors.Is(err, access.ErrRefused) || !strings.Contains(err.Error(), "somebody else has changed") {
			t.Errorf("%s: undo: %v", what, err)
		}
		if what == "place" {
			if err := c.ModifyDN(ldap.NewModifyDNRequest("CN=Busy,CN=Users,"+domain, "CN=Busy", true, staff)); err != nil {
				t.Fatal(err)
			}
		}
	}
}

// What was so before is no part of undoing it.
func TestUndoOfNothing(t *testing.T) {
	d := changingDC(t)
	c := d.admin(t)
	const dn = "CN=Idle," + staff
	d.temporary(t, c, dn, "idle", "accountExpires: 133000000000000000")
	replace(t, c, dn, "userAccountControl", "546")
	w := changer(t, d.writing(adminDN))
	object := account(d.guid(t, dn))
	until := time.Now()
	was := d.search(t, dn)
	before, err := w.Look(t.Context(), object)
	if err != nil {
		t.Fatal(err)
	}
	for _, change := range []access.Change{
		{Action: access.ActionDisable}, {Action: access.ActionExpire, Until: &until}, {Action: access.ActionRevoke, Entitlement: d.fixed(t, "CN=Readers,"+staff)},
		{Action: access.ActionClearManager}, {Action: access.ActionMove, To: staff}, {Action: access.ActionHandover, To: d.fixed(t, "CN=Heir,"+staff)},
	} {
		change.Object, change.Note = object, note
		for _, undo := range []bool{false, true} {
			change.Undo, change.Before = undo, &before
			if err := w.Apply(t.Context(), change); err != nil {
				t.Errorf("%s, undo %v: %v", change.Action, undo, err)
			}
		}
	}
	if now := d.search(t, dn); now != was {
		t.Errorf("it is\n%s\nand was\n%s", now, was)
	}
}

// From its only group an account can't be taken, and it is said how to mend that.
func TestOnlyGroup(t *testing.T) {
	d := changingDC(t)
	const dn = "CN=Lonely," + staff
	d.temporary(t, d.admin(t), dn, "lonely")
	w := changer(t, d.writing(adminDN))
	c := access.Change{Action: access.ActionRevoke, Object: account(d.fixed(t, dn)), Entitlement: d.fixed(t, "CN=Domain Users,CN=Users,"+domain)}
	for _, err := range []error{w.May(t.Context(), c), w.Apply(t.Context(), c)} {
		if !errors.Is(err, access.ErrRefused) || !strings.Contains(err.Error(), "make it a member of one first") {
			t.Errorf("%v", err)
		}
	}
}

func TestRefusalsOfActiveDirectory(t *testing.T) {
	d := changingDC(t)
	w := changer(t, d.writing(adminDN))
	eve := account(d.fixed(t, hostile))
	foreign := account(d.fixed(t, "CN=S-1-5-21-1-2-3-1105,CN=ForeignSecurityPrincipals,"+domain))
	group := access.Object{Kind: access.HolderEntitlement, ID: d.fixed(t, "CN=Readers,"+staff)}
	until := time.Now()
	for _, c := range []struct {
		access.Change
		want error
		says string
	}{
		{access.Change{Action: access.ActionEndSessions, Object: eve}, access.ErrCannot, "ticket"},
		{access.Change{Action: access.ActionDelete, Object: eve}, access.ErrCannot, "can't be put back"},
		{access.Change{Action: access.ActionReclaim, Object: eve}, access.ErrCannot, "reclaim"},
		{access.Change{Action: access.ActionDisable, Object: foreign}, access.ErrCannot, "another domain"},
		{access.Change{Action: access.ActionExpire, Until: &until, Object: foreign}, access.ErrCannot, "another domain"},
		{access.Change{Action: access.ActionDisable, Object: group}, access.ErrCannot, "of a group"},
		{access.Change{Action: access.ActionResetPassword, Object: eve, Undo: true, Before: &access.Live{}}, access.ErrCannot, "nobody knows"},
		{access.Change{Action: access.ActionMove, Object: eve, To: "OU=Nowhere," + domain}, access.ErrRefused, "there is no container"},
		{access.Change{Action: access.ActionMove, Object: eve, To: "nowhere"}, access.ErrRefused, "nowhere"},
		{access.Change{Action: access.ActionMove, Object: eve, To: "CN=Boss," + staff}, access.ErrRefused, ""},
		{access.Change{Action: access.ActionHandover, Object: eve, To: "somebody"}, access.ErrRefused, "there is no account"},
		{access.Change{Action: access.ActionHandover, Object: eve, To: eve.ID}, access.ErrRefused, "to itself"},
		{access.Change{Action: access.ActionRevoke, Object: eve, Entitlement: d.fixed(t, "CN=Boss,"+staff)}, access.ErrCannot, "no group"},
	} {
		err := w.Apply(t.Context(), c.Change)
		if !errors.Is(err, c.want) || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: %v, want %v with %q", c.Action, err, c.want, c.says)
		}
	}
	if err := w.Apply(t.Context(), access.Change{Action: access.ActionDisable, Object: eve, Undo: true}); err == nil {
		t.Error("undone without knowing what was before")
	}
}

// What a look finds of an object is what a collection finds of it.
func TestLookIsLikeCollecting(t *testing.T) {
	d := corpDC(t)
	config := d.writing(adminDN)
	config.Bind.DN = adminDN
	config.Fields = map[string]string{"owner_id": "manager"}
	config.Attributes = strict.Attributes{"sam_type": "sAMAccountType"}
	s := take(t, collector(t, config))
	looksLike(t, changer(t, config), s, "Administrator") // which signs in to look
}

// looksLike compares every object of a snapshot with a look at it.
func looksLike(t *testing.T, w *Changer, s *snapshot, skip ...string) {
	t.Helper()
	look := func(kind access.HolderKind, id, name string) access.Live {
		live, err := w.Look(t.Context(), access.Object{Kind: kind, ID: id})
		if err != nil {
			t.Errorf("%s: %v", name, err)
		}
		var want, got []string
		for _, g := range s.grants {
			if g.HolderID == id {
				want = append(want, fmt.Sprintf("%+v", g))
			}
		}
		for _, g := range live.Grants {
			got = append(got, fmt.Sprintf("%+v", g))
			if !slices.ContainsFunc(live.Entitlements, func(e access.Entitlement) bool {
				return e.ID == g.EntitlementID && reflect.DeepEqual(e, s.entitlements[e.Name])
			}) {
				t.Errorf("%s: its group %s is not as it was collected", name, s.names[g.EntitlementID])
			}
		}
		slices.Sort(want)
		slices.Sort(got)
		if live.Grants == nil || !slices.Equal(got, want) {
			t.Errorf("%s: a look finds the grants\n%q, collecting\n%q", name, got, want)
		}
		return live
	}
	for name, a := range s.accounts {
		live := look(access.HolderAccount, a.ID, name)
		if !slices.Contains(skip, name) && !reflect.DeepEqual(live.Account, &a) {
			t.Errorf("%s: a look finds\n%+v, collecting\n%+v", name, live.Account, a)
		}
	}
	for name, e := range s.entitlements {
		if e.Kind != "group" && e.Kind != "role" {
			continue
		}
		if live := look(access.HolderEntitlement, e.ID, name); !reflect.DeepEqual(live.Entitlement, &e) {
			t.Errorf("%s: a look finds\n%+v, collecting\n%+v", name, live.Entitlement, e)
		}
	}
}

// Behind the limits of Microsoft's servers, and over a connection that broke while it was idle, changes are made as well.
func TestChangesBehindLimits(t *testing.T) {
	d := changingDC(t)
	p := newProxy(t, d)
	p.pageMax, p.rangeMax = 2, 1
	cuts := 0
	var mu sync.Mutex
	broken := false
	p.entry = func(int64, string) fault {
		mu.Lock()
		defer mu.Unlock()
		if broken {
			broken = false
			cuts++
			return cutOff
		}
		return pass
	}
	config := d.writing(adminDN)
	config.URL, config.CA = strict.Texts{p.url}, p.ca
	w := changer(t, config)
	change := access.Change{Action: access.ActionRevoke, Object: account(d.fixed(t, hostile)), Entitlement: d.fixed(t, "CN=Readers,"+staff)}
	before, err := w.Look(t.Context(), change.Object)
	if err != nil {
		t.Fatal(err)
	}
	undo := change
	undo.Undo, undo.Before = true, &before
	for _, c := range []access.Change{change, undo} {
		mu.Lock()
		broken = true
		mu.Unlock()
		if err := w.Apply(t.Context(), c); err != nil {
			t.Error(err)
		}
		after, err := w.Look(t.Context(), change.Object)
		if err != nil {
			t.Fatal(err)
		}
		if done, known := c.Shows(after); !done || !known {
			t.Errorf("undo %v: done %v, known %v", c.Undo, done, known)
		}
	}
	if cuts != 2 || p.connections.Load() != 3 {
		t.Errorf("%d cuts, %d connections", cuts, p.connections.Load())
	}
}

// Several goroutines take turns; whoever waits too long has sent nothing, and after Close nobody does anything.
func TestTurns(t *testing.T) {
	d := changingDC(t)
	w := changer(t, d.writing(adminDN))
	object := account(d.fixed(t, "CN=Boss,"+staff))
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			if _, err := w.Look(t.Context(), object); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	w.turn <- struct{}{} // somebody is busy
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer cancel()
	err := w.Apply(ctx, access.Change{Action: access.ActionDisable, Object: object})
	if !errors.Is(err, context.DeadlineExceeded) || errors.Is(err, access.ErrUnsure) {
		t.Errorf("waiting: %v", err)
	}
	<-w.turn
	if err := w.Close(); err != nil {
		t.Error(err)
	}
	if _, err := w.Look(t.Context(), object); !errors.Is(err, errClosed) {
		t.Errorf("after Close: %v", err)
	}
}

func TestStamp(t *testing.T) {
	long := strings.Repeat("ä", 1010)
	for _, c := range []struct{ was, note, stamped, now, unstamped string }{
		{"", "n", "n", "n", ""},
		{"", "", "", "x", "x"},
		{"a", "n", "a\r\nn", "a\r\nn", "a"},
		{"a\r\nb", " n \n n ", "a\r\nb\r\nn n", "b\r\nn n\r\nc", "b\r\nc"},
		{"a\r\nn", "n", "a\r\nn", "a\r\nn", "a\r\nn"}, // it stood there already
		{"a", "n", "a\r\nn", "somebody took it away", "somebody took it away"},
		{"n and more", "n", "n and more\r\nn", "n and more\r\nn", "n and more"},
		{long, "no room for twenty characters", long, long, long},
		{long[:1900], "cut " + strings.Repeat("x", 100), long[:1900] + "\r\ncut " + strings.Repeat("x", 67) + "…", "b\r\ncut " + strings.Repeat("x", 67) + "…", "b"},
	} {
		if got := stamped(c.was, c.note); got != c.stamped {
			t.Errorf("%q on %q: %q, want %q", c.note, c.was, got, c.stamped)
		}
		if got := stamped(c.stamped, c.note); c.note != "" && !strings.HasSuffix(c.stamped, "…") && c.stamped != c.was && got != c.stamped {
			t.Errorf("%q on %q again: %q", c.note, c.was, got)
		}
		if got := unstamped(c.now, c.was, c.note); got != c.unstamped {
			t.Errorf("%q off %q, which was %q: %q, want %q", c.note, c.now, c.was, got, c.unstamped)
		}
		if got := unstamped(c.stamped, c.was, c.note); got != c.was {
			t.Errorf("%q off %q: %q, want %q", c.note, c.stamped, got, c.was)
		}
	}
}

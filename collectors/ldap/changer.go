package ldap

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"sync"

	"github.com/go-ldap/ldap/v3"

	"github.com/lapse-audit/lapse/internal/access"
	"github.com/lapse-audit/lapse/internal/strict"
)

// Changer carries out changes in a directory, with the credential of write:. All that it reads and writes is at one server,
// over one connection at a time, which is made at the first look or change and made anew, to the same server, where it
// broke. It may be used from several goroutines, which take turns.
type Changer struct {
	k     *Collector // with the credential for writing
	why   error      // nothing can be changed
	turn  chan struct{}
	close sync.Once
	ended chan struct{}

	seen sync.Map // id to access.Live: what was looked at last, for commands

	// What follows belongs to whoever has the turn.
	s     *session
	home  string          // the server, as it calls itself
	given map[string]bool // attributes that it gives to this credential, of those whose absence tells something
	// tagged are the groups that name members in a way that no filter finds; nil until they were looked for.
	tagged []string
}

// Changer returns what carries out changes in the directory. It opens no connection. Where nothing can be changed, all that
// is asked of it says why.
func (k *Collector) Changer() (*Changer, error) {
	w := *k
	w.config = k.config.writing().defaults()
	c := &Changer{k: &w, turn: make(chan struct{}, 1), ended: make(chan struct{})}
	switch {
	case k.config.files() != nil:
		c.why = fmt.Errorf("%s is an export: %w", strings.Join(k.config.files(), ", "), access.ErrCannot)
	case k.config.Write == nil:
		c.why = fmt.Errorf("write: names no credential for changes: %w", access.ErrCannot)
	}
	return c, nil
}

// Close ends the connection, and whatever waits for it.
func (c *Changer) Close() error {
	c.close.Do(func() {
		close(c.ended)
		c.turn <- struct{}{}
		c.drop()
	})
	return nil
}

// errClosed says that a Changer was used after its end.
var errClosed = errors.New("the connection for changes was closed")

func (c *Changer) drop() {
	if c.s != nil {
		c.s.close()
		c.s = nil
	}
}

// with does something over the connection. If the connection turns out to be broken before a change was begun to be sent,
// as one does that was idle for long, it is made anew and do starts again.
func (c *Changer) with(ctx context.Context, do func(*session) error) error {
	if c.why != nil {
		return c.why
	}
	select {
	case c.turn <- struct{}{}:
		defer func() { <-c.turn }()
	case <-c.ended:
		return errClosed
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	for used := c.s != nil; ; used = false {
		if err := c.open(ctx); err != nil {
			return err
		}
		before := c.s.changes
		err := do(c.s)
		untouched := c.s.changes == before
		if c.s.spent { // also where ctx has ended: its connection is cut
			c.drop()
		}
		if !used || !untouched || ctx.Err() != nil || !broken(err) {
			return err
		}
		c.drop()
	}
}

// open makes the connection, if there is none.
func (c *Changer) open(ctx context.Context) error {
	select {
	case <-c.ended:
		return errClosed
	default:
	}
	if c.s != nil {
		return nil
	}
	var s *session
	var err error
	if c.k.pinned == "" {
		s, err = c.k.connect(ctx)
	} else {
		s, err = c.k.open(ctx, c.k.config.URL[0])
	}
	if err != nil {
		return err
	}
	if want := c.k.config.Dialect; s.root.dialect() != want {
		s.close()
		return fmt.Errorf("%s: dialect: %s is configured, and it is a server of %s: %w", s.url, want, s.root.dialect(), access.ErrCannot)
	}
	home := s.root.service + " " + s.root.host
	if c.k.pinned != "" && home != c.home {
		s.close()
		return fmt.Errorf("%s: another server than before answers there: what was written at %s must be read there", s.url, c.home)
	}
	c.s, c.home = s, home
	if c.k.pinned == "" {
		c.k.config.URL = strict.Texts{s.url}
		c.k.pinned = s.raw.RemoteAddr().String()
		if s.raw.RemoteAddr().Network() == "unix" {
			_, c.k.pinned, _, _ = endpoint(s.url)
		}
	}
	return nil
}

// editor knows how one kind of directory is changed.
type editor interface {
	abilities() map[access.Action]access.Ability
	// find reads an object by its id. One that isn't there is access.ErrGone.
	find(ctx context.Context, s *session, o access.Object) (*view, error)
	// steps are what is still to be sent so that a change is made; none if it is made.
	steps(ctx context.Context, s *session, v *view, c access.Change) ([]step, error)
	// permit says which right to a step is missing, as far as the server tells; nil if none.
	permit(ctx context.Context, s *session, st step) error
	// spare says why a step that may be taken is better left to others; nil if there is no reason.
	spare(ctx context.Context, s *session, st step) error
	// look reads what Live holds.
	look(ctx context.Context, s *session, v *view, o access.Object) (access.Live, error)
	// native are commands for a change that can be made.
	native(c access.Change) []string
}

func (c *Changer) editor() editor {
	if c.k.config.Dialect == ActiveDirectory {
		return adEditor{c}
	}
	return rfcEditor{c}
}

// Abilities implements the remediation's Changer.
func (c *Changer) Abilities() (map[access.Action]access.Ability, error) {
	if c.why != nil {
		return nil, c.why
	}
	return c.editor().abilities(), nil
}

// able says whether a change is one that this kind of directory knows at all.
func (c *Changer) able(ch access.Change) error {
	_, ok := c.editor().abilities()[ch.Action]
	switch {
	case !ok && ch.Action == access.ActionEndSessions:
		return fmt.Errorf("a directory knows no sessions: a ticket that was given is good for hours, whatever becomes of the account: %w", access.ErrCannot)
	case !ok && ch.Action == access.ActionDelete:
		return fmt.Errorf("what is deleted in a directory can't be put back as it was: %w", access.ErrCannot)
	case !ok:
		return fmt.Errorf("%s: %w", ch.Action, access.ErrCannot)
	case ch.Object.Kind == access.HolderEntitlement && ch.Action != access.ActionRevoke:
		return fmt.Errorf("%s of a group: %w", ch.Action, access.ErrCannot)
	case ch.Action == access.ActionExpire && ch.Until == nil:
		return errors.New("expire: it is not said until when")
	case ch.Undo && ch.Before == nil:
		return fmt.Errorf("undo %s: what was before is not known", ch.Action)
	}
	return nil
}

// Look implements the remediation's Changer.
func (c *Changer) Look(ctx context.Context, o access.Object) (access.Live, error) {
	var live access.Live
	err := c.with(ctx, func(s *session) error {
		v, err := c.editor().find(ctx, s, o)
		if err != nil {
			return err
		}
		if live, err = c.editor().look(ctx, s, v, o); err == nil {
			c.seen.Store(o.ID, live)
		}
		return err
	})
	if err != nil {
		return access.Live{}, fmt.Errorf("look at %s: %w", o.ID, err)
	}
	return live, nil
}

// May implements the remediation's Changer. It refuses more than the server would: an account that has just become an
// administrator's. Undoing is never held up by that.
func (c *Changer) May(ctx context.Context, ch access.Change) error {
	err := c.with(ctx, func(s *session) error {
		if err := c.able(ch); err != nil {
			return err
		}
		v, err := c.editor().find(ctx, s, ch.Object)
		if err != nil {
			return err
		}
		steps, err := c.editor().steps(ctx, s, v, ch)
		if err != nil {
			return err
		}
		if err := c.permit(ctx, s, steps); err != nil || ch.Undo {
			return err
		}
		for _, st := range steps {
			if err := c.editor().spare(ctx, s, st); err != nil {
				return err
			}
		}
		return nil
	})
	return said(ch, err)
}

func (c *Changer) permit(ctx context.Context, s *session, steps []step) error {
	for _, st := range steps {
		if err := c.editor().permit(ctx, s, st); err != nil {
			return err
		}
	}
	return nil
}

// said is an error of a change.
func said(c access.Change, err error) error {
	if err == nil {
		return nil
	}
	what := string(c.Action)
	if c.Undo {
		what = "undo " + what
	}
	return fmt.Errorf("%s %s: %w", what, c.Object.ID, err)
}

// step is one request for a change.
type step struct {
	id, dn string // of the entry that is changed
	target string // by which the server is told of it
	mods   []modification
	// superior is the DN to which the entry is moved, "" if it is not.
	superior string
	// class is the most special class of the entry.
	class string
	// password is given to the entry by the request that is made for it.
	password string
	// secret says that what is written is made up anew each time.
	secret bool
	// only holds the request to the entry that was meant, where the server knows how.
	only []ldap.Control
}

// attributes are what a step writes.
func (st step) attributes() []string {
	var out []string
	for _, m := range st.mods {
		out = append(out, m.attribute)
	}
	return distinct(out)
}

func (st step) send(ctx context.Context, s *session) error {
	switch {
	case st.superior != "":
		return s.rename(ctx, st.target, rdnOf(st.dn), st.superior, st.only...)
	case st.password != "":
		return s.setPassword(ctx, st.target, st.password)
	}
	return s.modify(ctx, st.target, st.mods, st.only...)
}

// attempts is how often a change is worked out anew where the server found that somebody else had just changed the same.
const attempts = 3

// Apply implements the remediation's Changer.
func (c *Changer) Apply(ctx context.Context, ch access.Change) error {
	err := c.with(ctx, func(s *session) error {
		if err := c.able(ch); err != nil {
			return err
		}
		return c.apply(ctx, s, ch)
	})
	return said(ch, err)
}

func (c *Changer) apply(ctx context.Context, s *session, ch access.Change) error {
	done := 0 // steps that the server has confirmed
	partly := func(err error) error {
		if done == 0 || errors.Is(err, access.ErrUnsure) {
			return err
		}
		return fmt.Errorf("%w, as %d of its steps are done and the next is not: %s", access.ErrUnsure, done, err.Error()) // which is no refusal of the whole
	}
	var refused step
	var why error
	for attempt := 1; ; attempt++ {
		v, err := c.editor().find(ctx, s, ch.Object)
		if err != nil {
			return partly(err)
		}
		steps, err := c.editor().steps(ctx, s, v, ch)
		if err != nil {
			return partly(err)
		}
		if why != nil && len(steps) > 0 && reflect.DeepEqual(steps[0], refused) { // nobody has changed anything
			return partly(c.outcome(ctx, s, ch, refused, why))
		}
		if len(steps) > 1 { // all or nothing, as far as it can be known
			if err := c.permit(ctx, s, steps); err != nil {
				return partly(err)
			}
		}
		again := false
		for _, st := range steps {
			err := st.send(ctx, s)
			if err == nil {
				done++
				continue
			}
			if again = attempt < attempts && !st.secret && raced(err); again {
				refused, why = st, err
				break
			}
			return partly(c.outcome(ctx, s, ch, st, err))
		}
		if !again {
			return nil
		}
	}
}

// raced reports whether a server refused because the entry is no longer what it was a moment ago.
func raced(err error) bool {
	return ldap.IsErrorAnyOf(err, ldap.LDAPResultNoSuchAttribute, ldap.LDAPResultAttributeOrValueExists, ldap.LDAPResultNoSuchObject, ldap.LDAPResultUnwillingToPerform, ldap.LDAPResultAssertionFailed)
}

// outcome says what an error of a step means for the change.
func (c *Changer) outcome(ctx context.Context, s *session, ch access.Change, st step, err error) error {
	var lost *unsure
	var answer *ldap.Error
	switch {
	case errors.As(err, &lost):
		return fmt.Errorf("%s: %w: %w", st.dn, access.ErrUnsure, lost.error)
	case !errors.As(err, &answer):
		return fmt.Errorf("%s: %w", st.dn, err)
	}
	switch answer.ResultCode {
	case ldap.LDAPResultTimeLimitExceeded, ldap.LDAPResultOther: // it need not have given up what it began
		return fmt.Errorf("%s: %w: %w", st.dn, access.ErrUnsure, err)
	case ldap.LDAPResultInsufficientAccessRights:
		if missing := c.editor().permit(ctx, s, st); missing != nil {
			return fmt.Errorf("%w (%w)", missing, err)
		}
		right := c.editor().abilities()[ch.Action].Right
		if a := st.attributes(); len(a) > 0 && !st.secret {
			right = "write " + strings.Join(a, ", ")
		}
		return fmt.Errorf("%s: %w: the writing credential needs the right to %s (%w)", st.dn, access.ErrRefused, right, err)
	}
	return fmt.Errorf("%s: %w: %w", st.dn, access.ErrRefused, explainChange(err))
}

// explainChange says what a server's refusal of a change means and what to do about it.
func explainChange(err error) error {
	var e *ldap.Error
	if !errors.As(err, &e) {
		return err
	}
	var advice string
	switch e.ResultCode {
	case ldap.LDAPResultReferral:
		advice = "the server is a copy that takes no changes: name the one that does in write: {url: …}"
	case ldap.LDAPResultObjectClassViolation:
		advice = "the entry would no longer be what its object class asks for: a groupOfNames can't lose its last member, and an entry can only have the attributes of its classes (see write: {note: …})"
	case ldap.LDAPResultUndefinedAttributeType:
		advice = "the server knows no such attribute: see write: {note: …, disable: …}"
	case ldap.LDAPResultEntryAlreadyExists:
		advice = "there is an entry of the same name already"
	case ldap.LDAPResultNotAllowedOnNonLeaf:
		advice = "there are entries below it"
	case ldap.LDAPResultConfidentialityRequired, ldap.LDAPResultStrongAuthRequired:
		advice = "the server wants encryption for it: write ldaps:// or start_tls: true"
	case ldap.LDAPResultNoSuchObject:
		advice = "an entry that the change names isn't there"
	default:
		return err
	}
	return fmt.Errorf("%s (%w)", advice, err)
}

// changedSince is the refusal to undo what is no longer as the change has left it.
func changedSince(what string) error {
	return fmt.Errorf("%w: somebody else has changed %s since, and it is left as it is", access.ErrRefused, what)
}

// Native implements the remediation's Changer.
func (c *Changer) Native(ch access.Change) []string {
	if c.why != nil || c.able(ch) != nil {
		return nil
	}
	return c.editor().native(ch)
}

package ldap

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"math/big"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf16"

	"github.com/go-ldap/ldap/v3"

	"github.com/lapse-audit/lapse/internal/access"
)

// adEditor changes Active Directory. Entries are named to the server by their objectGUID, so that no change can hit another
// one that has taken a name.
type adEditor struct{ *Changer }

// editNames are the attributes from which steps are worked out.
var editNames = []string{"objectClass", "objectGUID", "objectSid", "sAMAccountName", "displayName", "cn", "userAccountControl", "accountExpires",
	"primaryGroupID", "manager", "managedBy", "adminCount", "groupType"}

// noteAttribute takes the note; "" for none.
func (a adEditor) noteAttribute() string { return noteOf(a.k.config.Write, "info") }

func noteOf(w *Write, otherwise string) string {
	switch name := cmp.Or(w.Note, otherwise); name {
	case noNote:
		return ""
	default:
		return name
	}
}

func byGUID(id string) string { return "<GUID=" + id + ">" }

func (a adEditor) find(ctx context.Context, s *session, o access.Object) (*view, error) {
	if !isGUID(o.ID) { // what else could it name
		return nil, fmt.Errorf("%w: %q is no objectGUID", access.ErrGone, o.ID)
	}
	return a.entry(ctx, s, byGUID(o.ID))
}

// entry reads one entry by its DN or what stands for one.
func (a adEditor) entry(ctx context.Context, s *session, dn string) (*view, error) {
	names := editNames
	if note := a.noteAttribute(); note != "" {
		names = append(slices.Clip(names), note)
	}
	e, err := readEntry(ctx, s, dn, names)
	if err != nil {
		return nil, err
	}
	if e == nil {
		return nil, fmt.Errorf("%w, or the writing credential may not see it", access.ErrGone)
	}
	v := newView()
	v.of(e)
	return v, nil
}

// isGUID checks the form in which guidText writes.
func isGUID(s string) bool {
	if len(s) != 36 {
		return false
	}
	for i := range len(s) {
		dash := i == 8 || i == 13 || i == 18 || i == 23
		if dash != (s[i] == '-') || !dash && !hexDigit(s[i]) {
			return false
		}
	}
	return true
}

// step begins a step at an entry.
func (a adEditor) step(v *view, mods ...modification) (step, error) {
	id, err := guidText(v.bytes("objectguid"))
	if err != nil {
		return step{}, fmt.Errorf("%s: objectGUID: %w", v.entry.DN, err)
	}
	classes := v.texts("objectclass")
	if len(classes) == 0 {
		return step{}, fmt.Errorf("%s: objectClass can't be read", v.entry.DN)
	}
	return step{id: id, dn: v.entry.DN, target: byGUID(id), mods: mods, class: classes[len(classes)-1]}, nil
}

// one is the list of one step, or of none where it changes nothing.
func (a adEditor) one(v *view, mods []modification) ([]step, error) {
	if len(mods) == 0 {
		return nil, nil
	}
	st, err := a.step(v, mods...)
	return []step{st}, err
}

func (a adEditor) steps(ctx context.Context, s *session, v *view, c access.Change) ([]step, error) {
	switch c.Action {
	case access.ActionDisable:
		return a.disable(v, c)
	case access.ActionExpire:
		return a.expire(v, c)
	case access.ActionResetPassword:
		return a.resetPassword(s, v, c)
	case access.ActionRevoke:
		return a.revoke(ctx, s, v, c)
	case access.ActionClearManager:
		return a.clearManager(v, c)
	case access.ActionHandover:
		return a.handover(ctx, s, v, c)
	case access.ActionMove:
		return a.move(ctx, s, v, c)
	}
	return nil, access.ErrCannot
}

// disable sets one bit of userAccountControl, and clears it to undo.
func (a adEditor) disable(v *view, c access.Change) ([]step, error) {
	now, ok := v.number("useraccountcontrol")
	if !ok {
		return nil, a.uncontrolled(v)
	}
	off := now&uacDisabled != 0
	if !c.Undo {
		if off {
			return nil, nil
		}
		mods := swap("userAccountControl", v.texts("useraccountcontrol"), []string{strconv.FormatInt(now|uacDisabled, 10)})
		return a.one(v, append(mods, a.stamp(v, c)...))
	}
	was, known := before(c)
	if !known {
		return nil, errors.New("whether it was enabled before is not known")
	}
	if was {
		return nil, nil
	}
	var mods []modification
	if off {
		mods = swap("userAccountControl", v.texts("useraccountcontrol"), []string{strconv.FormatInt(now&^uacDisabled, 10)})
	}
	return a.one(v, append(mods, a.unstamp(v, c)...))
}

// uncontrolled says why an entry can't be disabled.
func (a adEditor) uncontrolled(v *view) error {
	if v.is("foreignsecurityprincipal") {
		return fmt.Errorf("%w: it is an account of another domain, to be changed there", access.ErrCannot)
	}
	if v.is("contact") {
		return fmt.Errorf("%w: nobody signs in as a contact", access.ErrCannot)
	}
	return fmt.Errorf("%w: the writing credential may not read userAccountControl of %s, without which it can't be written", access.ErrRefused, v.entry.DN)
}

// never is accountExpires of an account that doesn't.
const never = "9223372036854775807"

func (a adEditor) expire(v *view, c access.Change) ([]step, error) {
	if !v.has("useraccountcontrol") {
		return nil, a.uncontrolled(v)
	}
	want := fileTimeText(*c.Until)
	now := v.texts("accountexpires")
	if !c.Undo {
		if at, _ := v.fileTime("accountexpires"); at != nil && !at.After(*c.Until) {
			return nil, nil
		}
		return a.one(v, append(swap("accountExpires", now, []string{want}), a.stamp(v, c)...))
	}
	if was, known := before(c); !known || was {
		return nil, nil // it ended as early before
	}
	was, known := c.Before.Keep[string(access.ActionExpire)]
	if !known {
		return nil, errors.New("when it ended before is not known")
	}
	if len(was) == 0 {
		was = []string{never} // every account has one
	}
	var mods []modification
	switch {
	case slices.Equal(now, was):
	case slices.Equal(now, []string{want}):
		mods = swap("accountExpires", now, was)
	default:
		return nil, changedSince("accountExpires")
	}
	return a.one(v, append(mods, a.unstamp(v, c)...))
}

// fileTimeText writes a FILETIME.
func fileTimeText(t time.Time) string {
	const toUnix = 11644473600
	return strconv.FormatInt((t.Unix()+toUnix)*1e7+int64(t.Nanosecond())/100, 10)
}

// longestInfo is what info takes, in characters of UTF-16 (its rangeUpper); description takes as much.
const longestInfo = 1024

// stamp adds the note to what stands where it goes.
func (a adEditor) stamp(v *view, c access.Change) []modification {
	attribute := a.noteAttribute()
	if attribute == "" {
		return nil
	}
	old := v.texts(strings.ToLower(attribute))
	text := stamped(first(old), c.Note)
	if text == first(old) {
		return nil
	}
	return swap(attribute, old, []string{text})
}

// unstamp takes the note away, from wherever it stands by now.
func (a adEditor) unstamp(v *view, c access.Change) []modification {
	attribute := a.noteAttribute()
	was, known := c.Before.Keep[keepNote]
	if attribute == "" || !known {
		return nil
	}
	now := v.texts(strings.ToLower(attribute))
	text := unstamped(first(now), first(was), c.Note)
	if text == first(now) {
		return nil
	}
	if text == "" {
		return swap(attribute, now, nil)
	}
	return swap(attribute, now, []string{text})
}

func first(values []string) string {
	if len(values) == 0 {
		return ""
	}
	return values[0]
}

// newLine is how lines end in info.
const newLine = "\r\n"

// oneLine is a note without line ends.
func oneLine(note string) string { return strings.Join(strings.Fields(note), " ") }

// stamped adds a note as a line of its own, cut to what there is room for.
func stamped(text, note string) string {
	note = oneLine(note)
	if note == "" || slices.Contains(strings.Split(text, newLine), note) {
		return text
	}
	if text != "" {
		note = newLine + note
	}
	units := utf16.Encode([]rune(text + note))
	if len(units) <= longestInfo {
		return text + note
	}
	cut := string(utf16.Decode(units[:longestInfo-1])) + "…"
	if len(cut) < len(text)+len(newLine)+20 { // what is left would say nothing
		return text
	}
	return cut
}

// unstamped takes away the line that stamped has added to what was.
func unstamped(text, was, note string) string {
	whole := stamped(was, note)
	switch {
	case whole == was: // there was no room, or it stood there already
		return text
	case text == whole:
		return was
	}
	line := strings.TrimPrefix(strings.TrimPrefix(whole, was), newLine)
	lines := strings.Split(text, newLine)
	if i := slices.Index(lines, line); i >= 0 {
		lines = slices.Delete(lines, i, i+1)
	}
	return strings.Join(lines, newLine)
}

// resetPassword sets two passwords, one after the other: for an hour NTLM takes that which was before the last one, too.
func (a adEditor) resetPassword(s *session, v *view, c access.Change) ([]step, error) {
	if c.Undo {
		return nil, fmt.Errorf("%w: nobody knows the password that was", access.ErrCannot)
	}
	if !v.has("useraccountcontrol") {
		return nil, a.uncontrolled(v)
	}
	if !s.secure {
		return nil, fmt.Errorf("%w: a password is only taken over an encrypted connection: write ldaps:// or start_tls: true", access.ErrCannot)
	}
	var steps []step
	for range 2 {
		var value []byte
		for _, u := range utf16.Encode([]rune(`"` + randomPassword(v) + `"`)) {
			value = append(value, byte(u), byte(u>>8))
		}
		st, err := a.step(v, modification{ldap.ReplaceAttribute, "unicodePwd", []string{string(value)}})
		if err != nil {
			return nil, err
		}
		st.secret = true
		steps = append(steps, st)
	}
	return steps, nil
}

// randomPassword is one that nobody will know: of three kinds of character, and without any part of the account's names,
// which the rules of a domain can forbid.
func randomPassword(v *view) string {
	const letters = "ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnpqrstuvwxyz23456789"
	var names []string
	for _, a := range []string{"samaccountname", "uid", "displayname", "cn", "givenname", "sn"} {
		for _, t := range v.texts(a) {
			names = append(names, strings.FieldsFunc(strings.ToLower(t), func(r rune) bool { return strings.ContainsRune(",.-_ #\t", r) })...)
			names = append(names, strings.ToLower(t))
		}
	}
	for {
		var b strings.Builder
		b.WriteString("aA1-")
		for range 60 {
			n, err := rand.Int(rand.Reader, big.NewInt(int64(len(letters))))
			if err != nil { // crypto/rand ends the program before it returns one
				panic(err)
			}
			b.WriteByte(letters[n.Int64()])
		}
		if text := strings.ToLower(b.String()); !slices.ContainsFunc(names, func(n string) bool { return len(n) > 2 && strings.Contains(text, n) }) {
			return b.String()
		}
	}
}

func (a adEditor) clearManager(v *view, c access.Change) ([]step, error) {
	now := v.texts("manager")
	if !c.Undo {
		return a.one(v, swap("manager", now, nil))
	}
	was, known := c.Before.Keep[string(access.ActionClearManager)]
	switch {
	case !known:
		return nil, errors.New("who the manager was is not known")
	case len(was) == 0, len(now) == 1 && sameDN(now[0], was[0]):
		return nil, nil
	case len(now) > 0:
		return nil, changedSince("the manager")
	}
	return a.one(v, swap("manager", nil, was))
}

// ownership are the attributes by which an entry names who answers for it.
var ownership = []string{"managedBy", "manager"}

// handover puts To in the place of the object wherever it is named. To itself gets the object's own manager, so that nobody
// is their own.
func (a adEditor) handover(ctx context.Context, s *session, v *view, c access.Change) ([]step, error) {
	from := v.entry.DN
	var heirs []string
	switch to, err := a.find(ctx, s, access.Object{Kind: access.HolderAccount, ID: c.To}); {
	case err == nil && sameDN(to.entry.DN, from):
		return nil, fmt.Errorf("%w: it would be handed over to itself", access.ErrRefused)
	case err == nil:
		heirs = []string{to.entry.DN}
	case !errors.Is(err, access.ErrGone):
		return nil, err
	case !c.Undo: // else the server has taken it away wherever it was named
		return nil, fmt.Errorf("%w: there is no account %q to hand over to", access.ErrRefused, c.To)
	}
	heir := func(id string, manager []string) []string {
		if id != c.To {
			return heirs
		}
		return without(manager, heirs)
	}
	var steps []step
	add := func(owned *view, attribute string, old, new []string) error {
		st, err := a.step(owned, swap(attribute, old, new)...)
		steps = append(steps, st)
		return err
	}
	if !c.Undo {
		for _, attribute := range ownership {
			owned, err := a.owned(ctx, s, attribute, from)
			if err != nil {
				return nil, err
			}
			for _, o := range owned {
				id, err := guidText(o.bytes("objectguid"))
				if err != nil {
					return nil, fmt.Errorf("%s: objectGUID: %w", o.entry.DN, err)
				}
				if err := add(o, attribute, o.texts(strings.ToLower(attribute)), heir(id, v.texts("manager"))); err != nil {
					return nil, err
				}
			}
		}
		return steps, nil
	}
	for _, attribute := range ownership {
		for _, id := range c.Before.Keep[keepOwns+attribute] {
			o, err := a.find(ctx, s, access.Object{ID: id})
			if errors.Is(err, access.ErrGone) {
				continue
			}
			if err != nil {
				return nil, err
			}
			now := o.texts(strings.ToLower(attribute))
			if gave := heir(id, c.Before.Keep[string(access.ActionClearManager)]); slices.EqualFunc(now, gave, sameDN) {
				if err := add(o, attribute, now, []string{from}); err != nil {
					return nil, err
				}
			}
		}
	}
	return steps, nil
}

// owned are the entries that name an object by an attribute.
func (a adEditor) owned(ctx context.Context, s *session, attribute, dn string) ([]*view, error) {
	found, err := a.searchAll(ctx, s, "("+attribute+"="+ldap.EscapeFilter(dn)+")", editNames)
	var out []*view
	for _, e := range found {
		v := newView()
		v.of(e)
		out = append(out, v)
	}
	return out, err
}

func (a adEditor) move(ctx context.Context, s *session, v *view, c access.Change) ([]step, error) {
	here := parentDN(v.entry.DN)
	to := c.To
	if c.Undo {
		was, known := c.Before.Keep[string(access.ActionMove)]
		if !known || len(was) != 1 {
			return nil, errors.New("where it was is not known")
		}
		to = was[0]
		if id := c.Before.Keep[keepContainer]; len(id) == 1 { // whatever it is called by now
			to = byGUID(id[0])
		}
	}
	container, err := readEntry(ctx, s, to, []string{"objectClass"})
	switch {
	case ldap.IsErrorWithCode(err, ldap.LDAPResultInvalidDNSyntax):
		return nil, fmt.Errorf("%w: %q is no DN", access.ErrRefused, to)
	case err != nil:
		return nil, err
	case container == nil:
		return nil, fmt.Errorf("%w: there is no container %s, or the writing credential may not see it", access.ErrRefused, to)
	case sameDN(here, container.DN):
		return nil, nil
	case c.Undo && !sameDN(here, c.To):
		return nil, changedSince("where it is")
	}
	st, err := a.step(v)
	st.superior = container.DN
	return []step{st}, err
}

// before says whether a change was so before it was made.
func before(c access.Change) (was, known bool) {
	c.Undo = false
	return c.Shows(*c.Before)
}

package ldap

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/go-ldap/ldap/v3"

	"github.com/lapse-audit/lapse/internal/access"
)

// rfcEditor changes directories with the schemas of RFC 2307. What it writes is what the collection reads.
type rfcEditor struct{ *Changer }

func (r rfcEditor) abilities() map[access.Action]access.Ability {
	able := func(right string) access.Ability { return access.Ability{Right: right, Undo: true, ReadBack: true} }
	note := ""
	if n := r.noteAttribute(); n != "" {
		note = " and " + n
	}
	how := r.k.config.Write.Disable
	if how == "" {
		how = "what the server disables accounts by"
	}
	how, _, _ = strings.Cut(how, "=")
	return map[access.Action]access.Ability{
		access.ActionDisable:       able("write " + how + note + " of accounts"),
		access.ActionExpire:        able("write pwdEndTime, shadowExpire or krbPrincipalExpiration" + note + " of accounts"),
		access.ActionResetPassword: {Right: "write userPassword of accounts"},
		access.ActionRevoke:        able("write member, uniqueMember, memberUid and roleOccupant of groups"),
		access.ActionClearManager:  able("write manager of accounts"),
		access.ActionHandover:      able("write owner and manager of entries"),
		access.ActionMove:          able("write entry of accounts and children of the containers that they leave and come to"),
	}
}

// noteAttribute takes the note; "" for none.
func (r rfcEditor) noteAttribute() string { return noteOf(r.k.config.Write, "description") }

// names are the attributes from which steps are worked out.
func (r rfcEditor) names(s *session) []string {
	names := []string{"objectClass", "entryUUID", "nsUniqueId", "uid", "cn", "sn", "displayName", "gidNumber", "manager", "owner", "memberURL",
		"pwdEndTime", "shadowExpire", "krbPrincipalExpiration", r.noteAttribute()}
	names = append(names, membership...)
	if attribute, _, err := r.lock(s); err == nil {
		names = append(names, attribute)
	}
	return slices.DeleteFunc(distinct(names), func(n string) bool { return n == "" })
}

// idOf is the id of an entry and the attribute that holds it.
func idOf(v *view) (attribute, id string) {
	for _, a := range []string{"nsuniqueid", "entryuuid"} {
		if t := v.text(a); t != "" {
			return a, strings.ToLower(t)
		}
	}
	return "", ""
}

func (r rfcEditor) find(ctx context.Context, s *session, o access.Object) (*view, error) {
	if strings.HasPrefix(o.ID, "dn:") {
		return nil, fmt.Errorf("%w: it is known by its DN alone, which another one may have by now: let the accounts of reading and of writing read entryUUID", access.ErrCannot)
	}
	id := ldap.EscapeFilter(o.ID)
	filter := "(|(entryUUID=" + id + ")(nsUniqueId=" + id + "))"
	found, err := r.searchAll(ctx, s, filter, r.names(s))
	if err != nil {
		return nil, err
	}
	for _, base := range s.root.contexts { // it may have been moved out of what is read
		if len(found) == 0 && base != "" {
			if found, err = search1(ctx, s, base, ldap.ScopeWholeSubtree, filter, r.names(s)); err != nil {
				return nil, err
			}
		}
	}
	for _, e := range found {
		v := newView()
		v.of(e)
		if _, got := idOf(v); got == o.ID {
			return v, nil
		}
	}
	return nil, fmt.Errorf("%w, or the writing credential may not see it", access.ErrGone)
}

// step begins a step at an entry. beside are filters of the entries that a server changes along with it: OpenLDAP's overlay
// memberof holds them to the same condition, and leaves them as they are, without a word, if they don't meet it.
func (r rfcEditor) step(s *session, v *view, mods []modification, beside ...string) (step, error) {
	_, id := idOf(v)
	st := step{id: id, dn: v.entry.DN, target: v.entry.DN, mods: mods}
	if id != "" && slices.Contains(s.root.controls, controlAssertion) {
		only, err := asserting("(|" + isEntry(v) + strings.Join(beside, "") + ")")
		if err != nil {
			return st, err
		}
		st.only = []ldap.Control{only}
	}
	return st, nil
}

// isEntry is a filter that finds an entry by its id, "" for one that has none.
func isEntry(v *view) string {
	attribute, id := idOf(v)
	if id == "" {
		return ""
	}
	return "(" + attribute + "=" + ldap.EscapeFilter(id) + ")"
}

func (r rfcEditor) one(s *session, v *view, mods []modification, beside ...string) ([]step, error) {
	if len(mods) == 0 {
		return nil, nil
	}
	st, err := r.step(s, v, mods, beside...)
	return []step{st}, err
}

// permit implements editor: such servers don't say what one may do, but what can't be done at all is known.
func (r rfcEditor) permit(context.Context, *session, step) error { return nil }

// spare implements editor: no such server takes rights away by itself.
func (r rfcEditor) spare(context.Context, *session, step) error { return nil }

func (r rfcEditor) steps(ctx context.Context, s *session, v *view, c access.Change) ([]step, error) {
	switch c.Action {
	case access.ActionDisable:
		return r.disable(s, v, c)
	case access.ActionExpire:
		return r.expire(s, v, c)
	case access.ActionResetPassword:
		return r.resetPassword(s, v, c)
	case access.ActionRevoke:
		return r.revoke(ctx, s, v, c)
	case access.ActionClearManager:
		return r.clearManager(s, v, c)
	case access.ActionHandover:
		return r.handover(ctx, s, v, c)
	case access.ActionMove:
		return r.move(ctx, s, v, c)
	}
	return nil, access.ErrCannot
}

// controlPolicy is the control by which a server says that it heeds password policies (draft-behera-ldap-password-policy).
const controlPolicy = "1.3.6.1.4.1.42.2.27.8.5.1"

// lock is the attribute that disables an account and the value that does.
func (r rfcEditor) lock(s *session) (attribute, value string, err error) {
	how := r.k.config.Write.Disable
	vendor := strings.ToLower(s.root.vendor)
	has := func(words ...string) bool {
		return slices.ContainsFunc(words, func(w string) bool { return strings.Contains(vendor, w) })
	}
	if r.k.config.Disabled != "" && how == "" {
		f, err := parseFilter(r.k.config.Disabled)
		if err != nil || f.op != ldap.FilterEqualityMatch {
			return "", "", fmt.Errorf("%w: of disabled: it isn't plain what to write: say it in write: {disable: ATTRIBUTE=VALUE}", access.ErrCannot)
		}
		return f.attribute, f.value, nil
	}
	switch {
	case how != "":
	case has("389", "red hat", "netscape", "sun", "oracle"):
		how = lockByNetscape
	case has("novell", "netiq", "edirectory"):
		how = lockByEDirectory
	case slices.Contains(s.root.controls, controlPolicy):
		how = lockByPolicy
	default:
		return "", "", fmt.Errorf("%w: the server doesn't say that it heeds password policies: write write: {disable: ATTRIBUTE=VALUE}", access.ErrCannot)
	}
	switch how {
	case lockByPolicy:
		return how, lockedForGood, nil
	case lockByNetscape, lockByEDirectory:
		return how, "TRUE", nil
	}
	attribute, value, _ = strings.Cut(how, "=")
	return attribute, value, nil
}

func (r rfcEditor) disable(s *session, v *view, c access.Change) ([]step, error) {
	attribute, value, err := r.lock(s)
	if err != nil {
		return nil, err
	}
	now := v.texts(strings.ToLower(attribute))
	set := slices.ContainsFunc(now, func(t string) bool { return strings.EqualFold(t, value) })
	if !c.Undo {
		if set {
			return nil, nil
		}
		return r.one(s, v, append(swap(attribute, now, []string{value}), r.stamp(v, c)...))
	}
	if was, known := before(c); !known || was {
		return nil, nil
	}
	was, known := c.Before.Keep[string(access.ActionDisable)]
	if !known {
		return nil, fmt.Errorf("what %s was before is not known", attribute)
	}
	var mods []modification
	if set {
		mods = swap(attribute, now, was)
	}
	return r.one(s, v, append(mods, r.unstamp(v, c)...))
}

// stamp adds the note as a value of its own.
func (r rfcEditor) stamp(v *view, c access.Change) []modification {
	attribute, note := r.noteAttribute(), oneLine(c.Note)
	if attribute == "" || note == "" || slices.Contains(v.texts(strings.ToLower(attribute)), note) {
		return nil
	}
	return []modification{{ldap.AddAttribute, attribute, []string{note}}}
}

func (r rfcEditor) unstamp(v *view, c access.Change) []modification {
	attribute, note := r.noteAttribute(), oneLine(c.Note)
	was, known := c.Before.Keep[keepNote]
	if attribute == "" || !known || slices.Contains(was, note) || !slices.Contains(v.texts(strings.ToLower(attribute)), note) {
		return nil
	}
	return []modification{{ldap.DeleteAttribute, attribute, []string{note}}}
}

// expiries are the attributes that end an account, in lower case.
var expiries = []string{"krbprincipalexpiration", "shadowexpire", "pwdendtime"}

// ending is the attribute that ends an account at a time, and its value then.
func (r rfcEditor) ending(s *session, v *view, until time.Time) (attribute, value string, err error) {
	until = until.UTC()
	text := until.Truncate(time.Second).Format("20060102150405Z")
	day := until.Truncate(24 * time.Hour)
	switch {
	case v.is("krbprincipalaux"):
		return "krbPrincipalExpiration", text, nil
	case v.is("shadowaccount") && (until.Equal(day) || until.Before(r.k.opt.Now())):
		return "shadowExpire", strconv.FormatInt(day.Unix()/(24*3600), 10), nil
	case slices.Contains(s.root.controls, controlPolicy):
		return "pwdEndTime", text, nil
	case v.is("shadowaccount"):
		return "", "", fmt.Errorf("%w: shadowExpire ends an account at midnight UTC, hours before %s: name a midnight, or wait until it is past", access.ErrCannot, until.Format(time.RFC3339))
	}
	return "", "", fmt.Errorf("%w: the entry is no shadowAccount, and the server doesn't heed password policies: nothing would end it", access.ErrCannot)
}

func (r rfcEditor) expire(s *session, v *view, c access.Change) ([]step, error) {
	attribute, value, err := r.ending(s, v, *c.Until)
	if err != nil {
		return nil, err
	}
	name := strings.ToLower(attribute)
	now := v.texts(name)
	if !c.Undo {
		d := &rfc2307{v: v}
		if at := d.expires(); at != nil && !at.After(*c.Until) {
			return nil, nil
		}
		return r.one(s, v, append(swap(attribute, now, []string{value}), r.stamp(v, c)...))
	}
	if was, known := before(c); !known || was {
		return nil, nil
	}
	was, known := c.Before.Keep["expire."+name]
	if !known {
		return nil, errors.New("when it ended before is not known")
	}
	var mods []modification
	switch {
	case slices.Equal(now, was):
	case slices.Equal(now, []string{value}):
		mods = swap(attribute, now, was)
	default:
		return nil, changedSince(attribute)
	}
	return r.one(s, v, append(mods, r.unstamp(v, c)...))
}

func (r rfcEditor) resetPassword(s *session, v *view, c access.Change) ([]step, error) {
	if c.Undo {
		return nil, fmt.Errorf("%w: nobody knows the password that was", access.ErrCannot)
	}
	if !s.secure {
		return nil, fmt.Errorf("%w: a password is only sent over an encrypted connection: write ldaps:// or start_tls: true", access.ErrCannot)
	}
	st, err := r.step(s, v, nil)
	st.secret = true
	if slices.Contains(s.root.extensions, extensionPassword) {
		st.password = randomPassword(v)
	} else {
		st.mods = []modification{{ldap.ReplaceAttribute, "userPassword", []string{randomPassword(v)}}}
	}
	return []step{st}, err
}

func (r rfcEditor) clearManager(s *session, v *view, c access.Change) ([]step, error) {
	now := v.texts("manager")
	if !c.Undo {
		return r.one(s, v, swap("manager", now, nil))
	}
	was, known := c.Before.Keep[string(access.ActionClearManager)]
	switch {
	case !known:
		return nil, errors.New("who the manager was is not known")
	case len(was) == 0, slices.EqualFunc(now, was, sameDN):
		return nil, nil
	case len(now) > 0:
		return nil, changedSince("the manager")
	}
	return r.one(s, v, swap("manager", nil, was))
}

func (r rfcEditor) move(ctx context.Context, s *session, v *view, c access.Change) ([]step, error) {
	here, to := parentDN(v.entry.DN), c.To
	if c.Undo {
		was, known := c.Before.Keep[string(access.ActionMove)]
		if !known || len(was) != 1 {
			return nil, errors.New("where it was is not known")
		}
		to = was[0]
		if id := c.Before.Keep[keepContainer]; len(id) == 1 { // whatever it is called by now
			switch container, err := r.find(ctx, s, access.Object{ID: id[0]}); {
			case errors.Is(err, access.ErrGone):
				return nil, fmt.Errorf("%w: the container %s that it was in is gone", access.ErrRefused, to)
			case err != nil:
				return nil, err
			default:
				to = container.entry.DN
			}
		}
	}
	if _, err := canonicalDN(to); err != nil || to == "" {
		return nil, fmt.Errorf("%w: %q is no DN", access.ErrRefused, to)
	}
	container, err := readEntry(ctx, s, to, []string{"objectClass"})
	switch {
	case err != nil:
		return nil, err
	case container == nil:
		return nil, fmt.Errorf("%w: there is no container %s, or the writing credential may not see it", access.ErrRefused, to)
	case sameDN(here, container.DN):
		return nil, nil
	case c.Undo && !sameDN(here, c.To):
		return nil, changedSince("where it is")
	}
	var naming []string // groups that the server has name it by its new DN
	for _, attribute := range []string{"member", "uniqueMember"} {
		naming = append(naming, "("+attribute+"="+ldap.EscapeFilter(v.entry.DN)+")")
	}
	st, err := r.step(s, v, nil, naming...)
	st.superior = container.DN
	return []step{st}, err
}

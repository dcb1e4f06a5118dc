package ldap

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
)

// delegate says what the account that carries out changes may do, and prints the commands that give it what it lacks; where
// there is none yet, all that it needs, and no more than that.
func (x *examination) delegate(ctx context.Context) error {
	k := *x.k
	k.config = x.k.config.writing().defaults()
	write := x.k.config.Write
	if write == nil {
		x.note("changes", false, "write: names no account to carry out changes with: nothing is changed here. The commands below give a second account the rights that changes need, each right by one of the two")
		return x.commands(ctx, "info", "WRITER", "SID-OF-WRITER", nil)
	}
	s, err := k.connect(ctx)
	if err != nil {
		x.note("changes", true, "%v", err)
		return nil
	}
	defer s.close()
	note := noteOf(write, "info")
	own := ownSID(ctx, s)
	if e, err := readEntry(ctx, s, x.user, []string{"objectSid"}); err == nil && e != nil && own != "" {
		v := newView()
		if v.of(e); adSID(v) == own { // everybody may write some of their own
			x.user = x.other
		}
	}
	may := map[string]bool{}
	for _, class := range []struct{ name, dn string }{{"user", x.user}, {"group", x.group}, {"computer", x.pc}} {
		if class.dn == "" {
			continue
		}
		attributes, err := writable(ctx, s, class.dn)
		if err != nil {
			return fmt.Errorf("ask what %s may write at %s: %w", k.describe(), class.dn, err)
		}
		for _, r := range adRights(note) {
			// name is written by moving alone, and so is never listed.
			if r.class == class.name && r.attribute != "" && r.attribute != "name" {
				may[r.what] = slices.ContainsFunc(attributes, func(a string) bool { return strings.EqualFold(a, r.attribute) })
			}
		}
	}
	able := 0
	for _, r := range adRights(note) {
		granted, seen := may[r.what]
		switch {
		case !seen:
			x.note("changes", false, "whether %s can %s is only seen when it does", s.identity, r.what)
		case granted:
			able++
			x.note("changes", false, "%s can %s, such as %s", s.identity, r.what, x.sample(r.class))
		default:
			x.note("changes", false, "%s can't %s, such as %s: that is left to an administrator", s.identity, r.what, x.sample(r.class))
		}
	}
	if able == 0 && len(may) > 0 {
		x.note("changes", true, "%s can change nothing of all this", s.identity)
	}
	return x.commands(ctx, note, k.describe(), cmp.Or(own, "SID-OF-WRITER"), may)
}

func (x *examination) sample(class string) string {
	return map[string]string{"user": x.user, "group": x.group, "computer": x.pc}[class]
}

// commands prints what gives an account the rights that it is not known to have.
func (x *examination) commands(ctx context.Context, note, who, sid string, has map[string]bool) error {
	base := x.bases[0]
	for _, r := range adRights(note) {
		if has[r.what] {
			continue
		}
		what, inherit, rights, sddl := "to "+r.what, "/I:S", r.dsacls, r.sddl
		if r.attribute != "" {
			id, err := x.schemaID(ctx, r.attribute)
			if err != nil {
				return err
			}
			rights = fmt.Sprintf("WP;%s;%s", r.attribute, r.class)
			sddl = fmt.Sprintf("OA;CIIO;WP;%s;%s", id, classGUID[r.class])
		}
		at := base
		if r.at != "" { // and below it
			inherit, at = "/I:T", r.at
		}
		x.note(what, false, `dsacls "%s" %s /G "%s:%s"`, at, inherit, who, rights)
		x.note(what, false, `samba-tool dsacl set --objectdn="%s" --sddl="(%s;%s)"`, at, sddl, sid)
	}
	return nil
}

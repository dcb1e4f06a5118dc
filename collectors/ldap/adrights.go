package ldap

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/lapse-audit/lapse/internal/access"
)

// adRight is one right that a delegate needs for changes in Active Directory, and no more than that.
type adRight struct {
	what      string // in words
	attribute string // to write; "" where it is another right
	class     string // of the entries that it is for
	actions   []access.Action
	// For rights that are not to write an attribute: how dsacls and SDDL write them.
	dsacls, sddl string
	// at stands for the container that the right is given at, where that is not all that is read.
	at string
}

// adRights are all that the actions need together.
func adRights(note string) []adRight {
	rights := []adRight{
		{what: "write userAccountControl of users", attribute: "userAccountControl", class: "user", actions: []access.Action{access.ActionDisable}},
		{what: "write accountExpires of users", attribute: "accountExpires", class: "user", actions: []access.Action{access.ActionExpire}},
		{what: "reset the password of users", class: "user", actions: []access.Action{access.ActionResetPassword},
			dsacls: "CA;Reset Password;user", sddl: "OA;CIIO;CR;" + rightResetPassword + ";" + classUser},
		{what: "write member of groups", attribute: "member", class: "group", actions: []access.Action{access.ActionRevoke}},
		{what: "write primaryGroupID of users", attribute: "primaryGroupID", class: "user", actions: []access.Action{access.ActionRevoke}},
		{what: "write managedBy of groups", attribute: "managedBy", class: "group", actions: []access.Action{access.ActionHandover}},
		{what: "write managedBy of computers", attribute: "managedBy", class: "computer", actions: []access.Action{access.ActionHandover}},
		{what: "write manager of users", attribute: "manager", class: "user", actions: []access.Action{access.ActionHandover, access.ActionClearManager}},
		{what: "write cn of users", attribute: "cn", class: "user", actions: []access.Action{access.ActionMove}},
		{what: "write name of users", attribute: "name", class: "user", actions: []access.Action{access.ActionMove}},
		{what: "delete users where they are", class: "user", actions: []access.Action{access.ActionMove},
			dsacls: "SD;;user", sddl: "OA;CIIO;SD;;" + classUser},
		{what: "create users where they go", class: "user", actions: []access.Action{access.ActionMove}, at: "DN-OF-WHERE-THEY-GO",
			dsacls: "CC;user", sddl: "OA;CI;CC;" + classUser + ";"},
		{what: "create users where they were, to undo it", class: "user", actions: []access.Action{access.ActionMove}, at: "DN-OF-WHERE-THEY-WERE",
			dsacls: "CC;user", sddl: "OA;CI;CC;" + classUser + ";"},
	}
	if note != "" {
		rights = slices.Insert(rights, 1, adRight{what: "write " + note + " of users", attribute: note, class: "user", actions: []access.Action{access.ActionDisable, access.ActionExpire}})
	}
	return rights
}

// rightResetPassword is User-Force-Change-Password ([MS-ADTS] 5.1.3.2.1).
const rightResetPassword = "00299570-246d-11d0-a768-00aa006e0529"

// classGUID are the classes that rights are given for.
var classGUID = map[string]string{"user": classUser, "group": classGroup, "computer": classComputer}

func (a adEditor) abilities() map[access.Action]access.Ability {
	needs := map[access.Action][]string{}
	for _, r := range adRights(a.noteAttribute()) {
		for _, action := range r.actions {
			needs[action] = append(needs[action], r.what)
		}
	}
	out := map[access.Action]access.Ability{}
	for action, what := range needs {
		password := action == access.ActionResetPassword // nothing shows it, and nobody knows what was
		out[action] = access.Ability{Right: strings.Join(what, ", "), Undo: !password, ReadBack: !password}
	}
	return out
}

// permit implements editor, by what the server says that this credential may write ([MS-ADTS] 3.1.1.4.5.17 and .21). It can't
// tell of resetting a password and of deleting.
func (a adEditor) permit(ctx context.Context, s *session, st step) error {
	e, err := readEntry(ctx, s, st.target, []string{"allowedAttributesEffective", "adminCount"})
	if err != nil {
		return err
	}
	if e == nil {
		return access.ErrGone
	}
	v := newView()
	v.of(e)
	may := func(attribute string) bool {
		return slices.ContainsFunc(v.texts("allowedattributeseffective"), func(t string) bool { return strings.EqualFold(t, attribute) })
	}
	var missing []string
	for _, attribute := range st.attributes() {
		switch {
		case attribute == "unicodePwd":
			// Whoever rules over the protected accounts may write all of them.
			if v.text("admincount") == "1" && !may("userAccountControl") {
				missing = append(missing, "reset the password")
			}
		case !may(attribute):
			missing = append(missing, "write "+attribute)
		}
	}
	if st.superior != "" {
		if v.text("admincount") == "1" && !may("cn") {
			missing = append(missing, "write cn")
		}
		create, err := a.mayCreate(ctx, s, st)
		if err != nil {
			return err
		}
		if !create {
			missing = append(missing, fmt.Sprintf("create entries of class %s in %s", st.class, st.superior))
		}
	}
	if len(missing) == 0 {
		return nil
	}
	why := ""
	if v.text("admincount") == "1" {
		why = ": it is or was in an administrative group (adminCount is 1), so that the domain keeps giving it the rights of CN=AdminSDHolder,CN=System in place of those delegated: to be done by an administrator"
	}
	return fmt.Errorf("%s: %w: the writing credential may not %s%s", st.dn, access.ErrRefused, strings.Join(missing, ", "), why)
}

func (a adEditor) mayCreate(ctx context.Context, s *session, st step) (bool, error) {
	e, err := readEntry(ctx, s, st.superior, []string{"allowedChildClassesEffective"})
	if err != nil || e == nil {
		return false, err
	}
	v := newView()
	v.of(e)
	return slices.ContainsFunc(v.texts("allowedchildclasseseffective"), func(c string) bool { return strings.EqualFold(c, st.class) }), nil
}

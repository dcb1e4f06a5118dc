package ldap

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/lapse-audit/lapse/internal/access"
)

// protectedBuiltin and protectedRID are the groups whose members Active Directory protects: every hour it takes the rights of
// CN=AdminSDHolder,CN=System for theirs, and sets adminCount ([MS-ADTS] 3.1.1.6.1). A domain can leave out four of them by
// dSHeuristics. Their members rule over its controllers nevertheless, and are no matter for a delegate.
var (
	protectedBuiltin = map[string]bool{
		"544": true, // Administrators
		"548": true, // Account Operators
		"549": true, // Server Operators
		"550": true, // Print Operators
		"551": true, // Backup Operators
		"552": true, // Replicator
	}
	protectedRID = map[string]bool{
		"512": true, // Domain Admins
		"518": true, // Schema Admins
		"519": true, // Enterprise Admins
		"526": true, // Key Admins
		"527": true, // Enterprise Key Admins
	}
	// rulingRID are those below S-1-5-21 that AdminSDHolder itself gives all rights to.
	rulingRID = map[string]bool{"512": true, "519": true}
)

// sidAdministrators is whoever rules a domain.
const sidAdministrators = "S-1-5-32-544"

func protectedSID(sid string) bool {
	if rid, ok := strings.CutPrefix(sid, "S-1-5-32-"); ok {
		return protectedBuiltin[rid]
	}
	return strings.HasPrefix(sid, "S-1-5-21-") && protectedRID[ridOf(sid)]
}

func rulingSID(sid string) bool {
	return sid == sidAdministrators || strings.HasPrefix(sid, "S-1-5-21-") && rulingRID[ridOf(sid)]
}

// spare implements editor. An entry that came into an administrative group within this hour still has the rights that were
// delegated. Whoever is no administrator leaves it alone, as the server would if it were asked an hour later. Once adminCount
// is set the rights are what they are, and permit has asked for them.
func (a adEditor) spare(ctx context.Context, s *session, st step) error {
	e, err := readEntry(ctx, s, st.target, []string{"adminCount", "objectSid", "tokenGroups", "memberOf"})
	if err != nil {
		return err
	}
	if e == nil {
		return access.ErrGone
	}
	v := newView()
	v.of(e)
	if v.text("admincount") == "1" {
		return nil
	}
	sids, err := sidsAbove(ctx, s, v)
	if err != nil {
		return err
	}
	i := slices.IndexFunc(sids, protectedSID)
	if i < 0 {
		return nil
	}
	group := sids[i]
	root, err := readEntry(ctx, s, "", []string{"tokenGroups"}) // of the writing credential
	if err != nil {
		return err
	}
	if root != nil {
		if v.of(root); slices.ContainsFunc(sidsOf(v), rulingSID) {
			return nil
		}
	}
	if named, err := readEntry(ctx, s, "<SID="+group+">", []string{"cn"}); err == nil && named != nil {
		group = named.DN
	}
	return fmt.Errorf("%s: %w: it is in the administrative group %s, directly or through others, so that within the hour the domain gives it the rights of CN=AdminSDHolder,CN=System in place of those delegated: to be done by an administrator",
		st.dn, access.ErrRefused, group)
}

// sidsAbove are the SIDs of an entry and of all groups that it is in. Not every server makes tokenGroups for a group: where
// there is none, memberOf is followed.
func sidsAbove(ctx context.Context, s *session, v *view) ([]string, error) {
	out := sidsOf(v)
	if v.has("tokengroups") {
		return out, nil
	}
	seen := map[string]bool{}
	g := newView()
	for above := slices.Clone(v.texts("memberof")); len(above) > 0; {
		dn := above[0]
		above = above[1:]
		if seen[fold(dn)] {
			continue
		}
		seen[fold(dn)] = true
		e, err := readEntry(ctx, s, dn, []string{"objectSid", "memberOf"})
		if err != nil {
			return nil, err
		}
		if e != nil {
			g.of(e)
			out = append(out, sidsOf(g)...)
			above = append(above, g.texts("memberof")...)
		}
	}
	return out, nil
}

// sidsOf are the SIDs of an entry and of all groups that it is in, as far as they are shown.
func sidsOf(v *view) []string {
	var out []string
	for _, raw := range slices.Concat(v.texts("objectsid"), v.texts("tokengroups")) {
		if sid, err := sidText([]byte(raw)); err == nil {
			out = append(out, sid)
		}
	}
	return out
}

package ldap

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/go-ldap/ldap/v3"

	"github.com/lapse-audit/lapse/internal/collect"
)

// everywhere are attributes that every account of Active Directory has: where one is absent, it may not be read.
var everywhere = []struct{ attribute, gives string }{
	{"objectGUID", "the account itself"},
	{"sAMAccountName", "username"},
	{"objectSid", "who is meant across domains, and primary groups"},
	{"userAccountControl", "enabled, password_never_expires, and all that concerns Kerberos"},
	{"pwdLastSet", "the age of passwords"},
	{"accountExpires", "expiry"},
	{"primaryGroupID", "primary groups"},
	{"whenCreated", "created"},
}

// somewhere are attributes that some account or group of any domain in use has.
var somewhere = []struct{ attribute, gives string }{
	{"lastLogonTimestamp", "last sign-in, and who never signed in"},
	{"servicePrincipalName", "which accounts can be attacked by their service tickets"},
	{"member", "who is in which group"},
	{"adminCount", "leftovers of special rights"},
	{"mail", "links to people by e-mail"},
	{"employeeID", "links to people by employee id"},
	{"managedBy", "owners of groups"},
	{"manager", "managers"},
}

// Diagnose implements collect.Doctor.
func (k *Collector) Diagnose(ctx context.Context) ([]collect.Advice, error) {
	if k.config.files() != nil {
		return k.diagnoseFiles(ctx)
	}
	s, err := k.connect(ctx)
	if err != nil {
		return nil, err
	}
	defer s.close()
	bases, err := k.bases(s.root)
	if err != nil {
		return nil, err
	}
	x := &examination{k: k, s: s, st: newStream(k, s, nil), bases: bases}
	kind := "a directory of RFC 2307 (" + s.root.vendor + ")"
	if s.root.dialect() == ActiveDirectory {
		kind = "Active Directory " + s.root.host
	}
	x.note("connection", false, "%s as %s: %s, reading %s", s.url, s.identity, kind, strings.Join(bases, "; "))
	if s.root.dialect() != ActiveDirectory {
		return x.advice, x.attributes(ctx, nil, false)
	}
	for _, step := range []func(context.Context) error{x.accounts, x.optional, x.containers, x.writing, x.grants, x.delegate} {
		if err := step(ctx); err != nil {
			return x.advice, err
		}
	}
	return x.advice, nil
}

// examination is one look at a server.
type examination struct {
	k       *Collector
	s       *session
	st      *stream
	bases   []string
	advice  []collect.Advice
	missing []string // attributes that may not be read
	user    string   // DN of some account
	other   string   // and of another one
	group   string
	pc      string
}

func (x *examination) note(what string, missing bool, format string, args ...any) {
	x.advice = append(x.advice, collect.Advice{What: what, Missing: missing, Detail: fmt.Sprintf(format, args...)})
}

// accounts reads what every account has, of all of them: rights differ from one part of the tree to the next.
func (x *examination) accounts(ctx context.Context) error {
	var names []string
	for _, a := range everywhere {
		names = append(names, a.attribute)
	}
	total := 0
	lacking := map[string]int{}
	where := map[string]string{}
	v := newView()
	for _, base := range x.bases {
		for e, err := range newStream(x.k, x.s, []search{{base: base, filter: "(&(objectCategory=person)(objectClass=user))", names: append(names, "objectClass", "isCriticalSystemObject", "adminCount")}}).all(ctx) {
			if err != nil {
				return err
			}
			v.of(e.Entry)
			total++
			// Rights to an administrator's account are not those to others.
			if v.text("iscriticalsystemobject") != "TRUE" && (x.user == "" || v.text("admincount") != "1") {
				x.other, x.user = x.user, e.DN
			}
			for _, a := range names {
				if !v.has(strings.ToLower(a)) {
					lacking[a]++
					where[a] = parentDN(e.DN)
				}
			}
		}
	}
	if total == 0 {
		x.note("accounts", true, "no user can be read below %s: check base:, and that this account may list its contents", strings.Join(x.bases, "; "))
		return nil
	}
	for _, a := range everywhere {
		if n := lacking[a.attribute]; n > 0 {
			x.missing = append(x.missing, a.attribute)
			x.note(a.attribute, true, "may not be read at %d of %d users, such as those in %s: unknown there is %s", n, total, where[a.attribute], a.gives)
		}
	}
	if len(lacking) == 0 {
		x.note("accounts", false, "%d users, each with all that an account must have: %s", total, strings.Join(names, " "))
	}
	return nil
}

// optional looks for attributes that not every account has.
func (x *examination) optional(ctx context.Context) error { return x.attributes(ctx, &x.missing, true) }

func (x *examination) attributes(ctx context.Context, missing *[]string, ad bool) error {
	list := somewhere
	if !ad {
		list = []struct{ attribute, gives string }{
			{"entryUUID", "ids that survive a rename"}, {"uid", "username"}, {"mail", "links to people by e-mail"}, {"employeeNumber", "links to people by employee id"},
			{"member", "who is in which group"}, {"memberUid", "who is in which POSIX group"}, {"pwdChangedTime", "the age of passwords"},
			{"pwdAccountLockedTime", "who is locked"}, {"authTimestamp", "last sign-in"}, {"shadowExpire", "expiry"},
		}
	}
	for _, a := range list {
		found := false
		for _, base := range x.bases {
			has, err := x.st.hasAny(ctx, base, "("+a.attribute+"=*)")
			if err != nil {
				return fmt.Errorf("look for %s: %w", a.attribute, explain(err))
			}
			found = found || has
		}
		if found {
			x.note(a.attribute, false, "can be read: gives %s", a.gives)
			continue
		}
		// Every domain in use has these; the others may just not be kept.
		certain := ad && slices.Contains([]string{"lastLogonTimestamp", "servicePrincipalName", "member"}, a.attribute)
		if certain && missing != nil {
			*missing = append(*missing, a.attribute)
		}
		x.note(a.attribute, certain, "is at no entry that can be read: it is set nowhere, or this account may not read it; unknown is %s", a.gives)
	}
	return nil
}

// containers looks into those that only administrators may open by default.
func (x *examination) containers(ctx context.Context) error {
	for _, c := range []struct {
		what, base, filter string
		wanted             bool
	}{
		{"password policies", "CN=Password Settings Container,CN=System," + x.s.root.defaultContext, "(objectClass=msDS-PasswordSettings)", false},
		{"deleted accounts", x.s.root.defaultContext, "(&(isDeleted=TRUE)(objectClass=user))", x.k.config.Deleted},
	} {
		q := search{base: c.base, filter: c.filter, names: []string{"1.1"}, optional: true}
		if c.what == "deleted accounts" {
			q.controls = []ldap.Control{ldap.NewControlMicrosoftShowDeleted()}
		}
		n := 0
		for _, err := range newStream(x.k, x.s, []search{q}).all(ctx) {
			if err != nil {
				return err
			}
			n++
		}
		if n > 0 {
			x.note(c.what, false, "%d can be read", n)
		} else {
			x.note(c.what, c.wanted, "none can be read: there is none, or this account may not see it, which by default only administrators may")
		}
	}
	return nil
}

// writing looks at what this account may change, which to read it need not.
func (x *examination) writing(ctx context.Context) error {
	for e, err := range newStream(x.k, x.s, []search{{base: x.bases[0], filter: "(&(objectCategory=group)(!(isCriticalSystemObject=TRUE)))", names: []string{"1.1"}}}).all(ctx) {
		if err != nil {
			return err
		}
		x.group = e.DN
		break
	}
	if x.s.spent { // not all groups were read
		if err := x.st.reconnect(ctx); err != nil {
			return err
		}
	}
	computer, err := x.st.first(ctx, x.bases[0], "(&(objectCategory=computer)(!(isCriticalSystemObject=TRUE)))", []string{"1.1"})
	if err != nil {
		return fmt.Errorf("look for a computer: %w", explain(err))
	}
	if computer != nil {
		x.pc = computer.DN
	}
	for _, c := range []struct{ dn, attribute, can string }{{x.user, "userAccountControl", "disable accounts"}, {x.group, "member", "remove members from groups"}} {
		if c.dn == "" {
			continue
		}
		writable, err := writable(ctx, x.s, c.dn)
		if err != nil {
			return fmt.Errorf("ask what may be written at %s: %w", c.dn, explain(err))
		}
		may := slices.ContainsFunc(writable, func(a string) bool { return strings.EqualFold(a, c.attribute) })
		if may {
			x.note("writing "+c.attribute, false, "this account can %s, such as %s: to read it needs no such right, take it away and give it to a second account", c.can, c.dn)
		} else {
			x.note("writing "+c.attribute, false, "this account can't %s, such as %s, and need not", c.can, c.dn)
		}
	}
	return nil
}

// writable are the attributes of an entry that this account may write ([MS-ADTS] 3.1.1.4.5.17).
func writable(ctx context.Context, s *session, dn string) ([]string, error) {
	e, err := readEntry(ctx, s, dn, []string{"allowedAttributesEffective"})
	if err != nil || e == nil {
		return nil, err
	}
	v := newView()
	v.of(e)
	return v.texts("allowedattributeseffective"), nil
}

// grants prints the commands that give what is missing.
func (x *examination) grants(ctx context.Context) error {
	base := x.bases[0]
	reader, sid := x.k.describe(), cmp.Or(ownSID(ctx, x.s), "SID-OF-READER")
	for _, a := range x.missing {
		class, guid := "user", classUser
		if a == "member" {
			class, guid = "group", classGroup
		}
		id, err := x.schemaID(ctx, a)
		if err != nil {
			return err
		}
		x.note("to read "+a, false, `dsacls "%s" /I:S /G "%s:RP;%s;%s"`, base, reader, a, class)
		x.note("to read "+a, false, `samba-tool dsacl set --objectdn="%s" --sddl="(OA;CIIO;RP;%s;%s;%s)"`, base, id, guid, sid)
	}
	return nil
}

// The classes that rights are given for ([MS-ADSC], schemaIDGUID).
const (
	classUser     = "bf967aba-0de6-11d0-a285-00aa003049e2"
	classGroup    = "bf967a9c-0de6-11d0-a285-00aa003049e2"
	classComputer = "bf967a86-0de6-11d0-a285-00aa003049e2"
)

// ownSID is the SID that we are bound as, which heads the token that the root shows; "" where it can't be read.
func ownSID(ctx context.Context, s *session) string {
	root, err := readEntry(ctx, s, "", []string{"tokenGroups"})
	if err != nil || root == nil {
		return ""
	}
	v := newView()
	v.of(root)
	sid, err := sidText(v.bytes("tokengroups"))
	if err != nil {
		return ""
	}
	return sid
}

// schemaID is the GUID by which rights name an attribute.
func (x *examination) schemaID(ctx context.Context, attribute string) (string, error) {
	base := "CN=Schema," + x.s.root.configuration
	for e, err := range newStream(x.k, x.s, []search{{base: base, filter: "(&(objectClass=attributeSchema)(lDAPDisplayName=" + attribute + "))", names: []string{"schemaIDGUID"}, optional: true}}).all(ctx) {
		if err != nil {
			return "", err
		}
		for _, a := range e.Attributes {
			if len(a.Values) > 0 {
				return guidText([]byte(a.Values[0]))
			}
		}
	}
	return "SCHEMA-GUID-OF-" + attribute, nil
}

// diagnoseFiles says what an export lacks.
func (k *Collector) diagnoseFiles(ctx context.Context) ([]collect.Advice, error) {
	s, err := k.survey(ctx)
	if err != nil {
		return nil, err
	}
	x := &examination{}
	rows := int64(0)
	for _, f := range s.files {
		rows += f.Rows
	}
	x.note("export", false, "%d entries of %s in %s", rows, s.dialect, strings.Join(k.config.files(), ", "))
	if s.dialect == ActiveDirectory {
		for _, a := range append(slices.Clip(everywhere), somewhere...) {
			if !s.has[strings.ToLower(a.attribute)] {
				x.note(a.attribute, slices.Contains(everywhere, a), "was not exported, or is set nowhere: unknown is %s", a.gives)
			}
		}
	}
	return x.advice, nil
}

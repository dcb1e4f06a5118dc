package ldap

import (
	"cmp"
	"fmt"
	"iter"
	"slices"
	"strings"

	"github.com/go-ldap/ldap/v3"

	"github.com/lapse-audit/lapse/internal/access"
	"github.com/lapse-audit/lapse/internal/collect"
)

// activeDir reads Active Directory ([MS-ADTS]), and Samba as a domain controller.
type activeDir struct {
	reading
	mapping mapping
	v       *view
	out     collect.Sink
	members *members
	owners  *owners
	roster  *roster
	signIn  *signIns // nil: only the server that is read was asked
	count   struct{ groups, policies, computers, deleted, uncontrolled int64 }
}

func newActiveDirectory(r reading) *activeDir {
	m := newMembers()
	return &activeDir{reading: r, mapping: newMapping(r.config), v: newView(), members: m, owners: newOwners(r, "managedby", m), roster: newRoster(r.config, m), signIn: r.signIns}
}

// query implements dialect.
func (d *activeDir) query() query {
	classes := []string{
		"(&(objectCategory=person)(objectClass=user))", "(objectCategory=group)", "(objectClass=foreignSecurityPrincipal)",
		"(objectClass=msDS-ManagedServiceAccount)", "(objectClass=msDS-GroupManagedServiceAccount)", "(objectClass=msDS-DelegatedManagedServiceAccount)",
		"(objectClass=msDS-PasswordSettings)", "(objectClass=domainDNS)", "(objectClass=inetOrgPerson)",
	}
	if d.config.Computers {
		classes = append(classes, "(objectCategory=computer)")
	}
	classes = append(classes, "(objectClass=contact)") // without being an account, one can be a member
	filter := "(|" + strings.Join(classes, "") + ")"
	if d.config.Filter != "" {
		filter = "(&" + filter + enclosed(d.config.Filter) + ")"
	}
	names := slices.Concat(adAttributes, d.mapping.wanted(), d.roster.wanted())
	q := query{filter: filter, attributes: names, telling: []string{"lastlogontimestamp", "serviceprincipalname", "member"}}
	if d.config.Deleted {
		q.more = []search{{filter: "(&(isDeleted=TRUE)(objectClass=user)(!(objectClass=computer)))", names: names, controls: []ldap.Control{ldap.NewControlMicrosoftShowDeleted()}, optional: true}}
	}
	return q
}

// enclosed is a filter with its parentheses, which may be left out.
func enclosed(filter string) string {
	if strings.HasPrefix(filter, "(") {
		return filter
	}
	return "(" + filter + ")"
}

// adAttributes are asked for by name, so that nothing else is sent. Computed ones come only so.
var adAttributes = []string{
	"objectClass", "objectGUID", "objectSid", "sAMAccountName", "userPrincipalName", "displayName", "cn", "mail", "employeeID",
	"userAccountControl", "msDS-User-Account-Control-Computed", "accountExpires", "lastLogonTimestamp", "lastLogon", "pwdLastSet", "lockoutTime",
	"whenCreated", "primaryGroupID", "servicePrincipalName", "adminCount", "manager", "managedBy", "msExchRecipientTypeDetails",
	"msDS-AllowedToDelegateTo", "sIDHistory", "isDeleted", "groupType", "member",
	"extensionAttribute1", "extensionAttribute2", "extensionAttribute3", "extensionAttribute4", "extensionAttribute5",
	"extensionAttribute6", "extensionAttribute7", "extensionAttribute8", "extensionAttribute9", "extensionAttribute10",
	"extensionAttribute11", "extensionAttribute12", "extensionAttribute13", "extensionAttribute14", "extensionAttribute15",
	"minPwdLength", "maxPwdAge", "pwdProperties", "lockoutThreshold", "ms-DS-MachineAccountQuota", // of the domain
	"msDS-MinimumPasswordLength", "msDS-MaximumPasswordAge", "msDS-LockoutThreshold", "msDS-PasswordComplexityEnabled",
	"msDS-PasswordReversibleEncryptionEnabled", "msDS-PasswordSettingsPrecedence", "msDS-PSOAppliesTo",
}

// collect implements dialect.
func (d *activeDir) collect(entries iter.Seq2[located, error], out collect.Sink) (outcome, error) {
	d.out = out
	for e, err := range entries {
		if err != nil {
			return outcome{}, err
		}
		d.v.of(e.Entry)
		if err := d.entry(e); err != nil {
			return outcome{}, err
		}
	}
	if err := d.roster.settle(out); err != nil {
		return outcome{}, err
	}
	if err := d.owners.settle(out); err != nil {
		return outcome{}, err
	}
	left, err := d.members.put(out)
	if err != nil {
		return outcome{}, err
	}
	return d.outcome(left), nil
}

// entry makes the records of one entry.
func (d *activeDir) entry(e located) error {
	v := d.v
	dn, err := canonicalDN(e.DN)
	if err != nil {
		return e.reject(d.out, "dn", err.Error())
	}
	isUser := v.is("user") || v.is("inetorgperson") && v.has("samaccountname")
	switch {
	case !v.has("objectclass"):
		return e.reject(d.out, "objectClass", "can't be read: what the entry is, is not known")
	case v.is("group"):
		return d.group(e, dn)
	case v.is("foreignsecurityprincipal"):
		return d.foreign(e, dn)
	case v.is("msds-passwordsettings"), v.is("domaindns"):
		return d.policy(e)
	case isUser && v.is("computer") && !serviceClass(v) && !d.config.Computers:
		d.count.computers++
		d.members.holder("", "", d.members.name("dn", dn))
		return nil
	case isUser:
		return d.account(e, dn)
	case v.is("contact") && d.config.Contacts:
		return d.account(e, dn)
	case v.is("contact"):
		d.members.holder("", "", d.members.name("dn", dn))
		return nil
	}
	return nil // an export holds whatever there is: organisational units, printers, DNS zones
}

// identity is the id of an entry, or why it has none.
func (d *activeDir) identity() (id, reason string) {
	raw := d.v.bytes("objectguid")
	if raw == nil {
		return "", "can't be read: without it an account is lost when it is renamed"
	}
	id, err := guidText(raw)
	if err != nil {
		return "", err.Error()
	}
	return id, ""
}

// sid is the security identifier of an entry, "" where it can't be read.
func (d *activeDir) sid() string {
	raw := d.v.bytes("objectsid")
	if raw == nil {
		return ""
	}
	sid, err := sidText(raw)
	if err != nil {
		d.v.unreadable["objectsid"]++
	}
	return sid
}

func (d *activeDir) put(e located, rec access.Record, ownerDN string) error {
	return d.owners.put(d.out, e, d.v, rec, ownerDN)
}

// foreign is somebody of another domain, known here by the SID only; or one of those that every Windows knows, such as
// Authenticated Users, which is no account but a name for many.
func (d *activeDir) foreign(e located, dn string) error {
	id, reason := d.identity()
	if reason != "" {
		return e.reject(d.out, "objectGUID", reason)
	}
	sid := cmp.Or(d.sid(), d.v.text("cn"))
	names := []nameNo{d.members.name("dn", dn), d.members.name("sid", sid)}
	if name := wellKnown[sid]; name != "" {
		d.members.holder(access.HolderEntitlement, id, names...)
		no := false
		return d.put(e, access.Entitlement{ID: id, Name: name, Kind: "well_known", Resource: domainOf(e.DN), Privileged: &no, Attributes: map[string]string{"dn": e.DN, "sid": sid}}, "")
	}
	d.members.holder(access.HolderAccount, id, names...)
	a := access.Account{ID: id, Username: sid, CreatedAt: d.v.time("whencreated"),
		Attributes: map[string]string{"dn": e.DN, "sid": sid, "object_class": "foreign_security_principal"}}
	owner := d.mapping.account(&a, d.v, dn)
	return d.put(e, a, owner)
}

// policy is the domain's password policy, or a fine-grained one. It grants nothing.
func (d *activeDir) policy(e located) error {
	v := d.v
	id, reason := d.identity()
	if reason != "" {
		return e.reject(d.out, "objectGUID", reason)
	}
	p := access.Entitlement{ID: id, Name: v.text("cn"), Kind: "password_policy", Resource: domainOf(e.DN), Attributes: map[string]string{"dn": e.DN}}
	no := false
	p.Privileged = &no
	set := func(key string, attributes ...string) {
		for _, a := range attributes {
			if t := v.text(a); t != "" {
				p.Attributes[key] = t
			}
		}
	}
	set("min_length", "minpwdlength", "msds-minimumpasswordlength")
	set("lockout_threshold", "lockoutthreshold", "msds-lockoutthreshold")
	set("precedence", "msds-passwordsettingsprecedence")
	set("machine_account_quota", "ms-ds-machineaccountquota")
	for _, a := range []string{"maxpwdage", "msds-maximumpasswordage"} {
		// A negative span in units of 100 ns; 0 and the smallest number mean that passwords don't age.
		if n, ok := v.number(a); ok && n > -1<<63 && n < 0 {
			p.Attributes["max_age_days"] = fmt.Sprint(-n / (24 * 3600 * 1e7))
		} else if ok {
			p.Attributes["max_age_days"] = "never"
		}
	}
	for key, a := range map[string]string{"complexity": "msds-passwordcomplexityenabled", "reversible_password": "msds-passwordreversibleencryptionenabled"} {
		if t := v.text(a); t != "" {
			p.Attributes[key] = strings.ToLower(t)
		}
	}
	if v.is("domaindns") {
		p.Name = "Default domain password policy"
		if n, ok := v.number("pwdproperties"); ok { // [MS-SAMR] 2.2.3.1
			p.Attributes["complexity"] = flag(n&1 != 0)
			p.Attributes["reversible_password"] = flag(n&0x10 != 0)
		}
	} else {
		d.count.policies++
		if to := v.texts("msds-psoappliesto"); len(to) > 0 {
			p.Attributes["applies_to"] = strings.Join(to, "; ")
		}
	}
	return d.put(e, p, "")
}

func (d *activeDir) outcome(l left) outcome {
	out := outcome{reads: append(d.roster.reads(), string(collect.Accounts)), coverage: map[string]access.Coverage{}, notes: d.v.notes()}
	note := func(format string, args ...any) { out.notes = append(out.notes, fmt.Sprintf(format, args...)) }
	if d.count.groups > 0 {
		out.reads = append(out.reads, string(collect.Entitlements))
		if d.given("member") {
			out.reads = append(out.reads, string(collect.Grants))
		} else {
			out.coverage["grants"] = access.CoveragePartial
			note("member of groups can't be read by this account, or was not exported: only primary groups are known")
		}
	} else {
		note("no group was read: grants are unknown")
	}
	switch {
	case d.signIn != nil:
		d.signIn.outcome(&out)
	case d.given("lastlogontimestamp"):
		note("last sign-ins are from lastLogonTimestamp, which may be up to %s behind: an account may have been used as much later than it says", *d.config.Lag)
	default:
		note("lastLogonTimestamp can't be read by this account, or was not exported: who never signed in is not known")
	}
	if d.count.uncontrolled > 0 {
		note("%d accounts don't show userAccountControl, which every account has: this account may not read it there, so that whether they are enabled is not known", d.count.uncontrolled)
	}
	if !d.given("serviceprincipalname") {
		note("servicePrincipalName can't be read by this account, or was not exported: which accounts have one is not known")
	}
	if d.count.policies == 0 {
		note("no fine-grained password policy was read: there is none, or this account may not read CN=Password Settings Container,CN=System")
	}
	if d.config.Deleted && d.count.deleted == 0 {
		note("no deleted account was read: there is none, or this account may not read CN=Deleted Objects")
	}
	if d.count.computers > 0 {
		note("%d computers are left out: write computers: true to have them", d.count.computers)
	}
	if l.unknown > 0 {
		note("%d memberships name an entry that was not read: it lies outside of what is read, or this account may not see it", l.unknown)
	}
	if l.none > 0 {
		note("%d memberships are of contacts and computers that are left out", l.none)
	}
	return out
}

// flag writes a truth as rules compare it.
func flag(b bool) string {
	if b {
		return "true"
	}
	return "false"
}

// domainOf is the DNS name of the domain that a DN lies in, "" where it lies in none.
func domainOf(dn string) string {
	canonical, err := canonicalDN(dn)
	if err != nil {
		return ""
	}
	var labels []string
	for canonical != "" {
		typ, value, err := nameOf(canonical)
		if err == nil && strings.EqualFold(typ, "dc") {
			labels = append(labels, value)
		}
		canonical = parentDN(canonical)
	}
	return strings.Join(labels, ".")
}

package ldap

import (
	"fmt"
	"iter"
	"slices"
	"strings"

	"github.com/lapse-audit/lapse/internal/access"
	"github.com/lapse-audit/lapse/internal/collect"
)

// rfc2307 reads OpenLDAP, 389 Directory Server and others with the schemas of RFC 4519 (people, groups), RFC 2798
// (inetOrgPerson) and RFC 2307 (POSIX accounts and groups).
type rfc2307 struct {
	reading
	mapping  mapping
	disabled *filter // config.Disabled
	v        *view
	out      collect.Sink
	members  *members
	owners   *owners
	roster   *roster
	told     memberships
	dynamic  dynamic
	twins    map[nameNo][]uint32 // further holders of a login name or a group number
	byLogin  bool                // groups may name their members by login names: all but an export that has no memberUid
	hidden   map[uint32]bool     // groups whose members can't be read

	count struct{ groups, byDN int64 }
}

func newRFC2307(r reading) *rfc2307 {
	m := newMembers()
	d := &rfc2307{reading: r, mapping: newMapping(r.config), v: newView(), members: m, owners: newOwners(r, "owner", m), roster: newRoster(r.config, m), twins: map[nameNo][]uint32{}, hidden: map[uint32]bool{}}
	d.byLogin = r.config.files() == nil || r.given("memberuid")
	if r.config.Disabled != "" {
		if f, err := parseFilter(r.config.Disabled); err == nil { // Validate has read it
			d.disabled = f
		}
	}
	d.dynamic.asked = map[string]bool{}
	for _, name := range d.query().attributes {
		d.dynamic.asked[strings.ToLower(name)] = true
	}
	return d
}

// roles are what an entry is by its classes. Where it can be a person it is no service, whatever else it is.
type roles struct{ account, person, service, group bool }

// classRoles are the classes that say something of it. Further classes of accounts and groups have one of these above them.
var classRoles = map[string]roles{
	"person":               {account: true, person: true},
	"organizationalperson": {account: true, person: true},
	"inetorgperson":        {account: true, person: true},
	"residentialperson":    {account: true, person: true},
	"account":              {account: true},
	"posixaccount":         {account: true, person: true},
	"shadowaccount":        {account: true},
	"inetuser":             {account: true},
	"uidobject":            {account: true},
	"applicationprocess":   {account: true, service: true},
	// A role or a device that has a password so that something can bind as it.
	"simplesecurityobject": {account: true, service: true},

	"groupofnames":       {group: true},
	"groupofuniquenames": {group: true},
	"groupofmembers":     {group: true},
	"groupofentries":     {group: true},
	"groupofurls":        {group: true},
	"posixgroup":         {group: true},
	"group":              {group: true},
}

// membership are the attributes that name members.
var membership = []string{"member", "uniquemember", "memberuid", "roleoccupant"}

// query implements dialect.
func (d *rfc2307) query() query {
	var classes []string
	for class := range classRoles {
		classes = append(classes, "(objectClass="+class+")")
	}
	for _, a := range membership {
		classes = append(classes, "("+a+"=*)")
	}
	slices.Sort(classes)
	filter := "(|" + strings.Join(classes, "") + ")"
	if d.config.Filter != "" {
		filter = "(&" + filter + enclosed(d.config.Filter) + ")"
	}
	names := slices.Concat(rfc2307Attributes, d.mapping.wanted(), d.roster.wanted())
	telling := slices.Concat(membership, []string{"entryuuid", "nsuniqueid", "memberurl", "nsaccountlock", "logindisabled", "pwdaccountlockedtime", "accountunlocktime"})
	if d.disabled != nil {
		names = append(names, d.disabled.attributes()...)
		telling = append(telling, d.disabled.attributes()...)
	}
	return query{filter: filter, attributes: names, telling: telling}
}

// rfc2307Attributes are asked for by name: operational ones come only so, and password hashes and photos don't come.
var rfc2307Attributes = []string{
	"objectClass", "entryUUID", "nsUniqueId", "createTimestamp",
	"uid", "cn", "displayName", "gecos", "mail", "employeeNumber", "employeeType", "manager", "owner",
	"uidNumber", "gidNumber", "loginShell",
	"member", "uniqueMember", "memberUid", "roleOccupant", "memberOf", "memberURL",
	"pwdAccountLockedTime", "pwdChangedTime", "pwdPolicySubentry", "pwdFailureTime", "pwdReset", "pwdStartTime", "pwdEndTime", "pwdLastSuccess", "authTimestamp", // draft-behera-ldap-password-policy; OpenLDAP
	"nsAccountLock", "accountUnlockTime", "lastLoginTime", "pwdUpdateTime", // 389 Directory Server
	"loginDisabled", "loginTime", // eDirectory
	"krbLastPwdChange", "krbLastSuccessfulAuth", "krbPrincipalExpiration", // FreeIPA
	"shadowExpire", "shadowLastChange",
	"ou", "o", "l", "st", "title", "departmentNumber", "businessCategory", // what dynamic groups ask
}

// collect implements dialect.
func (d *rfc2307) collect(entries iter.Seq2[located, error], out collect.Sink) (outcome, error) {
	d.out = out
	d.dynamic.wanted = d.given("memberurl")
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
	if err := d.settleTold(); err != nil {
		return outcome{}, err
	}
	d.dynamic.settle(d.members)
	d.settleTwins()
	left, err := d.members.put(out)
	if err != nil {
		return outcome{}, err
	}
	return d.outcome(left), nil
}

// entry makes the records of one entry.
func (d *rfc2307) entry(e located) error {
	dn, err := canonicalDN(e.DN)
	if err != nil {
		return e.reject(d.out, "dn", err.Error())
	}
	if !d.v.has("objectclass") {
		return e.reject(d.out, "objectClass", "can't be read: what the entry is, is not known")
	}
	var is roles
	for _, class := range d.v.texts("objectclass") {
		r := classRoles[strings.ToLower(class)]
		is.account, is.person = is.account || r.account, is.person || r.person
		is.service, is.group = is.service || r.service, is.group || r.group
	}
	if d.v.is("pwdpolicy") {
		return nil // of whatever class its entry is, nobody signs in as it
	}
	is.group = is.group || !is.account && slices.ContainsFunc(membership, d.v.has)
	if !is.group && !is.account {
		return nil // an organisational unit, a domain, an alias
	}
	id, reason := d.identity(dn)
	if reason != "" {
		return e.reject(d.out, "entryUUID", reason)
	}
	if is.group {
		return d.group(e, dn, id)
	}
	return d.account(e, dn, id, is)
}

// identity is the id of an entry, which stays when it is renamed: nsUniqueId on 389 Directory Server, entryUUID elsewhere
// (RFC 4530). Where a source gives neither, as exports without operational attributes, entries are known by their DN, and
// the outcome says so. It is asked in this order so that a server that learns to give entryUUID changes no id.
func (d *rfc2307) identity(dn string) (id, reason string) {
	for _, a := range []string{"nsuniqueid", "entryuuid"} {
		if t := d.v.text(a); t != "" {
			return strings.ToLower(t), ""
		}
	}
	if d.given("entryuuid") || d.given("nsuniqueid") {
		return "", "can't be read, as that of other entries can: without it an entry is lost when it is renamed"
	}
	d.count.byDN++
	return "dn:" + dn, ""
}

// name makes a holder known by a name that should be its own. Where two have one, both hold what the name is given.
func (d *rfc2307) name(no uint32, key nameNo) {
	if was, taken := d.members.find(key); taken && was != no {
		d.twins[key] = append(d.twins[key], no)
		return
	}
	d.members.call(key, no)
}

// settleTwins gives those who share a name what was given to the first of them.
func (d *rfc2307) settleTwins() {
	if len(d.twins) == 0 {
		return
	}
	alias := func(no uint32) nameNo {
		key := d.members.name("no", fmt.Sprint(no))
		d.members.call(key, no)
		return key
	}
	d.members.pairs.each(func(group, member uint32) {
		for _, no := range d.twins[nameNo(member)] {
			d.members.add(group, alias(no))
		}
	})
	d.members.joins.each(func(group, member uint32) {
		for _, no := range d.twins[nameNo(group)] {
			d.members.add(no, alias(member))
		}
	})
}

func (d *rfc2307) outcome(l left) outcome {
	out := outcome{reads: append(d.roster.reads(), string(collect.Accounts)), coverage: map[string]access.Coverage{}, notes: d.v.notes()}
	note := func(format string, args ...any) { out.notes = append(out.notes, fmt.Sprintf(format, args...)) }
	if d.count.byDN > 0 {
		note("%d entries have neither entryUUID nor nsUniqueId and are known by their DN: renamed or moved, one looks like another; "+
			"let this account read these attributes, or export operational attributes (slapcat, or ldapsearch with '*' '+')", d.count.byDN)
	}
	if d.count.groups > 0 || len(d.told.groups) > 0 {
		out.reads = append(out.reads, string(collect.Entitlements))
	}
	hidden := int64(len(d.hidden))
	switch held := d.members.pairs.len()+d.members.joins.len() > 0; {
	case d.count.groups == 0 && !held:
		note("no group was read: grants are unknown")
	case hidden == d.count.groups && !held:
		note("the members of groups can't be read by this account, or were not exported: grants are unknown")
	default:
		out.reads = append(out.reads, string(collect.Grants))
		if hidden > 0 {
			out.coverage["grants"] = access.CoveragePartial
			note("the members of %d groups can't be read by this account, were not exported, or there are none: of these groups grants are known from memberOf and primary groups alone", hidden)
		}
	}
	if n := len(d.told.groups); n > 0 {
		out.coverage["grants"] = access.CoveragePartial
		note("%d groups are known from memberOf alone: whoever is in one through another group looks like a member of both", n)
	}
	if len(d.dynamic.faults) > 0 {
		out.coverage["grants"] = access.CoveragePartial
		out.notes = append(out.notes, d.dynamic.faults...)
	}
	if n := len(d.twins); n > 0 {
		note("%d login names or group numbers are used twice: whoever has one holds what is given to it", n)
	}
	if d.disabled != nil {
		if a, ok := d.unasked(); !ok {
			note("disabled: asks %s, which can't be read by this account, was not exported, or is not used: who is disabled is unknown", a)
		}
	}
	if l.unknown > 0 {
		note("%d memberships name an entry that was not read: it doesn't exist, lies outside of what is read, or this account may not see it", l.unknown)
	}
	return out
}

// unasked is the first attribute of config.Disabled that the source doesn't give.
func (d *rfc2307) unasked() (attribute string, ok bool) {
	for _, a := range d.disabled.attributes() {
		if a != "objectclass" && !d.given(a) {
			return a, false
		}
	}
	return "", true
}

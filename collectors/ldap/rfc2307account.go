package ldap

import (
	"cmp"
	"strings"
	"time"

	"github.com/lapse-audit/lapse/internal/access"
)

// account is an entry that somebody or something can bind as.
func (d *rfc2307) account(e located, dn, id string, is roles) error {
	v := d.v
	a := access.Account{
		ID: id, Username: v.text("uid"), Email: v.text("mail"), Name: cmp.Or(v.text("displayname"), v.text("cn"), v.text("gecos")),
		EmployeeID: v.text("employeenumber"), CreatedAt: v.time("createtimestamp"), Attributes: map[string]string{"dn": e.DN, "ou": parentDN(e.DN)},
	}
	if a.Username == "" { // one signs in as it by its DN
		if _, name, err := nameOf(e.DN); err == nil {
			a.Username = name
		}
	}
	for key, attribute := range map[string]string{"uid_number": "uidnumber", "gid_number": "gidnumber", "login_shell": "loginshell", "manager": "manager", "employee_type": "employeetype"} {
		if t := v.text(attribute); t != "" {
			a.Attributes[key] = t
		}
	}
	if strings.HasPrefix(id, "dn:") {
		a.Attributes["id_from"] = "dn"
	}
	if is.service && !is.person {
		a.Kind = access.KindService
	}
	if n, ok := v.number("uidnumber"); ok && n == 0 { // root, by whatever name
		yes := true
		a.Privileged = &yes
	}
	d.state(&a)
	a.PasswordChangedAt = d.passwordChanged()
	a.ExpiresAt = d.expires()
	a.LastLoginAt = d.signIn()

	owner := v.text("owner")
	if o := d.mapping.account(&a, v, dn); o != "" {
		owner = o
	}
	if owner != "" && !strings.Contains(owner, "=") { // not a DN: an employee number, a name
		a.OwnerID, owner = owner, ""
	}

	no := d.members.holder(access.HolderAccount, id)
	d.name(no, d.members.name("dn", dn))
	if d.byLogin {
		for _, uid := range v.texts("uid") {
			d.name(no, d.members.name("uid", foldValue(uid)))
		}
	}
	d.owners.know(no, cmp.Or(a.EmployeeID, a.Email, a.Username))
	if err := d.roster.person(d.out, e, v, a, no); err != nil {
		return err
	}
	if v.is("posixaccount") { // its primary group does not name it
		if gid := v.text("gidnumber"); gid != "" {
			d.members.join(no, d.members.name("gid", gid))
		}
	}
	d.told.add(d, no)
	d.dynamic.keep(e, dn, no)
	return d.owners.put(d.out, e, v, a, owner)
}

// lockedForGood is what an administrator sets so that an account stays locked (draft-behera-ldap-password-policy-10, 5.3.3).
const lockedForGood = "000001010000Z"

// state reads whether the account is enabled and locked. Each server has its own way to say so; where none is in use,
// nothing is known.
func (d *rfc2307) state(a *access.Account) {
	v := d.v
	enabled := func(yes bool) {
		if a.Enabled == nil || !yes { // that it is disabled counts, whoever says it
			a.Enabled = &yes
		}
	}
	locked := func(yes bool) { a.Locked = &yes }

	for _, attribute := range []string{"nsaccountlock", "logindisabled"} {
		switch t := strings.ToLower(v.text(attribute)); {
		case t == "true":
			enabled(false)
		case t == "false", t == "" && d.given(attribute):
			enabled(true)
		case t != "":
			v.unreadable[attribute]++
		}
	}

	switch t := v.text("pwdaccountlockedtime"); {
	case t == lockedForGood || t == "00000101000000Z":
		enabled(false)
		locked(true)
	case t != "": // for how long, is the password policy's to say
		enabled(true)
	case d.given("pwdaccountlockedtime") || v.has("pwdchangedtime") || v.has("pwdpolicysubentry") || v.has("pwdfailuretime") || v.has("pwdreset"):
		// Not locked. That the attribute can be read at this entry is not proven, but those beside it are guarded alike.
		enabled(true)
		locked(false)
	}

	if t := v.text("accountunlocktime"); t != "" {
		if until := v.time("accountunlocktime"); until != nil { // 1970 is until somebody unlocks it
			locked(until.Unix() == 0 || until.After(d.now))
		}
	} else if d.given("accountunlocktime") {
		locked(false)
	}

	if d.disabled != nil {
		if matches(d.disabled, v.entry) {
			enabled(false)
		} else if _, ok := d.unasked(); ok {
			enabled(true)
		}
	}
}

// passwordChanged is when the password was set.
func (d *rfc2307) passwordChanged() *time.Time {
	return cmp.Or(d.v.time("pwdchangedtime"), d.v.time("pwdupdatetime"), d.v.time("krblastpwdchange"), d.days("shadowlastchange"))
}

// expires is when the account ends by itself, at the earliest.
func (d *rfc2307) expires() *time.Time {
	var first *time.Time
	for _, t := range []*time.Time{d.v.time("pwdendtime"), d.v.time("krbprincipalexpiration"), d.days("shadowexpire")} {
		if t != nil && (first == nil || t.Before(*first)) {
			first = t
		}
	}
	return first
}

// signIn is when the account was last used. Where no attribute says so it is unknown, not never: servers write them only
// from when they were told to.
func (d *rfc2307) signIn() *time.Time {
	var last *time.Time
	for _, attribute := range []string{"authtimestamp", "pwdlastsuccess", "lastlogintime", "krblastsuccessfulauth", "logintime"} {
		if t := d.v.time(attribute); t != nil && (last == nil || t.After(*last)) {
			last = t
		}
	}
	return last
}

// days is an attribute that counts days since 1970 (shadow(5)). Negative numbers mean that there is no such day, and 0 has
// more than one meaning.
func (d *rfc2307) days(attribute string) *time.Time {
	n, ok := d.v.number(attribute)
	if !ok || n <= 0 {
		return nil
	}
	if n > 1e6 {
		d.v.unreadable[attribute]++
		return nil
	}
	t, err := stored(time.Unix(n*24*3600, 0).UTC())
	if err != nil {
		d.v.unreadable[attribute]++
		return nil
	}
	return &t
}

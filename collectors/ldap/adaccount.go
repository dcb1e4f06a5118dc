package ldap

import (
	"cmp"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/lapse-audit/lapse/internal/access"
)

// Bits of userAccountControl ([MS-ADTS] 2.2.16).
const (
	uacDisabled              = 0x2
	uacLockout               = 0x10 // of the computed attribute only
	uacPasswordNotRequired   = 0x20
	uacReversiblePassword    = 0x80
	uacInterdomainTrust      = 0x800
	uacPasswordNeverExpires  = 0x10000
	uacSmartcardRequired     = 0x40000
	uacTrustedForDelegation  = 0x80000
	uacNotDelegated          = 0x100000
	uacDESOnly               = 0x200000
	uacNoPreauthentication   = 0x400000
	uacTrustedToAuthenticate = 0x1000000
)

const ridKrbtgt = "502" // the account whose key signs all tickets

// Values of msExchRecipientTypeDetails.
const (
	exchangeShared          = 4
	exchangeRoom            = 16
	exchangeEquipment       = 32
	exchangeRemoteRoom      = 8589934592
	exchangeRemoteEquipment = 17179869184
	exchangeRemoteShared    = 34359738368
	exchangeUser            = 1
	exchangeLinked          = 2
	exchangeRemoteUser      = 2147483648
)

// The classes of service accounts, in lower case.
const (
	managedServiceAccount   = "msds-managedserviceaccount"
	groupManagedAccount     = "msds-groupmanagedserviceaccount"
	delegatedManagedAccount = "msds-delegatedmanagedserviceaccount"
)

// serviceClass reports whether an entry is a service account by its class. The classes are below that of computers.
func serviceClass(v *view) bool {
	return v.is(managedServiceAccount) || v.is(groupManagedAccount) || v.is(delegatedManagedAccount)
}

// account is a user, a service account, a computer, or a contact where these are asked for.
func (d *activeDir) account(e located, dn string) error {
	v := d.v
	id, reason := d.identity()
	if reason != "" {
		return e.reject(d.out, "objectGUID", reason)
	}
	sid := d.sid()
	a := access.Account{
		ID: id, Username: v.text("samaccountname"), Email: v.text("mail"), Name: cmp.Or(v.text("displayname"), v.text("cn")),
		EmployeeID: v.text("employeeid"), CreatedAt: v.time("whencreated"), Attributes: map[string]string{"dn": e.DN, "ou": parentDN(e.DN)},
	}
	if sid != "" {
		a.Attributes["sid"] = sid
		a.Attributes["rid"] = ridOf(sid)
	}
	for key, attribute := range map[string]string{"upn": "userprincipalname", "manager": "manager", "admin_count": "admincount"} {
		if t := v.text(attribute); t != "" {
			a.Attributes[key] = t
		}
	}
	for i := 1; i <= 15; i++ {
		if t := v.text(extension[i]); t != "" {
			a.Attributes[extension[i]] = t
		}
	}
	if to := v.texts("msds-allowedtodelegateto"); len(to) > 0 {
		a.Attributes["delegates_to"] = strings.Join(to, ", ")
	}
	if old := d.history(); old != "" {
		a.Attributes["sid_history"] = old
	}
	d.control(&a, sid)
	d.passwords(&a)
	d.signIns(&a)
	d.mailbox(&a)
	if v.text("isdeleted") == "TRUE" {
		d.count.deleted++
		no := false
		a.Enabled = &no
		a.Attributes["deleted"] = "true"
	}
	owner := v.text("managedby")
	if v.is("contact") { // a name in the address book: nobody can sign in as one
		no := false
		a.Enabled, a.Attributes["object_class"] = &no, "contact"
	}
	if o := d.mapping.account(&a, v, dn); o != "" {
		owner = o
	}
	if owner != "" && !strings.Contains(owner, "=") { // not a DN: an employee id, a name
		a.OwnerID, owner = owner, ""
	}

	no := d.members.holder(access.HolderAccount, id, d.members.name("dn", dn)) // nobody names one by its SID
	d.owners.know(no, cmp.Or(a.EmployeeID, a.Email, a.Username))
	if err := d.roster.person(d.out, e, v, a, no); err != nil {
		return err
	}
	// The primary group is not among those whose member the account is, and does not name it.
	if rid, ok := v.number("primarygroupid"); ok && sid != "" {
		domain := sid[:strings.LastIndexByte(sid, '-')]
		d.members.join(no, d.members.name("sid", fmt.Sprintf("%s-%d", domain, rid)))
	}
	return d.put(e, a, owner)
}

// extension are the names of extensionAttribute1 to 15.
var extension = func() (names [16]string) {
	for i := range names {
		names[i] = "extensionattribute" + strconv.Itoa(i)
	}
	return names
}()

// control reads userAccountControl. Without it nothing is known of what it holds.
//
// An account is enabled unless its bit says otherwise, also when accountExpires is past: that keeps it from signing in to
// the domain, and from nothing else. Copies of it in a cloud directory stay enabled, and a later date brings it back.
func (d *activeDir) control(a *access.Account, sid string) {
	v := d.v
	switch {
	case serviceClass(v):
		a.Kind = access.KindService
	case v.is("computer"):
		a.Kind = access.KindMachine
	case sid != "" && ridOf(sid) == ridKrbtgt: // the key of the domain itself
		a.Kind = access.KindService
	}
	n, ok := v.number("useraccountcontrol")
	if !ok {
		if !v.is("contact") {
			d.count.uncontrolled++
		}
		return
	}
	has := func(bit int64) *bool { b := n&bit != 0; return &b }
	enabled := n&uacDisabled == 0
	a.Enabled = &enabled
	a.PasswordNeverExpires = has(uacPasswordNeverExpires)
	a.PasswordNotRequired = has(uacPasswordNotRequired)
	if n&uacSmartcardRequired != 0 { // a card and its PIN; without the bit nothing is known
		a.MFA = has(uacSmartcardRequired)
	}
	if n&uacInterdomainTrust != 0 {
		a.Kind = access.KindMachine
	}
	for key, bit := range map[string]int64{
		"no_preauth": uacNoPreauthentication, "unconstrained_delegation": uacTrustedForDelegation, "reversible_password": uacReversiblePassword,
		"des_only": uacDESOnly, "not_delegated": uacNotDelegated, "protocol_transition": uacTrustedToAuthenticate, "smartcard_required": uacSmartcardRequired,
	} {
		a.Attributes[key] = flag(n&bit != 0)
	}
	switch {
	case v.has("serviceprincipalname"):
		a.HasSPN = new(bool)
		*a.HasSPN = true
	case d.given("serviceprincipalname"):
		a.HasSPN = new(bool)
	}
}

// passwords reads when the password was set, when the account expires and whether it is locked.
func (d *activeDir) passwords(a *access.Account) {
	v := d.v
	a.PasswordChangedAt, _ = v.fileTime("pwdlastset") // 0 means that it must be changed, not when it was
	a.ExpiresAt, _ = v.fileTime("accountexpires")
	if n, ok := v.number("msds-user-account-control-computed"); ok {
		locked := n&uacLockout != 0
		a.Locked = &locked
	} else if _, never := v.fileTime("lockouttime"); never {
		// A time may be past: for how long it locks is the password policy's to say. Never is never.
		a.Locked = new(bool)
	}
}

// signIns reads when the account was used last: the latest that any attribute tells. lastLogon is of the server that was
// asked alone; lastLogonTimestamp is of all, and behind.
func (d *activeDir) signIns(a *access.Account) {
	v := d.v
	var last *time.Time
	later := func(t *time.Time) {
		if t != nil && (last == nil || t.After(*last)) {
			last = t
		}
	}
	stamp, _ := v.fileTime("lastlogontimestamp")
	here, _ := v.fileTime("lastlogon")
	later(stamp)
	later(here)
	if d.signIn != nil {
		if n := d.signIn.latest[string(v.bytes("objectguid"))]; n != 0 {
			if t, never, err := fileTime(strconv.FormatInt(n, 10)); err == nil && !never {
				later(&t)
			}
		}
	}
	if last != nil {
		a.LastLoginAt = last
		if d.signIn == nil || len(d.signIn.missing) > 0 {
			lag := int64(time.Duration(*d.config.Lag) / (24 * time.Hour))
			a.LoginLagDays = &lag
		}
		return
	}
	// lastLogonTimestamp is written at the first sign-in at once: where it can be read and is absent, there was none. That it
	// can be read at this entry is not proven by others having it, but userAccountControl is guarded alike.
	readable := d.given("lastlogontimestamp") && v.has("useraccountcontrol")
	if readable && !v.has("lastlogontimestamp") || v.text("lastlogontimestamp") == "0" {
		a.NeverLoggedIn = new(bool)
		*a.NeverLoggedIn = true
	}
}

// mailbox reads what Exchange says the account is for. A user's mailbox is no evidence of a human: services have them, too.
func (d *activeDir) mailbox(a *access.Account) {
	n, ok := d.v.number("msexchrecipienttypedetails")
	if !ok {
		return
	}
	switch n {
	case exchangeUser, exchangeRemoteUser:
		a.MailboxType = "user"
	case exchangeLinked:
		a.MailboxType = "linked"
	case exchangeShared, exchangeRemoteShared:
		a.MailboxType, a.Kind = "shared", access.KindShared
	case exchangeRoom, exchangeRemoteRoom:
		a.MailboxType, a.Kind = "room", access.KindShared
	case exchangeEquipment, exchangeRemoteEquipment:
		a.MailboxType, a.Kind = "equipment", access.KindShared
	}
}

// history are the SIDs that an account had before, which still open what they opened.
func (d *activeDir) history() string {
	var out []string
	for _, raw := range d.v.texts("sidhistory") {
		sid, err := sidText([]byte(raw))
		if err != nil {
			d.v.unreadable["sidhistory"]++
			continue
		}
		out = append(out, sid)
	}
	return strings.Join(out, ", ")
}

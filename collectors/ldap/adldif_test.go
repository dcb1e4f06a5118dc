package ldap

import (
	"testing"

	"github.com/lapse-audit/lapse/internal/access"
	"github.com/lapse-audit/lapse/internal/strict"
)

// What Samba's schema doesn't have, as Exchange's extensions of Microsoft's: from an export.
func TestExchangeAndHistory(t *testing.T) {
	file := writeFile(t, `dn: CN=Front Desk,DC=corp,DC=example
objectClass: user
objectGUID:: AAAAAAAAAAAAAAAAAAAAAQ==
sAMAccountName: frontdesk
userAccountControl: 514
msExchRecipientTypeDetails: 4
extensionAttribute3: blue

dn: CN=Room 1,DC=corp,DC=example
objectClass: user
objectGUID:: AAAAAAAAAAAAAAAAAAAAAg==
sAMAccountName: room1
userAccountControl: 514
msExchRecipientTypeDetails: 17179869184

dn: CN=Dana,DC=corp,DC=example
objectClass: user
objectGUID:: AAAAAAAAAAAAAAAAAAAAAw==
sAMAccountName: dana
userAccountControl: 328320
msExchRecipientTypeDetails: 1
sIDHistory:: AQUAAAAAAAUVAAAAAQAAAAIAAAADAAAAAAIAAA==
lockoutTime: 133000000000000000
lastLogonTimestamp: 0
displayName:: /w==
accountExpires: 0

dn: CN=Partner$,CN=Users,DC=corp,DC=example
objectClass: user
objectGUID:: AAAAAAAAAAAAAAAAAAAABA==
sAMAccountName: PARTNER$
userAccountControl: 2080
`)
	s := take(t, collector(t, Config{URL: strict.Texts{"ldif:" + file}, Dialect: ActiveDirectory}))
	desk, room, dana, trust := s.accounts["frontdesk"], s.accounts["room1"], s.accounts["dana"], s.accounts["PARTNER$"]
	if desk.MailboxType != "shared" || desk.Kind != access.KindShared || desk.Attributes["extensionattribute3"] != "blue" {
		t.Errorf("shared mailbox: %+v", desk)
	}
	if room.MailboxType != "equipment" || room.Kind != access.KindShared {
		t.Errorf("equipment: %+v", room)
	}
	// A user's mailbox is no evidence of a human; a lock may have run out; a name that is no text is unknown.
	if dana.MailboxType != "user" || dana.Kind != "" || dana.Locked != nil || dana.Name != "" || dana.ExpiresAt != nil {
		t.Errorf("user: %+v", dana)
	}
	if dana.MFA == nil || !*dana.MFA || dana.Attributes["smartcard_required"] != "true" || desk.MFA != nil {
		t.Errorf("smart card: %v and %v", dana.MFA, desk.MFA)
	}
	if dana.Attributes["sid_history"] != "S-1-5-21-1-2-3-512" || dana.NeverLoggedIn == nil || !*dana.NeverLoggedIn {
		t.Errorf("history %q, never %v", dana.Attributes["sid_history"], dana.NeverLoggedIn)
	}
	if trust.Kind != access.KindMachine {
		t.Errorf("trust: %+v", trust)
	}
	if !noted(s, "1 values of displayname could not be read") {
		t.Errorf("notes: %q", s.Provenance.Notes)
	}
}

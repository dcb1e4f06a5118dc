package synth

import (
	"fmt"
	"time"

	"github.com/lapse-audit/lapse/internal/access"
)

// Groups of the bought firm's directory.
const (
	labAdmins    = "7b1f0000-0000-4000-a000-000000000200"
	labTier0     = "7b1f0000-0000-4000-a000-000000000001"
	labTier1     = "7b1f0000-0000-4000-a000-000000000002"
	labHelpdesk  = "7b1f0000-0000-4000-a000-000000000003"
	labOperators = "7b1f0000-0000-4000-a000-000000000550"
	labSchema    = "7b1f0000-0000-4000-a000-000000000518"
	labStaff     = "7b1f0000-0000-4000-a000-000000000513"
	labPartners  = "7b1f0000-0000-4000-a000-000000000004"
)

// Roles in the cloud.
const (
	cloudOwner   = "owner"
	cloudBilling = "billing-admin"
	cloudViewer  = "viewer"
)

const labSID = "S-1-5-21-1085031214-1563985344-725345543"

func (c *Company) labGroups(give func(access.Entitlement, ...string)) {
	group := func(id, name, rid string, privileged bool, in ...string) {
		e := access.Entitlement{ID: id, Name: name, Kind: "group", Resource: "labs.example", Privileged: &privileged, Attributes: map[string]string{}}
		if rid != "" {
			e.Attributes["sid"] = labSID + "-" + rid
		}
		if id == labOperators {
			e.Attributes["sid"] = "S-1-5-32-550"
		}
		give(e, in...)
	}
	group(labAdmins, "Domain Admins", "512", true)
	group(labTier0, "Labs Tier 0", "1101", false, labAdmins)
	group(labTier1, "Labs Tier 1", "1102", false, labTier0)
	group(labHelpdesk, "Labs Helpdesk", "1103", false, labTier1)
	group(labOperators, "Print Operators", "", false)
	group(labSchema, "Schema Admins", "518", true)
	group(labStaff, "Domain Users", "513", false)
	group(labPartners, "Labs Partners", "1104", false)
}

func (c *Company) cloudRoles(give func(access.Entitlement, ...string)) {
	head := c.personOf(1 + fnIT)
	role := func(id, name string, privileged bool, reviewed int, tags ...string) {
		at := c.local(1, reviewed, 600)
		give(access.Entitlement{ID: id, Name: name, Kind: "role", Resource: "labs-prod", Privileged: &privileged, OwnerID: head.id, ReviewedAt: &at, Tags: tags})
	}
	role(cloudOwner, "Owner", true, -20)
	role(cloudBilling, "Billing Administrator", false, -300, "payment-run")
	role(cloudViewer, "Viewer", false, -20)
}

// holds gives the account grants that it always has.
func (a *account) holds(ids ...string) {
	for _, id := range ids {
		a.grants = append(a.grants, held{id: id, from: -never, until: never})
	}
}

// labAccounts are those of the bought firm's directory, which nobody has tidied up yet.
func (c *Company) labAccounts(add func(access.AccountKind, string, string, func(*account))) {
	head := c.personOf(1 + fnIT)
	day := func(n int) *time.Time { return ptr(c.local(1, n, 600)) }
	person := func(r role, edit func(*account)) {
		add(access.KindHuman, "", "", c.cast(r, func(a *account) {
			a.noMail = true
			a.holds(labStaff)
			a.more = func(o *access.Account, _ time.Time) {
				o.PasswordNotRequired, o.PasswordNeverExpires, o.HasSPN = ptr(false), ptr(false), ptr(false)
				o.Attributes = map[string]string{"no_preauth": "false", "admin_count": "0"}
			}
			if edit != nil {
				edit(a)
			}
		}))
	}
	also := func(a *account, more func(o *access.Account, at time.Time)) {
		before := a.more
		a.more = func(o *access.Account, at time.Time) {
			if before != nil {
				before(o, at)
			}
			more(o, at)
		}
	}
	person(roleLeaver, func(a *account) {
		also(a, func(o *access.Account, _ time.Time) { o.MailboxType, o.ForwardsExternally = "user", ptr(true) })
		a.find("MBX-01", "")
	})
	person(roleLeaverHeld, func(a *account) {
		also(a, func(o *access.Account, _ time.Time) {
			o.MailboxType, o.ForwardsExternally, o.LegalHold, o.DisabledAt = "shared", ptr(false), ptr(true), day(-60)
		})
		a.spare("MBX-01", "", "a mailbox that is held and forwards nothing")
		a.spare("LVR-01", "", "a leaver whose account is disabled")
	})
	person(roleEnabledAgain, func(a *account) {
		a.switches = append(a.switches, toggle{c.local(a.zone, 5, 600), true})
		a.find("LVR-06", "")
	})
	person(roleCameBack, func(a *account) {
		back := a.work[1].from
		a.switches = []toggle{{a.work[0].to, false}, {back, true}}
		a.spare("LVR-06", "", "somebody who came back")
	})
	person(roleLabOff, func(a *account) { a.switches = []toggle{{*day(-40), false}} })
	person(roleTwice, nil)
	person(roleTwice, func(a *account) { a.handle += "-old" })
	person(rolePair, nil)
	person(rolePair, func(a *account) {
		a.handle = "adm-" + a.handle
		a.holds(labAdmins)
		also(a, func(o *access.Account, _ time.Time) {
			o.PasswordChangedAt, o.Attributes["admin_count"] = day(-30), "1"
		})
		a.spare("AD-02", "password", "an administrator whose password is new")
		a.spare("AD-02", "spn", "an administrator without a service principal name")
		a.spare("AD-07", "", "an administrator who is one")
		a.spare("PRV-04", "", "an account for administration alone")
	})
	person(roleStalePassword, func(a *account) {
		a.handle = "adm-" + a.handle
		a.holds(labAdmins)
		also(a, func(o *access.Account, _ time.Time) { o.PasswordChangedAt, o.HasSPN = day(-700), ptr(true) })
		a.find("AD-02", "password")
		a.find("AD-02", "spn")
	})
	person(roleNested, func(a *account) {
		a.holds(labHelpdesk)
		a.find("PRV-05", labAdmins)
	})
	person(roleShallow, func(a *account) {
		a.holds(labTier0)
		a.spare("PRV-05", labAdmins, "an administrator through one group")
	})
	weak := func(a *account, names ...string) {
		also(a, func(o *access.Account, _ time.Time) {
			for _, name := range names {
				o.Attributes[name] = "true"
			}
		})
	}
	person(roleWeakA, func(a *account) {
		weak(a, "no_preauth", "unconstrained_delegation")
		also(a, func(o *access.Account, _ time.Time) {
			o.PasswordNotRequired, o.PasswordNeverExpires = ptr(true), ptr(true)
		})
		a.find("AD-01", "not_required")
		a.find("AD-01", "never_expires")
		a.find("AD-03", "")
		a.find("AD-04", "")
	})
	person(roleWeakB, func(a *account) {
		weak(a, "reversible_password", "des_only")
		also(a, func(o *access.Account, _ time.Time) {
			o.Attributes["admin_count"], o.Attributes["sid_history"] = "1", "S-1-5-21-606747145-1364589140-839522115-1190"
		})
		a.find("AD-05", "")
		a.find("AD-07", "")
		a.find("AD-08", "")
		a.find("AD-10", "")
		a.spare("AD-01", "not_required", "an account that needs a password")
		a.spare("AD-03", "", "an account that needs pre-authentication")
	})
	person(roleWeakOff, func(a *account) {
		a.switches = []toggle{{*day(-40), false}}
		weak(a, "no_preauth", "unconstrained_delegation", "reversible_password", "des_only")
		also(a, func(o *access.Account, _ time.Time) {
			o.PasswordNotRequired, o.PasswordNeverExpires = ptr(true), ptr(true)
		})
		for _, rule := range []string{"AD-03", "AD-04", "AD-05", "AD-08"} {
			a.spare(rule, "", "an account that is disabled")
		}
		a.spare("AD-01", "not_required", "an account that is disabled")
		a.spare("AD-10", "", "an account without another's SIDs")
	})

	service := func(kind access.AccountKind, name string, edit func(*account)) {
		add(kind, name, "", func(a *account) {
			a.owner = head.id
			edit(a)
		})
	}
	off := func(a *account, n int) {
		a.switches = []toggle{{*day(n), false}}
		a.work = []span{{a.created, *day(n)}}
		also(a, func(o *access.Account, at time.Time) {
			if !at.Before(*day(n)) {
				o.DisabledAt = day(n)
			}
		})
	}
	service(access.KindService, "krbtgt", func(a *account) {
		off(a, -1500)
		also(a, func(o *access.Account, _ time.Time) {
			o.PasswordChangedAt, o.Attributes = day(-1500), map[string]string{"rid": "502", "admin_count": "1"}
		})
		a.find("AD-06", "")
		a.spare("AD-07", "", "the domain's own key")
		a.spare("DOR-04", "", "the domain's own key")
	})
	service(access.KindService, "svc-krb", func(a *account) {
		also(a, func(o *access.Account, _ time.Time) {
			o.PasswordChangedAt, o.Attributes = day(-1500), map[string]string{"rid": "1502"}
		})
		a.spare("AD-06", "", "a service account with an old password")
		a.spare("ORP-01", "", "a service account with an owner")
		a.spare("SVC-01", "", "a service account with an owner")
	})
	service(access.KindService, "Administrator", func(a *account) {
		off(a, -700)
		a.holds(labAdmins)
		also(a, func(o *access.Account, _ time.Time) { o.Attributes = map[string]string{"rid": "500"} })
		a.spare("DIS-01", labAdmins, "the domain's own administrator")
		a.spare("DOR-04", "", "the domain's own administrator")
	})
	add(access.KindHuman, "former.admin", "", func(a *account) {
		off(a, -300)
		a.holds(labAdmins)
		a.find("DIS-01", labAdmins)
		a.find("DOR-04", "")
		a.spare("ORP-01", "", "an account of nobody that is disabled")
	})
	add(access.KindHuman, "just.left", "", func(a *account) {
		off(a, c.nights-15)
		a.holds(labAdmins)
		a.spare("DIS-01", labAdmins, "an account disabled two weeks ago")
		a.spare("DOR-04", "", "an account disabled two weeks ago")
	})
	add(access.KindHuman, "room.aurora", "", func(a *account) {
		off(a, -900)
		also(a, func(o *access.Account, _ time.Time) { o.MailboxType = "room" })
		a.spare("DOR-04", "", "a room")
	})
	add(access.KindHuman, "held.mailbox", "", func(a *account) {
		off(a, -300)
		also(a, func(o *access.Account, _ time.Time) { o.MailboxType, o.LegalHold = "user", ptr(true) })
		a.spare("DOR-04", "", "a mailbox that is held")
	})
	service(access.KindService, "svc-scanner", func(a *account) {
		also(a, func(o *access.Account, at time.Time) { o.InteractiveLoginAt = ptr(at.AddDate(0, 0, -5)) })
		a.find("SVC-02", "")
	})
	service(access.KindService, "svc-print", func(a *account) {
		a.holds(labOperators)
		also(a, func(o *access.Account, at time.Time) { o.InteractiveLoginAt = ptr(at.AddDate(0, 0, -200)) })
		a.spare("SVC-02", "", "a service account that somebody used long ago")
	})
	service(access.KindShared, "breakglass-used", func(a *account) {
		a.breaks = true
		a.work, a.extra = nil, []time.Time{*day(-200), *day(c.nights - 4)}
		a.find("BRK-01", "used")
	})
	service(access.KindShared, "breakglass-tested", func(a *account) {
		a.breaks = true
		a.work, a.extra = nil, []time.Time{*day(-45)}
		a.spare("BRK-01", "used", "a break-glass account that was only tested")
		a.spare("BRK-01", "untested", "a break-glass account that was tested in time")
	})
	service(access.KindShared, "kiosk1", func(a *account) { a.find("SHR-01", "") })
	service(access.KindShared, "kiosk2", func(a *account) {
		a.switches = []toggle{{*day(-100), false}}
		a.spare("SHR-01", "", "a shared account that is disabled")
	})

	foreign := func(sid string, through *account, edit func(*account)) {
		add("", sid, "", func(a *account) {
			if a.through = through; through != nil {
				a.person = through.person
			}
			a.name, a.work = "", nil
			a.more = func(o *access.Account, _ time.Time) {
				o.Enabled, o.NeverLoggedIn = nil, nil
				o.Attributes = map[string]string{"sid": sid, "object_class": "foreign_security_principal"}
			}
			edit(a)
		})
	}
	ofCorporate := func(r role, edit func(*account)) {
		p := c.player(r)
		corporate := c.accountOf(&p, AD)
		foreign(textOfSID(c.domainSID(uint32(firstAccountRID+corporate.serial))), &corporate, edit)
	}
	ofCorporate(roleLeaver, func(a *account) {
		a.holds(labPartners)
		a.find("LVR-09", "")
	})
	ofCorporate(roleLeaverHeld, func(a *account) { a.spare("LVR-09", "", "a leaver's principal that is in no group") })
	ofCorporate(roleRisk, func(a *account) {
		a.holds(labPartners)
		a.spare("LVR-09", "", "the principal of somebody who works here")
	})
	foreign("S-1-5-21-2025429265-492894223-1708537768-1131", nil, func(a *account) {
		a.holds(labPartners)
		a.spare("LVR-09", "", "a principal of a directory that nobody reads")
		a.spare("ORP-01", "", "a principal of a directory that nobody reads")
	})
}

// cloudAccounts are those of the place where the bought firm's products run.
func (c *Company) cloudAccounts(add func(access.AccountKind, string, string, func(*account))) {
	head := c.personOf(1 + fnIT)
	day := func(n int) *time.Time { return ptr(c.local(1, n, 600)) }
	person := func(r role, more func(o *access.Account, at time.Time), edit func(*account)) {
		add(access.KindHuman, "", "", c.cast(r, func(a *account) {
			a.holds(cloudViewer)
			a.more = func(o *access.Account, at time.Time) {
				o.LocalLogin, o.ActiveSessions, o.Keys = ptr(false), ptr(int64(0)), []access.Key{}
				if more != nil {
					more(o, at)
				}
			}
			edit(a)
		}))
	}
	key := func(id, kind string, active bool, created, used int) access.Key {
		return access.Key{ID: id, Kind: kind, Active: &active, CreatedAt: day(created), LastUsedAt: day(used)}
	}
	role := func(a *account, id string, more func(*access.Grant)) {
		a.grants = append(a.grants, held{id: id, from: -never, until: never, more: more})
	}
	seats := func(a *account, skus ...string) {
		for _, sku := range skus {
			a.seats = append(a.seats, seat{sku: sku, assigned: a.created, work: a.work})
		}
	}
	person(roleLeaver, func(o *access.Account, _ time.Time) {
		o.ActiveSessions, o.Keys = ptr(int64(2)), []access.Key{key("tok-1", "token", true, -100, -61)}
	}, func(a *account) {
		a.find("LVR-02", "sessions")
		a.find("LVR-02", "token:tok-1")
	})
	person(roleLeaverHeld, func(o *access.Account, _ time.Time) {
		o.Keys = []access.Key{key("tok-2", "token", false, -100, -61)}
	}, func(a *account) {
		a.spare("LVR-02", "sessions", "a leaver who is signed in nowhere")
		a.spare("LVR-02", "token:tok-2", "a token that is dead")
	})
	person(roleDirectoryOff, nil, func(a *account) { a.find("LVR-08", "") })
	person(roleLabOff, nil, func(a *account) { a.spare("LVR-08", "", "somebody whose main account is enabled") })
	person(roleEarly, nil, func(a *account) { a.find("JNR-01", "") })
	person(roleEarlyOff, nil, func(a *account) {
		a.switches = []toggle{{a.created, false}}
		a.spare("JNR-01", "", "an account that waits disabled")
	})
	person(roleOverlap, nil, func(a *account) { seats(a, "ZOOM-PRO", "WEBEX") })
	person(roleOverlapFree, nil, func(a *account) { seats(a, "ZOOM-BASIC", "WEBEX") })
	person(roleDutiesAcross, nil, func(a *account) { a.holds(cloudBilling) })
	person(roleDutiesOff, nil, func(a *account) {
		a.holds(cloudBilling)
		a.switches = []toggle{{*day(-40), false}}
	})
	person(roleLocal, func(o *access.Account, _ time.Time) { o.LocalLogin = ptr(true) }, func(a *account) { a.find("LOC-01", "") })
	person(roleNoRisk, nil, func(a *account) { a.spare("LOC-01", "", "somebody who can only use single sign-on") })
	last := c.nights - 10
	person(roleUnapproved, nil, func(a *account) {
		role(a, cloudOwner, func(g *access.Grant) { g.GrantedAt = day(last) })
		a.grants[len(a.grants)-1].from = last + 1
		a.find("PRV-01", cloudOwner)
		a.spare("PRV-02", cloudOwner, "privilege of ten days")
	})
	person(roleApproved, nil, func(a *account) {
		role(a, cloudOwner, func(g *access.Grant) { g.GrantedAt, g.Approved = day(last), ptr(true) })
		a.grants[len(a.grants)-1].from = last + 1
		a.spare("PRV-01", cloudOwner, "privilege that was approved")
	})
	person(roleStanding, nil, func(a *account) {
		role(a, cloudOwner, func(g *access.Grant) { g.GrantedAt, g.Approved = day(-400), ptr(true) })
		a.find("PRV-02", cloudOwner)
	})
	person(roleReviewed, nil, func(a *account) {
		role(a, cloudOwner, func(g *access.Grant) { g.GrantedAt, g.Approved, g.ReviewedAt = day(-400), ptr(true), day(-20) })
		a.spare("PRV-02", cloudOwner, "privilege that was reviewed")
	})
	person(roleExpiring, nil, func(a *account) {
		role(a, cloudOwner, func(g *access.Grant) {
			g.GrantedAt, g.Approved, g.ExpiresAt = day(-400), ptr(true), day(c.nights+20)
		})
		a.spare("PRV-02", cloudOwner, "privilege that ends")
	})

	add(access.KindService, "deploy", "", func(a *account) {
		a.owner = head.id
		a.holds(cloudViewer)
		a.more = func(o *access.Account, at time.Time) {
			o.Keys = []access.Key{
				key("key-idle", "key", true, -85, -84), key("key-old", "key", true, -400, c.nights),
				key("key-dead", "key", false, -400, -390), key("key-new", "key", true, -10, c.nights),
			}
			for i := range o.Keys {
				if o.Keys[i].LastUsedAt.After(at) {
					o.Keys[i].LastUsedAt = ptr(at.Add(-6 * time.Hour))
				}
			}
		}
		a.find("SVC-03", "key-idle")
		a.find("SVC-03", "key-old")
		a.spare("SVC-03", "key-dead", "a key that is dead")
		a.spare("SVC-03", "key-new", "a key that is new and in use")
	})
	guest := func(n int, edit func(*account), more func(*access.Account)) {
		add(access.KindGuest, fmt.Sprintf("guest%d@consulting.example", n), fmt.Sprintf("guest%d@consulting.example", n), func(a *account) {
			a.more = func(o *access.Account, at time.Time) {
				if at.Before(c.RunTime(c.nights - 5)) { // since then it doesn't say any more; of two accounts that is no broken export
					o.PasswordChangedAt = day(-100)
				}
				o.Sponsor, o.ExpiresAt = head.id, day(c.nights+60)
				more(o)
			}
			edit(a)
		})
	}
	guest(1, func(a *account) {
		a.find("EXT-02", "sponsor")
		a.find("EXT-02", "end_date")
		a.spare("EXT-01", "", "a guest who comes by")
	}, func(o *access.Account) { o.Sponsor, o.ExpiresAt = "", nil })
	guest(2, func(a *account) {
		c.quietSince(-90)(a)
		a.find("EXT-01", "")
		a.spare("EXT-02", "sponsor", "a guest whom somebody answers for")
		a.spare("EXT-02", "end_date", "a guest whose access ends")
	}, func(*access.Account) {})
}

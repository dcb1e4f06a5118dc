package synth

import (
	"strings"
	"time"

	"github.com/lapse-audit/lapse/internal/access"
)

// How systems write times, all but the roster's days in UTC.
const (
	isoTime    = "2006-01-02T15:04:05Z"
	usTime     = "01/02/2006 15:04"
	euTime     = "02/01/2006 15:04"
	germanTime = "02.01.2006 15:04"
)

func when(t *time.Time, layout, absent string) string {
	if t == nil {
		return absent
	}
	return t.UTC().Format(layout)
}

// login is a last sign-in: absent, never, or a time.
func login(t *time.Time, isNever *bool, layout, never string) string {
	if t == nil && isNever != nil && *isNever {
		return never
	}
	return when(t, layout, "")
}

// flag is b in the words of a system.
func flag(b *bool, yes, no string) string {
	switch {
	case b == nil:
		return ""
	case *b:
		return yes
	}
	return no
}

func filetime(t *time.Time, isNever *bool) any {
	if t == nil {
		if isNever != nil && *isNever {
			return 0
		}
		return nil
	}
	return (t.Unix() + 11644473600) * 1e7
}

func unix(t *time.Time) any {
	if t == nil {
		return nil
	}
	return t.Unix()
}

func boolean(b *bool) any {
	if b == nil {
		return nil
	}
	return *b
}

// of makes a row function of one that knows its record; records of other kinds make no row.
func of[R access.Record](row func(R) []any) func(access.Record) []any {
	return func(r access.Record) []any {
		if x, ok := r.(R); ok {
			return row(x)
		}
		return nil
	}
}

var statusTexts = map[access.PersonStatus]string{
	access.PersonActive: "Active", access.PersonLeave: "Leave of Absence", access.PersonEnded: "Terminated", access.PersonFuture: "Pre-hire",
}

func title(kind string) string { return strings.ToUpper(kind[:1]) + kind[1:] }

func (c *Company) sheets(source string) []sheet {
	switch source {
	case HR:
		return c.rosterSheets()
	case AD:
		return directorySheets()
	case CRM:
		return crmSheets()
	case Code:
		return codeSheets()
	case Chat:
		return chatSheets()
	case Wiki:
		return wikiSheets()
	case VPN:
		return vpnSheets()
	case Lab:
		return labSheets()
	case Cloud:
		return cloudSheets()
	}
	return erpSheets()
}

func (c *Company) rosterSheets() []sheet {
	zone := map[string]*time.Location{}
	for i, z := range zones {
		zone[z.place] = c.zones[i]
	}
	return []sheet{{
		path: "people.csv", encoding: utf8BOM(),
		columns: []string{
			"Employee ID", "Name", "Email", "Username", "Status", "Department", "Title", "Location", "Manager ID", "Start Date", "Termination Date", "Worker Type", "Record ID", "High Risk",
		},
		row: of(func(p access.Person) []any {
			start, end := p.StartAt.In(zone[p.Location]).Format(time.DateOnly), ""
			if p.EndAt != nil {
				end = p.EndAt.In(zone[p.Location]).AddDate(0, 0, -1).Format(time.DateOnly)
			}
			return []any{
				p.ID, p.Name, p.Email, p.Username, statusTexts[p.Status], p.Department, p.Title, p.Location, p.ManagerID, start, end, title(p.Kind), p.RecordID, flag(p.HighRisk, "Yes", "No"),
			}
		}),
	}}
}

func directorySheets() []sheet {
	kinds := map[access.AccountKind]string{access.KindHuman: "User", access.KindService: "Service", access.KindShared: "Shared"}
	return []sheet{
		{
			path: "users.csv", encoding: utf16(),
			columns: []string{"objectGUID", "sAMAccountName", "mail", "displayName", "employeeID", "enabled", "whenCreated", "lastLogon", "managedBy", "accountType", "emergency", "objectSid"},
			row: of(func(a access.Account) []any {
				return []any{
					a.ID, a.Username, a.Email, a.Name, a.EmployeeID, flag(a.Enabled, "TRUE", "FALSE"), when(a.CreatedAt, "2006-01-02 15:04:05", ""),
					filetime(a.LastLoginAt, a.NeverLoggedIn), a.OwnerID, kinds[a.Kind], flag(a.BreakGlass, "yes", "no"), a.Attributes["sid"],
				}
			}),
		},
		{
			path: "groups.csv", columns: []string{"objectGUID", "name", "privileged", "managedBy"},
			row: of(func(e access.Entitlement) []any {
				return []any{e.ID, e.Name, flag(e.Privileged, "TRUE", "FALSE"), e.OwnerID}
			}),
		},
		{
			path: "members.csv", columns: []string{"group", "memberClass", "member"},
			row: of(func(g access.Grant) []any {
				class := "user"
				if g.HolderKind == access.HolderEntitlement {
					class = "group"
				}
				return []any{g.EntitlementID, class, g.HolderID}
			}),
		},
	}
}

func crmSheets() []sheet {
	kinds := map[access.AccountKind]string{access.KindHuman: "Standard", access.KindService: "Automated", access.KindGuest: "Guest"}
	return []sheet{
		{
			path: "users.csv", columns: []string{"Id", "Username", "Email", "Name", "IsActive", "UserType", "CreatedDate", "LastLoginDate", "HasMfa", "ServiceOwner"},
			row: of(func(a access.Account) []any {
				return []any{
					a.ID, a.Username, a.Email, a.Name, flag(a.Enabled, "true", "false"), kinds[a.Kind], when(a.CreatedAt, usTime, ""),
					login(a.LastLoginAt, a.NeverLoggedIn, usTime, "Never"), flag(a.MFA, "true", "false"), a.OwnerID,
				}
			}),
		},
		{
			path: "permissions.csv", columns: []string{"Id", "Label", "Kind", "IsPrivileged", "Owner"},
			row: of(func(e access.Entitlement) []any {
				return []any{e.ID, e.Name, e.Kind, flag(e.Privileged, "true", "false"), e.OwnerID}
			}),
		},
		{
			path: "assignments.csv", columns: []string{"AssigneeId", "PermissionId"},
			row: of(func(g access.Grant) []any { return []any{g.HolderID, g.EntitlementID} }),
		},
		{
			path: "licenses.csv", columns: []string{"SKU", "Product", "Price", "Currency", "Purchased"},
			row: of(func(l access.License) []any { return []any{l.SKU, l.Product, l.CostMonth, l.Currency, *l.Purchased} }),
		},
		{
			path: "seats.csv", columns: []string{"UserId", "SKU", "Assigned", "LastUsed"},
			row: of(func(s access.Seat) []any {
				return []any{s.AccountID, s.SKU, when(s.AssignedAt, usTime, ""), login(s.LastUsedAt, s.NeverUsed, usTime, "Never")}
			}),
		},
	}
}

func codeSheets() []sheet {
	kinds := map[access.AccountKind]string{access.KindHuman: "User", access.KindService: "Bot"}
	return []sheet{
		{
			path: "members.tsv", comma: '\t', columns: []string{"id", "login", "email", "name", "type", "state", "role", "two_factor", "created_at"},
			row: of(func(a access.Account) []any {
				return []any{
					a.ID, a.Username, a.Email, a.Name, kinds[a.Kind], flag(a.Enabled, "active", "suspended"), flag(a.Privileged, "owner", "member"),
					flag(a.MFA, "enabled", "disabled"), when(a.CreatedAt, isoTime, ""),
				}
			}),
		},
		{
			path: "teams.json", columns: []string{"slug", "name", "privileged"},
			row: of(func(e access.Entitlement) []any { return []any{e.ID, e.Name, boolean(e.Privileged)} }),
		},
		{
			path: "memberships.jsonl", columns: []string{"team", "user", "child_team"},
			row: of(func(g access.Grant) []any {
				if g.HolderKind == access.HolderEntitlement {
					return []any{g.EntitlementID, nil, g.HolderID}
				}
				return []any{g.EntitlementID, g.HolderID, nil}
			}),
		},
		{
			path: "copilot.csv", columns: []string{"user_id", "plan", "plan_name", "price_usd", "created_at", "last_activity_at"},
			row: of(func(s access.Seat) []any {
				return []any{s.AccountID, s.SKU, s.Product, s.CostMonth, when(s.AssignedAt, isoTime, ""), login(s.LastUsedAt, s.NeverUsed, isoTime, "None")}
			}),
		},
	}
}

func chatSheets() []sheet {
	kinds := map[access.AccountKind]string{access.KindHuman: "member", access.KindService: "bot", access.KindGuest: "guest"}
	return []sheet{{
		path: "users.jsonl", columns: []string{"id", "name", "email", "real_name", "type", "deleted", "is_admin", "has_2fa", "last_active"},
		row: of(func(a access.Account) []any {
			return []any{a.ID, a.Username, a.Email, a.Name, kinds[a.Kind], !*a.Enabled, boolean(a.Privileged), boolean(a.MFA), unix(a.LastLoginAt)}
		}),
	}}
}

func wikiSheets() []sheet {
	kinds := map[access.AccountKind]string{access.KindHuman: "atlassian", access.KindService: "app", access.KindGuest: "customer"}
	return []sheet{
		{
			path: "users.json", columns: []string{"account_id", "account_type", "email", "name", "nickname", "account_status", "created", "last_active"},
			row: of(func(a access.Account) []any {
				return []any{
					a.ID, kinds[a.Kind], a.Email, a.Name, a.Username, flag(a.Enabled, "active", "inactive"), when(a.CreatedAt, time.RFC3339, ""),
					login(a.LastLoginAt, a.NeverLoggedIn, time.RFC3339, "never"),
				}
			}),
		},
		{
			path: "groups.json", columns: []string{"group_id", "name", "site_admin"},
			row: of(func(e access.Entitlement) []any { return []any{e.ID, e.Name, boolean(e.Privileged)} }),
		},
		{
			path: "members.csv", columns: []string{"group_id", "account_id", "subgroup_id"},
			row: of(func(g access.Grant) []any {
				if g.HolderKind == access.HolderEntitlement {
					return []any{g.EntitlementID, "", g.HolderID}
				}
				return []any{g.EntitlementID, g.HolderID, ""}
			}),
		},
		{
			path: "products.json", columns: []string{"key", "name", "price", "currency"},
			row: of(func(l access.License) []any { return []any{l.SKU, l.Product, l.CostMonth, l.Currency} }),
		},
		{
			path: "access.json", columns: []string{"account_id", "product", "added", "last_active"},
			row: of(func(s access.Seat) []any {
				return []any{s.AccountID, s.SKU, when(s.AssignedAt, time.RFC3339, ""), login(s.LastUsedAt, s.NeverUsed, time.RFC3339, "never")}
			}),
		},
	}
}

func vpnSheets() []sheet {
	return []sheet{
		{
			path: "users.csv", columns: []string{"Profile", "Login", "Full name", "Issued"},
			row: of(func(a access.Account) []any { return []any{a.ID, a.Username, a.Name, when(a.CreatedAt, euTime, "")} }),
		},
		{
			path: "sessions.csv", columns: []string{"Profile", "Last connection"},
			row: of(func(u access.Usage) []any {
				return []any{u.AccountID, login(u.LastUsedAt, u.NeverUsed, euTime, "no connection")}
			}),
		},
	}
}

func erpSheets() []sheet {
	kinds := map[access.AccountKind]string{access.KindHuman: "Dialog", access.KindService: "System", access.KindShared: "Referenz"}
	return []sheet{
		{
			path: "benutzer.csv", encoding: windows1252(), comma: ';',
			columns: []string{"Kennung", "Benutzer", "Name", "Typ", "Status", "Angelegt am", "Letzte Anmeldung", "Verantwortlich"},
			row: of(func(a access.Account) []any {
				return []any{
					a.ID, a.Username, a.Name, kinds[a.Kind], flag(a.Enabled, "aktiv", "gesperrt"), when(a.CreatedAt, germanTime, ""), when(a.LastLoginAt, germanTime, ""), a.OwnerID,
				}
			}),
		},
		{
			path: "rollen.csv", encoding: windows1252(), comma: ';', columns: []string{"Rolle", "Bezeichnung", "Kritisch", "Verantwortlich", "Aufgaben"},
			row: of(func(e access.Entitlement) []any {
				return []any{e.ID, e.Name, flag(e.Privileged, "ja", "nein"), e.OwnerID, strings.Join(e.Tags, ",")}
			}),
		},
		{
			path: "zuordnung.csv", encoding: windows1252(), comma: ';', columns: []string{"Kennung", "Rolle"},
			row: of(func(g access.Grant) []any { return []any{g.HolderID, g.EntitlementID} }),
		},
		{
			path: "lizenzen.csv", encoding: windows1252(), comma: ';', columns: []string{"Lizenz", "Produkt", "Preis", "Währung"},
			row: of(func(l access.License) []any {
				return []any{l.SKU, l.Product, strings.Replace(l.CostMonth, ".", ",", 1), l.Currency}
			}),
		},
		{
			path: "plaetze.csv", encoding: windows1252(), comma: ';', columns: []string{"Kennung", "Lizenz", "Seit"},
			row: of(func(s access.Seat) []any { return []any{s.AccountID, s.SKU, when(s.AssignedAt, germanTime, "")} }),
		},
	}
}

func labSheets() []sheet {
	kinds := map[access.AccountKind]string{access.KindHuman: "user", access.KindService: "service", access.KindShared: "shared"}
	stamp := func(t *time.Time) string { return when(t, isoTime, "") }
	return []sheet{
		{
			path: "users.jsonl",
			columns: []string{
				"objectGUID", "sAMAccountName", "displayName", "employeeID", "type", "enabled", "whenCreated", "lastLogon", "managedBy", "emergency", "objectSid", "objectClass",
				"rid", "adminCount", "dontRequirePreauth", "trustedForDelegation", "reversibleEncryption", "useDesOnly", "sIDHistory", "passwordNotRequired", "passwordNeverExpires",
				"hasServicePrincipalName", "pwdLastSet", "disabledSince", "mailbox", "litigationHold", "forwardsOutside", "interactiveLogon",
			},
			row: of(func(a access.Account) []any {
				x := a.Attributes
				return []any{
					a.ID, a.Username, a.Name, a.EmployeeID, kinds[a.Kind], boolean(a.Enabled), stamp(a.CreatedAt), login(a.LastLoginAt, a.NeverLoggedIn, isoTime, "never"),
					a.OwnerID, boolean(a.BreakGlass), x["sid"], x["object_class"], x["rid"], x["admin_count"], x["no_preauth"], x["unconstrained_delegation"],
					x["reversible_password"], x["des_only"], x["sid_history"], boolean(a.PasswordNotRequired), boolean(a.PasswordNeverExpires), boolean(a.HasSPN),
					stamp(a.PasswordChangedAt), stamp(a.DisabledAt), a.MailboxType, boolean(a.LegalHold), boolean(a.ForwardsExternally), stamp(a.InteractiveLoginAt),
				}
			}),
		},
		{
			path: "groups.jsonl", columns: []string{"objectGUID", "name", "privileged", "objectSid"},
			row: of(func(e access.Entitlement) []any {
				return []any{e.ID, e.Name, boolean(e.Privileged), e.Attributes["sid"]}
			}),
		},
		{
			path: "members.jsonl", columns: []string{"group", "class", "member"},
			row: of(func(g access.Grant) []any {
				class := "user"
				if g.HolderKind == access.HolderEntitlement {
					class = "group"
				}
				return []any{g.EntitlementID, class, g.HolderID}
			}),
		},
	}
}

func cloudSheets() []sheet {
	kinds := map[access.AccountKind]string{access.KindHuman: "user", access.KindService: "robot", access.KindGuest: "guest"}
	stamp := func(t *time.Time) string { return when(t, isoTime, "") }
	return []sheet{
		{
			path: "users.csv",
			columns: []string{
				"id", "login", "email", "name", "employee", "type", "active", "created", "last_seen", "second_factor", "owner", "sessions", "own_password", "password_set", "sponsor", "expires",
			},
			row: of(func(a access.Account) []any {
				var sessions any
				if a.ActiveSessions != nil {
					sessions = *a.ActiveSessions
				}
				return []any{
					a.ID, a.Username, a.Email, a.Name, a.EmployeeID, kinds[a.Kind], boolean(a.Enabled), stamp(a.CreatedAt), stamp(a.LastLoginAt), boolean(a.MFA), a.OwnerID, sessions,
					boolean(a.LocalLogin), stamp(a.PasswordChangedAt), a.Sponsor, stamp(a.ExpiresAt),
				}
			}),
		},
		{
			path: "roles.jsonl", columns: []string{"id", "name", "privileged", "owner", "reviewed", "duties"},
			row: of(func(e access.Entitlement) []any {
				return []any{e.ID, e.Name, boolean(e.Privileged), e.OwnerID, stamp(e.ReviewedAt), strings.Join(e.Tags, ",")}
			}),
		},
		{
			path: "bindings.jsonl", columns: []string{"user", "role", "since", "until", "approved", "reviewed"},
			row: of(func(g access.Grant) []any {
				return []any{g.HolderID, g.EntitlementID, stamp(g.GrantedAt), stamp(g.ExpiresAt), boolean(g.Approved), stamp(g.ReviewedAt)}
			}),
		},
		{
			path: "licenses.jsonl", columns: []string{"sku", "product", "price", "currency", "seats"},
			row: of(func(l access.License) []any { return []any{l.SKU, l.Product, l.CostMonth, l.Currency, *l.Purchased} }),
		},
		{
			path: "seats.jsonl", columns: []string{"user", "sku", "since", "last_used"},
			row: of(func(s access.Seat) []any {
				return []any{s.AccountID, s.SKU, stamp(s.AssignedAt), login(s.LastUsedAt, s.NeverUsed, isoTime, "never")}
			}),
		},
		{
			path: "keys.jsonl", columns: []string{"user", "id", "type", "active", "created", "last_used"},
			rows: func(r access.Record) (rows [][]any) {
				a, ok := r.(access.Account)
				for i := 0; ok && i < len(a.Keys); i++ {
					k := &a.Keys[i]
					rows = append(rows, []any{a.ID, k.ID, k.Kind, boolean(k.Active), stamp(k.CreatedAt), stamp(k.LastUsedAt)})
				}
				return rows
			},
		},
	}
}

package file

import (
	"fmt"
	"strings"
	"time"

	"github.com/lapse-audit/lapse/internal/access"
	"github.com/lapse-audit/lapse/internal/collect"
)

// kind is how rows of one kind become records. Fields are those of the records in internal/access, in snake case.
type kind[R any] struct {
	kind       collect.Kind
	fields     []field[R]
	required   []string // columns; "a|b" needs one of them, and a single one must not be empty in any row
	key        []string // the fields that tell rows apart
	hint       string   // what to do where rows with one key are right
	attributes func(*R) *map[string]string
	// finish checks the row as a whole. A reason, with the field it is about, rejects the row; an error ends the reading.
	finish func(*R) (column, reason string, err error)
	record func(*R) access.Record
}

func (k kind[R]) shape() shape {
	s := shape{kind: k.kind, required: k.required}
	for _, f := range k.fields {
		s.fields = append(s.fields, f.fieldInfo)
	}
	return s
}

func shapeOf(k collect.Kind) shape {
	switch k {
	case collect.People:
		return people(nil).shape()
	case collect.Accounts:
		return accounts().shape()
	case accountKeys:
		return keys().shape()
	case collect.Entitlements:
		return entitlements().shape()
	case collect.Grants:
		return grants().shape()
	case collect.Licenses:
		return licenses().shape()
	case collect.Seats:
		return seats().shape()
	case collect.Usages:
		return usage().shape()
	}
	panic(fmt.Sprintf("file: unknown kind %q", k))
}

func text[R any](name string, at func(*R) *string) field[R] {
	return field[R]{fieldInfo: fieldInfo{name: name, typ: textCell}, text: at}
}

func folded[R any](name string, fold func(string) string, at func(*R) *string) field[R] {
	return field[R]{fieldInfo: fieldInfo{name: name, typ: textCell, fold: fold}, text: at}
}

func enum[R any](name string, words []string, at func(*R) *string) field[R] {
	return field[R]{fieldInfo: fieldInfo{name: name, typ: enumCell, enum: words}, text: at}
}

func flag[R any](name string, at func(*R) **bool) field[R] {
	return field[R]{fieldInfo: fieldInfo{name: name, typ: flagCell}, flag: at}
}

func when[R any](name string, at func(*R) **time.Time) field[R] {
	return field[R]{fieldInfo: fieldInfo{name: name, typ: timeCell}, time: at}
}

func whenOrNever[R any](name string, at func(*R) **time.Time, never func(*R) **bool) field[R] {
	return field[R]{fieldInfo: fieldInfo{name: name, typ: timeCell}, time: at, never: never}
}

func count[R any](name string, at func(*R) **int64) field[R] {
	return field[R]{fieldInfo: fieldInfo{name: name, typ: countCell}, count: at}
}

func priceOf[R any](name string, at func(*R) *string) field[R] {
	return field[R]{fieldInfo: fieldInfo{name: name, typ: priceCell}, text: at}
}

// personRow is a person whose dates wait for the location's zone.
type personRow struct {
	access.Person
	start, end, transferred, from, to moment
}

// people needs the roster's clock to read rows, and none to tell its fields.
func people(clock *collect.Clock) kind[personRow] {
	type R = personRow
	day := func(name string, at func(*R) *moment) field[R] {
		return field[R]{fieldInfo: fieldInfo{name: name, typ: timeCell}, when: at}
	}
	statuses := []string{string(access.PersonActive), string(access.PersonLeave), string(access.PersonEnded), string(access.PersonFuture)}
	return kind[R]{
		kind: collect.People,
		fields: []field[R]{
			text("id", func(r *R) *string { return &r.ID }),
			text("record_id", func(r *R) *string { return &r.RecordID }),
			text("employee_id", func(r *R) *string { return &r.EmployeeID }),
			text("username", func(r *R) *string { return &r.Username }),
			text("email", func(r *R) *string { return &r.Email }),
			text("name", func(r *R) *string { return &r.Name }),
			folded("kind", strings.ToLower, func(r *R) *string { return &r.Kind }),
			enum("status", statuses, func(r *R) *string { return personStatus(&r.Status) }),
			text("department", func(r *R) *string { return &r.Department }),
			text("title", func(r *R) *string { return &r.Title }),
			text("location", func(r *R) *string { return &r.Location }),
			text("company", func(r *R) *string { return &r.Company }),
			text("cost_center", func(r *R) *string { return &r.CostCenter }),
			text("manager_id", func(r *R) *string { return &r.ManagerID }),
			day("start_at", func(r *R) *moment { return &r.start }),
			day("end_at", func(r *R) *moment { return &r.end }),
			text("previous_department", func(r *R) *string { return &r.PreviousDepartment }),
			text("previous_title", func(r *R) *string { return &r.PreviousTitle }),
			day("transferred_at", func(r *R) *moment { return &r.transferred }),
			flag("high_risk", func(r *R) **bool { return &r.HighRisk }),
			day("effective_from", func(r *R) *moment { return &r.from }),
			day("effective_to", func(r *R) *moment { return &r.to }),
		},
		required:   []string{"id"},
		key:        []string{"id", "record_id", "effective_from", "effective_to"},
		hint:       "; if a person may have several worker records, name the columns that tell them apart for record_id",
		attributes: func(r *R) *map[string]string { return &r.Attributes },
		finish: func(r *R) (string, string, error) {
			var err error
			if r.StartAt, err = r.start.starts(clock, r.Location); err != nil {
				return "", "", err
			}
			if r.EndAt, err = r.end.ends(clock, r.Location); err != nil {
				return "", "", err
			}
			if r.TransferredAt, err = r.transferred.starts(clock, r.Location); err != nil {
				return "", "", err
			}
			if r.StartAt != nil && r.EndAt != nil && r.EndAt.Before(*r.StartAt) {
				return "end_at", "is before start_at", nil
			}
			return "", "", nil
		},
		record: func(r *R) access.Record {
			if r.RecordID == "" {
				r.RecordID = r.ID
			}
			return r.Person
		},
	}
}

// starts is the start of a working day; nil for none.
func (m moment) starts(clock *collect.Clock, location string) (*time.Time, error) {
	if !m.given || m.open {
		return nil, nil
	}
	t := m.in(clock.ZoneOf(location))
	return &t, nil
}

// ends is the end of work; nil for none. Midnight without an offset is how spreadsheets and databases write a date: it is
// taken for one, or everybody would be out on the morning of the last day.
func (m moment) ends(clock *collect.Clock, location string) (*time.Time, error) {
	if !m.given || m.open {
		return nil, nil
	}
	day := m.day || !m.zoned && m.at.Equal(m.at.Truncate(24*time.Hour))
	if !day {
		t := m.in(clock.ZoneOf(location))
		return &t, nil
	}
	t, err := clock.End(m.date(), location)
	if err != nil {
		return nil, err
	}
	return &t, nil
}

func accounts() kind[access.Account] {
	type R = access.Account
	kinds := []string{string(access.KindHuman), string(access.KindService), string(access.KindShared), string(access.KindGuest), string(access.KindMachine)}
	return kind[R]{
		kind: collect.Accounts,
		fields: []field[R]{
			text("id", func(r *R) *string { return &r.ID }),
			text("username", func(r *R) *string { return &r.Username }),
			text("email", func(r *R) *string { return &r.Email }),
			text("name", func(r *R) *string { return &r.Name }),
			text("employee_id", func(r *R) *string { return &r.EmployeeID }),
			enum("kind", kinds, func(r *R) *string { return accountKind(&r.Kind) }),
			flag("enabled", func(r *R) **bool { return &r.Enabled }),
			flag("privileged", func(r *R) **bool { return &r.Privileged }),
			flag("external", func(r *R) **bool { return &r.External }),
			flag("break_glass", func(r *R) **bool { return &r.BreakGlass }),
			flag("legal_hold", func(r *R) **bool { return &r.LegalHold }),
			flag("local_login", func(r *R) **bool { return &r.LocalLogin }),
			flag("locked", func(r *R) **bool { return &r.Locked }),
			flag("mfa", func(r *R) **bool { return &r.MFA }),
			text("mailbox_type", func(r *R) *string { return &r.MailboxType }),
			text("owner_id", func(r *R) *string { return &r.OwnerID }),
			text("sponsor", func(r *R) *string { return &r.Sponsor }),
			text("purpose", func(r *R) *string { return &r.Purpose }),
			flag("password_never_expires", func(r *R) **bool { return &r.PasswordNeverExpires }),
			flag("password_not_required", func(r *R) **bool { return &r.PasswordNotRequired }),
			flag("forwards_externally", func(r *R) **bool { return &r.ForwardsExternally }),
			flag("has_spn", func(r *R) **bool { return &r.HasSPN }),
			count("active_sessions", func(r *R) **int64 { return &r.ActiveSessions }),
			when("created_at", func(r *R) **time.Time { return &r.CreatedAt }),
			whenOrNever("last_login_at", func(r *R) **time.Time { return &r.LastLoginAt }, func(r *R) **bool { return &r.NeverLoggedIn }),
			flag("never_logged_in", func(r *R) **bool { return &r.NeverLoggedIn }),
			count("login_lag_days", func(r *R) **int64 { return &r.LoginLagDays }),
			when("interactive_login_at", func(r *R) **time.Time { return &r.InteractiveLoginAt }),
			when("password_changed_at", func(r *R) **time.Time { return &r.PasswordChangedAt }),
			when("disabled_at", func(r *R) **time.Time { return &r.DisabledAt }),
			when("expires_at", func(r *R) **time.Time { return &r.ExpiresAt }),
		},
		required:   []string{"id"},
		key:        []string{"id"},
		attributes: func(r *R) *map[string]string { return &r.Attributes },
		finish: func(r *R) (string, string, error) {
			if r.LastLoginAt != nil && r.NeverLoggedIn != nil && *r.NeverLoggedIn {
				return "never_logged_in", "is true, and there is a last_login_at", nil
			}
			return "", "", nil
		},
		record: func(r *R) access.Record { return *r },
	}
}

func entitlements() kind[access.Entitlement] {
	type R = access.Entitlement
	return kind[R]{
		kind: collect.Entitlements,
		fields: []field[R]{
			text("id", func(r *R) *string { return &r.ID }),
			text("name", func(r *R) *string { return &r.Name }),
			folded("kind", strings.ToLower, func(r *R) *string { return &r.Kind }),
			text("resource", func(r *R) *string { return &r.Resource }),
			flag("privileged", func(r *R) **bool { return &r.Privileged }),
			flag("high_risk", func(r *R) **bool { return &r.HighRisk }),
			text("owner_id", func(r *R) *string { return &r.OwnerID }),
			when("reviewed_at", func(r *R) **time.Time { return &r.ReviewedAt }),
			{fieldInfo: fieldInfo{name: "tags", typ: listCell}, list: func(r *R) *[]string { return &r.Tags }},
		},
		required:   []string{"id"},
		key:        []string{"id"},
		attributes: func(r *R) *map[string]string { return &r.Attributes },
		record:     func(r *R) access.Record { return *r },
	}
}

// grantRow is a grant whose holder may be given in three ways: account_id, holder_entitlement_id (a group in a group), or
// holder_id beside holder_kind.
type grantRow struct {
	access.Grant
	account, entitlement, holder string
}

func grants() kind[grantRow] {
	type R = grantRow
	return kind[R]{
		kind: collect.Grants,
		fields: []field[R]{
			text("account_id", func(r *R) *string { return &r.account }),
			text("holder_entitlement_id", func(r *R) *string { return &r.entitlement }),
			text("holder_id", func(r *R) *string { return &r.holder }),
			enum("holder_kind", []string{string(access.HolderAccount), string(access.HolderEntitlement)}, func(r *R) *string { return holderKind(&r.HolderKind) }),
			text("entitlement_id", func(r *R) *string { return &r.EntitlementID }),
			when("granted_at", func(r *R) **time.Time { return &r.GrantedAt }),
			when("last_used_at", func(r *R) **time.Time { return &r.LastUsedAt }),
			when("expires_at", func(r *R) **time.Time { return &r.ExpiresAt }),
			when("reviewed_at", func(r *R) **time.Time { return &r.ReviewedAt }),
			flag("approved", func(r *R) **bool { return &r.Approved }),
		},
		required: []string{"account_id|holder_entitlement_id|holder_id", "entitlement_id"},
		key:      []string{"account_id", "holder_entitlement_id", "holder_id", "holder_kind", "entitlement_id"},
		finish: func(r *R) (string, string, error) {
			given := 0
			for _, h := range []struct {
				kind access.HolderKind
				id   string
			}{{access.HolderAccount, r.account}, {access.HolderEntitlement, r.entitlement}, {r.HolderKind, r.holder}} {
				if h.id != "" {
					given++
					r.HolderKind, r.HolderID = h.kind, h.id
				}
			}
			switch {
			case given == 0:
				return "account_id", "nobody holds this grant: the holder is empty", nil
			case given > 1:
				return "account_id", "has more than one holder: fill one of account_id, holder_entitlement_id, holder_id", nil
			case r.HolderKind == "":
				return "holder_kind", "empty: say account or entitlement", nil
			}
			return "", "", nil
		},
		record: func(r *R) access.Record { return r.Grant },
	}
}

func licenses() kind[access.License] {
	type R = access.License
	return kind[R]{
		kind: collect.Licenses,
		fields: []field[R]{
			text("sku", func(r *R) *string { return &r.SKU }),
			text("product", func(r *R) *string { return &r.Product }),
			priceOf("cost_month", func(r *R) *string { return &r.CostMonth }),
			folded("currency", strings.ToUpper, func(r *R) *string { return &r.Currency }),
			count("purchased", func(r *R) **int64 { return &r.Purchased }),
			when("renews_at", func(r *R) **time.Time { return &r.RenewsAt }),
		},
		required: []string{"sku"},
		key:      []string{"sku"},
		finish:   func(r *R) (string, string, error) { return currency(r.Currency) },
		record:   func(r *R) access.Record { return *r },
	}
}

func seats() kind[access.Seat] {
	type R = access.Seat
	return kind[R]{
		kind: collect.Seats,
		fields: []field[R]{
			text("account_id", func(r *R) *string { return &r.AccountID }),
			text("sku", func(r *R) *string { return &r.SKU }),
			text("product", func(r *R) *string { return &r.Product }),
			priceOf("cost_month", func(r *R) *string { return &r.CostMonth }),
			folded("currency", strings.ToUpper, func(r *R) *string { return &r.Currency }),
			when("assigned_at", func(r *R) **time.Time { return &r.AssignedAt }),
			whenOrNever("last_used_at", func(r *R) **time.Time { return &r.LastUsedAt }, func(r *R) **bool { return &r.NeverUsed }),
			flag("never_used", func(r *R) **bool { return &r.NeverUsed }),
		},
		required: []string{"account_id", "sku"},
		key:      []string{"account_id", "sku"},
		finish: func(r *R) (string, string, error) {
			if r.LastUsedAt != nil && r.NeverUsed != nil && *r.NeverUsed {
				return "never_used", "is true, and there is a last_used_at", nil
			}
			return currency(r.Currency)
		},
		record: func(r *R) access.Record { return *r },
	}
}

func usage() kind[access.Usage] {
	type R = access.Usage
	return kind[R]{
		kind: collect.Usages,
		fields: []field[R]{
			text("account_id", func(r *R) *string { return &r.AccountID }),
			text("sku", func(r *R) *string { return &r.SKU }),
			text("entitlement_id", func(r *R) *string { return &r.EntitlementID }),
			whenOrNever("last_used_at", func(r *R) **time.Time { return &r.LastUsedAt }, func(r *R) **bool { return &r.NeverUsed }),
			flag("never_used", func(r *R) **bool { return &r.NeverUsed }),
		},
		required: []string{"account_id", "last_used_at|never_used"},
		key:      []string{"account_id", "sku", "entitlement_id"},
		finish: func(r *R) (string, string, error) {
			if r.LastUsedAt != nil && r.NeverUsed != nil && *r.NeverUsed {
				return "never_used", "is true, and there is a last_used_at", nil
			}
			return "", "", nil
		},
		record: func(r *R) access.Record { return *r },
	}
}

func currency(c string) (column, reason string, err error) {
	if c == "" || len(c) == 3 && strings.Trim(c, "ABCDEFGHIJKLMNOPQRSTUVWXYZ") == "" {
		return "", "", nil
	}
	return "currency", "not three letters such as USD", nil
}

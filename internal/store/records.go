package store

import (
	"time"

	"github.com/lapse-audit/lapse/internal/access"
)

// The columns of the snapshot tables, beside those of the snapshot itself.

type (
	person      = access.Person
	account     = access.Account
	entitlement = access.Entitlement
	grant       = access.Grant
	license     = access.License
	seat        = access.Seat
	usage       = access.Usage
)

// AccountKey is a credential with the account that it belongs to.
type AccountKey struct {
	AccountID string
	access.Key
}

// numbered is a rejection with its place in the order of the rejections.
type numbered struct {
	n uint64
	Rejection
}

// Rejection is a row of a source that could not be read, with its place.
type Rejection struct {
	File   string // or request
	Line   int64  // from 1; 0 where there are no lines
	Column string // name of the column or field
	Reason string
}

func attributes[R any](place func(*R) *map[string]string) []field[R] {
	return []field[R]{
		kept("attributes", place),
		presence("attributes_known", func(r *R) bool { return *place(r) != nil }, func(r *R, is bool) {
			if !is {
				*place(r) = nil
			}
		}),
	}
}

func personFields() []field[person] {
	return append([]field[person]{
		kept("record_id", func(p *person) *string { return &p.RecordID }),
		kept("id", func(p *person) *string { return &p.ID }),
		kept("employee_id", func(p *person) *string { return &p.EmployeeID }),
		folded("employee_id_key", func(p *person) *string { return &p.EmployeeID }),
		kept("username", func(p *person) *string { return &p.Username }),
		folded("username_key", func(p *person) *string { return &p.Username }),
		kept("email", func(p *person) *string { return &p.Email }),
		folded("email_key", func(p *person) *string { return &p.Email }),
		kept("name", func(p *person) *string { return &p.Name }),
		kept("kind", func(p *person) *string { return &p.Kind }),
		kept("status", func(p *person) *string { return (*string)(&p.Status) }),
		kept("department", func(p *person) *string { return &p.Department }),
		kept("title", func(p *person) *string { return &p.Title }),
		kept("location", func(p *person) *string { return &p.Location }),
		kept("company", func(p *person) *string { return &p.Company }),
		kept("cost_center", func(p *person) *string { return &p.CostCenter }),
		kept("manager_id", func(p *person) *string { return &p.ManagerID }),
		moment("start_at", func(p *person) **time.Time { return &p.StartAt }),
		moment("end_at", func(p *person) **time.Time { return &p.EndAt }),
		kept("previous_department", func(p *person) *string { return &p.PreviousDepartment }),
		kept("previous_title", func(p *person) *string { return &p.PreviousTitle }),
		moment("transferred_at", func(p *person) **time.Time { return &p.TransferredAt }),
		kept("high_risk", func(p *person) **bool { return &p.HighRisk }),
	}, attributes(func(p *person) *map[string]string { return &p.Attributes })...)
}

func accountFields() []field[account] {
	return append([]field[account]{
		kept("id", func(a *account) *string { return &a.ID }),
		kept("username", func(a *account) *string { return &a.Username }),
		folded("username_key", func(a *account) *string { return &a.Username }),
		kept("email", func(a *account) *string { return &a.Email }),
		folded("email_key", func(a *account) *string { return &a.Email }),
		kept("name", func(a *account) *string { return &a.Name }),
		kept("employee_id", func(a *account) *string { return &a.EmployeeID }),
		folded("employee_id_key", func(a *account) *string { return &a.EmployeeID }),
		kept("kind", func(a *account) *string { return (*string)(&a.Kind) }),
		kept("enabled", func(a *account) **bool { return &a.Enabled }),
		kept("privileged", func(a *account) **bool { return &a.Privileged }),
		kept("external", func(a *account) **bool { return &a.External }),
		kept("break_glass", func(a *account) **bool { return &a.BreakGlass }),
		kept("legal_hold", func(a *account) **bool { return &a.LegalHold }),
		kept("local_login", func(a *account) **bool { return &a.LocalLogin }),
		kept("locked", func(a *account) **bool { return &a.Locked }),
		kept("mfa", func(a *account) **bool { return &a.MFA }),
		kept("mailbox_type", func(a *account) *string { return &a.MailboxType }),
		kept("owner_id", func(a *account) *string { return &a.OwnerID }),
		folded("owner_key", func(a *account) *string { return &a.OwnerID }),
		kept("sponsor", func(a *account) *string { return &a.Sponsor }),
		kept("purpose", func(a *account) *string { return &a.Purpose }),
		kept("password_never_expires", func(a *account) **bool { return &a.PasswordNeverExpires }),
		kept("password_not_required", func(a *account) **bool { return &a.PasswordNotRequired }),
		kept("forwards_externally", func(a *account) **bool { return &a.ForwardsExternally }),
		kept("has_spn", func(a *account) **bool { return &a.HasSPN }),
		kept("active_sessions", func(a *account) **int64 { return &a.ActiveSessions }),
		moment("created_at", func(a *account) **time.Time { return &a.CreatedAt }),
		moment("last_login_at", func(a *account) **time.Time { return &a.LastLoginAt }),
		kept("login_lag_days", func(a *account) **int64 { return &a.LoginLagDays }),
		kept("never_logged_in", func(a *account) **bool { return &a.NeverLoggedIn }),
		moment("interactive_login_at", func(a *account) **time.Time { return &a.InteractiveLoginAt }),
		moment("password_changed_at", func(a *account) **time.Time { return &a.PasswordChangedAt }),
		moment("disabled_at", func(a *account) **time.Time { return &a.DisabledAt }),
		moment("expires_at", func(a *account) **time.Time { return &a.ExpiresAt }),
		presence("keys_known", func(a *account) bool { return a.Keys != nil }, func(a *account, is bool) {
			if is {
				a.Keys = []access.Key{} // the keys themselves are in a table of their own
			}
		}),
	}, attributes(func(a *account) *map[string]string { return &a.Attributes })...)
}

func accountKeyFields() []field[AccountKey] {
	return []field[AccountKey]{
		kept("account_id", func(k *AccountKey) *string { return &k.AccountID }),
		kept("id", func(k *AccountKey) *string { return &k.ID }),
		kept("kind", func(k *AccountKey) *string { return &k.Kind }),
		kept("active", func(k *AccountKey) **bool { return &k.Active }),
		moment("created_at", func(k *AccountKey) **time.Time { return &k.CreatedAt }),
		moment("last_used_at", func(k *AccountKey) **time.Time { return &k.LastUsedAt }),
	}
}

func entitlementFields() []field[entitlement] {
	return append([]field[entitlement]{
		kept("id", func(e *entitlement) *string { return &e.ID }),
		kept("name", func(e *entitlement) *string { return &e.Name }),
		kept("kind", func(e *entitlement) *string { return &e.Kind }),
		kept("resource", func(e *entitlement) *string { return &e.Resource }),
		kept("privileged", func(e *entitlement) **bool { return &e.Privileged }),
		kept("high_risk", func(e *entitlement) **bool { return &e.HighRisk }),
		kept("owner_id", func(e *entitlement) *string { return &e.OwnerID }),
		folded("owner_key", func(e *entitlement) *string { return &e.OwnerID }),
		moment("reviewed_at", func(e *entitlement) **time.Time { return &e.ReviewedAt }),
		kept("tags", func(e *entitlement) *[]string { return &e.Tags }),
		presence("tags_known", func(e *entitlement) bool { return e.Tags != nil }, func(e *entitlement, is bool) {
			if !is {
				e.Tags = nil
			}
		}),
	}, attributes(func(e *entitlement) *map[string]string { return &e.Attributes })...)
}

func grantFields() []field[grant] {
	return []field[grant]{
		kept("holder_kind", func(g *grant) *string { return (*string)(&g.HolderKind) }),
		kept("holder_id", func(g *grant) *string { return &g.HolderID }),
		kept("entitlement_id", func(g *grant) *string { return &g.EntitlementID }),
		moment("granted_at", func(g *grant) **time.Time { return &g.GrantedAt }),
		moment("last_used_at", func(g *grant) **time.Time { return &g.LastUsedAt }),
		moment("expires_at", func(g *grant) **time.Time { return &g.ExpiresAt }),
		moment("reviewed_at", func(g *grant) **time.Time { return &g.ReviewedAt }),
		kept("approved", func(g *grant) **bool { return &g.Approved }),
	}
}

func licenseFields() []field[license] {
	return []field[license]{
		kept("sku", func(l *license) *string { return &l.SKU }),
		kept("product", func(l *license) *string { return &l.Product }),
		money("cost_month", func(l *license) *string { return &l.CostMonth }),
		kept("currency", func(l *license) *string { return &l.Currency }),
		kept("purchased", func(l *license) **int64 { return &l.Purchased }),
		moment("renews_at", func(l *license) **time.Time { return &l.RenewsAt }),
	}
}

func seatFields() []field[seat] {
	return []field[seat]{
		kept("account_id", func(s *seat) *string { return &s.AccountID }),
		kept("sku", func(s *seat) *string { return &s.SKU }),
		kept("product", func(s *seat) *string { return &s.Product }),
		money("cost_month", func(s *seat) *string { return &s.CostMonth }),
		kept("currency", func(s *seat) *string { return &s.Currency }),
		moment("assigned_at", func(s *seat) **time.Time { return &s.AssignedAt }),
		moment("last_used_at", func(s *seat) **time.Time { return &s.LastUsedAt }),
		kept("never_used", func(s *seat) **bool { return &s.NeverUsed }),
	}
}

func usageFields() []field[usage] {
	return []field[usage]{
		kept("account_id", func(u *usage) *string { return &u.AccountID }),
		kept("sku", func(u *usage) *string { return &u.SKU }),
		kept("entitlement_id", func(u *usage) *string { return &u.EntitlementID }),
		moment("last_used_at", func(u *usage) **time.Time { return &u.LastUsedAt }),
		kept("never_used", func(u *usage) **bool { return &u.NeverUsed }),
	}
}

func rejectionFields() []field[numbered] {
	return []field[numbered]{
		kept("n", func(r *numbered) *uint64 { return &r.n }),
		kept("file", func(r *numbered) *string { return &r.File }),
		kept("line", func(r *numbered) *int64 { return &r.Line }),
		kept("field", func(r *numbered) *string { return &r.Column }),
		kept("reason", func(r *numbered) *string { return &r.Reason }),
	}
}

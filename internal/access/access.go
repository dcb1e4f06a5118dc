// Package access holds the nouns of an access audit: people, accounts, entitlements, grants, licenses and seats,
// and the schema of the documents that policies judge.
//
// A value that a source does not give is absent: a nil pointer, an empty string, a nil map. It is never zero and
// never false. Times are UTC instants.
package access

import "time"

// Record is what a collector yields: one of Person, Account, Entitlement, Grant, License, Seat or Usage.
type Record interface{ record() }

func (Person) record()      {}
func (Account) record()     {}
func (Entitlement) record() {}
func (Grant) record()       {}
func (License) record()     {}
func (Seat) record()        {}
func (Usage) record()       {}

// PersonStatus says where a person stands at one moment.
type PersonStatus string

// The statuses of a person. The empty status means that the roster gives none.
const (
	PersonActive PersonStatus = "active"
	PersonLeave  PersonStatus = "leave"
	PersonEnded  PersonStatus = "ended"
	PersonFuture PersonStatus = "future"
)

// Person is one worker record of a roster. A person who was rehired or converted has several with one ID.
type Person struct {
	ID         string // the person, within the roster
	RecordID   string // the worker record; unique within a snapshot
	EmployeeID string // the number that apps carry; often the ID
	Username   string
	Email      string
	Name       string
	Kind       string // employee, contractor, intern, vendor, ... as the roster says; lower case
	Status     PersonStatus
	Department string
	Title      string
	Location   string
	Company    string
	CostCenter string
	ManagerID  string // ID of another person of the same roster

	StartAt *time.Time // start of the first working day, in the location's zone
	EndAt   *time.Time // end of the last working day, in the location's zone

	PreviousDepartment string // before the last transfer, where the roster itself says so
	PreviousTitle      string
	TransferredAt      *time.Time

	HighRisk   *bool
	Attributes map[string]string
}

// AccountKind says what an account is for. It stays empty (unknown) until there is evidence.
type AccountKind string

// The kinds of account.
const (
	KindHuman   AccountKind = "human"
	KindService AccountKind = "service"
	KindShared  AccountKind = "shared"
	KindGuest   AccountKind = "guest"
	KindMachine AccountKind = "machine"
)

// Account is a login in one source. ID is immutable in the source and unique within a snapshot: never a name or a DN.
type Account struct {
	ID          string
	Username    string
	Email       string
	Name        string
	EmployeeID  string
	Kind        AccountKind
	Enabled     *bool
	Privileged  *bool
	External    *bool
	BreakGlass  *bool
	LegalHold   *bool
	LocalLogin  *bool // signs in with a password of its own beside single sign-on
	Locked      *bool
	MFA         *bool
	MailboxType string
	OwnerID     string // person id (or employee id, e-mail or username) of whoever answers for the account
	Sponsor     string
	Purpose     string

	PasswordNeverExpires *bool
	PasswordNotRequired  *bool
	ForwardsExternally   *bool
	HasSPN               *bool
	ActiveSessions       *int64

	CreatedAt          *time.Time
	LastLoginAt        *time.Time
	LoginLagDays       *int64 // LastLoginAt may be earlier than the truth by so many days (lastLogonTimestamp: 14)
	NeverLoggedIn      *bool
	InteractiveLoginAt *time.Time
	PasswordChangedAt  *time.Time
	DisabledAt         *time.Time
	ExpiresAt          *time.Time

	Keys       []Key // nil: not read; empty: none
	Attributes map[string]string
}

// Key is a credential of an account beside its password.
type Key struct {
	ID         string
	Kind       string // key, token, certificate
	Active     *bool
	CreatedAt  *time.Time
	LastUsedAt *time.Time
}

// Entitlement can be granted in a source.
type Entitlement struct {
	ID         string
	Name       string
	Kind       string // group, role, permission, app, secret, ...
	Resource   string
	Privileged *bool
	HighRisk   *bool
	OwnerID    string // person id (or employee id, e-mail or username)
	ReviewedAt *time.Time
	Tags       []string
	Attributes map[string]string
}

// HolderKind says who holds a grant.
type HolderKind string

// An account holds a grant itself; an entitlement that holds a grant hands it to all of its own holders (nesting).
const (
	HolderAccount     HolderKind = "account"
	HolderEntitlement HolderKind = "entitlement"
)

// Grant says that a holder has an entitlement. (HolderKind, HolderID, EntitlementID) is unique within a snapshot.
type Grant struct {
	HolderKind    HolderKind
	HolderID      string
	EntitlementID string
	GrantedAt     *time.Time
	LastUsedAt    *time.Time
	ExpiresAt     *time.Time
	ReviewedAt    *time.Time
	Approved      *bool
}

// License is a paid product of a source: what was bought, at what price.
type License struct {
	SKU       string
	Product   string
	CostMonth string // decimal, a seat and month; "" is unknown
	Currency  string // ISO 4217
	Purchased *int64 // seats
	RenewsAt  *time.Time
}

// Seat is a license assigned to an account. (AccountID, SKU) is unique within a snapshot. A price on a seat overrides
// that of its License.
type Seat struct {
	AccountID  string
	SKU        string
	Product    string
	CostMonth  string // decimal; "" is unknown
	Currency   string
	AssignedAt *time.Time
	LastUsedAt *time.Time
	NeverUsed  *bool
}

// Usage is a last use told apart from the thing used. An empty SKU and EntitlementID mean the account itself.
type Usage struct {
	AccountID     string
	SKU           string
	EntitlementID string
	LastUsedAt    *time.Time
	NeverUsed     *bool
}

// LinkMethod is the evidence by which an account was linked, strongest first.
type LinkMethod string

// The methods of linking. LinkNone goes with unmatched.
const (
	LinkManual     LinkMethod = "manual"
	LinkEmployeeID LinkMethod = "employee_id"
	LinkEmail      LinkMethod = "email"
	LinkUsername   LinkMethod = "username"
	LinkNone       LinkMethod = "none"
)

// LinkStatus says how sure a link is.
type LinkStatus string

// The statuses of a link.
const (
	LinkLinked    LinkStatus = "linked"
	LinkDisputed  LinkStatus = "disputed"
	LinkUnmatched LinkStatus = "unmatched"
)

// Link says which person an account belongs to. Person is a PersonKey, empty unless Status is linked. Candidates are
// the people between whom a disputed link stands; Reason says why, in words.
type Link struct {
	Source     string
	AccountID  string
	Person     string
	Method     LinkMethod
	Status     LinkStatus
	Candidates []string
	Reason     string
}

// PersonKey names a person across rosters: "roster:id". People joined by people.yaml share the key of the first record.
func PersonKey(roster, id string) string { return roster + ":" + id }

// Coverage says how far a source gives a signal.
type Coverage string

// How far a signal is given: for every record it applies to, for some, for none.
const (
	CoverageFull    Coverage = "full"
	CoveragePartial Coverage = "partial"
	CoverageNone    Coverage = "none"
)

// SubjectKind is what a policy judges.
type SubjectKind string

// The five subjects.
const (
	SubjectAccount     SubjectKind = "account"
	SubjectPerson      SubjectKind = "person"
	SubjectEntitlement SubjectKind = "entitlement"
	SubjectLicense     SubjectKind = "license"
	SubjectSource      SubjectKind = "source"
)

// SubjectKinds lists the subjects in the order in which they are evaluated.
func SubjectKinds() []SubjectKind {
	return []SubjectKind{SubjectAccount, SubjectPerson, SubjectEntitlement, SubjectLicense, SubjectSource}
}

// Identity is a person over all worker records and rosters, as of one run.
type Identity struct {
	// Person is the leading record: a current one before a future one before the one that ended last. Its ManagerID is a
	// PersonKey.
	Person
	Key    string
	Roster string // source uid of the leading record
	// Aliases are the keys of all records behind the identity, Key included.
	Aliases []string
	Records int
	// FirstStartAt is the earliest start of any record: an account older than that was somebody else's.
	FirstStartAt *time.Time
}

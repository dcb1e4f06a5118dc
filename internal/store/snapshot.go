package store

import (
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/lapse-audit/lapse/internal/access"
)

// SnapshotStatus says whether a snapshot may be judged by.
type SnapshotStatus string

// The statuses of a snapshot: whole enough to judge by, or kept only as evidence of what was refused.
const (
	Accepted    SnapshotStatus = "accepted"
	Quarantined SnapshotStatus = "quarantined"
)

// SnapshotInfo is what is known of a snapshot before the source is read.
type SnapshotInfo struct {
	Source  string // uid
	Name    string // of the source
	Type    string // of the collector
	Roster  bool
	TakenAt time.Time // the run's clock
}

// SnapshotMeta is what is known of a snapshot once the source was read and judged.
type SnapshotMeta struct {
	Status     SnapshotStatus
	Reasons    []string // why it is quarantined, or accepted in spite of the guard
	Coverage   map[string]access.Coverage
	Reads      []string        // kinds of record that the source gives: "accounts", "grants", ...
	Provenance json.RawMessage // nil: none
	AsOf       time.Time       // zero: the time of reading
	Bytes      int64           // read from the source
}

// Counts says how much a snapshot holds.
type Counts struct {
	Records map[string]uint64 // kind to number of records; a kind without records is missing
	// ActivePeople counts people, not records, who work there at TakenAt; people on leave do.
	ActivePeople uint64
	Rejected     uint64
}

// Snapshot is a published snapshot.
type Snapshot struct {
	SnapshotInfo
	SnapshotMeta
	Counts
	ID         uint64 // greater than that of every snapshot begun before it
	RecordedAt time.Time
}

// The kinds of record, as Counts.Records and SnapshotMeta.Reads name them.
const (
	KindPeople       = "people"
	KindAccounts     = "accounts"
	KindEntitlements = "entitlements"
	KindGrants       = "grants"
	KindLicenses     = "licenses"
	KindSeats        = "seats"
	KindUsage        = "usage"
)

const (
	tableKeys       = "account_keys"
	tableRejections = "rejections"
)

// identity names the columns that are unique within a snapshot, for each table that holds records of one.
var identity = []struct{ table, columns string }{
	{KindPeople, "record_id"},
	{KindAccounts, "id"},
	{tableKeys, ""},
	{KindEntitlements, "id"},
	{KindGrants, "holder_kind, holder_id, entitlement_id"},
	{KindLicenses, "sku"},
	{KindSeats, "account_id, sku"},
	{KindUsage, ""},
	{tableRejections, ""},
}

// Duplicate is an id that several records of one snapshot share.
type Duplicate struct {
	Kind    string
	ID      []string // the parts of the id
	Records uint64
}

func (d Duplicate) String() string {
	return fmt.Sprintf("%s %s is there %d times", d.Kind, strings.Join(d.ID, " / "), d.Records)
}

// DuplicateError refuses to accept a snapshot in which ids are not unique.
type DuplicateError struct {
	Source     string
	Duplicates []Duplicate // the first few
}

func (e *DuplicateError) Error() string {
	texts := make([]string, len(e.Duplicates))
	for i, d := range e.Duplicates {
		texts[i] = d.String()
	}
	return fmt.Sprintf("source %s has records with one id: %s: map a column that is unique as the id", e.Source, strings.Join(texts, "; "))
}

package collect

import (
	"testing"
	"time"

	"github.com/lapse-audit/lapse/internal/access"
)

type kept struct{ records []access.Record }

func (k *kept) Put(r access.Record) error { k.records = append(k.records, r); return nil }

func (k *kept) Reject(Rejection) error { return nil }

func TestReviewsInto(t *testing.T) {
	day := func(n int) *time.Time {
		at := time.Date(2026, 11, n, 0, 0, 0, 0, time.UTC)
		return &at
	}
	reviews := Reviews{{"crm", "", "admin"}: *day(10), {"crm", "u1", "admin"}: *day(9)}
	var out kept
	into := reviews.Into("crm", &out)
	for _, r := range []access.Record{
		access.Entitlement{ID: "admin"}, access.Entitlement{ID: "admin", ReviewedAt: day(1)}, access.Entitlement{ID: "admin", ReviewedAt: day(20)}, access.Entitlement{ID: "edit"},
		access.Grant{HolderKind: access.HolderAccount, HolderID: "u1", EntitlementID: "admin"},
		access.Grant{HolderKind: access.HolderAccount, HolderID: "u2", EntitlementID: "admin"},
		access.Grant{HolderKind: access.HolderEntitlement, HolderID: "u1", EntitlementID: "admin"},
		access.Account{ID: "u1"},
	} {
		if err := into.Put(r); err != nil {
			t.Fatal(err)
		}
	}
	// What the source itself says counts where it is later; of others nothing is said.
	for i, want := range []*time.Time{day(10), day(10), day(20), nil, day(9), nil, nil} {
		var got *time.Time
		switch r := out.records[i].(type) {
		case access.Entitlement:
			got = r.ReviewedAt
		case access.Grant:
			got = r.ReviewedAt
		}
		if (got == nil) != (want == nil) || got != nil && !got.Equal(*want) {
			t.Errorf("record %d was reviewed %v, want %v", i, got, want)
		}
	}
	if len(out.records) != 8 {
		t.Errorf("%d records", len(out.records))
	}
	var other kept
	if err := reviews.Into("erp", &other).Put(access.Entitlement{ID: "admin"}); err != nil || other.records[0].(access.Entitlement).ReviewedAt != nil {
		t.Error("another source's entitlement of the same id was reviewed")
	}
}

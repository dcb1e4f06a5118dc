package collect

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/lapse-audit/lapse/internal/access"
)

func TestContracts(t *testing.T) {
	ten, five := int64(10), int64(5)
	contracts := Contracts{Files: []File{{Name: "contracts.csv"}}, List: []Contract{
		{License: access.License{SKU: "e3", CostMonth: "32.00", Currency: "USD", Purchased: &ten}},
		{License: access.License{SKU: "E3", CostMonth: "30.00", Currency: "EUR"}, Source: "m365"}, // before that of any source
		{License: access.License{SKU: "Visio", CostMonth: "12", Currency: "USD", Purchased: &five}, Override: true},
		{License: access.License{SKU: "Ghost", CostMonth: "1", Currency: "USD"}},
		{License: access.License{SKU: "E3", CostMonth: "9", Currency: "USD"}, Source: "other"},
	}}
	for _, c := range []struct {
		what      string
		source    string
		got, want []access.Record
		note      string
	}{
		{"a source that gives no license", "m365",
			[]access.Record{access.Seat{AccountID: "1", SKU: "E3"}, access.Seat{AccountID: "2", SKU: "Free"}},
			[]access.Record{access.Seat{AccountID: "1", SKU: "E3"}, access.Seat{AccountID: "2", SKU: "Free"}, access.License{SKU: "E3", CostMonth: "30.00", Currency: "EUR"}},
			"1 license has prices or seats from the contracts, not from the source"},
		{"what the source gives stays", "app",
			[]access.Record{access.License{SKU: "E3", CostMonth: "40", Currency: "CHF"}, access.Seat{AccountID: "1", SKU: "E3", CostMonth: "41", Currency: "CHF"}},
			[]access.Record{access.License{SKU: "E3", CostMonth: "40", Currency: "CHF", Purchased: &ten}, access.Seat{AccountID: "1", SKU: "E3", CostMonth: "41", Currency: "CHF"}},
			"1 license has prices or seats from the contracts, not from the source"},
		{"unless the contract overrides it", "app",
			[]access.Record{access.License{SKU: "Visio", CostMonth: "40", Currency: "CHF", Purchased: &ten}, access.Seat{AccountID: "1", SKU: "Visio", CostMonth: "41", Currency: "CHF"}},
			[]access.Record{access.License{SKU: "Visio", CostMonth: "12", Currency: "USD", Purchased: &five}, access.Seat{AccountID: "1", SKU: "Visio"}},
			"1 license has prices or seats from the contracts, not from the source"},
		{"nothing that a contract is of", "app", []access.Record{access.Account{ID: "1"}}, []access.Record{access.Account{ID: "1"}}, ""},
	} {
		t.Run(c.what, func(t *testing.T) {
			out := &list{}
			p := contracts.Into(c.source, out)
			for _, r := range c.got {
				if err := p.Put(r); err != nil {
					t.Fatal(err)
				}
			}
			prov := Provenance{Reads: []string{"accounts", "seats"}}
			if err := p.Finish(&prov); err != nil {
				t.Fatal(err)
			}
			if d := cmp.Diff(c.want, out.records); d != "" {
				t.Errorf("-want +got\n%s", d)
			}
			if c.note == "" {
				if len(prov.Notes)+len(prov.Files) > 0 {
					t.Errorf("provenance %+v", prov)
				}
				return
			}
			if len(prov.Notes) != 1 || prov.Notes[0] != c.note || len(prov.Files) != 1 {
				t.Errorf("provenance %+v", prov)
			}
		})
	}
}

// list is a sink that keeps records.
type list struct{ records []access.Record }

func (l *list) Put(r access.Record) error { l.records = append(l.records, r); return nil }
func (l *list) Reject(Rejection) error    { return nil }

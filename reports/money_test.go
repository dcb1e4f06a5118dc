package reports

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/lapse-audit/lapse/internal/finding"
)

func TestSumsAreExact(t *testing.T) {
	for _, c := range []struct {
		amounts     []string
		month, year string
	}{
		{[]string{"0.1", "0.2"}, "0.30", "3.60"},
		{[]string{"57", "57.00", "57.000"}, "171.00", "2052.00"},
		{[]string{"0.005", "0.0051", "10"}, "10.0101", "120.1212"},
		{[]string{"-1.50", "1"}, "-0.50", "-6.00"},
		{[]string{"9999999999999999999999.99", "0.01"}, "10000000000000000000000.00", "120000000000000000000000.00"},
		{[]string{"0.3333"}, "0.3333", "3.9996"},
		{[]string{"1.2345", "1.7655"}, "3.00", "36.00"},
	} {
		s := sums{}
		for _, a := range c.amounts {
			if err := s.add(a, "USD"); err != nil {
				t.Fatal(err)
			}
		}
		if got := s.money(); len(got) != 1 || got[0] != (Money{"USD", c.month, c.year}) {
			t.Errorf("sum of %v = %v, want %s, %s a year", c.amounts, got, c.month, c.year)
		}
	}
	for _, bad := range []string{"", "1e3", "0x10", "1/3", "NaN", "1,000", "1.", ".5", " 1", "1 "} {
		if err := (sums{}).add(bad, "USD"); err == nil {
			t.Errorf("%q was added", bad)
		}
	}
}

// Cents as integers are the other means by which sums can be had.
func TestSumsOfManySeats(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	s, cents := sums{}, int64(0)
	for range 10000 {
		n := random.Int64N(100000)
		cents += n
		if err := s.add(fmt.Sprintf("%d.%02d", n/100, n%100), "EUR"); err != nil {
			t.Fatal(err)
		}
	}
	if got, want := s.money()[0].Month, fmt.Sprintf("%d.%02d", cents/100, cents%100); got != want {
		t.Errorf("sum %s, want %s", got, want)
	}
}

func TestMoneyOfFindings(t *testing.T) {
	seat := func(policy, account, sku, cost, currency string, status finding.Status) finding.Finding {
		return finding.Finding{Hit: finding.Hit{Policy: policy, Subject: finding.Subject{Kind: "account", Source: "app", ID: account}, Key: sku, CostMonth: cost, Currency: currency}, Category: policy[:3], Status: status}
	}
	r := mustNew(t, Data{Findings: list([]finding.Finding{
		seat("LIC-01", "1", "E3", "57.10", "USD", finding.Open),
		seat("ACME-1", "1", "E3", "57.10", "USD", finding.Open), // the same seat, by another rule
		seat("LIC-01", "1", "E5", "10", "USD", finding.Open),
		seat("LIC-01", "2", "E3", "20.50", "EUR", finding.Open),
		seat("LIC-01", "3", "E3", "99", "USD", finding.Excepted),
		seat("LIC-01", "4", "E3", "99", "USD", finding.Closed),
		seat("LIC-01", "5", "E3", "", "", finding.Open),
	})})
	want := []Money{{"EUR", "20.50", "246.00"}, {"USD", "67.10", "805.20"}}
	if got := r.Total.Cost(); fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("%v, want %v", got, want)
	}
	if r.Unpriced != 1 {
		t.Errorf("%d seats without a price, want 1", r.Unpriced)
	}
}

func TestAmount(t *testing.T) {
	for in, want := range map[string]string{"19": "19.00 USD", "6.5": "6.50 USD", "1234.005": "1,234.005 USD", "-3": "-3.00 USD"} {
		if got := amount(in, "USD"); got != want {
			t.Errorf("amount(%s) = %s, want %s", in, got, want)
		}
	}
}

func TestGrouped(t *testing.T) {
	for in, want := range map[string]string{"0": "0", "999": "999", "1000": "1,000", "-1234567.891": "-1,234,567.891", "12.50": "12.50"} {
		if got := grouped(in); got != want {
			t.Errorf("grouped(%s) = %s, want %s", in, got, want)
		}
	}
}

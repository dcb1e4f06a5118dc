package reports

import (
	"fmt"
	"math/big"
	"regexp"
	"slices"
	"strings"
)

// Money is an amount of one currency, in exact decimals. Amounts of different currencies are never added.
type Money struct {
	Currency string `json:"currency"` // ISO 4217, "" where the source names none
	Month    string `json:"month"`
	Year     string `json:"year"` // twelve months
}

var decimal = regexp.MustCompile(`^-?[0-9]{1,30}(\.[0-9]{1,30})?$`)

// sums adds up decimals by currency.
type sums map[string]*sum

type sum struct {
	total big.Int // in units of 10^-scale
	scale int
}

func (s sums) add(amount, currency string) error {
	if !decimal.MatchString(amount) {
		return fmt.Errorf("%q is not a decimal number", amount)
	}
	t := s[currency]
	if t == nil {
		t = &sum{scale: 2}
		s[currency] = t
	}
	whole, fraction, _ := strings.Cut(amount, ".")
	if grow := len(fraction) - t.scale; grow > 0 {
		t.total.Mul(&t.total, pow10(grow))
		t.scale = len(fraction)
	}
	digits, _ := new(big.Int).SetString(whole+fraction, 10)
	t.total.Add(&t.total, digits.Mul(digits, pow10(t.scale-len(fraction))))
	return nil
}

// money lists the sums by currency; sums of zero are left out.
func (s sums) money() []Money {
	out := []Money{}
	for currency, t := range s {
		if t.total.Sign() != 0 {
			year := new(big.Int).Mul(&t.total, big.NewInt(12))
			out = append(out, Money{currency, text(&t.total, t.scale), text(year, t.scale)})
		}
	}
	slices.SortFunc(out, func(a, b Money) int { return strings.Compare(a.Currency, b.Currency) })
	return out
}

func pow10(n int) *big.Int { return new(big.Int).Exp(big.NewInt(10), big.NewInt(int64(n)), nil) }

// text writes n·10^-scale with two decimals, or with more where they aren't zero.
func text(n *big.Int, scale int) string {
	digits := fmt.Sprintf("%0*s", scale+1, new(big.Int).Abs(n))
	whole, fraction := digits[:len(digits)-scale], digits[len(digits)-scale:]
	for len(fraction) > 2 && strings.HasSuffix(fraction, "0") {
		fraction = fraction[:len(fraction)-1]
	}
	if n.Sign() < 0 {
		whole = "-" + whole
	}
	return whole + "." + fraction
}

// amount is a decimal for readers, with two decimals or more: 1,234.50 USD.
func amount(decimal, currency string) string {
	whole, fraction, _ := strings.Cut(decimal, ".")
	for len(fraction) < 2 {
		fraction += "0"
	}
	decimal = whole + "." + fraction
	if currency == "" {
		currency = "(no currency given)"
	}
	return grouped(decimal) + " " + currency
}

// grouped puts commas between the thousands of a decimal.
func grouped(decimal string) string {
	sign := ""
	if strings.HasPrefix(decimal, "-") {
		sign, decimal = "-", decimal[1:]
	}
	whole, fraction, found := strings.Cut(decimal, ".")
	for i := len(whole) - 3; i > 0; i -= 3 {
		whole = whole[:i] + "," + whole[i:]
	}
	if found {
		whole += "." + fraction
	}
	return sign + whole
}

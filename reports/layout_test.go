package reports

import (
	"slices"
	"strings"
	"testing"

	"github.com/lapse-audit/lapse/reports/pagetest"
)

// At the width of a phone and of a desk nothing sticks out, not even names without a blank, with all that can be opened
// standing open, and the browser takes the style.
func TestPageFitsTheScreen(t *testing.T) {
	var pages []string
	for _, d := range []Data{company(2), hostile(company(1), longNames), {Findings: list(nil)}} {
		pages = append(pages, string(render(t, d)))
	}
	fits(t, pages...)
}

// longNames break a layout: one can be broken nowhere.
var longNames = strings.Repeat("W", 100) + " " + strings.Repeat("長", 60)

func fits(t *testing.T, pages ...string) {
	t.Helper()
	got := pagetest.Measure(t, `(page.querySelectorAll("details").forEach(e => e.open = true),
getComputedStyle(page.querySelector("h2")).fontWeight + " " + (`+pagetest.Overflow+`))`, []int{375, 1280}, pages...)
	if want := slices.Repeat([]string{"650 0"}, 2*len(pages)); !slices.Equal(got, want) {
		t.Errorf("weight of headings and pixels sticking out, at 375 and 1280, page by page:\n%q, want\n%q", got, want)
	}
}

package link

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/lapse-audit/lapse/internal/notify"
	"github.com/lapse-audit/lapse/internal/notify/digest"
	"github.com/lapse-audit/lapse/reports/pagetest"
)

// The browser takes the one style that the page's policy names, and at the width of a phone nothing sticks out.
func TestPageInABrowser(t *testing.T) {
	b := newBench(t)
	srv := httptest.NewServer(b.h)
	t.Cleanup(srv.Close)
	picture := pagetest.Picture(t, srv.URL+Path+b.token(notify.Keep), 700, 500)
	if r, g, bl, _ := picture.At(3, 3).RGBA(); fmt.Sprintf("%02x%02x%02x", r>>8, g>>8, bl>>8) != "f4f5f7" {
		t.Errorf("the page is not drawn in its style: its edge is %02x%02x%02x", r>>8, g>>8, bl>>8)
	}
	long := strings.Repeat("W", 120)
	b.item = &digest.Item{Title: long, Severity: "high", Message: long, Subject: strings.Repeat("\u05d0", 120)}
	var pages []string
	for _, a := range []notify.Answer{notify.Keep, notify.NotMine} {
		code, page := b.do(http.MethodGet, b.token(a), nil)
		if code != http.StatusOK {
			t.Fatal(code)
		}
		pages = append(pages, page)
	}
	if got := fmt.Sprint(pagetest.Measure(t, pagetest.Overflow, []int{375}, pages...)); got != "[0 0]" {
		t.Errorf("pixels that stick out at 375: %s", got)
	}
}

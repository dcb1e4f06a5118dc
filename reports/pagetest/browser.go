// Package pagetest looks at pages in a browser, in tests.
package pagetest

import (
	"context"
	"fmt"
	"html"
	"image"
	"image/png"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
)

// chromium finds the browser.
func chromium(t *testing.T) string {
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome"} {
		if file, err := exec.LookPath(name); err == nil {
			return file
		}
	}
	if os.Getenv("CI") == "true" {
		t.Fatal("no chromium: apt-get install chromium")
	}
	t.Skip("no chromium: apt-get install chromium")
	return ""
}

func browse(t *testing.T, args ...string) []byte {
	t.Helper()
	program := chromium(t)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, program, append([]string{"--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking",
		"--disable-component-update", "--disable-sync", "--hide-scrollbars", "--user-data-dir=" + filepath.Join(t.TempDir(), "profile")}, args...)...)
	cmd.WaitDelay = 5 * time.Second
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%s: %v", program, err)
	}
	return out
}

// Picture is what a browser shows at an address.
func Picture(t *testing.T, address string, width, height int) image.Image {
	t.Helper()
	name := filepath.Join(t.TempDir(), "page.png")
	browse(t, fmt.Sprintf("--window-size=%d,%d", width, height), "--screenshot="+name, address)
	f, err := os.Open(name)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	out, err := png.Decode(f)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// Overflow is JavaScript, for Measure: how many pixels of a page stick out to the right.
const Overflow = "page.documentElement.scrollWidth - page.documentElement.clientWidth"

// Measure gives what a JavaScript expression says of pages, each at each width in pixels, page by page. The expression's page
// is the document, in a frame of that width.
func Measure(t *testing.T, expression string, widths []int, pages ...string) []string {
	t.Helper()
	var outer strings.Builder
	outer.WriteString("<!DOCTYPE html><body>")
	for _, page := range pages {
		for _, width := range widths {
			fmt.Fprintf(&outer, `<iframe width="%d" height="900" style="border:0" srcdoc="%s"></iframe>`, width, html.EscapeString(page))
		}
	}
	fmt.Fprintf(&outer, `<script>onload = () => { document.body.dataset.measured = [...document.querySelectorAll("iframe")].map(frame => {
const page = frame.contentDocument;
return %s;
}).join(","); }</script></body>`, expression)
	name := filepath.Join(t.TempDir(), "pages.html")
	if err := os.WriteFile(name, []byte(outer.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	got := regexp.MustCompile(`data-measured="([^"]*)"`).FindSubmatch(browse(t, "--window-size=1400,1000", "--dump-dom", "file://"+name))
	if got == nil {
		t.Fatal("nothing was measured")
	}
	return strings.Split(string(got[1]), ",")
}

package reports

import (
	"context"
	"fmt"
	"html"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
)

// At the width of a phone and of a desk nothing sticks out, not even names without a blank, with all that can be opened
// standing open, and the browser takes the style. Each page is put into a frame of that width, from which it is measured.
func TestPageFitsTheScreen(t *testing.T) {
	chromium := findChromium(t)
	long := strings.Repeat("W", 100) + " " + strings.Repeat("長", 60)
	var outer strings.Builder
	outer.WriteString("<!DOCTYPE html><body>")
	for _, page := range [][]byte{render(t, company(2)), render(t, hostile(company(1), long)), render(t, Data{Findings: list(nil)})} {
		for _, width := range []int{375, 1280} {
			fmt.Fprintf(&outer, `<iframe width="%d" height="900" style="border:0" srcdoc="%s"></iframe>`, width, html.EscapeString(string(page)))
		}
	}
	outer.WriteString(`<script>onload = () => { document.body.dataset.measured = [...document.querySelectorAll("iframe")].map(frame => {
const page = frame.contentDocument, root = page.documentElement;
page.querySelectorAll("details").forEach(e => e.open = true);
return getComputedStyle(page.querySelector("h2")).fontWeight + " " + (root.scrollWidth - root.clientWidth);
}).join(", "); }</script></body>`)
	got := regexp.MustCompile(`data-measured="([^"]*)"`).FindStringSubmatch(show(t, chromium, outer.String()))
	if got == nil {
		t.Fatal("nothing was measured")
	}
	if want := strings.Repeat("650 0, ", 5) + "650 0"; got[1] != want {
		t.Errorf("weight of headings and pixels sticking out, at 375 and 1280, of plain, long and no names:\n%s, want\n%s", got[1], want)
	}
}

func findChromium(t *testing.T) string {
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

// show loads a page and returns what the browser made of it.
func show(t *testing.T, chromium, page string) string {
	dir := t.TempDir()
	file := filepath.Join(dir, "page.html")
	if err := os.WriteFile(file, []byte(page), 0o600); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, chromium, "--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking",
		"--disable-component-update", "--disable-sync", "--user-data-dir="+filepath.Join(dir, "profile"), "--window-size=1400,1000", "--dump-dom", "file://"+file)
	cmd.WaitDelay = 5 * time.Second
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%s: %v", chromium, err)
	}
	return string(out)
}

package notifytest

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

// chromium finds the browser in which people's pages are looked at.
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

// Overflow says of pages, each at each width, how many pixels stick out.
func Overflow(t *testing.T, widths []int, pages ...string) []string {
	t.Helper()
	var outer strings.Builder
	outer.WriteString("<!DOCTYPE html><body>")
	for _, page := range pages {
		for _, width := range widths {
			fmt.Fprintf(&outer, `<iframe width="%d" height="900" style="border:0" srcdoc="%s"></iframe>`, width, html.EscapeString(page))
		}
	}
	outer.WriteString(`<script>onload = () => { document.body.dataset.measured = [...document.querySelectorAll("iframe")].map(frame => {
const root = frame.contentDocument.documentElement;
return root.scrollWidth - root.clientWidth;
}).join(" "); }</script></body>`)
	name := filepath.Join(t.TempDir(), "pages.html")
	if err := os.WriteFile(name, []byte(outer.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	got := regexp.MustCompile(`data-measured="([^"]*)"`).FindSubmatch(browse(t, "--window-size=1400,1000", "--dump-dom", "file://"+name))
	if got == nil {
		t.Fatal("nothing was measured")
	}
	return strings.Fields(string(got[1]))
}

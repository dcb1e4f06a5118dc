package text_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/lapse-audit/lapse/internal/notify/notifytest"
	"github.com/lapse-audit/lapse/internal/notify/text"
)

func TestContract(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "messages")
	received := func(t *testing.T) (out []notifytest.Delivery) {
		names, err := filepath.Glob(filepath.Join(dir, "*"))
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range names {
			b, err := os.ReadFile(name)
			if err != nil {
				t.Fatal(err)
			}
			out = append(out, notifytest.Delivery{Key: strings.TrimSuffix(filepath.Base(name), ".txt"), Text: string(b)})
		}
		return out
	}
	notifytest.Run(t, notifytest.Suite{Channel: text.New(dir), Received: received})
	notifytest.RunNotices(t, notifytest.Suite{Channel: text.New(dir), Received: received})
	for _, d := range received(t) {
		if strings.ContainsAny(d.Text, "\x1b\u202e") {
			t.Errorf("%s: a name moves the cursor: %q", d.Key, d.Text)
		}
		if settled := strings.Contains(d.Text, "settled: kept by Mia"); settled != (d.Key == "key-1") {
			t.Errorf("%s: settled %v\n%s", d.Key, settled, d.Text)
		}
	}
	for name, want := range map[string]os.FileMode{dir: 0o700, filepath.Join(dir, "key-1.txt"): 0o600} {
		if info, err := os.Stat(name); err != nil || info.Mode().Perm() != want {
			t.Errorf("%s: %v, %v", name, info.Mode(), err)
		}
	}
}

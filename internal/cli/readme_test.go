package cli_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/txtar"
)

// TestReadmeShowsTheHour holds README.md to what testdata/script/policy_hour.txtar compares the program's output with: the
// files below readme/, and the rule.
func TestReadmeShowsTheHour(t *testing.T) {
	script, err := txtar.ParseFile(filepath.Join("..", "..", "testdata", "script", "policy_hour.txtar"))
	if err != nil {
		t.Fatal(err)
	}
	readme, err := os.ReadFile(filepath.Join("..", "..", "README.md"))
	if err != nil {
		t.Fatal(err)
	}
	shown := 0
	for _, f := range script.Files {
		if !strings.HasPrefix(f.Name, "readme/") && f.Name != "better.rego" || f.Name == "readme/explain.txt" {
			continue
		}
		shown++
		if !strings.Contains(string(readme), "\n"+string(f.Data)) {
			t.Errorf("README.md does not show %s as it is:\n%s", f.Name, f.Data)
		}
	}
	if shown != 6 {
		t.Errorf("%d outputs of the script are shown, want 6", shown)
	}
	for line := range strings.Lines(string(readme)) { // and every policy command that it shows is played
		if command, ok := strings.CutPrefix(line, "$ lapse policy "); ok && !strings.Contains(string(script.Comment), "exec lapse policy "+command) {
			t.Errorf("README.md shows `lapse policy %s`, which the script does not play", strings.TrimSpace(command))
		}
	}
}

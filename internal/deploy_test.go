package internal_test

import (
	"bytes"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"

	"github.com/lapse-audit/lapse/internal/config"
)

// The units say nothing that systemd doesn't know.
func TestUnits(t *testing.T) {
	tool, err := exec.LookPath("systemd-analyze")
	if err != nil {
		const missing = "systemd-analyze is not here: apt-get install systemd"
		if os.Getenv("CI") != "" {
			t.Fatal(missing)
		}
		t.Skip(missing)
	}
	units, err := filepath.Glob("../deploy/lapse*.[st]*")
	if err != nil || len(units) != 3 {
		t.Fatalf("%v, %v", units, err)
	}
	dir := t.TempDir()
	args := []string{"verify", "--man=no"}
	for _, unit := range units {
		text, err := os.ReadFile(unit)
		if err != nil {
			t.Fatal(err)
		}
		// It asks for programs that are installed.
		text = bytes.ReplaceAll(text, []byte("/usr/bin/lapse"), []byte("/bin/true"))
		path := filepath.Join(dir, filepath.Base(unit))
		if err := os.WriteFile(path, text, 0o600); err != nil {
			t.Fatal(err)
		}
		args = append(args, path)
	}
	out, err := exec.Command(tool, args...).CombinedOutput()
	for line := range strings.Lines(string(out)) {
		if strings.Contains(line, dir) || strings.Contains(line, "lapse") {
			t.Error(line)
		}
	}
	if err != nil {
		t.Errorf("%v: %s", err, out)
	}
}

// The manifests are whole documents, and what they configure Lapse with is what it takes.
func TestManifests(t *testing.T) {
	files, err := filepath.Glob("../deploy/kubernetes/*.yaml")
	if err != nil || len(files) == 0 {
		t.Fatalf("%v, %v", files, err)
	}
	configured := 0
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		dec := yaml.NewDecoder(bytes.NewReader(text))
		for {
			var doc struct {
				APIVersion string `yaml:"apiVersion"`
				Kind       string
				Metadata   struct{ Name string }
				Data       map[string]string
			}
			err := dec.Decode(&doc)
			if errors.Is(err, io.EOF) {
				break
			}
			if err != nil || doc.APIVersion == "" || doc.Kind == "" || doc.Metadata.Name == "" {
				t.Fatalf("%s: %+v, %v", file, doc, err)
			}
			if text, ok := doc.Data["lapse.yaml"]; ok {
				configured++
				if _, err := config.Parse("lapse.yaml", "/var/lib/lapse", []byte(text)); err != nil {
					t.Errorf("%s: %v", file, err)
				}
			}
		}
	}
	if configured != len(files) {
		t.Errorf("%d of %d files configure Lapse", configured, len(files))
	}
}

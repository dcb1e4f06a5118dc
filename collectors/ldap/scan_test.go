package ldap

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/lapse-audit/lapse/collectors/ldap/ldaptest"
)

// program is the built program, in a folder with a configuration.
type program struct{ file, dir string }

// needProgram skips where the program would not find its store; in CI it fails.
func needProgram(t testing.TB) {
	t.Helper()
	if os.Getenv("LAPSE_LIBCHDB") == "" {
		if os.Getenv("CI") == "true" {
			t.Fatal("LAPSE_LIBCHDB is not set")
		}
		t.Skip("LAPSE_LIBCHDB is not set: run `make test`")
	}
}

func buildProgram(t testing.TB, config string, files map[string]string) *program {
	t.Helper()
	p := &program{file: filepath.Join(work, "lapse"), dir: t.TempDir()}
	if _, err := os.Stat(p.file); err != nil {
		if err := ldaptest.Run(nil, "go", "build", "-o", p.file, "github.com/lapse-audit/lapse/cmd/lapse"); err != nil {
			t.Fatal(err)
		}
	}
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(p.dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	p.configure(t, config)
	return p
}

func (p *program) configure(t testing.TB, config string) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(p.dir, "lapse.yaml"), []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
}

// run runs a command, which may end with one of the codes, and returns what it prints.
func (p *program) run(t testing.TB, codes []int, args ...string) string {
	t.Helper()
	cmd := exec.Command(p.file, args...)
	cmd.Dir = p.dir
	cmd.Env = append(os.Environ(), "LDAP_PASSWORD="+password)
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	err := cmd.Run()
	if code := cmd.ProcessState.ExitCode(); !slices.Contains(codes, code) {
		t.Fatalf("lapse %s: %v\n%s%s", strings.Join(args, " "), err, &stdout, &stderr)
	}
	if strings.Contains(stdout.String()+stderr.String(), password) {
		t.Errorf("lapse %s prints the password", strings.Join(args, " "))
	}
	return stdout.String()
}

// findings are rule, account and status of all findings of the directory, sorted.
func (p *program) findings(t testing.TB, names map[string]string) []string {
	t.Helper()
	var found []struct {
		Policy, Source, Status string
		SubjectID              string `json:"subject_id"`
	}
	text := p.run(t, []int{0, 3}, "findings", "list", "--status", "all", "--format", "json", "--quiet")
	if err := json.Unmarshal([]byte(text), &found); err != nil {
		t.Fatalf("%v in %.300s", err, text)
	}
	var out []string
	for _, f := range found {
		if f.Source == "corp-ad" {
			out = append(out, fmt.Sprintf("%s %s %s", f.Policy, names[f.SubjectID], f.Status))
		}
	}
	slices.Sort(out)
	return out
}

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

	"github.com/go-ldap/ldap/v3"
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
		if err := run(nil, "go", "build", "-o", p.file, "github.com/lapse-audit/lapse/cmd/lapse"); err != nil {
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

// A directory and a roster, scanned night after night: what an administrator mended is resolved, what came is new, and an
// account that may read less finds nothing on what it can't see.
func TestScanNightAfterNight(t *testing.T) {
	if testing.Short() {
		t.Skip("runs the program seven times")
	}
	needSamba(t)
	needProgram(t)
	d := corpDC(t)
	twin := d.copy(t, "nightly", "")
	config := func(bind string) string {
		return fmt.Sprintf(`
sources:
  - uid: hr
    type: file
    roster: {end_date: last_day}
    files: {people: {path: hr.csv}}
  - uid: corp-ad
    type: ldap
    directory: true
    links: {employee_id: [hr]}
    url: %s
    ca: %s
    bind: {dn: %s, password: env:LDAP_PASSWORD}
    kinds: [{kind: human, ou: "OU=People,%s"}, {kind: service, ou: "OU=Service,%s"}]
    incremental: {method: usn}
policies: {enable: [LVR-01, ORP-01], disable: [SVC-01]}
`, twin.url(), twin.ca, bind, domain, domain)
	}
	p := buildProgram(t, config(adminDN), map[string]string{
		"hr.csv": "id,employee_id,name,status,start_at,end_at\n1,1001,Ada Berg,ended,2020-01-01,2026-01-31\n2,1002,Bob,active,2020-01-01,\n3,1003,Carl,ended,2020-01-01,2026-01-31\n",
	})
	names := func() map[string]string { return take(t, collector(t, twin.config())).names }

	p.run(t, []int{0}, "scan", "--quiet", "--no-report")
	first := p.findings(t, names())
	if want := "LVR-01 aberg open"; !slices.Contains(first, want) {
		t.Errorf("first night: %q, want %q", first, want)
	}

	// Ada's account is disabled; Carl, who has left as well, turns up with one.
	admin := twin.admin(t)
	m := ldap.NewModifyRequest("CN=Ada Berg,OU=Berlin,OU=People,"+domain, nil)
	m.Replace("userAccountControl", []string{"514"})
	if err := admin.Modify(m); err != nil {
		t.Fatal(err)
	}
	add := ldap.NewAddRequest("CN=Carl,OU=People,"+domain, nil)
	for k, v := range map[string]string{"objectClass": "user", "sAMAccountName": "carl", "employeeID": "1003", "userAccountControl": "544"} {
		add.Attribute(k, []string{v})
	}
	if err := admin.Add(add); err != nil {
		t.Fatal(err)
	}
	p.run(t, []int{0}, "scan", "--quiet", "--no-report")
	second := p.findings(t, names())
	for _, w := range []string{"LVR-01 aberg closed", "LVR-01 carl open"} {
		if !slices.Contains(second, w) {
			t.Errorf("second night: %q, want %q", second, w)
		}
	}

	// An account that can't see userAccountControl: nothing is found on what is unknown, nothing is resolved by it.
	p.configure(t, config("reader@corp.example"))
	doctor := p.run(t, []int{0, 1}, "doctor", "corp-ad", "--format", "json")
	if !strings.Contains(doctor, "userAccountControl") || !strings.Contains(doctor, "may not be read at 5 of") || !strings.Contains(doctor, "dsacls") {
		t.Errorf("doctor: %s", doctor)
	}
	p.run(t, []int{0, 4}, "scan", "--quiet", "--no-report")
	report := p.run(t, []int{0, 4}, "report", "--format", "json")
	third := p.findings(t, names())
	if slices.ContainsFunc(third, func(f string) bool { return strings.HasPrefix(f, "LVR-01") && strings.HasSuffix(f, "open") }) {
		t.Errorf("third night, as the reader: %q", third)
	}
	var told struct {
		Tallies []struct {
			Policy, Source string
			NotEvaluable   int `json:"not_evaluable"`
			Missing        map[string]int
		}
		Inputs []struct {
			Source string
			Notes  []string
		}
	}
	if err := json.Unmarshal([]byte(report), &told); err != nil {
		t.Fatalf("%v in %.300s", err, report)
	}
	said := 0
	for _, c := range told.Tallies {
		if c.Policy == "LVR-01" && c.Source == "corp-ad" && c.NotEvaluable == 3 && c.Missing["account.enabled"] == 3 {
			said++
		}
	}
	for _, in := range told.Inputs {
		if in.Source == "corp-ad" && slices.ContainsFunc(in.Notes, func(n string) bool { return strings.Contains(n, "userAccountControl") }) {
			said++
		}
	}
	if said != 2 {
		t.Errorf("the report doesn't say what could not be evaluated and why: %+v", told)
	}
}

//go:build unix

package cli_test

import (
	"bufio"
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"

	"github.com/lapse-audit/lapse/internal/config"
)

// served is `lapse serve` in a process of its own.
type served struct {
	*exec.Cmd
	url string

	mu    sync.Mutex
	lines []map[string]any
}

// serveIn starts the service in dir, and returns when it serves. Each line of its log is given to seen, too.
func serveIn(t *testing.T, dir string, seen func(map[string]any), args ...string) *served {
	t.Helper()
	path, err := exec.LookPath("lapse") // no link to the test binary: it runs itself again
	if err != nil {
		t.Fatal(err)
	}
	s := &served{Cmd: exec.Command(path, append([]string{"serve"}, args...)...)}
	s.Dir = dir
	stdout, err := s.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	stderr, err := s.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Process.Kill() })
	go func() {
		in := bufio.NewScanner(stderr)
		in.Buffer(nil, 1<<20)
		for in.Scan() {
			var m map[string]any
			if err := json.Unmarshal(in.Bytes(), &m); err != nil {
				t.Errorf("the log has a line that is no JSON: %s", in.Bytes())
				continue
			}
			s.mu.Lock()
			s.lines = append(s.lines, m)
			s.mu.Unlock()
			if seen != nil {
				seen(m)
			}
		}
	}()
	out := bufio.NewScanner(stdout)
	if !out.Scan() {
		t.Fatalf("it doesn't serve:\n%s", s.log())
	}
	s.url = out.Text()
	go func() { _, _ = io.Copy(io.Discard, stdout) }()
	return s
}

func (s *served) log() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	var b strings.Builder
	for _, l := range s.lines[max(0, len(s.lines)-60):] {
		fmt.Fprintln(&b, l)
	}
	return b.String()
}

// count says how many lines have a message ("": any), and a text in them.
func (s *served) count(msg, text string) (n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, l := range s.lines {
		if (msg == "" || l["msg"] == msg) && strings.Contains(fmt.Sprint(l), text) {
			n++
		}
	}
	return n
}

func (s *served) await(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(2 * time.Minute); !ok(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("waited in vain for %s:\n%s", what, s.log())
		}
	}
}

// stop ends the service as its operator does.
func (s *served) stop(t *testing.T) {
	t.Helper()
	if err := s.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	if err := s.Wait(); err != nil {
		t.Errorf("%v:\n%s", err, s.log())
	}
}

func fetch(t *testing.T, url string) (int, string) {
	t.Helper()
	res, err := http.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return res.StatusCode, string(body)
}

// measure reads the metrics as Prometheus does.
func (s *served) measure(t *testing.T) map[string]*dto.MetricFamily {
	t.Helper()
	status, text := fetch(t, s.url+"/metrics")
	parser := expfmt.NewTextParser(model.UTF8Validation)
	all, err := parser.TextToMetricFamilies(strings.NewReader(text))
	if err != nil || status != http.StatusOK {
		t.Fatalf("%d, %v", status, err)
	}
	if m := all["lapse_facts_read_success"].GetMetric(); len(m) != 1 || m[0].GetGauge().GetValue() != 1 {
		t.Errorf("the store could not be read:\n%s", s.log())
	}
	return all
}

// TestServeNights runs real scans by a clock that runs fast: one scan is killed and made up for, and each night has one run.
// A bad edit of lapse.yaml is refused, and the nights go on.
func TestServeNights(t *testing.T) {
	if testing.Short() {
		t.Skip("real scans: internal/serve's own tests are the short ones")
	}
	t.Parallel()
	dir := t.TempDir()
	company(t, dir, 40)
	file := filepath.Join(dir, "lapse.yaml")
	good, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	good = append(good, "serve: {address: '127.0.0.1:0', retry_after: 1m, grace: 1m, overdue: 30d, after_scan: [notify, apply]}\n"...)
	write(t, file, string(good))
	var once sync.Once
	var mu sync.Mutex
	begun := 0
	// Exceptions are recorded at the time it is: the nights come after it.
	from := time.Now().UTC().Truncate(24 * time.Hour).Add(44 * time.Hour)
	// A day takes ten seconds: a scan takes one, or some on a busy machine.
	s := serveIn(t, dir, func(l map[string]any) {
		if l["msg"] != "a process begins" || l["step"] != "scan" {
			return
		}
		mu.Lock()
		begun++
		second := begun == 2
		mu.Unlock()
		if second {
			once.Do(func() { _ = syscall.Kill(int(l["pid"].(float64)), syscall.SIGKILL) })
		}
	}, "--at", from.Format(time.RFC3339), "--pace", "8640")
	s.await(t, "the first night", func() bool { return s.count("the run is done", "nightly") >= 1 })
	// What is measured opens the store in the service's process, which must not be in the way of the scans.
	lapse(t, dir, "except", "--policy", "LVR-01", "--source", "crm", "--subject", "ap7", "--reason", "kept", "--until", "30d", "--quiet")
	measured := s.measure(t)
	found, excepted := 0.0, 0.0
	for _, m := range measured["lapse_findings"].GetMetric() {
		found += m.GetGauge().GetValue()
		for _, l := range m.GetLabel() {
			if l.GetValue() == "excepted" {
				excepted += m.GetGauge().GetValue()
			}
		}
	}
	if found == 0 || excepted != 1 || len(measured["lapse_source_records"].GetMetric()) == 0 || measured["lapse_scan_duration_seconds"].GetMetric()[0].GetGauge().GetValue() <= 0 {
		t.Errorf("%v findings and %v accepted ones in the metrics: %v", found, excepted, measured)
	}
	write(t, file, "souces: []\n")
	if err := s.Process.Signal(syscall.SIGHUP); err != nil {
		t.Fatal(err)
	}
	s.await(t, "the refusal", func() bool {
		return s.count("the new configuration is refused, and the old one stays in force", "did you mean") == 1
	})
	s.await(t, "two nights", func() bool { return s.count("the run is done", "nightly") >= 2 })
	s.measure(t)
	write(t, file, string(good))
	if err := s.Process.Signal(syscall.SIGHUP); err != nil {
		t.Fatal(err)
	}
	s.await(t, "the new configuration", func() bool { return s.count("the new configuration is in force", "") == 1 })
	if status, body := fetch(t, s.url+"/readyz"); status != http.StatusOK {
		t.Errorf("ready: %d %s", status, body)
	}
	s.await(t, "three nights", func() bool { return s.count("the run is done", "nightly") >= 3 })
	if s.count("a step failed, and is tried again", "signal: killed") != 1 {
		t.Errorf("no scan was killed:\n%s", s.log())
	}
	s.stop(t)
	nights := map[string]bool{}
	for line := range strings.Lines(lapse(t, dir, "ledger", "export")) {
		var e struct {
			Kind    string
			Payload struct{ Time time.Time }
		}
		if err := json.Unmarshal([]byte(line), &e); err != nil {
			t.Fatal(err)
		}
		if e.Kind != "scan.completed" {
			continue
		}
		night := e.Payload.Time.Format(time.DateOnly)
		if nights[night] {
			t.Errorf("two runs on %s", night)
		}
		nights[night] = true
	}
	if len(nights) < 3 {
		t.Errorf("runs on %v", nights)
	}
}

// What `lapse init` writes about the service, once the comment's signs are taken away, is what it takes.
func TestServeSample(t *testing.T) {
	text, err := os.ReadFile("init.yaml")
	if err != nil {
		t.Fatal(err)
	}
	before, sample, ok := strings.Cut(string(text), "\n# serve:\n")
	if !ok {
		t.Fatal("there is no sample")
	}
	whole := before + "\nserve:\n"
	for line := range strings.Lines(sample) {
		whole += strings.TrimPrefix(line, "# ")
	}
	c, err := config.Parse("lapse.yaml", t.TempDir(), []byte(whole))
	if err != nil {
		t.Fatal(err)
	}
	if len(c.Serve.Webhooks) != 1 || len(c.Serve.AfterScan) != 2 {
		t.Errorf("%+v", c.Serve)
	}
}

// post sends a signed event, and returns the status.
func (s *served) post(t *testing.T, secret, body string) int {
	t.Helper()
	at := time.Now().Unix()
	mac := hmac.New(sha256.New, []byte(secret))
	fmt.Fprintf(mac, "%d.%s", at, body)
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, s.url+"/hr/workday", strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Lapse-Signature", fmt.Sprintf("t=%d,v1=%s", at, hex.EncodeToString(mac.Sum(nil))))
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	res.Body.Close()
	return res.StatusCode
}

// TestServeLeavers takes what an HR system says: a leaver gets one plan, whoever is unknown is kept until people are read
// anew, and what was acknowledged is carried out by the next process where this one is killed.
func TestServeLeavers(t *testing.T) {
	if testing.Short() {
		t.Skip("real scans: internal/serve's own tests are the short ones")
	}
	t.Parallel()
	dir := t.TempDir()
	company(t, dir, 20)
	file := filepath.Join(dir, "lapse.yaml")
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(dir, "secret"), "hr-s3cret\n")
	text = append(text, `serve:
  address: "127.0.0.1:0"
  schedule: never
  webhooks:
  - {name: workday, secret: "file:secret", roster: hr, id: .id, event: .type, leaver: [terminated], person: .worker}
  - {name: simple, bearer: "file:secret", id: .id, event: .type, leaver: [terminated], person: .worker}
`...)
	write(t, file, string(text))
	lapse(t, dir, "scan", "--quiet", "--no-report")
	s := serveIn(t, dir, nil)
	event := func(id, worker string) string {
		return fmt.Sprintf(`{"id":%q,"type":"terminated","worker":%q}`, id, worker)
	}
	if status := s.post(t, "guess", event("e-0", "p1")); status != http.StatusUnauthorized {
		t.Errorf("forged: %d", status)
	}
	for range 2 {
		if status := s.post(t, "hr-s3cret", event("e-1", "p1")); status != http.StatusAccepted && status != http.StatusConflict {
			t.Errorf("the event of p1: %d", status)
		}
	}
	if status := s.post(t, "hr-s3cret", event("e-2", "p99")); status != http.StatusAccepted {
		t.Errorf("the event of p99: %d", status)
	}
	// A name is no id: two people may have it.
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, s.url+"/hr/simple", strings.NewReader(event("e-4", "Person 3")))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer hr-s3cret")
	if res, err := http.DefaultClient.Do(req); err != nil || res.StatusCode != http.StatusAccepted {
		t.Fatalf("an event with a name: %+v, %v", res, err)
	}
	plans := func() []struct {
		Plan struct{ ID, Person, By string }
	} {
		var list []struct {
			Plan struct{ ID, Person, By string }
		}
		if err := json.Unmarshal([]byte(lapse(t, dir, "offboard", "list", "--format", "json")), &list); err != nil {
			t.Fatal(err)
		}
		return list
	}
	s.await(t, "what is unknown to be said", func() bool {
		return s.count("output", "HR says that somebody leaves who is not known") >= 2 && s.count("output", "an offboarding is planned") >= 1
	})
	if list := plans(); len(list) != 1 || list[0].Plan.Person != "hr:p1" {
		t.Errorf("%+v", list)
	}
	// Acknowledged, and the process ends at once.
	if status := s.post(t, "hr-s3cret", event("e-3", "p2")); status != http.StatusAccepted {
		t.Errorf("the event of p2: %d", status)
	}
	if err := s.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = s.Wait()
	if s.count("", "s3cret") > 0 {
		t.Error("the log has the secret")
	}
	people, err := os.ReadFile(filepath.Join(dir, "people.csv"))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "people.csv"), append(bytes.TrimRight(people, "\n"), "\np99,Person 99,active,2019-01-01,\n"...), 0o600); err != nil {
		t.Fatal(err)
	}
	accounts, err := os.ReadFile(filepath.Join(dir, "accounts.csv"))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "accounts.csv"), append(bytes.TrimRight(accounts, "\n"), "\nap99,up99,p99,true,2019-01-02,2026-09-01,human\n"...), 0o600); err != nil {
		t.Fatal(err)
	}
	lapse(t, dir, "scan", "--quiet", "--no-report")
	s = serveIn(t, dir, nil)
	s.await(t, "the offboardings of p2 and p99", func() bool { return s.count("output", "an offboarding is planned") == 2 })
	s.stop(t)
	persons := map[string]int{}
	for _, p := range plans() {
		persons[p.Plan.Person]++
		if p.Plan.By != "webhook:workday" {
			t.Errorf("made by %s", p.Plan.By)
		}
	}
	if persons["hr:p1"] != 1 || persons["hr:p2"] != 1 || persons["hr:p99"] != 1 {
		t.Errorf("plans for %v", persons)
	}
	ledger := lapse(t, dir, "ledger", "export")
	for kind, want := range map[string]int{"leaver.received": 4, "leaver.carried": 3} {
		if got := strings.Count(ledger, `"kind":"`+kind+`"`); got != want {
			t.Errorf("%d entries %s, want %d", got, kind, want)
		}
	}
	if strings.Contains(ledger, "s3cret") {
		t.Error("the ledger has the secret")
	}
	if out := lapse(t, dir, "ledger", "verify"); !strings.Contains(out, "whole") {
		t.Errorf("ledger: %s", out)
	}
}

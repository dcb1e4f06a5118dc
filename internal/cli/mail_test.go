package cli_test

import (
	"bufio"
	"crypto/tls"
	"encoding/pem"
	"fmt"
	"io"
	"log"
	"mime/quotedprintable"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/emersion/go-sasl"
	"github.com/emersion/go-smtp"
)

// A manager is asked by e-mail, over TLS and with a password, and answers by the links in it: once each, in the form behind
// them, while whoever has no part in it gets nothing. What is decided outlives the process that took it.
func TestAnswersByMail(t *testing.T) {
	t.Parallel()
	mx := newMailbox(t)
	w := newWorks(t, `
notify:
  quiet: never
  security: {email: security@example.com}
  email: {host: 127.0.0.1, port: `+fmt.Sprint(mx.port)+`, ca: ca.pem, user: lapse, password: file:smtp.txt, from: Lapse <lapse@example.com>}
  links: {url: https://lapse.example.com, keys: {k1: file:links.txt}}
policies: {rules: {LVR-01: {assignee: manager}}}
`)
	w.write("ca.pem", string(mx.ca))
	w.write("smtp.txt", "made-up password\n")
	w.write("links.txt", strings.Repeat("made-up key ", 4))
	company := func(left ...int) {
		var hr, erp strings.Builder
		hr.WriteString("id,name,email,status,start_at,end_at,manager_id\n")
		erp.WriteString("id,username,employee_id,enabled,kind\n")
		for i := range 40 {
			status, end := "active", ""
			for _, n := range left {
				if i == n {
					status, end = "ended", "2026-11-20"
				}
			}
			fmt.Fprintf(&hr, "p%d,Person %d,p%d@example.com,%s,2019-01-01,%s,p7\n", i, i, i, status, end)
			fmt.Fprintf(&erp, "a%d,user%d,p%d,yes,human\n", i, i, i)
		}
		w.write("hr.csv", hr.String())
		w.write("erp.csv", erp.String())
	}
	company()
	w.age("hr.csv", "2026-11-24T01:00:00Z")
	w.age("erp.csv", "2026-11-24T01:00:00Z")
	w.run(0, "scan", "--no-report", "--at", "2026-11-24T02:00:00Z")
	w.run(0, "notify", "start", "--at", "2026-11-24T09:00:00Z")
	company(3, 5, 6)
	w.run(0, "scan", "--no-report", "--at", w.now)
	if out := w.run(0, "notify", "send", "--at", w.now); !strings.Contains(out, "1 message sent.") {
		t.Fatal(out)
	}
	letter := mx.only(t, "p7@example.com")
	link := func(user, answer string) string {
		t.Helper()
		_, rest, _ := strings.Cut(letter, "About "+user+" ")
		found := regexp.MustCompile(`  ` + answer + `: https://lapse\.example\.com(/answer/\S+)`).FindStringSubmatch(rest)
		if found == nil {
			t.Fatalf("no link to %s %s in\n%s", answer, user, letter)
		}
		return found[1]
	}

	base, stop, logged := w.listen()
	ask := func(method, path string, form url.Values, code int, want string) {
		t.Helper()
		req, err := http.NewRequestWithContext(t.Context(), method, base+path, strings.NewReader(form.Encode()))
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		res, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer res.Body.Close()
		body, err := io.ReadAll(res.Body)
		if err != nil || res.StatusCode != code || !strings.Contains(string(body), want) {
			t.Errorf("%s %s: %s, %v, without %q:\n%s", method, path[:20], res.Status, err, want, body)
		}
	}
	keep := url.Values{"reason": {"hands over until new year"}, "until": {"2026-12-31"}}
	ask("GET", link("user3", "Keep"), nil, 200, "Keep this access?")
	ask("POST", link("user3", "Keep"), url.Values{"reason": {"x"}, "until": {"2030-01-01"}}, 409, "it can be kept until 2027-11-26 at the latest")
	ask("POST", link("user3", "Keep"), keep, 200, "accepts it until 2027-01-01")
	ask("POST", link("user3", "Keep"), url.Values{"reason": {"another"}, "until": {"2026-12-01"}}, 200, "accepts it until 2027-01-01")
	ask("GET", link("user3", "Keep"), nil, 200, "This link was used")
	ask("GET", link("user3", "Revoke"), nil, 410, "it is kept")
	ask("POST", link("user3", "Revoke"), nil, 410, "it is kept")
	ask("GET", link("user5", "Revoke")+"x", nil, 403, "not valid")
	ask("POST", link("user5", "Revoke"), nil, 200, "an approver has to approve the plan")
	ask("POST", link("user6", "Not mine"), url.Values{"to": {"p8@example.com"}}, 200, "hr:p8 is asked")
	ask("GET", link("user6", "Later"), nil, 410, "it was passed on, and somebody else is to be asked")
	theirs := link("user6", "Later")
	stop()
	if text := logged(); strings.Contains(text, link("user3", "Keep")[8:]) || strings.Contains(text, "made-up") {
		t.Errorf("logged: %s", text)
	}

	// Another process knows what was decided, and whoever it was handed to is asked.
	base, stop, _ = w.listen()
	ask("GET", link("user3", "Keep"), nil, 200, "This link was used")
	ask("POST", link("user6", "Not mine"), url.Values{"to": {"p9@example.com"}}, 200, "hr:p8 is asked")
	stop()
	if out := w.run(0, "except", "list", "--at", w.now); strings.Count(out, "hands over until new year") != 1 || strings.Contains(out, "another") {
		t.Errorf("%s", out)
	}
	if out := w.run(0, "notify", "send", "--at", w.now); !strings.Contains(out, "1 message sent") {
		t.Error(out)
	}
	if letter = mx.only(t, "p8@example.com"); !strings.Contains(letter, "passed on by Person 7") {
		t.Errorf("%s", letter)
	}
	base, stop, _ = w.listen()
	ask("GET", theirs, nil, 410, "it is not yours to answer any more")
	ask("GET", link("user6", "Later"), nil, 200, "Decide later?")
	stop()
	// The finding is gone, and its link says so.
	company(3, 5)
	w.age("hr.csv", "2026-11-26T01:00:00Z")
	w.age("erp.csv", "2026-11-26T01:00:00Z")
	w.run(0, "scan", "--no-report", "--at", "2026-11-26T02:00:00Z")
	base, stop, _ = w.listen()
	ask("GET", link("user6", "Keep"), nil, 410, "not open any more")
	ask("POST", link("user6", "Keep"), keep, 410, "not open any more")
	stop()
	w.run(0, "ledger", "verify")
	if out := w.run(0, "ledger", "export"); strings.Count(out, `"answer.given"`) != 3 {
		t.Errorf("%d answers are in the ledger", strings.Count(out, `"answer.given"`))
	}
	if mx.naked != 0 {
		t.Errorf("%d letters came without a password", mx.naked)
	}
}

// listen takes answers in a process of its own until stop is called.
func (w *works) listen() (base string, stop func(), logged func() string) {
	w.t.Helper()
	cmd := w.command("notify", "listen", "--http", "127.0.0.1:0", "--at", w.now)
	errs, err := cmd.StderrPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		w.t.Fatal(err)
	}
	var mu sync.Mutex
	var all strings.Builder
	at := make(chan string, 1)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for lines := bufio.NewScanner(errs); lines.Scan(); {
			mu.Lock()
			all.WriteString(lines.Text() + "\n")
			mu.Unlock()
			if found := regexp.MustCompile(`taking answers.* at=(http://\S+)`).FindStringSubmatch(lines.Text()); found != nil {
				at <- found[1]
			}
		}
	}()
	logged = func() string {
		mu.Lock()
		defer mu.Unlock()
		return all.String()
	}
	select {
	case base = <-at:
	case <-ended:
		w.t.Fatalf("it doesn't listen: %v\n%s", cmd.Wait(), logged())
	case <-time.After(time.Minute):
		w.t.Fatalf("it doesn't listen:\n%s", logged())
	}
	return base, func() {
		w.t.Helper()
		_ = cmd.Process.Signal(os.Interrupt)
		<-ended
		if err := cmd.Wait(); err != nil {
			w.t.Errorf("it ends with %v:\n%s", err, logged())
		}
	}, logged
}

// mailbox is an SMTP server that keeps what it gets.
type mailbox struct {
	port int
	ca   []byte

	mu    sync.Mutex
	got   map[string][]string // the text of letters, by recipient
	naked int
}

func newMailbox(t *testing.T) *mailbox {
	certified := httptest.NewTLSServer(nil)
	t.Cleanup(certified.Close)
	m := &mailbox{got: map[string][]string{}, ca: pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: certified.Certificate().Raw})}
	srv := smtp.NewServer(smtp.BackendFunc(func(*smtp.Conn) (smtp.Session, error) { return &mailSession{m: m}, nil }))
	srv.TLSConfig, srv.ErrorLog = &tls.Config{Certificates: certified.TLS.Certificates}, log.New(io.Discard, "", 0)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	m.port = l.Addr().(*net.TCPAddr).Port
	go func() { _ = srv.Serve(l) }()
	t.Cleanup(func() { _ = srv.Close() })
	return m
}

// only is the one letter to somebody.
func (m *mailbox) only(t *testing.T, to string) string {
	t.Helper()
	m.mu.Lock()
	defer m.mu.Unlock()
	if len(m.got[to]) != 1 {
		t.Fatalf("%d letters to %s", len(m.got[to]), to)
	}
	return m.got[to][0]
}

type mailSession struct {
	m  *mailbox
	in bool
	to string
}

func (s *mailSession) AuthMechanisms() []string { return []string{sasl.Plain} }

func (s *mailSession) Auth(string) (sasl.Server, error) {
	return sasl.NewPlainServer(func(_, user, password string) error {
		if s.in = user == "lapse" && password == "made-up password"; !s.in {
			return smtp.ErrAuthFailed
		}
		return nil
	}), nil
}

func (s *mailSession) Reset() {}

func (s *mailSession) Logout() error { return nil }

func (s *mailSession) Mail(string, *smtp.MailOptions) error { return nil }

func (s *mailSession) Rcpt(to string, _ *smtp.RcptOptions) error {
	s.to = to
	return nil
}

func (s *mailSession) Data(r io.Reader) error {
	text, err := io.ReadAll(quotedprintable.NewReader(r))
	if err != nil {
		return err
	}
	s.m.mu.Lock()
	defer s.m.mu.Unlock()
	if !s.in {
		s.m.naked++
	}
	s.m.got[s.to] = append(s.m.got[s.to], string(text))
	return nil
}

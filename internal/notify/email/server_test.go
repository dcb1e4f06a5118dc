package email_test

import (
	"crypto/tls"
	"encoding/pem"
	"errors"
	"io"
	"log"
	"mime"
	"mime/multipart"
	"mime/quotedprintable"
	"net"
	"net/http/httptest"
	"net/mail"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/emersion/go-sasl"
	"github.com/emersion/go-smtp"
	"go.yaml.in/yaml/v3"

	"github.com/lapse-audit/lapse/internal/collect"
	"github.com/lapse-audit/lapse/internal/notify/email"
	"github.com/lapse-audit/lapse/internal/notify/link"
)

const (
	user     = "lapse"
	password = "pässword-made-up-for-tests"
)

// server is an SMTP server in this process, with the troubles that a test gives it.
type server struct {
	t    *testing.T
	port int
	ca   []byte
	open bool

	mu       sync.Mutex
	letters  []letter
	attempts int // to hand over a letter
	logins   int
	closing  bool // the connection ends after a letter was taken, and before that is said
	begin    error
	from     error
	rcpt     error
	data     []error // of the letters in turn
	login    error
}

// letter is what arrived.
type letter struct {
	to     string
	header mail.Header
	text   string
	html   string
	size   int
}

type serverOptions struct {
	implicit bool
	plain    bool // no STARTTLS
	open     bool // to whoever comes
}

func newServer(t *testing.T, o serverOptions) *server {
	certified := httptest.NewTLSServer(nil)
	t.Cleanup(certified.Close)
	s := &server{t: t, open: o.open, ca: pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: certified.Certificate().Raw})}
	srv := smtp.NewServer(s)
	srv.Domain, srv.ReadTimeout, srv.WriteTimeout, srv.MaxMessageBytes = "mx.example.com", 20*time.Second, 20*time.Second, 10<<20
	srv.ErrorLog = log.New(io.Discard, "", 0)
	settings := &tls.Config{Certificates: certified.TLS.Certificates}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s.port = l.Addr().(*net.TCPAddr).Port
	switch {
	case o.implicit:
		l = tls.NewListener(l, settings)
	case o.plain:
		srv.AllowInsecureAuth = true
	default:
		srv.TLSConfig = settings
	}
	go func() { _ = srv.Serve(l) }()
	t.Cleanup(func() { _ = srv.Close() })
	return s
}

func (s *server) config() email.Config {
	return email.Config{Host: "127.0.0.1", Port: s.port, User: user, Password: secret(s.t, "env:SMTP_PASSWORD"), From: "Lapse <lapse@example.com>", ReplyTo: "security@example.com"}
}

func (s *server) channel(links *link.Links) *email.Channel {
	ch, err := email.New(s.config(), email.Options{Password: password, CA: s.ca, Links: links})
	if err != nil {
		s.t.Fatal(err)
	}
	return ch
}

func (s *server) got() []letter {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]letter(nil), s.letters...)
}

// distinct are the letters as a mailbox has them that knows a Message-ID again.
func (s *server) distinct() []letter {
	var out []letter
	seen := map[string]bool{}
	for _, l := range s.got() {
		if id := l.header.Get("Message-ID"); !seen[id] {
			seen[id] = true
			out = append(out, l)
		}
	}
	return out
}

func secret(t testing.TB, ref string) collect.Secret {
	t.Helper()
	var s collect.Secret
	if err := yaml.Unmarshal([]byte(ref), &s); err != nil {
		t.Fatal(err)
	}
	return s
}

// NewSession implements smtp.Backend.
func (s *server) NewSession(c *smtp.Conn) (smtp.Session, error) {
	return &session{s: s, c: c}, s.begin
}

type session struct {
	s  *server
	c  *smtp.Conn
	in bool
	to string
}

func (x *session) AuthMechanisms() []string { return []string{sasl.Plain} }

func (x *session) Auth(string) (sasl.Server, error) {
	return sasl.NewPlainServer(func(_, name, given string) error {
		x.s.mu.Lock()
		defer x.s.mu.Unlock()
		x.s.logins++
		if x.s.login != nil {
			return x.s.login
		}
		if name != user || given != password {
			return smtp.ErrAuthFailed
		}
		x.in = true
		return nil
	}), nil
}

func (x *session) Reset() { x.to = "" }

func (x *session) Logout() error { return nil }

func (x *session) Mail(string, *smtp.MailOptions) error {
	if !x.in && !x.s.open {
		return smtp.ErrAuthRequired
	}
	return x.s.from
}

func (x *session) Rcpt(to string, _ *smtp.RcptOptions) error {
	if errors.Is(x.s.rcpt, net.ErrClosed) {
		_ = x.c.Conn().Close()
	}
	x.to = to
	return x.s.rcpt
}

func (x *session) Data(r io.Reader) error {
	body, err := io.ReadAll(r)
	if err != nil {
		return err
	}
	x.s.mu.Lock()
	defer x.s.mu.Unlock()
	n := x.s.attempts
	x.s.attempts++
	if n < len(x.s.data) && x.s.data[n] != nil {
		return x.s.data[n]
	}
	x.s.letters = append(x.s.letters, parse(x.s.t, x.to, string(body)))
	if x.s.closing {
		_ = x.c.Conn().Close()
	}
	return nil
}

// parse reads a letter as a mail program does.
func parse(t *testing.T, to, raw string) letter {
	m, err := mail.ReadMessage(strings.NewReader(raw))
	if err != nil {
		t.Errorf("what arrived is no mail: %v", err)
		return letter{}
	}
	out := letter{to: to, header: m.Header, size: len(raw)}
	kind, params, err := mime.ParseMediaType(m.Header.Get("Content-Type"))
	if err != nil || kind != "multipart/alternative" {
		t.Errorf("it is %q, %v", kind, err)
		return out
	}
	parts := multipart.NewReader(m.Body, params["boundary"])
	for {
		p, err := parts.NextRawPart()
		if err != nil {
			return out
		}
		body, err := io.ReadAll(quotedprintable.NewReader(p))
		if err != nil || p.Header.Get("Content-Transfer-Encoding") != "quoted-printable" {
			t.Errorf("a part can't be read: %v, %v", err, p.Header)
		}
		switch kind, _, _ := mime.ParseMediaType(p.Header.Get("Content-Type")); kind {
		case "text/plain":
			out.text = string(body)
		case "text/html":
			out.html = string(body)
		}
	}
}

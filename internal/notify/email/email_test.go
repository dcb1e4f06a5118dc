package email_test

import (
	"context"
	"errors"
	"fmt"
	"mime"
	"net"
	"net/mail"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/emersion/go-smtp"

	"github.com/lapse-audit/lapse/internal/collect"
	"github.com/lapse-audit/lapse/internal/notify"
	"github.com/lapse-audit/lapse/internal/notify/email"
	"github.com/lapse-audit/lapse/internal/notify/link"
	"github.com/lapse-audit/lapse/internal/notify/notifytest"
)

var noon = time.Date(2026, 11, 3, 12, 0, 0, 0, time.UTC)

func testLinks(t testing.TB) *link.Links {
	t.Helper()
	l, err := link.New(link.Config{URL: "https://lapse.example.com", Keys: map[string]collect.Secret{"k1": secret(t, "env:LINKS")}},
		map[string]string{"k1": strings.Repeat("0123456789abcdef", 2)}, func() time.Time { return noon })
	if err != nil {
		t.Fatal(err)
	}
	return l
}

var keyOf = regexp.MustCompile(`^<lapse\.(.*)\.\d+@example\.com>$`)

func TestContract(t *testing.T) {
	s := newServer(t, serverOptions{})
	notifytest.Run(t, notifytest.Suite{Channel: s.channel(testLinks(t)), Blind: true, Addressed: true, Received: func(t *testing.T) (out []notifytest.Delivery) {
		for _, l := range s.distinct() {
			key := keyOf.FindStringSubmatch(l.header.Get("Message-ID"))
			if key == nil {
				t.Fatalf("Message-ID: %q", l.header.Get("Message-ID"))
			}
			out = append(out, notifytest.Delivery{Key: key[1], Text: l.html})
		}
		return out
	}})
	person := regexp.MustCompile(`person\d+x`)
	for _, l := range s.got() {
		if len(l.html) > 102_000 {
			t.Errorf("%s: %d bytes of HTML: Gmail clips it", l.header.Get("Subject"), len(l.html))
		}
		if !slices.Equal(person.FindAllString(l.text, -1), person.FindAllString(l.html, -1)) || !strings.Contains(l.text, "left 7 days ago") || strings.ContainsAny(l.text, "\x1b\u202e") {
			t.Errorf("%s: the text says something else than the HTML", l.header.Get("Subject"))
		}
	}
}

func TestImplicitTLS(t *testing.T) {
	s := newServer(t, serverOptions{implicit: true})
	c := s.config()
	c.TLS = "implicit"
	ch, err := email.New(c, email.Options{Password: password, CA: s.ca})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := ch.Send(t.Context(), notifytest.Message("k")); err != nil {
		t.Fatal(err)
	}
	if got := s.got(); len(got) != 1 || got[0].to != "mia@example.com" || strings.Contains(got[0].html, "<a href") || !strings.Contains(got[0].text, "write back") {
		t.Errorf("arrived: %+v", got)
	}
}

func TestHeaders(t *testing.T) {
	s := newServer(t, serverOptions{})
	m := notifytest.Message("abc")
	m.To.Name = "Mia \"<evil@example.org>\"\r\nBcc: evil@example.org\u202e Möör"
	if _, err := s.channel(testLinks(t)).Send(t.Context(), m); err != nil {
		t.Fatal(err)
	}
	m.Kind, m.Key, m.Earlier = notify.Reminder, "def", []string{"abc", "abb", "abc"}
	if _, err := s.channel(testLinks(t)).Send(t.Context(), m); err != nil {
		t.Fatal(err)
	}
	got := s.got()
	if len(got) != 2 {
		t.Fatalf("%d letters", len(got))
	}
	for name, want := range map[string]string{
		"Message-ID": "<lapse.abc.1@example.com>", "Auto-Submitted": "auto-generated", "List-Id": "Lapse <lapse.example.com>", "Reply-To": "<security@example.com>",
		"Subject": "Lapse: Access waits for your decision (1 item)", "Bcc": "", "In-Reply-To": "", "From": `"Lapse" <lapse@example.com>`,
	} {
		if h := got[0].header.Get(name); h != want {
			t.Errorf("%s: %q, want %q", name, h, want)
		}
	}
	to, err := mail.ParseAddressList(got[0].header.Get("To"))
	if err != nil || len(to) != 1 || to[0].Address != "mia@example.com" || to[0].Name != "Mia evilexample.org Bcc evilexample.org Möör" {
		t.Errorf("To: %q, %+v, %v", got[0].header.Get("To"), to, err)
	}
	if h := got[1].header; h.Get("In-Reply-To") != "<lapse.abb.1@example.com>" || h.Get("References") != "<lapse.abb.1@example.com> <lapse.abc.1@example.com>" || !strings.Contains(h.Get("Subject"), "Reminder") {
		t.Errorf("a reminder: %v", h)
	}
}

// Names that try to be markup, a header or another direction stand in the letter as what they are.
func TestHostileText(t *testing.T) {
	m := notifytest.Message("k")
	f := &m.Items[0].Finding
	f.Title, f.SourceName = `</title><script>alert(1)</script>`, "CRM\r\nSubject: x <img src=http://evil.example>"
	f.PersonName, f.Name = "\u05d0\u05d1\u05d2 <b>", `"><a href="http://evil.example">click</a> *x* _y_ ~z~`
	m.Items[0].Why, m.Items[0].Otherwise = "<i>manager", "<u>asked"
	parts, err := email.Render(m, testLinks(t))
	if err != nil || len(parts) != 1 {
		t.Fatal(len(parts), err)
	}
	for _, bad := range []string{"<script", "<b>", "<img", `<a href="http://evil`, "<i>", "<u>", "\u202e", "\x1b"} {
		if strings.Contains(parts[0].HTML, bad) {
			t.Errorf("%q is in the HTML", bad)
		}
	}
	for _, want := range []string{"\u2068\u05d0\u05d1\u05d2 &lt;b&gt;\u2069", "*x* _y_ ~z~", "https://lapse.example.com/answer/"} {
		if !strings.Contains(parts[0].HTML, want) {
			t.Errorf("%q is not in the HTML", want)
		}
	}
	for _, outside := range regexp.MustCompile(`(?i)(?:src|href|background|action)\s*=\s*"([^"]*)"`).FindAllStringSubmatch(parts[0].HTML, -1) {
		if !strings.HasPrefix(outside[1], "https://lapse.example.com/answer/") {
			t.Errorf("it loads or leads to %q", outside[1])
		}
	}
	if strings.Contains(parts[0].Text, "\nSubject") {
		t.Errorf("a name begins a line: %q", parts[0].Text)
	}
}

// What is too long for one letter goes on in the next, and only its last piece can be answered.
func TestLongItem(t *testing.T) {
	m := notifytest.Message("k")
	m.Items[0].Finding.Message = strings.Repeat("wörd ", 40_000) + "end"
	parts, err := email.Render(m, testLinks(t))
	if err != nil || len(parts) < 3 {
		t.Fatal(len(parts), err)
	}
	words, buttons := 0, 0
	for _, p := range parts {
		words += strings.Count(p.HTML, "wörd")
		buttons += strings.Count(p.HTML, "<a href")
		if len(p.HTML) > 102_000 {
			t.Errorf("part %d has %d bytes", p.Part, len(p.HTML))
		}
	}
	// A word may be parted in two.
	if words < 40_000-len(parts) || buttons != 2 {
		t.Errorf("%d words, %d buttons", words, buttons)
	}
}

func smtpError(code int, status smtp.EnhancedCode, text string) error {
	return &smtp.SMTPError{Code: code, EnhancedCode: status, Message: text}
}

func TestFaults(t *testing.T) {
	none := smtp.NoEnhancedCode
	for _, c := range []struct {
		name               string
		meddle             func(*server, *email.Config, *email.Options)
		unreachable, retry bool
		unsure             bool
		text               string
		arrived            int
	}{
		{name: "no such mailbox", meddle: func(s *server, _ *email.Config, _ *email.Options) {
			s.rcpt = smtpError(550, smtp.EnhancedCode{5, 1, 1}, "no such user")
		}, unreachable: true, text: "550"},
		{name: "no such mailbox, says an old server", meddle: func(s *server, _ *email.Config, _ *email.Options) { s.rcpt = smtpError(550, none, "no such user") }, unreachable: true, text: "no such user"},
		{name: "no such mailbox, said at the end", meddle: func(s *server, _ *email.Config, _ *email.Options) {
			s.data = []error{smtpError(550, smtp.EnhancedCode{5, 1, 10}, "recipient not found")}
		}, unreachable: true},
		{name: "no relaying", meddle: func(s *server, _ *email.Config, _ *email.Options) {
			s.rcpt = smtpError(554, smtp.EnhancedCode{5, 7, 1}, "Relay access denied")
		}, text: "Relay access denied"},
		{name: "a sender who may not", meddle: func(s *server, _ *email.Config, _ *email.Options) {
			s.from = smtpError(550, smtp.EnhancedCode{5, 7, 60}, "client may not send as this sender")
		}, text: "may not send"},
		{name: "taken for spam", meddle: func(s *server, _ *email.Config, _ *email.Options) {
			s.data = []error{smtpError(554, smtp.EnhancedCode{5, 7, 1}, "spam")}
		}, text: "spam"},
		{name: "greylisted", meddle: func(s *server, _ *email.Config, _ *email.Options) {
			s.rcpt = smtpError(451, smtp.EnhancedCode{4, 7, 1}, "come again")
		}, retry: true},
		{name: "full", meddle: func(s *server, _ *email.Config, _ *email.Options) {
			s.data = []error{smtpError(452, smtp.EnhancedCode{4, 2, 2}, "mailbox full")}
		}, retry: true},
		{name: "busy", meddle: func(s *server, _ *email.Config, _ *email.Options) {
			s.begin = smtpError(421, smtp.EnhancedCode{4, 3, 2}, "too many connections")
		}, retry: true},
		{name: "the answer is lost", meddle: func(s *server, _ *email.Config, _ *email.Options) { s.closing = true }, unsure: true, arrived: 1},
		{name: "the connection ends before anything was sent", meddle: func(s *server, _ *email.Config, _ *email.Options) { s.rcpt = net.ErrClosed }},
		{name: "a wrong password", meddle: func(_ *server, _ *email.Config, o *email.Options) { o.Password = "another password" }, text: "notify.email.user and password"},
		{name: "a server that repeats what it was sent", meddle: func(s *server, _ *email.Config, _ *email.Options) {
			s.login = smtpError(535, smtp.EnhancedCode{5, 7, 8}, "not "+password)
		}, text: "<secret>"},
		{name: "an unknown certificate", meddle: func(_ *server, _ *email.Config, o *email.Options) { o.CA = nil }, text: "notify.email.ca"},
		{name: "nobody there", meddle: func(_ *server, c *email.Config, _ *email.Options) { c.Port = 1 }, text: "no connection to 127.0.0.1:1"},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := newServer(t, serverOptions{})
			config, o := s.config(), email.Options{Password: password, CA: s.ca}
			c.meddle(s, &config, &o)
			ch, err := email.New(config, o)
			if err != nil {
				t.Fatal(err)
			}
			_, err = ch.Send(t.Context(), notifytest.Message("k"))
			var retry *notify.RetryError
			if err == nil || errors.Is(err, notify.ErrUnreachable) != c.unreachable || errors.As(err, &retry) != c.retry || errors.Is(err, notify.ErrUnsure) != c.unsure || !strings.Contains(err.Error(), c.text) {
				t.Errorf("%v; unreachable %v, retry %v, unsure %v", err, errors.Is(err, notify.ErrUnreachable), retry != nil, errors.Is(err, notify.ErrUnsure))
			}
			if err != nil && (strings.Contains(err.Error(), password) || strings.Contains(err.Error(), "another password")) {
				t.Errorf("the password is in %v", err)
			}
			if got := len(s.got()); got != c.arrived {
				t.Errorf("%d arrived", got)
			}
		})
	}
}

// Where a server offers no encryption nothing is said to it, and no password sent.
func TestNoEncryption(t *testing.T) {
	for _, user := range []string{user, ""} {
		s := newServer(t, serverOptions{plain: true, open: true})
		c := s.config()
		if c.User = user; user == "" {
			c.Password = collect.Secret{}
		}
		ch, err := email.New(c, email.Options{Password: password, CA: s.ca})
		if err != nil {
			t.Fatal(err)
		}
		_, err = ch.Send(t.Context(), notifytest.Message("k"))
		if err == nil || errors.Is(err, notify.ErrUnreachable) || s.logins != 0 || len(s.got()) != 0 {
			t.Errorf("user %q: %v, %d logins, %d letters", user, err, s.logins, len(s.got()))
		}
	}
}

// A server on this machine may be written to in the clear, and without a password.
func TestThisMachine(t *testing.T) {
	s := newServer(t, serverOptions{plain: true, open: true})
	ch, err := email.New(email.Config{Host: "127.0.0.1", Port: s.port, TLS: "none", From: "lapse@example.com"}, email.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := ch.Send(t.Context(), notifytest.Message("k")); err != nil || len(s.got()) != 1 || s.logins != 0 {
		t.Errorf("%v, %d letters, %d logins", err, len(s.got()), s.logins)
	}
}

// Of a message in several letters, those that were taken are not sent again where another was not.
func TestSendIsResumed(t *testing.T) {
	s := newServer(t, serverOptions{})
	s.data = []error{nil, smtpError(451, smtp.EnhancedCode{4, 3, 0}, "later")}
	ch, m := s.channel(testLinks(t)), notifytest.Large("k", 100)
	parts, err := email.Render(m, testLinks(t))
	if err != nil || len(parts) < 2 {
		t.Fatal(len(parts), err)
	}
	var retry *notify.RetryError
	if _, err := ch.Send(t.Context(), m); !errors.As(err, &retry) {
		t.Fatal(err)
	}
	r, err := ch.Send(t.Context(), m)
	if err != nil || len(r.IDs) != len(parts) || len(s.got()) != len(parts) || len(s.distinct()) != len(parts) {
		t.Errorf("%v: %d ids, %d letters, %d distinct; want %d", err, len(r.IDs), len(s.got()), len(s.distinct()), len(parts))
	}
	for i, l := range s.got() {
		if subject, err := new(mime.WordDecoder).DecodeHeader(l.header.Get("Subject")); err != nil || !strings.HasSuffix(subject, fmt.Sprintf("(100 items), part %d of %d", i+1, len(parts))) {
			t.Errorf("subject %q, %v", subject, err)
		}
	}
}

func TestCancelled(t *testing.T) {
	s := newServer(t, serverOptions{})
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := s.channel(nil).Send(ctx, notifytest.Message("k")); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}

func TestConfig(t *testing.T) {
	good := email.Config{Host: "smtp.example.com", From: "Lapse <lapse@example.com>", User: "u", Password: secret(t, "env:P")}
	if err := good.Validate(); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		want   string
		meddle func(*email.Config)
	}{
		{"host is missing", func(c *email.Config) { c.Host = "" }},
		{"the port stands in port", func(c *email.Config) { c.Host = "smtp.example.com:25" }},
		{"no port", func(c *email.Config) { c.Port = 70000 }},
		{"want starttls, implicit", func(c *email.Config) { c.TLS = "yes" }},
		{"only a server on this machine", func(c *email.Config) { c.TLS = "none" }},
		{"no password is sent in the clear", func(c *email.Config) { c.TLS, c.Host = "none", "127.0.0.1" }},
		{"password is missing", func(c *email.Config) { c.Password = collect.Secret{} }},
		{"user is missing", func(c *email.Config) { c.User = "" }},
		{"from is missing", func(c *email.Config) { c.From = "" }},
		{"is no address", func(c *email.Config) { c.From = "lapse" }},
		{"reply_to", func(c *email.Config) { c.ReplyTo = "a\r\nb@example.com" }},
	} {
		bad := good
		c.meddle(&bad)
		if err := bad.Validate(); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%v, want %q", err, c.want)
		}
	}
}

// An address of IPv6 has colons of its own.
func TestIPv6(t *testing.T) {
	l, err := net.Listen("tcp", "[::1]:0")
	if err != nil {
		t.Skip("no IPv6 on this machine")
	}
	port := l.Addr().(*net.TCPAddr).Port
	l.Close()
	ch, err := email.New(email.Config{Host: "::1", Port: port, TLS: "none", From: "lapse@example.com"}, email.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := ch.Send(t.Context(), notifytest.Message("k")); err == nil || !strings.Contains(err.Error(), "connection refused") {
		t.Errorf("%v, want that nobody is there", err)
	}
}

// A digest of ten items, as 10,000 people get one.
func BenchmarkRender(b *testing.B) {
	m := notifytest.Large("k", 10)
	links := testLinks(b)
	for b.Loop() {
		if _, err := email.Render(m, links); err != nil {
			b.Fatal(err)
		}
	}
}

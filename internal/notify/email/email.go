package email

import (
	"context"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net/mail"
	"slices"
	"strings"
	"sync"
	"time"

	gomail "github.com/wneessen/go-mail"

	"github.com/lapse-audit/lapse/internal/finding"
	"github.com/lapse-audit/lapse/internal/notify"
	"github.com/lapse-audit/lapse/internal/notify/link"
)

// Name is that of the channel, in receipts and decisions.
const Name = "email"

// timeout is for connecting, and again for each message.
const timeout = 30 * time.Second

// Options are what a Channel may be told beside Config.
type Options struct {
	Password string
	CA       []byte           // PEM, beside the system's; nil for none
	Links    *link.Links      // that answers come back by; nil: people are told to write
	Now      func() time.Time // by default time.Now
}

// Channel reaches people by e-mail. It is safe for use by several goroutines.
type Channel struct {
	config   Config
	from     *mail.Address
	replyTo  *mail.Address
	password string
	tls      *tls.Config
	links    *link.Links
	now      func() time.Time

	mu   sync.Mutex
	done map[[32]byte]bool // parts of messages of which another could not be sent yet
}

var _ notify.Channel = (*Channel)(nil)

// New makes a channel. The server is not tried yet.
func New(c Config, o Options) (*Channel, error) {
	if err := c.Validate(); err != nil {
		return nil, fmt.Errorf("notify.email: %w", err)
	}
	from, err := mail.ParseAddress(c.From)
	if err != nil {
		return nil, fmt.Errorf("notify.email.from: %w", err)
	}
	ch := &Channel{config: c, from: from, password: o.Password, links: o.Links, now: o.Now, done: map[[32]byte]bool{},
		tls: &tls.Config{ServerName: c.Host, MinVersion: tls.VersionTLS12}}
	if c.ReplyTo != "" {
		if ch.replyTo, err = mail.ParseAddress(c.ReplyTo); err != nil {
			return nil, fmt.Errorf("notify.email.reply_to: %w", err)
		}
	}
	if ch.now == nil {
		ch.now = time.Now
	}
	if o.CA != nil {
		pool, err := x509.SystemCertPool()
		if err != nil {
			pool = x509.NewCertPool()
		}
		if !pool.AppendCertsFromPEM(o.CA) {
			return nil, errors.New("notify.email.ca: there is no certificate in it: want a PEM file")
		}
		ch.tls.RootCAs = pool
	}
	return ch, nil
}

// Name is email.
func (c *Channel) Name() string { return Name }

// Send writes a message, in as many letters as it needs, over one connection. Letters that went out before another failed are
// not written again by this process; written by another they have the same Message-ID, by which most mailboxes know them.
func (c *Channel) Send(ctx context.Context, m notify.Message) (notify.Receipt, error) {
	to, err := address(m.To)
	if err != nil {
		return notify.Receipt{}, err
	}
	letters, err := c.letters(m, to)
	if err != nil {
		return notify.Receipt{}, err
	}
	r := notify.Receipt{Channel: Name, Place: to.Address}
	var left []letter
	for _, l := range letters {
		r.IDs = append(r.IDs, l.id)
		if !c.sent(l) {
			left = append(left, l)
		}
	}
	if err := c.write(ctx, left); err != nil {
		return notify.Receipt{}, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, l := range letters {
		delete(c.done, l.sum())
	}
	return r, nil
}

func (c *Channel) sent(l letter) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.done[l.sum()]
}

// address is where a recipient is written to. Nothing of what the rosters say gets into a header in another way.
func address(r notify.Recipient) (*mail.Address, error) {
	who := r.ID()
	if strings.TrimSpace(r.Email) == "" {
		return nil, fmt.Errorf("email: %s has no address: %w", who, notify.ErrUnreachable)
	}
	a, err := mail.ParseAddress("<" + strings.TrimSpace(r.Email) + ">")
	if err != nil || strings.ContainsAny(a.Address, "\r\n\x00") {
		return nil, fmt.Errorf("email: the address of %s can't be written to: %q: %w", who, r.Email, notify.ErrUnreachable)
	}
	a.Name = plainName(r.Name)
	return a, nil
}

// Find says false: a mailbox can't be asked.
func (c *Channel) Find(context.Context, notify.Message) (notify.Receipt, bool, error) {
	return notify.Receipt{}, false, nil
}

// Update does nothing: what was written stays written. The page behind a link says how its item stands.
func (c *Channel) Update(context.Context, notify.Receipt, notify.Message) error { return nil }

// write sends letters over one connection.
func (c *Channel) write(ctx context.Context, letters []letter) error {
	if len(letters) == 0 {
		return nil
	}
	client, err := c.client()
	if err != nil {
		return fmt.Errorf("email: %w", err)
	}
	if err := client.DialWithContext(ctx); err != nil {
		return c.connectFault(ctx, err)
	}
	// A server that doesn't take its leave has taken the letters all the same.
	defer func() { _ = client.Close() }()
	for _, l := range letters {
		if err := ctx.Err(); err != nil {
			return fmt.Errorf("email: %w", err)
		}
		// What follows the acknowledgement, such as a connection that ends, is nothing that the letter has to wait for.
		if err := client.Send(l.msg); err != nil && !l.msg.IsDelivered() {
			return c.sendFault(err)
		}
		c.mu.Lock()
		c.done[l.sum()] = true
		c.mu.Unlock()
	}
	return nil
}

func (c *Channel) client() (*gomail.Client, error) {
	o := []gomail.Option{gomail.WithPort(c.config.port()), gomail.WithTimeout(timeout), gomail.WithTLSConfig(c.tls), gomail.WithoutNoop()}
	switch c.config.TLS {
	case tlsImplicit:
		o = append(o, gomail.WithSSL())
	case tlsNone:
		o = append(o, gomail.WithTLSPolicy(gomail.NoTLS))
	default:
		o = append(o, gomail.WithTLSPolicy(gomail.TLSMandatory))
	}
	if c.config.User != "" {
		o = append(o, gomail.WithSMTPAuth(gomail.SMTPAuthAutoDiscover), gomail.WithUsername(c.config.User), gomail.WithPassword(c.password))
	}
	host := c.config.Host
	if strings.Contains(host, ":") { // the library puts the port behind it as it is
		host = "[" + host + "]"
	}
	return gomail.NewClient(host, o...)
}

// letter is one e-mail of the several that a message may need.
type letter struct {
	id    string // Message-ID, without its brackets
	items []finding.Fingerprint
	msg   *gomail.Msg
}

// sum tells letters apart: of a message that lost items before it was sent again, the second part may be another.
func (l letter) sum() [32]byte {
	var text strings.Builder
	text.WriteString(l.id)
	for _, fp := range l.items {
		text.WriteString(" " + string(fp))
	}
	return sha256.Sum256([]byte(text.String()))
}

// letters makes the e-mails of a message.
func (c *Channel) letters(m notify.Message, to *mail.Address) ([]letter, error) {
	rendered, err := Render(m, c.links)
	if err != nil {
		return nil, err
	}
	var out []letter
	for _, r := range rendered {
		id := c.id(m.Key, r.Part)
		msg := gomail.NewMsg(gomail.WithNoDefaultUserAgent())
		msg.FromMailAddress(c.from)
		msg.ToMailAddress(to)
		if c.replyTo != nil {
			msg.ReplyToMailAddress(c.replyTo)
		}
		msg.Subject(r.Subject)
		msg.SetDateWithValue(c.now())
		msg.SetMessageIDWithValue(id)
		// RFC 3834: nobody's holiday notice answers, and RFC 2919: rules can sort it.
		msg.SetGenHeader("Auto-Submitted", "auto-generated")
		msg.SetGenHeader("X-Auto-Response-Suppress", "All") // Exchange's name for it
		msg.SetGenHeaderPreformatted("List-Id", "Lapse <lapse."+domain(c.from.Address)+">")
		if first := c.earlier(m, r.Part); first != nil {
			msg.SetGenHeader(gomail.HeaderInReplyTo, "<"+first[0]+">")
			msg.SetGenHeaderPreformatted(gomail.HeaderReferences, "<"+strings.Join(first, "> <")+">")
		}
		msg.SetBodyString(gomail.TypeTextPlain, r.Text)
		msg.AddAlternativeString(gomail.TypeTextHTML, r.HTML)
		out = append(out, letter{id: id, items: r.Items, msg: msg})
	}
	return out, nil
}

// maxReferences is how many earlier letters one refers to: a header has its bounds.
const maxReferences = 10

// earlier are the letters before: of a reminder those that asked first, and of a second part the first.
func (c *Channel) earlier(m notify.Message, part int) []string {
	if part > 1 {
		return []string{c.id(m.Key, 1)}
	}
	var out []string
	for _, key := range slices.Compact(slices.Sorted(slices.Values(m.Earlier))) {
		if key != "" && len(out) < maxReferences {
			out = append(out, c.id(key, 1))
		}
	}
	return out
}

// id is the Message-ID of a part of a message: the same whenever it is sent.
func (c *Channel) id(key string, part int) string {
	return fmt.Sprintf("lapse.%s.%d@%s", key, part, domain(c.from.Address))
}

func domain(address string) string { return address[strings.LastIndexByte(address, '@')+1:] }

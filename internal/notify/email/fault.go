package email

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"fmt"
	"net"
	"net/textproto"
	"strings"
	"time"

	gomail "github.com/wneessen/go-mail"

	"github.com/lapse-audit/lapse/internal/notify"
	"github.com/lapse-audit/lapse/internal/notify/foreign"
)

// retryAfter is when to try again what a server defers: many defer whom they see for the first time for minutes.
const retryAfter = 5 * time.Minute

// connectFault says what an error before any letter means: it is the server's or lapse.yaml's, and no recipient's.
func (c *Channel) connectFault(ctx context.Context, err error) error {
	server := fmt.Sprintf("%s:%d", c.config.Host, c.config.port())
	if ctx.Err() != nil {
		return fmt.Errorf("email: %s: %w", server, ctx.Err())
	}
	if code, ok := errors.AsType[*textproto.Error](err); ok {
		err = fmt.Errorf("email: %s refuses Lapse: %s", server, c.said(code.Error()))
		if code.Code/100 == 4 {
			return &notify.RetryError{After: retryAfter, Err: err}
		}
		if code.Code == 535 || code.Code == 534 {
			return fmt.Errorf("%w (notify.email.user and password)", err)
		}
		return err
	}
	if _, ok := errors.AsType[*tls.CertificateVerificationError](err); ok {
		return fmt.Errorf("email: %s: its certificate is not trusted (notify.email.ca names a PEM file of who signed it): %s", server, c.said(err.Error()))
	}
	if _, ok := errors.AsType[x509.HostnameError](err); ok {
		return fmt.Errorf("email: %s: its certificate is another's: %s", server, c.said(err.Error()))
	}
	if op, ok := errors.AsType[*net.OpError](err); ok && op.Op == "dial" {
		return fmt.Errorf("email: no connection to %s: %s", server, c.said(op.Err.Error()))
	}
	return fmt.Errorf("email: %s: %s", server, c.said(err.Error()))
}

// sendFault says what an error of a letter means, by how far it got and by the server's code. See RFC 5321 section 4.2 and,
// for the second code, RFC 3463.
func (c *Channel) sendFault(err error) error {
	s, ok := errors.AsType[*gomail.SendError](err)
	if !ok {
		return fmt.Errorf("email: %s: %s", c.config.Host, c.said(err.Error()))
	}
	code := s.ErrorCode()
	err = fmt.Errorf("email: %s: %s", c.config.Host, c.said(s.Error()))
	switch {
	case code/100 == 4:
		return &notify.RetryError{After: retryAfter, Err: err}
	case code/100 == 5 && c.recipients(s, code):
		return fmt.Errorf("%w: %w", err, notify.ErrUnreachable)
	case code == 0 && s.Reason == gomail.ErrSMTPDataClose:
		// All of it was sent, and the server may have taken it: RFC 5321 section 4.5.3.2.6 and RFC 1047.
		return fmt.Errorf("%w: %w", err, notify.ErrUnsure)
	}
	return err
}

// recipients says of a refusal whether it is for the recipient's sake. What is refused for the sender's, such as that it may
// not relay, is refused for everybody, and must not send everybody's items to the next in line.
func (c *Channel) recipients(s *gomail.SendError, code int) bool {
	status := s.EnhancedStatusCode()
	switch s.Reason {
	case gomail.ErrSMTPRcptTo:
		if code == 530 || code == 503 || strings.Contains(strings.ToLower(s.Error()), "relay") {
			return false
		}
		return code >= 550 || strings.HasPrefix(status, "5.1.") || strings.HasPrefix(status, "5.2.")
	case gomail.ErrSMTPData, gomail.ErrSMTPDataClose: // some look for the mailbox only then
		return strings.HasPrefix(status, "5.1.") || strings.HasPrefix(status, "5.2.") || status == "" && code == 550
	}
	return false
}

// said is what a server says, for one line of a log. A server may echo what it was sent.
func (c *Channel) said(text string) string {
	if c.password != "" {
		for _, secret := range []string{c.password, base64.StdEncoding.EncodeToString([]byte(c.password)),
			base64.StdEncoding.EncodeToString([]byte("\x00" + c.config.User + "\x00" + c.password))} {
			text = strings.ReplaceAll(text, secret, "<secret>")
		}
	}
	runes := []rune(foreign.Line(text))
	return string(runes[:min(len(runes), 300)])
}

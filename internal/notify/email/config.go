// Package email asks people by e-mail: a digest as text and HTML, whose links bring the answers back.
package email

import (
	"errors"
	"fmt"
	"net"
	"net/mail"
	"strings"

	"github.com/lapse-audit/lapse/internal/collect"
)

// Config is the section notify.email of lapse.yaml.
type Config struct {
	Host     string         `yaml:"host"`
	Port     int            `yaml:"port"`     // 587, or 465 with tls: implicit
	TLS      string         `yaml:"tls"`      // starttls, which is required then and the default; implicit; none on this machine
	CA       string         `yaml:"ca"`       // PEM file, beside the system's
	User     string         `yaml:"user"`     // none: the server knows this machine
	Password collect.Secret `yaml:"password"` //
	From     string         `yaml:"from"`     // Lapse <lapse@example.com>
	ReplyTo  string         `yaml:"reply_to"` // who reads what people write back
}

// The ways to a server.
const (
	tlsStart    = "starttls"
	tlsImplicit = "implicit"
	tlsNone     = "none"
)

// Validate reports everything that is missing or makes no sense.
func (c *Config) Validate() error {
	var errs []error
	fail := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }
	if c.Host == "" {
		fail("host is missing: the SMTP server, such as smtp.example.com")
	} else if strings.ContainsAny(c.Host, ":/ @") && net.ParseIP(c.Host) == nil {
		fail("host: %q: want a name or an address alone; the port stands in port", c.Host)
	}
	if c.Port < 0 || c.Port > 65535 {
		fail("port: %d is no port", c.Port)
	}
	switch c.TLS {
	case "", tlsStart, tlsImplicit:
	case tlsNone:
		if ip := net.ParseIP(c.Host); c.Host != "localhost" && (ip == nil || !ip.IsLoopback()) {
			fail("tls: none: only a server on this machine is written to in the clear: want starttls or implicit")
		}
	default:
		fail("tls: %q: want starttls, implicit or, for a server on this machine, none", c.TLS)
	}
	switch {
	case c.User != "" && !c.Password.IsSet():
		fail("password is missing: that of %s, such as env:SMTP_PASSWORD", c.User)
	case c.User == "" && c.Password.IsSet():
		fail("user is missing: whose password it is")
	case c.User != "" && c.TLS == tlsNone:
		fail("user: no password is sent in the clear: want tls: starttls or implicit")
	}
	if c.From == "" {
		fail("from is missing: whom the messages come from, such as Lapse <lapse@example.com>")
	} else if _, err := mail.ParseAddress(c.From); err != nil {
		fail("from: %q is no address", c.From)
	}
	if c.ReplyTo != "" {
		if _, err := mail.ParseAddress(c.ReplyTo); err != nil {
			fail("reply_to: %q is no address", c.ReplyTo)
		}
	}
	return errors.Join(errs...)
}

func (c *Config) port() int {
	switch {
	case c.Port != 0:
		return c.Port
	case c.TLS == tlsImplicit:
		return 465
	case c.TLS == tlsNone:
		return 25
	}
	return 587
}

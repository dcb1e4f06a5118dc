package ldap

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	ber "github.com/go-asn1-ber/asn1-ber"

	"github.com/lapse-audit/lapse/collectors/ldap/ldaptest"
	"github.com/lapse-audit/lapse/internal/collect"
	"github.com/lapse-audit/lapse/internal/strict"
)

// same fails the test unless two snapshots hold the same records.
func same(t testing.TB, what string, got, want *snapshot) {
	t.Helper()
	if !reflect.DeepEqual(got.Counts, want.Counts) {
		t.Errorf("%s: %v, want %v", what, got.Counts, want.Counts)
	}
	for name, a := range want.accounts {
		if !reflect.DeepEqual(got.accounts[name], a) {
			t.Errorf("%s: account %s\n got %+v\nwant %+v", what, name, got.accounts[name], a)
		}
	}
	for name, e := range want.entitlements {
		if !reflect.DeepEqual(got.entitlements[name], e) {
			t.Errorf("%s: entitlement %s\n got %+v\nwant %+v", what, name, got.entitlements[name], e)
		}
		if g, w := got.holders(name), want.holders(name); !slices.Equal(g, w) {
			t.Errorf("%s: members of %s: %q, want %q", what, name, g, w)
		}
	}
}

// Microsoft's limits on pages and values change nothing.
func TestLimitsOfMicrosoft(t *testing.T) {
	d := corpDC(t)
	want := take(t, collector(t, d.config()))
	p := newProxy(t, d)
	p.pageMax, p.rangeMax = 7, 1
	got := take(t, collector(t, p.config()))
	for name, a := range want.accounts { // the administrator signed in again to read
		if name == "Administrator" {
			a.LastLoginAt = got.accounts[name].LastLoginAt
			want.accounts[name] = a
		}
	}
	same(t, "behind the limits", got, want)
	if p.largestPage.Load() != 7 || p.pages.Load() < 7 || p.ranges.Load() == 0 {
		t.Errorf("the proxy saw %d pages of at most %d entries and %d requests for a range", p.pages.Load(), p.largestPage.Load(), p.ranges.Load())
	}
}

// A connection that breaks in the middle of a page is made again, and nothing is lost or comes twice.
func TestCutAndResumed(t *testing.T) {
	d := corpDC(t)
	want := take(t, collector(t, d.config()))
	for what, broken := range map[string]fault{"cut": cutOff, "garbage": garbage, "busy": busy, "strange id": strangeID, "page without an end": noCookie} {
		p := newProxy(t, d)
		p.pageMax = 10
		p.entry = func(n int64, _ string) fault { return map[int64]fault{20: broken, 57: broken}[n] }
		got, err := tryTake(t.Context(), collector(t, p.config()))
		if what == "page without an end" {
			if err == nil || !strings.Contains(err.Error(), "without saying whether there is another") {
				t.Errorf("%s: error %v", what, err)
			}
			continue
		}
		if err != nil {
			t.Errorf("%s: %v", what, err)
			continue
		}
		admin := want.accounts["Administrator"]
		admin.LastLoginAt = got.accounts["Administrator"].LastLoginAt
		want.accounts["Administrator"] = admin
		same(t, what, got, want)
		if n := p.connections.Load(); n != 3 {
			t.Errorf("%s: %d connections, want 3", what, n)
		}
		if !slices.ContainsFunc(got.Provenance.Notes, func(n string) bool { return strings.Contains(n, "broke 2 times") }) {
			t.Errorf("%s: the provenance doesn't say that the connection broke: %q", what, got.Provenance.Notes)
		}
	}
}

// What can't be read as a whole is an error that says what happened and what to do.
func TestNoHalfSnapshot(t *testing.T) {
	d := corpDC(t)
	for _, c := range []struct {
		what, want string
		entry      func(int64, string) fault
		change     func(*Config)
	}{
		{"cut at the same place for ever", "given up after", func(_ int64, dn string) fault {
			if strings.HasPrefix(dn, "CN=Outer") {
				return cutOff
			}
			return pass
		}, nil},
		{"size limit", "size limit", func(n int64, _ string) fault { return map[bool]fault{true: tooMany}[n == 12] }, nil},
		{"hang", "no answer for 300ms", func(n int64, _ string) fault { return map[bool]fault{true: hang}[n >= 12] }, func(c *Config) { c.Timeout = strict.Span(300 * time.Millisecond) }},
		{"wrong base", "check base:", nil, func(c *Config) { c.Base = strict.Texts{"OU=Nowhere,DC=corp,DC=example"} }},
	} {
		t.Run(c.what, func(t *testing.T) {
			p := newProxy(t, d)
			p.pageMax, p.entry = 10, c.entry
			config := p.config()
			if c.change != nil {
				c.change(&config)
			}
			_, err := tryTake(t.Context(), collector(t, config))
			if err == nil || !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), p.url) {
				t.Errorf("error %v, want it to name %s and say %q", err, p.url, c.want)
			}
		})
	}
}

// A hundred thousand members come in 67 ranges, an attribute of 10 MB in one message.
func TestLargeValues(t *testing.T) {
	d := corpDC(t)
	p := newProxy(t, d)
	many := 100_000
	long := strings.Repeat("x", 10<<20)
	add := func(attributes *ber.Packet, name string, values ...string) {
		for _, a := range attributes.Children {
			if a.Children[0].Value == name {
				for _, v := range values {
					a.Children[1].Children = append(a.Children[1].Children, ber.NewString(ber.ClassUniversal, ber.TypePrimitive, ber.TagOctetString, v, ""))
				}
			}
		}
	}
	strangers := make([]string, many)
	for i := range strangers {
		strangers[i] = fmt.Sprintf("CN=Nobody %d,OU=Elsewhere,DC=corp,DC=example", i)
	}
	p.change = func(dn string, attributes *ber.Packet) {
		switch {
		case strings.HasPrefix(dn, "CN=Inner,"):
			add(attributes, "member", strangers...)
		case strings.HasPrefix(dn, "CN=Roast,"):
			for _, a := range attributes.Children {
				if a.Children[0].Value == "cn" {
					a.Children[1].Children[0] = ber.NewString(ber.ClassUniversal, ber.TypePrimitive, ber.TagOctetString, long, "")
				}
			}
		}
	}
	s := take(t, collector(t, p.config()))
	if got := strings.Join(s.holders("Inner"), " "); got != "[Local] aberg bob" {
		t.Errorf("Inner: %q", got)
	}
	if n := p.ranges.Load(); n != 66 {
		t.Errorf("%d ranges were asked for, want 66 after the first", n)
	}
	if !slices.ContainsFunc(s.Provenance.Notes, func(n string) bool {
		return strings.HasPrefix(n, fmt.Sprintf("%d memberships", many+1)) && strings.Contains(n, "not read")
	}) {
		t.Errorf("the provenance doesn't say that %d members are unknown: %q", many, s.Provenance.Notes)
	}
	if _, there := s.accounts["roast"]; there || !slices.ContainsFunc(s.Rejections, func(r collect.Rejection) bool {
		return strings.Contains(r.Reason, fmt.Sprintf("a text of %d bytes", len(long)))
	}) {
		t.Errorf("an account with a name of 10 MiB is there (%v) or was not rejected: %v", there, s.Rejections)
	}
}

// Nothing that goes wrong before the first entry is passed off as an empty directory, and each error says what to do.
func TestConnectFaults(t *testing.T) {
	d := corpDC(t)
	dir := t.TempDir()
	other := filepath.Join(dir, "other.pem")
	if err := ldaptest.WriteCert(other, filepath.Join(dir, "other.key"), d.IP, "x", time.Hour); err != nil {
		t.Fatal(err)
	}
	silent, err := net.Listen("tcp", "127.0.0.1:0") // takes connections and says nothing
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Close()
	closed, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	closed.Close()
	wrong := func(context.Context) (string, error) { return "wrong-" + password, nil }
	for _, c := range []struct {
		what, want string
		change     func(*Config)
		secret     func(context.Context) (string, error)
	}{
		{"wrong password", "the name or the password is wrong", nil, wrong},
		{"no secret", "bind.password: not there", nil, func(context.Context) (string, error) { return "", errors.New("not there") }},
		{"empty secret", "bind.password: is empty", nil, func(context.Context) (string, error) { return "", nil }},
		{"unknown account", "bind as nobody@corp.example", func(c *Config) { c.Bind.DN = "nobody@corp.example" }, nil},
		{"disabled account", "the account is disabled", func(c *Config) { c.Bind.DN = "gone@corp.example" }, nil},
		{"anonymous", "write bind:", func(c *Config) { c.Bind = Bind{} }, nil},
		{"wrong authority", "nobody that is trusted signed", func(c *Config) { c.CA = other }, nil},
		{"no authority", "ca: ", func(c *Config) { c.CA = filepath.Join(dir, "missing.pem") }, nil},
		{"no PEM", "holds no certificate", func(c *Config) { c.CA = filepath.Join(dir, "other.key") }, nil},
		{"wrong name", "is for another name", func(c *Config) { c.ServerName = "dc2.corp.example" }, nil},
		{"unknown host", "no-such-host.invalid", func(c *Config) { c.URL = strict.Texts{"ldaps://no-such-host.invalid"} }, nil},
		{"nobody listens", "connection refused", func(c *Config) { c.URL = strict.Texts{"ldaps://" + closed.Addr().String()} }, nil},
		{"silent server", "no answer for 200ms", func(c *Config) {
			c.URL, c.Timeout = strict.Texts{"ldaps://" + silent.Addr().String()}, strict.Span(200*time.Millisecond)
		}, nil},
		{"not TLS", "TLS: ", func(c *Config) { c.URL = strict.Texts{"ldaps://" + net.JoinHostPort(d.IP, "389")} }, nil},
	} {
		t.Run(c.what, func(t *testing.T) {
			config := d.config()
			if c.change != nil {
				c.change(&config)
			}
			k := collector(t, config, func(o *Options) {
				if c.secret != nil {
					o.Secret = func(ctx context.Context, _ collect.Secret) (string, error) { return c.secret(ctx) }
				}
			})
			s, err := tryTake(t.Context(), k)
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("error %v, want it to say %q", err, c.want)
			}
			if err != nil && strings.Contains(err.Error(), password) {
				t.Errorf("the error shows the password: %v", err)
			}
			if n := s.Total(); n != 0 {
				t.Errorf("%d records", n)
			}
		})
	}
}

func TestExpiredCertificate(t *testing.T) {
	d := corpDC(t)
	dir := t.TempDir()
	if err := ldaptest.WriteCert(filepath.Join(dir, "c.pem"), filepath.Join(dir, "k.pem"), "127.0.0.1", "x", -time.Hour); err != nil {
		t.Fatal(err)
	}
	pair, err := tls.LoadX509KeyPair(filepath.Join(dir, "c.pem"), filepath.Join(dir, "k.pem"))
	if err != nil {
		t.Fatal(err)
	}
	l, err := tls.Listen("tcp", "127.0.0.1:0", &tls.Config{Certificates: []tls.Certificate{pair}})
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	go func() {
		if c, err := l.Accept(); err == nil {
			c.(*tls.Conn).Handshake()
			c.Close()
		}
	}()
	config := d.config()
	config.URL, config.CA = strict.Texts{"ldaps://" + l.Addr().String()}, filepath.Join(dir, "c.pem")
	if _, err := tryTake(t.Context(), collector(t, config)); err == nil || !strings.Contains(err.Error(), "is valid from") {
		t.Errorf("error %v", err)
	}
}

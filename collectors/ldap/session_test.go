package ldap

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/go-ldap/ldap/v3"

	"github.com/lapse-audit/lapse/collectors/ldap/ldaptest"

	"github.com/lapse-audit/lapse/internal/strict"
)

// Every way to connect and to bind gives the same directory.
func TestWaysIn(t *testing.T) {
	d := corpDC(t)
	want := take(t, collector(t, d.config()))
	krb5 := filepath.Join(t.TempDir(), "krb5.conf")
	err := os.WriteFile(krb5, fmt.Appendf(nil, `[libdefaults]
 default_realm = CORP.EXAMPLE
 dns_lookup_kdc = false
 dns_lookup_realm = false
 udp_preference_limit = 1
[realms]
 CORP.EXAMPLE = {
  kdc = %s:88
 }
`, d.IP), 0o600)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		what   string
		change func(*Config)
	}{
		{"start_tls", func(c *Config) { c.URL, c.StartTLS = strict.Texts{"ldap://" + d.IP}, true }},
		{"by name", func(c *Config) { c.ServerName = "dc1.corp.example" }},
		{"ldapi", func(c *Config) { // whoever may open this socket is the system itself
			c.URL, c.Bind = strict.Texts{"ldapi://" + filepath.Join(d.Dir, "s/private/ldap_priv/ldapi")}, Bind{}
		}},
		{"by DN", func(c *Config) { c.Bind.DN = "CN=Administrator,CN=Users," + domain }},
		{"gssapi", func(c *Config) {
			c.Bind = Bind{Method: GSSAPI, User: "Administrator", Realm: "CORP.EXAMPLE", Password: secretRef, Krb5Conf: krb5, SPN: "ldap/dc1.corp.example"}
		}},
		{"failover", func(c *Config) { c.URL = strict.Texts{"ldaps://127.0.0.1:1", d.URL(), "ldaps://127.0.0.1:2"} }},
	} {
		t.Run(c.what, func(t *testing.T) {
			config := d.config()
			c.change(&config)
			got := take(t, collector(t, config))
			admin := want.accounts["Administrator"]
			admin.LastLoginAt = got.accounts["Administrator"].LastLoginAt
			want.accounts["Administrator"] = admin
			same(t, c.what, got, want)
			if noted(got, "did not answer: ldaps://127.0.0.1:1") != (c.what == "failover") {
				t.Errorf("notes: %q", got.Provenance.Notes)
			}
		})
	}
}

// A server that refuses the bind is not followed by the next, which would count as another wrong password.
func TestRefusalEndsFailover(t *testing.T) {
	d := corpDC(t)
	p := newProxy(t, d)
	config := d.config()
	config.Bind.DN = "locked@corp.example"
	config.URL, config.CA = strict.Texts{p.url, p.url, p.url}, p.ca
	k := collector(t, config, func(o *Options) { o.Secret = wrongSecret })
	if _, err := tryTake(t.Context(), k); err == nil || !strings.Contains(err.Error(), "password is wrong") {
		t.Fatalf("error %v", err)
	}
	if n := p.connections.Load(); n != 1 {
		t.Errorf("%d servers were tried with the wrong password", n)
	}
}

func TestLockedBindAccount(t *testing.T) {
	d := corpDC(t)
	admin := d.admin(t)
	threshold := func(n string) {
		m := ldap.NewModifyRequest(domain, nil)
		m.Replace("lockoutThreshold", []string{n})
		if err := admin.Modify(m); err != nil {
			t.Fatal(err)
		}
	}
	threshold("2")
	defer threshold("0")
	config := d.config()
	config.Bind.DN = "locked@corp.example"
	bad := collector(t, config, func(o *Options) { o.Secret = wrongSecret })
	for range 3 {
		if _, err := tryTake(t.Context(), bad); err == nil {
			t.Fatal("no error for a wrong password")
		}
	}
	_, err := tryTake(t.Context(), collector(t, config))
	if err == nil || !strings.Contains(err.Error(), "locked out") {
		t.Errorf("error %v, want it to say that the account is locked", err)
	}
	s := take(t, collector(t, d.config()))
	if a := s.accounts["locked"]; a.Locked == nil || !*a.Locked {
		t.Errorf("locked: %+v", a)
	}
	if a := s.accounts["aberg"]; a.Locked == nil || *a.Locked {
		t.Errorf("aberg: locked %v", a.Locked)
	}
}

// The library must not take an answer that is ours, however long it was left alone.
func TestTap(t *testing.T) {
	client, server := net.Pipe()
	defer server.Close()
	shared := newTap(client)
	lib := ldap.NewConn(shared, false)
	lib.Start()
	time.Sleep(20 * time.Millisecond) // it reads by now
	conn, err := shared.take()
	if err != nil {
		t.Fatal(err)
	}
	go server.Write([]byte("ours"))
	b := make([]byte, 4)
	if n, err := conn.Read(b); err != nil || string(b[:n]) != "ours" {
		t.Errorf("read %q, %v", b[:n], err)
	}
	lib.Close()
	if _, err := conn.Read(b); err == nil {
		t.Error("the connection is open after the library closed it")
	}
}

// A server that wants a client certificate gets it, and knows us by it.
func TestClientCertificate(t *testing.T) {
	dir := t.TempDir()
	for name, host := range map[string]string{"server": "ldap.corp.example", "client": "lapse-reader"} {
		if err := ldaptest.WriteCert(filepath.Join(dir, name+".pem"), filepath.Join(dir, name+".key"), "127.0.0.1", host, time.Hour); err != nil {
			t.Fatal(err)
		}
	}
	s := startSlapdWith(t, "dn: dc=desk,dc=example\nobjectClass: domain\n\ndn: uid=ada,dc=desk,dc=example\nobjectClass: account\nuid: ada\n", slapdConfig{global: fmt.Sprintf("TLSCACertificateFile %[1]s/client.pem\nTLSCertificateFile %[1]s/server.pem\nTLSCertificateKeyFile %[1]s/server.key\nTLSVerifyClient demand", dir)})
	config := Config{URL: strict.Texts{s.url}, Base: strict.Texts{s.suffix}, StartTLS: true, CA: "server.pem", Bind: Bind{Method: External}}
	here := func(o *Options) { o.Base = dir }
	if _, err := tryTake(t.Context(), collector(t, config, here)); err == nil || !strings.Contains(err.Error(), s.url) {
		t.Errorf("without a certificate: error %v", err)
	}
	config.Cert, config.Key = "client.pem", "client.key"
	got := take(t, collector(t, config, here))
	if got.Provenance.Identity != "dn:cn=lapse-reader" || len(got.accounts) == 0 {
		t.Errorf("read %d accounts as %q", len(got.accounts), got.Provenance.Identity)
	}
}

package ldap

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	ber "github.com/go-asn1-ber/asn1-ber"

	"github.com/lapse-audit/lapse/internal/collect"
	"github.com/lapse-audit/lapse/internal/collect/collecttest"
	"github.com/lapse-audit/lapse/internal/strict"
)

// quiet reads what no sign-in changes: reading Active Directory is a sign-in itself.
func (d *dc) quiet() Config {
	c := d.config()
	c.Base = strict.Texts{"OU=People," + domain, "CN=ForeignSecurityPrincipals," + domain}
	return c
}

func TestSuiteOverLDAP(t *testing.T) {
	d := corpDC(t)
	through := func(change func(*proxy), more ...func(*Config)) func(testing.TB) collect.Collector {
		return func(t testing.TB) collect.Collector {
			p := newProxy(t, d)
			change(p)
			c := d.quiet()
			c.URL, c.CA, c.PageSize = strict.Texts{p.url}, p.ca, 5
			for _, f := range more {
				f(&c)
			}
			return collector(t, c)
		}
	}
	always := func(f fault) func(*proxy) {
		return func(p *proxy) {
			p.entry = func(n int64, _ string) fault {
				if n >= 8 {
					return f
				}
				return pass
			}
		}
	}
	collecttest.Run(t, collecttest.Spec{
		New: func(t testing.TB) collect.Collector { return collector(t, d.quiet()) },
		// An entry whose id can't be read.
		Rejecting: through(func(p *proxy) {
			p.change = func(dn string, attributes *ber.Packet) {
				for _, a := range attributes.Children {
					if strings.HasPrefix(dn, "CN=Ada") && a.Children[0].Value == "objectGUID" {
						a.Children[0] = ber.NewString(ber.ClassUniversal, ber.TypePrimitive, ber.TagOctetString, "serialNumber", "")
					}
				}
			}
		}),
		Broken: map[string]func(testing.TB) collect.Collector{
			"cut in a page": through(always(cutOff)),
			"garbage":       through(always(garbage)),
			"size limit":    through(always(tooMany)),
			"lost cookie":   through(always(noCookie)),
			"hang":          through(always(hang), func(c *Config) { c.Timeout = strict.Span(200 * time.Millisecond) }),
			"wrong password": func(t testing.TB) collect.Collector {
				return collector(t, d.quiet(), func(o *Options) { o.Secret = wrongSecret })
			},
			"nothing there": func(t testing.TB) collect.Collector {
				c := d.quiet()
				c.Base = append(c.Base, "OU=Nowhere,"+domain)
				return collector(t, c)
			},
		},
		Secrets: []string{password, secretRef.Reference()},
	})
}

// export writes a domain into a file with OpenLDAP's tool, as its owner would.
func export(t testing.TB, d *dc, attributes ...string) string {
	t.Helper()
	if _, err := exec.LookPath("ldapsearch"); err != nil {
		const how = "install it with: apt-get install ldap-utils"
		if os.Getenv("CI") == "true" {
			t.Fatalf("no ldapsearch: %v; %s", err, how)
		}
		t.Skipf("no ldapsearch: %v; %s", err, how)
	}
	args := []string{"-x", "-LLL", "-H", "ldapi://" + strings.ReplaceAll(d.Dir, "/", "%2F") + "%2Fs%2Fprivate%2Fldap_priv%2Fldapi", "-b", domain, "-E", "pr=500/noprompt", "(objectClass=*)"}
	out, err := exec.Command("ldapsearch", append(args, attributes...)...).Output()
	if err != nil {
		t.Fatalf("ldapsearch: %v\n%s", err, out)
	}
	file := filepath.Join(t.TempDir(), "export.ldif")
	if err := os.WriteFile(file, out, 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

func TestSuiteOverLDIF(t *testing.T) {
	d := corpDC(t)
	file := export(t, d, "*")
	edited := func(edit func(string) string) func(testing.TB) collect.Collector {
		return func(t testing.TB) collect.Collector {
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			to := filepath.Join(t.TempDir(), "edited.ldif")
			if err := os.WriteFile(to, []byte(edit(string(text))), 0o600); err != nil {
				t.Fatal(err)
			}
			return collector(t, Config{URL: strict.Texts{"ldif:" + to}})
		}
	}
	collecttest.Run(t, collecttest.Spec{
		New: func(t testing.TB) collect.Collector { return collector(t, Config{URL: strict.Texts{"ldif:" + file}}) },
		Rejecting: edited(func(s string) string { // an account without an id
			entries := strings.Split(s, "\n\n")
			for i, e := range entries {
				if strings.Contains(e, "\nsAMAccountName: aberg\n") {
					entries[i] = strings.Replace(e, "objectGUID:: ", "serialNumber:: ", 1)
				}
			}
			return strings.Join(entries, "\n\n")
		}),
		Broken: map[string]func(testing.TB) collect.Collector{
			"no file": func(t testing.TB) collect.Collector {
				return collector(t, Config{URL: strict.Texts{"ldif:/nowhere.ldif"}})
			},
			"empty":   edited(func(string) string { return "\n\n" }),
			"cut":     edited(func(s string) string { return s[:len(s)/2] + "\n\nnonsense" }),
			"changes": edited(func(string) string { return "dn: cn=x\nchangetype: delete\n\n" }),
		},
	})
}

// The same directory from a server and from its export is the same snapshot.
func TestExportEqualsServer(t *testing.T) {
	d := corpDC(t)
	file := export(t, d, "*", "msDS-User-Account-Control-Computed")
	config := d.config()
	config.URL, config.Bind, config.CA = strict.Texts{"ldapi://" + filepath.Join(d.Dir, "s/private/ldap_priv/ldapi")}, Bind{}, ""
	want := take(t, collector(t, config))
	got := take(t, collector(t, Config{URL: strict.Texts{"ldif:" + filepath.Base(file)}}, func(o *Options) { o.Base = filepath.Dir(file) }))
	same(t, "from the export", got, want)
	if len(got.Provenance.Files) != 1 || got.Provenance.Files[0].Rows < 200 || got.Provenance.AsOf.IsZero() {
		t.Errorf("provenance: %+v", got.Provenance.Files)
	}

	// Of an attribute that was not exported nothing is known.
	bare := export(t, d, "objectClass", "objectGUID", "objectSid", "sAMAccountName", "userAccountControl", "primaryGroupID", "groupType")
	s := take(t, collector(t, Config{URL: strict.Texts{"ldif:" + bare}}))
	a := s.accounts["svc-backup"]
	if a.NeverLoggedIn != nil || a.HasSPN != nil || a.Enabled == nil {
		t.Errorf("svc-backup: never %v, spn %v, enabled %v", a.NeverLoggedIn, a.HasSPN, a.Enabled)
	}
	if got := s.Provenance.Coverage["grants"]; got == "full" || strings.Join(s.holders("Domain Admins"), " ") != "gone" {
		t.Errorf("coverage of grants is %s, Domain Admins %q", got, s.holders("Domain Admins"))
	}
}

// A base narrows a file as it does a server.
func TestFileBase(t *testing.T) {
	d := corpDC(t)
	file := export(t, d, "*")
	s := take(t, collector(t, Config{URL: strict.Texts{"ldif:" + file}, Base: strict.Texts{"ou=berlin, ou=people, " + strings.ToLower(domain)}}))
	if len(s.accounts) != 1 || s.accounts["aberg"].ID == "" {
		t.Errorf("accounts: %v", s.accounts)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := tryTake(ctx, collector(t, Config{URL: strict.Texts{"ldif:" + file}})); err == nil {
		t.Error("no error when cancelled")
	}
}

func writeFile(t testing.TB, text string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "export.ldif")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

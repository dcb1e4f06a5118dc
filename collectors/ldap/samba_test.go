package ldap

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/go-ldap/ldap/v3"

	"github.com/lapse-audit/lapse/collectors/ldap/ldaptest"
)

const (
	domain   = ldaptest.Domain
	password = ldaptest.Password
	adminDN  = ldaptest.Admin
)

// work is the folder of all domain controllers; TestMain removes it.
var (
	work  string
	samba *ldaptest.Samba
)

func TestMain(m *testing.M) {
	var err error
	if work, err = os.MkdirTemp("", "lapse-ldap-"); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	samba = ldaptest.NewSamba(work)
	code := m.Run()
	samba.Close()
	os.RemoveAll(work)
	os.Exit(code)
}

// dc is a domain controller.
type dc struct{ *ldaptest.DC }

// newDC makes a domain with the entries of an LDIF and starts its controller, which stops with the tests.
func newDC(t testing.TB, name, ldif string) *dc {
	t.Helper()
	ldaptest.Need(t)
	d, err := makeDC(name, ldif)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func makeDC(name, ldif string) (*dc, error) {
	d, err := samba.New(name, ldif)
	return &dc{d}, err
}

func (d *dc) admin(t testing.TB) *ldap.Conn {
	t.Helper()
	c, err := d.Dial()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

// bothCAs is one file that trusts several controllers.
func bothCAs(t testing.TB, dcs ...*dc) string {
	t.Helper()
	var all []byte
	for _, d := range dcs {
		pem, err := os.ReadFile(d.CA)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, pem...)
	}
	file := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(file, all, 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

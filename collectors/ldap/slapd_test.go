package ldap

import (
	"bytes"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// slapd is an OpenLDAP server of its own.
type slapd struct {
	url    string
	suffix string
	dir    string
}

// slapdConfig is what a server has beside its entries.
type slapdConfig struct {
	global   string // lines of slapd.conf before the database
	database string // and in it
}

// rootDN is who may do anything on a server, with password.
func (s *slapd) rootDN() string { return "cn=root," + s.suffix }

// startSlapd starts a server that holds the entries of an LDIF, the first of which is its suffix. It stops with the test.
func startSlapd(t testing.TB, ldif string) (url string) {
	t.Helper()
	return startSlapdWith(t, ldif, slapdConfig{}).url
}

func startSlapdWith(t testing.TB, ldif string, c slapdConfig) *slapd {
	t.Helper()
	needSlapd(t)
	s := &slapd{dir: t.TempDir()}
	for e, err := range readLDIF(strings.NewReader(ldif), "slapd") {
		if err != nil {
			t.Fatal(err)
		}
		s.suffix = e.DN
		break
	}
	if err := os.Mkdir(filepath.Join(s.dir, "db"), 0o700); err != nil {
		t.Fatal(err)
	}
	conf := fmt.Sprintf(`include /etc/ldap/schema/core.schema
include /etc/ldap/schema/cosine.schema
include /etc/ldap/schema/nis.schema
include /etc/ldap/schema/inetorgperson.schema
include /etc/ldap/schema/dyngroup.schema
modulepath /usr/lib/ldap
moduleload back_mdb
pidfile %[1]s/pid
%[2]s
database mdb
suffix %[3]q
rootdn %[4]q
rootpw %[5]s
directory %[1]s/db
maxsize 1073741824
dbnosync
sizelimit unlimited
index objectClass,entryUUID,uid eq
%[6]s
`, s.dir, c.global, s.suffix, s.rootDN(), password, c.database)
	if err := os.WriteFile(s.conf(), []byte(conf), 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("slapadd", "-q", "-f", s.conf())
	cmd.Stdin = strings.NewReader(ldif)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("slapadd: %v\n%s", err, out)
	}
	for range 5 { // another may have taken the port
		if err := s.start(t); err == nil {
			return s
		} else if !errors.Is(err, errEnded) {
			t.Fatal(err)
		}
	}
	t.Fatal("slapd ends at once")
	return nil
}

// needSlapd skips where there is no OpenLDAP; in CI it fails.
func needSlapd(t testing.TB) {
	t.Helper()
	for _, name := range []string{"slapd", "slapadd", "slapcat", "slapdn"} {
		if _, err := exec.LookPath(name); err != nil {
			const how = "install it with: apt-get install slapd ldap-utils"
			if os.Getenv("CI") == "true" {
				t.Fatalf("no slapd: %v; %s", err, how)
			}
			t.Skipf("no slapd: %v; %s", err, how)
		}
	}
}

func (s *slapd) conf() string { return filepath.Join(s.dir, "slapd.conf") }

var errEnded = errors.New("slapd ended")

func (s *slapd) start(t testing.TB) error {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	address := l.Addr().String()
	l.Close()
	s.url = "ldap://" + address
	var log bytes.Buffer
	cmd := exec.Command("slapd", "-d", "0", "-f", s.conf(), "-h", s.url)
	cmd.Stderr = &log
	if err := cmd.Start(); err != nil {
		return err
	}
	ended := make(chan struct{})
	go func() { _ = cmd.Wait(); close(ended) }()
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		<-ended
	})
	for end := time.Now().Add(30 * time.Second); time.Now().Before(end); {
		if c, err := net.Dial("tcp", address); err == nil {
			c.Close()
			return nil
		}
		select {
		case <-ended:
			return fmt.Errorf("%w: %s", errEnded, &log)
		case <-time.After(10 * time.Millisecond):
		}
	}
	return errors.New("slapd doesn't listen after 30 s")
}

// export is what slapcat writes of a server.
func (s *slapd) export(t testing.TB) string {
	t.Helper()
	out, err := exec.Command("slapcat", "-f", s.conf()).Output()
	if err != nil {
		t.Fatal(err)
	}
	return string(out)
}

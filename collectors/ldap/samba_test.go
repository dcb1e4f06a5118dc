package ldap

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/big"
	random "math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
	"unicode/utf16"

	"github.com/go-ldap/ldap/v3"
)

const (
	domain   = "DC=corp,DC=example"
	password = "S3cret!passw0rd" // of every account that a test makes; it must show nowhere
	adminDN  = "Administrator@corp.example"
)

// work is the folder of all domain controllers; TestMain removes it.
var work string

func TestMain(m *testing.M) {
	var err error
	if work, err = os.MkdirTemp("", "lapse-ldap-"); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	code := m.Run()
	for _, dc := range running {
		dc.stop()
	}
	os.RemoveAll(work)
	os.Exit(code)
}

// dc is a Samba domain controller on a loopback address of its own, as its ports are fixed.
type dc struct {
	dir, ip string
	ca      string // PEM file
	cmd     *exec.Cmd
	stdin   io.Closer // it ends when this closes, so that it can't outlive the test
}

var (
	running   []*dc
	provision = sync.OnceValues(func() (string, error) {
		dir := filepath.Join(work, "empty")
		if err := os.MkdirAll(dir, 0o700); err != nil {
			return "", err
		}
		conf := filepath.Join(dir, "none.conf")
		if err := os.WriteFile(conf, nil, 0o600); err != nil {
			return "", err
		}
		return dir, run(nil, "samba-tool", "domain", "provision", "-s", conf, "--targetdir="+filepath.Join(dir, "s"), "--realm=CORP.EXAMPLE", "--domain=CORP",
			"--server-role=dc", "--dns-backend=NONE", "--adminpass="+password, "--host-name=dc1", "--host-ip=127.0.0.1", "--backend-store=mdb", "--backend-store-size=1Gb")
	})
)

// needSamba skips where there is no Samba; in CI it fails.
func needSamba(t testing.TB) {
	t.Helper()
	var err error
	for _, name := range []string{"samba", "samba-tool", "ldbadd"} {
		if _, e := exec.LookPath(name); e != nil {
			err = e
		}
	}
	if err == nil && os.Geteuid() != 0 {
		err = errors.New("a domain controller needs root")
	}
	if err == nil {
		return
	}
	const how = "run as root: apt-get install --no-install-recommends samba samba-ad-provision samba-dsdb-modules samba-vfs-modules ldb-tools"
	if os.Getenv("CI") == "true" {
		t.Fatalf("no Samba: %v; %s", err, how)
	}
	t.Skipf("no Samba: %v; %s", err, how)
}

func run(stdin io.Reader, name string, args ...string) error {
	cmd := exec.Command(name, args...)
	cmd.Stdin = stdin
	out, err := cmd.CombinedOutput()
	if err == nil && bytes.Contains(out, []byte("ERR:")) { // ldbadd says so and ends as if all were well
		err = errors.New("not all was done")
	}
	if err != nil {
		return fmt.Errorf("%s %s: %w\n%s", name, strings.Join(args[:min(2, len(args))], " "), err, out)
	}
	return nil
}

// newDC makes a domain with the entries of an LDIF and starts its controller, which stops with the tests.
func newDC(t testing.TB, name, ldif string) *dc {
	t.Helper()
	needSamba(t)
	d, err := makeDC(name, ldif)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func makeDC(name, ldif string) (*dc, error) {
	from, err := provision()
	if err != nil {
		return nil, err
	}
	d := &dc{dir: filepath.Join(work, name)}
	if err := run(nil, "cp", "-a", from, d.dir); err != nil {
		return nil, err
	}
	err = filepath.WalkDir(d.dir, func(path string, e fs.DirEntry, err error) error {
		if err != nil || !strings.HasSuffix(path, ".conf") {
			return err
		}
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		return os.WriteFile(path, bytes.ReplaceAll(text, []byte(from+"/"), []byte(d.dir+"/")), 0o600)
	})
	if err != nil {
		return nil, err
	}
	if ldif != "" {
		if err := d.load(ldif); err != nil {
			return nil, err
		}
	}
	return d, d.start()
}

// load adds entries to the database of a controller that doesn't run.
func (d *dc) load(ldif string) error {
	return run(strings.NewReader(ldif), "ldbadd", "-o", "batch_mode:1", "-o", "transaction_index_cache_size:200000", "-H", d.database())
}

// amend changes entries in the database of a controller that doesn't run, also what no server lets a client change.
func (d *dc) amend(ldif string, controls ...string) error {
	args := []string{"-H", d.database()}
	for _, c := range controls {
		args = append(args, "--controls="+c)
	}
	return run(strings.NewReader(ldif), "ldbmodify", args...)
}

func (d *dc) database() string { return filepath.Join(d.dir, "s/private/sam.ldb") }

// start starts the controller.
func (d *dc) start() error {
	for range 50 {
		ip := fmt.Sprintf("127.%d.%d.%d", 20+random.IntN(200), random.IntN(256), 1+random.IntN(254))
		if l, err := net.Listen("tcp", ip+":389"); err == nil {
			l.Close()
			d.ip = ip
			break
		}
	}
	s := filepath.Join(d.dir, "s")
	d.ca = filepath.Join(d.dir, "cert.pem")
	if err := writeCert(d.ca, filepath.Join(d.dir, "key.pem"), d.ip, "dc1.corp.example", 24*time.Hour); err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Join(s, "run"), 0o755); err != nil {
		return err
	}
	log, err := os.Create(filepath.Join(d.dir, "samba.log"))
	if err != nil {
		return err
	}
	d.cmd = exec.Command("samba", "-s", filepath.Join(s, "etc/smb.conf"), "-i", "-M", "single",
		"--option=interfaces="+d.ip+"/8", "--option=bind interfaces only=yes", "--option=server services=ldap,kdc", "--option=dcerpc endpoint servers=-all",
		"--option=pid directory="+filepath.Join(s, "run"), "--option=ncalrpc dir="+filepath.Join(s, "run/ncalrpc"), "--option=ldb:nosync=yes",
		"--option=ldap server require strong auth=allow_sasl_over_tls", // as Microsoft's servers do
		"--option=tls certfile="+d.ca, "--option=tls keyfile="+filepath.Join(d.dir, "key.pem"), "--option=tls cafile="+d.ca)
	d.cmd.Stdout, d.cmd.Stderr = log, log
	stdin, err := d.cmd.StdinPipe()
	if err != nil {
		return err
	}
	d.stdin = stdin
	if err := d.cmd.Start(); err != nil {
		return err
	}
	running = append(running, d)
	for end := time.Now().Add(3 * time.Minute); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
		if c, err := d.dial(); err == nil {
			c.Close()
			return nil
		}
	}
	text, _ := os.ReadFile(log.Name())
	return fmt.Errorf("samba did not start:\n%s", text)
}

func (d *dc) stop() {
	if d.stdin != nil {
		d.stdin.Close()
		d.cmd.Wait()
		d.stdin = nil
	}
}

func (d *dc) url() string { return "ldaps://" + d.ip }

// dial connects as the administrator, with the library: to change the directory, and to know it by another way.
func (d *dc) dial() (*ldap.Conn, error) {
	pem, err := os.ReadFile(d.ca)
	if err != nil {
		return nil, err
	}
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(pem)
	c, err := ldap.DialURL(d.url(), ldap.DialWithTLSConfig(&tls.Config{RootCAs: pool}))
	if err != nil {
		return nil, err
	}
	if err := c.Bind(adminDN, password); err != nil {
		c.Close()
		return nil, err
	}
	return c, nil
}

func (d *dc) admin(t testing.TB) *ldap.Conn {
	t.Helper()
	c, err := d.dial()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

// writeCert makes a certificate that signs itself.
func writeCert(certFile, keyFile, ip, host string, valid time.Duration) error {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return err
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: host}, DNSNames: []string{host},
		NotBefore: time.Now().Add(valid - 48*time.Hour), NotAfter: time.Now().Add(valid), IsCA: true, BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth}}
	if ip != "" {
		template.IPAddresses = []net.IP{net.ParseIP(ip)}
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		return err
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return err
	}
	if err := os.WriteFile(certFile, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o644); err != nil {
		return err
	}
	return os.WriteFile(keyFile, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private}), 0o600)
}

// fixture writes LDIF for ldbadd.
type fixture struct{ strings.Builder }

// add adds an entry of "name: value" lines. pw: sets a password.
func (f *fixture) add(dn string, lines ...string) {
	fmt.Fprintf(f, "dn: %s\n", dn)
	for _, l := range lines {
		if secret, ok := strings.CutPrefix(l, "pw: "); ok {
			l = "unicodePwd:: " + passwordValue(secret)
		}
		f.WriteString(l + "\n")
	}
	f.WriteByte('\n')
}

// passwordValue is how a password is written into unicodePwd.
func passwordValue(secret string) string {
	var b []byte
	for _, u := range utf16.Encode([]rune(`"` + secret + `"`)) {
		b = append(b, byte(u), byte(u>>8))
	}
	return base64.StdEncoding.EncodeToString(b)
}

// bothCAs is one file that trusts several controllers.
func bothCAs(t testing.TB, dcs ...*dc) string {
	t.Helper()
	var all []byte
	for _, d := range dcs {
		pem, err := os.ReadFile(d.ca)
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

// Package ldaptest runs directories for tests: Samba as an Active Directory domain controller.
package ldaptest

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/go-ldap/ldap/v3"
)

// What every controller is made with.
const (
	Domain   = "DC=corp,DC=example"
	Admin    = "Administrator@corp.example"
	Password = "S3cret!passw0rd" // of every account that a test makes; it must show nowhere
)

// Samba makes domain controllers: the first takes seconds to provision, the others are copies of it.
type Samba struct {
	dir     string // of all its controllers
	empty   string // a provisioned controller that nobody starts
	running []*DC
}

// DC is a domain controller. Its ports are fixed, so it has a loopback address of its own.
type DC struct {
	Dir string // of its files; smb.conf and its database are in s below it
	IP  string // set once it is started
	CA  string // PEM file of its certificate

	cmd   *exec.Cmd
	stdin io.Closer // it ends when this closes, so that it can't outlive the test
}

// Missing says what keeps Samba from running here and how to mend it, nil if nothing does.
func Missing() error {
	var err error
	for _, name := range []string{"samba", "samba-tool", "ldbadd"} {
		if _, e := exec.LookPath(name); e != nil {
			err = e
		}
	}
	if err == nil && os.Geteuid() != 0 {
		err = errors.New("a domain controller needs root")
	}
	if err != nil {
		return fmt.Errorf("no Samba: %w; run as root: apt-get install --no-install-recommends samba samba-ad-provision samba-dsdb-modules samba-vfs-modules ldb-tools", err)
	}
	return nil
}

// Need skips the test where Samba can't run; in CI it fails.
func Need(t testing.TB) {
	t.Helper()
	switch err := Missing(); {
	case err == nil:
	case os.Getenv("CI") == "true":
		t.Fatal(err)
	default:
		t.Skip(err)
	}
}

// NewSamba keeps its controllers in a folder, which its caller removes after Close.
func NewSamba(dir string) *Samba { return &Samba{dir: dir} }

// Close stops every controller.
func (s *Samba) Close() {
	for _, d := range s.running {
		d.Stop()
	}
}

// New makes a domain with the entries of an LDIF and starts its controller.
func (s *Samba) New(name, ldif string) (*DC, error) {
	d, err := s.Make(name)
	if err != nil {
		return nil, err
	}
	if ldif != "" {
		if err := d.Load(ldif); err != nil {
			return nil, err
		}
	}
	return d, s.Start(d)
}

// Make makes an empty domain, and doesn't start its controller.
func (s *Samba) Make(name string) (*DC, error) {
	if s.empty == "" {
		if err := s.provision(); err != nil {
			return nil, err
		}
	}
	return s.Copy(s.empty, name)
}

func (s *Samba) provision() error {
	dir := filepath.Join(s.dir, "empty")
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	conf := filepath.Join(dir, "none.conf")
	if err := os.WriteFile(conf, nil, 0o600); err != nil {
		return err
	}
	err := Run(nil, "samba-tool", "domain", "provision", "-s", conf, "--targetdir="+filepath.Join(dir, "s"), "--realm=CORP.EXAMPLE", "--domain=CORP",
		"--server-role=dc", "--dns-backend=NONE", "--adminpass="+Password, "--host-name=dc1", "--host-ip=127.0.0.1", "--backend-store=mdb", "--backend-store-size=1Gb")
	if err == nil {
		s.empty = dir
	}
	return err
}

// Copy makes a controller of the files of another.
func (s *Samba) Copy(from, name string) (*DC, error) {
	d := &DC{Dir: filepath.Join(s.dir, name)}
	if err := Run(nil, "cp", "-a", from, d.Dir); err != nil {
		return nil, err
	}
	return d, filepath.WalkDir(d.Dir, func(path string, e fs.DirEntry, err error) error {
		if err != nil || !strings.HasSuffix(path, ".conf") {
			return err
		}
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		return os.WriteFile(path, bytes.ReplaceAll(text, []byte(from+"/"), []byte(d.Dir+"/")), 0o600)
	})
}

// Load adds entries to the database of a controller that doesn't run.
func (d *DC) Load(ldif string) error {
	return Run(strings.NewReader(ldif), "ldbadd", "-o", "batch_mode:1", "-o", "transaction_index_cache_size:200000", "-H", d.Database())
}

// Amend changes entries in the database of a controller that doesn't run, also what no server lets a client change.
func (d *DC) Amend(ldif string, controls ...string) error {
	args := []string{"-H", d.Database()}
	for _, c := range controls {
		args = append(args, "--controls="+c)
	}
	return Run(strings.NewReader(ldif), "ldbmodify", args...)
}

// Forbid takes a right from an account: sddl is an access control entry, in which %s stands for its SID, on an object.
func (d *DC) Forbid(account, object, sddl string) error {
	out, err := exec.Command("ldbsearch", "-H", d.Database(), "(sAMAccountName="+account+")", "objectSid").CombinedOutput()
	if err != nil {
		return fmt.Errorf("ldbsearch: %w\n%s", err, out)
	}
	_, sid, found := strings.Cut(string(out), "objectSid: ")
	if !found {
		return fmt.Errorf("there is no account %s", account)
	}
	sid, _, _ = strings.Cut(sid, "\n")
	return Run(nil, "samba-tool", "dsacl", "set", "-s", filepath.Join(d.Dir, "s/etc/smb.conf"), "-H", d.Database(), "--objectdn="+object, "--sddl="+fmt.Sprintf(sddl, sid))
}

// Database is the file of ldb-tools' -H.
func (d *DC) Database() string { return filepath.Join(d.Dir, "s/private/sam.ldb") }

// URL is where it is read.
func (d *DC) URL() string { return "ldaps://" + d.IP }

// Start starts a controller, which runs until it is stopped or s is closed.
func (s *Samba) Start(d *DC) error {
	for range 50 {
		ip := fmt.Sprintf("127.%d.%d.%d", 20+rand.IntN(200), rand.IntN(256), 1+rand.IntN(254))
		if l, err := net.Listen("tcp", ip+":389"); err == nil {
			l.Close()
			d.IP = ip
			break
		}
	}
	home := filepath.Join(d.Dir, "s")
	d.CA = filepath.Join(d.Dir, "cert.pem")
	key := filepath.Join(d.Dir, "key.pem")
	if err := WriteCert(d.CA, key, d.IP, "dc1.corp.example", 24*time.Hour); err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Join(home, "run"), 0o755); err != nil {
		return err
	}
	log, err := os.Create(filepath.Join(d.Dir, "samba.log"))
	if err != nil {
		return err
	}
	defer log.Close()
	d.cmd = exec.Command("samba", "-s", filepath.Join(home, "etc/smb.conf"), "-i", "-M", "single",
		"--option=interfaces="+d.IP+"/8", "--option=bind interfaces only=yes", "--option=server services=ldap,kdc", "--option=dcerpc endpoint servers=-all",
		"--option=pid directory="+filepath.Join(home, "run"), "--option=ncalrpc dir="+filepath.Join(home, "run/ncalrpc"), "--option=ldb:nosync=yes",
		"--option=ldap server require strong auth=allow_sasl_over_tls", // as Microsoft's servers do
		"--option=tls certfile="+d.CA, "--option=tls keyfile="+key, "--option=tls cafile="+d.CA)
	d.cmd.Stdout, d.cmd.Stderr = log, log
	if d.stdin, err = d.cmd.StdinPipe(); err != nil {
		return err
	}
	if err := d.cmd.Start(); err != nil {
		return err
	}
	s.running = append(s.running, d)
	for end := time.Now().Add(3 * time.Minute); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
		if c, err := d.Dial(); err == nil {
			c.Close()
			return nil
		}
	}
	text, _ := os.ReadFile(log.Name())
	return fmt.Errorf("samba did not start:\n%s", text)
}

// Stop stops the controller; it can be started again.
func (d *DC) Stop() {
	if d.stdin != nil {
		d.stdin.Close()
		_ = d.cmd.Wait() // how it ended tells nothing
		d.stdin = nil
	}
}

// Dial connects as the administrator, with the library: to change the directory, and to know it by another way.
func (d *DC) Dial() (*ldap.Conn, error) {
	pem, err := os.ReadFile(d.CA)
	if err != nil {
		return nil, err
	}
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(pem)
	c, err := ldap.DialURL(d.URL(), ldap.DialWithTLSConfig(&tls.Config{RootCAs: pool}))
	if err != nil {
		return nil, err
	}
	if err := c.Bind(Admin, Password); err != nil {
		c.Close()
		return nil, err
	}
	return c, nil
}

// Run runs a tool with what it reads; an error holds what it said.
func Run(stdin io.Reader, name string, args ...string) error {
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

package ldap

import (
	"cmp"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	ber "github.com/go-asn1-ber/asn1-ber"
	"github.com/go-ldap/ldap/v3"
	"github.com/go-ldap/ldap/v3/gssapi"

	"github.com/lapse-audit/lapse/internal/collect"
)

// session is a bound connection to one server. It is for one goroutine.
type session struct {
	*wire
	raw      net.Conn
	lib      *ldap.Conn // bound with, then left alone
	url      string
	secure   bool   // nobody on the way can read along
	identity string // as whom the server says we read
	root     rootDSE
	passed   []string // servers before it that did not answer, and why
}

// connect opens a session with the first server that answers. A server that answers and refuses us ends the search: the
// others would lock the account.
func (k *Collector) connect(ctx context.Context) (*session, error) {
	var errs []error
	for _, u := range k.config.URL {
		s, err := k.open(ctx, u)
		if err == nil {
			for _, e := range errs {
				s.passed = append(s.passed, e.Error())
			}
			return s, nil
		}
		errs = append(errs, err)
		var refused *refusal
		if ctx.Err() != nil || errors.As(err, &refused) {
			break
		}
	}
	return nil, errors.Join(errs...)
}

// refusal is a server's answer that another server would give, too.
type refusal struct{ error }

func (r *refusal) Unwrap() error { return r.error }

// open connects to one server, binds, and reads what it says of itself.
func (k *Collector) open(ctx context.Context, server string) (_ *session, err error) {
	defer func() {
		if err != nil {
			err = fmt.Errorf("%s: %w", server, err)
			if cause := context.Cause(ctx); cause != nil {
				err = cause
			}
		}
	}()
	network, address, host, err := endpoint(server)
	if err != nil {
		return nil, err
	}
	if k.pinned != "" {
		address = k.pinned
	}
	config, err := k.tls(host)
	if err != nil {
		return nil, &refusal{err}
	}
	timeout := time.Duration(k.config.Timeout)
	dialer := net.Dialer{Timeout: min(timeout, 30*time.Second)}
	raw, err := dialer.DialContext(ctx, network, address)
	if err != nil {
		return nil, err
	}
	s := &session{raw: raw, url: server}
	defer func() {
		if err != nil {
			s.close()
		}
	}()
	conn := raw
	if k.config.StartTLS && network == "tcp" {
		if err := guard(ctx, raw, timeout, func() error { return startTLS(raw) }); err != nil {
			return nil, fmt.Errorf("start TLS: %w", explain(err))
		}
	}
	secure := strings.HasPrefix(server, "ldaps:") || k.config.StartTLS && network == "tcp"
	if secure {
		c := tls.Client(raw, config)
		if err := guard(ctx, raw, timeout, c.Handshake); err != nil {
			return nil, fmt.Errorf("TLS: %w", explainTLS(err))
		}
		conn = c
	}
	shared := newTap(conn)
	s.secure = secure || network == "unix"
	s.lib = ldap.NewConn(shared, secure)
	s.lib.Start()
	if err := k.bind(ctx, s, host); err != nil {
		return nil, err
	}
	s.identity = k.describe()
	err = guard(ctx, raw, timeout, func() error {
		who, err := s.lib.WhoAmI(nil)
		if err == nil && who.AuthzID != "" {
			s.identity = who.AuthzID
		}
		return err
	})
	if err != nil && s.lib.IsClosing() {
		return nil, fmt.Errorf("ask who we are: %w", err)
	}
	if conn, err = shared.take(); err != nil {
		return nil, err
	}
	s.wire = newWire(conn, timeout)
	if s.root, err = s.readRoot(ctx); err != nil {
		return nil, fmt.Errorf("read what the server says of itself: %w", explain(err))
	}
	return s, nil
}

// startTLS asks for encryption (RFC 4511, 4.14) on a connection that nothing else reads from yet.
func startTLS(raw net.Conn) error {
	op := ber.Encode(ber.ClassApplication, ber.TypeConstructed, ldap.ApplicationExtendedRequest, nil, "")
	op.AppendChild(ber.NewString(ber.ClassContext, ber.TypePrimitive, 0, "1.3.6.1.4.1.1466.20037", ""))
	packet := ber.NewSequence("")
	packet.AppendChild(ber.NewInteger(ber.ClassUniversal, ber.TypePrimitive, ber.TagInteger, 1, ""))
	packet.AppendChild(op)
	if _, err := raw.Write(packet.Bytes()); err != nil {
		return err
	}
	reply, err := ber.ReadPacket(raw)
	if err != nil {
		return err
	}
	return ldap.GetLDAPError(reply)
}

// endpoint parts the URL of a server.
func endpoint(server string) (network, address, host string, err error) {
	if rest, ok := strings.CutPrefix(server, "ldapi:"); ok {
		name, err := url.PathUnescape(strings.TrimPrefix(rest, "//"))
		return "unix", cmp.Or(name, "/var/run/slapd/ldapi"), "localhost", err
	}
	u, err := url.Parse(server)
	if err != nil {
		return "", "", "", err
	}
	port := u.Port()
	if port == "" {
		port = map[string]string{"ldap": ldap.DefaultLdapPort, "ldaps": ldap.DefaultLdapsPort}[u.Scheme]
	}
	return "tcp", net.JoinHostPort(u.Hostname(), port), u.Hostname(), nil
}

func (k *Collector) tls(host string) (*tls.Config, error) {
	c := &tls.Config{ServerName: cmp.Or(k.config.ServerName, host), MinVersion: tls.VersionTLS12}
	if k.config.CA != "" {
		pem, err := os.ReadFile(k.path(k.config.CA))
		if err != nil {
			return nil, fmt.Errorf("ca: %w", err)
		}
		c.RootCAs = x509.NewCertPool()
		if !c.RootCAs.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("ca: %s: holds no certificate in PEM", k.config.CA)
		}
	}
	if k.config.Cert != "" {
		pair, err := tls.LoadX509KeyPair(k.path(k.config.Cert), k.path(k.config.Key))
		if err != nil {
			return nil, fmt.Errorf("cert: %w", err)
		}
		c.Certificates = []tls.Certificate{pair}
	}
	return c, nil
}

// path of a file as configured.
func (k *Collector) path(name string) string {
	if filepath.IsAbs(name) {
		return name
	}
	return filepath.Join(k.opt.Base, name)
}

func (k *Collector) bind(ctx context.Context, s *session, host string) error {
	b := k.config.Bind
	password := ""
	if b.Password.IsSet() {
		var err error
		if password, err = k.secret(ctx, b.Password); err != nil {
			return &refusal{fmt.Errorf("bind.password: %w", err)}
		}
		if b.Method == Simple && password == "" {
			return &refusal{errors.New("bind.password: is empty: the server would take the bind for an anonymous one")}
		}
	}
	var err error
	timeout := time.Duration(k.config.Timeout)
	switch b.Method {
	case Anonymous: // what a connection is until a bind
		return nil
	case Simple:
		err = guard(ctx, s.raw, timeout, func() error { return s.lib.Bind(b.DN, password) })
	case External:
		err = guard(ctx, s.raw, timeout, s.lib.ExternalBind)
	case GSSAPI:
		client, e := k.kerberos(b, password)
		if e != nil {
			return &refusal{fmt.Errorf("bind as %s: %w", k.describe(), e)}
		}
		defer client.Close()
		err = guard(ctx, s.raw, timeout, func() error { return s.lib.GSSAPIBind(client, cmp.Or(b.SPN, "ldap/"+host), "") })
	}
	if err == nil {
		return nil
	}
	var answer *ldap.Error
	if errors.As(err, &answer) && answer.ResultCode == ldap.LDAPResultInvalidCredentials {
		return &refusal{fmt.Errorf("bind as %s: %w", k.describe(), explain(err))}
	}
	if b.Method == GSSAPI && ldap.IsErrorWithCode(err, ldap.LDAPResultStrongAuthRequired) {
		return fmt.Errorf("bind as %s: the server wants every message signed and takes no encryption of the connection for it: use ldaps://, and in Samba set ldap server require strong auth = allow_sasl_over_tls (%w)", k.describe(), err)
	}
	return fmt.Errorf("bind as %s: %w", k.describe(), explain(err))
}

func (k *Collector) kerberos(b Bind, password string) (*gssapi.Client, error) {
	conf := cmp.Or(b.Krb5Conf, "/etc/krb5.conf")
	switch {
	case b.Keytab != "":
		return gssapi.NewClientWithKeytab(b.User, b.Realm, k.path(b.Keytab), k.path(conf))
	case b.User != "":
		return gssapi.NewClientWithPassword(b.User, b.Realm, password, k.path(conf))
	}
	return gssapi.NewClientFromCCache(k.path(b.CCache), k.path(conf))
}

// describe says as whom the configuration binds.
func (k *Collector) describe() string {
	b := k.config.Bind
	switch {
	case b.Method == Anonymous:
		return "anonymous"
	case b.Method == Simple:
		return b.DN
	case b.Method == GSSAPI && b.User != "":
		return b.User + "@" + b.Realm
	case b.Method == GSSAPI:
		return "the owner of " + b.CCache
	}
	return "the client's own name"
}

func (k *Collector) secret(ctx context.Context, s collect.Secret) (string, error) {
	if k.opt.Secret == nil {
		return "", errors.New("nothing here resolves secrets")
	}
	return k.opt.Secret(ctx, s)
}

// errSilent says that a server accepted something and then sent nothing.
func errSilent(d time.Duration) error {
	return fmt.Errorf("no answer for %s: see that the server isn't overloaded, or set timeout: to more", d)
}

// guard runs a request that can't be interrupted, and cuts the connection when ctx ends or nothing comes back.
func guard(ctx context.Context, raw net.Conn, timeout time.Duration, request func() error) error {
	ctx, cancel := context.WithTimeoutCause(ctx, timeout, errSilent(timeout))
	defer cancel()
	stop := context.AfterFunc(ctx, func() { raw.Close() })
	err := request()
	if !stop() {
		return context.Cause(ctx)
	}
	return err
}

// close ends the session, also one whose server hangs.
func (s *session) close() {
	s.raw.Close()
	if s.lib != nil {
		s.lib.Close()
	}
}

// rootDSE is what a server says of itself (RFC 4512, 5.1; [MS-ADTS] 3.1.1.3.2).
type rootDSE struct {
	contexts       []string // namingContexts
	defaultContext string
	configuration  string
	controls       []string
	capabilities   []string
	extensions     []string
	service        string // DN of the domain controller's settings
	host           string
	usn            string // highestCommittedUSN
	vendor         string
}

// activeDirectory is LDAP_CAP_ACTIVE_DIRECTORY_OID.
const activeDirectory = "1.2.840.113556.1.4.800"

func (r rootDSE) dialect() string {
	if slices.Contains(r.capabilities, activeDirectory) {
		return ActiveDirectory
	}
	return RFC2307
}

func (s *session) readRoot(ctx context.Context) (rootDSE, error) {
	attributes := []string{"namingContexts", "defaultNamingContext", "configurationNamingContext", "supportedControl", "supportedCapabilities",
		"supportedExtension", "dsServiceName", "dnsHostName", "highestCommittedUSN", "vendorName", "vendorVersion"}
	req := ldap.NewSearchRequest("", ldap.ScopeBaseObject, ldap.NeverDerefAliases, 0, 0, false, "(objectClass=*)", attributes, nil)
	var root rootDSE
	found := false
	for e, err := range s.search(ctx, req, nil) {
		if err != nil {
			return root, err
		}
		found = true
		v := newView()
		v.of(e)
		root = rootDSE{
			contexts: v.texts("namingcontexts"), defaultContext: v.text("defaultnamingcontext"), configuration: v.text("configurationnamingcontext"),
			controls: v.texts("supportedcontrol"), capabilities: v.texts("supportedcapabilities"), extensions: v.texts("supportedextension"),
			service: v.text("dsservicename"), host: v.text("dnshostname"), usn: v.text("highestcommittedusn"),
			vendor: strings.TrimSpace(v.text("vendorname") + " " + v.text("vendorversion")),
		}
	}
	if !found {
		return root, errors.New("it says nothing of itself: is this a directory server?")
	}
	return root, nil
}

// bases are where to read: what the configuration names, else all that holds accounts.
func (k *Collector) bases(root rootDSE) ([]string, error) {
	if len(k.config.Base) > 0 {
		return k.config.Base, nil
	}
	if root.defaultContext != "" {
		return []string{root.defaultContext}, nil
	}
	var out []string
	for _, c := range root.contexts {
		if c != "" {
			out = append(out, c)
		}
	}
	if len(out) == 0 {
		return nil, errors.New("the server doesn't say which entries it holds: name them in base: yourself")
	}
	return out, nil
}

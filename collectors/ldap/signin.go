package ldap

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/go-ldap/ldap/v3"

	"github.com/lapse-audit/lapse/internal/access"
)

// signIns are the last sign-ins at each domain controller, which keeps its own in lastLogon.
type signIns struct {
	latest  map[string]int64 // FILETIME by objectGUID
	missing []string         // domain controllers that were not asked
}

// exactSignIns asks all servers that the configuration names. One that doesn't
// answer is an error: an account that was used there would look unused.
func (k *Collector) exactSignIns(ctx context.Context, s *session, bases []string) (*signIns, error) {
	if s.root.dialect() != ActiveDirectory {
		return nil, fmt.Errorf("%s: exact_sign_in: only Active Directory keeps lastLogon", s.url)
	}
	out := &signIns{latest: map[string]int64{}}
	asked := map[string]bool{fold(s.root.service): true}
	for _, u := range k.config.URL {
		if u == s.url && k.config.Incremental.Method == "off" { // its lastLogon comes with the entries
			continue
		}
		service, err := k.lastLogons(ctx, u, bases, out.latest)
		if err != nil {
			return nil, fmt.Errorf("exact_sign_in: %w", err)
		}
		asked[fold(service)] = true
	}
	all, err := k.controllers(ctx, s)
	if err != nil {
		return nil, fmt.Errorf("exact_sign_in: list the domain controllers: %w", err)
	}
	for _, dn := range all {
		if !asked[fold(dn)] {
			out.missing = append(out.missing, dn)
		}
	}
	return out, nil
}

// fold is a DN in the form in which it is compared.
func fold(dn string) string {
	if canonical, err := canonicalDN(dn); err == nil {
		return canonical
	}
	return dn
}

// lastLogons adds the sign-ins at one server, and returns the name of its service.
func (k *Collector) lastLogons(ctx context.Context, server string, bases []string, latest map[string]int64) (service string, err error) {
	s, err := k.open(ctx, server)
	if err != nil {
		return "", err
	}
	defer s.close()
	var searches []search
	for _, base := range bases {
		searches = append(searches, search{base: base, filter: "(&(objectClass=user)(lastLogon>=1))", names: []string{"objectGUID", "lastLogon"}})
	}
	v := newView()
	for e, err := range newStream(k, s, searches).all(ctx) {
		if err != nil {
			return "", err
		}
		v.of(e.Entry)
		id := string(v.bytes("objectguid"))
		if n, err := strconv.ParseInt(v.text("lastlogon"), 10, 64); err == nil && id != "" {
			latest[id] = max(latest[id], n)
		}
	}
	return s.root.service, nil
}

// controllers are the services of all domain controllers of the domain.
func (k *Collector) controllers(ctx context.Context, s *session) ([]string, error) {
	domain := ldap.EscapeFilter(s.root.defaultContext)
	filter := fmt.Sprintf("(&(objectClass=nTDSDSA)(|(msDS-hasMasterNCs=%s)(hasMasterNCs=%s)(msDS-hasFullReplicaNCs=%s)))", domain, domain, domain)
	var out []string
	for e, err := range newStream(k, s, []search{{base: "CN=Sites," + s.root.configuration, filter: filter, names: []string{"1.1"}}}).all(ctx) {
		if err != nil {
			return nil, err
		}
		out = append(out, e.DN)
	}
	slices.Sort(out)
	return out, nil
}

// outcome says what is known of sign-ins.
func (x *signIns) outcome(out *outcome) {
	if len(x.missing) == 0 {
		out.notes = append(out.notes, "last sign-ins are from lastLogon of every domain controller")
		return
	}
	var names []string
	for _, dn := range x.missing {
		name := parentDN(dn) // CN=NTDS Settings,CN=DC2,CN=Servers,…
		if _, value, err := nameOf(name); err == nil {
			name = value
		}
		names = append(names, name)
	}
	out.coverage["last_login"] = access.CoveragePartial
	out.notes = append(out.notes, fmt.Sprintf("lastLogon was not read from %s, which url: does not name: an account may have been used there", strings.Join(names, ", ")))
}

package ldap

import (
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/go-ldap/ldap/v3"

	"github.com/lapse-audit/lapse/internal/strict"
)

// kept is a collector that keeps its entries in dir.
func kept(t testing.TB, c Config, dir, method string, now *time.Time) *Collector {
	c.Incremental.Method = method
	return collector(t, c, func(o *Options) {
		o.Private = dir
		o.Now = func() time.Time { return *now }
	})
}

func noted(s *snapshot, text string) bool {
	return slices.ContainsFunc(s.Provenance.Notes, func(n string) bool { return strings.Contains(n, text) })
}

// change is a night's work of an administrator: one of everything that the incremental read must not miss.
func churn(t testing.TB, c *ldap.Conn, night int) {
	t.Helper()
	people := "OU=People," + domain
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	add := func(dn string, attributes ...string) {
		t.Helper()
		r := ldap.NewAddRequest(dn, nil)
		for i := 0; i < len(attributes); i += 2 {
			r.Attribute(attributes[i], []string{attributes[i+1]})
		}
		must(c.Add(r))
	}
	members := func(change func(*ldap.ModifyRequest), group string) {
		t.Helper()
		r := ldap.NewModifyRequest("CN="+group+","+people, nil)
		change(r)
		must(c.Modify(r))
	}
	switch night {
	case 1: // somebody comes, is put into a group, and one is renamed who stays in his
		add("CN=Newcomer,"+people, "objectClass", "user", "sAMAccountName", "newcomer")
		members(func(r *ldap.ModifyRequest) { r.Add("member", []string{"CN=Newcomer," + people}) }, "Inner")
		must(c.ModifyDN(ldap.NewModifyDNRequest("CN=Ada Berg,OU=Berlin,"+people, "CN=Ada Berg-Okafor", true, people)))
	case 2: // one leaves the group; one is disabled
		members(func(r *ldap.ModifyRequest) { r.Delete("member", []string{"CN=Newcomer," + people}) }, "Inner")
		r := ldap.NewModifyRequest("CN=Roast,"+people, nil)
		r.Replace("userAccountControl", []string{"514"})
		must(c.Modify(r))
	case 3: // one is deleted, and another gets the name, which is in no group
		must(c.Del(ldap.NewDelRequest("CN=Ada Berg-Okafor,"+people, nil)))
		add("CN=Ada Berg-Okafor,"+people, "objectClass", "user", "sAMAccountName", "impostor")
	case 4: // a container is renamed with all that is in it
		must(c.ModifyDN(ldap.NewModifyDNRequest("OU=Service,"+domain, "OU=Services", true, "")))
	case 5: // one moves to where it is not read
		must(c.ModifyDN(ldap.NewModifyDNRequest("CN=Newcomer,"+people, "CN=Newcomer", true, "CN=Users,"+domain)))
	}
}

// After every change the incremental read gives what a full one does, whether or not the account is told of deletions, and
// it reads only what changed.
func TestIncrementalAgrees(t *testing.T) {
	d := corpDC(t)
	for _, method := range []string{DirSync, USN} {
		for _, who := range []string{adminDN, "reader@corp.example"} {
			name := method + " as " + who[:strings.IndexByte(who, '@')]
			t.Run(name, func(t *testing.T) {
				twin := d.copy(t, strings.ReplaceAll(name, " ", "-"), "")
				admin := twin.admin(t)
				config := twin.config()
				config.Bind.DN = who
				config.Base = strict.Texts{"OU=People," + domain, "OU=Service," + domain, "OU=Services," + domain, "CN=ForeignSecurityPrincipals," + domain}
				dir, now := t.TempDir(), time.Now()
				for night := range 6 {
					service := "OU=Service," + domain
					if night >= 4 {
						service = "OU=Services," + domain
					}
					config.Base = strict.Texts{"OU=People," + domain, service}
					churn(t, admin, night)
					got := take(t, kept(t, config, dir, method, &now))
					want := take(t, kept(t, config, t.TempDir(), method, &now))
					same(t, fmt.Sprintf("night %d", night), got, want)
					if len(got.accounts) != len(want.accounts) || !reflect.DeepEqual(got.Counts, want.Counts) {
						t.Errorf("night %d: %v, want %v", night, got.Counts, want.Counts)
					}
					switch whole := noted(got, "everything was read"); {
					case night == 0 && !noted(got, "there is none yet"), night == 4 && !whole, night != 0 && night != 4 && whole:
						t.Errorf("night %d: %q", night, got.Provenance.Notes)
					}
					if _, there := got.accounts["aberg"]; there != (night < 3) {
						t.Errorf("night %d: aberg is there: %v", night, there)
					}
					if inner := strings.Join(got.holders("Inner"), " "); strings.Contains(inner, "impostor") || night == 1 && inner != "[Local] aberg bob newcomer" {
						t.Errorf("night %d: Inner is %q", night, inner)
					}
				}

				// In time all is read again, and agrees.
				now = now.Add(8 * 24 * time.Hour)
				churn(t, admin, 2-1+10) // nothing
				s := take(t, kept(t, config, dir, method, &now))
				if !noted(s, "it agrees with what was kept") {
					t.Errorf("full read: %q", s.Provenance.Notes)
				}
			})
		}
	}
}

// What comes into the filter by a change of something that nobody asked for is not missed, nor is what leaves it.
func TestIncrementalFilter(t *testing.T) {
	d := corpDC(t)
	admin := d.admin(t)
	config := d.config()
	config.Filter = "(|(objectClass=group)(physicalDeliveryOfficeName=Berlin))"
	office := func(value ...string) {
		m := ldap.NewModifyRequest("CN=Roast,OU=People,"+domain, nil)
		m.Replace("physicalDeliveryOfficeName", value)
		if err := admin.Modify(m); err != nil {
			t.Fatal(err)
		}
	}
	for _, method := range []string{DirSync, USN} {
		dir, now := t.TempDir(), time.Now()
		for night, value := range [][]string{nil, {"Berlin"}, {"Paris"}} {
			office(value...)
			s := take(t, kept(t, config, dir, method, &now))
			if _, there := s.accounts["roast"]; there != (night == 1) || night > 0 && noted(s, "everything was read") {
				t.Errorf("%s, night %d: there %v, notes %q", method, night, there, s.Provenance.Notes)
			}
		}
		office()
	}

	// The log is of one naming context.
	config.Base = strict.Texts{"CN=Users," + domain, "DC=other,DC=example"}
	now := time.Now()
	if _, err := tryTake(t.Context(), kept(t, config, t.TempDir(), USN, &now)); err == nil || !strings.Contains(err.Error(), "lies outside") {
		t.Errorf("error %v", err)
	}
}

// A cache that is damaged, foreign, open to others or wrong is not believed, and the next read says so.
func TestCacheFaults(t *testing.T) {
	d := corpDC(t)
	config := d.quiet()
	now := time.Now()
	for _, c := range []struct {
		what, want string
		spoil      func(t *testing.T, file, text string)
		change     func(*Config)
	}{
		{"cut", "its end is missing", func(t *testing.T, file, text string) { os.WriteFile(file, []byte(text[:len(text)/2]), 0o600) }, nil},
		{"edited", "its sum is wrong", func(t *testing.T, file, text string) {
			os.WriteFile(file, []byte(strings.Replace(text, "aberg", "abork", 1)), 0o600)
		}, nil},
		{"not ours", "it is no cache", func(t *testing.T, file, text string) { os.WriteFile(file, []byte("dn: cn=x\n\n"), 0o600) }, nil},
		{"open", "others may read", func(t *testing.T, file, text string) { os.Chmod(file, 0o644) }, nil},
		{"another account", "another configuration, account or domain", nil, func(c *Config) { c.Bind.DN = "reader@corp.example" }},
		{"another method", "another incremental.method", nil, func(c *Config) { c.Incremental.Method = USN }},
	} {
		t.Run(c.what, func(t *testing.T) {
			dir := t.TempDir()
			take(t, kept(t, config, dir, DirSync, &now))
			file := filepath.Join(dir, "corp.ldif")
			info, err := os.Stat(file)
			if err != nil || info.Mode().Perm() != 0o600 {
				t.Fatalf("cache: %v, %v", info, err)
			}
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			if strings.Contains(string(text), password) {
				t.Error("the cache holds the password")
			}
			if c.spoil != nil {
				c.spoil(t, file, string(text))
			}
			config, method := config, DirSync
			if c.change != nil {
				c.change(&config)
				if config.Incremental.Method != "" {
					method = config.Incremental.Method
				}
			}
			s := take(t, kept(t, config, dir, method, &now))
			if !noted(s, c.want) {
				t.Errorf("notes %q, want %q", s.Provenance.Notes, c.want)
			}
			s = take(t, kept(t, config, dir, method, &now))
			if noted(s, "everything was read") {
				t.Errorf("the new cache is not used: %q", s.Provenance.Notes)
			}
			if left, _ := filepath.Glob(filepath.Join(dir, "*.new-*")); left != nil {
				t.Errorf("left over: %q", left)
			}
		})
	}
}

// A read that breaks leaves the cache as it was.
func TestBrokenReadKeepsCache(t *testing.T) {
	d := corpDC(t)
	dir, now := t.TempDir(), time.Now()
	config := d.quiet()
	take(t, kept(t, config, dir, USN, &now))
	file := filepath.Join(dir, "corp.ldif")
	before, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	now = now.Add(8 * 24 * time.Hour)
	p := newProxy(t, d)
	p.entry = func(_ int64, dn string) fault {
		if strings.HasPrefix(dn, "CN=Outer") {
			return tooMany
		}
		return pass
	}
	broken := config
	broken.URL, broken.CA = strict.Texts{p.url}, p.ca
	if _, err := tryTake(t.Context(), kept(t, broken, dir, USN, &now)); err == nil {
		t.Fatal("no error")
	}
	after, err := os.ReadFile(file)
	if err != nil || string(after) != string(before) {
		t.Errorf("the cache was changed by a read that broke (%v)", err)
	}
	if left, _ := filepath.Glob(filepath.Join(dir, "*.new-*")); left != nil {
		t.Errorf("left over: %q", left)
	}
}

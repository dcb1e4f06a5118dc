package ldap

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/go-ldap/ldap/v3"
	diff "github.com/google/go-cmp/cmp"

	"github.com/lapse-audit/lapse/collectors/ldap/ldaptest"
	"github.com/lapse-audit/lapse/internal/access"
	"github.com/lapse-audit/lapse/internal/strict"
	"github.com/lapse-audit/lapse/internal/synth"
)

const demoDomain = "DC=corp,DC=planetary,DC=example"

// demoConfig reads the made-up company's directory below a domain.
func demoConfig(url, domain string) Config {
	return Config{URL: strict.Texts{url}, Fields: map[string]string{"owner_id": "manager"}, Kinds: []Kind{
		{Kind: access.KindHuman, OU: "OU=Users," + domain}, {Kind: access.KindService, OU: "OU=Service," + domain}, {Kind: access.KindShared, OU: "OU=Shared," + domain},
	}}
}

// The directory of a made-up company holds in LDIF what its maker says of it.
func TestDemoDirectory(t *testing.T) {
	company := synth.New(synth.Config{Seed: 7, People: 600})
	dir := t.TempDir()
	for _, n := range []int{0, 15} {
		if err := company.WriteExports(dir, n); err != nil {
			t.Fatal(err)
		}
		s := take(t, collector(t, demoConfig("ldif:"+filepath.Join(dir, synth.Exports, synth.AD, synth.DirectoryLDIF), demoDomain)))
		if s.Rejected != 0 {
			t.Errorf("rejected: %v", s.Rejections)
		}
		var want, got []string
		// The directory names an owner by DN, which the collector turns into the employee id of that account or, where it has
		// none, its e-mail address. Whoever has no account, or none yet, can't be named.
		owners, mail, id := map[string]bool{}, map[string]string{}, map[string]string{}
		for _, a := range s.accounts {
			owners[cmp.Or(a.EmployeeID, a.Email, a.Username)] = true
			if a.EmployeeID != "" {
				id[a.Email] = a.EmployeeID
			}
		}
		for r := range company.Records(synth.HR, n) {
			p := r.(access.Person)
			mail[p.ID] = p.Email
		}
		owner := func(name string) string {
			for _, known := range []string{id[name], name, mail[name]} {
				if owners[known] {
					return known
				}
			}
			return ""
		}
		for r := range company.Records(synth.AD, n) {
			switch r := r.(type) {
			case access.Account:
				r.OwnerID = owner(r.OwnerID)
				want = append(want, showDemoAccount(r))
			case access.Entitlement:
				want = append(want, fmt.Sprint(r.ID, r.Name, r.Kind, r.Resource, owner(r.OwnerID)))
			case access.Grant:
				want = append(want, fmt.Sprint(r.HolderKind, r.HolderID, r.EntitlementID))
			}
		}
		users := s.entitlements["Domain Users"].ID // everybody's primary group, of which the other exports don't speak
		for _, a := range s.accounts {
			got = append(got, showDemoAccount(a))
		}
		for _, e := range s.entitlements {
			if e.ID != users {
				got = append(got, fmt.Sprint(e.ID, e.Name, e.Kind, e.Resource, e.OwnerID))
			}
			if name := e.Name; name == "Domain Admins" || name == "Server Operators" || strings.HasPrefix(name, "List ") {
				if privileged := !strings.HasPrefix(name, "List "); e.Privileged == nil || *e.Privileged != privileged {
					t.Errorf("%s: privileged %s", name, showFlag(e.Privileged))
				}
			}
		}
		for _, g := range s.grants {
			if g.EntitlementID != users {
				got = append(got, fmt.Sprint(g.HolderKind, g.HolderID, g.EntitlementID))
			}
		}
		slices.Sort(want)
		slices.Sort(got)
		if d := diff.Diff(want, got); d != "" {
			t.Errorf("night %d, its maker and the LDIF (-, +):\n%s", n, d)
		}
	}
}

func showDemoAccount(a access.Account) string {
	return fmt.Sprint(a.ID, " ", a.Username, " ", a.Email, " ", a.Name, " ", a.EmployeeID, " ", a.Kind, showFlag(a.Enabled), showTime(a.CreatedAt), showTime(a.LastLoginAt), showFlag(a.NeverLoggedIn), " ", a.OwnerID)
}

// loadDemo makes a domain controller that holds the directory of an LDIF. What only a domain gives stays the domain's own:
// objectGUID and objectSid, and the groups that each has from the start. Members, owners and times come in a second step,
// when everybody is there.
func loadDemo(t testing.TB, file string) *dc {
	t.Helper()
	f, err := os.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var add, change strings.Builder
	here := func(s string) string { return strings.ReplaceAll(s, demoDomain, domain) }
	builtin := []string{"CN=Domain Users,CN=Users," + domain, "CN=Domain Admins,CN=Users," + domain, "CN=Server Operators,CN=Builtin," + domain}
	later := []string{"member", "managedBy", "manager", "whenCreated", "lastLogonTimestamp", "adminCount"}
	own := []string{"objectGUID", "objectSid", "primaryGroupID"}
	for e, err := range readLDIF(f, file) {
		if err != nil {
			t.Fatal(err)
		}
		first, second := &ldap.Entry{DN: here(e.DN)}, &ldap.Entry{DN: here(e.DN)}
		for _, a := range e.Attributes {
			for i, v := range a.Values {
				a.Values[i] = here(v)
			}
			switch {
			case slices.Contains(own, a.Name):
			case slices.Contains(later, a.Name):
				second.Attributes = append(second.Attributes, a)
			default:
				first.Attributes = append(first.Attributes, a)
			}
		}
		if !slices.Contains(builtin, first.DN) {
			if err := writeLDIF(&add, first); err != nil {
				t.Fatal(err)
			}
		}
		for _, a := range second.Attributes {
			var b strings.Builder
			if err := writeLDIF(&b, &ldap.Entry{DN: second.DN, Attributes: []*ldap.EntryAttribute{a}}); err != nil {
				t.Fatal(err)
			}
			how := "replace"
			if a.Name == "member" {
				how = "add" // Domain Admins has one already
			}
			dn, values, _ := strings.Cut(b.String(), "\n")
			fmt.Fprintf(&change, "%s\nchangetype: modify\n%s: %s\n%s", dn, how, a.Name, values)
		}
	}
	d := newDC(t, "demo", add.String())
	d.Stop()
	if err := d.Amend(change.String()); err != nil {
		t.Fatal(err)
	}
	if err := samba.Start(d.DC); err != nil {
		t.Fatal(err)
	}
	return d
}

// The directory of a made-up company, loaded into a real domain and read over LDAP, is what it is in its file, and the same
// is found in it. Ids differ, as a domain gives its own: accounts and groups are compared by name.
func TestDemoInSamba(t *testing.T) {
	ldaptest.Need(t)
	const night = 10
	company := synth.New(synth.Config{Seed: 7, People: 300})
	dir := t.TempDir()
	if err := company.WriteExports(dir, night); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(dir, synth.Exports, synth.AD, synth.DirectoryLDIF)
	d := loadDemo(t, file)
	online := demoConfig(d.URL(), domain)
	online.CA, online.Bind = d.CA, Bind{Method: Simple, DN: adminDN, Password: secretRef}
	server := take(t, collector(t, online))
	export := take(t, collector(t, demoConfig("ldif:"+file, demoDomain)))

	// A domain has accounts and groups of its own: the comparison is of those in the file.
	if d := diff.Diff(export.byName(export), server.byName(export)); d != "" {
		t.Errorf("from the file and over LDAP (-, +):\n%s", d)
	}
	if len(export.accounts) < 300 || len(server.accounts) < len(export.accounts) {
		t.Errorf("%d accounts in the file, %d in the domain", len(export.accounts), len(server.accounts))
	}

	t.Run("findings", func(t *testing.T) {
		at := company.RunTime(night)
		offline := scanned(t, dir, company.ConfigLDIF(), at, export)
		secret := filepath.Join(dir, "password")
		if err := os.WriteFile(secret, []byte(password), 0o600); err != nil {
			t.Fatal(err)
		}
		text := strings.ReplaceAll(company.ConfigLDIF(), demoDomain, domain)
		text = strings.Replace(text, "url: ldif:exports/ad/directory.ldif", fmt.Sprintf("url: %s\n    ca: %s\n    bind: {dn: %s, password: %q}", d.URL(), d.CA, adminDN, "file:"+secret), 1)
		online := scanned(t, dir, text, at, server)
		online = slices.DeleteFunc(online, func(f string) bool { // of the domain's own accounts and groups
			name := strings.Split(f, "\t")[2]
			_, account := export.accounts[name]
			_, group := export.entitlements[name]
			return strings.Contains(f, "\tad ") && !account && !group
		})
		if d := diff.Diff(offline, online); d != "" {
			t.Errorf("found in the file and over LDAP (-, +):\n%s", d)
		}
		inDirectory := 0
		for _, f := range offline {
			if strings.Contains(f, "\tad ") {
				inDirectory++
			}
		}
		if inDirectory < 20 {
			t.Errorf("only %d findings in the directory", inDirectory)
		}
		t.Logf("%d findings, %d in the directory", len(offline), inDirectory)
	})
}

// byName are the records without ids, of the accounts and groups that only has.
func (s *snapshot) byName(only *snapshot) []string {
	var out []string
	for name, a := range s.accounts {
		if _, ok := only.accounts[name]; ok {
			a.ID = ""
			out = append(out, showDemoAccount(a))
		}
	}
	for name, e := range s.entitlements {
		if _, ok := only.entitlements[name]; ok {
			out = append(out, fmt.Sprint(name, " ", e.Kind, " ", showFlag(e.Privileged), " ", e.OwnerID))
		}
	}
	for _, g := range s.grants {
		holder, group := s.names[g.HolderID], s.names[g.EntitlementID]
		_, account := only.accounts[holder]
		_, nested := only.entitlements[holder]
		if _, ok := only.entitlements[group]; ok && (account || nested) {
			out = append(out, fmt.Sprintf("%s %s holds %s", g.HolderKind, holder, group))
		}
	}
	slices.Sort(out)
	return out
}

// scanned are the findings of the program itself, over the exports of a folder: policy, source and kind, name, key.
func scanned(t *testing.T, dir, config string, at time.Time, directory *snapshot) []string {
	t.Helper()
	if os.Getenv("LAPSE_LIBCHDB") == "" {
		if os.Getenv("CI") == "true" {
			t.Fatal("LAPSE_LIBCHDB is not set")
		}
		t.Skip("LAPSE_LIBCHDB is not set: run `make test`")
	}
	program := filepath.Join(work, "lapse")
	if _, err := os.Stat(program); err != nil {
		if out, err := exec.Command("go", "build", "-o", program, "github.com/lapse-audit/lapse/cmd/lapse").CombinedOutput(); err != nil {
			t.Fatalf("go build: %v\n%s", err, out)
		}
	}
	home := t.TempDir()
	if err := os.Symlink(filepath.Join(dir, synth.Exports), filepath.Join(home, synth.Exports)); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(home, "lapse.yaml"), []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	lapse := func(args ...string) []byte {
		cmd := exec.Command(program, append(args, "--at", at.Format(time.RFC3339))...)
		cmd.Dir = home
		var stdout, stderr bytes.Buffer
		cmd.Stdout, cmd.Stderr = &stdout, &stderr
		if err := cmd.Run(); err != nil {
			t.Fatalf("lapse %s: %v\n%s%s", args[0], err, &stdout, &stderr)
		}
		return stdout.Bytes()
	}
	lapse("scan", "--no-report")
	var findings []struct {
		Policy, Source, Key, Name string
		SubjectKind               string `json:"subject_kind"`
		SubjectID                 string `json:"subject_id"`
	}
	text := lapse("findings", "list", "--status", "all", "--format", "json")
	if err := json.Unmarshal(text, &findings); err != nil {
		t.Fatalf("%v in %.300s", err, text)
	}
	var out []string
	for _, f := range findings {
		name := f.SubjectID
		if f.Source == synth.AD {
			name = directory.names[f.SubjectID]
			f.Key = cmp.Or(directory.names[f.Key], f.Key)
		}
		out = append(out, fmt.Sprintf("%s\t%s %s\t%s\t%s", f.Policy, f.Source, f.SubjectKind, name, f.Key))
	}
	slices.Sort(out)
	return out
}

package ldap

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/lapse-audit/lapse/internal/strict"
)

// plain is what can be told of a directory's files by looking at their lines.
type plain struct {
	people map[string][3]string // username, name and e-mail by DN
	groups map[string][]string  // DNs of members by name
}

func plainly(t *testing.T, files []string) plain {
	t.Helper()
	p := plain{map[string][3]string{}, map[string][]string{}}
	for _, f := range files {
		text, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		for block := range strings.SplitSeq(string(text), "\n\n") {
			first := map[string]string{}
			var members []string
			for line := range strings.SplitSeq(block, "\n") {
				name, value, ok := strings.Cut(line, ": ")
				if !ok || strings.HasPrefix(line, " ") || strings.HasPrefix(line, "#") {
					continue
				}
				if first[name] == "" {
					first[name] = value
				}
				if name == "member" {
					members = append(members, value)
				}
			}
			switch {
			case strings.Contains(block, "\nobjectClass: inetOrgPerson"):
				name := first["displayName"]
				if name == "" {
					name = first["cn"]
				}
				p.people[first["dn"]] = [3]string{first["uid"], name, first["mail"]}
			case strings.Contains(block, "\nobjectclass: Group"):
				p.groups[first["cn"]] = members
			}
		}
	}
	return p
}

// A directory that others made, in OpenLDAP and as the files it is made of.
func TestPlanetExpress(t *testing.T) {
	root := os.Getenv("LAPSE_REALDATA")
	if root == "" {
		t.Skip("set LAPSE_REALDATA to a folder of real exports")
	}
	files, err := filepath.Glob(filepath.Join(root, "planetexpress/rootfs/opt/openldap/bootstrap/data/*.ldif"))
	if err != nil || len(files) == 0 {
		t.Skipf("no planetexpress in %s: %v", root, err)
	}
	var text strings.Builder
	text.WriteString("dn: dc=planetexpress,dc=com\nobjectClass: domain\ndc: planetexpress\n\n")
	config := Config{}
	for _, f := range files {
		config.URL = append(config.URL, "ldif:"+f)
		b, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		text.Write(b)
		text.WriteByte('\n')
	}
	want := plainly(t, files)
	if len(want.people) < 5 || len(want.groups) < 2 {
		t.Fatalf("the lines show %d people and %d groups: have the files changed?", len(want.people), len(want.groups))
	}

	server := startSlapdWith(t, text.String(), slapdConfig{global: `attributetype ( 1.2.840.113556.1.4.750 NAME 'groupType' SYNTAX 1.3.6.1.4.1.1466.115.121.1.27 SINGLE-VALUE )
objectclass ( 1.2.840.113556.1.5.8 NAME 'Group' SUP top STRUCTURAL MUST ( groupType $ cn ) MAY ( member ) )`})
	online := take(t, collector(t, Config{URL: strict.Texts{server.url}}))
	exported := take(t, fromLDIF(t, server.export(t)))
	offline := take(t, collector(t, config))

	if d := cmp.Diff(online.records(), exported.records()); d != "" {
		t.Errorf("from the server and from its export (-, +):\n%s", d)
	}
	// The files hold no entryUUID and no createTimestamp: those are the server's own.
	if d := cmp.Diff(online.byDN(), offline.byDN()); d != "" {
		t.Errorf("from the server and from the files (-, +):\n%s", d)
	}

	got := plain{map[string][3]string{}, map[string][]string{}}
	dns := map[string]string{}
	for _, a := range offline.accounts {
		dns[a.ID] = a.Attributes["dn"]
		got.people[a.Attributes["dn"]] = [3]string{a.Username, a.Name, a.Email}
		if a.Enabled != nil || a.LastLoginAt != nil || a.NeverLoggedIn != nil || a.Kind != "" {
			t.Errorf("nothing tells this of %s", showAccount(a))
		}
	}
	for _, e := range offline.entitlements {
		got.groups[e.Name] = nil
	}
	names := map[string]string{}
	for _, e := range offline.entitlements {
		names[e.ID] = e.Name
	}
	for _, g := range offline.grants {
		got.groups[names[g.EntitlementID]] = append(got.groups[names[g.EntitlementID]], dns[g.HolderID])
	}
	for _, lists := range []map[string][]string{got.groups, want.groups} {
		for _, members := range lists {
			slices.Sort(members)
		}
	}
	if d := cmp.Diff(want, got, cmp.AllowUnexported(plain{})); d != "" {
		t.Errorf("by looking at the lines and by the collector (-, +):\n%s", d)
	}
}

// byDN are the records with each id replaced by the DN of its entry, and without what differs with it.
func (s *snapshot) byDN() []string {
	dn := map[string]string{}
	canonical := func(attributes map[string]string) string {
		c, err := canonicalDN(attributes["dn"])
		if err != nil {
			return err.Error()
		}
		return c
	}
	var out []string
	for _, a := range s.accounts {
		dn[a.ID] = canonical(a.Attributes)
		a.Attributes = withoutIDFrom(a.Attributes)
		a.CreatedAt = nil
		out = append(out, showAccount(a))
	}
	for _, e := range s.entitlements {
		dn[e.ID] = canonical(e.Attributes)
		out = append(out, fmt.Sprint("entitlement ", e.Name, e.Kind, e.Resource, showFlag(e.Privileged), e.OwnerID, withoutIDFrom(e.Attributes)))
	}
	for _, g := range s.grants {
		out = append(out, fmt.Sprintf("%s %s holds %s", g.HolderKind, dn[g.HolderID], dn[g.EntitlementID]))
	}
	slices.Sort(out)
	return out
}

func withoutIDFrom(attributes map[string]string) map[string]string {
	out := map[string]string{}
	for k, v := range attributes {
		if k != "id_from" {
			out[k] = v
		}
	}
	return out
}

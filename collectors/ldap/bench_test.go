package ldap

import (
	"bufio"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"sync"
	"testing"
	"time"

	"github.com/go-ldap/ldap/v3"

	"github.com/lapse-audit/lapse/collectors/ldap/ldaptest"
	"github.com/lapse-audit/lapse/internal/access"
	"github.com/lapse-audit/lapse/internal/collect"
	"github.com/lapse-audit/lapse/internal/collect/collecttest"
	"github.com/lapse-audit/lapse/internal/strict"
)

type nowhere struct{ n int }

func (d *nowhere) Put(access.Record) error        { d.n++; return nil }
func (d *nowhere) Reject(collect.Rejection) error { return nil }

// BenchmarkRead reads 100,000 entries from slapd: through the collector and the runner, as a scan does; with the library's
// SearchWithPaging, which keeps them all; and with OpenLDAP's ldapsearch. All ask for the same. The metrics
// compare within one run.
func BenchmarkRead(b *testing.B) {
	const n = 100_000
	var f ldaptest.LDIF
	f.Add("dc=example,dc=test", "objectClass: domain")
	for i := range n {
		f.Add(fmt.Sprintf("uid=user%06d,dc=example,dc=test", i), "objectClass: inetOrgPerson", "objectClass: posixAccount", "objectClass: shadowAccount",
			fmt.Sprintf("uid: user%06d", i), fmt.Sprintf("cn: Given Name %d", i), fmt.Sprintf("sn: Name %d", i), fmt.Sprintf("displayName: Name %d, Given", i),
			fmt.Sprintf("mail: user%06d@example.test", i), fmt.Sprintf("employeeNumber: %d", i), fmt.Sprintf("uidNumber: %d", 10000+i), "gidNumber: 100",
			fmt.Sprintf("homeDirectory: /home/user%06d", i), "loginShell: /bin/bash", "title: Engineer", "departmentNumber: 42", "telephoneNumber: +49 30 1234567",
			"shadowLastChange: 19000", "shadowMax: 90", "description: made up")
	}
	s := startSlapdWith(b, f.String(), slapdConfig{})
	k := collector(b, Config{URL: strict.Texts{s.url}, Base: strict.Texts{s.suffix}})
	q := newRFC2307(reading{config: &k.config, given: func(string) bool { return true }}).query()
	mine := func() {
		out := &nowhere{}
		if _, err := collect.Run(b.Context(), k, out, collect.Options{Limits: collect.DefaultLimits(), Now: time.Now()}); err != nil || out.n != n {
			b.Fatal(out.n, err)
		}
	}
	library := func() {
		c, err := ldap.DialURL(s.url)
		if err != nil {
			b.Fatal(err)
		}
		defer c.Close()
		res, err := c.SearchWithPaging(ldap.NewSearchRequest(s.suffix, ldap.ScopeWholeSubtree, ldap.NeverDerefAliases, 0, 0, false, q.filter, q.attributes, nil), 1000)
		if err != nil || len(res.Entries) != n {
			b.Fatal(err)
		}
	}
	tool := func() {
		args := []string{"-x", "-LLL", "-H", s.url, "-b", s.suffix, "-E", "pr=1000/noprompt", q.filter}
		if err := exec.Command("ldapsearch", append(args, q.attributes...)...).Run(); err != nil {
			b.Fatal(err)
		}
	}
	var took [3]time.Duration
	var peak [2]uint64
	for b.Loop() {
		for i, read := range []func(){mine, library, tool} {
			stop := watchHeap(b)
			start := time.Now()
			read()
			took[i] += time.Since(start)
			if high := stop(); i < len(peak) {
				peak[i] = max(peak[i], high)
			}
		}
	}
	b.ReportMetric(float64(n*b.N)/took[0].Seconds(), "entries/s")
	b.ReportMetric(took[1].Seconds()/took[0].Seconds(), "x-of-SearchWithPaging")
	b.ReportMetric(took[2].Seconds()/took[0].Seconds(), "x-of-ldapsearch")
	b.ReportMetric(float64(peak[0])/(1<<20), "MiB")
	b.ReportMetric(float64(peak[1])/(1<<20), "MiB-of-SearchWithPaging")
}

// watchHeap returns a function that says how large the heap was at most since.
func watchHeap(b *testing.B) func() uint64 {
	runtime.GC()
	done := make(chan struct{})
	var high uint64
	var all sync.WaitGroup
	all.Go(func() {
		tick := time.NewTicker(20 * time.Millisecond)
		defer tick.Stop()
		var m runtime.MemStats
		for {
			select {
			case <-tick.C:
				runtime.ReadMemStats(&m)
				high = max(high, m.HeapInuse)
			case <-done:
				return
			}
		}
	})
	return func() uint64 { close(done); all.Wait(); return high }
}

// BenchmarkLDIF reads LAPSE_BENCH_ACCOUNTS accounts, 100,000 by default, and a group for each thousand, from an export of
// Active Directory, through the runner as a scan does. Each account has two memberships: its primary group's is told by the account,
// the other by the group.
func BenchmarkLDIF(b *testing.B) {
	n := collecttest.Accounts(b, 100_000)
	file := filepath.Join(b.TempDir(), "ad.ldif")
	f, err := os.Create(file)
	if err != nil {
		b.Fatal(err)
	}
	w := bufio.NewWriter(f)
	guid := func(i int) string {
		return base64.StdEncoding.EncodeToString(binary.BigEndian.AppendUint64(make([]byte, 8), uint64(i)))
	}
	sid := func(rid int) string {
		b := []byte{1, 5, 0, 0, 0, 0, 0, 5}
		for _, part := range []int{21, 1004336348, 1177238915, 682003330, rid} {
			b = binary.LittleEndian.AppendUint32(b, uint32(part))
		}
		return base64.StdEncoding.EncodeToString(b)
	}
	const base, users = "DC=corp,DC=example", 513
	fmt.Fprintf(w, "dn: %s\nobjectClass: domainDNS\nobjectGUID:: %s\n\n", base, guid(0))
	for i := range n {
		fmt.Fprintf(w, "dn: CN=User %[1]d,OU=People,%[2]s\nobjectClass: user\nsAMAccountName: user%07[1]d\ndisplayName: User %[1]d\nmail: user%[1]d@corp.example\nemployeeID: %[1]d\nuserAccountControl: 512\n"+
			"whenCreated: 20190304050607.0Z\nlastLogonTimestamp: 134000000000000000\nprimaryGroupID: %[5]d\nobjectGUID:: %[3]s\nobjectSid:: %[4]s\n\n", i, base, guid(i+1), sid(1000+i), users)
	}
	members := n
	fmt.Fprintf(w, "dn: CN=Domain Users,OU=Groups,%s\nobjectClass: group\nsAMAccountName: Domain Users\ngroupType: -2147483646\nobjectGUID:: %s\nobjectSid:: %s\n\n", base, guid(2*n+1), sid(users))
	for g := range n / 1000 {
		fmt.Fprintf(w, "dn: CN=Group %[1]d,OU=Groups,%[2]s\nobjectClass: group\nsAMAccountName: group%[1]d\ngroupType: -2147483646\nobjectGUID:: %[3]s\n", g, base, guid(n+1+g))
		for i := range 1000 {
			fmt.Fprintf(w, "member: CN=User %d,OU=People,%s\n", g*1000+i, base)
			members++
		}
		w.WriteByte('\n')
	}
	if err := w.Flush(); err != nil {
		b.Fatal(err)
	}
	if err := f.Close(); err != nil {
		b.Fatal(err)
	}
	k := collector(b, Config{URL: strict.Texts{"ldif:" + file}, Kinds: []Kind{{Kind: access.KindHuman, OU: "OU=People," + base}}})
	most := 0.0
	for b.Loop() {
		most = max(most, collecttest.Grown(func() {
			out := &nowhere{}
			if _, err := collect.Run(b.Context(), k, out, collect.Options{Limits: collect.DefaultLimits(), Now: time.Now()}); err != nil || out.n < n+members {
				b.Fatal(out.n, err)
			}
		}))
	}
	b.ReportMetric(float64(n*b.N)/b.Elapsed().Seconds(), "accounts/s")
	b.ReportMetric(most, "MiB")
}

// BenchmarkLDIFByLogin does so with a directory whose groups name their members by login names.
func BenchmarkLDIFByLogin(b *testing.B) {
	n := collecttest.Accounts(b, 100_000)
	file := filepath.Join(b.TempDir(), "posix.ldif")
	f, err := os.Create(file)
	if err != nil {
		b.Fatal(err)
	}
	w := bufio.NewWriter(f)
	for i := range n {
		fmt.Fprintf(w, "dn: uid=user%[1]d,ou=people,dc=example\nobjectClass: inetOrgPerson\nobjectClass: posixAccount\nuid: user%[1]d\ncn: User %[1]d\nmail: user%[1]d@corp.example\nemployeeNumber: %[1]d\n"+
			"uidNumber: %[1]d\ngidNumber: 513\nentryUUID: %08[1]x-0000-1000-8000-00000000abcd\n\n", i)
	}
	fmt.Fprintf(w, "dn: cn=users,ou=groups,dc=example\nobjectClass: posixGroup\ncn: users\ngidNumber: 513\nentryUUID: ffffffff-0000-1000-8000-00000000abcd\n\n")
	members := n
	for g := range n / 1000 {
		fmt.Fprintf(w, "dn: cn=g%[1]d,ou=groups,dc=example\nobjectClass: posixGroup\ncn: g%[1]d\ngidNumber: %[2]d\nentryUUID: ffffffff-0000-1000-8000-%012[1]d\n", g, 1000+g)
		for i := range 1000 {
			fmt.Fprintf(w, "memberUid: user%d\n", g*1000+i)
			members++
		}
		w.WriteByte('\n')
	}
	if err := w.Flush(); err != nil {
		b.Fatal(err)
	}
	if err := f.Close(); err != nil {
		b.Fatal(err)
	}
	k := collector(b, Config{URL: strict.Texts{"ldif:" + file}})
	most := 0.0
	for b.Loop() {
		most = max(most, collecttest.Grown(func() {
			out := &nowhere{}
			if _, err := collect.Run(b.Context(), k, out, collect.Options{Limits: collect.DefaultLimits(), Now: time.Now()}); err != nil || out.n < n+members {
				b.Fatal(out.n, err)
			}
		}))
	}
	b.ReportMetric(float64(n*b.N)/b.Elapsed().Seconds(), "accounts/s")
	b.ReportMetric(most, "MiB")
}

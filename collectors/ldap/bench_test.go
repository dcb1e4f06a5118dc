package ldap

import (
	"fmt"
	"os/exec"
	"runtime"
	"sync"
	"testing"
	"time"

	"github.com/go-ldap/ldap/v3"

	"github.com/lapse-audit/lapse/collectors/ldap/ldaptest"
	"github.com/lapse-audit/lapse/internal/access"
	"github.com/lapse-audit/lapse/internal/collect"
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

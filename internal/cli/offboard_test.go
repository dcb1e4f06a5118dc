package cli_test

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/lapse-audit/lapse/collectors/ldap/ldaptest"
)

// offboarded takes a leaver out of the domain: planned from what the directory says now, killed twice on the way, read by
// OpenLDAP's client, certified and undone. It works on the store of a configuration, at a time after its last run.
func (d *domain) offboarded(t *testing.T, store string, leaver int, at time.Time) {
	t.Helper()
	when := func(hours int) string { return at.Add(time.Duration(hours) * time.Hour).Format(time.RFC3339) }
	if err := os.Chtimes(filepath.Join(d.dir, "people.csv"), at, at); err != nil {
		t.Fatal(err)
	}
	key := regexp.MustCompile(`key: (\S+)`).FindStringSubmatch(lapse(t, d.dir, "approve", "--new-key", "boss.pem"))[1]
	config := d.config(t, store, ldaptest.Admin, fmt.Sprintf(`    dialect: active_directory
    guard: {max_coverage_loss: 1}
    write:
      bind: {dn: %s, password: "file:password"}
remediation:
  window: any
  contact: it@corp.example
  approvers: [{id: "hr:E1", key: %s}]
  offboard:
  - {do: handover, after: 0h}
  - {do: disable, after: 0h}
  - {do: revoke, after: 0h}
`, ldaptest.Admin, key))
	entry := func() string {
		var parts []string
		for _, attribute := range []string{"userAccountControl", "info", "memberOf"} {
			for dn, values := range d.search(t, "(sAMAccountName="+userName(leaver)+")", attribute) {
				parts = append(parts, fmt.Sprint(dn, " ", attribute, " ", values))
			}
		}
		return strings.Join(parts, "\n")
	}
	was := entry()

	out := lapse(t, d.dir, "offboard", fmt.Sprintf("hr:E%d", leaver), "--config", config, "--by", "hr:E2", "--at", when(0))
	plan := regexp.MustCompile(`plan-\w+`).FindString(out)
	lapse(t, d.dir, "approve", plan, "--config", config, "--key", "boss.pem")
	for _, wait := range []time.Duration{600 * time.Millisecond, 1500 * time.Millisecond} {
		cmd, _, _ := command(t, d.dir, "apply", plan, "--config", config, "--by", "hr:E3", "--at", when(1))
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		time.Sleep(wait)
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	}
	// Whoever held the lease is dead, and it is known to be.
	cmd, stdout, stderr := command(t, d.dir, "apply", plan, "--config", config, "--by", "hr:E3", "--at", when(2))
	_ = cmd.Run() // it may have been done before it was killed
	now := entry()
	if !strings.Contains(now, "userAccountControl [546]") || !strings.Contains(now, plan) || !strings.Contains(now, "memberOf []") {
		t.Errorf("another client sees\n%s\nit was\n%s\n%s%s", now, was, stdout, stderr)
	}
	certificate := lapse(t, d.dir, "offboard", "certificate", plan, "--config", config, "--at", when(3))
	if !regexp.MustCompile(`ad +` + userName(leaver) + ` +disable +done .*read back from the system`).MatchString(certificate) {
		t.Errorf("the certificate:\n%s", certificate)
	}
	if undo := lapse(t, d.dir, "undo", plan, "--config", config, "--by", "hr:E3"); entry() != was {
		t.Errorf("after undoing another client sees\n%s\nit was\n%s\n%s", entry(), was, undo)
	}
	lapse(t, d.dir, "ledger", "verify", "--config", config)
}

package ldap

import (
	"fmt"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/lapse-audit/lapse/internal/collect"
	"github.com/lapse-audit/lapse/internal/strict"
)

func diagnose(t testing.TB, k *Collector) []collect.Advice {
	t.Helper()
	advice, err := k.Diagnose(t.Context())
	if err != nil {
		t.Fatalf("diagnose: %v", err)
	}
	for _, a := range advice {
		if strings.Contains(a.Detail, password) || strings.Contains(a.Detail, "\n") {
			t.Errorf("%s: %q", a.What, a.Detail)
		}
	}
	return advice
}

// find returns the first advice on something.
func find(advice []collect.Advice, what string) collect.Advice {
	for _, a := range advice {
		if a.What == what {
			return a
		}
	}
	return collect.Advice{}
}

func TestDoctor(t *testing.T) {
	d := corpDC(t)
	admin := diagnose(t, collector(t, d.config()))
	for _, a := range admin {
		if a.Missing {
			t.Errorf("the administrator lacks %s: %s", a.What, a.Detail)
		}
	}
	if a := find(admin, "writing userAccountControl"); !strings.Contains(a.Detail, "can disable accounts") {
		t.Errorf("writing as administrator: %q", a.Detail)
	}
	if a := find(admin, "password policies"); a.Detail != "1 can be read" {
		t.Errorf("password policies: %q", a.Detail)
	}

	config := d.config()
	config.Bind.DN = "reader@corp.example"
	reader := diagnose(t, collector(t, config))
	if a := find(reader, "userAccountControl"); !a.Missing || !strings.Contains(a.Detail, "at 4 of 11 users") || !strings.Contains(a.Detail, "enabled") {
		t.Errorf("userAccountControl: %+v", a)
	}
	if a := find(reader, "pwdLastSet"); a.What != "" {
		t.Errorf("pwdLastSet: %+v", a)
	}
	if a := find(reader, "writing userAccountControl"); !strings.Contains(a.Detail, "can't disable") {
		t.Errorf("writing as reader: %q", a.Detail)
	}
	if a := find(reader, "to read userAccountControl"); !strings.HasPrefix(a.Detail, `dsacls "DC=corp,DC=example" /I:S /G "reader@corp.example:RP;userAccountControl;user"`) {
		t.Errorf("to read: %q", a.Detail)
	}
}

// The commands that the doctor prints, and nothing more, make an account that may read nearly nothing one that reads all
// that is needed.
func TestDoctorsCommandsHelp(t *testing.T) {
	d := corpDC(t)
	twin := d.copy(t, "bare", fmt.Sprintf("dn: CN=Pre-Windows 2000 Compatible Access,CN=Builtin,%s\nchangetype: modify\ndelete: member\nmember: CN=S-1-5-11,CN=ForeignSecurityPrincipals,%s\n", domain, domain))
	config := twin.config()
	config.Bind.DN, config.Base = "reader@corp.example", strict.Texts{"OU=Service," + domain}
	before := take(t, collector(t, config))
	if a := before.accounts["svc-backup"]; a.ID == "" || a.Enabled != nil {
		t.Fatalf("svc-backup before: %+v", a)
	}
	ran := 0
	for _, a := range diagnose(t, collector(t, config)) {
		command, ok := strings.CutPrefix(a.Detail, "samba-tool dsacl set ")
		if !ok || !strings.HasPrefix(a.What, "to read ") {
			continue
		}
		ran++
		cmd := exec.Command("/bin/sh", "-c", "samba-tool dsacl set -s "+filepath.Join(twin.Dir, "s/etc/smb.conf")+" -H "+twin.Database()+" "+command)
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("%s: %v\n%s", command, err, out)
		}
	}
	if ran == 0 {
		t.Fatal("the doctor knows no command")
	}
	after := take(t, collector(t, config))
	if a := after.accounts["svc-backup"]; a.Enabled == nil || !*a.Enabled || a.PasswordChangedAt == nil || a.Attributes["unconstrained_delegation"] != "true" {
		t.Errorf("svc-backup after %d commands: %+v", ran, a)
	}
	for _, a := range diagnose(t, collector(t, config)) {
		if a.Missing && strings.Contains(a.Detail, "may not be read") {
			t.Errorf("still missing: %s: %s", a.What, a.Detail)
		}
	}
}

func TestDoctorOnFiles(t *testing.T) {
	d := corpDC(t)
	file := export(t, d, "objectClass", "objectGUID", "objectSid", "sAMAccountName")
	advice := diagnose(t, collector(t, Config{URL: strict.Texts{"ldif:" + file}}))
	if a := find(advice, "userAccountControl"); !a.Missing || !strings.Contains(a.Detail, "was not exported") {
		t.Errorf("userAccountControl: %+v", a)
	}
	if a := find(advice, "objectSid"); a.What != "" {
		t.Errorf("objectSid: %+v", a)
	}
}

func TestDoctorOnOpenLDAP(t *testing.T) {
	url := startSlapd(t, "dn: dc=desk,dc=example\nobjectClass: domain\n\ndn: uid=ada,dc=desk,dc=example\nobjectClass: account\nobjectClass: posixAccount\nuid: ada\ncn: Ada\nuidNumber: 1\ngidNumber: 1\nhomeDirectory: /\n")
	advice := diagnose(t, collector(t, Config{URL: strict.Texts{url}, Base: strict.Texts{"dc=desk,dc=example"}}))
	if a := find(advice, "uid"); a.Missing || !strings.HasPrefix(a.Detail, "can be read") {
		t.Errorf("uid: %+v", a)
	}
	if a := find(advice, "mail"); !strings.HasPrefix(a.Detail, "is at no entry") {
		t.Errorf("mail: %+v", a)
	}
}

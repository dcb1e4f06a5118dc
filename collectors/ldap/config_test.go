package ldap

import (
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"

	"github.com/lapse-audit/lapse/internal/collect"
	"github.com/lapse-audit/lapse/internal/strict"
)

// secretRef refers to a secret, which tests resolve to the password.
var secretRef = func() (s collect.Secret) {
	if err := yaml.Unmarshal([]byte("env:LDAP_PASSWORD"), &s); err != nil {
		panic(err)
	}
	return s
}()

func TestConfigFaults(t *testing.T) {
	for _, c := range []struct{ yaml, want string }{
		{"{}", "url: is missing"},
		{"url: http://dc1", `none of ldaps://HOST`},
		{"url: ldaps://bind:secret@dc1", "holds a user or password"},
		{"url: 'ldaps://a b:hunter2@dc1'", "can't be read"},
		{"url: ldaps://dc1/DC=corp", "the base belongs in base:"},
		{"{url: ldaps://dc1, start_tls: true}", "ldaps:// is encrypted from the start"},
		{"{url: ldap://dc1, bind: {dn: x, password: env:P}}", "bind.method: simple sends the password readable"},
		{"{url: ldaps://dc1, bind: {dn: x}}", "bind.password: is missing"},
		{"{url: ldaps://dc1, bind: {method: ntlm}}", `bind.method: "ntlm" is none of`},
		{"{url: ldaps://dc1, bind: {method: gssapi, user: x}}", "bind.realm: is missing"},
		{"{url: [ldaps://dc1, 'ldif:x.ldif']}", "servers or files, not both"},
		{"{url: 'ldif:x.ldif', start_tls: true}", "start_tls: goes with a server"},
		{"{url: ldaps://dc1, base: nowhere}", `base: "nowhere" is no DN`},
		{"{url: ldaps://dc1, filter: '(a=b'}", "filter:"},
		{"{url: ldaps://dc1, dialect: novell}", `dialect: "novell"`},
		{"{url: ldaps://dc1, fields: {emploee_id: x}}", `did you mean "employee_id"?`},
		{"{url: ldaps://dc1, kinds: [{kind: robot, username: x}]}", `kinds[0]: kind: "robot"`},
		{"{url: ldaps://dc1, kinds: [{kind: human}]}", "name at least one of ou"},
		{"{url: ldaps://dc1, incremental: {method: fast}}", `incremental.method: "fast"`},
		{"{url: ldaps://dc1, cert: x.pem}", "cert: goes with key"},
		{"{url: ldaps://dc1, roster: {end_date: never}}", "roster.end_date"},
		{"{url: 'ldif:x.ldif', write: {bind: {dn: x, password: env:P}}}", "write: nothing can be changed in an export"},
		{"{url: ldaps://dc1, write: {bind: {dn: x, password: env:P}}}", "write.bind: goes with dialect: "},
		{"{url: ldaps://dc1, dialect: active_directory, write: {}}", "write.bind: is missing"},
		{"{url: ldaps://dc1, dialect: active_directory, write: {bind: {dn: x}}}", "write.bind.password: is missing"},
		{"{url: ldaps://dc1, dialect: active_directory, write: {url: ldap://dc2, bind: {dn: x, password: env:P}}}", "write.bind.method: simple sends the password readable"},
		{"{url: ldaps://dc1, dialect: active_directory, write: {url: 'ldif:x', bind: {dn: x, password: env:P}}}", "write.url: nothing can be changed in an export"},
		{"{url: ldaps://dc1, dialect: active_directory, write: {bind: {dn: x, password: env:P}, cert: x.pem}}", "write.cert: goes with key"},
		{"{url: ldaps://dc1, dialect: active_directory, write: {bind: {dn: x, password: env:P}, note: 'in fo'}}", `write.note: "in fo" is no attribute`},
		{"{url: ldaps://dc1, dialect: active_directory, write: {bind: {dn: x, password: env:P}, disable: loginDisabled}}", "write.disable: in Active Directory there is one way"},
		{"{url: ldaps://dc1, dialect: rfc2307, write: {bind: {dn: x, password: env:P}, disable: gone}}", `write.disable: "gone" is none of pwdAccountLockedTime`},
		{"{url: ldaps://dc1, dialect: rfc2307, write: {bind: {dn: x, password: env:P}, disable: =x}}", `write.disable: "=x" is no ATTRIBUTE=VALUE`},
		{"{url: ldaps://dc1, dialect: rfc2307, write: {bind: {dn: x, password: env:P}, disable: loginShell=/bin/false}}", "write disabled: (loginShell=/bin/false)"},
	} {
		var config Config
		if err := yaml.Unmarshal([]byte(c.yaml), &config); err != nil {
			t.Errorf("%s: %v", c.yaml, err)
			continue
		}
		err := config.Validate()
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: error %v, want it to say %q", c.yaml, err, c.want)
		}
		if err != nil && (strings.Contains(err.Error(), "secret@") || strings.Contains(err.Error(), "hunter2")) {
			t.Errorf("%s: the error shows the password: %v", c.yaml, err)
		}
	}
}

func TestSpan(t *testing.T) {
	for text, want := range map[string]string{"14d": "14d", "90s": "1m30s", "48h": "2d", "-1s": "", "3 weeks": "", "xd": ""} {
		var s strict.Span
		err := s.UnmarshalText([]byte(text))
		if (err != nil) != (want == "") || err == nil && s.String() != want {
			t.Errorf("%q: %s, %v, want %q", text, s, err, want)
		}
	}
}

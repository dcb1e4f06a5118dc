package app_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/lapse-audit/lapse/internal/access"
	"github.com/lapse-audit/lapse/internal/app"
	"github.com/lapse-audit/lapse/internal/config"
)

// What changes a source is its command, else what its type knows with the credentials for writing.
func TestChanger(t *testing.T) {
	c, err := config.Parse("lapse.yaml", t.TempDir(), []byte(`
sources:
- {uid: erp, type: file, files: {accounts: {path: erp.csv}}, write: {exec: [./erp-access], actions: {disable: {undo: true}}}}
- {uid: hr-less, type: file, files: {accounts: {path: x.csv}}}
- {uid: okta, type: rest, recipe: okta, url: "https://acme.okta.com", auth: {token: env:R}, write: {auth: {token: env:W}}}
- {uid: reads, type: rest, recipe: okta, url: "https://acme.okta.com", auth: {token: env:R}}
- {uid: scim, type: scim, url: "https://a.example/scim/v2", auth: {bearer: env:R}, write: {auth: {bearer: env:W}}}
- {uid: db, type: sql, url: "postgres://db.example/app", user: r, preset: postgres, write: {user: w, password: env:W}}
- {uid: db-hook, type: sql, url: "postgres://db.example/app", user: r, queries: {accounts: "SELECT 1 AS id"}, write: {exec: [/bin/x], actions: {revoke: {}}}}
`))
	if err != nil {
		t.Fatal(err)
	}
	a := app.New(c, app.Options{})
	for uid, want := range map[string]access.Action{"erp": access.ActionDisable, "okta": access.ActionEndSessions, "scim": access.ActionRevoke, "db": access.ActionHandover, "db-hook": access.ActionRevoke} {
		ch, err := a.Changer(uid)
		if err != nil {
			t.Errorf("%s: %v", uid, err)
			continue
		}
		able, err := ch.Abilities()
		if _, ok := able[want]; err != nil || !ok {
			t.Errorf("%s: %v, %v; want %s", uid, able, err, want)
		}
	}
	if _, err := a.Changer("hr-less"); !errors.Is(err, access.ErrCannot) || !strings.Contains(err.Error(), "write.exec") {
		t.Errorf("a file: %v", err)
	}
	ch, err := a.Changer("reads")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := ch.Abilities(); !errors.Is(err, access.ErrCannot) || !strings.Contains(err.Error(), "write.auth") {
		t.Errorf("without credentials: %v", err)
	}
	if _, err := a.Changer("orp"); err == nil || !strings.Contains(err.Error(), `did you mean "erp"?`) {
		t.Errorf("unknown: %v", err)
	}
}

// A fault of a command's section has its place, whether or not anything is changed.
func TestHookFaults(t *testing.T) {
	for text, want := range map[string]string{
		"{exec: [erpctl], actions: {disable: {}}}":             `lapse.yaml:2: sources[erp]: write.exec: "erpctl" is no path`,
		"{exec: [/bin/x], actoins: {disable: {}}}":             `lapse.yaml:2:86: sources[erp].write: unknown key "actoins": did you mean "actions"?`,
		"{exec: [/bin/x], actions: {disable: {undone: true}}}": `unknown key "undone"`,
		"{exec: [/bin/x], actions: {disable: {}}, write: {}}":  `unknown key "write"`,
		"{user: x}": `sources[erp]: unknown key "write"`,
	} {
		c, err := config.Parse("lapse.yaml", t.TempDir(), []byte("sources:\n- {uid: erp, type: file, files: {accounts: {path: erp.csv}}, write: "+text+"}\n"))
		if err == nil {
			_, err = app.New(c, app.Options{}).Sources(nil)
		}
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s\n%v, want %s", text, err, want)
		}
	}
}

package ldap

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/lapse-audit/lapse/internal/access"
	"github.com/lapse-audit/lapse/internal/strict"
)

// evil is a DN that holds whatever PowerShell or a terminal would act on, if it were let.
const evil = "CN=O'Neil\\, (Eve) ’; Remove-Item C:\\ #‘ $(whoami) `\"\x1b[2J\u202e\n,OU=Staff,DC=corp,DC=example"

// quotedEvil is how it must be written.
const quotedEvil = "'CN=O''Neil\\, (Eve) ’’; Remove-Item C:\\ #‘‘ $(whoami) `\"\\1B[2J\\E2\\80\\AE\\0A,OU=Staff,DC=corp,DC=example'"

func TestNativeOfActiveDirectory(t *testing.T) {
	const (
		eve   = "00000000-0000-4000-8000-000000000001"
		heir  = "00000000-0000-4000-8000-000000000002"
		group = "00000000-0000-4000-8000-000000000003"
		owned = "00000000-0000-4000-8000-000000000004"
	)
	until := time.Date(2026, 11, 30, 18, 0, 0, 0, time.FixedZone("", 3600))
	before := &access.Live{
		Account:      &access.Account{ExpiresAt: new(until.AddDate(1, 0, 0))},
		Entitlements: []access.Entitlement{{ID: group, Attributes: map[string]string{"sid": "S-1-5-21-1-2-3-1200"}}},
		Keep: map[string][]string{"clear_manager": {evil}, "move": {evil}, keepPrimary: {"1200"}, keepOther: {"513"},
			keepOwns + "managedBy": {owned}, keepOwns + "manager": {heir}},
	}
	w := changer(t, Config{URL: strict.Texts{"ldaps://dc1.corp.example"}, Dialect: ActiveDirectory, Bind: Bind{Method: Simple, DN: "reader", Password: secretRef},
		Write: &Write{Bind: Bind{Method: Simple, DN: "writer", Password: secretRef}}})
	for _, c := range []struct {
		name string
		access.Change
		want, undo []string
	}{
		{"disable", access.Change{Action: access.ActionDisable, Note: evil},
			[]string{"Disable-ADAccount -Identity '" + eve + "'"}, []string{"Enable-ADAccount -Identity '" + eve + "'"}},
		{"expire", access.Change{Action: access.ActionExpire, Until: &until},
			[]string{"Set-ADAccountExpiration -Identity '" + eve + "' -DateTime '2026-11-30T17:00:00Z'"},
			[]string{"Set-ADAccountExpiration -Identity '" + eve + "' -DateTime '2027-11-30T17:00:00Z'"}},
		{"move", access.Change{Action: access.ActionMove, To: evil},
			[]string{"Move-ADObject -Identity '" + eve + "' -TargetPath " + quotedEvil}, []string{"Move-ADObject -Identity '" + eve + "' -TargetPath " + quotedEvil}},
		{"clear manager", access.Change{Action: access.ActionClearManager},
			[]string{"Set-ADUser -Identity '" + eve + "' -Clear manager"}, []string{"Set-ADUser -Identity '" + eve + "' -Manager " + quotedEvil}},
		{"primary group", access.Change{Action: access.ActionRevoke, Entitlement: group},
			[]string{"Set-ADObject -Identity '" + eve + "' -Replace @{primaryGroupID=513}", "Remove-ADGroupMember -Identity '" + group + "' -Members '" + eve + "' -Confirm:$false"},
			[]string{"Add-ADGroupMember -Identity '" + group + "' -Members '" + eve + "'", "Set-ADObject -Identity '" + eve + "' -Replace @{primaryGroupID=1200}"}},
		{"group", access.Change{Action: access.ActionRevoke, Entitlement: owned},
			[]string{"Remove-ADGroupMember -Identity '" + owned + "' -Members '" + eve + "' -Confirm:$false"}, []string{"Add-ADGroupMember -Identity '" + owned + "' -Members '" + eve + "'"}},
		{"handover", access.Change{Action: access.ActionHandover, To: heir},
			[]string{
				"(Get-ADUser '" + eve + "' -Properties managedObjects).managedObjects | Where-Object { $_ -ne (Get-ADObject '" + heir + "').DistinguishedName } | ForEach-Object { Set-ADObject -Identity $_ -Replace @{managedBy=(Get-ADObject '" + heir + "').DistinguishedName} }",
				"(Get-ADUser '" + eve + "' -Properties directReports).directReports | Where-Object { $_ -ne (Get-ADObject '" + heir + "').DistinguishedName } | ForEach-Object { Set-ADObject -Identity $_ -Replace @{manager=(Get-ADObject '" + heir + "').DistinguishedName} }",
				"Set-ADUser -Identity '" + heir + "' -Manager " + quotedEvil,
			},
			[]string{
				"Set-ADObject -Identity '" + owned + "' -Replace @{managedBy=(Get-ADObject '" + eve + "').DistinguishedName}",
				"Set-ADObject -Identity '" + heir + "' -Replace @{manager=(Get-ADObject '" + eve + "').DistinguishedName}",
			}},
		{"an id that is none", access.Change{Action: access.ActionDisable, Object: account(evil)}, nil, nil},
		{"a group that is none", access.Change{Action: access.ActionRevoke, Entitlement: evil}, nil, nil},
		{"an heir that is none", access.Change{Action: access.ActionHandover, To: evil}, nil, nil},
		{"what it can't do", access.Change{Action: access.ActionDelete}, nil, nil},
	} {
		if c.Object.ID == "" {
			c.Object = account(eve)
		}
		c.Before = before
		if got := w.Native(c.Change); !slices.Equal(got, c.want) {
			t.Errorf("%s:\n%q, want\n%q", c.name, got, c.want)
		}
		if c.Undo = true; !slices.Equal(w.Native(c.Change), c.undo) {
			t.Errorf("undo %s:\n%q, want\n%q", c.name, w.Native(c.Change), c.undo)
		}
	}
	reset := w.Native(access.Change{Action: access.ActionResetPassword, Object: account(eve)})
	if len(reset) != 1 || !strings.HasPrefix(reset[0], "1..2 | ForEach-Object { Set-ADAccountPassword -Identity '"+eve+"' -Reset -NewPassword (ConvertTo-SecureString") {
		t.Errorf("reset password: %q", reset)
	}
}

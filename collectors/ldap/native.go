package ldap

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode"

	"github.com/lapse-audit/lapse/internal/access"
)

// native are commands of PowerShell's module ActiveDirectory. Objects are named by their GUIDs.
func (a adEditor) native(c access.Change) []string {
	for _, id := range []string{c.Object.ID, cmp.Or(c.Entitlement, c.Object.ID)} {
		if !isGUID(id) {
			return nil
		}
	}
	object := powerShell(c.Object.ID)
	one := func(format string, args ...any) []string { return []string{fmt.Sprintf(format, args...)} }
	switch c.Action {
	case access.ActionDisable:
		if c.Undo {
			return one("Enable-ADAccount -Identity %s", object)
		}
		return one("Disable-ADAccount -Identity %s", object)
	case access.ActionExpire:
		until := c.Until
		if c.Undo {
			if until = nil; c.Before.Account != nil {
				until = c.Before.Account.ExpiresAt
			}
		}
		if until == nil {
			return one("Clear-ADAccountExpiration -Identity %s", object)
		}
		return one("Set-ADAccountExpiration -Identity %s -DateTime %s", object, powerShell(until.UTC().Format(time.RFC3339)))
	case access.ActionResetPassword:
		return one("1..2 | ForEach-Object { Set-ADAccountPassword -Identity %s -Reset -NewPassword (ConvertTo-SecureString -AsPlainText -Force ('A' + [guid]::NewGuid() + [guid]::NewGuid())) }", object)
	case access.ActionRevoke:
		return a.nativeRevoke(c, object)
	case access.ActionClearManager:
		if !c.Undo {
			return one("Set-ADUser -Identity %s -Clear manager", object)
		}
		if was := c.Before.Keep[string(c.Action)]; len(was) > 0 {
			return one("Set-ADUser -Identity %s -Manager %s", object, powerShell(was[0]))
		}
	case access.ActionHandover:
		return a.nativeHandover(c, object)
	case access.ActionMove:
		to := c.To
		if was := first(a.kept(c, string(c.Action))); c.Undo {
			to = was
		}
		return one("Move-ADObject -Identity %s -TargetPath %s", object, powerShell(to))
	}
	return nil
}

// kept is what was known of the object before the change, or when it was last looked at.
func (c *Changer) kept(ch access.Change, key string) []string {
	if ch.Before != nil {
		return ch.Before.Keep[key]
	}
	if seen, ok := c.seen.Load(ch.Object.ID); ok {
		return seen.(access.Live).Keep[key]
	}
	return nil
}

// nativeRevoke has the primary group give way first. Which one that is, is known once the object was looked at.
func (a adEditor) nativeRevoke(c access.Change, object string) []string {
	group := powerShell(c.Entitlement)
	primary := ""
	if was := first(a.kept(c, keepPrimary)); was != "" && a.ridKept(c) == was {
		primary = first(a.kept(c, keepOther))
	}
	set := func(rid string) string {
		return fmt.Sprintf("Set-ADObject -Identity %s -Replace @{primaryGroupID=%s}", object, rid)
	}
	switch {
	case c.Undo && primary != "":
		return []string{fmt.Sprintf("Add-ADGroupMember -Identity %s -Members %s", group, object), set(first(a.kept(c, keepPrimary)))}
	case c.Undo:
		return []string{fmt.Sprintf("Add-ADGroupMember -Identity %s -Members %s", group, object)}
	case primary != "":
		return []string{set(primary), fmt.Sprintf("Remove-ADGroupMember -Identity %s -Members %s -Confirm:$false", group, object)}
	}
	return []string{fmt.Sprintf("Remove-ADGroupMember -Identity %s -Members %s -Confirm:$false", group, object)}
}

// ridKept is the last part of the SID of the group that a change is about.
func (a adEditor) ridKept(c access.Change) string {
	live := c.Before
	if seen, ok := a.seen.Load(c.Object.ID); ok && live == nil {
		l := seen.(access.Live)
		live = &l
	}
	if live != nil {
		for _, e := range live.Entitlements {
			if sid := e.Attributes["sid"]; e.ID == c.Entitlement && sid != "" {
				return ridOf(sid)
			}
		}
	}
	return ""
}

func (a adEditor) nativeHandover(c access.Change, object string) []string {
	if !isGUID(c.To) {
		return nil
	}
	var out []string
	if c.Undo {
		for _, attribute := range ownership {
			for _, id := range c.Before.Keep[keepOwns+attribute] {
				out = append(out, fmt.Sprintf("Set-ADObject -Identity %s -Replace @{%s=(Get-ADObject %s).DistinguishedName}", powerShell(id), attribute, object))
			}
		}
		return out
	}
	to := powerShell(c.To)
	for _, back := range []struct{ link, attribute string }{{"managedObjects", "managedBy"}, {"directReports", "manager"}} {
		out = append(out, fmt.Sprintf("(Get-ADUser %s -Properties %s).%s | Where-Object { $_ -ne (Get-ADObject %s).DistinguishedName } | ForEach-Object { Set-ADObject -Identity $_ -Replace @{%s=(Get-ADObject %s).DistinguishedName} }",
			object, back.link, back.link, to, back.attribute, to))
	}
	if slices.Contains(a.kept(c, keepOwns+"manager"), c.To) { // gets the object's own manager
		set := "-Clear manager"
		if m := first(a.kept(c, string(access.ActionClearManager))); m != "" {
			set = "-Manager " + powerShell(m)
		}
		out = append(out, fmt.Sprintf("Set-ADUser -Identity %s %s", to, set))
	}
	return out
}

// powerShell quotes a text so that it is taken as it is. PowerShell takes typographic quotes for its own.
func powerShell(s string) string {
	var b strings.Builder
	b.WriteByte('\'')
	for _, r := range visible(s) {
		if strings.ContainsRune("'‘’‚‛", r) {
			b.WriteRune(r)
		}
		b.WriteRune(r)
	}
	b.WriteByte('\'')
	return b.String()
}

// visible writes what no terminal shows, or takes for a command, as a DN can write it.
func visible(s string) string {
	if !strings.ContainsFunc(s, hidden) {
		return s
	}
	var b strings.Builder
	for _, r := range s {
		if !hidden(r) {
			b.WriteRune(r)
			continue
		}
		for _, c := range []byte(string(r)) {
			fmt.Fprintf(&b, `\%02X`, c)
		}
	}
	return b.String()
}

func hidden(r rune) bool { return !unicode.IsPrint(r) }

package ldap

import (
	"cmp"
	"encoding/base64"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/lapse-audit/lapse/internal/access"
)

// native are commands of OpenLDAP's clients. Entries are found by their ids, and their DNs go from one client to the next as
// they are, whatever they hold.
func (r rfcEditor) native(c access.Change) []string {
	if strings.HasPrefix(c.Object.ID, "dn:") || strings.ContainsFunc(c.Object.ID+c.Entitlement+c.To, hidden) {
		return nil
	}
	object := r.findCommand(c.Object.ID)
	kept := func(key string) []string { return r.kept(c, key) }
	// set writes the values of an attribute; undoing writes those that were.
	set := func(attribute, was string, values ...string) []string {
		if c.Undo {
			values = kept(was)
		}
		lines := []string{"changetype: modify", "replace: " + attribute}
		for _, v := range values {
			lines = append(lines, ldifLine(attribute, v))
		}
		return []string{r.pipe(object, printf(lines...))}
	}
	switch c.Action {
	case access.ActionDisable:
		attribute, value, err := r.lock(&session{})
		if by := kept(keepLock); len(by) == 2 {
			attribute, value = by[0], by[1]
		} else if err != nil {
			attribute, value = lockByPolicy, lockedForGood
		}
		return set(attribute, string(c.Action), value)
	case access.ActionExpire:
		day := c.Until.UTC().Truncate(24 * time.Hour)
		if slices.ContainsFunc(kept(keepClass), func(t string) bool { return strings.EqualFold(t, "shadowAccount") }) && day.Equal(c.Until.UTC()) {
			return set("shadowExpire", "expire.shadowexpire", strconv.FormatInt(day.Unix()/(24*3600), 10))
		}
		return set("pwdEndTime", "expire.pwdendtime", c.Until.UTC().Format("20060102150405Z"))
	case access.ActionResetPassword:
		if dn := r.dnKept(c); dn != "" {
			return []string{r.client("ldappasswd") + " " + shell(dn) + " >/dev/null"}
		}
	case access.ActionRevoke:
		return r.nativeRevoke(c, object)
	case access.ActionClearManager:
		return set("manager", string(c.Action))
	case access.ActionHandover:
		return r.nativeHandover(c, object)
	case access.ActionMove:
		to := c.To
		if c.Undo {
			to = first(kept(string(c.Action)))
		}
		if name := first(kept(keepName)); name != "" {
			return []string{r.pipe(object, printf("changetype: modrdn", ldifLine("newrdn", name), "deleteoldrdn: 1", ldifLine("newsuperior", to)))}
		}
	}
	return nil
}

// dnKept is the DN that the object had when it was looked at, "" where it was not.
func (r rfcEditor) dnKept(c access.Change) string {
	name, parent := first(r.kept(c, keepName)), first(r.kept(c, string(access.ActionMove)))
	if name == "" || parent == "" {
		return ""
	}
	return name + "," + parent
}

func (r rfcEditor) nativeRevoke(c access.Change, object string) []string {
	op := "delete: "
	if c.Undo {
		op = "add: "
	}
	held := r.kept(c, keepHeld+c.Entitlement)
	if len(held) == 0 {
		held = []string{"member="}
	}
	var out []string
	for _, h := range held {
		attribute, value, _ := strings.Cut(h, "=")
		name := as(object, attribute)
		if attribute == "memberuid" || withoutUID(value) != value { // more than the DN, or no DN
			name = printf(ldifLine(attribute, value))
		}
		out = append(out, r.pipe(r.findCommand(c.Entitlement), printf("changetype: modify", op+attribute), name))
	}
	return out
}

// nativeHandover has a command for each entry that names the object: which these are, is known once it was looked at.
func (r rfcEditor) nativeHandover(c access.Change, object string) []string {
	var out []string
	for _, attribute := range owning {
		for _, id := range r.kept(c, keepOwns+attribute) {
			if strings.HasPrefix(id, "dn:") || strings.ContainsFunc(id, hidden) {
				continue
			}
			mine := []string{as(object, attribute)}
			heirs := []string{as(r.findCommand(c.To), attribute)}
			if id == c.To { // gets the object's own manager
				heirs = nil
				for _, dn := range without(r.kept(c, string(access.ActionClearManager)), r.kept(c, keepOwners+attribute+"."+id)) {
					heirs = append(heirs, printf(ldifLine(attribute, dn)))
				}
			}
			if c.Undo {
				mine, heirs = heirs, mine
			}
			parts := []string{printf("changetype: modify")}
			for _, m := range []struct {
				op     string
				values []string
			}{{"delete: ", mine}, {"add: ", heirs}} {
				if len(m.values) > 0 {
					parts = append(append(parts, printf(m.op+attribute)), append(m.values, printf("-"))...)
				}
			}
			out = append(out, r.pipe(r.findCommand(id), parts...))
		}
	}
	return out
}

// pipe hands the DN that one command finds, and what else is said, to ldapmodify.
func (r rfcEditor) pipe(find string, parts ...string) string {
	return "{ " + find + " | grep '^dn:'; " + strings.Join(parts, "; ") + "; } | " + r.client("ldapmodify")
}

// as writes the DN that a command finds as the value of an attribute.
func as(find, attribute string) string { return find + " | sed -n 's/^dn:/" + attribute + ":/p'" }

// findCommand prints the DN of an entry as LDIF has it.
func (r rfcEditor) findCommand(id string) string {
	attribute := "entryUUID"
	if !isGUID(id) {
		attribute = "nsUniqueId"
	}
	base := strings.Join(r.k.config.Base, "")
	if len(r.k.config.Base) > 1 || base == "" {
		base = "BASE"
	}
	return r.client("ldapsearch") + " -LLL -o ldif-wrap=no -b " + shell(base) + " " + shell("("+attribute+"="+id+")") + " 1.1"
}

// client is a client of OpenLDAP's with what it needs to get to the server. It asks for the password itself.
func (r rfcEditor) client(name string) string {
	c := r.k.config
	out := name + " -H " + shell(cmp.Or(first(c.URL), "URL"))
	if c.StartTLS {
		out += " -ZZ"
	}
	switch c.Bind.Method {
	case Simple:
		return out + " -x -D " + shell(c.Bind.DN) + " -W"
	case GSSAPI:
		return out + " -Y GSSAPI"
	}
	return out + " -Y EXTERNAL"
}

// printf is a command that prints lines.
func printf(lines ...string) string {
	out := `printf '%s\n'`
	for _, l := range lines {
		out += " " + shell(l)
	}
	return out
}

// shell quotes a text for a POSIX shell. What no terminal shows doesn't come here: LDIF writes it in base64.
func shell(s string) string { return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'" }

// ldifLine writes a value as RFC 2849 has it: in base64 where it isn't plain.
func ldifLine(attribute, value string) string {
	plain := !strings.ContainsFunc(value, func(r rune) bool { return r < ' ' || r > '~' })
	if plain && value != "" && strings.IndexByte(" :<", value[0]) < 0 && !strings.HasSuffix(value, " ") {
		return attribute + ": " + value
	}
	return attribute + ":: " + base64.StdEncoding.EncodeToString([]byte(value))
}

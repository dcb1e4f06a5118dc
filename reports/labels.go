package reports

import "cmp"

// categoryName says what the letters of a rule's id stand for; letters of a rule pack from outside stand for themselves.
func categoryName(letters string) string {
	return cmp.Or(map[string]string{
		"AD": "Directory hygiene", "BRK": "Break-glass", "DIS": "Disabled accounts", "DOR": "Unused accounts", "EXT": "External people", "JNR": "Joiners",
		"LIC": "Licenses", "LOC": "Local sign-in", "LVR": "Leavers", "MBX": "Mailboxes", "MFA": "Second factor", "MOV": "Movers", "ORP": "Accounts of nobody",
		"PEER": "Unlike their peers", "PRV": "Privileged access", "REV": "Reviews", "SHR": "Shared accounts", "SOD": "Separation of duties",
		"SRC": "Sources", "SVC": "Service accounts",
	}[letters], letters)
}

// changeWords names the changes that the store records, and what their values mean.
var changeWords = map[string]struct {
	what   string
	values map[string]string
}{
	"person.status":    {"Status of a person", map[string]string{"": "not in the roster"}},
	"account.exists":   {"Account", map[string]string{"true": "there", "false": "not there"}},
	"account.enabled":  {"Account enabled", map[string]string{"true": "yes", "false": "no", "": "unknown"}},
	"account.owner":    {"Owner of an account", nil},
	"account.link":     {"Person behind an account", nil},
	"seat.seat":        {"License seat", map[string]string{"": "not held"}},
	"grant.privileged": {"Privileged grant", map[string]string{"": "not held"}},
}

// words says a change in plain words; what isn't listed stands for itself.
func (c Change) words() Change {
	known := changeWords[c.Field]
	value := func(v string) string { return cmp.Or(known.values[v], v, "–") }
	return Change{cmp.Or(known.what, c.Field), value(c.From), value(c.To), c.Count}
}

// roleName names a role that is asked about findings; a person's key stays as it is.
func roleName(assignee string) string {
	return cmp.Or(map[string]string{
		"security": "Security team", "app_owner": "App owner", "owner": "Owner", "account_owner": "Account owner", "manager": "Manager",
	}[assignee], assignee)
}

// Bar charts of the page, each with what its empty key means.

// CategoryBars ranks the kinds of rule.
func (r *Report) CategoryBars() barChart {
	return bars(r.byCategory, func(key string) (string, bool) { return categoryName(key), categoryName(key) == key })
}

// SourceBars ranks the sources.
func (r *Report) SourceBars() barChart {
	return bars(r.bySource, func(key string) (string, bool) {
		if key == "" {
			return "People over all sources", false
		}
		return r.sourceName(key), true
	})
}

// DepartmentBars ranks the departments.
func (r *Report) DepartmentBars() barChart {
	return bars(r.byDepartment, orElse("No department known"))
}

// AssigneeBars ranks those who are asked first.
func (r *Report) AssigneeBars() barChart {
	return bars(r.byAssignee, func(key string) (string, bool) {
		if key == "" {
			return "Nobody", false
		}
		return r.AssigneeName(key), true
	})
}

func orElse(empty string) func(string) (string, bool) {
	return func(key string) (string, bool) {
		if key == "" {
			return empty, false
		}
		return key, true
	}
}

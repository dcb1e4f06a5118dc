package policy

import (
	"slices"
	"testing"

	"github.com/lapse-audit/lapse/internal/access"
)

// A rule is built what it reads itself and by what it uses of the library: not what else the library holds, nor all of an
// object that object.get takes one key of.
func TestReadsOfARule(t *testing.T) {
	l := newEngine(t, shipped(t, enableAll(t)), EngineOptions{}).any(access.SubjectAccount)
	i := slices.IndexFunc(l.rules, func(r *rule) bool { return r.ID == "LIC-02" })
	d := newDocument(l.columns, l.rules[i].reads, map[int]*leaf{})
	got := l.columns.names(d.columns())
	for column, want := range map[string]bool{
		"account_username": true, "person_name": true, "seats_sku": true, "seats_product": true, "account_enabled": true,
		"account_login_lag_days": false, "account_attributes": false, "grants_path": false, "owner_name": false,
	} {
		if slices.Contains(got, column) != want {
			t.Errorf("%s is read: %v, want %v", column, !want, want)
		}
	}
}

package file

import (
	"testing"

	"github.com/lapse-audit/lapse/internal/access"
)

const withKeys = `files:
  accounts: {path: users.csv}
  keys:
    path: keys.csv
    columns: {account_id: user, id: key, kind: type, active: status, created_at: made, last_used_at: used}
    values: {active: {"true": Active, "false": Inactive}}
`

// Keys are in a file of their own and become part of their accounts. An account without one has none; a key of nobody here
// is nobody's.
func TestKeys(t *testing.T) {
	dir := write(t, map[string]string{
		"users.csv": "id,enabled\na,true\nb,true\nc,true\n",
		"keys.csv":  "user,key,type,status,made,used\na,k1,token,Active,2026-01-02,2026-11-01\na,k2,key,Inactive,,\nb,k3,,,,\ngone,k4,key,Active,,\n",
	})
	out, prov, err := gather(t, dir, withKeys)
	if err != nil {
		t.Fatal(err)
	}
	same(t, out.records, []access.Record{
		access.Account{ID: "a", Enabled: yes(), Keys: []access.Key{
			{ID: "k1", Kind: "token", Active: yes(), CreatedAt: at("2026-01-02T00:00:00Z"), LastUsedAt: at("2026-11-01T00:00:00Z")},
			{ID: "k2", Kind: "key", Active: no()},
		}},
		access.Account{ID: "b", Enabled: yes(), Keys: []access.Key{{ID: "k3"}}},
		access.Account{ID: "c", Enabled: yes(), Keys: []access.Key{}},
	})
	same(t, out.reasons(), []string(nil))
	same(t, prov.Reads, []string{"accounts"})
	if len(prov.Files) != 2 {
		t.Errorf("files %v", prov.Files)
	}
}

// A key that can't be read may be anybody's, so that nobody is known to have none.
func TestKeysRefused(t *testing.T) {
	dir := write(t, map[string]string{
		"users.csv": "id,enabled\na,true\nc,true\n",
		"keys.csv":  "user,key,type,status,made,used\na,k1,token,Active,,\nc,k5,key,Perhaps,,\n",
	})
	out, _, err := gather(t, dir, withKeys)
	if err != nil {
		t.Fatal(err)
	}
	same(t, out.records, []access.Record{
		access.Account{ID: "a", Enabled: yes(), Keys: []access.Key{{ID: "k1", Kind: "token", Active: yes()}}},
		access.Account{ID: "c", Enabled: yes()},
	})
	if len(out.rejections) != 1 || out.rejections[0].File != "keys.csv" || out.rejections[0].Line != 3 {
		t.Errorf("refused: %v", out.reasons())
	}
	const want = "files.keys: the accounts that have them are missing: name files.accounts"
	if err := parse(t, "files: {keys: {path: keys.csv}}").Validate(); err == nil || err.Error() != want {
		t.Errorf("keys alone: %v", err)
	}
}

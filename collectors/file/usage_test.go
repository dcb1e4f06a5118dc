package file

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"go.yaml.in/yaml/v3"

	"github.com/lapse-audit/lapse/internal/access"
	"github.com/lapse-audit/lapse/internal/collect"
	"github.com/lapse-audit/lapse/internal/collect/collecttest"
)

// Of the rows of a log the last use counts.
func TestEvents(t *testing.T) {
	dir := write(t, map[string]string{"log.csv": "account_id,sku,last_used_at\n1,,2026-11-01\n2,,2026-11-03\n1,,2026-11-20T10:00:00Z\n1,E3,never\n1,,2026-10-01\n1,E3,2026-01-01\n,,2026-01-01\n"})
	out, prov, err := gather(t, dir, "files: {usage: {path: log.csv, events: true, never: [never]}}")
	if err != nil {
		t.Fatal(err)
	}
	same(t, out.records, []access.Record{
		access.Usage{AccountID: "1", LastUsedAt: at("2026-11-20T10:00:00Z")},
		access.Usage{AccountID: "2", LastUsedAt: at("2026-11-03T00:00:00Z")},
		access.Usage{AccountID: "1", SKU: "E3", LastUsedAt: at("2026-01-01T00:00:00Z")},
	})
	same(t, out.reasons(), []string{`log.csv line 8 column "account_id": the id is empty`})
	if prov.Files[0].Rows != 7 {
		t.Errorf("%d rows", prov.Files[0].Rows)
	}
	parts := write(t, map[string]string{"log-2026-09-01.csv": "account_id,last_used_at\n1,2026-09-01\n", "log-2026-10-01.csv": "account_id,last_used_at\n1,2026-10-01\n"})
	out, prov, err = gather(t, parts, "files: {usage: {path: 'log-*.csv', take: all, events: true}}")
	if err != nil {
		t.Fatal(err)
	}
	same(t, out.records, []access.Record{access.Usage{AccountID: "1", LastUsedAt: at("2026-10-01T00:00:00Z")}})
	if prov.AsOf.Format(time.DateOnly) != "2026-10-01" {
		t.Errorf("a log in two files is as of %s", prov.AsOf)
	}
	if err := parse(t, "files: {accounts: {path: a.csv, events: true}}").Validate(); err == nil || err.Error() != "files.accounts.events: goes with usage only" {
		t.Errorf("events of accounts: %v", err)
	}
}

func besideOf(t testing.TB, text string) Beside {
	t.Helper()
	var b Beside
	if err := yaml.Unmarshal([]byte(text), &b); err != nil {
		t.Fatal(err)
	}
	return b
}

func TestWithUsage(t *testing.T) {
	dir := write(t, map[string]string{
		"a.csv":   "id,username,email,enabled\n1,Ada,ada@x.test,yes\n2,bob,bob@x.test,no\n3,cem,Bob@x.test,yes\n",
		"log.csv": "User,Time\nada,2026-11-01 10:00\nADA,2026-11-20 10:00\nbob,2026-11-02\nzoe,2026-11-03\nbob@x.test,2026-11-03\nada@x.test,2026-11-04\n",
		"ids.csv": "account_id,last_used_at\n1,2026-11-01\n9,2026-11-01\n",
	})
	const log = "path: log.csv\nevents: true\nzone: Europe/Berlin\ndates: ['2006-01-02 15:04', iso]\ncolumns: {account_id: User, last_used_at: Time}\n"
	accounts := []access.Record{
		access.Account{ID: "1", Username: "Ada", Email: "ada@x.test", Enabled: yes()}, access.Account{ID: "2", Username: "bob", Email: "bob@x.test", Enabled: no()},
		access.Account{ID: "3", Username: "cem", Email: "Bob@x.test", Enabled: yes()},
	}
	for _, c := range []struct {
		section string
		uses    []access.Record
		reasons []string
		note    string
	}{
		{log + "by: username", []access.Record{access.Usage{AccountID: "1", LastUsedAt: at("2026-11-20T09:00:00Z")}, access.Usage{AccountID: "2", LastUsedAt: at("2026-11-01T23:00:00Z")}},
			nil, "log.csv names 3 accounts that the source doesn't have, among them ada@x.test, bob@x.test, zoe"},
		{log + "by: email", []access.Record{access.Usage{AccountID: "1", LastUsedAt: at("2026-11-03T23:00:00Z")}},
			[]string{`log.csv line 6 column "account_id": several accounts of the source have this email`}, "log.csv names 4 accounts that the source doesn't have, among them ADA, ada, bob, zoe"},
		{"path: ids.csv", []access.Record{access.Usage{AccountID: "1", LastUsedAt: at("2026-11-01T00:00:00Z")}, access.Usage{AccountID: "9", LastUsedAt: at("2026-11-01T00:00:00Z")}}, nil, ""},
	} {
		both, err := WithUsage(build(t, dir, accountsByName), besideOf(t, c.section), Options{Base: dir, UID: "app", Now: func() time.Time { return now }})
		if err != nil {
			t.Fatal(err)
		}
		var out keeper
		prov, err := both.Collect(t.Context(), &out)
		if err != nil {
			t.Fatal(err)
		}
		same(t, out.records, append(append([]access.Record{}, accounts...), c.uses...))
		same(t, out.reasons(), c.reasons)
		if len(prov.Files) != 2 || !strings.HasPrefix(prov.Notes[0], "when accounts were last used is from ") || strings.Join(prov.Notes[1:], "|") != c.note {
			t.Errorf("%s: provenance %+v", c.section, prov)
		}
	}
	for section, want := range map[string]string{
		"path: log.csv\nby: name": `usage.by: "name" is none of id, username, email`,
		"by: email":               "usage: files.usage.path: name a file",
	} {
		if _, err := WithUsage(build(t, dir, accountsByName), besideOf(t, section), Options{}); err == nil || err.Error() != want {
			t.Errorf("%s: %v", section, err)
		}
	}
	over := func(a, log string) func(testing.TB) collect.Collector {
		return func(t testing.TB) collect.Collector {
			dir := write(t, map[string]string{"a.csv": a, "log.csv": log})
			both, err := WithUsage(build(t, dir, accountsByName), besideOf(t, "path: log.csv\nby: username"), Options{Base: dir})
			if err != nil {
				t.Fatal(err)
			}
			return both
		}
	}
	const good, used = "id,username\n1,ada\n2,bob\n", "account_id,last_used_at\nada,2026-11-01\nbob,2026-11-01\n"
	collecttest.Run(t, collecttest.Spec{
		New: over(good, used), Rejecting: over(good, used+"zoe,hunter2 was here\n"),
		Broken: map[string]func(testing.TB) collect.Collector{
			"no usage": over(good, "account_id,last_used_at\n"), "no source": over("id\n", used), "usage cut off": over(good, used+"\"ada"),
		},
		Secrets: []string{"hunter2"},
	})
}

// What a source can say about itself it can say with a file beside it.
func TestWithUsageDiagnoses(t *testing.T) {
	dir := write(t, map[string]string{"log.csv": "account_id,last_used_at\n1,2026-11-01\n"})
	both, err := WithUsage(ailing{}, besideOf(t, "path: log.csv"), Options{Base: dir})
	if err != nil {
		t.Fatal(err)
	}
	d, ok := both.(collect.Doctor)
	if !ok {
		t.Fatal("the doctor is gone")
	}
	if _, err := d.Diagnose(t.Context()); err != errAiling {
		t.Errorf("error %v", err)
	}
	if _, ok := any(&beside{}).(collect.Doctor); ok {
		t.Error("a source without a doctor has one")
	}
}

var errAiling = errors.New("ails")

type ailing struct{ collect.Collector }

func (ailing) Diagnose(context.Context) ([]collect.Advice, error) { return nil, errAiling }

package store

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/lapse-audit/lapse/internal/access"
)

func TestParseURL(t *testing.T) {
	good := map[string]string{
		"embedded:/var/lib/lapse":                         "embedded:/var/lib/lapse",
		"embedded:/var/../lib/lapse":                      "embedded:/lib/lapse",
		"clickhouse://db.example":                         "clickhouse://db.example:9000/lapse",
		"clickhouse://db.example?secure=true":             "clickhouse://db.example:9440/lapse",
		"clickhouse://db.example:9001/audit?secure=false": "clickhouse://db.example:9001/audit",
		"https://db.example/audit?dial_timeout=3s":        "https://db.example:8443/audit",
		"http://[::1]/audit":                              "http://[::1]:8123/audit",
	}
	for url, want := range good {
		l, err := parseURL(url)
		if err != nil || l.String() != want {
			t.Errorf("parseURL(%q) = %s, %v; want %s", url, l, err, want)
		}
	}
	bad := map[string]string{ // to what the error names
		"":                                         "embedded:DIR",
		"./lapse-data":                             "embedded:DIR",
		"/var/lib/x:y":                             "embedded:DIR",
		"embeded:./lapse-data":                     "embedded:FOLDER",
		"clickhose://h/db":                         "clickhouse://HOST",
		"embedded:":                                "./lapse-data",
		"embedded://lapse-data":                    "without //",
		"embedded:./lapse-data?secure=true":        "no parameters",
		"clickhouse:///db":                         "no host",
		"clickhouse://h/db?secur=true":             `"secure"`,
		"clickhouse://h/db?secure=yes":             "true or false",
		"https://h/db?secure=true":                 "unknown parameter",
		"http://h/db?read_timeot=1s":               `"read_timeout"`,
		"http://h/db?read_timeout=-1s":             "duration",
		"clickhouse://h/db?cluster=main":           "cluster",
		"clickhouse://h/default":                   `"lapse"`,
		"clickhouse://h/a-b":                       "letters",
		"clickhouse://h/a;drop":                    "letters",
		"clickhouse://u:sesame@h/db":               "store.password",
		"clickhouse://h/db?password=sesame":        "store.password",
		"clickhouse://u:sesame@h:port/db":          "",
		"https://u:sesame%zz@h/db":                 "",
		"clickhouse://h/db?secure=true&%zz=sesame": "",
	}
	for url, want := range bad {
		_, err := parseURL(url)
		if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "sesame") {
			t.Errorf("parseURL(%q): %v; want an error that names %s and no password", url, err, want)
		}
	}
}

func TestSchema(t *testing.T) {
	library(t)
	dir := t.TempDir()
	locks := 0
	o := Options{URL: "embedded:" + dir, Library: library(t), Threads: 2, Lock: func(context.Context) (func(), error) {
		locks++
		return func() {}, nil
	}}
	reopen := func(change string) error {
		t.Helper()
		s, err := Open(t.Context(), o)
		if err != nil {
			return err
		}
		if change != "" {
			if err := s.exec(t.Context(), change); err != nil {
				t.Fatal(err)
			}
		}
		return s.Close()
	}
	if err := reopen(""); err != nil || locks != 1 {
		t.Fatalf("a new store took %d locks, %v", locks, err)
	}
	// A program was killed before it wrote down that the first migrations were done.
	if err := reopen("TRUNCATE TABLE " + schemaTable); err != nil || locks != 1 {
		t.Fatalf("a store with its schema took %d locks, %v", locks-1, err)
	}
	if err := reopen("INSERT INTO " + schemaTable + " (version_id, is_applied) VALUES (9001, 1)"); err != nil || locks != 2 {
		t.Fatalf("migrating again took %d locks, %v", locks-1, err)
	}
	err := reopen("")
	var newer *NewerSchemaError
	if !errors.As(err, &newer) || newer.Have != 9001 || newer.Program != SchemaVersion() || !strings.Contains(err.Error(), "9001") {
		t.Errorf("opened a newer schema: %v", err)
	}
	if _, err := os.Stat(filepath.Join(dir, "lapse.sock")); err == nil {
		t.Error("a refused store is still served")
	}

	o.URL = "embedded:" + t.TempDir()
	busy := errors.New("somebody else migrates")
	o.Lock = func(context.Context) (func(), error) { return nil, busy }
	if err := reopen(""); !errors.Is(err, busy) {
		t.Errorf("without the lock: %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := Open(ctx, o); !errors.Is(err, context.Canceled) {
		t.Errorf("opened in an ended context: %v", err)
	}
}

// A second process on the same folder is served by the first, and takes over when that one is gone.
func TestSecondProcess(t *testing.T) {
	s := openEmbedded(t)
	dir := s.where.dir
	child := func(source string) string {
		t.Helper()
		cmd := exec.Command(os.Args[0])
		cmd.Env = append(os.Environ(), childFolder+"="+dir, childSource+"="+source)
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Fatalf("%v: %s", err, out)
		}
		return strings.TrimSpace(string(out))
	}
	var wg sync.WaitGroup
	for _, source := range []string{"one", "two"} {
		wg.Go(func() {
			if got := child(source); got != string(HolderOther) {
				t.Errorf("the engine of the other process runs in %s", got)
			}
		})
	}
	wg.Wait()
	for _, source := range []string{"one", "two"} {
		if _, err := s.LatestAccepted(t.Context(), source, night); err != nil {
			t.Error(err)
		}
	}
	client := openSocket(t, s)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if got := child("three"); got != string(HolderSelf) {
		t.Errorf("the engine of the other process runs in %s", got)
	}
	if _, err := client.LatestAccepted(t.Context(), "three", night); err != nil {
		t.Errorf("a store that was served by a process that is gone: %v", err)
	}
	if holder := client.holder; holder != HolderSelf {
		t.Errorf("it is in the hands of %s", holder)
	}
	again := mustOpen(t, Options{URL: s.where.String()})
	if _, err := again.LatestAccepted(t.Context(), "three", night); err != nil {
		t.Error(err)
	}
}

// Several openings at once of a folder that is not there yet: one holds it, all have the schema.
func TestOpenAtOnce(t *testing.T) {
	library(t)
	url := "embedded:" + filepath.Join(t.TempDir(), "new")
	stores := make([]*Store, 4)
	var wg sync.WaitGroup
	for i := range stores {
		wg.Go(func() {
			s, err := Open(t.Context(), Options{URL: url, Library: library(t), Threads: 2})
			if err != nil {
				t.Error(err)
				return
			}
			stores[i] = s
		})
	}
	wg.Wait()
	holders := 0
	for i, s := range stores {
		if s == nil {
			continue
		}
		if s.holder == HolderSelf {
			holders++
			defer s.Close()
		} else {
			defer s.conn.Close()
		}
		w := begin(t, s, "at-once-"+string(rune('a'+i)), night)
		put(t, w, access.Account{ID: "a"})
		publish(t, w, Accepted)
	}
	if holders != 1 {
		t.Errorf("%d stores hold the folder", holders)
	}
}

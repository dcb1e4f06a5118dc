package hook

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"go.yaml.in/yaml/v3"

	"github.com/lapse-audit/lapse/internal/access"
	"github.com/lapse-audit/lapse/internal/collect"
	"github.com/lapse-audit/lapse/internal/collect/collecttest"
)

const secretText = "s3cr3t-t0ken"

// TestMain is the command, too: this binary with the word hook.
func TestMain(m *testing.M) {
	if len(os.Args) > 2 && os.Args[1] == "hook" {
		syscall.Exit(command(os.Args[2:])) // os.Exit waits a second under the race detector
	}
	os.Exit(m.Run())
}

// ledger is the system in which changes are made: a file.
type ledger struct {
	Enabled bool
	Grants  []string
	Calls   int
}

// command is what an organisation would write: its arguments are the file of the system and how it behaves.
func command(args []string) int {
	data, err := os.ReadFile(args[0])
	var l ledger
	if err == nil {
		err = json.Unmarshal(data, &l)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	save := func() {
		l.Calls++
		text, _ := json.Marshal(l)
		_ = os.WriteFile(args[0], text, 0o600)
	}
	text, _ := io.ReadAll(os.Stdin)
	var q struct {
		Version int
		Op      string
		Object  struct{ Kind, ID string }
		Change  struct {
			Action, Entitlement, Note string
			Object                    struct{ Kind, ID string }
			Undo                      bool
			Before                    struct {
				Grants []string
				Keep   map[string][]string
			}
		}
	}
	if err := json.Unmarshal(text, &q); err != nil || q.Version != 1 {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	how := ""
	if len(args) > 1 {
		how = args[1]
	}
	id := q.Object.ID + q.Change.Object.ID
	switch {
	case id != "47'11":
		fmt.Println(`{"error": "gone", "message": "never heard of it"}`)
		return 0
	case q.Op == "look":
		out, _ := json.Marshal(map[string]any{"live": map[string]any{"account": map[string]any{"id": id, "username": "ann", "enabled": l.Enabled, "expires_at": "2027-01-02T03:04:05Z"}, "grants": l.Grants, "keep": map[string][]string{"was": l.Grants}}})
		fmt.Println(string(out))
		return 0
	case q.Op == "may":
		return 205
	case q.Op == "native":
		if how == "tells" {
			fmt.Println(`{"commands": ["erpctl lock 4711"]}`)
			return 0
		}
		return 205
	}
	switch how {
	case "status":
		fmt.Fprintln(os.Stderr, "no with", os.Getenv("ERP_TOKEN"))
		return 201
	case "refused":
		fmt.Fprintln(os.Stdout, `{"error": "refused", "message": "protected by `+os.Getenv("ERP_TOKEN")+`"}`)
		return 1
	case "failed":
		return 204
	case "crash":
		save()
		fmt.Fprintln(os.Stderr, strings.Repeat("x", 100_000))
		return 2
	case "silent":
		return 0
	case "babble":
		fmt.Println("done!")
		return 0
	case "unknown key":
		fmt.Println(`{"ok": true}`)
		return 0
	case "unknown error":
		fmt.Println(`{"error": "nope"}`)
		return 0
	case "endless":
		for range 5000 {
			fmt.Print(strings.Repeat(" ", 1000))
		}
		return 0
	case "sleeps":
		child := exec.Command("/bin/sleep", "60") // that holds our output
		child.Stdout = os.Stdout
		_ = child.Start()
		save()
		time.Sleep(time.Minute)
	case "environment":
		fmt.Fprintln(os.Stderr, os.Environ())
		return 201
	case "lies":
		fmt.Println("{}")
		return 0
	}
	switch c := q.Change; c.Action {
	case "disable":
		l.Enabled = c.Undo
	case "revoke":
		l.Grants = slices.DeleteFunc(l.Grants, func(g string) bool { return g == c.Entitlement })
		if c.Undo {
			l.Grants = c.Before.Keep["was"]
		}
	}
	save()
	fmt.Println("{}")
	return 0
}

// start makes a system and the changer of it.
func start(t testing.TB, how ...string) (*Changer, func(testing.TB) string, string) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "erp.json")
	if err := os.WriteFile(file, []byte(`{"Enabled":true,"Grants":["approver","payer"],"Calls":0}`), 0o600); err != nil {
		t.Fatal(err)
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	var c Config
	if err := yaml.Unmarshal([]byte("actions: {disable: {undo: true, read_back: true, right: operator}, revoke: {undo: true, read_back: true}}\nenv: {ERP_TOKEN: env:ERP}\ntimeout: 60s\nconcurrency: 4"), &c); err != nil {
		t.Fatal(err)
	}
	c.Exec = append([]string{self, "hook", file}, how...)
	ch, err := New(c, Options{Base: t.TempDir(), Secret: func(context.Context, collect.Secret) (string, error) { return secretText, nil }})
	if err != nil {
		t.Fatal(err)
	}
	witness := func(t testing.TB) string {
		out, err := exec.Command("grep", "-o", `^.*\]`, file).CombinedOutput() // without the calls
		if err != nil {
			t.Fatal(err)
		}
		return string(out)
	}
	return ch, witness, file
}

var ann = access.Object{Kind: access.HolderAccount, ID: "47'11"}

func TestChanges(t *testing.T) {
	c, witness, _ := start(t)
	collecttest.Changes(t, "a command", c, []collecttest.Changing{
		{Change: access.Change{Action: access.ActionDisable, Object: ann, Note: "plan 7"}, Witness: witness},
		{Change: access.Change{Action: access.ActionRevoke, Object: ann, Entitlement: "payer"}, Witness: witness},
	})
	live, err := c.Look(t.Context(), ann)
	if err != nil || live.Account.Username != "ann" || live.Account.ExpiresAt == nil || live.Seats != nil || len(live.Grants) != 2 || live.At.IsZero() {
		t.Errorf("%+v, %v", live, err)
	}
}

func TestFaults(t *testing.T) {
	disable := access.Change{Action: access.ActionDisable, Object: ann}
	for how, f := range map[string]struct {
		want error
		text string
	}{
		"status": {access.ErrRefused, "no with <secret>"}, "refused": {access.ErrRefused, "protected by <secret>"}, "failed": {errFailed, "doesn't say why"}, "crash": {access.ErrUnsure, "xxxx"},
		"silent": {access.ErrUnsure, "no answer: want a JSON object"}, "babble": {access.ErrUnsure, "not as it should be"}, "unknown key": {access.ErrUnsure, `unknown field "ok"`},
		"unknown error": {access.ErrUnsure, `"nope" is none of`}, "endless": {access.ErrUnsure, "more than"}, "sleeps": {access.ErrUnsure, "no answer within 1s"},
		"environment": {access.ErrRefused, "[ERP_TOKEN=<secret> LANG=C.UTF-8 PATH=/usr/local/bin:/usr/bin:/bin]"}, "lies": {nil, ""},
	} {
		t.Run(how, func(t *testing.T) {
			t.Parallel()
			c, witness, _ := start(t, how)
			if how == "sleeps" {
				c.config.Timeout = time.Second
			}
			was := witness(t)
			began := time.Now()
			err := c.Apply(t.Context(), disable)
			if !errors.Is(err, f.want) || err != nil && !strings.Contains(err.Error(), f.text) || f.want == nil && err != nil {
				t.Errorf("%v, want %v with %q", err, f.want, f.text)
			}
			for _, kind := range []error{access.ErrRefused, access.ErrUnsure, access.ErrGone, access.ErrCannot} {
				if kind != f.want && errors.Is(err, kind) {
					t.Errorf("%v is %v, too", err, kind)
				}
			}
			if err != nil && (strings.Contains(err.Error(), secretText) || len(err.Error()) > maxMessage+500) {
				t.Errorf("message: %d bytes: %.300s", len(err.Error()), err)
			}
			if time.Since(began) > 15*time.Second {
				t.Error("a child was waited for")
			}
			c.config.Timeout = time.Minute
			live, err := c.Look(t.Context(), ann)
			if err != nil {
				t.Fatal(err)
			}
			if done, known := disable.Shows(live); done || !known || witness(t) != was {
				t.Errorf("shows done %v, known %v", done, known)
			}
		})
	}
	t.Run("doctor", func(t *testing.T) {
		c, _, _ := start(t)
		advice, err := c.Diagnose(t.Context())
		if err != nil || len(advice) != 1 || advice[0].Missing {
			t.Errorf("%+v, %v", advice, err)
		}
		c.config.Exec = []string{"./nothing"}
		if advice, err = c.Diagnose(t.Context()); err != nil || !advice[0].Missing {
			t.Errorf("%+v, %v", advice, err)
		}
	})
	t.Run("not started", func(t *testing.T) {
		c, _, _ := start(t)
		c.config.Exec = []string{"./nothing"}
		err := c.Apply(t.Context(), disable)
		if err == nil || errors.Is(err, access.ErrUnsure) || errors.Is(err, access.ErrRefused) {
			t.Errorf("%v", err)
		}
	})
	t.Run("gone", func(t *testing.T) {
		c, _, _ := start(t)
		o := access.Object{Kind: access.HolderAccount, ID: "; touch /tmp/x"}
		_, looked := c.Look(t.Context(), o)
		for _, err := range []error{looked, c.Apply(t.Context(), access.Change{Action: access.ActionDisable, Object: o})} {
			if !errors.Is(err, access.ErrGone) {
				t.Errorf("%v", err)
			}
		}
	})
	t.Run("cannot", func(t *testing.T) {
		c, _, _ := start(t)
		for _, ch := range []access.Change{{Action: access.ActionDelete, Object: ann}, {Action: access.ActionDisable, Object: ann, Undo: true}} {
			if err := c.Apply(t.Context(), ch); !errors.Is(err, access.ErrCannot) {
				t.Errorf("%s: %v", ch.Action, err)
			}
		}
	})
}

// What is printed for a person works in a shell.
func TestNative(t *testing.T) {
	c, witness, _ := start(t)
	was := witness(t)
	lines := c.Native(access.Change{Action: access.ActionDisable, Object: ann, Note: "it's $(x)"})
	if len(lines) != 1 || strings.Contains(lines[0], secretText) {
		t.Fatalf("%q", lines)
	}
	if out, err := exec.Command("sh", "-c", lines[0]).CombinedOutput(); err != nil || strings.TrimSpace(string(out)) != "{}" || witness(t) == was {
		t.Errorf("%s\n%v\n%s", lines[0], err, out)
	}
	c, _, _ = start(t, "tells")
	if got := c.Native(access.Change{Action: access.ActionDisable, Object: ann}); !slices.Equal(got, []string{"erpctl lock 4711"}) {
		t.Errorf("%q", got)
	}
}

func TestConfigFaults(t *testing.T) {
	for text, want := range map[string]string{
		"{}":                                     "write.exec: is missing",
		"exec: [erpctl]":                         `write.exec: "erpctl" is no path`,
		"exec: [/bin/x]":                         "write.actions: is missing",
		"exec: [/bin/x]\nactions: {disabel: {}}": `there is no action "disabel": did you mean "disable"?`,
		"exec: [/bin/x]\nactions: {disable: {}}\nenv: {A=B: env:X}": `"A=B" is no name of a variable`,
		"exec: [/bin/x]\nactions: {disable: {}}\nconcurrency: 99":   "write.concurrency: 99",
		"exec: [/bin/x]\nactions: {disable: {}}\ntimeout: -1s":      "write.timeout",
	} {
		var c Config
		if err := yaml.Unmarshal([]byte(text), &c); err != nil {
			t.Fatal(err)
		}
		if _, err := New(c, Options{}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s\n%v, want %s", text, err, want)
		}
	}
}

func FuzzAnswer(f *testing.F) {
	for _, s := range []string{`{}`, `{"live":{"account":{"id":"1","keys":[]},"grants":[],"seats":null}}`, `{"error":"gone"}`, `{"live":{"entitlement":{"id":"1"}}}`, `{} {}`, ``, `[]`, `{"live":null}`} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		a, err := parse(text)
		if err != nil || a.Live == nil {
			return
		}
		for _, o := range []access.Object{{Kind: access.HolderAccount, ID: "1"}, {Kind: access.HolderEntitlement, ID: "1"}} {
			l, err := a.Live.access(o)
			if err != nil {
				continue
			}
			again, err := liveOf(l).access(o)
			if err != nil || len(again.Grants) != len(l.Grants) || (again.Grants == nil) != (l.Grants == nil) || (again.Seats == nil) != (l.Seats == nil) {
				t.Errorf("%+v is %+v when it comes back, %v", l, again, err)
			}
		}
	})
}

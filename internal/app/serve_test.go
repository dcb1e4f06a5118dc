package app

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/lapse-audit/lapse/internal/config"
	"github.com/lapse-audit/lapse/internal/serve"
	"github.com/lapse-audit/lapse/internal/state"
)

const servedConfig = `sources:
- {uid: hr, type: file, roster: {end_date: last_day}, files: {people: {path: people.csv}}}
notify:
  slack: {token: "file:token", signing_secret: "file:signing", channel: C024BE91L}
serve:
  after_scan: [notify, apply]
  send: "*/15 8-18 * * 1-5"
  webhooks: [{name: simple, bearer: "file:bearer", id: .id, event: .kind, leaver: left, person: .mail}]
`

// A configuration becomes jobs, the mount for Slack and the webhooks.
func TestServeSetup(t *testing.T) {
	dir := t.TempDir()
	for name, text := range map[string]string{"token": "xoxb-test", "signing": "8f742231b10e", "bearer": "t0ken", "people.csv": "id,name,status\np1,Ana,active\n"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	c, err := config.Parse("lapse.yaml", dir, []byte(servedConfig))
	if err != nil {
		t.Fatal(err)
	}
	decisions, err := state.Open(t.Context(), state.Options{Path: c.StateURL()})
	if err != nil {
		t.Fatal(err)
	}
	defer decisions.Close()
	var log bytes.Buffer
	setup, err := Serve(t.Context(), c, Options{Now: time.Now, Log: slog.New(slog.NewJSONHandler(&log, nil))}, ServeOptions{
		State: decisions, Child: func(args ...string) serve.Child { return serve.Child{Path: "/nowhere/lapse", Args: args} }})
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, j := range setup.Jobs {
		for _, s := range j.Steps {
			got = append(got, j.Name+" "+s.Name)
		}
	}
	if want := "nightly scan, nightly notify, nightly apply, send notify"; strings.Join(got, ", ") != want {
		t.Errorf("%s, want %s", strings.Join(got, ", "), want)
	}
	// Nobody has begun to ask people: that is no failure.
	if res, err := setup.Jobs[1].Steps[0].Run(t.Context(), serve.Attempt{Log: slog.Default()}); err != nil || res.Skipped == "" {
		t.Errorf("%+v, %v", res, err)
	}
	if len(setup.Mounts) != 1 || setup.Mounts[0].Pattern != "/slack" {
		t.Fatalf("%+v", setup.Mounts)
	}
	if status := toSlack(setup.Mounts[0].Handler, "8f742231b10e"); status != http.StatusOK {
		t.Errorf("signed by Slack: %d", status)
	}
	if status := toSlack(setup.Mounts[0].Handler, "guess"); status != http.StatusUnauthorized {
		t.Errorf("forged: %d", status)
	}
	r := httptest.NewRequest(http.MethodPost, "/hr/simple", strings.NewReader(`{"id":"e","kind":"left","mail":"ana@example.com"}`))
	r.SetPathValue("name", "simple")
	r.Header.Set("Authorization", "Bearer t0ken")
	w := httptest.NewRecorder()
	if setup.HR.ServeHTTP(w, r); w.Code != http.StatusAccepted {
		t.Errorf("HR: %d %s", w.Code, w.Body)
	}
	if all, err := decisions.Leavers(t.Context(), false); err != nil || len(all) != 1 || all[0].Person != "ana@example.com" {
		t.Errorf("%+v, %v", all, err)
	}
	if strings.Contains(log.String(), "t0ken") {
		t.Errorf("the log has a secret: %s", &log)
	}
	if err := setup.Close(); err != nil {
		t.Error(err)
	}

	bad, err := config.Parse("lapse.yaml", dir, []byte(servedConfig+"policies: {enable: [NO-99]}\n"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Serve(t.Context(), bad, Options{Now: time.Now, Log: slog.Default()}, ServeOptions{State: decisions}); err == nil || !strings.Contains(err.Error(), "NO-99") {
		t.Errorf("with a rule that is not there: %v", err)
	}
}

// toSlack sends what Slack sends to try the address.
func toSlack(h http.Handler, secret string) int {
	body, at := "ssl_check=1", fmt.Sprint(time.Now().Unix())
	mac := hmac.New(sha256.New, []byte(secret))
	fmt.Fprintf(mac, "v0:%s:%s", at, body)
	r := httptest.NewRequest(http.MethodPost, "/slack", strings.NewReader(body))
	r.Header.Set("X-Slack-Request-Timestamp", at)
	r.Header.Set("X-Slack-Signature", "v0="+hex.EncodeToString(mac.Sum(nil)))
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w.Code
}

// What exit codes mean for a job.
func TestExited(t *testing.T) {
	for code, want := range map[int]string{3: "done", 4: "incomplete", 2: "hopeless", 1: "failed", -1: "failed"} {
		res, err := exited(&serve.ExitError{Code: code, How: "exit"})
		got := "done"
		switch {
		case errors.Is(err, serve.ErrHopeless):
			got = "hopeless"
		case err != nil:
			got = "failed"
		case res.Incomplete != "":
			got = "incomplete"
		}
		if got != want {
			t.Errorf("exit code %d: %s, want %s", code, got, want)
		}
	}
	for said, want := range map[string]bool{"": true, "time=2026-11-25 level=WARN": true, "lapse: apply: no connection": false} {
		res, err := refused(exited(&serve.ExitError{Code: 1, Said: said}))
		if (err == nil) != want || (res.Incomplete != "") != want {
			t.Errorf("%q: %+v, %v", said, res, err)
		}
	}
	if _, err := exited(context.Canceled); !errors.Is(err, context.Canceled) {
		t.Errorf("%v", err)
	}
}

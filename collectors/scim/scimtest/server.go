// Package scimtest starts real SCIM servers for tests: those of collectors/scim/testdata/servers, which npm installs.
package scimtest

import (
	"bufio"
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// The servers that can be started.
const (
	Scimmy     = "scimmy"
	BetterAuth = "better-auth"
)

// Server is a running server, which holds nothing at first.
type Server struct {
	URL   string // the base of the service
	token string
}

// Start runs one of the servers in a folder (collectors/scim/testdata/servers, as the test has it) until the test ends.
// Without them the test is skipped; in CI it fails.
func Start(t testing.TB, folder, name, token string, env ...string) *Server {
	t.Helper()
	dir, err := filepath.Abs(folder)
	if err != nil {
		t.Fatal(err)
	}
	node, err := exec.LookPath("node")
	if err == nil {
		_, err = os.Stat(filepath.Join(dir, "node_modules", ".package-lock.json"))
	}
	if err != nil {
		const missing = "the SCIM servers are not installed: npm ci --prefix collectors/scim/testdata/servers"
		if os.Getenv("CI") == "true" {
			t.Fatal(missing)
		}
		t.Skip(missing)
	}
	cmd := exec.Command(node, name+".mjs")
	cmd.Dir = dir
	cmd.Env = append(append(os.Environ(), "SCIM_TOKEN="+token, "NODE_ENV=production"), env...)
	stdin, err := cmd.StdinPipe() // the server ends when this does, however the test ends
	if err != nil {
		t.Fatal(err)
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	var log bytes.Buffer
	cmd.Stderr = &log
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		stdin.Close()
		if err := cmd.Wait(); err != nil {
			t.Errorf("%s: %v\n%s", name, err, log.String())
		}
	})
	lines := make(chan string, 1)
	go func() {
		line, _ := bufio.NewReader(stdout).ReadString('\n')
		lines <- strings.TrimSpace(line)
		_, _ = io.Copy(io.Discard, stdout)
	}()
	select {
	case line := <-lines:
		if line == "" {
			_ = cmd.Process.Kill()
			t.Fatalf("%s ended at once", name)
		}
		return &Server{URL: line, token: token}
	case <-time.After(60 * time.Second):
		_ = cmd.Process.Kill()
		t.Fatalf("%s doesn't start", name)
	}
	return nil
}

// Do sends a request and returns the answer, which must be a good one.
func (s *Server) Do(t testing.TB, method, path, body string) map[string]any {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, s.URL+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+s.token)
	req.Header.Set("Content-Type", "application/scim+json")
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err != nil || res.StatusCode > 299 {
		t.Fatalf("%s %s: %s %s %v", method, path, res.Status, text, err)
	}
	var m map[string]any
	if len(text) > 0 {
		if err := json.Unmarshal(text, &m); err != nil {
			t.Fatal(err)
		}
	}
	return m
}

package app

import (
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/lapse-audit/lapse/internal/config"
)

const everyChannel = `
notify:
  tickets: {recipe: jira, url: 'https://acme.example.com', user: bot, password: file:secret, params: {project: SEC}}
  slack: {token: file:xoxb, signing_secret: file:secret, channel: C024BE91L}
  teams: {url: file:url, channels: {'app_owner:crm': file:url}, people: file:url}
  email: {host: smtp.example.com, user: u, password: file:secret, from: lapse@example.com}
  webhook: {url: 'https://hooks.example.com', secret: file:secret}
  text: {dir: messages}
  links: {url: 'https://lapse.example.com', keys: {k1: file:secret}}
`

func notifying(t *testing.T, text string) *App {
	t.Helper()
	dir := t.TempDir()
	for name, secret := range map[string]string{"secret": strings.Repeat("made-up ", 5), "url": "https://flow.example.com/x?sig=made-up", "xoxb": "xoxb-made-up", "xapp": "xapp-made-up"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(secret), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	c, err := config.Parse("lapse.yaml", dir, []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return New(c, Options{Now: time.Now, Log: slog.New(slog.DiscardHandler)})
}

// Whatever is set up is tried in one order.
func TestChannels(t *testing.T) {
	all, err := notifying(t, everyChannel).channels(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, c := range all {
		names = append(names, c.Name())
	}
	if want := []string{"tickets", "slack", "teams", "email", "webhook", "text"}; !slices.Equal(names, want) {
		t.Errorf("%v, want %v", names, want)
	}
}

// A secret that is missing or makes no sense is named by its key, and not told.
func TestChannelSecrets(t *testing.T) {
	for _, c := range []struct{ from, to, want string }{
		{"password: file:secret, params", "password: file:none, params", "notify.tickets.password: secret file:"},
		{"recipe: jira", "recipe: jria", "notify.tickets.recipe: open"},
		{"teams: {url: file:url", "teams: {url: file:none", "notify.teams.url: secret file:"},
		{"'app_owner:crm': file:url", "'app_owner:crm': file:secret", "notify.teams.channels.app_owner:crm: it is no https address"},
		{"user: u, password: file:secret", "user: u, password: env:LAPSE_TEST_NO_SUCH", "notify.email.password: secret env:LAPSE_TEST_NO_SUCH"},
		{"from: lapse@example.com", "from: lapse@example.com, ca: none.pem", "notify.email.ca: open"},
		{"from: lapse@example.com", "from: lapse@example.com, ca: secret", "notify.email.ca: there is no certificate"},
		{"keys: {k1: file:secret}", "keys: {k1: file:xoxb}", "notify.links.keys.k1: it has fewer than 32"},
	} {
		_, err := notifying(t, strings.Replace(everyChannel, c.from, c.to, 1)).channels(t.Context())
		if err == nil || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "made-up") {
			t.Errorf("%s: %v, want %q", c.to, err, c.want)
		}
	}
}

// Where nothing can come in by HTTP, nothing is waited for.
func TestIncoming(t *testing.T) {
	for text, want := range map[string]string{
		"notify: {text: {dir: messages}}": "", "notify: {links: {url: 'https://lapse.example.com', keys: {k1: file:secret}}}": "/answer/",
		"notify: {slack: {token: file:xoxb, app_token: file:xapp, channel: C024BE91L}}": "",
	} {
		in, err := notifying(t, text).incoming(t.Context(), nil)
		if err != nil {
			t.Fatal(err)
		}
		in.wait()
		got := ""
		for _, m := range in.mounts {
			got += m.Pattern
		}
		if got != want {
			t.Errorf("%s: %q, want %q", text, got, want)
		}
	}
	if err := notifying(t, "notify: {text: {dir: messages}}").Listen(t.Context(), "127.0.0.1:0"); err == nil || !strings.Contains(err.Error(), "nothing comes in by HTTP: set up notify.links") {
		t.Error(err)
	}
	if err := notifying(t, "notify: {links: {url: 'https://lapse.example.com', keys: {k1: file:secret}}}").Listen(t.Context(), ""); err == nil || !strings.Contains(err.Error(), "say at which address") {
		t.Error(err)
	}
}

package slack

import (
	"fmt"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"

	"github.com/lapse-audit/lapse/internal/strict"
)

func decode(t *testing.T, text string) (Config, error) {
	t.Helper()
	var n yaml.Node
	if err := yaml.Unmarshal([]byte(text), &n); err != nil {
		t.Fatal(err)
	}
	var c Config
	err := strict.Decode("lapse.yaml", n.Content[0], "notify.slack", &c)
	return c, err
}

func TestConfig(t *testing.T) {
	text := "token: env:SLACK_BOT_TOKEN\nsigning_secret: file:slack.secret\napp_token: exec:pass slack\nchannel: C024BE91L\nchannels:\n  app_owner:CRM: G024BE91L\n"
	c, err := decode(t, text)
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Validate(); err != nil {
		t.Error(err)
	}
	if c.Token.Reference() != "env:SLACK_BOT_TOKEN" || c.Channels["app_owner:CRM"] != "G024BE91L" {
		t.Errorf("read %+v", c)
	}
	if text := fmt.Sprintf("%v %+v %#v", c, c, c); strings.Contains(text, "SLACK_BOT_TOKEN") || strings.Contains(text, "slack.secret") {
		t.Errorf("a reference is printed: %s", text)
	}
	for _, text := range []string{"token: xoxb-1-2", "tokens: env:A", "channel: [a]", "channels: C024BE91L"} {
		if _, err := decode(t, text); err == nil || strings.Contains(err.Error(), "xoxb-1-2") {
			t.Errorf("%s: error %v", text, err)
		}
	}
	bad := Config{Channel: "#security", Channels: map[string]string{"app_owner:CRM": "crm", "app_owner:Wiki": "C024BE91L"}}
	if err := bad.Validate(); err == nil || strings.Count(err.Error(), "\n") != 3 {
		t.Errorf("error %v, want 4 faults", err)
	}
	for address, want := range map[string]string{
		"https://slack-proxy.example.com/api/": "", "http://127.0.0.1:8080": "", "http://[::1]:8080/api": "", "http://localhost/": "",
		"http://slack-proxy.example.com/api/": "not encrypted", "http://127.0.0.1.example.com/": "not encrypted", "slack-proxy": "no address",
		"ftp://slack-proxy/": "no scheme", "https://a:geheim@slack-proxy/": "a password", "https://slack-proxy/?token=geheim": "no address",
	} {
		c.API = address
		err := c.Validate()
		if want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "geheim")) {
			t.Errorf("%s: error %v, want %q", address, err, want)
		}
	}
	if err := (&Config{}).Validate(); err == nil || !strings.Contains(err.Error(), "channel is missing") {
		t.Errorf("error %v", err)
	}
}

func TestSecrets(t *testing.T) {
	for name, tt := range map[string]struct {
		s    Secrets
		want string
	}{
		"good":     {Secrets{Token: token, AppToken: appToken, SigningSecret: "x"}, ""},
		"swapped":  {Secrets{Token: appToken, AppToken: token}, "app_token: it is no app-level"},
		"user's":   {Secrets{Token: "xoxp-1"}, "no bot token"},
		"no token": {Secrets{}, "no bot token"},
	} {
		err := tt.s.Validate()
		if (err == nil) != (tt.want == "") || err != nil && (!strings.Contains(err.Error(), tt.want) || strings.Contains(err.Error(), "made-up")) {
			t.Errorf("%s: error %v, want %q", name, err, tt.want)
		}
	}
	if text := fmt.Sprintf("%v %+v %#v %s", Secrets{Token: token}, Secrets{Token: token}, &Secrets{Token: token}, Secrets{Token: token}); strings.Contains(text, token) {
		t.Errorf("printed: %s", text)
	}
	if _, err := New(Config{}, Secrets{}, Options{}); err == nil || !strings.HasPrefix(err.Error(), "notify.slack: ") {
		t.Errorf("error %v", err)
	}
}

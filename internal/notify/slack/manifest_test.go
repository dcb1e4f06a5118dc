package slack

import (
	"bytes"
	"maps"
	"os"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/slack-go/slack"
	"go.yaml.in/yaml/v3"

	"github.com/lapse-audit/lapse/internal/notify/slack/slacktest"
)

// The app asks for the rights that the methods in use need, and for no other. That no other method is in use is the
// fake's to say.
func TestManifest(t *testing.T) {
	data, err := os.ReadFile("../../../deploy/slack-manifest.yaml")
	if err != nil {
		t.Fatal(err)
	}
	d := yaml.NewDecoder(bytes.NewReader(data))
	d.KnownFields(true) // Slack passes over what it doesn't know
	var m slack.Manifest
	if err := d.Decode(&m); err != nil {
		t.Fatal(err)
	}
	need := map[string]bool{"commands": true}
	for _, list := range slacktest.Scopes {
		for _, s := range list {
			need[s] = true
		}
	}
	if diff := cmp.Diff(slices.Sorted(maps.Keys(need)), slices.Sorted(slices.Values(m.OAuthConfig.Scopes.Bot))); diff != "" {
		t.Errorf("scopes (-in use +asked for):\n%s", diff)
	}
	if n := len(m.OAuthConfig.Scopes.User); n != 0 {
		t.Errorf("%d rights of the person who installs it", n)
	}
	if c := m.Features.SlashCommands; len(c) != 1 || c[0].Command != "/lapse" || !c[0].ShouldEscape {
		t.Errorf("commands: %+v", c)
	}
	if i := m.Settings.Interactivity; i == nil || !i.IsEnabled || i.RequestUrl != m.Features.SlashCommands[0].Url {
		t.Errorf("interactivity: %+v", i)
	}
	if m.Settings.EventSubscriptions != nil {
		t.Errorf("events: %+v, and nothing takes them", m.Settings.EventSubscriptions)
	}
}

package slack

import (
	"testing"
	"time"

	"go.yaml.in/yaml/v3"

	"github.com/lapse-audit/lapse/internal/collect"
	"github.com/lapse-audit/lapse/internal/notify/slack/slacktest"
)

const (
	token         = slacktest.Token
	appToken      = slacktest.AppToken
	signingSecret = slacktest.SigningSecret
	security      = slacktest.Security
)

// workspace is one that a channel of a test is connected to.
type workspace struct {
	*slacktest.Workspace
	t *testing.T
}

func newWorkspace(t *testing.T) *workspace {
	w := &workspace{slacktest.New(t), t}
	w.Start = noon
	return w
}

func secret(t *testing.T, ref string) collect.Secret {
	t.Helper()
	var s collect.Secret
	if err := yaml.Unmarshal([]byte(ref), &s); err != nil {
		t.Fatal(err)
	}
	return s
}

func (w *workspace) channel(o Options) *Channel {
	w.t.Helper()
	c := Config{
		Token: secret(w.t, "env:A"), SigningSecret: secret(w.t, "env:B"), AppToken: secret(w.t, "env:C"),
		Channel: security, Channels: map[string]string{"app_owner:CRM": "C0CRMOWNERS"}, API: w.API(),
	}
	if o.Pace == 0 {
		o.Pace = time.Microsecond
	}
	if o.Now == nil {
		o.Now = func() time.Time { return noon }
	}
	ch, err := New(c, Secrets{Token: token, SigningSecret: signingSecret, AppToken: appToken}, o)
	if err != nil {
		w.t.Fatal(err)
	}
	return ch
}

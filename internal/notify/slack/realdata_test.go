package slack

import (
	"compress/gzip"
	"encoding/json"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/slack-go/slack"

	"github.com/lapse-audit/lapse/internal/notify/slack/slacktest"
)

func realData(t *testing.T, name string) string {
	t.Helper()
	root := os.Getenv("LAPSE_REALDATA")
	if root == "" {
		t.Skip("LAPSE_REALDATA is not set: it names a folder with slack_openapi and slack_json_logs, Slack's own")
	}
	return filepath.Join(root, name)
}

// The methods exist in Slack's own description, with the rights that the manifest asks for.
func TestMethodsAreDocumented(t *testing.T) {
	f, err := os.Open(realData(t, "slack_openapi/web-api/slack_web_openapi_v2.json.gz"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	z, err := gzip.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	var api struct {
		Paths map[string]map[string]struct {
			Security []struct {
				Auth []string `json:"slackAuth"`
			} `json:"security"`
		} `json:"paths"`
	}
	if err := json.NewDecoder(z).Decode(&api); err != nil {
		t.Fatal(err)
	}
	for method, need := range slacktest.Scopes {
		var documented []string
		for _, op := range api.Paths["/"+method] {
			for _, s := range op.Security {
				documented = append(documented, s.Auth...)
			}
		}
		if documented == nil {
			t.Errorf("%s is not documented", method)
		}
		for _, s := range need {
			// The description is older than bots with rights of their own: their chat:write was chat:write:bot. The address of a
			// user is a right of its own, which users.info doesn't name.
			if !slices.Contains(documented, s) && !slices.Contains(documented, s+":bot") && s != "users:read.email" {
				t.Errorf("%s needs %v, not %s", method, documented, s)
			}
		}
		if need == nil && !slices.Contains(documented, "none") {
			t.Errorf("%s needs %v, and the manifest asks for nothing", method, documented)
		}
	}
}

// What Slack's own SDK has recorded of every kind of payload is read, and taken for no decision: its fields are blank.
func TestRecordedPayloads(t *testing.T) {
	_, d, a, _ := sent(t, 1)
	dir := realData(t, "slack_json_logs/json-logs/samples/app-backend")
	read := 0
	for _, name := range []string{"interactive-components/BlockActionPayload.json", "views/ViewSubmissionPayload.json", "views/ViewClosedPayload.json"} {
		data, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		var whole map[string]any
		if err := json.Unmarshal(data, &whole); err != nil {
			t.Fatal(err)
		}
		if m, ok := whole["message"].(map[string]any); ok {
			// Ours have no attachments and no files. Here they are there, with their numbers blanked to "".
			maps.DeleteFunc(m, func(key string, _ any) bool {
				return !slices.Contains([]string{"type", "user", "bot_id", "app_id", "team", "ts", "text", "blocks", "edited", "metadata"}, key)
			})
		}
		if data, err = json.Marshal(whole); err != nil {
			t.Fatal(err)
		}
		var cb slack.InteractionCallback
		if err := json.Unmarshal(data, &cb); err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if _, err := a.interaction(t.Context(), cb); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		read++
	}
	data, err := os.ReadFile(filepath.Join(dir, "slash-commands/SlashCommandPayload.json"))
	if err != nil {
		t.Fatal(err)
	}
	var sc slack.SlashCommand
	if err := json.Unmarshal(data, &sc); err != nil {
		t.Error(err)
	}
	if text, _ := json.Marshal(a.command(t.Context(), sc)); !strings.Contains(string(text), "/lapse mine") {
		t.Errorf("an empty command is answered %s", text)
	}
	if len(d.decisions()) != 0 || read != 3 {
		t.Errorf("%d payloads read, %d decisions", read, len(d.decisions()))
	}
}

// The fake answers with no field that Slack doesn't.
func TestFakeHasSlacksShapes(t *testing.T) {
	dir := realData(t, "slack_json_logs/json-logs/samples/api")
	w := newWorkspace(t)
	for method, args := range map[string]map[string]string{
		"auth.test": nil, "users.lookupByEmail": {"email": "anna.berg@example.com"}, "users.info": {"user": "U1ANNA"},
		"chat.postEphemeral": {"channel": "C1", "blocks": `[{"type":"header","text":{"type":"plain_text","text":"x"}}]`},
		"views.open":         {"trigger_id": "t", "view": `{"type":"modal","blocks":[]}`},
	} {
		data, err := os.ReadFile(filepath.Join(dir, method+".json"))
		if err != nil {
			t.Fatal(err)
		}
		var sample map[string]any
		if err := json.Unmarshal(data, &sample); err != nil {
			t.Fatal(err)
		}
		code, out := w.Do(method, args)
		if code != "" {
			t.Errorf("%s: %s", method, code)
		}
		for key := range out {
			if _, ok := sample[key]; !ok {
				t.Errorf("%s answers %s, which Slack doesn't", method, key)
			}
		}
	}
}

// Ten thousand people with ten findings each are laid out in seconds.
func BenchmarkRender(b *testing.B) {
	m := digestOf(10)
	m.AsOf = time.Now()
	b.ReportAllocs()
	for b.Loop() {
		for _, p := range Render(m) {
			if _, err := json.Marshal(p.Blocks); err != nil {
				b.Fatal(err)
			}
		}
	}
}

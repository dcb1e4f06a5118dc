package slack

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/slack-go/slack"
	"go.yaml.in/yaml/v3"

	"github.com/lapse-audit/lapse/internal/collect"
)

const (
	token         = "xoxb-1-made-up-for-tests"
	appToken      = "xapp-1-made-up-for-tests"
	signingSecret = "made-up-signing-secret"
	security      = "C0SECURITY"
	botID         = "B0LAPSE"
)

// scopes are what each method that is in use needs of a bot, by https://docs.slack.dev/reference/methods. The fake knows
// no other method, and TestManifest holds the manifest against them.
var scopes = map[string][]string{
	"auth.test":             nil,
	"users.lookupByEmail":   {"users:read.email"},
	"users.info":            {"users:read", "users:read.email"}, // the second for the address
	"conversations.open":    {"im:write"},
	"conversations.history": {"im:history", "channels:history", "groups:history"},
	"chat.postMessage":      {"chat:write"},
	"chat.postEphemeral":    {"chat:write"},
	"chat.update":           {"chat:write"},
	"views.open":            nil,
}

// workspace is Slack as far as it is in use: it keeps state, answers in the documented shapes and refuses what Slack
// refuses.
type workspace struct {
	t   *testing.T
	srv *httptest.Server

	mu         sync.Mutex
	users      map[string]*slack.User // by id
	messages   map[string][]*message  // by conversation, oldest first
	views      []slack.ModalViewRequest
	whispers   []message
	calls      []string
	posts      []time.Time
	clock      int
	closed     map[string]string // conversation to error
	trouble    []trouble
	socket     string // address that apps.connections.open gives
	enterprise string
	page       int // messages a page of history, 0 for as many as asked
}

type message struct {
	channel, user, text, ts, bot string
	blocks                       string
	metadata                     slack.SlackMetadata
}

// trouble strikes the calls of a method, the first first.
type trouble struct {
	method string
	skip   int    // calls that go well before
	code   string // Slack's error
	status int    // HTTP
	after  int    // Retry-After
	lost   bool   // done, and the answer is lost
	body   string // in place of an answer
}

func newWorkspace(t *testing.T) *workspace {
	w := &workspace{t: t, users: map[string]*slack.User{}, messages: map[string][]*message{}, closed: map[string]string{}}
	w.srv = httptest.NewServer(w)
	t.Cleanup(w.srv.Close)
	w.user("U1ANNA", "anna.berg@example.com")
	w.user("U2BO", "bo.lind@example.com")
	return w
}

func (w *workspace) user(id, email string) *slack.User {
	u := &slack.User{ID: id, TeamID: "T1", Name: strings.ToLower(id)}
	u.Profile.Email = email
	w.users[id] = u
	return u
}

func (w *workspace) strike(x ...trouble) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.trouble = append(w.trouble, x...)
}

func (w *workspace) count(method string) int {
	w.mu.Lock()
	defer w.mu.Unlock()
	n := 0
	for _, c := range w.calls {
		if c == method {
			n++
		}
	}
	return n
}

// keys are those of the messages in a conversation, in order.
func (w *workspace) keys(channel string) []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	var out []string
	for _, m := range w.messages[channel] {
		out = append(out, fmt.Sprint(m.metadata.EventPayload["key"]))
	}
	return out
}

func (w *workspace) ServeHTTP(rw http.ResponseWriter, r *http.Request) {
	method := strings.TrimPrefix(r.URL.Path, "/")
	args := map[string]string{}
	bearer := strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer ")
	if strings.HasPrefix(r.Header.Get("Content-Type"), "application/json") {
		var raw map[string]json.RawMessage
		if err := json.NewDecoder(r.Body).Decode(&raw); err != nil && !errors.Is(err, io.EOF) {
			w.t.Errorf("%s: %v", method, err)
		}
		for k, v := range raw {
			args[k] = strings.Trim(string(v), `"`)
		}
	} else {
		_ = r.ParseForm()
		for k := range r.Form {
			args[k] = r.Form.Get(k)
		}
		if bearer == "" {
			bearer = args["token"]
		}
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.calls = append(w.calls, method)

	if _, ok := scopes[method]; !ok && method != "apps.connections.open" {
		w.t.Errorf("the method %s is called, which the manifest does not allow for", method)
		answer(rw, "unknown_method", nil)
		return
	}
	want := token
	if method == "apps.connections.open" {
		want = appToken
	}
	var x trouble
	if i := slices.IndexFunc(w.trouble, func(x trouble) bool { return x.method == method }); i >= 0 {
		if w.trouble[i].skip > 0 {
			w.trouble[i].skip--
		} else {
			x = w.trouble[i]
			w.trouble = slices.Delete(w.trouble, i, i+1)
		}
	}
	switch {
	case x.body != "":
		_, _ = io.WriteString(rw, x.body)
		return
	case x.status != 0:
		if x.after > 0 {
			rw.Header().Set("Retry-After", strconv.Itoa(x.after))
		}
		http.Error(rw, "trouble with "+bearer, x.status) // as an echo of the request would
		return
	case x.code != "":
		answer(rw, x.code, map[string]any{"needed": "chat:write " + bearer})
		return
	case bearer != want:
		answer(rw, "invalid_auth", nil)
		return
	}
	code, out := w.do(method, args)
	if x.lost {
		panic(http.ErrAbortHandler)
	}
	answer(rw, code, out)
}

func answer(w http.ResponseWriter, code string, out map[string]any) {
	if out == nil {
		out = map[string]any{}
	}
	out["ok"] = code == ""
	if code != "" {
		out["error"] = code
	}
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(out)
}

func (w *workspace) do(method string, args map[string]string) (code string, out map[string]any) {
	switch method {
	case "auth.test":
		return "", map[string]any{"user_id": "U0LAPSE", "bot_id": botID, "team_id": "T1", "enterprise_id": w.enterprise}
	case "apps.connections.open":
		return "", map[string]any{"url": w.socket}
	case "users.lookupByEmail":
		for _, u := range w.users {
			if u.Profile.Email == args["email"] {
				return "", map[string]any{"user": u}
			}
		}
		return "users_not_found", nil
	case "users.info":
		u, ok := w.users[args["user"]]
		if !ok {
			return "user_not_found", nil
		}
		return "", map[string]any{"user": u}
	case "conversations.open":
		if w.users[args["users"]] == nil {
			return "user_not_found", nil
		}
		return "", map[string]any{"channel": map[string]any{"id": "D" + args["users"]}}
	case "chat.postMessage", "chat.postEphemeral":
		channel := args["channel"]
		if e := w.closed[channel]; e != "" {
			return e, nil
		}
		w.clock++
		m := &message{channel: channel, user: args["user"], text: args["text"], blocks: args["blocks"], bot: botID, ts: fmt.Sprintf("%d.%06d", noon.Unix()+int64(w.clock), w.clock)}
		if !w.valid(m.blocks) {
			return "invalid_blocks", nil
		}
		if method == "chat.postEphemeral" {
			w.whispers = append(w.whispers, *m)
			return "", map[string]any{"message_ts": m.ts}
		}
		if err := json.Unmarshal([]byte(args["metadata"]), &m.metadata); err != nil {
			return "invalid_metadata_format", nil
		}
		w.posts = append(w.posts, time.Now())
		w.messages[channel] = append(w.messages[channel], m)
		return "", map[string]any{"channel": channel, "ts": m.ts}
	case "chat.update":
		for _, m := range w.messages[args["channel"]] {
			if m.ts == args["ts"] {
				if !w.valid(args["blocks"]) {
					return "invalid_blocks", nil
				}
				m.blocks, m.text = args["blocks"], args["text"]
				return "", map[string]any{"channel": args["channel"], "ts": m.ts, "text": m.text}
			}
		}
		return "message_not_found", nil
	case "conversations.history":
		return w.history(args)
	case "views.open":
		var v slack.ModalViewRequest
		if err := json.Unmarshal([]byte(args["view"]), &v); err != nil || args["trigger_id"] == "" {
			return "invalid_arguments", nil
		}
		w.views = append(w.views, v)
		return "", map[string]any{"view": map[string]any{"id": "V1"}}
	}
	return "unknown_method", nil
}

func (w *workspace) valid(blocks string) bool {
	var b slack.Blocks
	if err := json.Unmarshal([]byte(blocks), &b); err != nil {
		w.t.Errorf("blocks: %v", err)
		return false
	}
	f := faults(b.BlockSet, 50)
	for _, f := range f {
		w.t.Errorf("blocks: %s", f)
	}
	return f == nil
}

// history answers newest first, in pages, and without metadata unless it is asked for.
func (w *workspace) history(args map[string]string) (string, map[string]any) {
	all := slices.Clone(w.messages[args["channel"]])
	slices.Reverse(all)
	oldest, _ := strconv.ParseFloat(args["oldest"], 64)
	all = slices.DeleteFunc(all, func(m *message) bool { at, _ := strconv.ParseFloat(m.ts, 64); return at <= oldest })
	limit, _ := strconv.Atoi(args["limit"])
	if w.page > 0 {
		limit = w.page
	}
	from, _ := strconv.Atoi(args["cursor"])
	to := min(len(all), from+limit)
	var list []map[string]any
	for _, m := range all[from:to] {
		e := map[string]any{"type": "message", "ts": m.ts, "text": m.text, "bot_id": m.bot}
		if on := args["include_all_metadata"]; on == "1" || on == "true" {
			e["metadata"] = m.metadata
		}
		list = append(list, e)
	}
	out := map[string]any{"messages": list, "has_more": to < len(all)}
	if to < len(all) {
		out["response_metadata"] = map[string]any{"next_cursor": strconv.Itoa(to)}
	}
	return "", out
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
		Channel: security, Channels: map[string]string{"app_owner:CRM": "C0CRMOWNERS"},
	}
	o.API = w.srv.URL + "/"
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

// Package slacktest is Slack for tests, as far as Lapse uses it: a workspace that keeps state, what it sends back when somebody
// clicks, and the limits of what it takes. The answers have the documented shapes.
package slacktest

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
)

// What the workspace knows Lapse by.
const (
	Token         = "xoxb-1-made-up-for-tests"
	AppToken      = "xapp-1-made-up-for-tests"
	SigningSecret = "made-up-signing-secret"
	Security      = "C0SECURITY"
	BotID         = "B0LAPSE"
)

// Scopes are what each method that is in use needs of a bot, by https://docs.slack.dev/reference/methods. The fake knows
// no other method, and TestManifest holds the manifest against them.
var Scopes = map[string][]string{
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

// Workspace is Slack as far as it is in use: it keeps state, answers in the documented shapes and refuses what Slack
// refuses.
type Workspace struct {
	t   testing.TB
	srv *httptest.Server

	Mu         sync.Mutex             // held while any of the following is used
	Users      map[string]*slack.User // by id
	Messages   map[string][]*Message  // by conversation, oldest first
	Views      []slack.ModalViewRequest
	Whispers   []Message
	Posts      []time.Time
	Closed     map[string]string // conversation to error
	Socket     string            // address that apps.connections.open gives
	Enterprise string
	Start      time.Time // of the clock that messages are dated by
	Page       int       // messages a page of history, 0 for as many as asked
	// Arrived is called for each call before anything is done, without Mu: it may take its time, and with false the call is lost.
	Arrived func(method string) bool
	// Done is called when a call was done, with Mu held, before it is answered.
	Done func(method string)

	calls   []string
	clock   int
	trouble []Trouble
}

// Message is one that was posted.
type Message struct {
	Channel, User, Text, TS, Bot string
	Blocks                       string // JSON
	Metadata                     slack.SlackMetadata
}

// Trouble strikes the calls of a method, the first first.
type Trouble struct {
	Method string
	Skip   int    // calls that go well before
	Code   string // Slack's error
	Status int    // HTTP
	After  int    // Retry-After
	Lost   bool   // done, and the answer is lost
	Body   string // in place of an answer
}

// New is a workspace with two people in it, Anna and Bo, until the test ends.
func New(t testing.TB) *Workspace {
	w := &Workspace{t: t, Start: time.Now(), Users: map[string]*slack.User{}, Messages: map[string][]*Message{}, Closed: map[string]string{}}
	w.srv = httptest.NewServer(w)
	t.Cleanup(w.srv.Close)
	w.User("U1ANNA", "anna.berg@example.com")
	w.User("U2BO", "bo.lind@example.com")
	return w
}

// API is the address of the Web API.
func (w *Workspace) API() string { return w.srv.URL + "/" }

// Close ends the workspace: nothing is answered any more.
func (w *Workspace) Close() { w.srv.Close() }

// User adds somebody, or somebody else under the same id.
func (w *Workspace) User(id, email string) *slack.User {
	u := &slack.User{ID: id, TeamID: "T1", Name: strings.ToLower(id)}
	u.Profile.Email = email
	w.Users[id] = u
	return u
}

// Strike lets calls go wrong.
func (w *Workspace) Strike(x ...Trouble) {
	w.Mu.Lock()
	defer w.Mu.Unlock()
	w.trouble = append(w.trouble, x...)
}

// Count says how often a method was called.
func (w *Workspace) Count(method string) int {
	w.Mu.Lock()
	defer w.Mu.Unlock()
	n := 0
	for _, c := range w.calls {
		if c == method {
			n++
		}
	}
	return n
}

// Keys are those of the messages in a conversation, in order.
func (w *Workspace) Keys(channel string) []string {
	w.Mu.Lock()
	defer w.Mu.Unlock()
	var out []string
	for _, m := range w.Messages[channel] {
		out = append(out, fmt.Sprint(m.Metadata.EventPayload["key"]))
	}
	return out
}

func (w *Workspace) ServeHTTP(rw http.ResponseWriter, r *http.Request) {
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
	w.Mu.Lock()
	arrived := w.Arrived
	w.Mu.Unlock()
	if arrived != nil && !arrived(method) {
		panic(http.ErrAbortHandler)
	}
	w.Mu.Lock()
	defer w.Mu.Unlock()
	w.calls = append(w.calls, method)

	if _, ok := Scopes[method]; !ok && method != "apps.connections.open" {
		w.t.Errorf("the method %s is called, which the manifest does not allow for", method)
		answer(rw, "unknown_method", nil)
		return
	}
	want := Token
	if method == "apps.connections.open" {
		want = AppToken
	}
	var x Trouble
	if i := slices.IndexFunc(w.trouble, func(x Trouble) bool { return x.Method == method }); i >= 0 {
		if w.trouble[i].Skip > 0 {
			w.trouble[i].Skip--
		} else {
			x = w.trouble[i]
			w.trouble = slices.Delete(w.trouble, i, i+1)
		}
	}
	switch {
	case x.Body != "":
		_, _ = io.WriteString(rw, x.Body)
		return
	case x.Status != 0:
		if x.After > 0 {
			rw.Header().Set("Retry-After", strconv.Itoa(x.After))
		}
		http.Error(rw, "trouble with "+bearer, x.Status) // as an echo of the request would
		return
	case x.Code != "":
		answer(rw, x.Code, map[string]any{"needed": "chat:write " + bearer})
		return
	case bearer != want:
		answer(rw, "invalid_auth", nil)
		return
	}
	code, out := w.Do(method, args)
	if w.Done != nil {
		w.Done(method)
	}
	if x.Lost {
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

// Do answers a method, unless something is in its way. Mu is held.
func (w *Workspace) Do(method string, args map[string]string) (code string, out map[string]any) {
	switch method {
	case "auth.test":
		return "", map[string]any{"user_id": "U0LAPSE", "bot_id": BotID, "team_id": "T1", "enterprise_id": w.Enterprise}
	case "apps.connections.open":
		return "", map[string]any{"url": w.Socket}
	case "users.lookupByEmail":
		for _, u := range w.Users {
			if u.Profile.Email == args["email"] {
				return "", map[string]any{"user": u}
			}
		}
		return "users_not_found", nil
	case "users.info":
		u, ok := w.Users[args["user"]]
		if !ok {
			return "user_not_found", nil
		}
		return "", map[string]any{"user": u}
	case "conversations.open":
		if w.Users[args["users"]] == nil {
			return "user_not_found", nil
		}
		return "", map[string]any{"channel": map[string]any{"id": "D" + args["users"]}}
	case "chat.postMessage", "chat.postEphemeral":
		channel := args["channel"]
		if e := w.Closed[channel]; e != "" {
			return e, nil
		}
		w.clock++
		m := &Message{Channel: channel, User: args["user"], Text: args["text"], Blocks: args["blocks"], Bot: BotID, TS: fmt.Sprintf("%d.%06d", w.Start.Unix()+int64(w.clock), w.clock)}
		if !w.valid(m.Blocks) {
			return "invalid_blocks", nil
		}
		if method == "chat.postEphemeral" {
			w.Whispers = append(w.Whispers, *m)
			return "", map[string]any{"message_ts": m.TS}
		}
		if err := json.Unmarshal([]byte(args["metadata"]), &m.Metadata); err != nil {
			return "invalid_metadata_format", nil
		}
		w.Posts = append(w.Posts, time.Now())
		w.Messages[channel] = append(w.Messages[channel], m)
		return "", map[string]any{"channel": channel, "ts": m.TS}
	case "chat.update":
		for _, m := range w.Messages[args["channel"]] {
			if m.TS == args["ts"] {
				if !w.valid(args["blocks"]) {
					return "invalid_blocks", nil
				}
				m.Blocks, m.Text = args["blocks"], args["text"]
				return "", map[string]any{"channel": args["channel"], "ts": m.TS, "text": m.Text}
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
		w.Views = append(w.Views, v)
		return "", map[string]any{"view": map[string]any{"id": "V1"}}
	}
	return "unknown_method", nil
}

func (w *Workspace) valid(blocks string) bool {
	var b slack.Blocks
	if err := json.Unmarshal([]byte(blocks), &b); err != nil {
		w.t.Errorf("blocks: %v", err)
		return false
	}
	f := Faults(b.BlockSet, 50)
	for _, f := range f {
		w.t.Errorf("blocks: %s", f)
	}
	return f == nil
}

// history answers newest first, in pages, and without metadata unless it is asked for.
func (w *Workspace) history(args map[string]string) (string, map[string]any) {
	all := slices.Clone(w.Messages[args["channel"]])
	slices.Reverse(all)
	oldest, _ := strconv.ParseFloat(args["oldest"], 64)
	all = slices.DeleteFunc(all, func(m *Message) bool { at, _ := strconv.ParseFloat(m.TS, 64); return at <= oldest })
	limit, _ := strconv.Atoi(args["limit"])
	if w.Page > 0 {
		limit = w.Page
	}
	from, _ := strconv.Atoi(args["cursor"])
	to := min(len(all), from+limit)
	var list []map[string]any
	for _, m := range all[from:to] {
		e := map[string]any{"type": "message", "ts": m.TS, "text": m.Text, "bot_id": m.Bot}
		if on := args["include_all_metadata"]; on == "1" || on == "true" {
			e["metadata"] = m.Metadata
		}
		list = append(list, e)
	}
	out := map[string]any{"messages": list, "has_more": to < len(all)}
	if to < len(all) {
		out["response_metadata"] = map[string]any{"next_cursor": strconv.Itoa(to)}
	}
	return "", out
}

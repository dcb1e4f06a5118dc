package slack

import (
	"encoding/json"
	"errors"
	"io"
	"maps"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/slack-go/slack"
)

// maxRequest is for the body of a request. A click brings its message along.
const maxRequest = 1 << 20

// replayFor is longer than a signature is valid for: five minutes before and after its time.
const replayFor = 11 * time.Minute

// ServeHTTP takes interactions and commands, both at this one address. What isn't signed by Slack, or is older than five
// minutes, or came before, is answered 401 and does nothing.
func (a *Answers) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodPost {
		w.Header().Set("Allow", http.MethodPost)
		http.Error(w, "POST only", http.StatusMethodNotAllowed)
		return
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxRequest))
	if err != nil {
		status := http.StatusBadRequest
		if _, ok := errors.AsType[*http.MaxBytesError](err); ok {
			status = http.StatusRequestEntityTooLarge
		}
		http.Error(w, "the request can't be read", status)
		return
	}
	if !a.signed(r.Header, body) {
		http.Error(w, "the signature is not valid", http.StatusUnauthorized)
		return
	}
	form, err := url.ParseQuery(string(body))
	if err != nil {
		http.Error(w, "the body is no form", http.StatusBadRequest)
		return
	}
	switch {
	case form.Get("ssl_check") == "1": // Slack tries the certificate
	case form.Has("payload"):
		var cb slack.InteractionCallback
		if err := json.Unmarshal([]byte(form.Get("payload")), &cb); err != nil {
			http.Error(w, "the payload is no interaction", http.StatusBadRequest)
			return
		}
		response, err := a.interaction(r.Context(), cb)
		if err != nil {
			a.c.log.WarnContext(r.Context(), "slack: an interaction is not taken", "error", err)
			http.Error(w, "not recorded", http.StatusInternalServerError)
			return
		}
		acknowledge(w, response)
	case form.Has("command"):
		acknowledge(w, a.command(r.Context(), slack.SlashCommand{UserID: form.Get("user_id"), Text: form.Get("text")}))
	default:
		http.Error(w, "neither an interaction nor a command", http.StatusBadRequest)
	}
}

func acknowledge(w http.ResponseWriter, response any) {
	if response == nil {
		return // 200 and nothing else: Slack shows a body to whoever clicked
	}
	data, err := json.Marshal(response)
	if err != nil {
		http.Error(w, "no answer can be made", http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	_, _ = w.Write(data)
}

// signed verifies Slack's signature of version v0, once.
// See https://docs.slack.dev/authentication/verifying-requests-from-slack/.
func (a *Answers) signed(h http.Header, body []byte) bool {
	v, err := slack.NewSecretsVerifier(h, a.c.secrets.SigningSecret)
	if err != nil {
		return false
	}
	if _, err := v.Write(body); err != nil {
		return false
	}
	if v.Ensure() != nil {
		return false
	}
	// Of one signature there are several spellings: hexadecimal digits may be upper-case.
	return a.seen.first(strings.ToLower(h.Get("X-Slack-Signature")), time.Now())
}

// signatures remembers those that were used. Where another replica, or the process before this one, took the request,
// the decision's ID says so.
type signatures struct {
	mu    sync.Mutex
	at    map[string]time.Time
	swept time.Time
}

// first reports whether a signature comes for the first time.
func (s *signatures) first(signature string, now time.Time) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if now.Sub(s.swept) > time.Minute {
		maps.DeleteFunc(s.at, func(_ string, at time.Time) bool { return now.Sub(at) > replayFor })
		s.swept = now
	}
	if _, ok := s.at[signature]; ok {
		return false
	}
	s.at[signature] = now
	return true
}

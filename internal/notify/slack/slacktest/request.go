package slacktest

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/slack-go/slack"
)

// Sign makes the headers of a request that Slack signs.
func Sign(body string, at time.Time) http.Header {
	stamp := strconv.FormatInt(at.Unix(), 10)
	mac := hmac.New(sha256.New, []byte(SigningSecret))
	mac.Write([]byte("v0:" + stamp + ":" + body))
	h := http.Header{}
	h.Set("Content-Type", "application/x-www-form-urlencoded")
	h.Set("X-Slack-Request-Timestamp", stamp)
	h.Set("X-Slack-Signature", "v0="+hex.EncodeToString(mac.Sum(nil)))
	return h
}

// Payload is how an interaction is posted.
func Payload(v any) url.Values {
	data, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	return url.Values{"payload": {string(data)}}
}

// Click is the payload of a click on a button of a message that was sent, in Slack's shape.
func (w *Workspace) Click(user string, msg *Message, action, value, at string) map[string]any {
	w.Mu.Lock()
	defer w.Mu.Unlock()
	return map[string]any{
		"type": "block_actions", "trigger_id": "trigger." + at, "api_app_id": "A1", "token": "deprecated",
		"team": map[string]any{"id": "T1", "domain": "example"}, "user": map[string]any{"id": user, "username": "x", "team_id": "T1"},
		"container": map[string]any{"type": "message", "message_ts": msg.TS, "channel_id": msg.Channel, "is_ephemeral": false},
		"channel":   map[string]any{"id": msg.Channel, "name": "directmessage"},
		"message":   map[string]any{"type": "message", "ts": msg.TS, "text": msg.Text, "blocks": json.RawMessage(msg.Blocks)},
		"actions":   []any{map[string]any{"type": "button", "action_id": action, "block_id": "b", "value": value, "action_ts": at, "text": map[string]any{"type": "plain_text", "text": "x"}}},
	}
}

// Submission is the payload of a modal that somebody sent.
func Submission(user, id string, v slack.ModalViewRequest, values map[string]any) map[string]any {
	state := map[string]any{}
	for input, value := range values {
		state[input] = map[string]any{"v": value}
	}
	return map[string]any{
		"type": "view_submission", "team": map[string]any{"id": "T1"}, "user": map[string]any{"id": user, "team_id": "T1"}, "trigger_id": "t",
		"view": map[string]any{"id": id, "type": "modal", "callback_id": v.CallbackID, "private_metadata": v.PrivateMetadata, "hash": "h", "state": map[string]any{"values": state}},
	}
}

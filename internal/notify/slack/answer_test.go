package slack

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/slack-go/slack"

	"github.com/lapse-audit/lapse/internal/finding"
	"github.com/lapse-audit/lapse/internal/notify"

	"github.com/lapse-audit/lapse/internal/notify/slack/slacktest"
)

// desk is the pipeline's side: it remembers what came.
type desk struct {
	mu    sync.Mutex
	took  []notify.Decision
	asked []string
	fail  int // how many decisions are not committed
	slow  time.Duration
}

func (d *desk) callbacks() Callbacks {
	return Callbacks{
		Decide: func(ctx context.Context, x notify.Decision) (string, error) {
			d.mu.Lock()
			defer d.mu.Unlock()
			if d.slow > 0 {
				select {
				case <-ctx.Done():
					return "", ctx.Err()
				case <-time.After(d.slow):
				}
			}
			if d.fail > 0 && len(d.took) > 0 {
				d.fail--
				return "", errors.New("the database is away")
			}
			d.took = append(d.took, x)
			return "Recorded: " + string(x.Answer) + " <b>", nil
		},
		Who: func(_ context.Context, by Asker, user string) (string, error) {
			d.mu.Lock()
			defer d.mu.Unlock()
			d.asked = append(d.asked, fmt.Sprintf("who %s %s %s", by.ID, by.Email, user))
			return "Anna Berg\nCRM: admin <b>", nil
		},
		Mine: func(_ context.Context, by Asker) (string, error) {
			d.mu.Lock()
			defer d.mu.Unlock()
			d.asked = append(d.asked, fmt.Sprintf("mine %s %s", by.ID, by.Email))
			return strings.Repeat("a line of what waits\n", 3000), nil
		},
	}
}

func (d *desk) decisions() []notify.Decision {
	d.mu.Lock()
	defer d.mu.Unlock()
	return slices.Clone(d.took)
}

// deliver hands a body to the handler as Slack would, and returns what comes back.
func deliver(a http.Handler, body string, h http.Header) (int, string) {
	r := httptest.NewRequest(http.MethodPost, "/slack", strings.NewReader(body))
	r.Header = h
	rec := httptest.NewRecorder()
	a.ServeHTTP(rec, r)
	data, _ := io.ReadAll(rec.Result().Body)
	return rec.Code, string(data)
}

func signed(a http.Handler, form url.Values) (int, string) {
	body := form.Encode()
	return deliver(a, body, slacktest.Sign(body, time.Now()))
}

// sent is a workspace with a digest of n items at Anna's.
func sent(t *testing.T, n int) (*workspace, *desk, *Answers, notify.Message) {
	w, d := newWorkspace(t), &desk{}
	c := w.channel(Options{})
	m := digestOf(n)
	if _, err := c.Send(t.Context(), m); err != nil {
		t.Fatal(err)
	}
	a := c.Answers(d.callbacks())
	t.Cleanup(a.Wait)
	return w, d, a, m
}

func TestClicks(t *testing.T) {
	w, d, a, m := sent(t, 3)
	msg := w.Messages[annas][0]
	for i, answer := range []notify.Answer{notify.Revoke, notify.Later} {
		fp := m.Items[i].Finding.Fingerprint
		click := slacktest.Payload(w.Click("U1ANNA", msg, actionAnswer+string(answer), string(fp), "1764000000.1"))
		if code, body := signed(a, click); code != http.StatusOK || body != "" {
			t.Fatalf("%s: HTTP %d %q, want 200 and nothing", answer, code, body)
		}
		got := d.decisions()
		want := notify.Decision{
			Channel: Name, Who: "U1ANNA", Email: "anna.berg@example.com", Finding: fp, Answer: answer,
			ID: "slack/" + annas + "/" + msg.TS + "/" + string(fp) + "/1764000000.1",
		}
		if answer == notify.Later {
			want.Until = noon.AddDate(0, 0, 3)
		}
		if diff := cmp.Diff(want, got[len(got)-1]); diff != "" {
			t.Errorf("%s (-want +got):\n%s", answer, diff)
		}
	}
	a.Wait()
	// What is said of two clicks may come in any order.
	for _, answer := range []notify.Answer{notify.Revoke, notify.Later} {
		said := fmt.Sprintf("Recorded: %s \\u0026lt;b\\u0026gt;", answer)
		if !slices.ContainsFunc(w.Whispers, func(m slacktest.Message) bool { return m.User == "U1ANNA" && strings.Contains(m.Blocks, said) }) {
			t.Errorf("%s is not among what was said: %+v", said, w.Whispers)
		}
	}
	if len(w.Whispers) != 2 {
		t.Errorf("said: %+v", w.Whispers)
	}
	if n := w.Count("users.info"); n != 1 {
		t.Errorf("%d look-ups of who clicks", n)
	}
}

// What a decision asks for is done after the acknowledgement, and its outcome is what is said of it.
func TestFollow(t *testing.T) {
	w, d := newWorkspace(t), &desk{}
	c := w.channel(Options{})
	m := digestOf(1)
	if _, err := c.Send(t.Context(), m); err != nil {
		t.Fatal(err)
	}
	acknowledged := make(chan struct{})
	call := d.callbacks()
	call.Follow = func(ctx context.Context, x notify.Decision) string {
		select {
		case <-acknowledged:
			return "plan-1 was made of " + string(x.Answer)
		case <-ctx.Done():
			return "it was not acknowledged"
		}
	}
	a := c.Answers(call)
	click := slacktest.Payload(w.Click("U1ANNA", w.Messages[annas][0], actionAnswer+"revoke", string(m.Items[0].Finding.Fingerprint), "1764000000.1"))
	if code, _ := signed(a, click); code != http.StatusOK || len(d.decisions()) != 1 {
		t.Fatalf("HTTP %d, %d decisions", code, len(d.decisions()))
	}
	close(acknowledged)
	a.Wait()
	if len(w.Whispers) != 1 || !strings.Contains(w.Whispers[0].Blocks, "plan-1 was made of revoke") {
		t.Errorf("said: %+v", w.Whispers)
	}
}

// What is delivered twice is the same decision; another click is another.
func TestSameClickSameID(t *testing.T) {
	w, d, a, m := sent(t, 1)
	msg, fp := w.Messages[annas][0], string(m.Items[0].Finding.Fingerprint)
	for i, at := range []string{"1764000000.1", "1764000000.1", "1764000000.2"} {
		form := slacktest.Payload(w.Click("U1ANNA", msg, actionAnswer+"revoke", fp, at))
		form.Set("n", strconv.Itoa(i)) // so that it is signed anew
		if code, _ := signed(a, form); code != http.StatusOK {
			t.Fatal(code)
		}
	}
	got := d.decisions()
	if got[0].ID != got[1].ID || got[1].ID == got[2].ID {
		t.Errorf("ids %s, %s, %s", got[0].ID, got[1].ID, got[2].ID)
	}
}

func TestKeepAndNotMine(t *testing.T) {
	w, d, a, m := sent(t, 2)
	msg, fp := w.Messages[annas][0], m.Items[1].Finding.Fingerprint
	for _, answer := range []string{"keep", "not_mine"} {
		if code, _ := signed(a, slacktest.Payload(w.Click("U1ANNA", msg, actionAnswer+answer, string(fp), "1764000000."+answer))); code != http.StatusOK {
			t.Fatal(code)
		}
		a.Wait()
	}
	if len(w.Views) != 2 || len(d.decisions()) != 0 {
		t.Fatalf("%d modals, %d decisions; want 2 and none yet", len(w.Views), len(d.decisions()))
	}
	keep, notMine := w.Views[0], w.Views[1]
	for _, v := range w.Views {
		checkModal(t, v)
		if s, ok := v.Blocks.BlockSet[0].(*slack.SectionBlock); !ok || !strings.Contains(s.Text.Text, "user1 has not logged in") {
			t.Errorf("the modal doesn't show what it is about: %+v", v.Blocks.BlockSet[0])
		}
	}

	// The submission is understood by a process that didn't open the modal.
	b := w.channel(Options{}).Answers(d.callbacks())
	defer b.Wait()
	day := func(s string) any { return map[string]any{"type": "datepicker", "selected_date": s} }
	text := func(s string) any { return map[string]any{"type": "plain_text_input", "value": s} }
	for _, tt := range []struct{ reason, until, at string }{
		{"  ", "2027-01-31", inputReason}, {"needed", "2026-11-22", inputUntil}, {"needed", "", inputUntil}, {"needed", "31.1.2027", inputUntil},
	} {
		code, body := signed(b, slacktest.Payload(slacktest.Submission("U1ANNA", "V1", keep, map[string]any{inputReason: text(tt.reason), inputUntil: day(tt.until)})))
		var r slack.ViewSubmissionResponse
		if err := json.Unmarshal([]byte(body), &r); code != http.StatusOK || err != nil || r.ResponseAction != slack.RAErrors || r.Errors[tt.at] == "" {
			t.Errorf("%+v: HTTP %d %s", tt, code, body)
		}
	}
	if len(d.decisions()) != 0 {
		t.Fatal("a decision without what it needs")
	}
	code, body := signed(b, slacktest.Payload(slacktest.Submission("U1ANNA", "V1", keep, map[string]any{inputReason: text(" month-end <close> "), inputUntil: day("2027-01-31")})))
	var r slack.ViewSubmissionResponse
	if err := json.Unmarshal([]byte(body), &r); code != http.StatusOK || err != nil || r.ResponseAction != slack.RAUpdate {
		t.Fatalf("HTTP %d %s", code, body)
	}
	checkModal(t, *r.View)
	if code, _ = signed(b, slacktest.Payload(slacktest.Submission("U1ANNA", "V2", notMine, map[string]any{inputTo: map[string]any{"type": "users_select", "selected_user": "U2BO"}}))); code != http.StatusOK {
		t.Fatal(code)
	}
	want := []notify.Decision{
		{Channel: Name, Who: "U1ANNA", Email: "anna.berg@example.com", Finding: fp, Answer: notify.Keep, Reason: "month-end <close>", Until: time.Date(2027, 2, 1, 0, 0, 0, 0, time.UTC), ID: "slack/view/V1/" + string(fp)},
		{Channel: Name, Who: "U1ANNA", Email: "anna.berg@example.com", Finding: fp, Answer: notify.NotMine, To: "bo.lind@example.com", ID: "slack/view/V2/" + string(fp)},
	}
	if diff := cmp.Diff(want, d.decisions()); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

// One modal decides for several items, never for a privileged one, also if somebody says so.
func TestBulk(t *testing.T) {
	w, d, a, m := sent(t, 12)
	msg := w.Messages[annas][0]
	value := pressed(Render(m), actionBulk)[0]
	if code, _ := signed(a, slacktest.Payload(w.Click("U1ANNA", msg, actionBulk, value, "1764000000.1"))); code != http.StatusOK {
		t.Fatal(code)
	}
	a.Wait()
	if len(w.Views) != 1 {
		t.Fatalf("%d modals", len(w.Views))
	}
	v := w.Views[0]
	checkModal(t, v)
	options := func(values ...string) any {
		var list []any
		for _, s := range values {
			list = append(list, map[string]any{"value": s, "text": map[string]any{"type": "plain_text", "text": s}})
		}
		return map[string]any{"type": "multi_static_select", "selected_options": list}
	}
	pick := func(s string) any {
		return map[string]any{"type": "radio_buttons", "selected_option": map[string]any{"value": s, "text": map[string]any{"type": "plain_text", "text": s}}}
	}
	privileged := string(m.Items[9].Finding.Fingerprint)
	for name, values := range map[string]map[string]any{
		inputItems:  {inputItems: options("99", "-1", privileged, "x"), inputAnswer: pick("revoke")},
		inputAnswer: {inputItems: options("0"), inputAnswer: pick("burn")},
		inputReason: {inputItems: options("0"), inputAnswer: pick("keep")},
		inputTo:     {inputItems: options("0"), inputAnswer: pick("not_mine")},
	} {
		if _, body := signed(a, slacktest.Payload(slacktest.Submission("U1ANNA", "V1", v, values))); !strings.Contains(body, `"`+name+`"`) {
			t.Errorf("%s: %s", name, body)
		}
	}
	if len(d.decisions()) != 0 {
		t.Fatalf("decided: %+v", d.decisions())
	}
	d.fail = 1 // the second
	values := map[string]any{inputItems: options("0", "2", "2", "5"), inputAnswer: pick("revoke")}
	if _, body := signed(a, slacktest.Payload(slacktest.Submission("U1ANNA", "V2", v, values))); !strings.Contains(body, "1 of 3 are recorded") {
		t.Errorf("half of it: %s", body)
	}
	form := slacktest.Payload(slacktest.Submission("U1ANNA", "V2", v, values))
	form.Set("again", "1")
	if _, body := signed(a, form); !strings.Contains(body, "3 answers") {
		t.Errorf("again: %s", body)
	}
	ids := map[string]finding.Fingerprint{}
	for _, x := range d.decisions() {
		ids[x.ID] = x.Finding
		if x.Answer != notify.Revoke || string(x.Finding) == privileged {
			t.Errorf("decided: %+v", x)
		}
	}
	if len(d.decisions()) != 4 || len(ids) != 3 {
		t.Errorf("%d decisions with %d ids, want the first twice with one", len(d.decisions()), len(ids))
	}
}

// The modal for as many items as a part can have, with names of any length, is one that Slack takes.
func TestBulkModalFits(t *testing.T) {
	m := digestOf(40)
	for i := range m.Items {
		m.Items[i].Finding.Title, m.Items[i].Finding.PersonName, m.Items[i].Finding.Department = "", "", ""
		m.Items[i].Why, m.Items[i].Otherwise, m.Items[i].Finding.CostMonth = "", "", ""
		m.Items[i].Finding.Message = []string{"", "x", strings.Repeat("دنا & <x> 🙂", 30)}[i%3]
	}
	for _, p := range Render(m) {
		var c slack.Message
		c.Blocks.BlockSet = p.Blocks
		for _, value := range pressed([]Part{p}, actionBulk) {
			fps, answers := parseBulkValue(value)
			v, err := bulkModal(fps, answers, cards(c), noon)
			if err != nil {
				t.Fatal(err)
			}
			checkModal(t, v)
			t.Logf("%d items, %d blocks", len(fps), len(v.Blocks.BlockSet))
		}
	}
}

// A decision that was not committed is not acknowledged, and who clicked is told.
func TestNotRecorded(t *testing.T) {
	w, d, a, m := sent(t, 2)
	msg := w.Messages[annas][0]
	d.took, d.fail = []notify.Decision{{}}, 2
	fp := string(m.Items[0].Finding.Fingerprint)
	if code, body := signed(a, slacktest.Payload(w.Click("U1ANNA", msg, actionAnswer+"revoke", fp, "1764000000.1"))); code != http.StatusInternalServerError || strings.Contains(body, "database") {
		t.Errorf("HTTP %d %s", code, body)
	}
	a.Wait()
	if len(w.Whispers) != 1 || !strings.Contains(w.Whispers[0].Blocks, "not recorded") || strings.Contains(w.Whispers[0].Blocks, "database") {
		t.Errorf("said: %+v", w.Whispers)
	}
	w.Strike(slacktest.Trouble{Method: "users.info", Status: 500})
	w.User("U7NEW", "seven@example.com")
	if code, _ := signed(a, slacktest.Payload(w.Click("U7NEW", msg, actionAnswer+"revoke", fp, "1764000000.2"))); code != http.StatusInternalServerError {
		t.Errorf("with who it is unknown: HTTP %d", code)
	}
	if code, _ := signed(a, slacktest.Payload(w.Click("U8NOBODY", msg, actionAnswer+"later", fp, "1764000000.3"))); code != http.StatusInternalServerError {
		t.Errorf("the second failure: HTTP %d", code)
	}
	if code, _ := signed(a, slacktest.Payload(w.Click("U8NOBODY", msg, actionAnswer+"later", fp, "1764000000.4"))); code != http.StatusOK {
		t.Fatalf("HTTP %d", code)
	}
	if got := d.decisions(); got[len(got)-1].Email != "" || got[len(got)-1].Who != "U8NOBODY" {
		t.Errorf("somebody Slack doesn't know: %+v", got[len(got)-1])
	}
}

// What takes too long is broken off in time for Slack to be told.
func TestSlowDecision(t *testing.T) {
	w, d, a, m := sent(t, 1)
	d.slow = time.Minute
	code, _ := signed(a, slacktest.Payload(w.Click("U1ANNA", w.Messages[annas][0], actionAnswer+"revoke", string(m.Items[0].Finding.Fingerprint), "1764000000.1")))
	if code != http.StatusInternalServerError { // what it waits for would have come, in a minute
		t.Errorf("HTTP %d", code)
	}
	if ackWithin > 2800*time.Millisecond {
		t.Errorf("%s leaves no time for the way back: Slack waits three seconds", ackWithin)
	}
}

func TestForgedAndReplayed(t *testing.T) {
	w, d, a, m := sent(t, 1)
	body := slacktest.Payload(w.Click("U1ANNA", w.Messages[annas][0], actionAnswer+"revoke", string(m.Items[0].Finding.Fingerprint), "1764000000.1")).Encode()
	now := time.Now()
	good := slacktest.Sign(body, now)
	change := func(name, value string) http.Header {
		h := good.Clone()
		if h.Del(name); value != "" {
			h.Set(name, value)
		}
		return h
	}
	for name, tt := range map[string]struct {
		body string
		h    http.Header
	}{
		"none":         {body, change("X-Slack-Signature", "")},
		"no time":      {body, change("X-Slack-Request-Timestamp", "")},
		"other time":   {body, change("X-Slack-Request-Timestamp", strconv.FormatInt(now.Unix()+1, 10))},
		"no number":    {body, change("X-Slack-Request-Timestamp", "soon")},
		"other body":   {body + "&x=1", good},
		"old":          {body, slacktest.Sign(body, now.Add(-6*time.Minute))},
		"early":        {body, slacktest.Sign(body, now.Add(6*time.Minute))},
		"other secret": {body, change("X-Slack-Signature", "v0="+strings.Repeat("0", 64))},
		"short":        {body, change("X-Slack-Signature", "v0=00")},
		"version":      {body, change("X-Slack-Signature", "v1"+good.Get("X-Slack-Signature")[2:])},
	} {
		if code, _ := deliver(a, tt.body, tt.h); code != http.StatusUnauthorized {
			t.Errorf("%s: HTTP %d, want 401", name, code)
		}
	}
	if len(d.decisions()) != 0 {
		t.Fatal("a forged click is a decision")
	}
	if code, _ := deliver(a, body, good); code != http.StatusOK {
		t.Fatalf("the true one: HTTP %d", code)
	}
	upper := good.Clone()
	upper.Set("X-Slack-Signature", "v0="+strings.ToUpper(strings.TrimPrefix(good.Get("X-Slack-Signature"), "v0=")))
	for name, h := range map[string]http.Header{"again": good, "in other digits": upper} {
		if code, _ := deliver(a, body, h); code != http.StatusUnauthorized {
			t.Errorf("replayed %s: HTTP %d, want 401", name, code)
		}
	}
	if n := len(d.decisions()); n != 1 {
		t.Errorf("%d decisions of one click", n)
	}
	unset := w.channel(Options{})
	unset.secrets.SigningSecret = ""
	mac := hmac.New(sha256.New, nil)
	mac.Write([]byte("v0:" + good.Get("X-Slack-Request-Timestamp") + ":" + body))
	if code, _ := deliver(unset.Answers(d.callbacks()), body, change("X-Slack-Signature", "v0="+hex.EncodeToString(mac.Sum(nil)))); code != http.StatusUnauthorized {
		t.Errorf("without a signing secret: HTTP %d, want 401", code)
	}
}

func TestBadRequests(t *testing.T) {
	_, d, a, _ := sent(t, 1)
	big := strings.Repeat("x", maxRequest+1)
	if code, _ := deliver(a, big, slacktest.Sign(big, time.Now())); code != http.StatusRequestEntityTooLarge {
		t.Errorf("too large: HTTP %d", code)
	}
	for _, tt := range []struct {
		form url.Values
		want int
	}{
		{url.Values{"payload": {"{"}}, http.StatusBadRequest},
		{url.Values{"other": {"x"}}, http.StatusBadRequest},
		{url.Values{"ssl_check": {"1"}}, http.StatusOK},
		{url.Values{"payload": {`{"type":"view_closed"}`}}, http.StatusOK},
		{url.Values{"payload": {`{"type":"block_actions","actions":[{"action_id":"elsewhere","block_id":"b","type":"button"}]}`}}, http.StatusOK},
		{url.Values{"payload": {`{"type":"block_actions","actions":[{"action_id":"lapse.answer.burn","block_id":"b","type":"button"}]}`}}, http.StatusInternalServerError},
		{url.Values{"payload": {`{"type":"block_actions","actions":[{"action_id":"lapse.answer.revoke","block_id":"b","type":"button","value":"f"}]}`}}, http.StatusInternalServerError},
		{url.Values{"payload": {`{"type":"block_actions","actions":[{"action_id":"lapse.bulk","block_id":"b","type":"button","value":""}]}`}}, http.StatusInternalServerError},
		{url.Values{"payload": {`{"type":"view_submission","view":{"callback_id":"lapse.answer","private_metadata":"{"}}`}}, http.StatusInternalServerError},
		{url.Values{"payload": {`{"type":"view_submission","view":{"callback_id":"lapse.answer","private_metadata":"{\"a\":\"revoke\",\"f\":[\"x\"]}"}}`}}, http.StatusInternalServerError},
	} {
		if code, _ := signed(a, tt.form); code != tt.want {
			t.Errorf("%v: HTTP %d, want %d", tt.form, code, tt.want)
		}
	}
	r := httptest.NewRequest(http.MethodGet, "/slack", nil)
	rec := httptest.NewRecorder()
	if a.ServeHTTP(rec, r); rec.Code != http.StatusMethodNotAllowed {
		t.Errorf("GET: HTTP %d", rec.Code)
	}
	if len(d.decisions()) != 0 {
		t.Error("something was decided")
	}
}

func TestCommands(t *testing.T) {
	w, d, a, _ := sent(t, 1)
	command := func(text string) string {
		code, body := signed(a, url.Values{"command": {"/lapse"}, "user_id": {"U1ANNA"}, "text": {text}, "channel_id": {annas}, "n": {text}})
		var r struct {
			Type   string       `json:"response_type"`
			Text   string       `json:"text"`
			Blocks slack.Blocks `json:"blocks"`
		}
		if err := json.Unmarshal([]byte(body), &r); code != http.StatusOK || err != nil || r.Type != "ephemeral" || r.Text == "" {
			t.Errorf("%s: HTTP %d %s", text, code, body)
		}
		for _, f := range slacktest.Faults(r.Blocks.BlockSet, 50) {
			t.Errorf("%s: %s", text, f)
		}
		if len(body) > 20_000 {
			t.Errorf("%s: %d bytes, which Socket Mode drops", text, len(body))
		}
		return texts([]Part{{Blocks: r.Blocks.BlockSet}})
	}
	for text, want := range map[string]string{
		"who bo.lind@example.com": "CRM: admin &lt;b&gt;", "who <@U2BO|bo>": "Anna Berg", "WHO <mailto:bo@example.com|bo@example.com>": "Anna Berg",
		"who Smith &amp; Sons": "Anna Berg", "who <@U0NOBODY>": "no address", "": "/lapse who", "who": "/lapse who", "burn": "/lapse who", "mine all": "/lapse who", "mine": "more",
	} {
		if got := command(text); !strings.Contains(got, want) {
			t.Errorf("/lapse %s: %.200s, want %q", text, got, want)
		}
	}
	slices.Sort(d.asked)
	by := " U1ANNA anna.berg@example.com"
	if diff := cmp.Diff([]string{"mine" + by, "who" + by + " Smith & Sons", "who" + by + " bo.lind@example.com", "who" + by + " bo.lind@example.com", "who" + by + " bo@example.com"}, d.asked); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	w.Strike(slacktest.Trouble{Method: "users.info", Status: 500})
	_, body := signed(a, url.Values{"command": {"/lapse"}, "user_id": {"U2BO"}, "text": {"who <@U9>"}})
	if !strings.Contains(body, "could not be looked up") {
		t.Errorf("with Slack away: %s", body)
	}
}

// Fifty clicks within a second are all acknowledged. How soon, the log says.
func TestManyClicks(t *testing.T) {
	w, d, a, m := sent(t, 50)
	msg := w.Messages[annas][0]
	took := make([]time.Duration, len(m.Items))
	var wg sync.WaitGroup
	for i, it := range m.Items {
		form := slacktest.Payload(w.Click("U1ANNA", msg, actionAnswer+"revoke", string(it.Finding.Fingerprint), fmt.Sprintf("1764000000.%d", i)))
		time.Sleep(20 * time.Millisecond)
		wg.Go(func() {
			start := time.Now()
			code, _ := signed(a, form)
			for range 20 { // on a busy machine, as who clicks does it
				if code != http.StatusInternalServerError {
					break
				}
				code, _ = signed(a, form)
			}
			if code != http.StatusOK {
				t.Errorf("HTTP %d", code)
			}
			took[i] = time.Since(start)
		})
	}
	wg.Wait()
	slices.Sort(took)
	t.Logf("half within %s, all within %s", took[25], took[49])
	decided := map[string]bool{} // a click that is given again is the same decision
	for _, x := range d.decisions() {
		decided[x.ID] = true
	}
	if len(decided) != 50 {
		t.Errorf("%d decisions of 50 clicks", len(decided))
	}
}

func TestModalCantOpen(t *testing.T) {
	w, _, a, m := sent(t, 1)
	var log strings.Builder
	a.c.log = slog.New(slog.NewTextHandler(&log, nil))
	w.Strike(slacktest.Trouble{Method: "views.open", Code: "expired_trigger_id"})
	if code, _ := signed(a, slacktest.Payload(w.Click("U1ANNA", w.Messages[annas][0], actionAnswer+"keep", string(m.Items[0].Finding.Fingerprint), "1"))); code != http.StatusOK {
		t.Fatal(code)
	}
	a.Wait()
	if len(w.Whispers) != 1 || !strings.Contains(w.Whispers[0].Blocks, "Press the button again") || !strings.Contains(log.String(), "expired_trigger_id") {
		t.Errorf("said %+v, logged %s", w.Whispers, log.String())
	}
}

func FuzzPayload(f *testing.F) {
	f.Add([]byte(`{"type":"block_actions","trigger_id":"t","user":{"id":"U"},"actions":[{"action_id":"lapse.bulk","block_id":"b","type":"button","value":"keep|a b"}]}`))
	f.Add([]byte(`{"type":"view_submission","user":{"id":"U"},"view":{"id":"V","callback_id":"lapse.answer","private_metadata":"{\"m\":[\"keep\"],\"f\":[\"x\"]}","state":{"values":{"items":{"v":{"type":"multi_static_select","selected_options":[{"value":"0"}]}}}}}}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		var cb slack.InteractionCallback
		if json.Unmarshal(data, &cb) != nil {
			return
		}
		items, answers := parseBulkValue(cb.Value)
		_, _ = bulkModal(items, answers, cards(cb.Message), noon)
		x, faults, err := submitted(cb.View, noon, time.UTC)
		if err == nil && len(faults) == 0 && (len(x.items) == 0 || x.answer == notify.Keep && (x.reason == "" || !x.until.After(noon)) || x.answer == notify.NotMine && x.to == "") {
			t.Errorf("taken: %+v", x)
		}
	})
}

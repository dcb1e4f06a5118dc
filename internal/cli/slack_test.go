package cli_test

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gorilla/websocket"
	"github.com/rogpeppe/go-internal/testscript"
	"github.com/slack-go/slack"

	"github.com/lapse-audit/lapse/internal/notify/slack/slacktest"
)

// workspace is Slack, and those who use it.
type workspace struct {
	*slacktest.Workspace
	address    string          // where answers are taken over HTTP
	socket     *websocket.Conn // or this, with what comes back on it
	acks       chan ack
	modal      slack.ModalViewRequest
	clicks     int
	deliveries int
}

// ack acknowledges an envelope of Socket Mode.
type ack struct {
	ID      string          `json:"envelope_id"`
	Payload json.RawMessage `json:"payload"`
}

// listening is a `lapse notify listen` that runs.
type listening struct {
	cmd   *exec.Cmd
	ended chan error

	mu   sync.Mutex
	said strings.Builder
}

func (l *listening) log() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.said.String()
}

var takingAnswers = regexp.MustCompile(`msg="taking answers" at=(\S+)`)

// listen starts a `lapse notify listen` and waits until it takes answers: over HTTP, or with socket by Socket Mode.
func (w *workspace) listen(cmd *exec.Cmd, socket bool) (*listening, error) {
	l := &listening{cmd: cmd, ended: make(chan error, 1)}
	stderr, err := cmd.StderrPipe()
	if err != nil {
		return nil, err
	}
	var conns <-chan *websocket.Conn
	if socket {
		conns = w.Sockets()
	}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	addresses := make(chan string, 1)
	go func() {
		for lines := bufio.NewScanner(stderr); lines.Scan(); {
			if at := takingAnswers.FindStringSubmatch(lines.Text()); at != nil {
				addresses <- at[1] + "/slack"
			}
			l.mu.Lock()
			l.said.WriteString(lines.Text() + "\n")
			l.mu.Unlock()
		}
		l.ended <- cmd.Wait()
	}()
	w.address, w.socket, w.acks = "", nil, nil
	select {
	case w.address = <-addresses:
	case w.socket = <-conns:
		acks := make(chan ack, 100)
		w.acks = acks
		go func(c *websocket.Conn) {
			for {
				var a ack
				if c.ReadJSON(&a) != nil {
					return // the listener has ended
				}
				acks <- a
			}
		}(w.socket)
	case err := <-l.ended:
		return nil, fmt.Errorf("notify listen ended: %s: %w", l.log(), err)
	case <-time.After(time.Minute):
		_ = cmd.Process.Kill()
		return nil, fmt.Errorf("notify listen takes no answers")
	}
	return l, nil
}

func (l *listening) end(s os.Signal) error {
	if err := l.cmd.Process.Signal(s); err != nil {
		return err
	}
	return <-l.ended
}

// errNotTaken means that Slack got no acknowledgement in time. Whoever clicked sees that, and clicks again.
var errNotTaken = errors.New("the interaction is not taken")

// deliver hands over an interaction as Slack does, and again where it was not taken in time: machines of tests are slow. It
// returns what comes back with the acknowledgement.
func (w *workspace) deliver(payload map[string]any) (string, error) {
	for deadline := time.Now().Add(2 * time.Minute); ; {
		back, err := w.once(payload)
		if !errors.Is(err, errNotTaken) && !strings.Contains(back, "Try again in a moment") || time.Now().After(deadline) {
			return back, err
		}
	}
}

func (w *workspace) once(payload map[string]any) (string, error) {
	w.deliveries++
	if w.acks != nil {
		id := fmt.Sprintf("envelope-%d", w.deliveries)
		if err := w.socket.WriteJSON(map[string]any{"envelope_id": id, "type": "interactive", "payload": payload, "accepts_response_payload": true}); err != nil {
			return "", err
		}
		for timeout := time.After(10 * time.Second); ; {
			select {
			case back := <-w.acks:
				if back.ID == id { // else one that comes too late
					return string(back.Payload), nil
				}
			case <-timeout:
				return "", errNotTaken
			}
		}
	}
	form := slacktest.Payload(payload)
	form.Set("delivery", fmt.Sprint(w.deliveries)) // so that no two signatures are the same
	body := form.Encode()
	req, err := http.NewRequest(http.MethodPost, w.address, strings.NewReader(body))
	if err != nil {
		return "", err
	}
	req.Header = slacktest.Sign(body, time.Now())
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return "", err
	}
	defer res.Body.Close()
	back, err := io.ReadAll(res.Body)
	switch {
	case err == nil && res.StatusCode == http.StatusInternalServerError:
		return "", errNotTaken
	case err == nil && res.StatusCode != http.StatusOK:
		err = fmt.Errorf("HTTP %d: %s", res.StatusCode, back)
	}
	return string(back), err
}

// click presses the button of that name on the newest card that says text, and returns what is shown then: a reply, or a
// modal.
func (w *workspace) click(user, button, text string) (string, error) {
	payload, err := w.payload(user, button, text)
	if err != nil {
		return "", err
	}
	whispers, views := w.heard()
	if _, err := w.deliver(payload); err != nil {
		return "", err
	}
	for deadline := time.Now().Add(time.Minute); time.Now().Before(deadline); time.Sleep(5 * time.Millisecond) {
		w.Mu.Lock()
		for whispers < len(w.Whispers) && strings.Contains(w.Whispers[whispers].Blocks, "Try again in a moment") {
			whispers++
		}
		if len(w.Whispers) > whispers {
			said := w.Whispers[whispers]
			w.Mu.Unlock()
			return "to " + said.User + ": " + shown(said.Blocks), nil
		}
		if len(w.Views) > views {
			w.modal = w.Views[len(w.Views)-1]
			w.Mu.Unlock()
			blocks, err := json.Marshal(w.modal.Blocks.BlockSet)
			return "modal " + w.modal.Title.Text + "\n" + shown(string(blocks)), err
		}
		w.Mu.Unlock()
	}
	return "", fmt.Errorf("nothing is said after the click on %s", button)
}

func (w *workspace) heard() (whispers, views int) {
	w.Mu.Lock()
	defer w.Mu.Unlock()
	return len(w.Whispers), len(w.Views)
}

// payload is a click on the button of that name on the newest card that says text.
func (w *workspace) payload(user, button, text string) (map[string]any, error) {
	w.Mu.Lock()
	var message *slacktest.Message
	var id, value string
	for _, all := range w.Messages {
		for _, m := range all {
			if a, v, ok := buttonOf(m.Blocks, button, text); ok && (message == nil || m.TS > message.TS) {
				message, id, value = m, a, v
			}
		}
	}
	w.clicks++
	at := fmt.Sprintf("17640000%02d.1", w.clicks)
	w.Mu.Unlock()
	if message == nil {
		return nil, fmt.Errorf("no card that says %q has a button %s", text, button)
	}
	return w.Click(user, message, id, value, at), nil
}

// block is as much of a block as is looked at.
type block struct {
	Type     string `json:"type"`
	ID       string `json:"block_id"`
	Text     label  `json:"text"`
	Label    label  `json:"label"`
	Elements []struct {
		Text   json.RawMessage `json:"text"`
		Action string          `json:"action_id"`
		Value  string          `json:"value"`
	} `json:"elements"`
}

type label struct {
	Text string `json:"text"`
}

func read(blocks string) []block {
	var out []block
	if err := json.Unmarshal([]byte(blocks), &out); err != nil {
		return nil
	}
	return out
}

// caption is the text of an element: an object on a button, a string in a context.
func caption(raw json.RawMessage) string {
	var l label
	if json.Unmarshal(raw, &l) != nil {
		_ = json.Unmarshal(raw, &l.Text)
	}
	return l.Text
}

// buttonOf finds a button of the card that says text.
func buttonOf(blocks, name, text string) (action, value string, ok bool) {
	all := read(blocks)
	for _, b := range all {
		fp, isCard := strings.CutPrefix(b.ID, "card/")
		if !isCard || !strings.Contains(b.Text.Text, text) {
			continue
		}
		fp, _, _ = strings.Cut(fp, "/")
		for _, row := range all {
			for _, e := range row.Elements {
				if row.ID == "answer/"+fp && caption(e.Text) == name {
					return e.Action, e.Value, true
				}
			}
		}
	}
	return "", "", false
}

// shown is what blocks say, a block a paragraph; buttons stand in brackets.
func shown(blocks string) string {
	var b strings.Builder
	for _, x := range read(blocks) {
		for _, text := range []string{x.Text.Text, x.Label.Text} {
			if text != "" {
				b.WriteString(text + "\n")
			}
		}
		for _, e := range x.Elements {
			if text := caption(e.Text); x.Type == "actions" {
				fmt.Fprintf(&b, "[%s] ", text)
			} else {
				b.WriteString(text)
			}
		}
		if len(x.Elements) > 0 {
			b.WriteString("\n")
		}
	}
	return b.String()
}

// submit sends the modal that was opened last, and returns what takes its place.
func (w *workspace) submit(user string, fields map[string]string) (string, error) {
	values := map[string]any{}
	for name, v := range fields {
		values[name] = map[string]any{
			"reason": map[string]any{"type": "plain_text_input", "value": v},
			"until":  map[string]any{"type": "datepicker", "selected_date": v},
			"to":     map[string]any{"type": "users_select", "selected_user": v},
		}[name]
	}
	w.clicks++
	back, err := w.deliver(slacktest.Submission(user, fmt.Sprintf("V%d", w.clicks), w.modal, values))
	if err != nil {
		return "", err
	}
	var answer struct {
		Action string            `json:"response_action"`
		Errors map[string]string `json:"errors"`
		View   struct {
			Title  label           `json:"title"`
			Blocks json.RawMessage `json:"blocks"`
		} `json:"view"`
	}
	if err := json.Unmarshal([]byte(back), &answer); err != nil {
		return "", fmt.Errorf("%w: %s", err, back)
	}
	if len(answer.Errors) > 0 {
		return fmt.Sprintf("faults %v\n", answer.Errors), nil
	}
	return "modal " + answer.View.Title.Text + "\n" + shown(string(answer.View.Blocks)), nil
}

// slackCommand lets a script use Slack:
//
//	slack start                   a workspace, with SLACK_API, SLACK_TOKEN, SLACK_SIGNING_SECRET and SLACK_APP_TOKEN of it
//	slack user ID ADDRESS         who is in it
//	slack listen [socket] ARGS    lapse notify listen in the background
//	slack hangup                  ends it
//	slack click ID BUTTON TEXT    presses a button of the card that says TEXT
//	slack submit ID KEY=VALUE...  sends the modal
//	slack shows CONVERSATION      prints what is there
func slackCommand(t *testing.T) func(*testscript.TestScript, bool, []string) {
	return func(ts *testscript.TestScript, neg bool, args []string) {
		if neg || len(args) == 0 {
			ts.Fatalf("usage: slack VERB ARGS...")
		}
		o, _ := ts.Value(officeKey{}).(*office)
		if o == nil {
			ts.Fatalf("this script has no office")
		}
		out, err := o.run(t, ts, args[0], args[1:])
		if err != nil && o.listener != nil {
			err = fmt.Errorf("%w\n%s", err, o.listener.log())
		}
		ts.Check(err)
		fmt.Fprint(ts.Stdout(), out)
	}
}

// office is the workspace of a script.
type office struct {
	w        *workspace
	listener *listening
}

type officeKey struct{}

func (o *office) run(t *testing.T, ts *testscript.TestScript, verb string, args []string) (string, error) {
	switch {
	case verb == "start" && len(args) == 0:
		o.w = &workspace{Workspace: slacktest.New(t)}
		o.w.Start = time.Now().AddDate(1, 0, 0) // Slack's clock is not ahead of ours; the script's runs ahead of both
		for name, v := range map[string]string{
			"SLACK_API": o.w.API(), "SLACK_TOKEN": slacktest.Token, "SLACK_SIGNING_SECRET": slacktest.SigningSecret, "SLACK_APP_TOKEN": slacktest.AppToken,
		} {
			ts.Setenv(name, v)
		}
		ts.Defer(func() {
			if o.listener != nil {
				_ = o.listener.end(os.Kill)
			}
		})
		return "", nil
	case o.w == nil:
		return "", fmt.Errorf("slack start comes first")
	case verb == "user" && len(args) == 2:
		o.w.User(args[0], args[1])
		return "", nil
	case verb == "listen":
		socket := len(args) > 0 && args[0] == "socket"
		if socket {
			args = args[1:]
		} else {
			args = append([]string{"--http", "127.0.0.1:0"}, args...)
		}
		program, err := exec.LookPath("lapse")
		if err != nil {
			return "", err
		}
		cmd := exec.Command(program, append([]string{"notify", "listen"}, args...)...)
		cmd.Dir, cmd.Env = ts.MkAbs("."), os.Environ()
		for _, name := range []string{"SLACK_TOKEN", "SLACK_SIGNING_SECRET", "SLACK_APP_TOKEN", "LAPSE_LIBCHDB", "LAPSE_ACTOR", "ERP", "TZ"} {
			cmd.Env = append(cmd.Env, name+"="+ts.Getenv(name))
		}
		o.listener, err = o.w.listen(cmd, socket)
		return "", err
	case verb == "hangup":
		l := o.listener
		o.listener = nil
		return "", l.end(os.Interrupt)
	case verb == "click" && len(args) == 3:
		return o.w.click(args[0], args[1], args[2])
	case verb == "submit" && len(args) > 1:
		fields := map[string]string{}
		for _, a := range args[1:] {
			name, v, _ := strings.Cut(a, "=")
			fields[name] = v
		}
		return o.w.submit(args[0], fields)
	case verb == "shows" && len(args) == 1:
		o.w.Mu.Lock()
		defer o.w.Mu.Unlock()
		var b strings.Builder
		for _, m := range slices.Clone(o.w.Messages[args[0]]) {
			b.WriteString("-- " + m.Text + "\n" + shown(m.Blocks))
		}
		return b.String(), nil
	}
	return "", fmt.Errorf("slack %s %q: no such verb, or other arguments", verb, args)
}

package teams_test

import (
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"go.yaml.in/yaml/v3"

	"github.com/lapse-audit/lapse/internal/collect"
	"github.com/lapse-audit/lapse/internal/notify"
	"github.com/lapse-audit/lapse/internal/notify/link"
	"github.com/lapse-audit/lapse/internal/notify/notifytest"
	"github.com/lapse-audit/lapse/internal/notify/teams"
)

var noon = time.Date(2026, 11, 3, 12, 0, 0, 0, time.UTC)

func testLinks(t *testing.T) *link.Links {
	t.Helper()
	var ref collect.Secret
	if err := yaml.Unmarshal([]byte("env:LINKS"), &ref); err != nil {
		t.Fatal(err)
	}
	l, err := link.New(link.Config{URL: "https://lapse.example.com", Keys: map[string]collect.Secret{"k1": ref}},
		map[string]string{"k1": strings.Repeat("0123456789abcdef", 2)}, func() time.Time { return noon })
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// workflow takes what the vendor documents, refuses the rest, and knows a card again by its key.
type workflow struct {
	t   *testing.T
	mu  sync.Mutex
	got []received
	at  map[string]bool
	// fault answers in the place of the nth request.
	fault map[int]http.HandlerFunc
	n     int
}

type received struct {
	path, key, to, text string
	urls                []string
	size                int
}

func (w *workflow) ServeHTTP(rw http.ResponseWriter, r *http.Request) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.n++
	if f := w.fault[w.n-1]; f != nil {
		f(rw, r)
		return
	}
	body, err := io.ReadAll(r.Body)
	if err != nil || len(body) > 21_000 {
		http.Error(rw, "too large", http.StatusRequestEntityTooLarge)
		return
	}
	var in struct {
		Type        string
		To, Key     string
		Attachments []struct {
			ContentType string
			Content     map[string]any
		}
	}
	if err := json.Unmarshal(body, &in); err != nil || in.Type != "message" || len(in.Attachments) != 1 || in.Attachments[0].ContentType != "application/vnd.microsoft.card.adaptive" {
		w.t.Errorf("no message with a card: %v, %.300s", err, body)
	}
	c := in.Attachments[0].Content
	if c["type"] != "AdaptiveCard" || c["version"] != "1.5" {
		w.t.Errorf("no card: %v %v", c["type"], c["version"])
	}
	got := received{path: r.URL.Path, key: in.Key, to: in.To, size: len(body)}
	got.read(w.t, c["body"].([]any))
	if !w.at[in.Key] {
		w.got = append(w.got, got)
	}
	w.at[in.Key] = true
	rw.WriteHeader(http.StatusAccepted)
}

// read walks the elements of a card, of which it knows those that the package makes.
func (r *received) read(t *testing.T, body []any) {
	for _, x := range body {
		e := x.(map[string]any)
		switch e["type"] {
		case "Container":
			r.read(t, e["items"].([]any))
		case "RichTextBlock":
			for _, i := range e["inlines"].([]any) {
				in := i.(map[string]any)
				if in["type"] != "TextRun" {
					t.Errorf("an inline of type %v", in["type"])
				}
				r.text += in["text"].(string)
			}
			r.text += "\n"
		case "ActionSet":
			all := e["actions"].([]any)
			if len(all) > 6 { // https://learn.microsoft.com/microsoftteams/platform/task-modules-and-cards/cards/cards-reference
				t.Errorf("%d actions", len(all))
			}
			for _, a := range all {
				a := a.(map[string]any)
				if a["type"] != "Action.OpenUrl" {
					t.Errorf("an action of type %v", a["type"])
				}
				r.urls = append(r.urls, a["url"].(string))
			}
		default:
			t.Errorf("an element of type %v", e["type"])
		}
	}
}

func newWorkflow(t *testing.T) (*workflow, string) {
	w := &workflow{t: t, at: map[string]bool{}, fault: map[int]http.HandlerFunc{}}
	s := httptest.NewServer(w)
	t.Cleanup(s.Close)
	return w, s.URL
}

func channel(t *testing.T, u teams.URLs) *teams.Channel {
	t.Helper()
	ch, err := teams.New(u, teams.Options{Links: testLinks(t), Pace: time.Microsecond})
	if err != nil {
		t.Fatal(err)
	}
	return ch
}

func TestContract(t *testing.T) {
	w, url := newWorkflow(t)
	notifytest.Run(t, notifytest.Suite{Channel: channel(t, teams.URLs{People: url + "/people?sig=hunter2"}), Blind: true, Addressed: true, Received: func(*testing.T) (out []notifytest.Delivery) {
		w.mu.Lock()
		defer w.mu.Unlock()
		for _, r := range w.got {
			key, _, _ := strings.Cut(r.key, "#")
			out = append(out, notifytest.Delivery{Key: key, Text: r.text})
		}
		return out
	}})
	for _, r := range w.got {
		if r.to != "mia@example.com" || r.path != "/people" {
			t.Errorf("%s went to %q by %s", r.key, r.to, r.path)
		}
	}
}

// Each role has a channel of its own, and people have none of it.
func TestPlaces(t *testing.T) {
	w, url := newWorkflow(t)
	ch := channel(t, teams.URLs{Security: url + "/security", Channels: map[string]string{"app_owner:crm": url + "/crm"}})
	send := func(to notify.Recipient) error {
		m := notifytest.Message("to-" + to.ID())
		m.To = to
		_, err := ch.Send(t.Context(), m)
		return err
	}
	if err := errors.Join(send(notify.Recipient{Role: "security", Email: "s@example.com"}), send(notify.Recipient{Role: "app_owner:crm"})); err != nil {
		t.Fatal(err)
	}
	for _, to := range []notify.Recipient{{Role: "app_owner:erp"}, {Person: "hr:1", Email: "mia@example.com"}} {
		if err := send(to); !errors.Is(err, notify.ErrUnreachable) {
			t.Errorf("%s: %v", to.ID(), err)
		}
	}
	if len(w.got) != 2 || w.got[0].path != "/security" || w.got[1].path != "/crm" || len(w.got[0].urls) != 2 || len(w.got[1].urls) != 0 {
		t.Errorf("%+v", w.got)
	}
}

func TestLongItem(t *testing.T) {
	w, url := newWorkflow(t)
	m := notifytest.Message("k")
	m.Items[0].Finding.Message = strings.Repeat(`"wörd" `, 10_000)
	m.Items[0].Finding.SourceName = strings.Repeat("source ", 10_000)
	if _, err := channel(t, teams.URLs{People: url}).Send(t.Context(), m); err != nil {
		t.Fatal(err)
	}
	words, urls := 0, 0
	for _, r := range w.got {
		words += strings.Count(r.text, "wörd")
		urls += len(r.urls)
	}
	if len(w.got) < 4 || words < 10_000-len(w.got) || urls != 2 {
		t.Errorf("%d cards with %d words and %d links", len(w.got), words, urls)
	}
}

func TestFaults(t *testing.T) {
	for _, c := range []struct {
		name   string
		answer http.HandlerFunc
		unsure bool
		after  time.Duration
		text   string
	}{
		{"it is not there", nil, false, 0, "no connection"},
		{"busy", func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Retry-After", "7")
			w.WriteHeader(http.StatusTooManyRequests)
		}, false, 7 * time.Second, "429"},
		{"away", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusServiceUnavailable) }, false, 30 * time.Second, "503"},
		{"broken", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusBadGateway) }, true, 0, "502"},
		{"too large, says an old connector", func(w http.ResponseWriter, _ *http.Request) {
			_, _ = io.WriteString(w, "Webhook message delivery failed with error: Microsoft Teams endpoint returned HTTP error 413 with ContextId x")
		}, false, time.Minute, "not posted"},
		{"the answer is lost", func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }, true, 0, ""},
		{"deleted", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNotFound) }, false, 0, "is it there still"},
		{"it sends us elsewhere", func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "/elsewhere", http.StatusTemporaryRedirect)
		}, false, 0, "307"},
	} {
		t.Run(c.name, func(t *testing.T) {
			w, url := newWorkflow(t)
			w.fault[0] = c.answer
			if c.answer == nil {
				gone := httptest.NewServer(http.NotFoundHandler())
				gone.Close()
				url = gone.URL
			}
			_, err := channel(t, teams.URLs{People: url + "/x?sig=hunter2"}).Send(t.Context(), notifytest.Message("k"))
			var retry *notify.RetryError
			after := time.Duration(0)
			if errors.As(err, &retry) {
				after = retry.After
			}
			if err == nil || errors.Is(err, notify.ErrUnsure) != c.unsure || after != c.after || errors.Is(err, notify.ErrUnreachable) || !strings.Contains(err.Error(), c.text) {
				t.Errorf("%v, unsure %v, after %s", err, errors.Is(err, notify.ErrUnsure), after)
			}
			if err != nil && strings.Contains(err.Error(), "hunter2") || len(w.got) != 0 {
				t.Errorf("%v, %d arrived", err, len(w.got))
			}
		})
	}
}

// Of a message in several cards, those that were taken are not posted again where another was not.
func TestSendIsResumed(t *testing.T) {
	w, url := newWorkflow(t)
	w.fault[2] = func(rw http.ResponseWriter, _ *http.Request) { rw.WriteHeader(http.StatusTooManyRequests) }
	ch, m := channel(t, teams.URLs{People: url}), notifytest.Large("k", 100)
	parts, err := teams.Render(m, testLinks(t))
	if err != nil || len(parts) < 4 {
		t.Fatal(len(parts), err)
	}
	var retry *notify.RetryError
	if _, err := ch.Send(t.Context(), m); !errors.As(err, &retry) {
		t.Fatal(err)
	}
	r, err := ch.Send(t.Context(), m)
	if err != nil || len(r.IDs) != len(parts) || w.n != len(parts)+1 || len(w.got) != len(parts) {
		t.Errorf("%v: %d ids, %d requests, %d cards; want %d", err, len(r.IDs), w.n, len(w.got), len(parts))
	}
}

func TestAddresses(t *testing.T) {
	for _, bad := range []string{"http://example.com/x?sig=hunter2", "hunter2", "https://", "ftp://example.com/hunter2"} {
		if _, err := teams.New(teams.URLs{Security: bad}, teams.Options{}); err == nil || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%q: %v", bad, err)
		}
	}
	if err := (&teams.Config{}).Validate(); err == nil || !strings.Contains(err.Error(), "url is missing") {
		t.Error(err)
	}
}

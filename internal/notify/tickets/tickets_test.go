package tickets_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.yaml.in/yaml/v3"

	"github.com/lapse-audit/lapse/internal/collect"
	"github.com/lapse-audit/lapse/internal/finding"
	"github.com/lapse-audit/lapse/internal/notify"
	"github.com/lapse-audit/lapse/internal/notify/notifytest"
	"github.com/lapse-audit/lapse/internal/notify/tickets"
)

func secret(t *testing.T, ref string) collect.Secret {
	t.Helper()
	var s collect.Secret
	if err := yaml.Unmarshal([]byte(ref), &s); err != nil {
		t.Fatal(err)
	}
	return s
}

type vendor struct {
	start  func(*testing.T) *system
	config func(*testing.T, *system) tickets.Config
}

var vendors = map[string]vendor{
	"jira": {newJira, func(t *testing.T, s *system) tickets.Config {
		return tickets.Config{Recipe: "jira", URL: s.url, User: "bot@example.com", Password: secret(t, "env:P"), Params: map[string]string{"project": "SEC"}}
	}},
	"servicenow": {newServiceNow, func(t *testing.T, s *system) tickets.Config {
		return tickets.Config{Recipe: "servicenow", URL: s.url, Token: secret(t, "env:T")}
	}},
}

func channel(t *testing.T, c tickets.Config, password string) *tickets.Channel {
	t.Helper()
	r, err := tickets.LoadRecipe(c.Recipe)
	if err != nil {
		t.Fatal(err)
	}
	ch, err := tickets.New(c, r, tickets.Options{Secret: password, Pace: time.Nanosecond})
	if err != nil {
		t.Fatal(err)
	}
	return ch
}

// forSecurity lets a channel have the messages of the suite, which are to a person, as if they were to the security team.
type ctx = context.Context

type forSecurity struct{ *tickets.Channel }

func security(m notify.Message) notify.Message {
	m.To = notify.Recipient{Role: notify.RoleSecurity, Name: "security team", Email: "security@example.com"}
	return m
}

func (f forSecurity) Send(ctx ctx, m notify.Message) (notify.Receipt, error) {
	return f.Channel.Send(ctx, security(m))
}

func (f forSecurity) Find(ctx ctx, m notify.Message) (notify.Receipt, bool, error) {
	return f.Channel.Find(ctx, security(m))
}

func (f forSecurity) Update(ctx ctx, r notify.Receipt, m notify.Message) error {
	return f.Channel.Update(ctx, r, security(m))
}

func each(t *testing.T, test func(*testing.T, *system, *tickets.Channel)) {
	for name, v := range vendors {
		t.Run(name, func(t *testing.T) {
			s := v.start(t)
			test(t, s, channel(t, v.config(t, s), "made-up"))
		})
	}
}

func TestContract(t *testing.T) {
	each(t, func(t *testing.T, s *system, ch *tickets.Channel) {
		notifytest.Run(t, notifytest.Suite{Channel: forSecurity{ch}, Received: s.received})
	})
}

// A finding has one open ticket, whatever is said of it: it is written into, once each time, closed when its finding is settled,
// and not before.
func TestLife(t *testing.T) {
	each(t, func(t *testing.T, s *system, ch *tickets.Channel) {
		send := func(m notify.Message) notify.Receipt {
			t.Helper()
			r, err := ch.Send(t.Context(), m)
			if err != nil || len(r.IDs) != len(m.Items) {
				t.Fatalf("%+v, %v", r, err)
			}
			return r
		}
		first := security(notifytest.Large("k1", 3))
		r := send(first)
		reminder := first
		reminder.Key, reminder.Kind, reminder.Items = "k2", notify.Reminder, first.Items[:2]
		send(reminder)
		send(reminder)
		if len(s.issues) != 3 || len(s.issues[0].notes) != 1 || len(s.issues[2].notes) != 0 || !strings.Contains(s.issues[0].notes[0], "Reminder: it waits for an answer") {
			t.Fatalf("%d tickets, the first with %q", len(s.issues), s.issues[0].notes)
		}
		if i := s.issues[0]; !strings.Contains(i.summary, "user0") || !strings.Contains(i.text, "person0000x") || !strings.Contains(i.text, "lapse notify answer "+string(first.Items[0].Finding.Fingerprint[:12])) {
			t.Errorf("%q: %q", i.summary, i.text)
		}
		first.Decided = map[finding.Fingerprint]string{
			first.Items[0].Finding.Fingerprint: "it is not so any more",
			first.Items[1].Finding.Fingerprint: "asked again on 2026-11-09, says Sam Sec",
		}
		for range 2 {
			if err := ch.Update(t.Context(), r, first); err != nil {
				t.Fatal(err)
			}
		}
		if i := s.issues[0]; !i.closed || len(i.notes) != 2 || !strings.Contains(i.notes[1], "it is not so any more") {
			t.Errorf("settled: %+v", i)
		}
		if i := s.issues[1]; i.closed || len(i.notes) != 2 || !strings.Contains(i.notes[1], "asked again on 2026-11-09") {
			t.Errorf("put off: %+v", i)
		}
		if i := s.issues[2]; i.closed || len(i.notes) != 0 {
			t.Errorf("waiting: %+v", i)
		}
		// It comes again: another ticket.
		again := first
		again.Key, again.Decided, again.Items = "k3", nil, first.Items[:1]
		if got := send(again); len(s.issues) != 4 || got.IDs[0] == r.IDs[0] {
			t.Errorf("%d tickets, %v", len(s.issues), got)
		}
	})
}

// The answer to the opening of a ticket is lost: nobody knows, and asking tells.
func TestLostReply(t *testing.T) {
	each(t, func(t *testing.T, s *system, ch *tickets.Channel) {
		s.trouble = []trouble{{method: "POST", path: "/issue", skip: 1, lost: true}, {method: "POST", path: "/incident", skip: 1, lost: true}}
		m := security(notifytest.Large("k1", 3))
		if _, err := ch.Send(t.Context(), m); !errors.Is(err, notify.ErrUnsure) {
			t.Fatal(err)
		}
		if _, found, err := ch.Find(t.Context(), m); err != nil || found || len(s.issues) != 2 {
			t.Fatalf("found %v, %v, %d tickets", found, err, len(s.issues))
		}
		r, err := ch.Send(t.Context(), m)
		if err != nil || len(r.IDs) != 3 || len(s.issues) != 3 {
			t.Errorf("%+v, %v, %d tickets", r, err, len(s.issues))
		}
		if got, found, err := ch.Find(t.Context(), m); err != nil || !found || len(got.IDs) != 3 {
			t.Errorf("%+v, %v, %v", got, found, err)
		}
	})
}

func TestWhoseItems(t *testing.T) {
	s := newJira(t)
	c := vendors["jira"].config(t, s)
	c.For = []string{"security", "app_owner:crm"}
	ch := channel(t, c, "made-up")
	owner := security(notifytest.Message("k"))
	owner.To = notify.Recipient{Role: "app_owner:crm"}
	if _, err := ch.Send(t.Context(), owner); err != nil || len(s.issues) != 1 {
		t.Errorf("%v, %d tickets", err, len(s.issues))
	}
	other := owner
	other.To.Role = "app_owner:erp"
	summary := security(notify.Message{Key: "summary-1", Kind: notify.Summary, Counts: []notify.Count{{Text: "x", N: 1}}})
	for name, m := range map[string]notify.Message{"a person": notifytest.Message("k"), "another role": other, "a summary": summary} {
		if _, err := ch.Send(t.Context(), m); !errors.Is(err, notify.ErrUnreachable) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if len(s.issues) != 1 {
		t.Errorf("%d tickets", len(s.issues))
	}
}

func TestFaults(t *testing.T) {
	for _, c := range []struct {
		name    string
		trouble trouble
		unsure  bool
		after   time.Duration
		text    string
	}{
		{"a search too many", trouble{method: "POST", path: "/search/jql", status: 429, after: "9"}, false, 9 * time.Second, "429"},
		{"away", trouble{method: "POST", path: "/issue", status: 503, after: "x"}, false, 30 * time.Second, "503"},
		{"a search that breaks", trouble{method: "POST", path: "/search/jql", status: 500}, false, 0, "tickets find"},
		{"a search without an answer", trouble{method: "POST", path: "/search/jql", lost: true}, false, 0, "tickets find"},
		{"nobody knows", trouble{method: "POST", path: "/issue", status: 502}, true, 0, "tickets create"},
		{"refused", trouble{method: "POST", path: "/issue", status: 400, body: `{"errors":{"issuetype":"Specify a valid issue type"}}`}, false, 0, "Specify a valid issue type"},
		{"a login page", trouble{method: "POST", path: "/search/jql", status: 200, body: "<html>"}, false, 0, "no JSON"},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := newJira(t)
			s.trouble = []trouble{c.trouble}
			_, err := channel(t, vendors["jira"].config(t, s), "made-up").Send(t.Context(), security(notifytest.Message("k")))
			var retry *notify.RetryError
			after := time.Duration(0)
			if errors.As(err, &retry) {
				after = retry.After
			}
			if err == nil || errors.Is(err, notify.ErrUnsure) != c.unsure || after != c.after || errors.Is(err, notify.ErrUnreachable) || !strings.Contains(err.Error(), c.text) {
				t.Errorf("%v, unsure %v, after %s", err, errors.Is(err, notify.ErrUnsure), after)
			}
		})
	}
	// The system repeats what it was sent: the credential is not in the error.
	s := newJira(t)
	_, err := channel(t, vendors["jira"].config(t, s), "hunter2").Send(t.Context(), security(notifytest.Message("k")))
	if err == nil || strings.Contains(err.Error(), "hunter2") || strings.Contains(err.Error(), "Ym90QGV4YW1wbGUuY29tOmh1bnRlcjI=") || !strings.Contains(err.Error(), "<secret>") {
		t.Errorf("%v", err)
	}
}

func TestConfig(t *testing.T) {
	good := tickets.Config{Recipe: "jira", URL: "https://acme.atlassian.net", User: "u", Password: secret(t, "env:P")}
	if err := good.Validate(); err != nil {
		t.Fatal(err)
	}
	for want, meddle := range map[string]func(*tickets.Config){
		"want one of jira, servicenow": func(c *tickets.Config) { c.Recipe = "" },
		"url is missing":               func(c *tickets.Config) { c.URL = "" },
		"want https":                   func(c *tickets.Config) { c.URL = "http://acme.example.com" },
		"an address alone":             func(c *tickets.Config) { c.URL = "https://u:hunter2@acme.example.com" },
		"the one or the other":         func(c *tickets.Config) { c.Token = secret(t, "env:T") },
		"password are missing":         func(c *tickets.Config) { c.Password = collect.Secret{} },
		"is no role":                   func(c *tickets.Config) { c.For = []string{"people"} },
	} {
		bad := good
		meddle(&bad)
		if err := bad.Validate(); err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%v, want %q", err, want)
		}
	}
	r, err := tickets.LoadRecipe("jira")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := tickets.New(good, r, tickets.Options{}); err == nil || !strings.Contains(err.Error(), "notify.tickets.params.project is missing: key of the project") {
		t.Error(err)
	}
	good.Params = map[string]string{"project": "SEC", "projct": "SEC"}
	if _, err := tickets.New(good, r, tickets.Options{}); err == nil || !strings.Contains(err.Error(), "no such parameter: it has project, resolution, type") {
		t.Error(err)
	}
}

func TestRecipes(t *testing.T) {
	const rest = "create: {do: [{path: '\"/x\"'}], result: .id}\nsay: {do: [{path: '\"/x\"'}]}\n"
	for text, want := range map[string]string{
		"":                         "it is empty",
		"find:":                    "find is missing",
		"finde: {do: []}\n" + rest: `unknown key "finde": did you mean "find"?`,
		"find: {do: [{path: '\"/x'}], result: .id}\n" + rest:                              "jq:",
		"find: {do: [{path: '$nothing'}], result: .id}\n" + rest:                          "jq:",
		"find: {do: [{path: '\"/x\"'}]}\n" + rest:                                         "find: result: want one",
		"find: {do: [{method: GET}], result: .id}\n" + rest:                               "find: step 1: path is missing",
		"find: {do: [{method: DELETE, path: '\"/x\"'}], result: .id}\n" + rest:            `method "DELETE": want GET`,
		"find: {do: [{path: '\"/x\"'}], result: .id}\nsay: {do: [{path: '\"/x\"'}]}\n":    "create is missing",
		"find: {do: [{path: [a]}], result: .id}\n" + rest:                                 "want a jq expression",
		"find: {do: [{path: '\"/x\"'}], result: .id}\nparams: {p: {about: [x]}}\n" + rest: "params",
	} {
		file := filepath.Join(t.TempDir(), "r.yaml")
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := tickets.LoadRecipe(file); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %q", text, err, want)
		}
	}
	if _, err := tickets.LoadRecipe("jria"); err == nil || !strings.Contains(err.Error(), "want one of jira, servicenow, or a file") {
		t.Error(err)
	}
	// A recipe leads nowhere else, and a credential goes with it.
	for _, path := range []string{`"https://evil.example/"`, `"//evil.example/"`, `"/a/../../b"`, `"@evil.example/"`, `.label`, `3`} {
		file := filepath.Join(t.TempDir(), "r.yaml")
		text := "find: {do: [{path: '" + path + "'}], result: .id}\n" + rest
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		s := newServiceNow(t)
		c := vendors["servicenow"].config(t, s)
		c.Recipe = file
		if _, err := channel(t, c, "made-up").Send(t.Context(), security(notifytest.Message("k"))); err == nil || !strings.Contains(err.Error(), "line 1 of the recipe: the path is none") || len(s.calls) != 0 {
			t.Errorf("%s: %v, %v", path, err, s.calls)
		}
	}
}

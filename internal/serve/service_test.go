package serve

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"

	"github.com/lapse-audit/lapse/internal/state"
)

// logs are the lines of a structured log.
type logs struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (l *logs) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

func (l *logs) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

// find gives the lines with a message. Every line is JSON.
func (l *logs) find(t *testing.T, msg string) []map[string]any {
	t.Helper()
	var out []map[string]any
	for line := range strings.Lines(l.String()) {
		var m map[string]any
		if err := json.Unmarshal([]byte(line), &m); err != nil {
			t.Fatalf("%v: %s", err, line)
		}
		if m["msg"] == msg {
			out = append(out, m)
		}
	}
	return out
}

// service is a running one.
type service struct {
	url    string
	log    *logs
	reload chan os.Signal
	stop   func() error
}

// start serves what load gives until the test ends.
func start(t *testing.T, s *state.State, clock Clock, load func(context.Context) (*Setup, error)) *service {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	out := &service{log: &logs{}, reload: make(chan os.Signal, 1)}
	ready, ended := make(chan net.Addr, 1), make(chan error, 1)
	go func() {
		ended <- Run(ctx, Options{State: s, Clock: clock, Log: slog.New(slog.NewJSONHandler(out.log, nil)), Holder: "test", Version: "1.2.3", Load: load, Reload: out.reload,
			Ready: func(a net.Addr) { ready <- a }})
	}()
	select {
	case a := <-ready:
		out.url = "http://" + a.String()
	case err := <-ended:
		cancel()
		t.Fatal(err)
	}
	out.stop = sync.OnceValue(func() error {
		cancel()
		return <-ended
	})
	t.Cleanup(func() {
		if err := out.stop(); err != nil {
			t.Error(err)
		}
	})
	return out
}

func get(t *testing.T, url string, header ...string) (int, string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return res.StatusCode, string(body)
}

// scrape reads the metrics as Prometheus does.
func scrape(t *testing.T, url string) map[string]*dto.MetricFamily {
	t.Helper()
	status, body := get(t, url+"/metrics")
	if status != http.StatusOK {
		t.Fatalf("metrics: %d %s", status, body)
	}
	p := expfmt.NewTextParser(model.UTF8Validation)
	all, err := p.TextToMetricFamilies(strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// value is that of the one metric with the labels, in pairs; it is missing where there is none.
func value(t *testing.T, all map[string]*dto.MetricFamily, name string, labels ...string) (v float64, ok bool) {
	t.Helper()
next:
	for _, m := range all[name].GetMetric() {
		have := map[string]string{}
		for _, l := range m.GetLabel() {
			have[l.GetName()] = l.GetValue()
		}
		for i := 0; i < len(labels); i += 2 {
			if have[labels[i]] != labels[i+1] {
				continue next
			}
		}
		return m.GetGauge().GetValue() + m.GetCounter().GetValue(), true
	}
	return 0, false
}

func wantMetric(t *testing.T, all map[string]*dto.MetricFamily, want float64, name string, labels ...string) {
	t.Helper()
	if got, ok := value(t, all, name, labels...); !ok || got != want {
		t.Errorf("%s%v is %v (there: %v), want %v", name, labels, got, ok, want)
	}
}

func noFacts(context.Context) (Facts, error) { return Facts{}, nil }

// self is a child that runs this binary.
func self(args ...string) Child { return Child{Path: os.Args[0], Args: args, Kill: 10 * time.Second} }

// Three nights; in the second the process of the scan is killed, and the run is made up for.
func TestThreeNightsWithACrash(t *testing.T) {
	s, clock := openState(t, state.Options{}), newManualClock(evening)
	var ran atomic.Int32
	scan := Step{Name: "scan", Run: func(ctx context.Context, a Attempt) (Result, error) {
		if ran.Add(1) == 2 {
			return Result{}, self("hang").Run(ctx, a.Log)
		}
		child := self("say")
		child.Stdin = []byte("night of " + a.Slot.Format(time.DateOnly))
		return Result{}, child.Run(ctx, a.Log)
	}}
	var sent atomic.Int32
	send := Step{Name: "notify", Run: func(context.Context, Attempt) (Result, error) {
		sent.Add(1)
		return Result{Incomplete: "held"}, nil
	}}
	facts := Facts{
		Run:      &Scanned{ID: 3, Time: night(3), Took: 90 * time.Second, Complete: true},
		Sources:  []Source{{UID: "hr", Records: map[string]uint64{"people": 7}, AsOf: night(2)}, {UID: "crm", Stale: 2}},
		Findings: []Findings{{"LVR-01", "open", false, 4}, {"LVR-01", "excepted", false, 1}},
		Messages: []Messages{{"first", "sent", 5}}, Changes: []Changes{{"disable", "done", 6}}, Outbox: 2,
		Leavers: map[state.LeaverStatus]int{state.LeaverPending: 1},
	}
	srv := start(t, s, clock, func(context.Context) (*Setup, error) {
		return &Setup{Address: "127.0.0.1:0", Facts: func(context.Context) (Facts, error) { return facts, nil },
			Jobs: []Job{{Name: "nightly", Schedule: mustSchedule(t, "0 2 * * *", time.UTC), Steps: []Step{scan, send}, Attempts: 2, Backoff: 5 * time.Minute, Overdue: time.Hour}}}, nil
	})
	slotIs(t, s, evening, state.SlotNone)
	clock.set(night(1))
	first := slotIs(t, s, night(1), state.SlotDone)
	if first.Detail != "held" {
		t.Errorf("%+v", first)
	}

	clock.set(night(2))
	var pid int
	await(t, "the process to hang", func() bool {
		for _, l := range srv.log.find(t, "output") {
			if l["line"] == "it hangs" {
				begun := srv.log.find(t, "a process begins")
				pid = int(begun[len(begun)-1]["pid"].(float64))
			}
		}
		return pid != 0
	})
	if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	crashed := slotIs(t, s, night(2), state.SlotRetry)
	if crashed.Detail != "signal: killed" || crashed.Attempt != 1 || !crashed.Succeeded.Equal(night(1)) {
		t.Errorf("%+v", crashed)
	}
	if status, body := get(t, srv.url+"/healthz"); status != http.StatusOK || !strings.Contains(body, "1.2.3") {
		t.Errorf("the service: %d %s", status, body)
	}
	clock.set(night(2).Add(5 * time.Minute))
	if again := slotIs(t, s, night(2), state.SlotDone); again.Run != crashed.Run || again.Run == first.Run {
		t.Errorf("%+v after %+v", again, crashed)
	}
	clock.set(night(3))
	slotIs(t, s, night(3), state.SlotDone)
	if ran.Load() != 4 || sent.Load() != 3 {
		t.Errorf("%d scans and %d sendings", ran.Load(), sent.Load())
	}
	for _, l := range append(srv.log.find(t, "output"), srv.log.find(t, "a step begins")...) {
		if l["run"] == nil || l["attempt"] == nil || l["job"] != "nightly" || l["step"] == nil {
			t.Errorf("it doesn't say of which run it is: %v", l)
		}
	}
	said := fmt.Sprint(srv.log.find(t, "output"))
	for _, want := range []string{"night of 2026-11-23", "night of 2026-11-24", "night of 2026-11-25", "a line without an end"} {
		if !strings.Contains(said, want) {
			t.Errorf("the log doesn't have %q: %s", want, said)
		}
	}

	all := scrape(t, srv.url)
	wantMetric(t, all, 1, "lapse_build_info", "version", "1.2.3")
	wantMetric(t, all, 1, "lapse_facts_read_success")
	wantMetric(t, all, 90, "lapse_scan_duration_seconds")
	wantMetric(t, all, 7, "lapse_source_records", "source", "hr", "kind", "people")
	wantMetric(t, all, 86400, "lapse_source_age_seconds", "source", "hr")
	wantMetric(t, all, 2, "lapse_source_stale_nights", "source", "crm")
	if v, ok := value(t, all, "lapse_source_age_seconds", "source", "crm"); ok {
		t.Errorf("the age of what was never read is %v", v)
	}
	wantMetric(t, all, 4, "lapse_findings", "policy", "LVR-01", "status", "open")
	wantMetric(t, all, 5, "lapse_notifications", "kind", "first", "outcome", "sent")
	wantMetric(t, all, 6, "lapse_changes", "action", "disable", "outcome", "done")
	wantMetric(t, all, 2, "lapse_outbox_depth")
	wantMetric(t, all, 1, "lapse_leavers", "status", "pending")
	wantMetric(t, all, seconds(night(3)), "lapse_schedule_last_success_timestamp_seconds", "job", "nightly")
	wantMetric(t, all, seconds(night(4)), "lapse_schedule_next_start_timestamp_seconds", "job", "nightly")
	wantMetric(t, all, 1, "lapse_schedule_last_status", "status", "done")
	wantMetric(t, all, 3, "lapse_schedule_attempts_total", "step", "scan", "outcome", "done")
	wantMetric(t, all, 1, "lapse_schedule_attempts_total", "step", "scan", "outcome", "failed")
	wantMetric(t, all, 3, "lapse_schedule_attempts_total", "step", "notify", "outcome", "incomplete")
}

// A run that fails again and again is given up and said to have failed; the next one runs. Its steps that were done are
// not done again.
func TestFailedRun(t *testing.T) {
	s, clock := openState(t, state.Options{}), newManualClock(evening)
	var scans, sends atomic.Int32
	var fault atomic.Pointer[error]
	broken := errors.New("no connection")
	fault.Store(&broken)
	load := func(context.Context) (*Setup, error) {
		return &Setup{Address: "127.0.0.1:0", Facts: noFacts, Jobs: []Job{{Name: "nightly", Schedule: mustSchedule(t, "0 2 * * *", time.UTC), Attempts: 3, Backoff: time.Minute, Overdue: 12 * time.Hour,
			Steps: []Step{
				{Name: "scan", Run: func(context.Context, Attempt) (Result, error) { scans.Add(1); return Result{}, nil }},
				{Name: "notify", Run: func(context.Context, Attempt) (Result, error) { sends.Add(1); return Result{}, *fault.Load() }},
			}}}}, nil
	}
	srv := start(t, s, clock, load)
	slotIs(t, s, evening, state.SlotNone)
	clock.set(night(1))
	for n, wait := range []time.Duration{time.Minute, 2 * time.Minute} {
		await(t, "an attempt to fail", func() bool {
			slot, err := s.Slot(t.Context(), "nightly")
			return err == nil && slot.Status == state.SlotRetry && slot.Attempt == n+1
		})
		clock.set(clock.Now().Add(wait))
	}
	if slot := slotIs(t, s, night(1), state.SlotFailed); slot.Detail != "no connection" || slot.Attempt != 3 {
		t.Errorf("%+v", slot)
	}
	if scans.Load() != 1 || sends.Load() != 3 {
		t.Errorf("%d scans and %d sendings", scans.Load(), sends.Load())
	}
	if status, body := get(t, srv.url+"/readyz"); status != http.StatusOK || !strings.Contains(body, "failed") {
		t.Errorf("ready: %d %s", status, body)
	}
	wantMetric(t, scrape(t, srv.url), 1, "lapse_schedule_last_status", "status", "failed")
	clock.set(night(1).Add(13 * time.Hour))
	if status, body := get(t, srv.url+"/readyz"); status != http.StatusServiceUnavailable || !strings.Contains(body, "due since 2026-11-23T02:00:00Z") {
		t.Errorf("overdue: %d %s", status, body)
	}
	hopeless := fmt.Errorf("exit status 2: %w", ErrHopeless)
	fault.Store(&hopeless)
	clock.set(night(2))
	if slot := slotIs(t, s, night(2), state.SlotFailed); slot.Attempt != 1 {
		t.Errorf("tried again in vain: %+v", slot)
	}
	var well error
	fault.Store(&well)
	clock.set(night(3))
	slotIs(t, s, night(3), state.SlotDone)
	if status, body := get(t, srv.url+"/readyz"); status != http.StatusOK {
		t.Errorf("ready again: %d %s", status, body)
	}
	if n := len(srv.log.find(t, "the run failed")); n != 2 {
		t.Errorf("%d runs are said to have failed", n)
	}
}

// A stop lets a running step end within its grace, and interrupts it after that; then it is run again by the next service.
func TestStop(t *testing.T) {
	for name, grace := range map[string]time.Duration{"within the grace": time.Hour, "after it": 0} {
		t.Run(name, func(t *testing.T) {
			s, clock := openState(t, state.Options{}), newManualClock(evening)
			begun, release := make(chan struct{}, 1), make(chan struct{})
			var closed atomic.Bool
			srv := start(t, s, clock, func(context.Context) (*Setup, error) {
				return &Setup{Address: "127.0.0.1:0", Facts: noFacts, Grace: grace, Close: func() error { closed.Store(true); return nil },
					Jobs: []Job{{Name: "nightly", Schedule: mustSchedule(t, "0 2 * * *", time.UTC), Attempts: 1,
						Steps: []Step{{Name: "scan", Run: func(ctx context.Context, a Attempt) (Result, error) {
							begun <- struct{}{}
							select {
							case <-release:
								return Result{}, nil
							case <-ctx.Done():
								return Result{}, ctx.Err()
							}
						}}}}}}, nil
			})
			slotIs(t, s, evening, state.SlotNone)
			clock.set(night(1))
			<-begun
			ended := make(chan error, 1)
			go func() { ended <- srv.stop() }()
			if grace > 0 {
				await(t, "the stop to begin", func() bool { return len(srv.log.find(t, "stopping")) == 1 })
				select {
				case err := <-ended:
					t.Fatalf("it did not wait: %v", err)
				default:
				}
				close(release)
			}
			if err := <-ended; err != nil {
				t.Error(err)
			}
			if !closed.Load() {
				t.Error("what the configuration used was not closed")
			}
			slot, err := s.Slot(t.Context(), "nightly")
			want := state.SlotDone
			if grace == 0 {
				want = state.SlotRetry
			}
			if err != nil || slot.Status != want || grace == 0 && slot.Attempt != 0 {
				t.Errorf("%+v, %v", slot, err)
			}
		})
	}
}

// A step's process is interrupted as by Ctrl-C when its time is over.
func TestChildInterrupted(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	l := &logs{}
	ended := make(chan error, 1)
	go func() { ended <- self("hang").Run(ctx, slog.New(slog.NewJSONHandler(l, nil))) }()
	await(t, "the process to hang", func() bool { return len(l.find(t, "output")) == 1 })
	cancel()
	var exit *ExitError
	if err := <-ended; !errors.As(err, &exit) || exit.Code != 1 || exit.Said != "lapse: interrupted" {
		t.Errorf("%v", err)
	}
}

// A new configuration is in force at once, whatever runs by the old one; one that can't be read changes nothing.
func TestReload(t *testing.T) {
	s, clock := openState(t, state.Options{}), newManualClock(evening)
	var version atomic.Int32
	var oldClosed atomic.Bool
	begun, release := make(chan int32, 4), make(chan struct{})
	load := func(context.Context) (*Setup, error) {
		v := version.Add(1)
		if v == 2 {
			return nil, errors.New(`lapse.yaml:3:1: unknown key "shedule": did you mean "schedule"?`)
		}
		step := Step{Name: "scan", Run: func(context.Context, Attempt) (Result, error) {
			begun <- v
			<-release
			return Result{}, nil
		}}
		setup := &Setup{Address: "127.0.0.1:0", Facts: noFacts, Grace: time.Minute,
			Mounts: []Mount{{"/version", http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, v) })}},
			Jobs:   []Job{{Name: "nightly", Schedule: mustSchedule(t, "0 2 * * *", time.UTC), Attempts: 1, Steps: []Step{step}}}}
		if v == 1 {
			setup.Close = func() error { oldClosed.Store(true); return nil }
		}
		return setup, nil
	}
	srv := start(t, s, clock, load)
	slotIs(t, s, evening, state.SlotNone)
	clock.set(night(1))
	if v := <-begun; v != 1 {
		t.Fatalf("version %d runs", v)
	}
	srv.reload <- syscall.SIGHUP
	await(t, "the refusal", func() bool {
		return len(srv.log.find(t, "the new configuration is refused, and the old one stays in force")) == 1
	})
	if !strings.Contains(srv.log.String(), `did you mean`) {
		t.Error("the log doesn't say why")
	}
	if _, body := get(t, srv.url+"/version"); body != "1" {
		t.Errorf("version %s serves", body)
	}
	srv.reload <- syscall.SIGHUP
	await(t, "the new configuration", func() bool { return len(srv.log.find(t, "the new configuration is in force")) == 1 })
	if _, body := get(t, srv.url+"/version"); body != "3" {
		t.Errorf("version %s serves", body)
	}
	if oldClosed.Load() {
		t.Error("what the running step uses was closed")
	}
	all := scrape(t, srv.url)
	wantMetric(t, all, 1, "lapse_config_reloads_total", "outcome", "refused")
	wantMetric(t, all, 1, "lapse_config_reloads_total", "outcome", "taken")
	release <- struct{}{}
	slotIs(t, s, night(1), state.SlotDone)
	await(t, "the old configuration to be closed", oldClosed.Load)
	clock.set(night(2))
	if v := <-begun; v != 3 {
		t.Errorf("version %d runs", v)
	}
	release <- struct{}{}
	slotIs(t, s, night(2), state.SlotDone)
}

// Metrics tell of people: on an address that others reach they ask for a token.
func TestMetricsToken(t *testing.T) {
	for name, tt := range map[string]struct {
		address, token, sent string
		want                 int
	}{
		"loopback":           {"127.0.0.1:0", "", "", http.StatusOK},
		"loopback, no token": {"127.0.0.1:0", "s3cret", "", http.StatusUnauthorized},
		"anywhere":           {"0.0.0.0:0", "", "", http.StatusNotFound},
		"wrong token":        {"0.0.0.0:0", "s3cret", "guess", http.StatusUnauthorized},
		"token":              {"0.0.0.0:0", "s3cret", "s3cret", http.StatusOK},
	} {
		t.Run(name, func(t *testing.T) {
			srv := start(t, openState(t, state.Options{}), newManualClock(evening), func(context.Context) (*Setup, error) {
				return &Setup{Address: tt.address, MetricsToken: tt.token, Facts: noFacts}, nil
			})
			_, port, _ := net.SplitHostPort(strings.TrimPrefix(srv.url, "http://"))
			if status, body := get(t, "http://127.0.0.1:"+port+"/metrics", "Authorization", "Bearer "+tt.sent); status != tt.want {
				t.Errorf("%d %s", status, body)
			}
			if strings.Contains(srv.log.String(), "s3cret") {
				t.Error("the log has the token")
			}
		})
	}
}

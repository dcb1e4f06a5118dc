package serve

import (
	"bufio"
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/lapse-audit/lapse/internal/state"
	"github.com/lapse-audit/lapse/internal/state/statetest"
)

// process is a replica in a process of its own.
type process struct {
	*exec.Cmd
	mu     sync.Mutex
	stderr bytes.Buffer
}

func (p *process) Write(b []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.stderr.Write(b)
}

func (p *process) log() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.stderr.String()
}

// start begins to serve, and returns when it does.
func (r replica) start(t *testing.T) *process {
	t.Helper()
	text, err := json.Marshal(r)
	if err != nil {
		t.Fatal(err)
	}
	p := &process{Cmd: exec.Command(os.Args[0])}
	p.Env = append(os.Environ(), "SERVE_TEST_REPLICA="+string(text))
	p.Stderr = p
	out, err := p.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := p.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { p.Process.Kill() })
	if !bufio.NewScanner(out).Scan() {
		t.Fatalf("%s doesn't serve: %s", r.Name, p.log())
	}
	return p
}

// kill ends a replica without giving it time for anything.
func (p *process) kill(t *testing.T) {
	t.Helper()
	if err := p.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = p.Wait()
}

// stop ends a replica in good order.
func (p *process) stop(t *testing.T) {
	t.Helper()
	if err := p.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	if err := p.Wait(); err != nil {
		t.Errorf("%v: %s", err, p.log())
	}
}

func lines(t *testing.T, path string) []string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil && !os.IsNotExist(err) {
		t.Fatal(err)
	}
	return strings.Fields(strings.ReplaceAll(strings.TrimSpace(string(text)), " ", "_"))
}

// A service that was killed in a run, and down for two nights after it, catches up once: the newest slot, and none twice.
func TestKilledAndRestarted(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	r := replica{Name: "a", Path: filepath.Join(dir, "state.db"), Clock: filepath.Join(dir, "clock"), Runs: filepath.Join(dir, "runs"), Hold: filepath.Join(dir, "hold"), Grace: time.Minute}
	clock := fileClock(r.Clock)
	clock.set(t, evening)
	s := openState(t, state.Options{Path: r.Path})
	p := r.start(t)
	slotIs(t, s, evening, state.SlotNone)
	clock.set(t, night(1))
	slotIs(t, s, night(1), state.SlotDone)

	if err := os.WriteFile(r.Hold, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	clock.set(t, night(2))
	await(t, "the second run", func() bool { return len(lines(t, r.Runs)) == 2 })
	p.kill(t)
	if err := os.Remove(r.Hold); err != nil {
		t.Fatal(err)
	}
	// Started again in the same night: that slot is run again, as a second attempt.
	p = r.start(t)
	if slot := slotIs(t, s, night(2), state.SlotDone); !slot.Succeeded.Equal(night(2)) {
		t.Errorf("%+v", slot)
	}
	p.kill(t)
	clock.set(t, night(5).Add(6*time.Hour))
	p = r.start(t)
	slotIs(t, s, night(5), state.SlotDone)
	p.stop(t)
	want := []string{"2026-11-23_a_1", "2026-11-24_a_1", "2026-11-24_a_2", "2026-11-27_a_1"}
	if got := lines(t, r.Runs); !slices.Equal(got, want) {
		t.Errorf("runs %v, want %v", got, want)
	}
	if !strings.Contains(p.log(), `"missed":2`) {
		t.Errorf("the log doesn't say what was missed: %s", p.log())
	}
}

// Of two replicas on one database one runs each slot, and each slot is run once; when the one that runs it is killed the
// other one runs it again.
func TestTwoReplicas(t *testing.T) {
	t.Parallel()
	server := statetest.StartPostgres(t)
	dir := t.TempDir()
	r := replica{URL: server.Database(t), Clock: filepath.Join(dir, "clock"), Runs: filepath.Join(dir, "runs"), Hold: filepath.Join(dir, "hold"), TTL: 4 * time.Second, Grace: time.Minute}
	clock := fileClock(r.Clock)
	clock.set(t, evening)
	s := openState(t, state.Options{URL: r.URL})
	replicas := map[string]*process{}
	for _, name := range []string{"a", "b"} {
		r.Name = name
		replicas[name] = r.start(t)
	}
	slotIs(t, s, evening, state.SlotNone)
	for n := range 3 {
		clock.set(t, night(n+1))
		slotIs(t, s, night(n+1), state.SlotDone)
	}
	if err := os.WriteFile(r.Hold, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	clock.set(t, night(4))
	await(t, "the fourth run", func() bool { return len(lines(t, r.Runs)) == 4 })
	runner := slotIs(t, s, night(4), state.SlotRunning).Holder
	replicas[runner].kill(t)
	if err := os.Remove(r.Hold); err != nil {
		t.Fatal(err)
	}
	other := map[string]string{"a": "b", "b": "a"}[runner]
	if slot := slotIs(t, s, night(4), state.SlotDone); slot.Holder != other {
		t.Errorf("done by %s", slot.Holder)
	}
	clock.set(t, night(5))
	slotIs(t, s, night(5), state.SlotDone)
	replicas[other].stop(t)
	var got []string
	for _, l := range lines(t, r.Runs) {
		day, rest, _ := strings.Cut(l, "_")
		name, number, _ := strings.Cut(rest, "_")
		if day >= "2026-11-26" {
			day += "_" + name
		}
		got = append(got, day+"_"+number)
	}
	want := []string{"2026-11-23_1", "2026-11-24_1", "2026-11-25_1", "2026-11-26_" + runner + "_1", "2026-11-26_" + other + "_2", "2026-11-27_" + other + "_1"}
	if !slices.Equal(got, want) {
		t.Errorf("runs %v, want %v", got, want)
	}
}

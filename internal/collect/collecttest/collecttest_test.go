package collecttest

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/lapse-audit/lapse/internal/access"
	"github.com/lapse-audit/lapse/internal/collect"
)

// memory is the reference collector: a source in memory. Its faults are set by tests.
type memory struct {
	records  []access.Record
	rejected []collect.Rejection
	broken   error
	prov     collect.Provenance

	deaf      bool // goes on when the context has ended
	mute      bool // says nothing of it
	slow      time.Duration
	goesOn    bool // when the sink fails
	wraps     bool
	swallows  bool
	dropsLast bool // every second time
	times     int
}

func (m *memory) Collect(ctx context.Context, out collect.Sink) (collect.Provenance, error) {
	m.times++
	if m.broken != nil {
		return m.prov, m.broken
	}
	var failed error
	deliver := func(err error) error {
		if failed = errors.Join(failed, err); failed == nil || m.goesOn {
			return nil
		}
		switch {
		case m.wraps:
			return fmt.Errorf("put: %w", err)
		case m.swallows:
			return nil
		}
		return err
	}
	for _, r := range m.rejected {
		if err := deliver(out.Reject(r)); err != nil {
			return m.prov, err
		}
	}
	records := m.records
	if m.dropsLast && m.times%2 == 0 {
		records = records[:len(records)-1]
	}
	for _, r := range records {
		if ctx.Err() != nil && !m.deaf {
			if m.mute {
				return m.prov, nil
			}
			return m.prov, ctx.Err()
		}
		time.Sleep(m.slow)
		if err := deliver(out.Put(r)); err != nil {
			return m.prov, err
		}
	}
	if m.deaf || m.mute {
		return m.prov, nil
	}
	return m.prov, ctx.Err()
}

// good is a source without a fault.
func good() *memory {
	at := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	return &memory{
		records: []access.Record{
			access.Account{ID: "1", CreatedAt: &at, Attributes: map[string]string{"k": "v"}},
			access.Account{ID: "2", Keys: []access.Key{{ID: "k", CreatedAt: &at}}},
			access.Grant{HolderKind: access.HolderAccount, HolderID: "1", EntitlementID: "e"},
		},
		prov: collect.Provenance{Request: "memory", Mapping: "1", Identity: "nobody", Reads: []string{"accounts", "grants"}},
	}
}

// spec is a suite over good sources; fault changes each of its collectors.
func spec(fault func(*memory)) Spec {
	from := func(change func(*memory)) func(testing.TB) collect.Collector {
		return func(testing.TB) collect.Collector {
			m := good()
			change(m)
			fault(m)
			return m
		}
	}
	return Spec{
		New:       from(func(*memory) {}),
		Rejecting: from(func(m *memory) { m.rejected = []collect.Rejection{{File: "memory", Reason: "torn"}} }),
		Broken: map[string]func(testing.TB) collect.Collector{
			"unplugged": from(func(m *memory) { m.broken = errors.New("unplugged") }),
		},
		Secrets: []string{"hunter2"},
		Soon:    200 * time.Millisecond,
	}
}

func TestReferencePasses(t *testing.T) { Run(t, spec(func(*memory) {})) }

// log is a testing.TB that records what would have failed.
type log struct {
	testing.TB // the methods that are not recorded are the outer test's
	failures   []string
}

func (l *log) Helper() {}
func (l *log) Errorf(format string, args ...any) {
	l.failures = append(l.failures, fmt.Sprintf(format, args...))
}
func (l *log) Error(args ...any) { l.failures = append(l.failures, fmt.Sprint(args...)) }
func (l *log) Fatal(args ...any) { l.Error(args...); runtime.Goexit() }
func (l *log) Skip(...any)       { runtime.Goexit() }
func (l *log) Fatalf(format string, args ...any) {
	l.Errorf(format, args...)
	runtime.Goexit()
}

// failures runs one check.
func failures(t *testing.T, name string, s Spec) []string {
	t.Helper()
	i := slices.IndexFunc(checks, func(c check) bool { return c.name == name })
	if i < 0 {
		t.Fatalf("there is no check %q", name)
	}
	l := &log{TB: t}
	done := make(chan struct{})
	go func() { // Fatal ends the goroutine that calls it
		defer close(done)
		checks[i].run(l, s)
	}()
	<-done
	return l.failures
}

// A check that can't fail is none: each fault is caught by the check that is there for it.
func TestSuiteCatches(t *testing.T) {
	local := time.Date(2026, 1, 2, 3, 4, 5, 0, time.FixedZone("", 3600))
	for _, c := range []struct {
		fault string
		check string
		apply func(*memory)
	}{
		{"loses a record the second time", "same records twice", func(m *memory) { m.dropsLast = true }},
		{"repeats an id", "valid records", func(m *memory) { m.records = append(m.records, m.records[0]) }},
		{"leaves an id out", "valid records", func(m *memory) { m.records = append(m.records, access.Account{}) }},
		{"gives bytes for text", "valid records", func(m *memory) { m.records = append(m.records, access.Account{ID: "3", Name: "\xff"}) }},
		{"gives bytes for an attribute", "valid records", func(m *memory) {
			m.records = append(m.records, access.Account{ID: "3", Attributes: map[string]string{"k": "\xff"}})
		}},
		{"gives local times", "valid records", func(m *memory) { m.records = append(m.records, access.Account{ID: "3", LastLoginAt: &local}) }},
		{"gives the zero time", "valid records", func(m *memory) { m.records = append(m.records, access.Account{ID: "3", LastLoginAt: new(time.Time)}) }},
		{"fills no provenance", "provenance", func(m *memory) { m.prov = collect.Provenance{} }},
		{"misspells what it reads", "provenance", func(m *memory) { m.prov.Reads = append(m.prov.Reads, "account") }},
		{"reads what it doesn't name", "provenance", func(m *memory) { m.prov.Reads = []string{"accounts"} }},
		{"hashes no file", "provenance", func(m *memory) { m.prov.Files = []collect.File{{Name: "x"}} }},
		{"doesn't look at the context", "cancelled before", func(m *memory) { m.deaf = true }},
		{"doesn't look at the context in between", "cancelled during", func(m *memory) { m.deaf = true }},
		{"is slow to stop", "cancelled during", func(m *memory) { m.deaf, m.slow = true, 300*time.Millisecond }},
		{"passes off a part as the whole when cancelled", "cancelled during", func(m *memory) { m.mute = true }},
		{"wraps the sink's error", "error of the sink", func(m *memory) { m.wraps = true }},
		{"swallows the sink's error", "error of the sink", func(m *memory) { m.swallows = true }},
		{"goes on after the sink's error", "error of the sink", func(m *memory) { m.goesOn = true }},
		{"swallows the sink's error of a rejection", "rejections", func(m *memory) { m.swallows = true }},
		{"rejects without a reason", "rejections", func(m *memory) {
			if len(m.rejected) > 0 {
				m.rejected[0].Reason = ""
			}
		}},
		{"rejects nothing", "rejections", func(m *memory) { m.rejected = nil }},
		{"stops at a rejection", "rejections", func(m *memory) {
			if len(m.rejected) > 0 {
				m.records = nil
			}
		}},
		{"takes a broken source for an empty one", "broken source", func(m *memory) { m.broken, m.records = nil, nil }},
		{"shows a secret in an error", "secrets", func(m *memory) {
			if m.broken != nil {
				m.broken = errors.New("bind with hunter2")
			}
		}},
		{"shows a secret in the provenance", "secrets", func(m *memory) { m.prov.Request = "https://x:hunter2@y" }},
		{"shows a secret in a rejection", "secrets", func(m *memory) {
			if len(m.rejected) > 0 {
				m.rejected[0].Reason = "hunter2 is no date"
			}
		}},
	} {
		t.Run(c.fault, func(t *testing.T) {
			t.Parallel()
			if got := failures(t, c.check, spec(c.apply)); len(got) == 0 {
				t.Errorf("the check %q passes", c.check)
			}
		})
	}
}

func TestSuiteFaultsOfTheSpec(t *testing.T) {
	s := spec(func(*memory) {})
	s.Broken = nil
	if got := failures(t, "broken source", s); !strings.Contains(strings.Join(got, ""), "Spec.Broken") {
		t.Errorf("failures %v", got)
	}
	s = spec(func(m *memory) { m.records = m.records[:1] })
	if got := failures(t, "provenance", s); !strings.Contains(strings.Join(got, ""), "at least two") {
		t.Errorf("failures %v", got)
	}
}

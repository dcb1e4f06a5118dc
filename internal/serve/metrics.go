package serve

import (
	"context"
	"errors"
	"net/http"
	"runtime"
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/lapse-audit/lapse/internal/state"
)

// metrics is what Prometheus reads. All but the counters of this process is read from the state and the store, and so the
// same on every replica and after a restart.
type metrics struct {
	s        *Service
	registry *prometheus.Registry
	attempts *prometheus.CounterVec
	hooks    *prometheus.CounterVec
	reloads  *prometheus.CounterVec
}

func newMetrics(s *Service) *metrics {
	m := &metrics{s: s, registry: prometheus.NewRegistry(),
		attempts: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "lapse_schedule_attempts_total",
			Help: "Attempts at a step of a scheduled job by this process."}, []string{"job", "step", "outcome"}),
		hooks: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "lapse_hr_events_total",
			Help: "Events that this process took from HR systems."}, []string{"webhook", "outcome"}),
		reloads: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "lapse_config_reloads_total",
			Help: "Readings of the configuration by this process."}, []string{"outcome"}),
	}
	m.registry.MustRegister(m.attempts, m.hooks, m.reloads, m, collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return m
}

func (m *metrics) handler() http.Handler {
	return promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{})
}

var (
	buildInfo    = desc("build_info", "What is running.", "version", "go")
	readOK       = desc("facts_read_success", "Whether the store and the state could be read for these metrics.")
	scanTime     = desc("scan_timestamp_seconds", "The clock of the last published run.")
	scanDuration = desc("scan_duration_seconds", "How long the last published run took.")
	scanComplete = desc("scan_complete", "Whether the last published run evaluated everything.")
	records      = desc("source_records", "Records in the snapshot of a source that the last run judged.", "source", "kind")
	sourceAge    = desc("source_age_seconds", "How old the data of a source is that the last run judged.", "source")
	sourceStale  = desc("source_stale_nights", "Nights in a row that a source was not read anew.", "source")
	findings     = desc("findings", "Findings of the last run.", "policy", "status", "backlog")
	messages     = desc("notifications", "Messages to people.", "kind", "outcome")
	changes      = desc("changes", "Changes in sources.", "action", "outcome")
	outbox       = desc("outbox_depth", "Messages that are to be sent.")
	leavers      = desc("leavers", "People of whom an HR system said that they leave.", "status")
	lastStart    = desc("schedule_last_start_timestamp_seconds", "When the last run of a scheduled job began.", "job")
	lastEnd      = desc("schedule_last_end_timestamp_seconds", "When the last run of a scheduled job ended.", "job")
	lastSuccess  = desc("schedule_last_success_timestamp_seconds", "When a run of a scheduled job last ended well.", "job")
	nextStart    = desc("schedule_next_start_timestamp_seconds", "When a scheduled job is due next.", "job")
	lastStatus   = desc("schedule_last_status", "How the last run of a scheduled job stands.", "job", "status")
)

func desc(name, help string, labels ...string) *prometheus.Desc {
	return prometheus.NewDesc("lapse_"+name, help, labels, nil)
}

// Describe implements [prometheus.Collector]. None is named: which there are depends on what is read.
func (m *metrics) Describe(chan<- *prometheus.Desc) {}

// scrapeTime bounds the reading for one scrape.
const scrapeTime = 20 * time.Second

// Collect implements [prometheus.Collector].
func (m *metrics) Collect(ch chan<- prometheus.Metric) {
	ctx, cancel := context.WithTimeout(context.Background(), scrapeTime)
	defer cancel()
	gauge := func(d *prometheus.Desc, v float64, labels ...string) {
		ch <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, v, labels...)
	}
	gauge(buildInfo, 1, m.s.o.Version, runtime.Version())
	g := m.s.acquire()
	defer g.inflight.Done()
	f, known, err := g.facts.get(ctx)
	ok := err == nil
	if known {
		m.facts(gauge, f)
	}
	for _, j := range g.setup.Jobs {
		slot, err := m.s.o.State.Slot(ctx, j.Name)
		if err != nil {
			ok = ok && errors.Is(err, state.ErrNotFound)
			continue
		}
		for d, t := range map[*prometheus.Desc]time.Time{lastStart: slot.Began, lastEnd: slot.Ended, lastSuccess: slot.Succeeded,
			nextStart: j.Schedule.Next(latest(m.s.o.Clock.Now(), slot.At))} {
			if !t.IsZero() {
				gauge(d, seconds(t), j.Name)
			}
		}
		for _, status := range []state.SlotStatus{state.SlotNone, state.SlotRunning, state.SlotRetry, state.SlotDone, state.SlotFailed} {
			gauge(lastStatus, truth(slot.Status == status), j.Name, string(status))
		}
	}
	gauge(readOK, truth(ok))
}

func (m *metrics) facts(gauge func(*prometheus.Desc, float64, ...string), f Facts) {
	if f.Run != nil {
		gauge(scanTime, seconds(f.Run.Time))
		gauge(scanDuration, f.Run.Took.Seconds())
		gauge(scanComplete, truth(f.Run.Complete))
	}
	for _, s := range f.Sources {
		for kind, n := range s.Records {
			gauge(records, float64(n), s.UID, kind)
		}
		if !s.AsOf.IsZero() {
			gauge(sourceAge, m.s.o.Clock.Now().Sub(s.AsOf).Seconds(), s.UID)
		}
		gauge(sourceStale, float64(s.Stale), s.UID)
	}
	for _, n := range f.Findings {
		gauge(findings, float64(n.N), n.Policy, n.Status, strconv.FormatBool(n.Backlog))
	}
	for _, n := range f.Messages {
		gauge(messages, float64(n.N), n.Kind, n.Outcome)
	}
	for _, n := range f.Changes {
		gauge(changes, float64(n.N), n.Action, n.Outcome)
	}
	gauge(outbox, float64(f.Outbox))
	for _, status := range []state.LeaverStatus{state.LeaverPending, state.LeaverUnknown, state.LeaverCarried} {
		gauge(leavers, float64(f.Leavers[status]), string(status))
	}
}

func seconds(t time.Time) float64 { return float64(t.UnixMilli()) / 1000 }

func truth(b bool) float64 {
	if b {
		return 1
	}
	return 0
}

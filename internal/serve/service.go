// Package serve is the service that runs all the time: it runs jobs when they are due, takes what comes back from people
// and from HR systems, and says how it is. What the jobs are it doesn't know.
package serve

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/lapse-audit/lapse/internal/state"
)

// Options are what a service needs beside its configuration.
type Options struct {
	State   *state.State
	Clock   Clock
	Log     *slog.Logger
	Holder  string        // names this process to other replicas
	TTL     time.Duration // of a job's lease; zero: the usual one
	Version string
	// Load reads the configuration, at the start and at each signal on Reload.
	Load   func(ctx context.Context) (*Setup, error)
	Reload <-chan os.Signal
	// Ready is told the address that is listened on.
	Ready func(net.Addr)
}

// Setup is what the configuration asks for.
type Setup struct {
	Address string
	Grace   time.Duration // that a running step has when the service stops
	Jobs    []Job
	Mounts  []Mount
	HR      *HR // nil: no webhooks
	Tasks   []Task
	Facts   func(context.Context) (Facts, error)
	// MetricsToken is the bearer token for /metrics. Without one they are served on a loopback address only.
	MetricsToken string
	// Close is called when nothing of it is in use any more.
	Close func() error
}

// Mount is a handler of requests.
type Mount struct {
	Pattern string // of http.ServeMux
	Handler http.Handler
}

// Task is what goes on beside jobs until its context ends. It is begun again when it ends before.
type Task struct {
	Name string
	Run  func(context.Context) error
}

// Service is a running service.
type Service struct {
	o        Options
	metrics  *metrics
	sched    *scheduler
	stopping atomic.Bool
	local    bool // it listens on a loopback address

	mu  sync.RWMutex
	now *generation

	retired sync.WaitGroup // generations that end
}

// generation is a configuration in force, with what runs by it.
type generation struct {
	setup    *Setup
	mux      *http.ServeMux
	facts    *reading
	end      context.CancelFunc
	loops    sync.WaitGroup
	inflight sync.WaitGroup
}

// httpGrace is how long requests may go on when the service stops.
const httpGrace = 10 * time.Second

// Run serves until ctx ends. Then it takes no more requests and begins no more steps; one that runs has its grace, and is
// interrupted after it. An error means that it could not begin, or that the address was lost.
func Run(ctx context.Context, o Options) error {
	setup, err := o.Load(ctx)
	if err != nil {
		return err
	}
	l, err := net.Listen("tcp", setup.Address)
	if err != nil {
		return errors.Join(fmt.Errorf("serve.address: %w", err), setup.close())
	}
	work, interrupt := context.WithCancel(context.WithoutCancel(ctx))
	defer interrupt()
	s := &Service{o: o, local: isLoopback(l.Addr())}
	s.metrics = newMetrics(s)
	s.sched = &scheduler{state: o.State, clock: o.Clock, holder: o.Holder, ttl: o.TTL, log: o.Log, work: work,
		count: func(a Attempt, outcome string) { s.metrics.attempts.WithLabelValues(a.Job, a.Step, outcome).Inc() }}
	if !s.local && setup.MetricsToken == "" {
		o.Log.Warn("the metrics are not served: the address is not this machine's alone, and serve.metrics_token is not set", "address", l.Addr().String())
	}
	s.begin(ctx, setup)
	server := &http.Server{Handler: s, ReadHeaderTimeout: 10 * time.Second, ReadTimeout: time.Minute, IdleTimeout: 2 * time.Minute, MaxHeaderBytes: 64 << 10,
		ErrorLog: slog.NewLogLogger(o.Log.Handler(), slog.LevelWarn)}
	ended := make(chan error, 1)
	go func() { ended <- server.Serve(l) }()
	o.Log.Info("serving", "address", l.Addr().String(), "version", o.Version)
	if o.Ready != nil {
		o.Ready(l.Addr())
	}
	for lost := false; !lost && ctx.Err() == nil; {
		select {
		case <-ctx.Done():
		case <-o.Reload:
			s.reload(ctx)
		case err = <-ended:
			lost = true
		}
	}
	return errors.Join(err, s.stop(ctx, server, interrupt))
}

func (s *Service) stop(ctx context.Context, server *http.Server, interrupt context.CancelFunc) error {
	s.stopping.Store(true)
	s.mu.RLock()
	last := s.now
	s.mu.RUnlock()
	s.o.Log.Info("stopping", "grace", last.setup.Grace.String())
	last.end()
	grace := time.AfterFunc(last.setup.Grace, func() {
		s.o.Log.Warn("the grace is over: what runs is interrupted")
		interrupt()
	})
	defer grace.Stop()
	closing, cancel := context.WithTimeout(context.WithoutCancel(ctx), httpGrace)
	defer cancel()
	err := server.Shutdown(closing)
	if err != nil {
		err = errors.Join(fmt.Errorf("requests did not end in time: %w", err), server.Close())
	}
	last.loops.Wait()
	s.retired.Wait()
	last.inflight.Wait()
	err = errors.Join(err, last.setup.close())
	s.o.Log.Info("stopped")
	return err
}

func (s *Setup) close() error {
	if s.Close == nil {
		return nil
	}
	return s.Close()
}

// begin puts a configuration in force.
func (s *Service) begin(ctx context.Context, setup *Setup) {
	ctx, end := context.WithCancel(ctx)
	g := &generation{setup: setup, mux: http.NewServeMux(), end: end, facts: &reading{head: s.o.State.Head, read: setup.Facts}}
	g.mux.HandleFunc("GET /healthz", s.alive)
	g.mux.HandleFunc("GET /readyz", s.ready)
	switch {
	case setup.MetricsToken != "":
		g.mux.Handle("GET /metrics", bearer(setup.MetricsToken, s.metrics.handler()))
	case s.local:
		g.mux.Handle("GET /metrics", s.metrics.handler())
	}
	for _, m := range setup.Mounts {
		g.mux.Handle(m.Pattern, m.Handler)
	}
	s.mu.Lock()
	old := s.now
	if setup.HR != nil {
		setup.HR.Count = func(webhook, outcome string) { s.metrics.hooks.WithLabelValues(webhook, outcome).Inc() }
		if old != nil && old.setup.HR != nil {
			setup.HR.inherit(old.setup.HR)
		}
		g.mux.Handle("/hr/{name}", setup.HR)
	}
	s.now = g
	s.mu.Unlock()
	if old != nil {
		s.retire(old)
	}
	for _, j := range setup.Jobs {
		after := j.After
		j.After = func() {
			s.forget() // of the configuration in force then
			if after != nil {
				after()
			}
		}
		s.o.Log.Info("a job is scheduled", "job", j.Name, "schedule", j.Schedule.String(), "next", j.Schedule.Next(s.o.Clock.Now()).In(j.Schedule.zone))
		g.loops.Go(func() { s.sched.keep(ctx, j) })
	}
	for _, t := range setup.Tasks {
		g.loops.Go(func() { s.keep(ctx, t) })
	}
}

// retire ends a configuration that is in force no more. A step that runs by it runs to its end; until then the job's lease
// keeps the next one waiting.
func (s *Service) retire(old *generation) {
	old.end()
	s.retired.Go(func() {
		old.loops.Wait()
		old.inflight.Wait()
		if err := old.setup.close(); err != nil {
			s.o.Log.Warn("closing what the old configuration used", "error", err)
		}
	})
}

// reload puts a new configuration in force, or says why the old one stays.
func (s *Service) reload(ctx context.Context) {
	setup, err := s.o.Load(ctx)
	if err == nil && setup.Address != s.acquireAddress() {
		s.o.Log.Warn("serve.address takes effect when the service is started again", "address", setup.Address)
	}
	if err != nil {
		s.metrics.reloads.WithLabelValues("refused").Inc()
		s.o.Log.Error("the new configuration is refused, and the old one stays in force", "error", err)
		return
	}
	s.metrics.reloads.WithLabelValues("taken").Inc()
	s.begin(ctx, setup)
	s.o.Log.Info("the new configuration is in force")
}

func (s *Service) acquireAddress() string {
	g := s.acquire()
	defer g.inflight.Done()
	return g.setup.Address
}

func (s *Service) forget() {
	g := s.acquire()
	defer g.inflight.Done()
	g.facts.forget()
}

// taskPause is before a task that ended is begun again.
const taskPause = 30 * time.Second

func (s *Service) keep(ctx context.Context, t Task) {
	for ctx.Err() == nil {
		err := t.Run(ctx)
		if ctx.Err() != nil {
			return
		}
		s.o.Log.Error("a task ended, and is begun again", "task", t.Name, "after", taskPause.String(), "error", err)
		sleep(ctx, taskPause)
	}
}

// acquire gives the configuration in force, which stays usable until its inflight is done.
func (s *Service) acquire() *generation {
	s.mu.RLock()
	defer s.mu.RUnlock()
	s.now.inflight.Add(1)
	return s.now
}

// ServeHTTP implements [http.Handler].
func (s *Service) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	g := s.acquire()
	defer g.inflight.Done()
	g.mux.ServeHTTP(w, r)
}

// bearer lets only those through who know the token.
func bearer(token string, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !sameSecret(r.Header.Get("Authorization"), "Bearer "+token) {
			w.Header().Set("WWW-Authenticate", "Bearer")
			http.Error(w, "a bearer token is needed", http.StatusUnauthorized)
			return
		}
		next.ServeHTTP(w, r)
	})
}

// sameSecret compares in a time that tells nothing of either.
func sameSecret(a, b string) bool {
	x, y := sha256.Sum256([]byte(a)), sha256.Sum256([]byte(b))
	return subtle.ConstantTimeCompare(x[:], y[:]) == 1
}

func isLoopback(a net.Addr) bool {
	tcp, ok := a.(*net.TCPAddr)
	return ok && tcp.IP.IsLoopback()
}

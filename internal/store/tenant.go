package store

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"regexp"
	"sync"
	"time"

	"github.com/lapse-audit/lapse/internal/chdb"
)

// tenant is the way to the engine of an embedded store: in this process if it got the folder's lock, else in the process
// that has it. When that one ends, the way is found anew: this process takes the folder over, or goes to whoever did.
type tenant struct {
	s           *Store
	o           Options
	connections int

	mu  sync.Mutex
	way http.RoundTripper
}

// RoundTrip sends a request on. One that found nobody is sent again on the new way, and so is one that only reads. Any
// other that was cut off is not, because its statement may have run.
func (t *tenant) RoundTrip(req *http.Request) (*http.Response, error) {
	way := t.current()
	res, err := way.RoundTrip(req)
	if err == nil || req.Context().Err() != nil || !unreachable(err) {
		return res, err
	}
	if _, own := way.(*chdb.Engine); own {
		return nil, err
	}
	if found := t.renew(req.Context(), way); found != nil {
		return nil, errors.Join(err, found)
	}
	again, ok := repeat(req, err)
	if !ok {
		return nil, err
	}
	return t.current().RoundTrip(again)
}

func (t *tenant) current() http.RoundTripper {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.way
}

// reads is how a statement begins that changes nothing.
var reads = regexp.MustCompile(`(?i)^\s*(SELECT|WITH)\b`)

// repeat copies a request that may be sent again after err.
func repeat(req *http.Request, err error) (*http.Request, bool) {
	if req.GetBody == nil {
		return nil, false
	}
	body, bodyErr := req.GetBody()
	if bodyErr != nil {
		return nil, false
	}
	var dial *net.OpError
	if !errors.As(err, &dial) || dial.Op != "dial" {
		text, readErr := io.ReadAll(body)
		if readErr != nil || !reads.Match(text) || req.URL.Query().Has("query") {
			return nil, false
		}
		body = io.NopCloser(bytes.NewReader(text))
	}
	again := req.Clone(req.Context())
	again.Body = body
	return again, true
}

// renew finds a new way, unless another request has found one since.
func (t *tenant) renew(ctx context.Context, gone http.RoundTripper) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.way != gone {
		return nil
	}
	return t.findLocked(ctx, 0)
}

func (t *tenant) find(ctx context.Context, own time.Duration) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.findLocked(ctx, own)
}

// findLocked opens the folder, or finds the socket of the process that has it, once own is over. A process that starts
// or ends meanwhile is waited for.
func (t *tenant) findLocked(ctx context.Context, own time.Duration) error {
	ctx, cancel := context.WithTimeoutCause(ctx, holderWait+own, nil)
	defer cancel()
	begun := time.Now()
	for {
		engine, err := chdb.Open(ctx, chdb.Options{Dir: t.s.where.dir, Library: t.o.Library, MaxMemory: t.o.MaxMemory,
			Threads: t.o.Threads, Connections: t.connections})
		if err == nil {
			t.s.hold(engine)
			t.way = engine
			return nil
		}
		var locked *chdb.LockedError
		if !errors.As(err, &locked) {
			return err
		}
		if locked.Socket != "" && time.Since(begun) >= own {
			way := chdb.SocketTransport(locked.Socket)
			if pingErr := ping(ctx, chdb.ClientOptions(way)); pingErr == nil {
				t.s.mu.Lock()
				t.s.holder = HolderOther
				t.s.mu.Unlock()
				t.way = way
				return nil
			} else if !unreachable(pingErr) {
				return pingErr
			}
		}
		select {
		case <-ctx.Done():
			return &UnavailableError{t.s.where.String(), err}
		case <-time.After(holderPoll):
		}
	}
}

// hold makes this process the one that serves the folder.
func (s *Store) hold(engine *chdb.Engine) {
	ctx, stop := context.WithCancel(context.Background())
	served := make(chan struct{})
	s.mu.Lock()
	s.engine, s.holder, s.stop, s.served = engine, HolderSelf, stop, served
	s.mu.Unlock()
	go func() {
		defer close(served)
		// The store works without its socket; only other processes can't read it.
		if err := engine.Serve(ctx, ""); err != nil {
			s.logger.Error("store is not served to other processes", "store", s.where.String(), "error", err)
		}
	}()
}

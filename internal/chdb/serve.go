package chdb

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2"
)

// SocketName is the usual name of the socket in an engine's folder.
const SocketName = "lapse.sock"

// maxSocketPath is the length that every supported system's sockaddr_un holds with its final zero.
const maxSocketPath = 103

// shutdownGrace is how long running requests of other processes may go on after the server was told to end.
const shutdownGrace = 3 * time.Second

// Serve lets clickhouse-go in other processes of the same user use the engine, through a unix socket at path (mode
// 0600), until ctx ends or the engine closes; it then returns nil. Empty means SocketName in the engine's folder. A
// path that is too long for a socket is replaced by one in the temporary folder. LockedError.Socket has the path.
func (e *Engine) Serve(ctx context.Context, path string) error {
	if err := e.enter(); err != nil {
		return err
	}
	defer e.servers.Done()
	if path == "" {
		path = filepath.Join(e.dir, SocketName)
	}
	path, err := filepath.Abs(path)
	if err != nil {
		return fmt.Errorf("serve embedded store %s: %w", e.dir, err)
	}
	l, err := listen(path)
	if err != nil {
		return fmt.Errorf("serve embedded store %s: %w", e.dir, err)
	}
	if err := e.serve(ctx, l); err != nil {
		return fmt.Errorf("serve embedded store %s on %s: %w", e.dir, l.Addr(), err)
	}
	return nil
}

// enter counts a server in, unless the engine is closing.
func (e *Engine) enter() error {
	e.serverMu.Lock()
	defer e.serverMu.Unlock()
	if e.life.Err() != nil {
		return ErrClosed
	}
	e.servers.Add(1)
	return nil
}

func (e *Engine) serve(ctx context.Context, l *listener) error {
	var unused sync.Map // connections that no request came on; Shutdown would wait for one
	srv := &http.Server{Handler: e.Handler(), ReadHeaderTimeout: 10 * time.Second, ConnState: func(c net.Conn, s http.ConnState) {
		if s == http.StateNew {
			unused.Store(c, nil)
		} else {
			unused.Delete(c)
		}
	}}
	var failed error
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		failed = srv.Serve(l)
	}()
	err := e.lock.record(l.Addr().String())
	if err == nil {
		select {
		case <-ended:
			err = failed
		case <-ctx.Done():
		case <-e.life.Done():
		}
	}
	err = errors.Join(err, e.lock.record(""))
	l.Close() // removes the socket; closed already if serving failed
	<-ended
	unused.Range(func(c, _ any) bool {
		c.(net.Conn).Close()
		return true
	})
	grace, cancel := context.WithTimeout(context.WithoutCancel(ctx), shutdownGrace)
	defer cancel()
	if srv.Shutdown(grace) != nil {
		err = errors.Join(err, srv.Close())
	}
	return errors.Join(err, l.clean())
}

type listener struct {
	net.Listener
	temporary string // folder made for the socket
}

func (l *listener) clean() error {
	if l.temporary == "" {
		return nil
	}
	return os.RemoveAll(l.temporary)
}

// listen makes the socket. One that is there already is a dead owner's: the caller holds the lock.
func listen(path string) (*listener, error) {
	out := &listener{}
	if len(path) > maxSocketPath {
		dir, err := os.MkdirTemp("", "lapse-")
		if err != nil {
			return nil, err
		}
		out.temporary, path = dir, filepath.Join(dir, SocketName)
	}
	info, err := os.Lstat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
	case err != nil:
		return nil, err
	case info.Mode().Type() != fs.ModeSocket:
		return nil, fmt.Errorf("%s exists and is not a socket", path)
	default:
		if err := os.Remove(path); err != nil {
			return nil, err
		}
	}
	if out.Listener, err = net.Listen("unix", path); err != nil {
		return nil, errors.Join(err, out.clean())
	}
	if err := os.Chmod(path, 0o600); err != nil {
		return nil, errors.Join(err, out.Close(), out.clean())
	}
	return out, nil
}

// Handler serves the engine over HTTP to clickhouse-go. It asks for no password: put it where only its user can reach it.
func (e *Engine) Handler() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodPost {
			http.Error(w, "only POST is served here", http.StatusMethodNotAllowed)
			return
		}
		in := r.WithContext(r.Context())
		in.Body = io.NopCloser(r.Body) // closing the server's would take the end of an unread body away from below
		res, err := e.RoundTrip(in)
		if r.Context().Err() != nil {
			if err == nil {
				res.Body.Close()
			}
			panic(http.ErrAbortHandler)
		}
		if err != nil || res.StatusCode != http.StatusOK {
			// The client reads the answer only after all its data was taken.
			_, _ = io.Copy(io.Discard, r.Body)
		}
		if err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
		defer res.Body.Close()
		send(w, res)
	})
}

func send(w http.ResponseWriter, res *http.Response) {
	tag := rand.Text()[:16]
	for name, v := range res.Header {
		w.Header()[name] = v
	}
	w.Header().Set("Content-Type", "application/octet-stream")
	if res.ContentLength >= 0 {
		w.Header().Set("Content-Length", strconv.FormatInt(res.ContentLength, 10))
	} else {
		w.Header().Set("X-ClickHouse-Exception-Tag", tag)
	}
	w.WriteHeader(res.StatusCode)

	flush := http.NewResponseController(w).Flush
	buf := make([]byte, 256<<10)
	for {
		n, err := res.Body.Read(buf)
		if n > 0 {
			if _, err := w.Write(buf[:n]); err != nil {
				panic(http.ErrAbortHandler)
			}
			if err := flush(); err != nil {
				panic(http.ErrAbortHandler)
			}
		}
		if err == io.EOF {
			return
		}
		if err != nil {
			var exception *clickhouse.Exception
			if errors.As(err, &exception) {
				if _, err := io.WriteString(w, exceptionFrame(exception, tag)); err == nil {
					_ = flush()
				}
			}
			// The missing last chunk makes the client's reader fail. An orderly end, even after the frame, can pass for
			// the end of the result in the driver.
			panic(http.ErrAbortHandler)
		}
	}
}

// SocketOptions connects clickhouse-go to the engine that serves on a unix socket. The caller may add a database and
// settings.
func SocketOptions(path string) *clickhouse.Options {
	return ClientOptions(SocketTransport(path))
}

// SocketTransport reaches the engine that serves on a unix socket.
func SocketTransport(path string) http.RoundTripper {
	return &http.Transport{
		MaxIdleConnsPerHost: defaultConnections,
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			d := net.Dialer{Timeout: dialTimeout}
			return d.DialContext(ctx, "unix", path)
		},
	}
}

const dialTimeout = 30 * time.Second

// ClientOptions connects clickhouse-go to an engine by way of a RoundTripper: an Engine, or a SocketTransport. The
// caller may add a database and settings.
func ClientOptions(way http.RoundTripper) *clickhouse.Options {
	return &clickhouse.Options{
		TransportFunc: func(*http.Transport) (http.RoundTripper, error) { return way, nil },
		Protocol:      clickhouse.HTTP,
		Addr:          []string{"localhost:0"}, // a name that no proxy setting applies to
		MaxOpenConns:  defaultConnections,
		MaxIdleConns:  defaultConnections,
		DialTimeout:   dialTimeout,
		ReadTimeout:   7 * 24 * time.Hour, // the longest wait for a statement's first row; contexts end statements earlier
	}
}

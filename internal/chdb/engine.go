package chdb

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2"
)

// process is what libchdb has once a process: the mapped library, and the folder that its engine is open on.
var process struct {
	sync.Mutex
	lib *library
	dir string // empty: no engine
}

// Engine is an open folder. It is safe for concurrent use.
type Engine struct {
	dir   string
	lib   *library
	args  []string
	lock  *lockFile
	hello []byte
	slots chan struct{} // one a running statement
	tags  atomic.Uint64

	life     context.Context // ends when Close begins
	end      context.CancelFunc
	serverMu sync.Mutex
	servers  sync.WaitGroup
	closed   sync.Once

	adminMu sync.Mutex
	admin   *conn // kills statements; being open, it also keeps the engine running between requests
}

// Open takes the folder's lock and starts the engine on it. The error is a *LockedError if another engine holds the
// folder. libchdb opens one folder at a time in a process; after Close the same or another folder may follow.
func Open(ctx context.Context, o Options) (*Engine, error) {
	e, err := open(ctx, o)
	if err != nil {
		return nil, fmt.Errorf("open embedded store %s: %w", o.Dir, err)
	}
	return e, nil
}

func open(ctx context.Context, o Options) (_ *Engine, err error) {
	if err := unavailable(); err != nil {
		return nil, err
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	dir, err := makeFolder(o.Dir)
	if err != nil {
		return nil, err
	}

	process.Lock()
	defer process.Unlock()
	l, err := lock(dir)
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, l.release())
		}
	}()
	if process.dir != "" {
		return nil, fmt.Errorf("%s is open in this process, and libchdb opens one folder at a time", process.dir)
	}
	lib, err := mapped(o.Library)
	if err != nil {
		return nil, err
	}

	if o.Connections <= 0 {
		o.Connections = defaultConnections
	}
	e := &Engine{dir: dir, lib: lib, lock: l, args: arguments(dir, o), slots: make(chan struct{}, o.Connections)}
	if e.admin, err = lib.dial(e.args...); err != nil {
		return nil, err
	}
	if e.hello, err = hello(e.admin); err != nil {
		e.admin.close()
		return nil, err
	}
	e.life, e.end = context.WithCancel(context.Background())
	process.dir = dir
	return e, nil
}

func makeFolder(path string) (string, error) {
	if path == "" {
		return "", errors.New("no folder given")
	}
	dir, err := filepath.Abs(path)
	if err != nil {
		return "", err
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return "", err
	}
	return filepath.EvalSymlinks(dir)
}

// mapped returns the process's library. The first call chooses it.
func mapped(path string) (*library, error) {
	if process.lib != nil && (path == "" || path == process.lib.path) {
		return process.lib, nil
	}
	path, err := Find(path)
	if err != nil {
		return nil, err
	}
	if process.lib != nil {
		if path != process.lib.path {
			return nil, fmt.Errorf("%s is loaded in this process already, so %s cannot be", process.lib.path, path)
		}
		return process.lib, nil
	}
	lib, err := load(path)
	if err != nil {
		return nil, err
	}
	lib.signals(0) // before the first connection: its handlers would swallow Go's panics and Ctrl-C
	process.lib = lib
	return lib, nil
}

func arguments(dir string, o Options) []string {
	args := []string{
		"--path=" + dir, // absolute: fsync of a relative path fails with code 107
		"--session_timezone=UTC",
		"--logger.console=false",                    // on a terminal it would write there, where a command draws
		"--backups.allowed_path=/",                  // BACKUP may go to any folder that this process may write
		"--mark_cache_size=" + strconv.Itoa(64<<20), // the default is 5 GiB
	}
	if o.MaxMemory > 0 {
		args = append(args, "--max_server_memory_usage="+strconv.FormatInt(o.MaxMemory, 10))
	}
	if o.Config != "" {
		args = append(args, "--config-file="+o.Config)
	}
	if o.Threads > 0 {
		args = append(args, "--max_threads="+strconv.Itoa(o.Threads))
	}
	return args
}

// Dir is the folder's absolute path.
func (e *Engine) Dir() string { return e.dir }

// LibraryVersion is the version that libchdb gives itself, such as 26.7.3.
func (e *Engine) LibraryVersion() string { return e.lib.version() }

// ClientOptions connects clickhouse-go to the engine. The caller may add a database and settings.
func (e *Engine) ClientOptions() *clickhouse.Options {
	o := ClientOptions(e)
	o.MaxOpenConns, o.MaxIdleConns = cap(e.slots), cap(e.slots)
	return o
}

// Transport is a clickhouse.Options.TransportFunc.
func (e *Engine) Transport(*http.Transport) (http.RoundTripper, error) { return e, nil }

// Close stops what is running, waits for it to end, and gives the folder up. It may be called twice.
func (e *Engine) Close() error {
	var err error
	e.closed.Do(func() {
		e.serverMu.Lock()
		e.end()
		e.serverMu.Unlock()
		e.servers.Wait()
		for range cap(e.slots) {
			e.slots <- struct{}{}
		}
		e.adminMu.Lock()
		defer e.adminMu.Unlock()
		e.admin.close()
		process.Lock()
		defer process.Unlock()
		process.dir = ""
		if err = e.lock.release(); err != nil {
			err = fmt.Errorf("close embedded store %s: %w", e.dir, err)
		}
	})
	return err
}

// session is one request's connection. Opening one takes about 0.15 ms, and nothing of one request can reach the next.
type session struct {
	*conn
	e   *Engine
	tag string
}

// slotWait is how long a statement waits for one of Options.Connections. Nested queries can use all of them up and
// wait for each other: an error then beats silence.
const slotWait = time.Minute

func (e *Engine) session(ctx context.Context) (*session, error) {
	full := time.NewTimer(slotWait)
	defer full.Stop()
	select {
	case e.slots <- struct{}{}:
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	case <-full.C:
		return nil, &clickhouse.Exception{Code: 202, Name: "DB::Exception", CodeName: "TOO_MANY_SIMULTANEOUS_QUERIES",
			Message: fmt.Sprintf("all %d connections of the embedded store were busy for %s", cap(e.slots), slotWait)}
	}
	if ctx.Err() != nil {
		<-e.slots
		return nil, context.Cause(ctx)
	}
	tag := "lapse-" + strconv.FormatUint(e.tags.Add(1), 10)
	c, err := e.lib.dial(append(e.args[:len(e.args):len(e.args)], "--log_comment="+tag)...)
	if err != nil {
		<-e.slots
		return nil, err
	}
	return &session{conn: c, e: e, tag: tag}, nil
}

func (s *session) close() {
	s.conn.close()
	<-s.e.slots
}

const killInterval = 20 * time.Millisecond

// killOn kills the session's statement once ctx ends. stop must be called when the statement has returned; no kill
// comes after it.
func (s *session) killOn(ctx context.Context) (stop func()) {
	done, idle := make(chan struct{}), make(chan struct{})
	cancelled := context.AfterFunc(ctx, func() {
		defer close(idle)
		for { // again and again: a kill may come before the statement is in the list of processes
			s.e.kill(s.tag)
			select {
			case <-done:
				return
			case <-time.After(killInterval):
			}
		}
	})
	return func() {
		if !cancelled() {
			close(done)
			<-idle
		}
	}
}

func (e *Engine) kill(tag string) {
	e.adminMu.Lock()
	defer e.adminMu.Unlock()
	// An error is answered by the next attempt: the statement is either there still or gone.
	_, _ = e.admin.query("KILL QUERY WHERE Settings['log_comment'] = {tag:String} ASYNC", "Null", map[string]string{"tag": tag})
}

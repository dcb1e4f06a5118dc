package chdb

import (
	"context"
	"io"
	"io/fs"
	"sync"
)

// rows is the body of a streamed result. It takes from the engine as it is read: a slow reader slows the query down,
// and memory stays flat. The end of its context frees all, also when nobody reads on or closes it.
type rows struct {
	mu     sync.Mutex
	stream *stream
	ctx    context.Context
	cancel func() // ends ctx, which kills the query if it still runs
	unhook func() bool
	free   func()
	err    error // not nil: over, and all is freed
}

// open starts a query and waits for its first rows: what fails until then is answered with a status.
func (s *session) open(st *statement) (*rows, error) {
	in, err := s.stream(st.sql, st.format, st.params)
	if err != nil {
		return nil, err
	}
	if err := in.next(); err != nil && err != io.EOF {
		in.close()
		return nil, err
	}
	return &rows{stream: in}, nil
}

// start hands the rows over to their reader. When they are over, free and then cancel are called.
func (r *rows) start(ctx context.Context, cancel, free func()) {
	r.mu.Lock() // ctx may end at once
	defer r.mu.Unlock()
	r.ctx, r.cancel, r.free = ctx, cancel, free
	r.unhook = context.AfterFunc(ctx, r.abandon)
}

func (r *rows) Read(p []byte) (int, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.err != nil {
		return 0, r.err
	}
	for len(r.stream.rest) == 0 {
		if err := r.stream.next(); err != nil {
			if r.ctx.Err() != nil {
				err = reason(r.ctx)
			}
			r.finish(err)
			return 0, err
		}
	}
	n := copy(p, r.stream.rest)
	r.stream.rest = r.stream.rest[n:]
	return n, nil
}

// Close frees the rows, stopping a query that has more of them.
func (r *rows) Close() error {
	r.cancel() // before the lock: it ends a Read that waits for the engine
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.err == nil {
		r.finish(fs.ErrClosed)
	}
	return nil
}

func (r *rows) abandon() {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.err == nil {
		r.finish(reason(r.ctx))
	}
}

func (r *rows) finish(err error) {
	r.err = err
	r.unhook()
	r.stream.close()
	r.free()
	r.cancel()
}

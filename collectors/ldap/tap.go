package ldap

import (
	"errors"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"time"
)

// tap lets the library read from a connection while it binds, and nobody but us afterwards. The library reads all the
// time, also when nothing was asked for: take wakes it up and never lets it read again.
type tap struct {
	net.Conn
	taken  atomic.Bool
	parked chan struct{}
	closed chan struct{}
	once   sync.Once
}

func newTap(conn net.Conn) *tap {
	return &tap{Conn: conn, parked: make(chan struct{}, 1), closed: make(chan struct{})}
}

// Read implements net.Conn, for the library.
func (t *tap) Read(b []byte) (int, error) {
	n, err := t.Conn.Read(b)
	if n == 0 && t.taken.Load() {
		t.parked <- struct{}{}
		<-t.closed
		return 0, io.EOF
	}
	return n, err
}

// take returns the connection once the library no longer reads from it.
func (t *tap) take() (net.Conn, error) {
	t.taken.Store(true)
	if err := t.SetReadDeadline(time.Unix(1, 0)); err != nil {
		return nil, err
	}
	select {
	case <-t.parked:
		return t.Conn, t.SetReadDeadline(time.Time{})
	case <-t.closed:
		return nil, errors.New("the server closed the connection")
	}
}

// Close implements net.Conn.
func (t *tap) Close() error {
	err := net.ErrClosed
	t.once.Do(func() {
		close(t.closed)
		err = t.Conn.Close()
	})
	return err
}

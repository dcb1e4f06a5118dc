package chdb

import (
	"errors"
	"fmt"
	"io"
	"runtime"
	"unsafe"
)

// library is the part of libchdb's C API that the engine uses. Handles are opaque and travel as uintptr; the memory
// behind them belongs to the library.
type library struct {
	path string

	version func() string
	signals func(enabled int32)

	connect func(argc int32, argv unsafe.Pointer) *uintptr
	close   func(conn *uintptr)

	query  callFunc
	stream callFunc
	fetch  func(conn, result uintptr) uintptr
	cancel func(conn, result uintptr)

	resultBuffer  func(result uintptr) unsafe.Pointer
	resultLength  func(result uintptr) uintptr
	resultError   func(result uintptr) string
	destroyResult func(result uintptr)

	insert        callFunc
	insertAppend  func(insert uintptr, data unsafe.Pointer, n uintptr) int32
	insertDone    func(insert uintptr) uintptr
	insertCancel  func(insert uintptr)
	insertError   func(insert uintptr) string
	destroyInsert func(insert uintptr)
}

// callFunc is the shape that chdb_query_with_params_n, chdb_stream_query_with_params_n and
// chdb_stream_insert_with_params_n share.
type callFunc func(conn uintptr, sql unsafe.Pointer, sqlLen uintptr, format unsafe.Pointer, formatLen uintptr,
	names, nameLens, values, valueLens unsafe.Pointer, n uintptr) uintptr

// symbols names what is bound; the order is that of the fields.
func (l *library) symbols() []symbol {
	return []symbol{
		{"chdb_version", &l.version},
		{"chdb_set_signal_handlers_enabled", &l.signals},
		{"chdb_connect", &l.connect},
		{"chdb_close_conn", &l.close},
		{"chdb_query_with_params_n", &l.query},
		{"chdb_stream_query_with_params_n", &l.stream},
		{"chdb_stream_fetch_result", &l.fetch},
		{"chdb_stream_cancel_query", &l.cancel},
		{"chdb_result_buffer", &l.resultBuffer},
		{"chdb_result_length", &l.resultLength},
		{"chdb_result_error", &l.resultError},
		{"chdb_destroy_query_result", &l.destroyResult},
		{"chdb_stream_insert_with_params_n", &l.insert},
		{"chdb_stream_append", &l.insertAppend},
		{"chdb_stream_done", &l.insertDone},
		{"chdb_stream_cancel_insert", &l.insertCancel},
		{"chdb_stream_insert_error", &l.insertError},
		{"chdb_destroy_insert_stream", &l.destroyInsert},
	}
}

type symbol struct {
	name string
	fn   any // pointer to the field
}

// conn is one connection to the engine: one session, one statement at a time.
type conn struct {
	lib    *library
	handle *uintptr // what connect returned and close takes
}

// dial opens a connection. The first one of a process starts the engine; later ones must name the same folder.
func (l *library) dial(args ...string) (*conn, error) {
	var pin runtime.Pinner
	defer pin.Unpin()
	argv := make([]unsafe.Pointer, 0, len(args)+2)
	for _, a := range append([]string{"clickhouse"}, args...) {
		b := append([]byte(a), 0)
		pin.Pin(&b[0])
		argv = append(argv, unsafe.Pointer(&b[0]))
	}
	argv = append(argv, nil)
	pin.Pin(&argv[0])
	h := l.connect(int32(len(argv)-1), unsafe.Pointer(&argv[0]))
	if h == nil {
		return nil, errors.New("libchdb refused the connection; its reason is on standard error")
	}
	return &conn{lib: l, handle: h}, nil
}

func (c *conn) close() {
	if c.handle != nil {
		c.lib.close(c.handle)
		c.handle = nil
	}
}

// call pins the arguments for the time of one C call.
func (c *conn) call(fn callFunc, sql, format string, params map[string]string) uintptr {
	var pin runtime.Pinner
	defer pin.Unpin()
	text := func(s string) unsafe.Pointer {
		b := append([]byte(s), 0)
		pin.Pin(&b[0])
		return unsafe.Pointer(&b[0])
	}
	var names, values []unsafe.Pointer
	var nameLens, valueLens []uintptr
	for k, v := range params {
		names, nameLens = append(names, text(k)), append(nameLens, uintptr(len(k)))
		values, valueLens = append(values, text(v)), append(valueLens, uintptr(len(v)))
	}
	var a, b, d, e unsafe.Pointer
	if len(params) > 0 {
		pin.Pin(&names[0])
		pin.Pin(&nameLens[0])
		pin.Pin(&values[0])
		pin.Pin(&valueLens[0])
		a, b = unsafe.Pointer(&names[0]), unsafe.Pointer(&nameLens[0])
		d, e = unsafe.Pointer(&values[0]), unsafe.Pointer(&valueLens[0])
	}
	return fn(*c.handle, text(sql), uintptr(len(sql)), text(format), uintptr(len(format)), a, b, d, e, uintptr(len(params)))
}

// query runs one statement to its end and returns its whole result.
func (c *conn) query(sql, format string, params map[string]string) ([]byte, error) {
	r := c.call(c.lib.query, sql, format, params)
	if err := c.lib.failed(r); err != nil {
		return nil, err
	}
	defer c.lib.destroyResult(r)
	return append([]byte(nil), c.lib.bytes(r)...), nil
}

// failed returns the error that a result carries, and frees such a result.
func (l *library) failed(result uintptr) error {
	if result == 0 {
		return errors.New("libchdb returned no result")
	}
	if msg := l.resultError(result); msg != "" {
		l.destroyResult(result)
		return parseException(msg)
	}
	return nil
}

// bytes is a view of the library's memory, valid until the result is destroyed.
func (l *library) bytes(result uintptr) []byte {
	n := l.resultLength(result)
	if n == 0 {
		return nil
	}
	return unsafe.Slice((*byte)(l.resultBuffer(result)), n)
}

// stream is a SELECT that is read chunk by chunk. It occupies its connection until closed.
type stream struct {
	c      *conn
	handle uintptr
	ended  bool
	chunk  uintptr // the result whose memory rest is
	rest   []byte  // what of it is not read yet; valid until next or close
}

func (c *conn) stream(sql, format string, params map[string]string) (*stream, error) {
	r := c.call(c.lib.stream, sql, format, params)
	if err := c.lib.failed(r); err != nil {
		return nil, err
	}
	return &stream{c: c, handle: r}, nil
}

// next makes rest the next chunk, or returns io.EOF after the last one.
func (s *stream) next() error {
	s.drop()
	if s.ended {
		return io.EOF
	}
	lib := s.c.lib
	r := lib.fetch(*s.c.handle, s.handle)
	if err := lib.failed(r); err != nil {
		return err
	}
	s.chunk, s.rest = r, lib.bytes(r)
	if len(s.rest) == 0 {
		s.ended = true
		return io.EOF
	}
	return nil
}

func (s *stream) drop() {
	if s.chunk != 0 {
		s.c.lib.destroyResult(s.chunk)
		s.chunk, s.rest = 0, nil
	}
}

// close frees the stream. One that has not ended is cancelled first, or the connection stays busy.
func (s *stream) close() {
	s.drop()
	if !s.ended {
		s.c.lib.cancel(*s.c.handle, s.handle)
	}
	s.c.lib.destroyResult(s.handle)
}

// insertion is an INSERT whose data is appended piece by piece. It occupies its connection until done or cancelled.
type insertion struct {
	lib    *library
	handle uintptr
}

func (c *conn) insert(sql, format string, params map[string]string) (*insertion, error) {
	h := c.call(c.lib.insert, sql, format, params)
	if h == 0 {
		return nil, errors.New("libchdb returned no insert stream")
	}
	if msg := c.lib.insertError(h); msg != "" {
		c.lib.destroyInsert(h)
		return nil, parseException(msg)
	}
	return &insertion{lib: c.lib, handle: h}, nil
}

// append copies b into the engine. It blocks while the engine is behind.
func (i *insertion) append(b []byte) error {
	if len(b) == 0 {
		return nil
	}
	var pin runtime.Pinner
	defer pin.Unpin()
	pin.Pin(&b[0])
	if rc := i.lib.insertAppend(i.handle, unsafe.Pointer(&b[0]), uintptr(len(b))); rc != 0 {
		if msg := i.lib.insertError(i.handle); msg != "" {
			return parseException(msg)
		}
		return fmt.Errorf("libchdb refused the data (%d)", rc)
	}
	return nil
}

// done commits the data and frees the insertion.
func (i *insertion) done() error {
	defer i.lib.destroyInsert(i.handle)
	r := i.lib.insertDone(i.handle)
	if err := i.lib.failed(r); err != nil {
		return err
	}
	i.lib.destroyResult(r)
	return nil
}

// abort drops the data that is not yet committed and frees the insertion.
func (i *insertion) abort() {
	i.lib.insertCancel(i.handle)
	i.lib.destroyInsert(i.handle)
}

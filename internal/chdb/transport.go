package chdb

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"

	"github.com/ClickHouse/clickhouse-go/v2"
)

// RoundTrip runs one statement the way ClickHouse's HTTP interface does, as far as clickhouse-go uses it. A statement
// that fails before its first rows is answered with status 500 and the exception; one that fails later fails the
// reading of the body, never shortens it.
func (e *Engine) RoundTrip(req *http.Request) (*http.Response, error) {
	if req.Body == nil {
		req = req.WithContext(req.Context())
		req.Body = http.NoBody
	}
	defer req.Body.Close() // or the driver's writing side waits for ever

	ctx, cancel := context.WithCancelCause(req.Context())
	unhook := context.AfterFunc(e.life, func() { cancel(ErrClosed) })
	release := func() { unhook(); cancel(nil) }

	res, err := e.answer(ctx, release, req)
	if err == nil {
		return res, nil // the body calls release
	}
	defer release()
	if ctx.Err() != nil {
		return nil, reason(ctx)
	}
	var exception *clickhouse.Exception
	if errors.As(err, &exception) {
		return failure(req, exception), nil
	}
	return nil, err
}

// reason tells the caller's cancellation from the engine's closing.
func reason(ctx context.Context) error {
	if err := context.Cause(ctx); errors.Is(err, ErrClosed) {
		return err
	}
	return ctx.Err()
}

func (e *Engine) answer(ctx context.Context, release func(), req *http.Request) (*http.Response, error) {
	if ctx.Err() != nil {
		return nil, reason(ctx)
	}
	st, err := parse(req)
	if err != nil {
		return nil, err
	}
	if st.sql == helloQuery {
		release()
		return success(req, io.NopCloser(bytes.NewReader(e.hello)), int64(len(e.hello))), nil
	}

	s, err := e.session(ctx)
	if err != nil {
		return nil, err
	}
	stop := s.killOn(ctx)
	if err := s.prepare(st); err != nil {
		stop()
		s.close()
		return nil, err
	}
	if st.streams() {
		body, err := s.open(st)
		if err == nil {
			body.start(ctx, release, func() {
				stop()
				s.close()
			})
			return success(req, body, -1), nil
		}
		if !notStreamable(err) {
			stop()
			s.close()
			return nil, err
		}
	}
	result, err := s.execute(ctx, st)
	stop()
	s.close()
	if err != nil {
		return nil, err
	}
	release()
	return success(req, io.NopCloser(bytes.NewReader(result)), int64(len(result))), nil
}

// prepare gives the session its database and settings.
func (s *session) prepare(st *statement) error {
	if st.database != "" {
		if _, err := s.query("USE "+quoteName(st.database), "Null", nil); err != nil {
			return err
		}
	}
	if len(st.settings) > 0 {
		if _, err := s.query("SET "+strings.Join(st.settings, ", "), "Null", nil); err != nil {
			return err
		}
	}
	return nil
}

func (s *session) execute(ctx context.Context, st *statement) ([]byte, error) {
	if st.data == nil {
		return s.query(st.sql, st.format, st.params)
	}
	return nil, s.load(ctx, st)
}

const insertChunk = 1 << 20

// load appends the request's data to an INSERT. Data that ends too early is not committed: a part of a batch must
// not pass for the whole.
func (s *session) load(ctx context.Context, st *statement) error {
	in, err := s.insert(st.sql, st.format, st.params)
	if err != nil {
		return err
	}
	buf, total := make([]byte, insertChunk), 0
	for {
		n, err := fill(st.data, buf)
		if n > 0 {
			total += n
			if err := in.append(buf[:n]); err != nil {
				in.abort()
				return err
			}
		}
		if ctx.Err() != nil {
			in.abort()
			return reason(ctx)
		}
		if err == io.EOF {
			break
		}
		if err != nil {
			in.abort()
			return fmt.Errorf("read the data to insert: %w", err)
		}
	}
	if total == 0 { // the driver's own encoding errors look like this
		in.abort()
		return &clickhouse.Exception{Code: 108, Name: "DB::Exception", CodeName: "NO_DATA_TO_INSERT",
			Message: "the insert carried no data; are all columns of the batch equally long?"}
	}
	return in.done()
}

// fill reads until buf is full. Other than io.ReadFull it keeps io.EOF, a whole body's end, apart from
// io.ErrUnexpectedEOF, which a broken connection gives.
func fill(r io.Reader, buf []byte) (n int, err error) {
	for n < len(buf) && err == nil {
		var m int
		m, err = r.Read(buf[n:])
		n += m
	}
	return n, err
}

func success(req *http.Request, body io.ReadCloser, length int64) *http.Response {
	return &http.Response{Status: "200 OK", StatusCode: http.StatusOK, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Header: http.Header{}, Body: body, ContentLength: length, Request: req}
}

func failure(req *http.Request, e *clickhouse.Exception) *http.Response {
	text := exceptionText(e)
	res := success(req, io.NopCloser(strings.NewReader(text)), int64(len(text)))
	res.Status, res.StatusCode = "500 Internal Server Error", http.StatusInternalServerError
	if e.Code != 0 {
		res.Header.Set("X-ClickHouse-Exception-Code", fmt.Sprint(e.Code))
	}
	return res
}

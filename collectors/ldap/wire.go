package ldap

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"net"
	"time"

	ber "github.com/go-asn1-ber/asn1-ber"
	"github.com/go-ldap/ldap/v3"
)

// wire searches over a connection that is bound. The library decodes each value of an entry into a tree of packets, which
// is most of what reading costs (BenchmarkRead); here an entry is decoded in one pass from one buffer. A request is sent
// and its answers are read before the next: there is one goroutine and nothing in flight but what was asked for.
type wire struct {
	conn    net.Conn
	in      *bufio.Reader
	body    bytes.Buffer
	id      int64
	names   map[string]string // attribute descriptions, kept once
	timeout time.Duration
	spent   bool // answers that nobody asked for may come: only closing is left
	changes int  // requests for a change that were begun to be sent
}

// maxMessage is the longest message that is believed. A group with a million members is 100 MB.
const maxMessage = 1 << 30

func newWire(conn net.Conn, timeout time.Duration) *wire {
	// The library numbered its own requests from 1.
	return &wire{conn: conn, in: bufio.NewReaderSize(conn, 1<<16), id: 1 << 20, names: map[string]string{}, timeout: timeout}
}

// cut is a connection that broke, or a server that went silent: another connection may do better.
type cut struct{ error }

func (c *cut) Unwrap() error { return c.error }

// search sends a request and yields its entries as they come. An error is the last that is yielded; without one the server
// said that these were all, and done has its controls. Referrals are counted and not followed: they lead to servers that
// nobody configured.
func (w *wire) search(ctx context.Context, req *ldap.SearchRequest, done *answer) iter.Seq2[*ldap.Entry, error] {
	return func(yield func(*ldap.Entry, error) bool) {
		stop := context.AfterFunc(ctx, func() { w.conn.Close() })
		defer stop()
		fail := func(err error) {
			if ctx.Err() != nil {
				err = context.Cause(ctx)
			}
			yield(nil, err)
		}
		if w.spent {
			fail(&cut{errors.New("an earlier answer was not read to its end")})
			return
		}
		w.spent = true
		w.id++
		packet, err := encodeSearch(w.id, req)
		if err != nil {
			fail(err)
			return
		}
		if err := w.write(packet.Bytes()); err != nil {
			fail(&cut{err})
			return
		}
		for {
			m, err := w.read()
			if err != nil {
				fail(err)
				return
			}
			switch {
			case m.id == 0: // a notice of disconnection, RFC 4511, 4.4.1
				fail(&cut{fmt.Errorf("the server ends the connection: %w", m.result())})
				return
			case m.id != w.id:
				fail(&cut{fmt.Errorf("an answer to request %d, which was not sent", m.id)})
				return
			case m.op == ldap.ApplicationSearchResultEntry:
				e, err := m.entry(w.names)
				if err != nil {
					fail(err)
					return
				}
				if !yield(e, nil) {
					return
				}
			case m.op == ldap.ApplicationSearchResultReference:
				if done != nil {
					done.referrals++
				}
			case m.op == ldap.ApplicationIntermediateResponse:
			case m.op == ldap.ApplicationSearchResultDone:
				w.spent = false
				if err := m.result(); err != nil {
					fail(err)
					return
				}
				controls, err := m.controls()
				if err != nil {
					fail(err)
					return
				}
				if done != nil {
					done.controls = controls
				}
				return
			default:
				fail(&cut{fmt.Errorf("an answer of kind %d to a search", m.op)})
				return
			}
		}
	}
}

// answer is what comes with the end of a search.
type answer struct {
	controls  []ldap.Control
	referrals int64
}

func (w *wire) write(b []byte) error {
	if err := w.conn.SetWriteDeadline(time.Now().Add(w.timeout)); err != nil {
		return err
	}
	_, err := w.conn.Write(b)
	return err
}

// await lets the server take its time from now.
func (w *wire) await() error { return w.conn.SetReadDeadline(time.Now().Add(w.timeout)) }

// read reads one message. The server may take its time between two messages, but not longer than the timeout.
func (w *wire) read() (message, error) {
	if err := w.await(); err != nil {
		return message{}, w.lost(err)
	}
	tag, err := w.in.ReadByte()
	if err != nil {
		return message{}, w.lost(err)
	}
	length, err := readLength(w.in)
	if err != nil {
		return message{}, w.lost(err)
	}
	if tag != tagSequence || length > maxMessage {
		return message{}, &cut{fmt.Errorf("the server doesn't speak LDAP: a message begins with %#x and says that it has %d bytes", tag, length)}
	}
	if w.body.Reset(); w.body.Cap() > 4<<20 { // of a rare large entry
		w.body = bytes.Buffer{}
	}
	for left := length; left > 0; { // a long message may take longer than the timeout, as long as it moves
		n, err := io.CopyN(&w.body, w.in, min(left, 1<<20))
		if err != nil {
			return message{}, w.lost(err)
		}
		left -= n
		if err := w.await(); err != nil {
			return message{}, w.lost(err)
		}
	}
	return parseMessage(w.body.Bytes())
}

// lost is an error of reading from the connection.
func (w *wire) lost(err error) error {
	var timeout net.Error
	switch {
	case errors.As(err, &timeout) && timeout.Timeout():
		err = errSilent(w.timeout)
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		err = errors.New("the server closed the connection")
	}
	return &cut{err}
}

// encodeSearch is the message of a search request, RFC 4511, 4.5.1.
func encodeSearch(id int64, req *ldap.SearchRequest) (*ber.Packet, error) {
	filter, err := ldap.CompileFilter(req.Filter)
	if err != nil {
		return nil, err
	}
	op := ber.Encode(ber.ClassApplication, ber.TypeConstructed, ldap.ApplicationSearchRequest, nil, "")
	op.AppendChild(ber.NewString(ber.ClassUniversal, ber.TypePrimitive, ber.TagOctetString, req.BaseDN, ""))
	op.AppendChild(ber.NewInteger(ber.ClassUniversal, ber.TypePrimitive, ber.TagEnumerated, req.Scope, ""))
	op.AppendChild(ber.NewInteger(ber.ClassUniversal, ber.TypePrimitive, ber.TagEnumerated, req.DerefAliases, ""))
	op.AppendChild(ber.NewInteger(ber.ClassUniversal, ber.TypePrimitive, ber.TagInteger, req.SizeLimit, ""))
	op.AppendChild(ber.NewInteger(ber.ClassUniversal, ber.TypePrimitive, ber.TagInteger, req.TimeLimit, ""))
	op.AppendChild(ber.NewLDAPBoolean(ber.ClassUniversal, ber.TypePrimitive, ber.TagBoolean, req.TypesOnly, ""))
	op.AppendChild(filter)
	attributes := ber.NewSequence("")
	for _, a := range req.Attributes {
		attributes.AppendChild(ber.NewString(ber.ClassUniversal, ber.TypePrimitive, ber.TagOctetString, a, ""))
	}
	op.AppendChild(attributes)
	packet := ber.NewSequence("")
	packet.AppendChild(ber.NewInteger(ber.ClassUniversal, ber.TypePrimitive, ber.TagInteger, id, ""))
	packet.AppendChild(op)
	if len(req.Controls) > 0 {
		packet.AppendChild(encodeControls(req.Controls))
	}
	return packet, nil
}

func encodeControls(list []ldap.Control) *ber.Packet {
	controls := ber.Encode(ber.ClassContext, ber.TypeConstructed, 0, nil, "")
	for _, c := range list {
		controls.AppendChild(c.Encode())
	}
	return controls
}

package rest

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"github.com/klauspost/compress/zstd"
)

// spool keeps the answers of a reading in a file, so that one that was interrupted is resumed from its last page: what was
// answered is not asked again. It begins with a line that says of what it is; each answer follows with its length and sum,
// so that an end that was cut off is found and left out. It holds what the app holds: nobody else may read it. No
// credentials are in it. It is safe for several goroutines.
type spool struct {
	file    *os.File
	path    string
	began   time.Time // of the first part
	resumed bool

	mu    sync.Mutex
	index map[spoolKey]spoolEntry
	used  int64 // answers that were not asked for again
	fault error // why nothing more is kept
	pack  *zstd.Encoder
	read  *zstd.Decoder
}

type (
	spoolKey   [16]byte // of a request
	spoolEntry struct {
		offset int64
		length uint32
	}
)

// spoolHead is the first line.
type spoolHead struct {
	Version int       `json:"version"`
	Of      string    `json:"of"` // hash of the recipe, and of what was asked for and as whom
	Began   time.Time `json:"began"`
}

// spooled is an answer as it is kept.
type spooled struct {
	URL         string   `json:"url"`
	ContentType string   `json:"content_type,omitempty"`
	Link        []string `json:"link,omitempty"`
	Body        []byte   `json:"body"`
}

const (
	spoolVersion = 1
	maxSpooled   = 2 * maxPage // what one answer takes at most
	entryHead    = 4 + 4 + len(spoolKey{})
)

// openSpool resumes what is at path, if it is of the same question and not older than age, or begins anew.
func openSpool(path, of string, age time.Duration, now time.Time) (*spool, error) {
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return nil, err
	}
	s, err := newSpool(path)
	if err != nil {
		return nil, err
	}
	if s.resume(of, age, now) {
		return s, nil
	}
	return s, s.create(of, now)
}

func newSpool(path string) (*spool, error) {
	s := &spool{path: path, index: map[spoolKey]spoolEntry{}}
	var err error
	if s.pack, err = zstd.NewWriter(nil, zstd.WithEncoderLevel(zstd.SpeedFastest), zstd.WithEncoderConcurrency(1), zstd.WithLowerEncoderMem(true)); err != nil {
		return nil, err
	}
	if s.read, err = zstd.NewReader(nil, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxMemory(maxSpooled)); err != nil {
		return nil, err
	}
	return s, nil
}

// create begins a file in the place of what is there.
func (s *spool) create(of string, now time.Time) error {
	if err := os.Remove(s.path); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	var err error
	if s.file, err = os.OpenFile(s.path, os.O_CREATE|os.O_EXCL|os.O_RDWR|os.O_APPEND, 0o600); err != nil {
		return err
	}
	s.began = now
	head, err := json.Marshal(spoolHead{spoolVersion, of, now})
	if err != nil { // it holds nothing that JSON can't
		panic(err)
	}
	if _, err := s.file.Write(append(head, '\n')); err != nil {
		s.file.Close()
		return err
	}
	return nil
}

// resume takes up a file, and cuts off an answer that is not whole. It reports whether there is anything to go on from.
func (s *spool) resume(of string, age time.Duration, now time.Time) bool {
	f, err := os.OpenFile(s.path, os.O_RDWR|os.O_APPEND, 0)
	if err != nil {
		return false
	}
	info, err := f.Stat()
	if err != nil || !info.Mode().IsRegular() || info.Mode().Perm()&0o077 != 0 {
		f.Close()
		return false
	}
	end, head, err := s.scan(f)
	if err != nil || head.Version != spoolVersion || head.Of != of || head.Began.After(now) || now.Sub(head.Began) > age || len(s.index) == 0 || f.Truncate(end) != nil {
		clear(s.index)
		f.Close()
		return false
	}
	s.file, s.began, s.resumed = f, head.Began, true
	return true
}

// scan indexes the answers, and returns where the last whole one ends.
func (s *spool) scan(f *os.File) (end int64, head spoolHead, err error) {
	in := &counted{r: f}
	line, err := in.line(4096)
	if err != nil {
		return 0, head, err
	}
	if err := json.Unmarshal(line, &head); err != nil {
		return 0, head, err
	}
	for {
		end = in.n
		key, entry, whole := in.entry()
		if !whole {
			return end, head, nil
		}
		s.index[key] = entry
	}
}

// entry reads one answer, and reports whether it is whole.
func (c *counted) entry() (key spoolKey, e spoolEntry, whole bool) {
	var h [entryHead]byte
	if _, err := io.ReadFull(c, h[:]); err != nil {
		return key, e, false
	}
	e.length = binary.BigEndian.Uint32(h[:4])
	if e.length > maxSpooled {
		return key, e, false
	}
	sum := crc32.NewIEEE()
	sum.Write(h[8:])
	e.offset = c.n
	_, err := io.CopyN(sum, c, int64(e.length))
	return spoolKey(h[8:]), e, err == nil && sum.Sum32() == binary.BigEndian.Uint32(h[4:8])
}

// counted knows how far it was read.
type counted struct {
	r io.Reader
	n int64
}

func (c *counted) Read(p []byte) (int, error) {
	n, err := c.r.Read(p)
	c.n += int64(n)
	return n, err
}

// line reads to the end of a line, one byte after the other: it is short, and what follows is no text.
func (c *counted) line(limit int) ([]byte, error) {
	var out []byte
	for b := make([]byte, 1); len(out) < limit; {
		if _, err := io.ReadFull(c, b); err != nil {
			return nil, err
		}
		if b[0] == '\n' {
			return out, nil
		}
		out = append(out, b[0])
	}
	return nil, errors.New("its first line is too long")
}

// key is what tells requests apart: all that is sent but the credentials.
func (k call) key() spoolKey {
	h := sha256.New()
	part := func(s string) {
		_ = binary.Write(h, binary.BigEndian, uint64(len(s)))
		h.Write([]byte(s))
	}
	part(k.method)
	part(k.url.String())
	part(string(k.body))
	var names []string
	for name := range k.header {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		part(name)
		part(k.header.Get(name))
	}
	return spoolKey(h.Sum(nil)[:16])
}

// take returns the answer to a call that was kept, nil for none.
func (s *spool) take(k call) *answer {
	if s == nil || !s.resumed || k.stream {
		return nil
	}
	a := s.get(k.key())
	if a == nil {
		return nil
	}
	at, err := url.Parse(a.URL)
	if err != nil {
		return nil
	}
	header := http.Header{"Link": a.Link}
	if a.ContentType != "" {
		header.Set("Content-Type", a.ContentType)
	}
	return &answer{header: header, body: a.Body, url: at}
}

// get returns what is kept under a key, nil for nothing.
func (s *spool) get(key spoolKey) *spooled {
	s.mu.Lock()
	defer s.mu.Unlock()
	e, ok := s.index[key]
	if !ok {
		return nil
	}
	packed := make([]byte, e.length)
	if _, err := s.file.ReadAt(packed, e.offset); err != nil {
		return nil
	}
	text, err := s.read.DecodeAll(packed, nil)
	if err != nil {
		return nil
	}
	var a spooled
	if json.Unmarshal(text, &a) != nil {
		return nil
	}
	s.used++
	return &a
}

// keep keeps the answer to a call. Where the disk is full, nothing more is kept, and the reading goes on.
func (s *spool) keep(k call, a *answer) {
	if s == nil || a.stream != nil {
		return
	}
	s.put(k.key(), spooled{URL: a.url.String(), ContentType: a.header.Get("Content-Type"), Link: a.header.Values("Link"), Body: a.body})
}

func (s *spool) put(key spoolKey, a spooled) {
	text, err := json.Marshal(a)
	if err != nil { // it holds nothing that JSON can't
		panic(err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.fault != nil {
		return
	}
	packed := s.pack.EncodeAll(text, nil)
	sum := crc32.NewIEEE()
	sum.Write(key[:])
	sum.Write(packed)
	var b bytes.Buffer
	b.Write(binary.BigEndian.AppendUint32(nil, uint32(len(packed))))
	b.Write(binary.BigEndian.AppendUint32(nil, sum.Sum32()))
	b.Write(key[:])
	b.Write(packed)
	_, s.fault = s.file.Write(b.Bytes())
}

// close ends a reading: what an interrupted one has is kept for the next.
func (s *spool) close(interrupted bool) {
	if s == nil {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.file.Close()
	s.pack.Close()
	s.read.Close()
	if !interrupted {
		os.Remove(s.path)
	}
	s.fault = os.ErrClosed
}

// notes say that a snapshot is of two moments.
func (s *spool) notes() []string {
	if s == nil {
		return nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	var out []string
	if s.used > 0 {
		out = append(out, fmt.Sprintf("resumed: %d answers are of a reading that began %s and was interrupted; what changed since may show in part", s.used, s.began.UTC().Format("2006-01-02 15:04 MST")))
	}
	if s.fault != nil {
		out = append(out, fmt.Sprintf("answers could not be kept to resume from: %v", s.fault))
	}
	return out
}

// interruption is an error that may pass: a server in trouble, a connection that broke, a quota that is used up, credentials
// that ran out. What was read until then is good.
type interruption struct{ error }

func (e interruption) Unwrap() error { return e.error }

// interrupts reports whether a reading that ended with an error can be resumed.
func interrupts(err error) bool {
	var passing interruption
	var status *statusError
	var long *tooLong
	return errors.As(err, &passing) || errors.As(err, &long) || errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) ||
		errors.As(err, &status) && status.status == http.StatusUnauthorized
}

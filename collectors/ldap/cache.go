package ldap

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"hash"
	"io"
	"iter"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/go-ldap/ldap/v3"
)

// cache is a file with the entries of the last read, and how far that read went. It is LDIF between a first line that
// says what it is and a last one that proves it whole. It holds what the directory holds: nobody else may read it.
type cache struct {
	file string
	head cacheHead
}

// cacheHead is the first line.
type cacheHead struct {
	Version int       `json:"version"`
	Query   string    `json:"query"` // hash of what was asked for, and as whom
	Method  string    `json:"method"`
	FullAt  time.Time `json:"full_at"` // when all was last read
	// Invocation is the database that USN counts in.
	Invocation string `json:"invocation,omitempty"`
	USN        int64  `json:"usn"`
	Cookie     []byte `json:"cookie,omitempty"`
}

const (
	cacheVersion = 1
	headPrefix   = "# lapse cache "
	tailPrefix   = "# end "
)

// errNoCache says that there is none yet, which is no fault.
var errNoCache = errors.New("there is none yet")

// openCache reads the first line and proves the file whole.
func openCache(file string) (*cache, error) {
	f, err := os.Open(file)
	switch {
	case errors.Is(err, os.ErrNotExist):
		return nil, errNoCache
	case err != nil:
		return nil, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if perm := info.Mode().Perm(); perm&0o077 != 0 {
		return nil, fmt.Errorf("others may read or change it (%s)", perm)
	}
	in := bufio.NewReaderSize(f, 1<<16)
	first, err := in.ReadBytes('\n')
	head, ok := bytes.CutPrefix(first, []byte(headPrefix))
	if err != nil || !ok {
		return nil, errors.New("it is no cache")
	}
	c := &cache{file: file}
	if err := json.Unmarshal(head, &c.head); err != nil {
		return nil, fmt.Errorf("its first line can't be read: %w", err)
	}
	if c.head.Version != cacheVersion {
		return nil, fmt.Errorf("it is of version %d, this is %d", c.head.Version, cacheVersion)
	}
	sum := sha256.New()
	sum.Write(first)
	for {
		line, err := in.ReadSlice('\n')
		if errors.Is(err, bufio.ErrBufferFull) { // a long line: it is no last one
			sum.Write(line)
			continue
		}
		if tail, ok := bytes.CutPrefix(line, []byte(tailPrefix)); ok {
			if string(bytes.TrimSpace(tail)) != hex.EncodeToString(sum.Sum(nil)) {
				return nil, errors.New("it was changed or damaged: its sum is wrong")
			}
			return c, nil
		}
		sum.Write(line)
		switch {
		case errors.Is(err, io.EOF):
			return nil, errors.New("its end is missing")
		case err != nil:
			return nil, err
		}
	}
}

// entries yields what is kept.
func (c *cache) entries() iter.Seq2[located, error] {
	return func(yield func(located, error) bool) {
		f, err := os.Open(c.file)
		if err != nil {
			yield(located{}, err)
			return
		}
		defer f.Close()
		for e, err := range readLDIF(f, c.file) {
			if !yield(e, err) {
				return
			}
		}
	}
}

// cacheWriter writes a new cache beside the old one, which stays until the new one is whole.
type cacheWriter struct {
	file string
	temp *os.File
	out  *bufio.Writer
	sum  hash.Hash
}

// newCache begins a cache. Its folder is made for this user only.
func newCache(file string, head cacheHead) (*cacheWriter, error) {
	if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
		return nil, err
	}
	temp, err := os.CreateTemp(filepath.Dir(file), filepath.Base(file)+".new-*") // 0600
	if err != nil {
		return nil, err
	}
	w := &cacheWriter{file: file, temp: temp, sum: sha256.New()}
	w.out = bufio.NewWriterSize(io.MultiWriter(temp, w.sum), 1<<16)
	head.Version = cacheVersion
	text, err := json.Marshal(head)
	if err != nil {
		w.discard()
		return nil, err
	}
	if _, err := fmt.Fprintf(w.out, "%s%s\n\n", headPrefix, text); err != nil {
		w.discard()
		return nil, err
	}
	return w, nil
}

func (w *cacheWriter) put(e *ldap.Entry) error { return writeLDIF(w.out, e) }

// commit makes the new cache the cache.
func (w *cacheWriter) commit() error {
	err := w.out.Flush()
	if err == nil {
		_, err = fmt.Fprintf(w.temp, "%s%x\n", tailPrefix, w.sum.Sum(nil))
	}
	if err == nil {
		err = w.temp.Sync()
	}
	if err == nil {
		err = w.temp.Close()
	}
	if err == nil {
		err = os.Rename(w.temp.Name(), w.file)
	}
	if err != nil {
		w.discard()
	}
	return err
}

// discard removes what was written so far.
func (w *cacheWriter) discard() {
	w.temp.Close()
	os.Remove(w.temp.Name())
}

// cacheFile is where a source keeps its entries.
func (k *Collector) cacheFile() string {
	return filepath.Join(k.opt.Private, strings.ReplaceAll(k.opt.UID, string(filepath.Separator), "_")+".ldif")
}

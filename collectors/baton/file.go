package baton

import (
	"bufio"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/klauspost/compress/zstd"

	"github.com/lapse-audit/lapse/internal/collect"
)

// What a file begins with: pkg/dotc1z/format.go of baton-sdk.
const (
	magicV1 = "C1ZF\x00" // and then SQLite in zstd
	magicV3 = "C1Z3\x00" // and then a manifest, and Pebble
)

// maxWindow is the memory that decompressing may take, as in baton-sdk.
const maxWindow = 128 << 20

// source is one open file.
type source struct {
	*os.File
	name  string // as configured
	size  int64
	mtime time.Time
}

// open opens a regular file.
func open(path, name string) (*source, error) {
	info, err := os.Stat(path) // first: opening a pipe would wait for its writer
	if err != nil {
		return nil, cause(err)
	}
	switch {
	case info.IsDir():
		return nil, errors.New("is a directory: name a .c1z file")
	case !info.Mode().IsRegular():
		return nil, errors.New("is not a regular file")
	case info.Size() == 0:
		return nil, errors.New("is empty: the connector has not finished, or has failed")
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, cause(err)
	}
	if info, err = f.Stat(); err != nil {
		f.Close()
		return nil, cause(err)
	}
	return &source{File: f, name: name, size: info.Size(), mtime: info.ModTime()}, nil
}

// cause leaves out the operation and the path, which the message has already.
func cause(err error) error {
	var p *os.PathError
	if errors.As(err, &p) {
		return p.Err
	}
	return err
}

// store is what a file holds, whichever way it is kept. Each calls do with its records in the order in which they stand;
// place counts or numbers them from 1 and grows.
type store interface {
	syncs(context.Context) ([]syncRun, error)
	types(context.Context, syncRun, func(resourceType) error) error
	resources(context.Context, syncRun, func(place int64, r resource) error) error
	entitlements(context.Context, syncRun, func(place int64, e entitlement) error) error
	grants(context.Context, syncRun, func(place int64, g *grant) error) error
	close()
}

// unpack makes a store of the file, in a folder below dir that goes with the store.
func (f *source) unpack(ctx context.Context, dir, uid string, limit int64) (store, error) {
	magic := make([]byte, len(magicV1))
	if _, err := io.ReadFull(f, magic); err != nil {
		return nil, errors.New("is no .c1z file: it is too short")
	}
	v1 := string(magic) == magicV1
	if !v1 && string(magic) != magicV3 {
		return nil, errors.New("is no .c1z file: it doesn't begin as one")
	}
	if dir != "" {
		if err := os.MkdirAll(dir, 0o700); err != nil {
			return nil, fmt.Errorf("unpack: %w", err)
		}
	}
	prefix := "baton-" + uid + "-"
	clean(dir, prefix)
	tmp, err := os.MkdirTemp(dir, prefix) // which nobody else may enter
	if err != nil {
		return nil, fmt.Errorf("unpack: %w", err)
	}
	var s store
	if v1 {
		s, err = f.unpackV1(ctx, tmp, limit)
	} else {
		s, err = f.unpackV3(ctx, tmp, limit)
	}
	if err != nil {
		os.RemoveAll(tmp)
		return nil, err
	}
	return s, nil
}

// clean removes what a collection left that was killed: one of the same source, and not of today.
func clean(dir, prefix string) {
	if dir == "" {
		return
	}
	left, err := os.ReadDir(dir)
	if err != nil {
		return
	}
	for _, e := range left {
		if info, err := e.Info(); err == nil && e.IsDir() && strings.HasPrefix(e.Name(), prefix) && time.Since(info.ModTime()) > 24*time.Hour {
			os.RemoveAll(filepath.Join(dir, e.Name()))
		}
	}
}

// unpackV1 unpacks one SQLite database.
func (f *source) unpackV1(ctx context.Context, dir string, limit int64) (store, error) {
	in := bufio.NewReaderSize(contextReader{ctx, f}, 1<<20)
	b := &budget{limit: limit}
	path := filepath.Join(dir, "sync.db")
	if err := b.frame(path, in); err != nil {
		return nil, err
	}
	return openSQLite(ctx, path, dir)
}

// budget is how many bytes may be unpacked.
type budget struct{ limit, used int64 }

func (b *budget) spent() error {
	return fmt.Errorf("becomes larger than %s when it is unpacked: if that is right, set max_size to more", Size(b.limit))
}

// frame decompresses all of in into a new file.
func (b *budget) frame(path string, in *bufio.Reader) error {
	if start, _ := in.Peek(zstd.HeaderMaxSize); len(start) > 0 {
		var h zstd.Header
		if h.Decode(start) == nil && h.HasFCS && h.FrameContentSize > uint64(b.limit-b.used) {
			return b.spent()
		}
	}
	z, err := zstd.NewReader(in, zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true), zstd.WithDecoderMaxMemory(maxWindow))
	if err != nil {
		return damaged(err)
	}
	defer z.Close()
	return b.copy(path, z)
}

// copy writes all of in into a new file that only this user may read.
func (b *budget) copy(path string, in io.Reader) error {
	out, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return fmt.Errorf("unpack: %w", err)
	}
	n, err := io.Copy(out, io.LimitReader(in, b.limit-b.used+1))
	b.used += n
	if closed := out.Close(); closed != nil && err == nil {
		err = closed
	}
	var file *os.PathError
	switch {
	case errors.As(err, &file): // the disk is full
		return fmt.Errorf("unpack: %w", err)
	case err != nil:
		return damaged(err)
	case b.used > b.limit:
		return b.spent()
	}
	return nil
}

// damaged says what an error of a decompressor or database means.
func damaged(err error) error {
	if errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return err
	}
	return fmt.Errorf("the file is damaged or was cut off: %w", err)
}

// contextReader ends with its context.
type contextReader struct {
	ctx context.Context
	in  io.Reader
}

func (r contextReader) Read(p []byte) (int, error) {
	if err := r.ctx.Err(); err != nil {
		return 0, err
	}
	return r.in.Read(p)
}

var errChanged = errors.New("changed while it was being read: let the connector write another file and rename it when it is whole")

// finish says which file was read, and makes sure that it was one state of it.
func (f *source) finish() (collect.File, error) {
	digest, n, err := f.digest()
	if err != nil {
		return collect.File{}, err
	}
	info, err := f.Stat()
	if err != nil {
		return collect.File{}, cause(err)
	}
	if n != f.size || info.Size() != f.size || !info.ModTime().Equal(f.mtime) {
		return collect.File{}, errChanged
	}
	return collect.File{Name: f.name, SHA256: hex.EncodeToString(digest.Sum(nil)), Size: f.size, ModTime: f.mtime.UTC()}, nil
}

func (f *source) digest() (hash.Hash, int64, error) {
	if _, err := f.Seek(0, io.SeekStart); err != nil {
		return nil, 0, cause(err)
	}
	h := sha256.New()
	n, err := io.Copy(h, f)
	if err != nil {
		return nil, 0, cause(err)
	}
	return h, n, nil
}

package baton

import (
	"archive/tar"
	"bufio"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/klauspost/compress/zstd"
	"google.golang.org/protobuf/encoding/protowire"
)

// A file of v3 is its magic, the length of a manifest in 4 bytes, the manifest, and the files of a Pebble database in one of
// three ways (baton-sdk, proto/c1/c1z/v3/manifest.proto and pkg/dotc1z/format/v3).
const (
	tarZstd     = 1
	plainTar    = 2
	indexedZstd = 5

	maxManifest = 16 << 20
	maxIndex    = 64 << 20
	maxFiles    = 1 << 17
	footerSize  = 8 + 4 + 8 + 8
)

var footerMagic = []byte("C1ZIDX1\x00")

// mend is what to do about a file of v3 that is not understood.
const mend = "run the connector with --storage-engine sqlite"

// manifest says how the database is packed.
type manifest struct {
	engine   string
	encoding uint64
	counts   map[string]*counts // by sync
}

func readManifest(in io.Reader) (m manifest, size int64, err error) {
	var length [4]byte
	if _, err := io.ReadFull(in, length[:]); err != nil {
		return m, 0, damaged(io.ErrUnexpectedEOF)
	}
	n := binary.BigEndian.Uint32(length[:])
	if n > maxManifest {
		return m, 0, damaged(fmt.Errorf("its manifest has %d bytes", n))
	}
	b := make([]byte, n)
	if _, err := io.ReadFull(in, b); err != nil {
		return m, 0, damaged(io.ErrUnexpectedEOF)
	}
	err = each(b, func(n protowire.Number, v value) error {
		switch n {
		case 1:
			m.engine = string(v.bytes)
		case 4:
			m.encoding = v.num
		case 40:
			return m.summary(v.bytes)
		}
		return nil
	})
	if err != nil {
		return m, 0, err
	}
	return m, int64(n), nil
}

// summary reads a SyncRunSummary: its id, and the SyncStatsRecord.
func (m *manifest) summary(b []byte) error {
	var id string
	var c *counts
	err := each(b, func(n protowire.Number, v value) error {
		switch n {
		case 1:
			id = string(v.bytes)
		case 6:
			c = new(counts)
			return each(v.bytes, func(n protowire.Number, v value) error {
				switch n {
				case 3:
					c.Resources = int64(v.num)
				case 4:
					c.Entitlements = int64(v.num)
				case 5:
					c.Grants = int64(v.num)
				}
				return nil
			})
		}
		return nil
	})
	if m.counts == nil {
		m.counts = map[string]*counts{}
	}
	m.counts[id] = c
	return err
}

// unpackV3 unpacks the files of one Pebble database.
func (f *source) unpackV3(ctx context.Context, dir string, limit int64) (store, error) {
	in := contextReader{ctx, f}
	m, size, err := readManifest(in)
	if err != nil {
		return nil, err
	}
	if m.engine != "pebble3" {
		return nil, fmt.Errorf("is kept by the engine %q, which is not known here: %s", m.engine, mend)
	}
	b := &budget{limit: limit}
	switch m.encoding {
	case 0, tarZstd:
		z, err := zstd.NewReader(bufio.NewReaderSize(in, 1<<20), zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true), zstd.WithDecoderMaxMemory(maxWindow))
		if err != nil {
			return nil, damaged(err)
		}
		defer z.Close()
		err = b.untar(dir, z)
		if err != nil {
			return nil, err
		}
	case plainTar:
		if err := b.untar(dir, in); err != nil {
			return nil, err
		}
	case indexedZstd:
		if err := b.indexed(ctx, dir, f, int64(len(magicV3))+4+size); err != nil {
			return nil, err
		}
	default:
		return nil, fmt.Errorf("is packed in a way (%d) that is not known here: %s", m.encoding, mend)
	}
	return openPebble(dir, m.counts)
}

// plainName refuses names that lead elsewhere. A database of Pebble has no folders.
func plainName(name string) error {
	if name == "" || name == "." || name == ".." || filepath.Base(name) != name || bytes.ContainsAny([]byte(name), `/\`) {
		return damaged(fmt.Errorf("it holds a file named %q", name))
	}
	return nil
}

func (b *budget) untar(dir string, in io.Reader) error {
	t := tar.NewReader(in)
	for n := 0; ; n++ {
		h, err := t.Next()
		switch {
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return damaged(err)
		case n == maxFiles:
			return damaged(errors.New("it holds too many files"))
		case h.Typeflag != tar.TypeReg:
			return damaged(fmt.Errorf("%q in it is no regular file", h.Name))
		}
		if err := plainName(h.Name); err != nil {
			return err
		}
		if h.Size > b.limit-b.used {
			return b.spent()
		}
		if err := b.copy(filepath.Join(dir, h.Name), t); err != nil {
			return err
		}
	}
}

// frame is where one file of an IndexedFrameIndex is.
type frame struct {
	name                string
	offset, packed, raw int64
	sha256              []byte
}

// indexed unpacks files that are compressed each for itself, and listed at the end.
func (b *budget) indexed(ctx context.Context, dir string, f *source, start int64) error {
	var footer [footerSize]byte
	if f.size < start+footerSize {
		return damaged(io.ErrUnexpectedEOF)
	}
	if _, err := f.ReadAt(footer[:], f.size-footerSize); err != nil {
		return damaged(err)
	}
	if !bytes.Equal(footer[20:], footerMagic) {
		return damaged(errors.New("its list of files is missing"))
	}
	at, length := binary.BigEndian.Uint64(footer[:8]), binary.BigEndian.Uint32(footer[8:12])
	if length > maxIndex || at < uint64(start) || at > uint64(f.size) || int64(at)+int64(length) != f.size-footerSize {
		return damaged(errors.New("its list of files is not where it should be"))
	}
	list := make([]byte, length)
	if _, err := f.ReadAt(list, int64(at)); err != nil {
		return damaged(err)
	}
	n := 0
	return each(list, func(field protowire.Number, v value) error {
		if field != 1 {
			return nil
		}
		if n++; n > maxFiles {
			return damaged(errors.New("it holds too many files"))
		}
		e, err := readFrame(v.bytes)
		if err != nil {
			return err
		}
		if err := plainName(e.name); err != nil {
			return err
		}
		if e.offset < start || e.packed < 0 || e.packed > int64(at) || e.offset > int64(at)-e.packed {
			return damaged(fmt.Errorf("%q in it is not where it should be", e.name))
		}
		path := filepath.Join(dir, e.name)
		if err := b.frame(path, bufio.NewReader(contextReader{ctx, io.NewSectionReader(f, e.offset, e.packed)})); err != nil {
			return err
		}
		return e.check(path)
	})
}

func readFrame(b []byte) (e frame, err error) {
	err = each(b, func(n protowire.Number, v value) error {
		switch n {
		case 1:
			e.name = string(v.bytes)
		case 2:
			e.offset = int64(v.num)
		case 3:
			e.packed = int64(v.num)
		case 4:
			e.raw = int64(v.num)
		case 6:
			e.sha256 = v.bytes
		}
		return nil
	})
	return e, err
}

// check compares what was unpacked with what was packed.
func (e frame) check(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return fmt.Errorf("unpack: %w", err)
	}
	defer f.Close()
	h := sha256.New()
	n, err := io.Copy(h, f)
	if err != nil {
		return fmt.Errorf("unpack: %w", err)
	}
	if n != e.raw || !bytes.Equal(h.Sum(nil), e.sha256) {
		return damaged(fmt.Errorf("%q in it is not what was packed", e.name))
	}
	return nil
}

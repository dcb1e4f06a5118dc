package ldap

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"iter"
	"os"
	"strings"
	"time"

	"github.com/lapse-audit/lapse/internal/collect"
)

// survey is what a first pass over the files finds.
type survey struct {
	files   []collect.File
	has     map[string]bool // attributes in lower case, with a value somewhere
	dialect string
}

// survey reads all files once. They are read again for their entries: what an absent attribute means depends on whether
// the export has it anywhere.
func (k *Collector) survey(ctx context.Context) (survey, error) {
	s := survey{has: map[string]bool{}}
	known := map[string]string{}
	for _, name := range k.config.files() {
		f, err := k.readFile(ctx, name, func(e located) error {
			for _, a := range e.Attributes {
				key, ok := known[a.Name]
				if !ok {
					key, _, _ = strings.Cut(strings.ToLower(a.Name), ";")
					known[a.Name] = key
				}
				s.has[key] = s.has[key] || len(a.Values) > 0
			}
			return nil
		})
		if err != nil {
			return s, err
		}
		if f.Rows == 0 {
			return s, fmt.Errorf("%s: holds no entry", name)
		}
		s.files = append(s.files, f)
	}
	s.dialect = RFC2307
	if s.has["objectguid"] || s.has["objectsid"] && s.has["samaccountname"] {
		s.dialect = ActiveDirectory
	}
	return s, nil
}

// entries reads the files again and checks that they are still the same.
func (k *Collector) fileEntries(ctx context.Context, s survey) iter.Seq2[located, error] {
	return func(yield func(located, error) bool) {
		for i, name := range k.config.files() {
			f, err := k.readFile(ctx, name, func(e located) error {
				if !yield(e, nil) {
					return errStop
				}
				return nil
			})
			switch {
			case errors.Is(err, errStop):
				return
			case err != nil:
				yield(located{}, err)
				return
			case f.SHA256 != s.files[i].SHA256:
				yield(located{}, fmt.Errorf("%s: changed while it was read: read it when the export is complete", name))
				return
			}
		}
	}
}

// readFile calls do with each entry of a file that is asked for.
func (k *Collector) readFile(ctx context.Context, name string, do func(located) error) (collect.File, error) {
	f, err := os.Open(k.path(name))
	if err != nil {
		return collect.File{}, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return collect.File{}, err
	}
	if info.IsDir() {
		return collect.File{}, fmt.Errorf("%s: is a folder: name a file", name)
	}
	in := &hashing{in: f, ctx: ctx, sum: sha256.New()}
	out := collect.File{Name: name, ModTime: info.ModTime().UTC()}
	for e, err := range readLDIF(in, name) {
		switch {
		case ctx.Err() != nil:
			return out, context.Cause(ctx)
		case err != nil:
			return out, err
		}
		out.Rows++
		if !k.asked(e) {
			continue
		}
		if err := do(e); err != nil {
			return out, err
		}
	}
	if _, err := io.Copy(io.Discard, in); err != nil { // an LDIF ends before its trailing blanks do
		return out, err
	}
	out.Size, out.SHA256 = in.n, hex.EncodeToString(in.sum.Sum(nil))
	return out, ctx.Err()
}

// hashing counts and hashes what is read, and stops when ctx ends.
type hashing struct {
	in  io.Reader
	ctx context.Context
	sum hash.Hash
	n   int64
}

func (h *hashing) Read(b []byte) (int, error) {
	if h.ctx.Err() != nil {
		return 0, context.Cause(h.ctx)
	}
	n, err := h.in.Read(b)
	h.sum.Write(b[:n])
	h.n += int64(n)
	return n, err
}

// oldest is when the first of the files was written: what an export says is as old as that.
func (s survey) oldest(now time.Time) time.Time {
	var at time.Time
	for _, f := range s.files {
		if at.IsZero() || f.ModTime.Before(at) {
			at = f.ModTime
		}
	}
	if at.After(now) { // a clock set back says nothing about when the export was made
		return time.Time{}
	}
	return at
}

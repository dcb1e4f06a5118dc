package file

import (
	"archive/zip"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"path"
	"slices"
	"strings"
)

// packing is how a file is packed. Nothing is ever written to disk: what is packed is read as a stream.
type packing string

const (
	loose   packing = ""
	gzipped packing = "gzip"
	zipped  packing = "zip"
)

// packed tells by its name how a file is packed, and its name without that.
func packed(name string) (packing, string) {
	switch ending := strings.ToLower(path.Ext(name)); ending {
	case ".gz", ".gzip":
		return gzipped, name[:len(name)-len(ending)]
	case ".zip":
		return zipped, name
	}
	return loose, name
}

// limits keep a small archive from unpacking to more than the machine can take.
type limits struct {
	size  int64 // max_unpacked
	ratio int64 // max_ratio
}

// ratioFrom is from where on the ratio is looked at: small files of blanks are harmless.
const ratioFrom = 4 << 20

// DefaultMaxUnpacked and DefaultMaxRatio hold where the configuration gives none. Exports of people pack to a tenth or a
// fortieth.
const (
	DefaultMaxUnpacked = 4 << 30
	DefaultMaxRatio    = 200
)

// unpacked passes on what an archive holds, up to the limits.
type unpacked struct {
	limits
	r      io.Reader
	packed int64 // size in the archive
	given  int64
}

func (u *unpacked) Read(p []byte) (int, error) {
	n, err := u.r.Read(p)
	u.given += int64(n)
	switch {
	case u.given > u.size:
		return 0, fmt.Errorf("unpacks to more than %d bytes: set max_unpacked where that is right", u.size)
	case u.given > ratioFrom && u.given/max(u.packed, 1) > u.ratio:
		return 0, fmt.Errorf("unpacks to more than %d times its size: set max_ratio where that is right", u.ratio)
	case err != nil && err != io.EOF:
		return n, &damagedError{err}
	}
	return n, err
}

// damagedError is what is wrong with an archive, most often that its end is missing.
type damagedError struct{ error }

func (e *damagedError) Error() string {
	if e.error == io.ErrUnexpectedEOF {
		return "the archive was cut off"
	}
	return fmt.Sprintf("the archive is damaged or was cut off: %v", e.error)
}

func (e *damagedError) Unwrap() error { return e.error }

// gunzip reads a gzip file to its end, with its checksum.
func (l limits) gunzip(r io.Reader, size int64) (io.ReadCloser, error) {
	z, err := gzip.NewReader(r)
	if errors.Is(err, gzip.ErrHeader) || err == io.EOF {
		return nil, errors.New("is no gzip file, whatever its name says")
	}
	if err != nil {
		return nil, &damagedError{err}
	}
	return io.NopCloser(&unpacked{limits: l, r: z, packed: size}), nil
}

// open opens a member of an archive.
func (l limits) open(f *zip.File) (io.ReadCloser, error) {
	if f.Flags&1 != 0 {
		return nil, errEncrypted
	}
	r, err := f.Open()
	if errors.Is(err, zip.ErrAlgorithm) {
		return nil, fmt.Errorf("%s is packed by method %d, which is not known here: pack it as zip usually is (deflate)", quoteName(f.Name), f.Method)
	}
	if err != nil {
		return nil, &damagedError{err}
	}
	return struct {
		io.Reader
		io.Closer
	}{&unpacked{limits: l, r: r, packed: int64(min(f.CompressedSize64, 1<<62))}, r}, nil
}

var errEncrypted = errors.New("is encrypted, and no password is asked for here: unpack it, or have it exported without a password")

// archive reads the directory of a zip file.
func archive(r io.ReaderAt, size int64) (*zip.Reader, error) {
	z, err := zip.NewReader(r, size)
	switch {
	case errors.Is(err, zip.ErrFormat):
		return nil, errors.New("is no zip archive, or its end is missing: it was cut off")
	case err != nil && !errors.Is(err, zip.ErrInsecurePath): // names are compared, never opened
		return nil, &damagedError{err}
	}
	return z, nil
}

// maxMembers is how many files of an archive are read at most.
const maxMembers = 10_000

// members picks the files of an archive that a pattern names; without one the archive must hold a single file. What an
// archiver adds for itself is none.
func members(z *zip.Reader, pattern string, l limits) ([]*zip.File, error) {
	var all, out []*zip.File
	seen := map[string]bool{}
	for _, f := range z.File {
		name := f.Name
		if f.FileInfo().IsDir() || strings.HasPrefix(name, "__MACOSX/") || path.Base(name) == ".DS_Store" || path.Base(name) == "Thumbs.db" {
			continue
		}
		all = append(all, f)
		fits := pattern == ""
		for _, n := range []string{name, path.Base(strings.ReplaceAll(name, `\`, "/"))} {
			ok, err := path.Match(pattern, n)
			if err != nil {
				return nil, fmt.Errorf("member: %q: %w", pattern, err)
			}
			fits = fits || ok || n == pattern
		}
		if !fits {
			continue
		}
		if seen[name] {
			return nil, fmt.Errorf("two of its files are called %s", quoteName(name))
		}
		seen[name] = true
		out = append(out, f)
	}
	var sum uint64
	for _, f := range out {
		if f.Flags&1 != 0 {
			return nil, errEncrypted
		}
		sum += min(f.UncompressedSize64, 1<<40)
	}
	switch {
	case len(all) == 0:
		return nil, errors.New("the archive holds no file")
	case len(out) == 0:
		return nil, fmt.Errorf("member: no file in the archive fits %q: there are %s", pattern, listNames(all))
	case pattern == "" && len(out) > 1:
		return nil, fmt.Errorf("the archive holds %d files: name one under member, or several by a pattern such as *.csv: there are %s", len(out), listNames(all))
	case len(out) > maxMembers:
		return nil, fmt.Errorf("member: %q fits %d files, more than %d", pattern, len(out), maxMembers)
	case sum > uint64(l.size):
		return nil, fmt.Errorf("unpacks to more than %d bytes: set max_unpacked where that is right", l.size)
	}
	slices.SortFunc(out, func(a, b *zip.File) int { return strings.Compare(a.Name, b.Name) })
	return out, nil
}

func listNames(files []*zip.File) string {
	var names []string
	for _, f := range files[:min(len(files), 10)] {
		names = append(names, quoteName(f.Name))
	}
	if len(files) > 10 {
		names = append(names, fmt.Sprintf("and %d more", len(files)-10))
	}
	return strings.Join(names, ", ")
}

// quoteName shows a name from an archive: it may hold anything.
func quoteName(name string) string {
	if len(name) > 100 {
		name = name[:100]
	}
	if strings.ContainsFunc(name, func(r rune) bool { return r < ' ' || r == 0x7f || r == 0xfffd || r == '"' }) {
		return fmt.Sprintf("%q", name)
	}
	return name
}

package file

import (
	"archive/zip"
	"bufio"
	"bytes"
	"context"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/lapse-audit/lapse/internal/collect"
)

// book is a workbook (ECMA-376, Office Open XML): a zip archive of XML parts. Its sheets are read as streams; only the
// texts that cells share are in memory.
//
// It is read here and not by a library because those that stream give the text that a cell shows: 03/04/26 of a date that
// the cell itself holds beyond doubt.
type book struct {
	limits limits
	files  map[string]*zip.File
	sheet  *zip.File
	shared collect.Texts
	styles []style
	y1904  bool // days count from 1904, as old Macs did
}

// style is what the look of a number says about its meaning.
type style struct {
	date  bool
	zeros int // 00042: it is padded to so many digits
}

// What a workbook may have at most. The shared texts are held in memory.
const (
	maxBook    = 256 << 20 // of a workbook that is packed once more
	maxShared  = 256 << 20
	maxStyles  = 1 << 20
	maxColumns = 16384 // ECMA-376 has no limit, spreadsheets have this
)

const oldBook = "\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" // [MS-CFB], 2.2

// openBook reads all of a workbook but its sheets, and picks the one named.
func openBook(ctx context.Context, r io.ReaderAt, size int64, sheet string, l limits) (*book, error) {
	head := make([]byte, len(oldBook))
	if _, err := r.ReadAt(head, 0); err == nil && string(head) == oldBook {
		return nil, errors.New("is encrypted with a password, or an old .xls: save it as .xlsx without one")
	}
	z, err := archive(r, size)
	if err != nil {
		return nil, fmt.Errorf("no workbook: %w", err)
	}
	b := &book{limits: l, files: map[string]*zip.File{}}
	for _, f := range z.File {
		b.files[strings.ToLower(strings.TrimPrefix(f.Name, "/"))] = f
	}
	main, err := b.mainPart(ctx)
	if err != nil {
		return nil, err
	}
	related, err := b.relations(ctx, main)
	if err != nil {
		return nil, err
	}
	if err := b.pick(ctx, main, related, sheet); err != nil {
		return nil, err
	}
	for _, r := range related {
		switch r.kind {
		case "sharedStrings":
			err = b.readShared(ctx, r.target)
		case "styles":
			err = b.readStyles(ctx, r.target)
		}
		if err != nil {
			return nil, err
		}
	}
	return b, nil
}

func (b *book) mainPart(ctx context.Context) (string, error) {
	related, err := b.relations(ctx, "")
	if err != nil {
		return "", err
	}
	i := slices.IndexFunc(related, func(r relation) bool { return r.kind == "officeDocument" })
	switch {
	case i < 0:
		return "", errors.New("is a zip archive, but no workbook")
	case strings.HasSuffix(related[i].target, ".bin"):
		return "", errors.New("is a binary workbook (.xlsb): save it as .xlsx")
	}
	return related[i].target, nil
}

// relation is a part that another one names.
type relation struct{ id, kind, target string }

// relations are those of a part, or of the package: ECMA-376 part 2, 6.5.
func (b *book) relations(ctx context.Context, of string) ([]relation, error) {
	dir, name := path.Split(of)
	rels := path.Join(dir, "_rels", name+".rels")
	var out []relation
	err := b.parse(ctx, rels, func(d *elements) error {
		return d.each(func(start xml.StartElement) error {
			if start.Name.Local != "Relationship" || attr(start, "TargetMode") == "External" {
				return nil
			}
			target := attr(start, "Target")
			if !strings.HasPrefix(target, "/") {
				target = path.Join(dir, target)
			}
			out = append(out, relation{attr(start, "Id"), path.Base(attr(start, "Type")), strings.ToLower(strings.TrimPrefix(path.Clean(target), "/"))})
			return nil
		})
	})
	return out, err
}

// pick finds the sheet with a name, or the only one.
func (b *book) pick(ctx context.Context, main string, related []relation, want string) error {
	var names []string
	target := ""
	err := b.parse(ctx, main, func(d *elements) error {
		return d.each(func(start xml.StartElement) error {
			switch start.Name.Local {
			case "workbookPr":
				b.y1904 = attr(start, "date1904") == "1" || attr(start, "date1904") == "true"
			case "sheet":
				i := slices.IndexFunc(related, func(r relation) bool { return r.id == attr(start, "id") })
				if i < 0 || related[i].kind != "worksheet" { // a sheet of a chart
					return nil
				}
				name := attr(start, "name")
				names = append(names, name)
				if target == "" && (want == "" || name == want) || name == want {
					target = related[i].target
				}
			}
			return nil
		})
	})
	switch {
	case err != nil:
		return err
	case len(names) == 0:
		return errors.New("the workbook has no sheet")
	case target == "":
		return fmt.Errorf("sheet: there is no %q%s", want, suggest(want, names))
	case want == "" && len(names) > 1:
		return fmt.Errorf("the workbook has %d sheets: name one under sheet: there are %s", len(names), quoteAll(names[:min(len(names), 10)]))
	}
	if b.sheet = b.files[target]; b.sheet == nil {
		return fmt.Errorf("the workbook lacks its part %s", quoteName(target))
	}
	return nil
}

func quoteAll(names []string) string {
	var out []string
	for _, n := range names {
		out = append(out, strconv.Quote(n))
	}
	return strings.Join(out, ", ")
}

// readShared reads the texts that cells refer to by their number.
func (b *book) readShared(ctx context.Context, name string) error {
	return b.parse(ctx, name, func(d *elements) error {
		var text strings.Builder
		inside, phonetic := false, false
		return d.all(func(t xml.Token) error {
			switch t := t.(type) {
			case xml.StartElement:
				inside = t.Name.Local == "t" && !phonetic
				phonetic = phonetic || t.Name.Local == "rPh"
			case xml.CharData:
				if inside {
					text.Write(t)
				}
			case xml.EndElement:
				inside = false
				switch t.Name.Local {
				case "rPh":
					phonetic = false
				case "si":
					b.shared.Add(unescape(text.String()))
					text.Reset()
					if b.shared.Size() > maxShared {
						return fmt.Errorf("the workbook's texts take more than %d bytes: save the sheet as CSV", maxShared)
					}
				}
			}
			return nil
		})
	})
}

// escaped is how a character that XML can't hold is written: ECMA-376 part 1, 22.9.2.19 (ST_Xstring).
var escaped = regexp.MustCompile(`_x([0-9A-Fa-f]{4})_`)

func unescape(s string) string {
	if !strings.Contains(s, "_x") {
		return s
	}
	return escaped.ReplaceAllStringFunc(s, func(m string) string {
		n, err := strconv.ParseUint(m[2:6], 16, 16)
		if err != nil {
			return m
		}
		return string(rune(n))
	})
}

// readStyles finds which styles are of dates.
func (b *book) readStyles(ctx context.Context, name string) error {
	codes := map[string]string{}
	cells := false // within cellXfs
	return b.parse(ctx, name, func(d *elements) error {
		return d.all(func(t xml.Token) error {
			switch t := t.(type) {
			case xml.StartElement:
				switch t.Name.Local {
				case "numFmt":
					codes[attr(t, "numFmtId")] = attr(t, "formatCode")
				case "cellXfs":
					cells = true
				case "xf":
					if cells {
						if len(b.styles) == maxStyles {
							return errors.New("the workbook has too many styles")
						}
						b.styles = append(b.styles, styleOf(attr(t, "numFmtId"), codes))
					}
				}
			case xml.EndElement:
				cells = cells && t.Name.Local != "cellXfs"
			}
			return nil
		})
	})
}

func attr(start xml.StartElement, name string) string {
	for _, a := range start.Attr {
		if a.Name.Local == name {
			return a.Value
		}
	}
	return ""
}

// elements reads the tokens of a part.
type elements struct {
	*xml.Decoder
	inner *boundedReader
	max   int64 // bytes until mark must be called again
	since int64
	short bool // mark is called after each token
}

// maxToken bounds a token of the parts that are not sheets.
const maxToken = 16 << 20

// parse opens a part; one that isn't there is empty. What do leaves is read to its end, so that the checksum is compared.
func (b *book) parse(ctx context.Context, name string, do func(*elements) error) error {
	f := b.files[strings.ToLower(name)]
	if f == nil {
		return nil
	}
	return b.parseFile(ctx, f, maxToken, func(d *elements) error {
		d.short = true
		return do(d)
	})
}

func (b *book) parseFile(ctx context.Context, f *zip.File, max int64, do func(*elements) error) error {
	r, err := b.limits.open(f)
	if err != nil {
		return err
	}
	defer r.Close()
	d := &elements{inner: &boundedReader{ctx: ctx, r: r}, max: max}
	d.Decoder = xml.NewDecoder(bufio.NewReaderSize(d.inner, bufferSize))
	if err := do(d); err != nil {
		var bad *xml.SyntaxError
		switch {
		case errors.As(err, &bad):
			return fmt.Errorf("%s: the workbook is damaged: %w", quoteName(f.Name), err)
		case d.short && errors.Is(err, errTooLong):
			return fmt.Errorf("%s: a text is longer than %d bytes", quoteName(f.Name), max)
		}
		return err
	}
	return nil
}

// mark says that what was read so far is done with.
func (d *elements) mark() { d.since = d.InputOffset() }

// all calls do with every token to the end of the part, which must be the end of its root.
func (d *elements) all(do func(xml.Token) error) error {
	depth, roots := 0, 0
	for {
		d.inner.limit = d.since + d.max + bufferSize
		t, err := d.RawToken()
		if err == io.EOF {
			if depth != 0 || roots != 1 {
				return &damagedError{io.ErrUnexpectedEOF}
			}
			return nil
		}
		if err != nil {
			return err
		}
		switch t.(type) {
		case xml.StartElement:
			if depth == 0 {
				roots++
			}
			depth++
		case xml.EndElement:
			if depth--; depth < 0 {
				return &xml.SyntaxError{Msg: "an element ends that did not begin"}
			}
		}
		if d.short {
			d.mark()
		}
		if err := do(t); err != nil {
			return err
		}
	}
}

// each calls do with every start of an element.
func (d *elements) each(do func(xml.StartElement) error) error {
	return d.all(func(t xml.Token) error {
		if start, ok := t.(xml.StartElement); ok {
			return do(start)
		}
		return nil
	})
}

// packedSheet reads a workbook from an archive: its parts are read by places, so it must be in memory.
func (r *reader) packedSheet(ctx context.Context, stream io.Reader) error {
	data, err := io.ReadAll(io.LimitReader(&boundedReader{ctx: ctx, r: stream}, maxBook+1))
	if err != nil {
		return r.source.failed(ctx, err)
	}
	if len(data) > maxBook {
		return r.errorf(0, "a workbook within an archive may have %d bytes: unpack it", maxBook)
	}
	return r.sheet(ctx, bytes.NewReader(data), int64(len(data)))
}

package synth

import (
	"bufio"
	"encoding/csv"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"golang.org/x/text/encoding/charmap"
	"golang.org/x/text/encoding/unicode"
	"golang.org/x/text/transform"

	"github.com/lapse-audit/lapse/internal/access"
)

// sheet is one exported file: which columns it has, and the row that a record makes in it, nil for none.
type sheet struct {
	path     string // its ending says the format
	encoding transform.Transformer
	comma    rune
	columns  []string
	row      func(access.Record) []any
	rows     func(access.Record) [][]any // where a record makes several; else nil
}

// of gives the rows of a record.
func (s sheet) of(r access.Record) [][]any {
	if s.rows != nil {
		return s.rows(r)
	}
	if row := s.row(r); row != nil {
		return [][]any{row}
	}
	return nil
}

// Exports is the folder of the exports, beside the file of configuration.
const Exports = "exports"

// WriteExports writes what every system exports on night n below dir/exports, over what is there. Config reads it.
func (c *Company) WriteExports(dir string, n int) error {
	for _, source := range Sources() {
		if err := c.writeSource(dir, source, n); err != nil {
			return fmt.Errorf("write exports of %s: %w", source, err)
		}
	}
	if err := c.writeDirectory(filepath.Join(dir, Exports, AD, DirectoryLDIF), n); err != nil {
		return fmt.Errorf("write exports of %s: %w", AD, err)
	}
	return nil
}

func (c *Company) writeSource(dir, source string, n int) (err error) {
	var sinks []sink
	defer func() {
		for _, s := range sinks {
			if e := s.close(); err == nil {
				err = e
			}
		}
	}()
	sheets := c.sheets(source)
	for _, s := range sheets {
		to, err := create(filepath.Join(dir, Exports, source, s.path), s)
		if err != nil {
			return err
		}
		sinks = append(sinks, to)
	}
	for r := range c.Records(source, n) {
		for i, s := range sheets {
			for _, row := range s.of(r) {
				if err := sinks[i].put(row); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

// sink writes the rows of a sheet.
type sink interface {
	put(row []any) error
	close() error
}

func create(path string, s sheet) (sink, error) {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return nil, err
	}
	f, err := os.Create(path)
	if err != nil {
		return nil, err
	}
	out := &stack{file: f, buffer: bufio.NewWriterSize(f, 1<<16)}
	out.Writer = out.buffer
	if s.encoding != nil {
		out.encoder = transform.NewWriter(out.buffer, s.encoding)
		out.Writer = out.encoder
	}
	switch filepath.Ext(path) {
	case ".json":
		return &objects{out: out, columns: s.columns, open: "[\n", between: ",\n", end: "\n]\n"}, nil
	case ".jsonl":
		return &objects{out: out, columns: s.columns, between: "\n", end: "\n"}, nil
	}
	w := csv.NewWriter(out)
	w.UseCRLF = true
	if s.comma != 0 {
		w.Comma = s.comma
	}
	return &cells{out: out, csv: w}, w.Write(s.columns)
}

// stack is a file with what lies over it.
type stack struct {
	io.Writer
	encoder io.WriteCloser
	buffer  *bufio.Writer
	file    *os.File
}

func (s *stack) close() error {
	var err error
	keep := func(e error) {
		if err == nil {
			err = e
		}
	}
	if s.encoder != nil {
		keep(s.encoder.Close())
	}
	keep(s.buffer.Flush())
	keep(s.file.Close())
	return err
}

type cells struct {
	out *stack
	csv *csv.Writer
}

func (w *cells) put(row []any) error {
	texts := make([]string, len(row))
	for i, v := range row {
		if v != nil {
			texts[i] = fmt.Sprint(v)
		}
	}
	return w.csv.Write(texts)
}

func (w *cells) close() error {
	w.csv.Flush()
	err := w.csv.Error()
	if e := w.out.close(); err == nil {
		err = e
	}
	return err
}

// objects writes JSON objects; what is nil or an empty text is left out.
type objects struct {
	out                *stack
	columns            []string
	open, between, end string
	rows               int
}

func (w *objects) put(row []any) error {
	o := map[string]any{}
	for i, v := range row {
		if v != nil && v != "" {
			o[w.columns[i]] = v
		}
	}
	data, err := json.Marshal(o)
	if err != nil {
		return err
	}
	before := w.between
	if w.rows == 0 {
		before = w.open
	}
	w.rows++
	_, err = fmt.Fprintf(w.out, "%s%s", before, data)
	return err
}

func (w *objects) close() error {
	if w.rows == 0 {
		w.end = w.open + w.end
	}
	_, err := io.WriteString(w.out, w.end)
	if e := w.out.close(); err == nil {
		err = e
	}
	return err
}

func utf8BOM() transform.Transformer { return unicode.UTF8BOM.NewEncoder() }

func utf16() transform.Transformer {
	return unicode.UTF16(unicode.LittleEndian, unicode.UseBOM).NewEncoder()
}

func windows1252() transform.Transformer { return charmap.Windows1252.NewEncoder() }

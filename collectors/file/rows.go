package file

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"unicode/utf8"

	"github.com/lapse-audit/lapse/internal/collect"
)

// column is a column that is wanted. One with auto is any whose name is the same apart from case and separators; it may
// be missing.
type column struct {
	name string
	auto bool
	list bool // an array of texts is welcome
}

// reader reads the rows of a file. The cells it hands on are in the order of columns, trimmed, "" where there is none;
// the slice is valid until the next row only.
type reader struct {
	source  *source
	columns []column
	text    *bounded
	do      func(line int64, cells []string) error
	reject  func(collect.Rejection) error

	cells  []string
	header []string // or the keys of objects
	found  []bool   // by column
}

func (r *reader) errorf(line int64, format string, args ...any) error {
	err := fmt.Errorf(format, args...)
	if line > 0 {
		return fmt.Errorf("%s: line %d: %w", r.source.name, line, err)
	}
	return fmt.Errorf("%s: %w", r.source.name, err)
}

// readError gives a failure of the reader below its place. It leaves an error of ctx as it is.
func (r *reader) readError(ctx context.Context, line int64, err error) error {
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case errors.Is(err, errTooLong):
		return r.errorf(line, "a row is longer than %d bytes (max_record): is a closing quote missing?", r.source.max)
	case err == io.ErrUnexpectedEOF:
		return r.errorf(line, "the file ends in the middle of a row: it was cut off")
	}
	return fmt.Errorf("%s: %w", r.source.name, cause(err))
}

// invalid finds the first cell that is no text.
func (r *reader) invalid(record []string) (int, string) {
	for i, cell := range record {
		switch {
		case !utf8.ValidString(cell):
			return i, "not valid UTF-8"
		case r.text != nil && r.text.replaced && strings.ContainsRune(cell, utf8.RuneError):
			return i, "not valid in the file's encoding"
		case strings.IndexByte(cell, 0) >= 0:
			return i, "holds a NUL character"
		}
	}
	return -1, ""
}

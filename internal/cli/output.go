package cli

import (
	"encoding/csv"
	"encoding/json"
	"fmt"
	"io"
	"strings"

	"github.com/lapse-audit/lapse/reports"
)

// list is a table that can be printed in every format. Rows of JSON are the values given; a table and CSV print cells.
type list struct {
	columns []string
	cells   [][]string
	values  []any
}

func (l *list) add(value any, cells ...string) {
	l.values = append(l.values, value)
	l.cells = append(l.cells, cells)
}

// print writes the list. An empty table says what is missing instead of printing headings alone.
func (l *list) print(w io.Writer, format, empty string) error {
	switch format {
	case "json":
		if l.values == nil {
			l.values = []any{}
		}
		return printJSON(w, l.values)
	case "csv":
		out := csv.NewWriter(w)
		if err := out.Write(l.columns); err != nil {
			return err
		}
		for _, row := range l.cells {
			if err := out.Write(guardFormulas(row)); err != nil {
				return err
			}
		}
		out.Flush()
		return out.Error()
	}
	if len(l.cells) == 0 {
		_, err := fmt.Fprintln(w, empty)
		return err
	}
	return printTable(w, l.columns, l.cells)
}

func printJSON(w io.Writer, v any) error {
	enc := json.NewEncoder(w)
	enc.SetIndent("", "  ")
	enc.SetEscapeHTML(false)
	return enc.Encode(v)
}

// guardFormulas keeps a spreadsheet from running a cell that comes from a foreign system.
func guardFormulas(row []string) []string {
	out := make([]string, len(row))
	for i, cell := range row {
		if cell != "" && strings.ContainsRune("=+-@\t\r", rune(cell[0])) && !isNumber(cell) {
			cell = "'" + cell
		}
		out[i] = cell
	}
	return out
}

func isNumber(s string) bool {
	for _, r := range strings.TrimPrefix(s, "-") {
		if (r < '0' || r > '9') && r != '.' {
			return false
		}
	}
	return s != "-"
}

// widest is how far a column is made wider by what stands in it: a longer cell moves the rest of its own row, and no other.
const widest = 60

// printTable aligns columns by how wide characters stand on a terminal. Control characters of foreign systems don't reach the terminal.
func printTable(w io.Writer, columns []string, cells [][]string) error {
	width := make([]int, len(columns))
	rows := append([][]string{columns}, cells...)
	for r, row := range rows {
		clean := make([]string, len(row))
		for i, cell := range row {
			clean[i] = printable(cell)
			width[i] = max(width[i], min(widest, reports.Columns(clean[i])))
		}
		rows[r] = clean
	}
	for _, row := range rows {
		var line strings.Builder
		for i, cell := range row {
			line.WriteString(cell)
			if i < len(row)-1 {
				line.WriteString(strings.Repeat(" ", max(0, width[i]-reports.Columns(cell))+2))
			}
		}
		if _, err := fmt.Fprintln(w, strings.TrimRight(line.String(), " ")); err != nil {
			return err
		}
	}
	return nil
}

func printable(s string) string { return reports.Printable(s) }

package file

import (
	"bytes"
	"encoding/json"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/lapse-audit/lapse/internal/access"
	"github.com/lapse-audit/lapse/internal/strict"
)

// FuzzFile reads anything as a file: it must end, in bounded memory, with an error or with records that are valid text.
// Nothing may get lost: each row is a record or a rejection.
func FuzzFile(f *testing.F) {
	for _, seed := range []string{
		"id,name,last_login_at\n1,x,2025-01-01\n", "\ufeffid;name\r\n1;\"a\nb\"\r\n\r\n", "\xff\xfei\x00d\x00\n\x001\x00", "sep=|\nid|name\n1|\"\n",
		"id\n\"", "id,id\n1,2", "\xfe\xff", "id\n\xff", `[{"id":1,"name":null},{"id":"2"}]`, `{"id":1}{"id":2}`, "{\"id\":1}\n{\"id\":", `[1,[]]`, `[{"id":{}}`, "- {id: 1}\n- {id: b, name: x}\n", "- &a {id: 1}\n- *a", "\n\n", ",\n,",
	} {
		for format := range byte(4) {
			f.Add([]byte(seed), format)
		}
	}
	f.Fuzz(func(t *testing.T, data []byte, format byte) {
		name := []string{"a.csv", "a.json", "a.jsonl", "a.yaml"}[format%4]
		dir := t.TempDir()
		if err := os.WriteFile(filepath.Join(dir, name), data, 0o600); err != nil {
			t.Fatal(err)
		}
		k, err := New(Config{MaxRecord: 4096, Files: Files{Accounts: &Table{Path: strict.Texts{name}, AllowEmpty: true}}}, Options{Base: dir})
		if err != nil {
			t.Fatal(err)
		}
		var out keeper
		prov, err := k.Collect(t.Context(), &out)
		if err != nil {
			if !strings.Contains(err.Error(), name) {
				t.Errorf("the error doesn't name the file: %v", err)
			}
			return
		}
		if rows := int64(len(out.records) + len(out.rejections)); prov.Files[0].Rows != rows {
			t.Errorf("%d rows read, %d records and %d rejections", prov.Files[0].Rows, len(out.records), len(out.rejections))
		}
		for _, r := range out.records {
			a := r.(access.Account)
			for _, s := range []string{a.ID, a.Name, a.Username} {
				if !utf8.ValidString(s) || strings.Contains(s, "\x00") {
					t.Errorf("%q is no text", s)
				}
			}
		}
	})
}

// FuzzWorkbook reads anything as a sheet of a workbook, or as the workbook itself.
func FuzzWorkbook(f *testing.F) {
	f.Add([]byte(inline([]string{"id", "name"}, []string{"1", "x"})), true)
	f.Add([]byte(`<row r="3"><c r="A3" t="s"><v>0</v></c></row><row r="9"><c r="A9" s="1"><v>45292.5</v></c><c r="B9" t="b"><v>1</v></c></row>`), true)
	f.Add([]byte(`<row><c><f>A1</f></c></row></sheetData><mergeCells><mergeCell ref="A1:B2"/></mergeCells><sheetData>`), true)
	f.Add([]byte(bookOf(f, inline([]string{"id"}, []string{"1"}))), false)
	f.Fuzz(func(t *testing.T, data []byte, sheet bool) {
		if sheet {
			data = []byte(bookOf(t, string(data), "xl/sharedStrings.xml", "<sst><si><t>id</t></si></sst>",
				"xl/styles.xml", `<styleSheet><cellXfs><xf numFmtId="0"/><xf numFmtId="14"/></cellXfs></styleSheet>`))
		}
		dir := t.TempDir()
		if err := os.WriteFile(filepath.Join(dir, "a.xlsx"), data, 0o600); err != nil {
			t.Fatal(err)
		}
		k, err := New(Config{MaxRecord: 4096, MaxUnpacked: 1 << 20, Files: Files{Accounts: &Table{Path: strict.Texts{"a.xlsx"}, AllowEmpty: true}}}, Options{Base: dir})
		if err != nil {
			t.Fatal(err)
		}
		var out keeper
		prov, err := k.Collect(t.Context(), &out)
		if err != nil {
			if !strings.Contains(err.Error(), "a.xlsx") {
				t.Errorf("the error doesn't name the file: %v", err)
			}
			return
		}
		if rows := int64(len(out.records) + len(out.rejections)); prov.Files[0].Rows != rows {
			t.Errorf("%d rows read, %d records and %d rejections", prov.Files[0].Rows, len(out.records), len(out.rejections))
		}
	})
}

// FuzzPacked reads anything as an archive.
func FuzzPacked(f *testing.F) {
	f.Add([]byte(gzipOf(f, "id\n1\n")), true)
	f.Add([]byte(zipOf(f, "a.csv", "id\n1\n", "b/c.csv", "id\n2\n")), false)
	f.Fuzz(func(t *testing.T, data []byte, gz bool) {
		name := "a.zip"
		if gz {
			name = "a.csv.gz"
		}
		dir := t.TempDir()
		if err := os.WriteFile(filepath.Join(dir, name), data, 0o600); err != nil {
			t.Fatal(err)
		}
		table := &Table{Path: strict.Texts{name}, AllowEmpty: true}
		if !gz {
			table.Member = "*"
		}
		k, err := New(Config{MaxRecord: 4096, MaxUnpacked: 1 << 20, Files: Files{Accounts: table}}, Options{Base: dir})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := k.Collect(t.Context(), &keeper{}); err != nil && !strings.Contains(err.Error(), name) {
			t.Errorf("the error doesn't name the file: %v", err)
		}
		if left, err := os.ReadDir(dir); err != nil || len(left) != 1 {
			t.Errorf("reading left %d files behind, %v", len(left), err)
		}
	})
}

// FuzzUTF8Reader compares with the whole: valid text comes out as it went in, whatever the size of the reads; anything
// else is refused.
func FuzzUTF8Reader(f *testing.F) {
	for _, seed := range []string{"", "abc", "é€😀", "a\xff", "\xe2\x82", "\xf0\x9f\x98", "\xc0\x80", "line\nb\xfc"} {
		f.Add([]byte(seed), uint8(1))
	}
	f.Fuzz(func(t *testing.T, data []byte, size uint8) {
		r := &utf8Reader{r: &small{bytes.NewReader(data), int(size%7) + 1}, line: 1, column: 1}
		got, err := io.ReadAll(r)
		switch {
		case (err == nil) != utf8.Valid(data):
			t.Errorf("error %v, valid %v", err, utf8.Valid(data))
		case err == nil && !bytes.Equal(got, data):
			t.Errorf("got %q, want %q", got, data)
		}
	})
}

type small struct {
	r io.Reader
	n int
}

func (s *small) Read(p []byte) (int, error) { return s.r.Read(p[:min(len(p), s.n)]) }

// FuzzDates: a date is read to one meaning or not at all.
func FuzzDates(f *testing.F) {
	for _, seed := range []string{"2025-01-02", "03/04/2025", "7/5/11", "31.12.2025 23:59", "2025-01-02T03:04:05.678+09:30", "0", "-1", "1767225600", "9223372036854775807", "9999-12-31", "12/31/2025 11:59 PM", "2025-02-30", "24:00"} {
		f.Add(seed)
	}
	var lists [][]*layout
	for _, names := range [][]string{{"iso"}, {"us"}, {"eu"}, {"us", "eu"}, {"unix"}, {"unix_ms"}, {"filetime"}, {"iso", "unix"}, {"02-Jan-2006", "Jan 2, 2006"}} {
		l, err := newLayouts(names)
		if err != nil {
			f.Fatal(err)
		}
		lists = append(lists, l)
	}
	berlin, err := time.LoadLocation("Europe/Berlin")
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, s string) {
		for _, l := range lists {
			m, reason := parseMoment(l, s)
			if m.given == (reason != "") {
				t.Fatalf("%q: given %v, reason %q", s, m.given, reason)
			}
			if !m.given || m.open {
				continue
			}
			if y := m.in(berlin).Year(); y < firstYear-1 || y > lastYear+1 {
				t.Errorf("%q is in the year %d", s, y)
			}
			if m.day && m.zoned {
				t.Errorf("%q is a day and an instant", s)
			}
		}
	})
}

// FuzzLineOfJSON compares the line of each object with a count of what is before it.
func FuzzLineOfJSON(f *testing.F) {
	f.Add("[\n{\"id\":\"a\"},\n\n {\"id\"\n:\"b\"}]")
	f.Add("{\"id\":\"a\"}\n\n{\"id\":\"b\"}")
	f.Fuzz(func(t *testing.T, text string) {
		dir := t.TempDir()
		if err := os.WriteFile(filepath.Join(dir, "a.json"), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		k, err := New(Config{Files: Files{Accounts: &Table{Path: strict.Texts{"a.json"}}}}, Options{Base: dir})
		if err != nil {
			t.Fatal(err)
		}
		var out located
		if _, err := k.Collect(t.Context(), &out); err != nil {
			return
		}
		d := json.NewDecoder(strings.NewReader(text))
		if strings.HasPrefix(strings.TrimSpace(text), "[") {
			if _, err := d.Token(); err != nil {
				t.Fatal(err)
			}
		}
		var lines []int64
		for d.More() {
			var raw json.RawMessage
			if err := d.Decode(&raw); err != nil {
				t.Fatal(err)
			}
			lines = append(lines, int64(strings.Count(text[:d.InputOffset()-int64(len(raw))], "\n"))+1)
		}
		for _, line := range out.lines {
			for len(lines) > 0 && lines[0] != line {
				lines = lines[1:]
			}
			if len(lines) == 0 {
				t.Fatalf("no object begins in line %d of %q", line, text)
			}
		}
	})
}

type located struct {
	keeper
	lines []int64
}

func (l *located) Locate(_ string, line int64) { l.lines = append(l.lines, line) }

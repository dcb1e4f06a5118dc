package file

import (
	"archive/zip"
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/hex"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/lapse-audit/lapse/internal/access"
)

func gzipOf(t testing.TB, text string) string {
	t.Helper()
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	if _, err := w.Write([]byte(text)); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// zipOf packs names and texts in turn.
func zipOf(t testing.TB, files ...string) string {
	t.Helper()
	var b bytes.Buffer
	w := zip.NewWriter(&b)
	for i := 0; i < len(files); i += 2 {
		f, err := w.Create(files[i])
		if err != nil {
			t.Fatal(err)
		}
		if _, err := f.Write([]byte(files[i+1])); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func ids(k *keeper) string {
	var out []string
	for _, r := range k.records {
		out = append(out, r.(access.Account).ID)
	}
	return strings.Join(out, " ")
}

func TestPacked(t *testing.T) {
	const a, b = "id,name\n1,Ada\n2,Bob\n", "id,name\n3,Cem\n"
	z := zipOf(t, "users/emea.csv", a, "users/apac.csv", b, "README.txt", "hello", "__MACOSX/users/._emea.csv", "x")
	for _, c := range []struct{ name, text, table, want, read string }{
		{"a.csv.gz", gzipOf(t, a), "", "1 2", "a.csv.gz"},
		{"a.CSV.GZ", gzipOf(t, a) + gzipOf(t, "3,Cem\n"), "", "1 2 3", "a.CSV.GZ"}, // parts one after the other are one whole
		{"a.jsonl.gz", gzipOf(t, `{"id":"1"}`), "", "1", "a.jsonl.gz"},
		{"a.zip", zipOf(t, "users.csv", a), "", "1 2", "a.zip: users.csv"},
		{"a.zip", zipOf(t, "x/", "", "x/users.json", `[{"id":"9"}]`, ".DS_Store", "x"), "", "9", "a.zip: x/users.json"},
		{"a.zip", z, "member: emea.csv", "1 2", "a.zip: users/emea.csv"},
		{"a.zip", z, "member: users/*.csv", "3 1 2", "a.zip: users/apac.csv, a.zip: users/emea.csv"},
		{"a.zip", zipOf(t, "../../etc/passwd.csv", a), "", "1 2", "a.zip: ../../etc/passwd.csv"}, // a name, and nothing more: nothing is written
		{"a.zip", zipOf(t, "export", a), "format: csv", "1 2", "a.zip: export"},
	} {
		dir := write(t, map[string]string{c.name: c.text})
		out, prov, err := gather(t, dir, "files: {accounts: {path: "+c.name+", "+c.table+"}}")
		if err != nil {
			t.Errorf("%s, %s: %v", c.name, c.table, err)
			continue
		}
		if ids(out) != c.want || prov.Request != c.read {
			t.Errorf("%s, %s: read %q of %s, want %q of %s", c.name, c.table, ids(out), prov.Request, c.want, c.read)
		}
		sum := sha256.Sum256([]byte(c.text))
		for _, f := range prov.Files { // of the file as it lies there
			if f.SHA256 != hex.EncodeToString(sum[:]) || f.Size != int64(len(c.text)) {
				t.Errorf("%s: provenance of %s is not of the file: %+v", c.name, f.Name, f)
			}
		}
		if left, err := os.ReadDir(dir); err != nil || len(left) != 1 {
			t.Errorf("%s: reading left %d files behind, %v", c.name, len(left), err)
		}
	}
}

func TestPackedFaults(t *testing.T) {
	const a = "id,name\n1,Ada\n2,Bob\n"
	two := zipOf(t, "a.csv", a, "b.csv", a)
	locked := []byte(zipOf(t, "a.csv", a))
	for i := range locked { // the flag in both of its headers: APPNOTE.TXT, 4.4.4
		switch {
		case bytes.HasPrefix(locked[i:], []byte("PK\x03\x04")):
			locked[i+6] |= 1
		case bytes.HasPrefix(locked[i:], []byte("PK\x01\x02")):
			locked[i+8] |= 1
		}
	}
	flipped := []byte(gzipOf(t, a))
	flipped[len(flipped)-6] ^= 1 // the checksum
	bomb := gzipOf(t, a+strings.Repeat("3,"+strings.Repeat("x", 100)+"\n", 3<<14))
	for _, c := range []struct{ what, name, text, section, want string }{
		{"two members", "a.zip", two, "", "a.zip: the archive holds 2 files: name one under member, or several by a pattern such as *.csv: there are a.csv, b.csv"},
		{"no such member", "a.zip", two, "member: c.csv", `a.zip: member: no file in the archive fits "c.csv": there are a.csv, b.csv`},
		{"one of several formats", "a.zip", zipOf(t, "a.csv", a, "a.pdf", "x"), "member: '*'", "a.zip: format: is missing, and a.pdf doesn't tell"},
		{"empty archive", "a.zip", zipOf(t), "", "a.zip: the archive holds no file"},
		{"encrypted", "a.zip", string(locked), "", "a.zip: is encrypted, and no password is asked for here"},
		{"no archive", "a.zip", a, "", "a.zip: is no zip archive, or its end is missing: it was cut off"},
		{"same name twice", "a.zip", zipOf(t, "a.csv", a, "a.csv", a), "member: a.csv", "a.zip: two of its files are called a.csv"},
		{"no gzip", "a.csv.gz", a, "", "a.csv.gz: is no gzip file, whatever its name says"},
		{"checksum", "a.csv.gz", string(flipped), "", "a.csv.gz: the archive is damaged or was cut off: gzip: invalid checksum"},
		{"gzip and rest", "a.csv.gz", gzipOf(t, a) + "rest", "", "a.csv.gz: the archive"},
		{"ratio", "a.csv.gz", bomb, "", "a.csv.gz: unpacks to more than 200 times its size: set max_ratio where that is right"},
		{"size", "a.csv.gz", gzipOf(t, a), "max_unpacked: 10", "a.csv.gz: unpacks to more than 10 bytes: set max_unpacked where that is right"},
		{"size in a zip", "a.zip", two, "member: '*.csv', max_unpacked: 30", "a.zip: unpacks to more than 30 bytes: set max_unpacked where that is right"},
		{"zip called CSV", "a.csv", two, "", "a.csv: is a zip archive or a workbook (.xlsx), not text: give it the ending of what it is"},
		{"gzip called CSV", "a.csv", gzipOf(t, a), "", "a.csv: is a gzip file (.gz), not text: give it the ending of what it is"},
		{"member of no archive", "a.csv", a, "member: x", "a.csv: member: the file is no zip archive"},
	} {
		table, above, _ := strings.Cut(c.section, "max_unpacked")
		section := "files: {accounts: {path: " + c.name + ", " + strings.TrimSuffix(strings.TrimSpace(table), ",") + "}}"
		if above != "" {
			section = "max_unpacked" + above + "\n" + section
		}
		out, _, err := gather(t, write(t, map[string]string{c.name: c.text}), section)
		if err == nil || !strings.HasPrefix(err.Error(), c.want) {
			t.Errorf("%s:\ngot  %v\nwant %s", c.what, err, c.want)
		}
		if len(out.records) > 0 {
			t.Errorf("%s: %d records of a broken file were passed on", c.what, len(out.records))
		}
	}
	// The limit is one that can be raised.
	if out, _, err := gather(t, write(t, map[string]string{"a.csv.gz": bomb}), "max_ratio: 1000\nfiles: {accounts: {path: a.csv.gz}}"); err != nil || len(out.records) != 3 {
		t.Errorf("with max_ratio raised: %d records, %v", len(out.records), err)
	}
}

// A truncated archive is an error wherever it was cut, never a smaller company.
func TestPackedTruncated(t *testing.T) {
	var rows strings.Builder
	rows.WriteString("id,name\n")
	for i := range 40 {
		rows.WriteString(strings.Repeat("x", i+1) + ",n\n")
	}
	book, err := os.ReadFile("testdata/workbooks/excelize.xlsx")
	if err != nil {
		t.Fatal(err)
	}
	for name, whole := range map[string]string{"a.csv.gz": gzipOf(t, rows.String()), "a.zip": zipOf(t, "a.csv", rows.String()), "a.xlsx": string(book)} {
		section := "files: {accounts: {path: " + name + "}}"
		if name == "a.xlsx" {
			section = "files: {accounts: {path: a.xlsx, header: 2, columns: {id: Personnel No}}}"
		}
		dir := write(t, map[string]string{name: whole})
		if _, _, err := gather(t, dir, section); err != nil {
			t.Fatalf("%s whole: %v", name, err)
		}
		for n := 1; n < len(whole); n += max(1, len(whole)/60) {
			if err := os.WriteFile(filepath.Join(dir, name), []byte(whole[:n]), 0o600); err != nil {
				t.Fatal(err)
			}
			out, _, err := gather(t, dir, section)
			if err == nil || len(out.records) > 0 {
				t.Errorf("%s cut after %d of %d bytes: error %v, %d records", name, n, len(whole), err, len(out.records))
			}
		}
	}
}

func TestParts(t *testing.T) {
	dir := write(t, map[string]string{
		"users-2026-11-22.csv": "id\n22\n", "users-2026-11-24.csv": "id\n24\n", "users-2026-11-23.csv": "id\n23\n",
		"dump_20261123T0200.csv": "id\n2\n", "dump_20261123T1400.csv": "id\n14\n",
		"old.jsonl": `{"id":"old"}`, "new.jsonl": `{"id":"new"}`,
		"emea[1].csv": "id\ne\n", ".hidden.csv": "id\nh\n",
	})
	touch := func(name string, at time.Time) {
		if err := os.Chtimes(filepath.Join(dir, name), at, at); err != nil {
			t.Fatal(err)
		}
	}
	for _, name := range []string{"users-2026-11-22.csv", "users-2026-11-23.csv", "dump_20261123T0200.csv", "dump_20261123T1400.csv", "new.jsonl"} {
		touch(name, now) // a copy from elsewhere: the date of the file tells nothing
	}
	touch("users-2026-11-24.csv", now.Add(-time.Hour))
	touch("old.jsonl", now.Add(-48*time.Hour))
	for _, c := range []struct{ table, want, asOf string }{
		{"path: 'users-*.csv', take: newest", "24", "2026-11-23T01:00:00Z"},
		{"path: users-2026-11-22.csv, take: newest", "22", "2026-11-22T22:59:59Z"}, // not later than the day in its name
		{"path: 'users-*.csv', take: all, parts: 3", "22 23 24", "2026-11-22T22:59:59Z"},
		{"path: 'dump_*.csv', take: newest", "14", "2026-11-23T02:00:00Z"},
		{"path: '*.jsonl', take: newest", "new", "2026-11-23T02:00:00Z"},
		{"path: ['users-*.csv', 'dump_*.csv'], take: newest", "24 14", "2026-11-23T01:00:00Z"},
		{"path: 'emea[[]1].csv', take: newest", "e", ""},
		{"path: 'emea[1].csv'", "e", ""}, // without take it is a file's name, whatever it looks like
	} {
		out, prov, err := gather(t, dir, "zone: Europe/Berlin\nfiles: {accounts: {"+c.table+"}}")
		if err != nil {
			t.Errorf("%s: %v", c.table, err)
			continue
		}
		if ids(out) != c.want {
			t.Errorf("%s: read %q, want %q", c.table, ids(out), c.want)
		}
		if got := prov.AsOf.Format(time.RFC3339); c.asOf != "" && got != c.asOf {
			t.Errorf("%s: as of %s, want %s", c.table, got, c.asOf)
		}
	}
	touch("old.jsonl", now)
	for _, c := range []struct{ table, want string }{
		{"path: 'gone-*.csv', take: newest", "gone-*.csv: no file fits"},
		{"path: ['users-*.csv', 'apac-*.csv'], take: all", "apac-*.csv: no file fits"}, // a region that is lost
		{"path: 'users-*.csv', take: all, parts: 4", "users-*.csv: there are 3 files, parts is 4: users-2026-11-22.csv, users-2026-11-23.csv, users-2026-11-24.csv"},
		{"path: '*.jsonl', take: newest", "*.jsonl: new.jsonl and old.jsonl are equally new: narrow the pattern"},
		{"path: '*[s1]*.csv', take: newest", "*[s1]*.csv: the names of 5 of 6 files have a date such as 2026-11-24, emea[1].csv has none: which is the newest can't be told; narrow the pattern"},
		{"path: 'users-[.csv', take: all", "users-[.csv: syntax error in pattern: write one such as exports/users-*.csv"},
		{"path: 'users-*.csv'", "users-*.csv: no such file or directory"},
	} {
		_, _, err := gather(t, dir, "files: {accounts: {"+c.table+"}}")
		if err == nil || err.Error() != c.want {
			t.Errorf("%s:\ngot  %v\nwant %s", c.table, err, c.want)
		}
	}
	folder := write(t, map[string]string{"b.csv": "id\n2\n", "a.csv.gz": gzipOf(t, "id\n1\n"), ".c.csv": "id\n3\n"})
	if out, _, err := gather(t, folder, "files: {accounts: {path: ., take: all}}"); err != nil || ids(out) != "1 2" {
		t.Errorf("folder: %q, %v", ids(out), err)
	}
}

func TestNamedEnd(t *testing.T) {
	for name, want := range map[string]string{
		"users-2026-11-24.csv": "2026-11-24T23:59:59Z", "users_20261124.csv": "2026-11-24T23:59:59Z", "2026_11_24 users.csv": "2026-11-24T23:59:59Z",
		"a-20261124020304.csv": "2026-11-24T02:03:04Z", "a-2026-11-24T02-03.csv": "2026-11-24T02:03:00Z", "from_2026-11-01_to_2026-11-24.csv": "2026-11-24T23:59:59Z",
		"users.csv": "", "users-2026-02-30.csv": "", "v20261124x1.csv": "2026-11-24T23:59:59Z", "id-120261124.csv": "", "2026-1124.csv": "", "24-11-2026.csv": "",
	} {
		got := ""
		if end := namedEnd(name, time.UTC); !end.IsZero() {
			got = end.Format(time.RFC3339)
		}
		if got != want {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
}

package store

import (
	"errors"
	"testing"

	"github.com/lapse-audit/lapse/internal/access"
)

func TestRowReader(t *testing.T) {
	columns := []access.Column{{Name: "b", Type: "Bool"}, {Name: "s", Type: "Nullable(String)"}, {Name: "n", Type: "Array(Nullable(Int64))"},
		{Name: "p", Type: "Array(Array(String))"}, {Name: "m", Type: "Map(String, String)"}, {Name: "f", Type: "Nullable(Float64)"}}
	r, err := newRowReader(columns)
	if err != nil {
		t.Fatal(err)
	}
	text := "\x01" + "\x00\x03abc" + "\x02\x01\x00\xff\xff\xff\xff\xff\xff\xff\xff" + "\x02\x01\x01x\x02\x01y\x00" + "\x01\x01k\x01v" + "\x00\x00\x00\x00\x00\x00\x00\xf0\x3f"
	row, err := r.read(text)
	if err != nil {
		t.Fatal(err)
	}
	var got []any
	for _, v := range row {
		got = append(got, plain(v))
	}
	wantEqual(t, "row", got, []any{true, "abc", []any{nil, int64(-1)}, [][]string{{"x"}, {"y", ""}}, map[string]string{"k": "v"}, 1.0})

	// The next row is read into the same memory, and nothing of the one before shows.
	row, err = r.read("\x00\x01\x00\x00\x00\x01")
	if err != nil || plain(row[1]) != nil || len(row[2].([]*int64)) != 0 || len(row[4].(map[string]string)) != 0 {
		t.Errorf("empty row is %v, %v", row, err)
	}
	for n := range len(text) {
		if _, err := r.read(text[:n]); !errors.Is(err, errTruncated) {
			t.Errorf("%d bytes of a row: %v", n, err)
		}
	}
	if _, err := r.read(text + "x"); err == nil {
		t.Error("a row with bytes left over is taken")
	}
}

func FuzzRowReader(f *testing.F) {
	f.Add("\x01\x00\x03abc")
	f.Add("\x00\xff\xff\xff\xff\xff\xff\xff\xff\x7f")
	columns := access.SchemaOf(access.SubjectAccount).Columns()
	f.Fuzz(func(t *testing.T, text string) {
		r, err := newRowReader(columns)
		if err != nil {
			t.Fatal(err)
		}
		if row, err := r.read(text); (row == nil) == (err == nil) {
			t.Errorf("row %v with error %v", row, err)
		}
	})
}

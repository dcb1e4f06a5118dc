package store

import (
	"fmt"
	"math"
	"strconv"
	"testing"

	"github.com/lapse-audit/lapse/internal/access"
)

// Texts and numbers that a transport could spoil on their way into a statement or a table.
var (
	oddTexts   = []string{"", "it's", `"q"`, "a\tb\nc\rd", `b\s`, `\N`, "NULL", "x\x00y", "\x01", "{p1:String}", "γ\u212A😀", "%s ?", "['a', 'b']"}
	oddNumbers = []int64{math.MinInt64, math.MinInt64 + 1, -1, 0, 1<<53 + 1, math.MaxInt64}
	oddFloats  = []float64{-1e300, -0.1, 5e-324, 0.1, 0.30000000000000004, 1 << 53, math.MaxFloat64}
)

// emptyRow is a row in which everything is absent that may be.
func emptyRow(kind access.SubjectKind) (row access.Row, index map[string]int) {
	index = map[string]int{}
	for i, c := range access.SchemaOf(kind).Columns() {
		index[c.Name] = i
		row = append(row, map[string]any{
			"Bool": false, "Nullable(Bool)": (*bool)(nil), "Nullable(Int64)": (*int64)(nil), "Nullable(Float64)": (*float64)(nil),
			"Nullable(String)": (*string)(nil), "Map(String, String)": map[string]string{}, "Array(String)": []string{}, "Array(Bool)": []bool{},
			"Array(Int64)": []int64{}, "Array(Float64)": []float64{}, "Array(Nullable(String))": []*string{}, "Array(Nullable(Bool))": []*bool{},
			"Array(Nullable(Int64))": []*int64{}, "Array(Nullable(Float64))": []*float64{}, "Array(Array(String))": [][]string{},
		}[c.Type])
	}
	return row, index
}

// A screen's parameters arrive as they are, alone and in arrays; its masks and facts are those of the rows they stand
// with; and the sample and what it leaves out are the whole.
func testScreen(t *testing.T, s *Store) {
	ctx := t.Context()
	r, err := s.BeginRun(ctx, RunSpec{Time: night})
	if err != nil {
		t.Fatal(err)
	}
	var rows []access.Row
	row := func(change func(row access.Row, index map[string]int)) {
		row, index := emptyRow(access.SubjectAccount)
		row[index["account_id"]] = ptr(fmt.Sprint(len(rows)))
		change(row, index)
		rows = append(rows, row)
	}
	var screen Screen
	flag := func(text string, typ string, v any) {
		name := fmt.Sprintf("p%d", len(screen.Parameters)+1)
		screen.Parameters = append(screen.Parameters, Parameter{name, v})
		screen.Flags = append(screen.Flags, fmt.Sprintf("ifNull("+text+", false)", "{"+name+":"+typ+"}"))
	}
	for _, v := range oddTexts {
		row(func(row access.Row, index map[string]int) { row[index["account_username"]] = &v })
		flag("account_username = %s", "String", v)
		flag("account_username IN %s", "Array(String)", []string{"no such", v})
	}
	for _, v := range oddNumbers {
		row(func(row access.Row, index map[string]int) { row[index["account_active_sessions"]] = &v })
		flag("account_active_sessions = %s", "Int64", v)
		flag("account_active_sessions IN %s", "Array(Int64)", []int64{7, v})
	}
	for _, v := range oddFloats {
		row(func(row access.Row, index map[string]int) {
			row[index["seats_known"]], row[index["seats_sku"]], row[index["seats_cost_month"]] = true, []string{"a", "b"}, []*float64{nil, &v}
			row[index["seats_product"]], row[index["seats_currency"]] = []*string{nil, nil}, []*string{nil, nil}
			row[index["seats_days_since_assigned"]], row[index["seats_days_since_used"]] = []*int64{nil, nil}, []*int64{nil, nil}
			row[index["seats_never_used"]] = []*bool{nil, nil}
		})
		flag("arrayExists(x -> ifNull(x = %s, false), seats_cost_month)", "Float64", v)
		flag("arrayExists(x -> ifNull(x IN %s, false), seats_cost_month)", "Array(Float64)", []float64{0.7, v})
	}
	if err := r.PutSubjects(ctx, access.SubjectAccount, 3, rows); err != nil {
		t.Fatal(err)
	}
	found := 0
	screened := func(s Screen) *Screening {
		screening, err := r.Screen(ctx, access.SubjectAccount, 3, s)
		if err != nil {
			t.Fatal(err)
		}
		return screening
	}
	for got, err := range screened(screen).Subjects(ctx) {
		if err != nil {
			t.Fatal(err)
		}
		want := make([]uint64, (len(screen.Flags)+63)/64)
		want[2*found/64] = 3 << (2 * found % 64)
		wantEqual(t, fmt.Sprintf("mask of row %d", found), got.Mask, want)
		wantEqual(t, fmt.Sprintf("row %d", found), got.Row, rows[found])
		found++
	}
	if found != len(rows) {
		t.Errorf("%d rows are flagged, want %d", found, len(rows))
	}

	screen.Facts = []string{"toUInt16(if(account_username IS NULL, 2, 0))", "toUInt16(length(seats_sku))"}
	got := map[string]uint64{}
	for _, c := range screened(screen).Counts {
		got[fmt.Sprint(c.Source, c.Facts)] += c.Subjects
	}
	wantEqual(t, "facts", got, map[string]uint64{"[0 0]": uint64(len(oddTexts)), "[2 0]": uint64(len(oddNumbers)), "[2 2]": uint64(len(oddFloats))})

	// What a flag needs is there where it holds, and whatever some flag needs in the sample.
	narrow := Screen{
		Flags:   []string{"ifNull(account_username = 'it\\'s', false)", "notEmpty(seats_sku)"},
		Columns: [][]string{{"account_username", "source_coverage"}, {"seats_sku", "seats_cost_month"}},
		Always:  []string{"account_id"},
	}
	for _, everything := range []bool{false, true} {
		if everything {
			narrow.Sample.Every = 1
		}
		n := 0
		for got, err := range screened(narrow).Subjects(ctx) {
			if err != nil {
				t.Fatal(err)
			}
			n++
			i, err := strconv.Atoi(*got.Row[index(t, "account_id")].(*string))
			if err != nil {
				t.Fatal(err)
			}
			for name, flag := range map[string]int{"account_username": 0, "source_coverage": 0, "seats_sku": 1, "seats_cost_month": 1} {
				if everything || got.Mask[0]&(1<<flag) != 0 {
					wantEqual(t, fmt.Sprintf("%s of row %d", name, i), got.Row[index(t, name)], rows[i][index(t, name)])
				}
			}
			if got.Mask[0] == 1 && !everything {
				wantEqual(t, "seats that nobody needs", got.Row[index(t, "seats_sku")], any([]string{}))
			}
			wantEqual(t, "a column that nobody needs", got.Row[index(t, "account_name")], any(access.Unread{}))
		}
		if want := map[bool]int{false: 1 + len(oddFloats), true: len(rows)}[everything]; n != want {
			t.Errorf("%d rows are read, want %d", n, want)
		}
	}

	none := Screen{Flags: []string{"false"}, Sample: Sample{Seed: 1, Every: 3}}
	ids := func(s Screen) map[string]bool {
		out := map[string]bool{}
		for got, err := range screened(s).Subjects(ctx) {
			if err != nil {
				t.Fatal(err)
			}
			if got.Sample != !s.Sample.LeftOut {
				t.Errorf("sample is %v", got.Sample)
			}
			out[*got.Row[index(t, "account_id")].(*string)] = true
		}
		return out
	}
	sample := ids(none)
	rest := ids(Screen{Flags: []string{"true"}, Sample: Sample{Seed: 1, Every: 3, LeftOut: true}})
	if len(sample) == 0 || len(rest) == 0 || len(sample)+len(rest) != len(rows) {
		t.Errorf("%d in the sample and %d left, of %d", len(sample), len(rest), len(rows))
	}
	for id := range sample {
		if rest[id] {
			t.Errorf("%s is in the sample and left out of it", id)
		}
	}
	wantEqual(t, "the same seed's sample", ids(none), sample)
	other := none
	other.Sample.Seed = 2
	if again := ids(other); len(again) == len(sample) && fmt.Sprint(again) == fmt.Sprint(sample) {
		t.Errorf("another seed has the same sample: %v", again)
	}
}

func index(t *testing.T, column string) int {
	t.Helper()
	_, index := emptyRow(access.SubjectAccount)
	i, ok := index[column]
	if !ok {
		t.Fatalf("no column %s", column)
	}
	return i
}

package file

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/lapse-audit/lapse/internal/access"
)

// bookOf is a workbook with one sheet, and what else is given by name of the part.
func bookOf(t testing.TB, sheet string, parts ...string) string {
	t.Helper()
	all := map[string]string{
		"_rels/.rels":     `<Relationships><Relationship Id="r1" Type="http://schemas.openxmlformats.org/officeDocument/2006/relationships/officeDocument" Target="xl/workbook.xml"/></Relationships>`,
		"xl/workbook.xml": `<workbook xmlns:r="x"><sheets><sheet name="People" sheetId="1" r:id="r1"/></sheets></workbook>`,
		"xl/_rels/workbook.xml.rels": `<Relationships><Relationship Id="r1" Type="a/worksheet" Target="worksheets/sheet1.xml"/>
			<Relationship Id="r2" Type="a/sharedStrings" Target="/xl/sharedStrings.xml"/><Relationship Id="r3" Type="a/styles" Target="styles.xml"/></Relationships>`,
		"xl/worksheets/sheet1.xml": `<?xml version="1.0" encoding="UTF-8"?><worksheet><sheetData>` + sheet + `</sheetData></worksheet>`,
	}
	for i := 0; i < len(parts); i += 2 {
		if all[parts[i]] = parts[i+1]; parts[i+1] == "" {
			delete(all, parts[i])
		}
	}
	var flat []string
	for _, name := range []string{"_rels/.rels", "xl/workbook.xml", "xl/_rels/workbook.xml.rels", "xl/worksheets/sheet1.xml", "xl/sharedStrings.xml", "xl/styles.xml"} {
		if text, ok := all[name]; ok {
			flat = append(flat, name, text)
		}
	}
	return zipOf(t, flat...)
}

// inline writes rows of texts; a cell that begins with < stands as it is.
func inline(rows ...[]string) string {
	var b strings.Builder
	for _, row := range rows {
		b.WriteString("<row>")
		for _, cell := range row {
			if !strings.HasPrefix(cell, "<") {
				cell = `<c t="inlineStr"><is><t>` + cell + `</t></is></c>`
			}
			b.WriteString(cell)
		}
		b.WriteString("</row>")
	}
	return b.String()
}

// What two libraries write of the same people comes to the same.
func TestWorkbooks(t *testing.T) {
	const columns = "columns: {id: Personnel No, name: %s, email: %s, status: Status, start_at: Start, end_at: End, company: Grade, high_risk: Remote}, attributes: [Seen]"
	want := []access.Record{
		access.Person{ID: "00042", RecordID: "00042", Name: "Ana Alba", Email: "ana@example.com", Status: "active", StartAt: at("2020-01-02T00:00:00Z"), Company: "57.1", HighRisk: yes(), Attributes: map[string]string{"Seen": "2026-11-20T17:45:30"}},
		access.Person{ID: "00043", RecordID: "00043", Name: `Bea & "Blum" <b>`, Email: "bea@example.com", Status: "ended", StartAt: at("2019-03-04T00:00:00Z"), EndAt: at("2026-11-14T00:00:00Z"), Company: "0.3", HighRisk: no()},
		access.Person{ID: "00044", RecordID: "00044", Name: "Çem Çan 😀", Email: "cem@example.com", Status: "active", StartAt: at("1904-02-29T00:00:00Z"), Company: "100000000000000000000"},
	}
	for name, table := range map[string]string{
		"excelize": "header: 2, " + fmt.Sprintf(columns, "Name", "Mail"),
		"exceljs":  "sheet: People, dates: [us], " + fmt.Sprintf(columns, "Name", "Name 2"), // a date is one, whatever the layouts of texts
	} {
		out, prov, err := gather(t, "testdata/workbooks", "roster: {end_date: last_day}\nfiles: {people: {path: "+name+".xlsx, "+table+"}}")
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		same(t, out.reasons(), []string(nil))
		same(t, out.records, want)
		if len(prov.Files) != 1 || prov.Files[0].Rows != 3 || prov.Files[0].Name != name+".xlsx" {
			t.Errorf("%s: provenance %+v", name, prov.Files)
		}
	}
	book, err := os.ReadFile("testdata/workbooks/excelize.xlsx")
	if err != nil {
		t.Fatal(err)
	}
	dir := write(t, map[string]string{"hr.zip": zipOf(t, "out/hr.xlsx", string(book)), "hr.xlsx.gz": gzipOf(t, string(book))})
	for _, path := range []string{"hr.zip", "hr.xlsx.gz"} {
		out, _, err := gather(t, dir, "roster: {end_date: last_day}\nfiles: {people: {path: "+path+", header: 2, "+fmt.Sprintf(columns, "Name", "Mail")+"}}")
		if err != nil {
			t.Fatalf("%s: %v", path, err)
		}
		same(t, out.records, want)
	}
	_, _, err = gather(t, "testdata/workbooks", "files: {accounts: {path: exceljs.xlsx}}")
	if want := `exceljs.xlsx: the workbook has 2 sheets: name one under sheet: there are "People", "Notes"`; err == nil || err.Error() != want {
		t.Errorf("several sheets: %v", err)
	}
	_, _, err = gather(t, "testdata/workbooks", "files: {accounts: {path: exceljs.xlsx, sheet: Peopel}}")
	if want := `exceljs.xlsx: sheet: there is no "Peopel": did you mean "People"?`; err == nil || err.Error() != want {
		t.Errorf("no such sheet: %v", err)
	}
}

func TestSheet(t *testing.T) {
	sheet := `<row r="2"/><row r="3"><c r="A3" t="s"><v>0</v></c><c r="C3" t="str"><v>enabled</v></c><c r="D3" t="inlineStr"><is><t>last_login_at</t></is></c></row>` +
		`<row r="4" hidden="1"><c r="A4" t="s"><v>1</v></c><c r="C4" t="b"><v>1</v></c><c r="D4" s="1"><v>46346</v></c></row>` +
		`<row r="7"><c r="A7"><v>12</v></c><c r="C7" t="b"><v>0</v></c><c r="D7" t="d"><v>2026-11-20T10:00:00Z</v></c><c r="XFD7"><v>1</v></c></row>` +
		`<row r="8"><c r="B8" t="inlineStr"><is><t>  </t></is></c></row>` +
		`<row r="9"><c r="A9" t="e"><v>#N/A</v></c></row>` +
		`<row r="10"><c r="A10" t="str"><f>B1</f><v>a10</v></c><c r="C10"><f>B2</f></c></row>` +
		`<row r="11"><c r="A11" t="s"><v>9</v></c></row>` +
		`<row r="12"><c r="A12" t="str"><v>a12</v></c><c r="C12" t="b"><v>2</v></c></row>` +
		`<row r="13"><c r="A13" t="str"><v>a_x000A_b</v></c><c r="C13" t="e"><v>hunter2</v></c></row>`
	dir := write(t, map[string]string{"a.xlsx": bookOf(t, sheet,
		"xl/sharedStrings.xml", `<sst><si><t>id</t><rPh sb="0" eb="1"><t>ignored</t></rPh></si><si><r><t>a</t></r><r><t xml:space="preserve">1 </t></r></si></sst>`,
		"xl/styles.xml", `<styleSheet><cellStyleXfs><xf numFmtId="9"/></cellStyleXfs><cellXfs><xf numFmtId="0"/><xf numFmtId="14"/></cellXfs></styleSheet>`)})
	out, prov, err := gather(t, dir, "files: {accounts: {path: a.xlsx}}")
	if err != nil {
		t.Fatal(err)
	}
	same(t, out.records, []access.Record{
		access.Account{ID: "a1", Enabled: yes(), LastLoginAt: at("2026-11-20T00:00:00Z")},
		access.Account{ID: "12", Enabled: no(), LastLoginAt: at("2026-11-20T10:00:00Z")},
	})
	same(t, out.reasons(), []string{
		`a.xlsx line 9 column "id": holds the error #N/A`,
		`a.xlsx line 10 column "enabled": the formula was never computed: open the workbook in a spreadsheet and save it`,
		`a.xlsx line 11 column "id": refers to a text that the workbook doesn't hold`,
		`a.xlsx line 12 column "enabled": is neither true nor false`,
		`a.xlsx line 13 column "enabled": holds the error of a formula`,
	})
	if prov.Files[0].Rows != 7 {
		t.Errorf("%d rows", prov.Files[0].Rows)
	}
}

func TestSheetFaults(t *testing.T) {
	good := inline([]string{"id"}, []string{"1"})
	rels := func(target, kind string) string {
		return `<Relationships><Relationship Id="r1" Type="a/` + kind + `" Target="` + target + `"/></Relationships>`
	}
	for _, c := range []struct{ what, text, want string }{
		{"empty sheet", bookOf(t, ""), "a.xlsx: is empty, without even a header"},
		{"header alone", bookOf(t, inline([]string{"id"})), "a.xlsx: has no rows: set allow_empty where that can be right"},
		{"no column", bookOf(t, inline([]string{"who"}, []string{"1"})), "a.xlsx: has no column for id: it has who; name the column under files.accounts.columns"},
		{"heading that is an error", bookOf(t, inline([]string{`<c t="e"><v>#REF!</v></c>`}, []string{"1"})), "a.xlsx: line 1: the heading in column A: holds the error #REF!"},
		{"rows out of order", bookOf(t, `<row r="5"/><row r="4"/>`), `a.xlsx: the rows of the sheet are out of order at row "4"`},
		{"cells out of order", bookOf(t, `<row><c r="B1"/><c r="A1"/></row>`), `a.xlsx: row 1: the cells are out of order at "A1"`},
		{"cells beyond the last column", bookOf(t, `<row><c r="AAAA1"/></row>`), "a.xlsx: row 1: has more than 16384 columns"},
		{"XML cut off", bookOf(t, "", "xl/worksheets/sheet1.xml", `<worksheet><sheetData>`+good), "a.xlsx: the archive was cut off"},
		{"XML cut off in a tag", bookOf(t, "", "xl/worksheets/sheet1.xml", `<worksheet><sheetData>`+good+"<row"), "a.xlsx: xl/worksheets/sheet1.xml: the workbook is damaged: XML syntax error on line 1: unexpected EOF"},
		{"an entity", bookOf(t, inline([]string{"id"}, []string{"&lol;"})), "a.xlsx: xl/worksheets/sheet1.xml: the workbook is damaged"},
		{"no sheet", bookOf(t, good, "xl/workbook.xml", `<workbook/>`), "a.xlsx: the workbook has no sheet"},
		{"a sheet that is missing", bookOf(t, good, "xl/worksheets/sheet1.xml", ""), "a.xlsx: the workbook lacks its part xl/worksheets/sheet1.xml"},
		{"zip without workbook", zipOf(t, "a.txt", "x"), "a.xlsx: is a zip archive, but no workbook"},
		{"binary workbook", bookOf(t, good, "_rels/.rels", rels("xl/workbook.bin", "officeDocument")), "a.xlsx: is a binary workbook (.xlsb): save it as .xlsx"},
		{"old or encrypted workbook", oldBook + strings.Repeat("x", 600), "a.xlsx: is encrypted with a password, or an old .xls: save it as .xlsx without one"},
		{"CSV", "id\n1\n", "a.xlsx: no workbook: is no zip archive, or its end is missing: it was cut off"},
		{"long row above merged headings", bookOf(t, inline([]string{"id", "<c/>"}, []string{strings.Repeat("x", 3e5)})), "a.xlsx: line 2: a row is longer than 1000 bytes (max_record)"},
		{"long row", bookOf(t, inline([]string{"id"}, []string{strings.Repeat("x", 3e5)})), "a.xlsx: line 2: a row is longer than 1000 bytes (max_record)"},
	} {
		out, _, err := gather(t, write(t, map[string]string{"a.xlsx": c.text}), "max_record: 1000\nfiles: {accounts: {path: a.xlsx}}")
		if err == nil || !strings.HasPrefix(err.Error(), c.want) {
			t.Errorf("%s:\ngot  %v\nwant %s", c.what, err, c.want)
		}
		if len(out.records) > 0 {
			t.Errorf("%s: %d records of a broken file were passed on", c.what, len(out.records))
		}
	}
	long := bookOf(t, good, "xl/sharedStrings.xml", "<sst><si><t>"+strings.Repeat("long ", 4<<20)+"</t></si></sst>")
	if _, _, err := gather(t, write(t, map[string]string{"a.xlsx": long}), "max_ratio: 5000\nfiles: {accounts: {path: a.xlsx}}"); err == nil || err.Error() != "a.xlsx: xl/sharedStrings.xml: a text is longer than 16777216 bytes" {
		t.Errorf("a text of 20 MB: %v", err)
	}
	bomb := bookOf(t, good, "xl/sharedStrings.xml", "<sst><si><t>"+strings.Repeat("<si/>", 1<<20)+"</t></si></sst>")
	if _, _, err := gather(t, write(t, map[string]string{"a.xlsx": bomb}), "files: {accounts: {path: a.xlsx}}"); err == nil || !strings.Contains(err.Error(), "max_ratio") {
		t.Errorf("a part that unpacks to 5 MB of nothing: %v", err)
	}
}

// Two rows of headings, of which the upper ones reach down or over.
func TestMergedHeadings(t *testing.T) {
	sheet := inline([]string{"Staff", "<c/>", "<c/>", "<c/>"}, []string{"id", "name", "<c/>", "Dates"}, []string{"<c/>", "given", "family", "<c/>"}, []string{"1", "Ada", "L", "x"})
	dir := write(t, map[string]string{"a.xlsx": bookOf(t, sheet, "xl/worksheets/sheet1.xml", `<x:worksheet xmlns:x="y"><x:sheetData>`+
		strings.NewReplacer("<c", "<x:c", "</c", "</x:c", "<row", "<x:row", "</row", "</x:row", "<is", "<x:is", "</is", "</x:is", "<t>", "<x:t>", "</t>", "</x:t>").Replace(sheet)+
		`</x:sheetData><x:mergeCells><x:mergeCell ref="A1:D1"/><x:mergeCell ref="A2:A3"/><x:mergeCell ref="B2:C2"/><x:mergeCell ref="D2:D3"/></x:mergeCells></x:worksheet>`)})
	out, _, err := gather(t, dir, "files: {accounts: {path: a.xlsx, header: 3, columns: {id: id, name: [given, family], purpose: Dates}}}")
	if err != nil {
		t.Fatal(err)
	}
	same(t, out.records, []access.Record{access.Account{ID: "1", Name: "Ada L", Purpose: "x"}})
	_, _, err = gather(t, dir, "files: {accounts: {path: a.xlsx, header: 9, columns: {id: id}}}")
	if err == nil || err.Error() != "a.xlsx: is empty, without even a header" {
		t.Errorf("header below the last row: %v", err)
	}
}

// A CSV file may have a title above its headings, too.
func TestHeaderLine(t *testing.T) {
	for text, want := range map[string]string{
		"Users, all of them\n\nid;name\n1;Ada\n2;Bob\n":      "1 2",
		"#TYPE System.Object\nUsers, all\nid;name\n1;A, B\n": "1",
		"sep=;\nUsers, all of them\nid;name\n1;A, B\n":       "1",
		"\"Users\nof 2026\"\nid;name\n1;Ada\n":               "1", // the title's quotes hold a line
	} {
		out, _, err := gather(t, write(t, map[string]string{"a.csv": text}), "files: {accounts: {path: a.csv, header: 3}}")
		if err != nil || ids(out) != want {
			t.Errorf("%q: %q, %v", text, ids(out), err)
		}
	}
	_, _, err := gather(t, write(t, map[string]string{"a.csv": "id\n1\n"}), "files: {accounts: {path: a.csv, header: 9}}")
	if err == nil || err.Error() != "a.csv: is empty, without even a header" {
		t.Errorf("header below the last line: %v", err)
	}
}

func TestNumbers(t *testing.T) {
	b := &book{styles: []style{{}, {date: true}, {zeros: 5}}}
	for _, c := range []struct {
		raw   string
		style int
		want  string
	}{
		{"57", 0, "57"}, {"-3", 0, "-3"}, {"57.100000000000001", 0, "57.1"}, {"0.30000000000000004", 0, "0.3"}, {"1E-3", 0, "0.001"}, {"1.5E+3", 0, "1500"},
		{"123456789012345678", 0, "123456789012345678"}, {"1E+20", 0, "100000000000000000000"}, {"", 0, ""}, {"7", 9, "7"},
		{"42", 2, "00042"}, {"123456", 2, "123456"}, {"4.5", 2, "4.5"}, {"-4", 2, "-4"},
		{"1", 1, "1900-01-01"}, {"59", 1, "1900-02-28"}, {"61", 1, "1900-03-01"}, {"60", 1, "60"}, {"45292", 1, "2024-01-01"}, {"45292.5", 1, "2024-01-01T12:00:00"},
		{"46346.73993055556", 1, "2026-11-20T17:45:30"}, {"45292.99999999999", 1, "2024-01-02"}, {"0.5", 1, "0.5"}, {"-1", 1, "-1"}, {"2958465", 1, "9999-12-31"}, {"2958466", 1, "2958466"},
	} {
		if got, reason := b.number(c.raw, c.style); got != c.want || reason != "" {
			t.Errorf("%q in style %d: %q, %q, want %q", c.raw, c.style, got, reason, c.want)
		}
	}
	b.y1904 = true
	if got, _ := b.number("0", 1); got != "1904-01-01" {
		t.Errorf("day 0 since 1904: %q", got)
	}
	for _, bad := range []string{"x", "NaN", "Inf", "1e999", "0x1p-2z"} {
		if got, reason := b.number(bad, 0); reason == "" {
			t.Errorf("%q was read as %q", bad, got)
		}
	}
	for code, want := range map[string]bool{
		"yyyy-mm-dd": true, "d/m/yy h:mm": true, `[$-409]d\-mmm\-yy;@`: true, "mm-dd-yy": true, "[Red]0.00": false, "General": false, "h:mm:ss": false, "[h]:mm": false,
		`0.00" days"`: false, `"y"0`: false, `\d0`: false, "@": false, `#,##0.00\ "Stück"`: false, "mmm yyyy": true, `"unclosed`: false, "[unclosed": false, "0;dd": false,
	} {
		if got := dateCode(code); got != want {
			t.Errorf("format %q: date %v, want %v", code, got, want)
		}
	}
}

func TestYAMLList(t *testing.T) {
	dir := write(t, map[string]string{"a.yaml": "# by hand\n- {id: 007, name: Ada, enabled: yes}\n- id: b\n  last-login-at: 2026-11-20\n- {name: nobody}\n"})
	out, prov, err := gather(t, dir, "files: {accounts: {path: a.yaml}}")
	if err != nil {
		t.Fatal(err)
	}
	same(t, out.records, []access.Record{access.Account{ID: "007", Name: "Ada", Enabled: yes()}, access.Account{ID: "b", LastLoginAt: at("2026-11-20T00:00:00Z")}})
	same(t, out.reasons(), []string{`a.yaml line 5 column "id": the id is empty`})
	if prov.Files[0].Rows != 3 {
		t.Errorf("%d rows", prov.Files[0].Rows)
	}
	for text, want := range map[string]string{
		"- {id: 1, emial: x}":               `a.yaml: line 1: unknown key "emial": did you mean "email"?`,
		"- {id: 1}\n- {id: 2, id: 3}":       `a.yaml: line 2: the key "id" stands already in the same item`,
		"- {id: 1}\n- 2":                    "a.yaml: line 2: want a mapping such as {name: value}",
		"id: 1":                             "a.yaml: line 1: want a list",
		"- &a {id: 1}\n- {id: 2, tags: *a}": "a.yaml: line 2: an alias is not followed here: write the value",
		"- {id: 1}\n---\n- {id: 2}":         "a.yaml: more than one YAML document: keep one",
		"# nothing":                         "a.yaml: is empty",
		"- {id: [":                          "a.yaml: line 1: did not find expected node content",
	} {
		if _, _, err := gather(t, write(t, map[string]string{"a.yaml": text}), "files: {accounts: {path: a.yaml}}"); err == nil || err.Error() != want {
			t.Errorf("%q:\ngot  %v\nwant %s", text, err, want)
		}
	}
}

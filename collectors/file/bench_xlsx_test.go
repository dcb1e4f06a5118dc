package file

import (
	"archive/zip"
	"bufio"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/lapse-audit/lapse/internal/collect"
	"github.com/lapse-audit/lapse/internal/collect/collecttest"
)

// BenchmarkWorkbook reads LAPSE_BENCH_ACCOUNTS accounts, 100,000 by default, from a sheet, through the runner as a scan does.
func BenchmarkWorkbook(b *testing.B) {
	rows := collecttest.Accounts(b, 100_000)
	dir := b.TempDir()
	f, err := os.Create(filepath.Join(dir, "a.xlsx"))
	if err != nil {
		b.Fatal(err)
	}
	z := zip.NewWriter(f)
	part := func(name string, text func(w *bufio.Writer)) {
		to, err := z.Create(name)
		if err != nil {
			b.Fatal(err)
		}
		w := bufio.NewWriter(to)
		text(w)
		if err := w.Flush(); err != nil {
			b.Fatal(err)
		}
	}
	fixed := func(s string) func(*bufio.Writer) { return func(w *bufio.Writer) { w.WriteString(s) } }
	part("_rels/.rels", fixed(`<Relationships><Relationship Id="r1" Type="a/officeDocument" Target="xl/workbook.xml"/></Relationships>`))
	part("xl/workbook.xml", fixed(`<workbook xmlns:r="x"><sheets><sheet name="A" sheetId="1" r:id="r1"/></sheets></workbook>`))
	part("xl/_rels/workbook.xml.rels", fixed(`<Relationships><Relationship Id="r1" Type="a/worksheet" Target="sheet1.xml"/><Relationship Id="r2" Type="a/sharedStrings" Target="s.xml"/><Relationship Id="r3" Type="a/styles" Target="st.xml"/></Relationships>`))
	part("xl/st.xml", fixed(`<styleSheet><cellXfs><xf numFmtId="0"/><xf numFmtId="14"/></cellXfs></styleSheet>`))
	part("xl/s.xml", func(w *bufio.Writer) {
		w.WriteString("<sst>")
		for _, h := range []string{"id", "username", "email", "name", "kind", "enabled", "last_login_at", "human"} {
			fmt.Fprintf(w, "<si><t>%s</t></si>", h)
		}
		for i := range rows {
			fmt.Fprintf(w, "<si><t>S-1-5-21-1004336348-%d</t></si><si><t>user%d@example.test</t></si>", i, i)
		}
		w.WriteString("</sst>")
	})
	part("xl/sheet1.xml", func(w *bufio.Writer) {
		w.WriteString(`<worksheet><sheetData><row r="1">`)
		for i := range 7 {
			fmt.Fprintf(w, `<c r="%s1" t="s"><v>%d</v></c>`, letters(i), i)
		}
		w.WriteString("</row>")
		for i := range rows {
			n := i + 2
			fmt.Fprintf(w, `<row r="%d"><c r="A%d" t="s"><v>%d</v></c><c r="B%d" t="str"><v>user%d</v></c><c r="C%d" t="s"><v>%d</v></c><c r="D%d" t="inlineStr"><is><t>Name %d</t></is></c><c r="E%d" t="s"><v>7</v></c><c r="F%d" t="b"><v>1</v></c><c r="G%d" s="1"><v>%d</v></c></row>`,
				n, n, 8+2*i, n, i, n, 9+2*i, n, i, n, n, n, 46000+i%300)
		}
		w.WriteString("</sheetData></worksheet>")
	})
	if err := z.Close(); err != nil {
		b.Fatal(err)
	}
	if err := f.Close(); err != nil {
		b.Fatal(err)
	}
	k := build(b, dir, "files: {accounts: {path: a.xlsx}}")
	most := 0.0
	for b.Loop() {
		most = max(most, collecttest.Grown(func() {
			out := &nothing{}
			if _, err := collect.Run(b.Context(), k, out, collect.Options{Limits: collect.DefaultLimits(), Now: time.Now()}); err != nil || out.n != rows {
				b.Fatal(out.n, err)
			}
		}))
	}
	b.ReportMetric(most, "MiB")
	b.ReportMetric(float64(rows*b.N)/b.Elapsed().Seconds(), "rows/s")
}

package cli_test

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	"compress/gzip"
	"context"
	"encoding/csv"
	"encoding/xml"
	"errors"
	"flag"
	"fmt"
	"log"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/lapse-audit/lapse/internal/cli"
)

var update = flag.Bool("update", false, "rewrite the expected output in the scripts")

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){
		"erp":  erp,
		"mkhr": makeRoster,
		"lapse": func() {
			ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
			defer stop()
			program, err := os.Executable()
			if err != nil {
				log.Fatal(err)
			}
			os.Exit(cli.Run(ctx, cli.System{
				Args: os.Args[1:], Stdin: os.Stdin, Stdout: os.Stdout, Stderr: os.Stderr, LookupEnv: os.LookupEnv, Version: "test", Program: program,
			}))
		},
	})
}

// TestScripts runs testdata/script/*.txtar: each is a session of a user at the command line.
func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir:                 filepath.Join("..", "..", "testdata", "script"),
		UpdateScripts:       *update,
		RequireExplicitExec: true,
		RequireUniqueNames:  true,
		Setup: func(env *testscript.Env) error {
			for _, name := range []string{"LAPSE_LIBCHDB", "GOCOVERDIR"} {
				if v := os.Getenv(name); v != "" {
					env.Setenv(name, v)
				}
			}
			env.Setenv("LAPSE_ACTOR", "u123")
			env.Setenv("TZ", "UTC")
			command, err := exec.LookPath("erp")
			env.Setenv("ERP", command)
			// Decisions are recorded at the time it is: what they are about lies around it.
			for i := range 61 {
				env.Setenv(fmt.Sprintf("DAY%d", i), time.Now().UTC().AddDate(0, 0, i).Format(time.DateOnly))
			}
			env.Setenv("AGO31", time.Now().UTC().AddDate(0, 0, -31).Format(time.DateOnly))
			return err
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"exits":  exits,
			"bundle": makeBundle,
			"grab":   grab,
			"fill":   fill,
			"sheet":  makeSheet,
			"pack":   packFiles,
			"dated": func(ts *testscript.TestScript, _ bool, args []string) { // dated 2026-11-22T20:00:00Z FILE...
				at, err := time.Parse(time.RFC3339, args[0])
				ts.Check(err)
				for _, name := range args[1:] {
					ts.Check(os.Chtimes(ts.MkAbs(name), at, at))
				}
			},
			"forge": func(ts *testscript.TestScript, _ bool, args []string) {
				text := ts.ReadFile(args[0])
				ts.Check(os.WriteFile(ts.MkAbs(args[0]), []byte(strings.Replace(text, "hand-over", "hand_over", 1)), 0o600))
			},
			"latin1": func(ts *testscript.TestScript, _ bool, args []string) {
				text := "id,name,status,start_at,end_at,kind\np1,Zo\xeb,active,2020-01-01,,employee\np2,Bea,ended,2020-01-01,2026-10-01,employee\n"
				ts.Check(os.WriteFile(ts.MkAbs(args[0]), []byte(text), 0o600))
			},
		},
	})
}

// exits checks the exit code of a program: exits 4 lapse scan.
func exits(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: exits CODE PROGRAM ARGS...")
	}
	code := 0
	if err := ts.Exec(args[1], args[2:]...); err != nil {
		e, ok := err.(interface{ ExitCode() int })
		ts.Check(map[bool]error{false: err}[ok])
		code = e.ExitCode()
	}
	if want := args[0]; want != string(rune('0'+code)) {
		ts.Fatalf("exit code %d, want %s", code, want)
	}
}

// makeBundle packs a folder: bundle FILE.tar.gz FOLDER.
func makeBundle(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: bundle FILE FOLDER")
	}
	var b bytes.Buffer
	gz := gzip.NewWriter(&b)
	w := tar.NewWriter(gz)
	ts.Check(w.AddFS(os.DirFS(ts.MkAbs(args[1]))))
	ts.Check(errors.Join(w.Close(), gz.Close()))
	ts.Check(os.WriteFile(ts.MkAbs(args[0]), b.Bytes(), 0o600))
}

// makeSheet makes a workbook of a CSV file, as a spreadsheet does: sheet IN.csv OUT.xlsx. What looks like a date becomes one.
func makeSheet(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: sheet IN.csv OUT.xlsx")
	}
	rows, err := csv.NewReader(strings.NewReader(ts.ReadFile(args[0]))).ReadAll()
	ts.Check(err)
	var cells strings.Builder
	for _, row := range rows {
		cells.WriteString("<row>")
		for _, text := range row {
			if day, err := time.Parse(time.DateOnly, text); err == nil {
				fmt.Fprintf(&cells, `<c s="1"><v>%d</v></c>`, int(day.Sub(time.Date(1899, 12, 30, 0, 0, 0, 0, time.UTC)).Hours()/24))
				continue
			}
			cells.WriteString(`<c t="inlineStr"><is><t>`)
			ts.Check(xml.EscapeText(&cells, []byte(text)))
			cells.WriteString("</t></is></c>")
		}
		cells.WriteString("</row>")
	}
	const types = "http://schemas.openxmlformats.org/officeDocument/2006/relationships/"
	writeZip(ts, args[1], [][2]string{
		{"_rels/.rels", `<Relationships><Relationship Id="r1" Type="` + types + `officeDocument" Target="xl/workbook.xml"/></Relationships>`},
		{"xl/workbook.xml", `<workbook xmlns:r="x"><sheets><sheet name="Sheet1" sheetId="1" r:id="r1"/></sheets></workbook>`},
		{"xl/_rels/workbook.xml.rels", `<Relationships><Relationship Id="r1" Type="` + types + `worksheet" Target="sheet1.xml"/><Relationship Id="r2" Type="` + types + `styles" Target="styles.xml"/></Relationships>`},
		{"xl/styles.xml", `<styleSheet><cellXfs><xf numFmtId="0"/><xf numFmtId="14"/></cellXfs></styleSheet>`},
		{"xl/sheet1.xml", `<worksheet><sheetData>` + cells.String() + `</sheetData></worksheet>`},
	})
}

// packFiles packs files: pack OUT.zip FILE...
func packFiles(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: pack OUT.zip FILE...")
	}
	var files [][2]string
	for _, name := range args[1:] {
		files = append(files, [2]string{name, ts.ReadFile(name)})
	}
	writeZip(ts, args[0], files)
}

func writeZip(ts *testscript.TestScript, name string, files [][2]string) {
	var b bytes.Buffer
	w := zip.NewWriter(&b)
	for _, f := range files {
		to, err := w.Create(f[0])
		ts.Check(err)
		_, err = to.Write([]byte(f[1]))
		ts.Check(err)
	}
	ts.Check(w.Close())
	ts.Check(os.WriteFile(ts.MkAbs(name), b.Bytes(), 0o600))
}

// makeRoster writes a roster of N people, p0 to pN-1, of whom every third has left: mkhr N FILE.
func makeRoster() {
	n, err := strconv.Atoi(os.Args[1])
	if err != nil {
		log.Fatal(err)
	}
	var b strings.Builder
	b.WriteString("id,name,status,start_at,end_at\n")
	for i := range n {
		status, end := "active", ""
		if i%3 == 0 {
			status, end = "ended", "2026-10-01"
		}
		fmt.Fprintf(&b, "p%d,Person %d,%s,2019-01-01,%s\n", i, i, status, end)
	}
	if err := os.WriteFile(os.Args[2], []byte(b.String()), 0o600); err != nil {
		log.Fatal(err)
	}
}

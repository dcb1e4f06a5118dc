package reports

import (
	"bufio"
	"crypto/sha256"
	"embed"
	"encoding/base64"
	"fmt"
	"html/template"
	"io"
	"strings"
	"time"
)

//go:embed sheet
var sheetFiles embed.FS

// writeSheet writes a page of its own, in the looks of the report: it loads nothing and runs no script.
func writeSheet(w io.Writer, name string, zone *time.Location, data any) error {
	css, err := pageFiles.ReadFile("page/page.css")
	if err != nil {
		return fmt.Errorf("write page: %w", err)
	}
	t, err := template.New(name).Funcs(template.FuncMap{
		"name": isolated, "visible": visible, "iso": stamp, "join": strings.Join, "count": count,
		"thousands": func(n any) string { return grouped(fmt.Sprint(n)) },
		"when":      func(t time.Time) string { return t.In(zone).Format("Mon 2 Jan 2006, 15:04 MST") },
		"day":       func(t time.Time) string { return t.In(zone).Format("2 Jan 2006") },
		"part":      func(kv ...any) map[string]any { return pairs(kv) },
	}).ParseFS(sheetFiles, "sheet/"+name)
	if err != nil {
		return fmt.Errorf("write page: %w", err)
	}
	hash := sha256.Sum256(css)
	out := bufio.NewWriterSize(w, 1<<16)
	err = t.Execute(out, map[string]any{"CSS": template.CSS(css), "Data": data, "Policy": "default-src 'none'; style-src 'sha256-" +
		base64.StdEncoding.EncodeToString(hash[:]) + "'; img-src data:; base-uri 'none'; form-action 'none'"})
	if err != nil {
		return fmt.Errorf("write page: %w", err)
	}
	if err := out.Flush(); err != nil {
		return fmt.Errorf("write page: %w", err)
	}
	return nil
}

func pairs(kv []any) map[string]any {
	out := map[string]any{}
	for i := 0; i+1 < len(kv); i += 2 {
		out[fmt.Sprint(kv[i])] = kv[i+1]
	}
	return out
}

// cell keeps foreign text from ending a cell of a Markdown table, or beginning something else.
func cell(s string) string {
	return strings.NewReplacer("\\", "\\\\", "|", "\\|", "<", "&lt;", "*", "\\*", "_", "\\_", "`", "\\`", "[", "\\[", "#", "\\#").Replace(visible(s))
}

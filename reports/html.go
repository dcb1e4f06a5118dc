package reports

import (
	"bufio"
	"cmp"
	"crypto/sha256"
	"embed"
	"encoding/base64"
	"fmt"
	"html/template"
	"io"
	"net/url"
	"path"
	"regexp"
	"slices"
	"strings"

	"github.com/lapse-audit/lapse/internal/finding"
)

//go:embed page
var pageFiles embed.FS

// HTMLOptions say what stands beside the page.
type HTMLOptions struct {
	CSV string // name of the CSV in the same folder, to which omissions refer; "" for none
}

// page is what the templates see.
type page struct {
	*Report
	CSS    template.CSS
	Policy string // content security policy
	CSV    string // relative URL
}

// HTML writes one self-contained page: it loads nothing, runs no script, and is well-formed XML too. Of each rule the
// worst 500 findings are on it, and how many were left out.
func (r *Report) HTML(w io.Writer, opts HTMLOptions) error {
	css, err := pageFiles.ReadFile("page/page.css")
	if err != nil {
		return fmt.Errorf("write page: %w", err)
	}
	t, err := template.New("page.tmpl").Funcs(r.functions()).ParseFS(pageFiles, "page/*.tmpl")
	if err != nil {
		return fmt.Errorf("write page: %w", err)
	}
	hash := sha256.Sum256(css)
	p := page{Report: r, CSS: template.CSS(css), Policy: "default-src 'none'; style-src 'sha256-" + base64.StdEncoding.EncodeToString(hash[:]) +
		"'; img-src data:; base-uri 'none'; form-action 'none'"}
	if opts.CSV != "" {
		p.CSV = "./" + url.PathEscape(path.Base(opts.CSV))
	}
	out := bufio.NewWriterSize(w, 1<<16)
	if err := t.Execute(out, p); err != nil {
		return fmt.Errorf("write page: %w", err)
	}
	if err := out.Flush(); err != nil {
		return fmt.Errorf("write page: %w", err)
	}
	return nil
}

func (r *Report) functions() template.FuncMap {
	return template.FuncMap{
		"name":      isolated,
		"visible":   visible,
		"numbers":   emphasised,
		"when":      r.when,
		"day":       r.day,
		"iso":       stamp,
		"thousands": func(n any) string { return grouped(fmt.Sprint(n)) },
		"count":     count,
		"amount":    func(decimal, currency string) string { return visible(amount(decimal, currency)) },
		"join":      strings.Join,
		"int":       func(n uint64) int { return int(n) },
		"least":     func(a, b int) int { return min(a, b) },
		"assignee":  r.AssigneeName,
		"source":    r.sourceName,
		"isNew":     r.isNew,
		"overdue":   func(f finding.Finding) bool { return !f.DueAt.IsZero() && !f.DueAt.After(r.Run.Time) },
		"evidence":  evidence,
		"severity":  severityMark,
		"trend":     r.trend,
		"standing":  r.exceptionStatus,
		"covered":   r.covered,
		"excepted":  func(t finding.Tally) int { return r.excepted[[2]string{t.Policy, t.Source}] },
		"why":       r.whyNot,
		"worded":    Change.words,
		"personal":  func(a App) string { return [...]string{"no", "not known", "yes"}[truth(a.PersonalData)+1] },
		"records":   records,
		"signals":   signals,
		"chart":     func(title string, c barChart) any { return map[string]any{"Title": title, "Chart": c} },
		"part":      func(p page, rule rulePart) any { return map[string]any{"Page": p, "Rule": rule} },
	}
}

// isolated shows foreign text so that neither markup nor writing direction gets out of it. A mail address may be broken
// after its @, before it is broken anywhere else.
func isolated(s any) template.HTML {
	return template.HTML("<bdi>" + strings.ReplaceAll(template.HTMLEscapeString(visible(s)), "@", "@<wbr/>") + "</bdi>")
}

// visible replaces control characters, and those that turn the writing direction by force, by something to see.
func visible(s any) string {
	return strings.Map(func(c rune) rune {
		switch {
		case c == '\n' || c == '\t':
			return ' '
		case c < ' ':
			return '\u2400' + c
		case c >= 0x7f && c < 0xa0, c >= '\u202a' && c <= '\u202e', c >= '\u2066' && c <= '\u2069', c == '\ufffe', c == '\uffff':
			return '\ufffd'
		}
		return c
	}, strings.ToValidUTF8(fmt.Sprint(s), "\ufffd"))
}

var number = regexp.MustCompile(`[0-9][0-9,]*`)

// emphasised makes the numbers of a sentence of ours stand out.
func emphasised(s string) template.HTML {
	return template.HTML(number.ReplaceAllString(template.HTMLEscapeString(s), "<b>$0</b>"))
}

// rulePart is what the page shows of one rule, of the backlog or without it.
type rulePart struct {
	Policy
	Anchor   string
	Backlog  bool
	Severity finding.Severity // of the worst finding, which lapse.yaml may have set
	Findings []finding.Finding
	Total    int // of which Findings are the worst
	New      int
	Carried  int
	Judged   string
	Costs    []Money // of the whole rule
}

// Omitted is how many findings are not on the page.
func (p rulePart) Omitted() int { return p.Total - len(p.Findings) }

// Open is true for a list short enough to stand open.
func (p rulePart) Open() bool { return len(p.Findings) <= 15 }

// Priced tells whether a column of costs is needed.
func (p rulePart) Priced() bool {
	return slices.ContainsFunc(p.Findings, func(f finding.Finding) bool { return f.CostMonth != "" })
}

// RuleParts lists the rules with standing findings, the most severe first.
func (p page) RuleParts(backlog bool) []rulePart {
	var out []rulePart
	for id, g := range p.byPolicy {
		part := rulePart{Anchor: "rule-" + id, Backlog: backlog, Total: g.Count.Open, New: g.Count.New, Judged: p.judged(id).words(), Costs: g.Cost()}
		if backlog {
			part.Anchor, part.Total, part.New = "backlog-"+id, g.Count.Backlog, 0
		}
		if part.Total == 0 {
			continue
		}
		part.Policy, _ = p.policy(id)
		part.Severity = part.Policy.Severity
		for _, f := range p.worst[id] {
			if f.Backlog != backlog {
				continue
			}
			if part.Findings = append(part.Findings, f); f.Carried {
				part.Carried++
			}
			part.Title = cmp.Or(part.Title, f.Title)
		}
		if len(part.Findings) > 0 {
			part.Severity = part.Findings[0].Severity
		}
		out = append(out, part)
	}
	slices.SortFunc(out, func(a, b rulePart) int {
		return cmp.Or(cmp.Compare(b.Severity, a.Severity), cmp.Compare(b.Total, a.Total), cmp.Compare(a.ID, b.ID))
	})
	return out
}

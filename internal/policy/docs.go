package policy

import (
	_ "embed"
	"fmt"
	"html/template"
	"io"
	"maps"
	"slices"
	"strings"
)

//go:embed docs.html
var docsPage string

// entry is a policy as the catalogue shows it.
type entry struct {
	Policy
	Area     string
	Settings []setting
	Judges   []string // which subjects, in words
	Asks     string
}

type setting struct {
	Name  string
	Value any
}

func (p *Pack) entries() []entry {
	var out []entry
	for _, policy := range p.Policies() {
		e := entry{Policy: policy, Asks: strings.ReplaceAll(policy.Assignee, "_", " ")}
		e.Area, _, _ = strings.Cut(policy.ID, "-")
		for _, name := range slices.Sorted(maps.Keys(policy.Params)) {
			e.Settings = append(e.Settings, setting{name, policy.Params[name]})
		}
		for _, c := range policy.Scope {
			e.Judges = append(e.Judges, fmt.Sprintf("%s is %s", c.Path, anyOf(c.Values)))
		}
		for _, n := range policy.Needs {
			e.Judges = append(e.Judges, strings.Join(n, " or ")+" is known")
		}
		out = append(out, e)
	}
	return out
}

func anyOf(values []any) string {
	words := make([]string, len(values))
	for i, v := range values {
		words[i] = fmt.Sprint(v)
	}
	return list(words)
}

// WriteMarkdown writes the catalogue of the pack's policies.
func (p *Pack) WriteMarkdown(w io.Writer) error {
	escape := strings.NewReplacer("|", `\|`, "<", "&lt;", "*", `\*`, "_", `\_`, "`", "\\`", "[", `\[`).Replace
	var b strings.Builder
	entries := p.entries()
	b.WriteString("# Policies\n\n| id | severity | on | what it flags |\n| --- | --- | --- | --- |\n")
	for _, e := range entries {
		fmt.Fprintf(&b, "| [%s](#%s) | %s | %s | %s |\n", e.ID, strings.ToLower(e.ID), e.Severity, yes(e.Enabled), escape(e.Title))
	}
	for _, e := range entries {
		fmt.Fprintf(&b, "\n<a id=%q></a>\n## %s: %s\n\n", strings.ToLower(e.ID), e.ID, escape(e.Title))
		if e.Description != "" {
			fmt.Fprintf(&b, "%s\n\n", escape(e.Description))
		}
		fmt.Fprintf(&b, "- severity: %s\n- on: %s\n- judges: each %s", e.Severity, yes(e.Enabled), e.Subject)
		if e.Judges != nil {
			fmt.Fprintf(&b, " of which `%s`", strings.Join(e.Judges, "`, `"))
		}
		fmt.Fprintf(&b, "\n- asked first: %s\n- action: %s\n", escape(e.Asks), escape(e.Action))
		for _, s := range e.Settings {
			fmt.Fprintf(&b, "- parameter `%s`: `%v`\n", s.Name, s.Value)
		}
		if e.Exempt != nil {
			fmt.Fprintf(&b, "- exempt: people on %s\n", strings.Join(e.Exempt, ", "))
		}
		if e.Controls != nil {
			fmt.Fprintf(&b, "- controls: %s\n", escape(strings.Join(e.Controls, ", ")))
		}
		fmt.Fprintf(&b, "- written in: `%s`\n", e.File)
	}
	_, err := io.WriteString(w, b.String())
	return err
}

func yes(b bool) string {
	if b {
		return "yes"
	}
	return "no"
}

// WriteHTML writes the catalogue as one page that needs nothing else.
func (p *Pack) WriteHTML(w io.Writer) error {
	t, err := template.New("docs").Funcs(template.FuncMap{"yes": yes, "lower": strings.ToLower, "join": strings.Join}).Parse(docsPage)
	if err != nil {
		return err
	}
	return t.Execute(w, p.entries())
}

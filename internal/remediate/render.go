package remediate

import (
	_ "embed"
	"fmt"
	"html/template"
	"io"
	"math/big"
	"slices"
	"strings"
	"time"
)

// Totals are what a plan comes to.
type Totals struct {
	Changes, Manual, Accounts, Seats int
	Cost                             []string // a month, "57.00 USD", by currency
}

// Totals sums a plan up.
func (p Plan) Totals() Totals {
	var t Totals
	accounts := map[string]bool{}
	cost := map[string]*big.Rat{}
	for _, s := range p.Steps {
		if s.Manual != "" {
			t.Manual++
		} else {
			t.Changes++
		}
		accounts[s.Source+" "+s.Change.Object.ID] = true
		t.Seats += s.Effect.Seats
		if v, ok := new(big.Rat).SetString(s.Effect.CostMonth); ok {
			if cost[s.Effect.Currency] == nil {
				cost[s.Effect.Currency] = new(big.Rat)
			}
			cost[s.Effect.Currency].Add(cost[s.Effect.Currency], v)
		}
	}
	t.Accounts = len(accounts)
	for currency, sum := range cost {
		t.Cost = append(t.Cost, strings.TrimSpace(sum.FloatString(2)+" "+currency))
	}
	slices.Sort(t.Cost)
	return t
}

// String is the sum in words.
func (t Totals) String() string {
	parts := []string{count(t.Changes, "change")}
	if t.Manual > 0 {
		parts = append(parts, fmt.Sprintf("%d by hand", t.Manual))
	}
	parts = append(parts, count(t.Accounts, "account"))
	if t.Seats > 0 {
		parts = append(parts, count(t.Seats, "seat")+" freed")
	}
	if len(t.Cost) > 0 {
		parts = append(parts, strings.Join(t.Cost, " + ")+" a month")
	}
	return strings.Join(parts, ", ")
}

func count(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}

// What says what a step does, in words.
func (s Step) What() string {
	verb := map[string]string{
		"disable": "disable", "end_sessions": "end all sessions", "reset_password": "reset the password", "expire": "let it expire", "revoke": "take away " + s.Target,
		"reclaim": "reclaim " + s.Target, "disable_key": "disable key " + s.Target, "handover": "hand over what it owns", "clear_manager": "clear the manager",
		"move": "move to " + s.Target, "delete": "delete", "task": s.Manual,
	}[string(s.Change.Action)]
	if s.Change.Until != nil {
		verb += " on " + s.Change.Until.UTC().Format("2006-01-02 15:04 MST")
	}
	if s.Change.Action == "handover" && s.Target != "" {
		verb += " to " + s.Target
	}
	if verb == "" {
		verb = words(s.Change.Action)
	}
	return verb
}

// ByHand says why a person has to make the change, "" if Lapse does or if it is a task anyway.
func (s Step) ByHand() string {
	if s.Change.Action == task {
		return ""
	}
	return s.Manual
}

// Waits says that a step is not due when the plan is made.
func (p Plan) Waits(s Step) bool { return s.NotBefore.After(p.Made) }

// Effects says what a step comes to beside the change itself, one text each.
func (s Step) Effects() []string {
	var out []string
	if len(s.Effect.Loses) > 1 || len(s.Effect.Loses) == 1 && s.Effect.Loses[0] != s.Target {
		out = append(out, "loses "+strings.Join(s.Effect.Loses, ", "))
	}
	if s.Effect.CostMonth != "" {
		out = append(out, fmt.Sprintf("frees %s %s a month", s.Effect.CostMonth, s.Effect.Currency))
	} else if s.Effect.Seats > 0 {
		out = append(out, "frees a seat")
	}
	for _, who := range s.Effect.AlsoHit {
		out = append(out, "also hits "+who)
	}
	return out
}

// PlanView is a plan with what a reader needs beside it.
type PlanView struct {
	Plan
	Hash     string
	Zone     *time.Location
	Refusals []Refusal
}

// When writes a time for readers.
func (v PlanView) When(t time.Time) string { return t.In(v.Zone).Format("2006-01-02 15:04 MST") }

//go:embed plan.html.tmpl
var planHTML string

//go:embed style.css
var style string

var pages = template.Must(template.New("plan").Funcs(template.FuncMap{
	"style": func() template.CSS { return template.CSS(style) }, // our own text
	"join":  strings.Join,
}).Parse(planHTML))

// HTML writes a plan as one page without anything from elsewhere.
func (v PlanView) HTML(w io.Writer) error {
	if err := pages.Execute(w, v); err != nil {
		return fmt.Errorf("write plan %s: %w", v.ID, err)
	}
	return nil
}

// Markdown writes a plan for a ticket or a pull request.
func (v PlanView) Markdown(w io.Writer) error {
	var b strings.Builder
	fmt.Fprintf(&b, "# Plan %s\n\n", v.ID)
	if v.PersonName != "" || v.Person != "" {
		fmt.Fprintf(&b, "For %s\n\n", mark(strings.TrimSpace(v.PersonName+" ("+v.Person+")")))
	}
	fmt.Fprintf(&b, "%s. Made %s by %s of run %d (%s). Hash `%.16s`.\n", v.Totals(), v.When(v.Made), mark(v.By), v.Run, v.When(v.RunTime), v.Hash)
	for _, r := range v.Refusals {
		fmt.Fprintf(&b, "\n**Would be refused now**: %s\n", mark(r.String()))
	}
	b.WriteString("\n| # | source | account | change | why | can be undone |\n| --- | --- | --- | --- | --- | --- |\n")
	for _, s := range v.Steps {
		what := append([]string{s.What()}, s.Effects()...)
		if s.ByHand() != "" {
			what = append(what, "by hand: "+s.ByHand())
		}
		if v.Waits(s) {
			what = append(what, "not before "+v.When(s.NotBefore))
		}
		var why []string
		for _, one := range s.Why {
			why = append(why, one.Policy+": "+one.Message)
		}
		fmt.Fprintf(&b, "| %d | %s | %s | %s | %s | %s |\n", s.N, mark(s.Source), mark(s.Subject), mark(strings.Join(what, "; ")), mark(strings.Join(why, "; ")), yes(s.Undo))
	}
	if len(v.Left) > 0 {
		fmt.Fprintf(&b, "\n## Left as it is (%d)\n\n| policy | source | account | why nothing is planned |\n| --- | --- | --- | --- |\n", len(v.Left))
		for _, l := range v.Left {
			fmt.Fprintf(&b, "| %s | %s | %s | %s |\n", mark(l.Why.Policy), mark(l.Source), mark(l.Subject), mark(l.Reason))
		}
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// mark keeps names of foreign systems from being taken for Markdown.
func mark(s string) string {
	s = strings.Join(strings.Fields(s), " ")
	return strings.NewReplacer(`\`, `\\`, "|", `\|`, "*", `\*`, "_", `\_`, "`", "\\`", "<", "&lt;", ">", "&gt;", "[", `\[`, "]", `\]`, "#", `\#`).Replace(s)
}

func yes(b bool) string {
	if b {
		return "yes"
	}
	return "no"
}

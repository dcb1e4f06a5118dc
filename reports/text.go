package reports

import (
	"bufio"
	"cmp"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/lapse-audit/lapse/internal/finding"
)

// TextOptions say where a summary is read.
type TextOptions struct {
	Width int    // columns; 0 is 80, fewer than 60 are taken as 60
	Color bool   // for a terminal, unless NO_COLOR is set: the caller looks
	Full  string // where the full report is, "" for nowhere
}

const (
	textCases  = 8
	textBlinds = 12
)

// Text writes a summary that fits a terminal. Of foreign names nothing reaches the terminal that could steer it.
func (r *Report) Text(w io.Writer, opts TextOptions) error {
	if opts.Width == 0 {
		opts.Width = 80
	}
	t := &terminal{out: bufio.NewWriter(w), width: max(opts.Width, 60), color: opts.Color}
	r.textHeading(t)
	r.textAlarms(t)
	r.textCounts(t)
	r.textFacts(t)
	r.textCases(t)
	r.textMoney(t)
	r.textBlinds(t)
	r.textInventory(t)
	if opts.Full != "" {
		t.line("")
		t.wrap("", "Full report: "+opts.Full)
	}
	if err := t.out.Flush(); err != nil {
		return fmt.Errorf("write summary: %w", err)
	}
	return nil
}

func (r *Report) textHeading(t *terminal) {
	title := "Access report"
	if r.Company != "" {
		title += ": " + Printable(r.Company)
	}
	t.line(t.bold(t.fit(title, t.width)))
	state := "complete"
	if !r.Run.Complete() {
		state = "INCOMPLETE"
	}
	t.wrap("", fmt.Sprintf("Run %d of %s, %s", r.Run.ID, r.when(r.Run.Time), state))
	t.wrap("", r.rosterLine())
}

// rosterLine says as of when people are known, and from where.
func (r *Report) rosterLine() string {
	asOf := r.RosterAsOf()
	var names []string
	standIn := false
	for _, in := range r.Inputs {
		if in.Roster {
			names = append(names, r.sourceName(in.UID))
			standIn = standIn || in.StandIn
		}
	}
	switch {
	case names == nil:
		return "No roster: nobody is known to have left"
	case asOf.IsZero():
		return "Roster never read (" + strings.Join(names, ", ") + "): nobody is known to have left"
	}
	line := fmt.Sprintf("Roster as of %s, %s (%s)", r.when(asOf), age(r.Run.Time.Sub(asOf)), strings.Join(names, ", "))
	if standIn {
		line += "; a directory stands in for HR"
	}
	return line
}

func (r *Report) textAlarms(t *terminal) {
	unsound := r.Unsound()
	if len(unsound) == 0 && r.Run.Complete() && len(r.Gone) == 0 {
		return
	}
	t.line("")
	if len(unsound) > 0 {
		t.alarm("NOT EVERY SOURCE IS FRESH. Findings that rest on these were carried over; none of them was closed.")
	}
	for _, in := range unsound {
		t.alarm(r.inputLine(in))
	}
	for _, g := range r.Gone {
		t.alarm(fmt.Sprintf("NO SOURCE ANY MORE %s: it was read for the run before. What stood on it is closed, and nobody has mended it: %s.",
			cmp.Or(g.Name, g.UID), count(r.ClosedOn(g.UID), "finding", "findings")))
	}
	if !r.Run.Complete() {
		t.alarm("THE RUN IS INCOMPLETE: " + strings.Join(r.Run.Reasons, "; "))
	}
}

// inputLine says what is wrong with a source and what was used in its place.
func (r *Report) inputLine(in Input) string {
	line := strings.ToUpper(string(in.Status)) + " " + r.sourceName(in.UID) + ": "
	if in.Taken.IsZero() {
		line += "no data"
	} else {
		line += "data of " + r.when(in.DataOf()) + " was used"
	}
	if len(in.Reasons) > 0 {
		line += " (" + strings.Join(in.Reasons, "; ") + ")"
	}
	return line
}

func (r *Report) textCounts(t *terminal) {
	t.line("")
	t.line(t.dim(fmt.Sprintf("%-10s%9s%9s%9s%9s%9s", "", "open", "new", "closed", "backlog", "excepted")))
	row := func(name string, c Count) string {
		return fmt.Sprintf("%-10s%9s%9s%9s%9s%9s", name, thousands(c.Open), thousands(c.New), thousands(c.Closed), thousands(c.Backlog), thousands(c.Excepted))
	}
	for s := finding.Critical; s >= finding.Info; s-- {
		if c := r.BySeverity[s]; c != (Count{}) {
			t.line(t.severity(s, row(s.String(), c)))
		}
	}
	t.line(t.bold(row("total", r.Total.Count)))
	if n := r.Total.Count.Carried; n > 0 {
		t.wrap("", fmt.Sprintf("%s carried over, for this run could not judge them.", count(n, "finding was", "findings were")))
	}
	if b := r.Total.Count.Backlog; b > 0 {
		line := fmt.Sprintf("The backlog is what was there on a source's or a rule's first night: %s", count(b, "finding", "findings"))
		if r.Backlog.Overdue > 0 {
			line += ", " + thousands(r.Backlog.Overdue) + " overdue"
		}
		if !r.Backlog.Next.IsZero() {
			line += ", next due " + r.day(r.Backlog.Next)
		}
		t.wrap("", line+".")
	}
}

func (r *Report) textFacts(t *terminal) {
	facts := r.Facts()
	if len(facts) == 0 {
		return
	}
	t.heading("What stands")
	for _, f := range facts {
		mark := "  "
		if f.Alarm {
			mark = t.red("! ")
		} else if f.Blind {
			mark = t.yellow("? ")
		}
		t.wrapMarked(mark, f.Text)
		t.wrapDim("    ", f.Basis)
	}
}

func (r *Report) textCases(t *terminal) {
	if len(r.cases) == 0 {
		return
	}
	t.heading(fmt.Sprintf("Worst of %s", count(r.caseCount, "person's case", "people's cases")))
	for _, c := range r.cases[:min(len(r.cases), textCases)] {
		who := Printable(c.Name)
		if who == "" {
			who = Printable(c.Person)
		}
		if c.Department != "" {
			who += " (" + Printable(c.Department) + ")"
		}
		level := fmt.Sprintf("%-8s", c.Severity)
		about := count(c.Count, "finding", "findings")
		who = t.fit(who, t.width-2-len(level)-1-len(about)-2)
		pad := max(t.width-2-len(level)-1-Columns(who)-len(about), 1)
		t.line("  " + t.severity(c.Severity, level) + " " + who + strings.Repeat(" ", pad) + about)
		t.line(t.dim(t.fit(strings.Repeat(" ", 11)+Printable(c.Lead.Policy+" "+c.Lead.Message), t.width)))
	}
	if left := r.caseCount - min(len(r.cases), textCases); left > 0 {
		t.line("  and " + count(left, "more person", "more people"))
	}
}

func (r *Report) textMoney(t *terminal) {
	money := r.Total.Cost()
	if len(money) == 0 && r.Unpriced == 0 {
		return
	}
	t.heading("Money spent on what stands")
	for _, m := range money {
		t.line(fmt.Sprintf("  %s a month, %s a year", amount(m.Month, Printable(m.Currency)), amount(m.Year, Printable(m.Currency))))
	}
	if r.Unpriced > 0 {
		t.wrap("  ", fmt.Sprintf("%s not in these sums, for no price is known", count(r.Unpriced, "seat is", "seats are")))
	}
}

func (r *Report) textBlinds(t *terminal) {
	blinds := r.Blinds()
	t.heading("Could not be evaluated")
	if len(r.Tallies) == 0 {
		t.line("  Anything: no rule was evaluated on any source.")
		return
	}
	if len(blinds) == 0 {
		t.line("  Nothing: every enabled rule judged every subject in its scope.")
		return
	}
	source := len("source")
	for _, b := range blinds[:min(len(blinds), textBlinds)] {
		source = min(max(source, Columns(Printable(b.Source))), 20)
	}
	t.line(t.dim(fmt.Sprintf("  %-8s %s %10s  missing", "rule", pad("source", source), "subjects")))
	for _, b := range blinds[:min(len(blinds), textBlinds)] {
		number, why := thousands(b.Subjects), []string{}
		for _, m := range b.Missing {
			why = append(why, m.Field)
		}
		reason := strings.Join(why, ", ")
		if b.Failed != "" {
			number, reason = "FAILED", b.Failed
		}
		name := b.Source
		if name == "" {
			name = "(people)"
		}
		t.line(t.fit(fmt.Sprintf("  %-8s %s %10s  %s", Printable(b.Policy), pad(t.fit(Printable(name), source), source), number, Printable(reason)), t.width))
	}
	if left := len(blinds) - textBlinds; left > 0 {
		t.wrap("  ", fmt.Sprintf("and %s of a rule and a source", count(left, "more pair", "more pairs")))
	}
}

// textInventory says what is not looked at, and what else is to be known.
func (r *Report) textInventory(t *terminal) {
	if apps := r.Unconnected(); len(apps) > 0 {
		t.heading("Not connected")
		t.wrap("  ", fmt.Sprintf("%s of the %s of the inventory: who can sign in there is not known.", thousands(len(apps)), count(len(r.Inventory.Apps), "app", "apps")))
		for _, a := range apps[:min(len(apps), textBlinds)] {
			line := Printable(a.Name)
			if about := a.About(); about != "" {
				line += ": " + Printable(about)
			}
			t.wrapMarked(t.yellow("? "), line)
		}
		if left := len(apps) - textBlinds; left > 0 {
			t.line("  and " + count(left, "more app", "more apps"))
		}
	}
	if inputs := r.Unlisted(); len(inputs) > 0 {
		t.heading("Connected and not in the inventory")
		var names []string
		for _, in := range inputs {
			names = append(names, Printable(r.sourceName(in.UID)))
		}
		t.wrap("  ", strings.Join(names, ", "))
	}
	if len(r.Notes) > 0 {
		t.heading("To be known")
		for _, n := range r.Notes {
			t.wrapMarked("- ", Printable(n))
		}
	}
}

// when and day print times in the reader's zone, and name it.
func (r *Report) when(t time.Time) string {
	if t.IsZero() {
		return "(unknown)"
	}
	return t.In(r.Zone).Format("Mon 2 Jan 2006, 15:04 MST")
}

func (r *Report) day(t time.Time) string {
	if t.IsZero() {
		return "(unknown)"
	}
	return t.In(r.Zone).Format("2 Jan 2006")
}

// age says how old something is, in the largest unit that fits.
func age(d time.Duration) string {
	switch {
	case d < 0:
		return "in the future"
	case d < time.Hour:
		return "less than an hour old"
	case d < 48*time.Hour:
		return count(int(d/time.Hour), "hour old", "hours old")
	}
	return count(int(d/(24*time.Hour)), "day old", "days old")
}

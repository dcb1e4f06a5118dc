package remediate

import (
	_ "embed"
	"fmt"
	"html/template"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/lapse-audit/lapse/internal/state"
)

// Certificate says of a person's leaving what was taken away, when, by whom, and how that is known; and what is still open.
type Certificate struct {
	Person     string          `json:"person"`
	Name       string          `json:"name,omitempty"`
	Ended      time.Time       `json:"ended,omitzero"` // by what HR says
	Status     string          `json:"status,omitempty"`
	Plan       string          `json:"plan"`
	Hash       string          `json:"hash"`
	Made       time.Time       `json:"made"`
	MadeBy     string          `json:"made_by"`
	Reason     string          `json:"reason,omitempty"`
	Emergency  bool            `json:"emergency,omitempty"`
	Approvals  []CertifiedWord `json:"approvals"`
	Apps       []CertifiedApp  `json:"apps"`
	Left       []Left          `json:"left,omitempty"`
	Complete   bool            `json:"complete"` // nothing is open
	At         time.Time       `json:"at"`
	LedgerSeq  int64           `json:"ledger_seq"`
	LedgerHash string          `json:"ledger_hash"`
}

// CertifiedWord is an approval.
type CertifiedWord struct {
	By     string    `json:"by"`
	At     time.Time `json:"at"`
	Method string    `json:"method"`
}

// CertifiedApp is one source, or one app that Lapse can't see.
type CertifiedApp struct {
	UID   string          `json:"uid"`
	Name  string          `json:"name,omitempty"`
	Lines []CertifiedLine `json:"lines"` // none: the person has no account there
	// AsOf is when the app was last read.
	AsOf time.Time `json:"as_of,omitzero"`
	Open int       `json:"open"`
}

// CertifiedLine is one step.
type CertifiedLine struct {
	Step    int       `json:"step"`
	Subject string    `json:"subject"`
	What    string    `json:"what"`
	State   string    `json:"state"` // done, attested or open
	At      time.Time `json:"at,omitzero"`
	By      string    `json:"by,omitempty"`
	How     string    `json:"how"` // how it is known, or why it is open
	Change  string    `json:"change,omitempty"`
}

// The states of a line.
const (
	lineDone     = "done"
	lineAttested = "attested"
	lineOpen     = "open"
)

// Certify says how an offboarding stands by its journal. apps are the uids and names of all apps, also of those in which
// nothing was to be done.
func Certify(p Plan, recorded state.Plan, entries []state.ChangeEntry, approvals []state.Approval, apps []CertifiedApp, at time.Time) Certificate {
	c := Certificate{Person: p.Person, Name: p.PersonName, Plan: p.ID, Hash: recorded.Hash, Made: p.Made, MadeBy: p.By, Reason: p.Reason, Emergency: p.Emergency,
		Approvals: []CertifiedWord{}, Apps: apps, Left: p.Left, Complete: true, At: at}
	for _, a := range approvals {
		c.Approvals = append(c.Approvals, CertifiedWord{a.By, a.At, a.Method})
	}
	made := Made(entries)
	last := map[int]state.ChangeEntry{} // what was last tried
	for _, e := range entries {
		last[int(e.Step)] = e
	}
	for _, s := range p.Steps {
		line := certifyStep(s, made, last, at)
		i := slices.IndexFunc(c.Apps, func(a CertifiedApp) bool { return a.UID == s.Source })
		if i < 0 {
			i = len(c.Apps)
			c.Apps = append(c.Apps, CertifiedApp{UID: s.Source})
		}
		c.Apps[i].Lines = append(c.Apps[i].Lines, line)
		if line.State == lineOpen {
			c.Apps[i].Open++
			c.Complete = false
		}
	}
	c.Complete = c.Complete && len(c.Left) == 0
	return c
}

func certifyStep(s Step, made, last map[int]state.ChangeEntry, at time.Time) CertifiedLine {
	line := CertifiedLine{Step: s.N, Subject: s.Subject, What: s.What(), State: lineOpen}
	e, ok := made[s.N]
	if !ok {
		tried, was := last[s.N]
		switch {
		case was && tried.Undoes != "":
			line.How = "it was undone on " + tried.Began.UTC().Format("2006-01-02 15:04 MST")
		case was:
			line.How = fmt.Sprintf("%s: %s", tried.Status, tried.Detail)
		case s.NotBefore.After(at):
			line.How = "due on " + s.NotBefore.UTC().Format("2006-01-02 15:04 MST")
		case s.Manual != "" && s.Change.Action != task:
			line.How = "a person has to do it: " + s.Manual
		case s.Manual != "":
			line.How = "nobody has said yet that it was done"
		default:
			line.How = "it was not tried yet"
		}
		return line
	}
	line.At, line.By, line.Change, line.State = e.Ended, e.By, e.ID, lineDone
	if line.At.IsZero() {
		line.At = e.Began
	}
	switch e.Status {
	case state.ChangeDone:
		line.How = "read back from the system"
	case state.ChangeAlready:
		line.How = "it was so already, as the system showed"
	case state.ChangeSent:
		line.How = "the system accepted it; it has no way to show it"
	case state.ChangeAttested:
		line.State, line.How = lineAttested, "by word of "+e.By+": "+e.Detail
	default:
		line.State, line.How = lineOpen, fmt.Sprintf("%s: %s", e.Status, e.Detail)
	}
	return line
}

//go:embed certificate.html.tmpl
var certificateHTML string

var certificatePage = template.Must(template.New("certificate").Funcs(template.FuncMap{
	"style": func() template.CSS { return template.CSS(style) }, // our own text
}).Parse(certificateHTML))

// HTML writes the certificate as one page without anything from elsewhere, with times in a zone.
func (c Certificate) HTML(w io.Writer, zone *time.Location) error {
	err := certificatePage.Execute(w, struct {
		Certificate
		When func(time.Time) string
	}{c, func(t time.Time) string { return t.In(zone).Format("2006-01-02 15:04 MST") }})
	if err != nil {
		return fmt.Errorf("write the certificate of plan %s: %w", c.Plan, err)
	}
	return nil
}

// Sum is how it stands, in words.
func (c Certificate) Sum() string {
	done, attested, open := 0, 0, len(c.Left)
	for _, a := range c.Apps {
		for _, l := range a.Lines {
			switch l.State {
			case lineDone:
				done++
			case lineAttested:
				attested++
			default:
				open++
			}
		}
	}
	parts := []string{fmt.Sprintf("%d done", done)}
	if attested > 0 {
		parts = append(parts, fmt.Sprintf("%d attested", attested))
	}
	parts = append(parts, fmt.Sprintf("%d open", open))
	return strings.Join(parts, ", ")
}

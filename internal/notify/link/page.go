package link

import (
	"bytes"
	"crypto/sha256"
	_ "embed"
	"encoding/base64"
	"html/template"
	"net/http"
	"strconv"
	"time"

	"github.com/lapse-audit/lapse/internal/notify"
	"github.com/lapse-audit/lapse/internal/notify/digest"
)

var (
	//go:embed page.html
	pageText string
	//go:embed page.css
	style string

	pageTemplate = template.Must(template.New("page").Parse(pageText))
	styleHash    = hashOf(style)
)

// hashOf is by which a page's policy names its one style.
func hashOf(text string) string {
	sum := sha256.Sum256([]byte(text))
	return "sha256-" + base64.StdEncoding.EncodeToString(sum[:])
}

// page is what a reader is shown. Where Form is nil there is nothing to do.
type page struct {
	Style template.CSS
	Title string
	Text  string
	Fault string
	Done  bool
	Form  *form
}

type form struct {
	Item     digest.Item
	Source   string
	Email    string
	Submit   string
	Danger   bool
	Reason   bool // is asked for
	Until    string
	UntilIs  string // what the day is for, "" where none is asked for
	Min, Max string
	To       bool // is asked for
	// What was written before.
	Written struct{ Reason, To string }
}

var asks = map[notify.Answer]struct{ title, text, submit string }{
	notify.Revoke:  {"Take this access away?", "This asks for a change that takes it away. Its guards still hold.", "Revoke"},
	notify.Keep:    {"Keep this access?", "It is accepted until a day. Then it is asked about again.", "Keep"},
	notify.NotMine: {"Is it somebody else's to decide?", "Whom you name is asked instead; if you name nobody, the next in line.", "Hand over"},
	notify.Later:   {"Decide later?", "You are asked again on the day you choose.", "Ask me later"},
}

func (a *Answers) form(d notify.Decision, s Standing, fault string) page {
	ask := asks[d.Answer]
	f := &form{Item: s.Item, Source: s.Source, Email: d.Email, Submit: ask.submit, Danger: d.Answer == notify.Revoke, Reason: d.Answer == notify.Keep, To: d.Answer == notify.NotMine}
	today := a.links.now().In(a.zone)
	date := func(days int) string { return today.AddDate(0, 0, days).Format(time.DateOnly) }
	switch d.Answer {
	case notify.Keep:
		f.UntilIs, f.Until, f.Min, f.Max = "Until the end of", date(keepDays), date(0), date(365)
	case notify.Later:
		f.UntilIs, f.Until, f.Min, f.Max = "Ask again on", date(laterDays), date(1), date(365)
	}
	if !d.Until.IsZero() {
		f.Until = d.Until.In(a.zone).Format(time.DateOnly)
		if d.Answer == notify.Keep {
			f.Until = d.Until.In(a.zone).AddDate(0, 0, -1).Format(time.DateOnly)
		}
	}
	f.Written.Reason, f.Written.To = d.Reason, d.To
	return page{Title: ask.title, Text: ask.text, Fault: fault, Form: f}
}

func (a *Answers) show(w http.ResponseWriter, status int, p page) {
	p.Style = template.CSS(style)
	var b bytes.Buffer
	if err := pageTemplate.Execute(&b, p); err != nil {
		a.log.Error("a page can't be made", "error", err)
		http.Error(w, "the page can't be made", http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Length", strconv.Itoa(b.Len()))
	w.WriteHeader(status)
	_, _ = w.Write(b.Bytes())
}

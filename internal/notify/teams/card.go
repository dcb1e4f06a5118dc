package teams

import (
	"encoding/json"
	"fmt"
	"strings"

	"github.com/lapse-audit/lapse/internal/finding"
	"github.com/lapse-audit/lapse/internal/notify"
	"github.com/lapse-audit/lapse/internal/notify/digest"
	"github.com/lapse-audit/lapse/internal/notify/link"
)

// The message limit of a webhook is 28 KB (https://learn.microsoft.com/microsoftteams/platform/webhooks-and-connectors/how-to/add-incoming-webhook).
// Others met it from 21 KB on (msteams_hermes, MSTEAMS_MESSAGE_SIZE_LIMIT), so the whole of a request stays below that.
const (
	maxRequest = 20_000
	maxItems   = 17_000 // of them: the rest is for the opening
	headItem   = 800    // for the heading of a group
)

// request is what a workflow's trigger "When a Teams webhook request is received" takes: a message with one card. To and Key
// are for a workflow that somebody makes: the predefined ones pass over them.
type request struct {
	Type        string       `json:"type"`
	Attachments []attachment `json:"attachments"`
	To          string       `json:"to,omitempty"`
	Key         string       `json:"key"`
}

type attachment struct {
	ContentType string  `json:"contentType"`
	ContentURL  *string `json:"contentUrl"` // null, as in the vendor's example
	Content     card    `json:"content"`
}

// card is an Adaptive Card of version 1.5, the newest that Teams draws for workflows
// (https://learn.microsoft.com/adaptive-cards/schema-explorer/adaptive-card).
type card struct {
	Schema       string    `json:"$schema"`
	Type         string    `json:"type"`
	Version      string    `json:"version"`
	FallbackText string    `json:"fallbackText"`
	MSTeams      msteams   `json:"msteams"`
	Body         []element `json:"body"`
}

type msteams struct {
	Width string `json:"width"`
}

// element is a Container, a RichTextBlock or an ActionSet. A text is never a TextBlock, which reads Markdown: the runs of a
// RichTextBlock don't (https://learn.microsoft.com/adaptive-cards/schema-explorer/text-run), so that no name can be a link.
type element struct {
	Type    string    `json:"type"`
	Style   string    `json:"style,omitempty"`
	Spacing string    `json:"spacing,omitempty"`
	Items   []element `json:"items,omitempty"`
	Inlines []run     `json:"inlines,omitempty"`
	Actions []action  `json:"actions,omitempty"`
}

type run struct {
	Type   string `json:"type"`
	Text   string `json:"text"`
	Weight string `json:"weight,omitempty"`
	Size   string `json:"size,omitempty"`
	Subtle bool   `json:"isSubtle,omitempty"`
}

type action struct {
	Type  string `json:"type"`
	Title string `json:"title"`
	URL   string `json:"url"`
	Style string `json:"style,omitempty"`
}

// Part is one request of the several that a message may need.
type Part struct {
	Key   string
	Body  []byte
	Items []finding.Fingerprint
}

// Render lays a message out in cards, each small enough for a webhook. The same message has the same parts.
func Render(m notify.Message, links *link.Links) ([]Part, error) {
	var parts []Part
	for _, d := range digest.New(m).Split(maxItems, headItem, func(it digest.Item) int { return weigh(show(m, it, links)) }) {
		r := request{Type: "message", Key: fmt.Sprintf("%s#%d", m.Key, d.Part), Attachments: []attachment{{
			ContentType: "application/vnd.microsoft.card.adaptive", Content: draw(m, d, links)}}}
		if m.To.Person != "" {
			r.To = strings.TrimSpace(m.To.Email)
		}
		body, err := json.Marshal(r)
		if err != nil {
			return nil, fmt.Errorf("teams: message %s: %w", m.Key, err)
		}
		parts = append(parts, Part{r.Key, body, d.Findings()})
	}
	return parts, nil
}

// weigh is what an element takes of a request.
func weigh(e element) int {
	text, err := json.Marshal(e)
	if err != nil {
		return maxRequest // what can't be written is refused when it is
	}
	return len(text) + 1
}

func draw(m notify.Message, d digest.Digest, links *link.Links) card {
	title := d.Title
	if d.Of > 1 {
		title += fmt.Sprintf(" (part %d of %d)", d.Part, d.Of)
	}
	c := card{Schema: "http://adaptivecards.io/schemas/adaptive-card.json", Type: "AdaptiveCard", Version: "1.5", FallbackText: "Lapse: " + d.Title, MSTeams: msteams{"Full"}}
	c.Body = append(c.Body, line("", run{Text: title, Weight: "Bolder", Size: "Large"}))
	if about := strings.Join(filled(d.To, d.Lead, d.About), " · "); about != "" {
		c.Body = append(c.Body, line("None", run{Text: about, Subtle: true}))
	}
	for _, n := range d.Counts {
		c.Body = append(c.Body, line("Small", run{Text: fmt.Sprint(n.N), Weight: "Bolder"}, run{Text: "  " + n.Text}))
	}
	for _, l := range d.Lines {
		c.Body = append(c.Body, line("Small", run{Text: l}))
	}
	for _, g := range d.Groups {
		c.Body = append(c.Body, line("Large", run{Text: g.Name, Weight: "Bolder"}, run{Text: " · " + g.Urgency, Subtle: true}))
		for _, it := range g.Items {
			c.Body = append(c.Body, show(m, it, links))
		}
	}
	return c
}

func filled(texts ...string) []string {
	var out []string
	for _, t := range texts {
		if t != "" {
			out = append(out, t)
		}
	}
	return out
}

// line is a text of runs, with the space before it. What Teams would take for a date to be written in its reader's way,
// {{DATE(…)}}, stays what it is.
func line(spacing string, runs ...run) element {
	for i := range runs {
		runs[i].Type, runs[i].Text = "TextRun", strings.ReplaceAll(runs[i].Text, "{{", "{ {")
	}
	return element{Type: "RichTextBlock", Spacing: spacing, Inlines: runs}
}

func show(m notify.Message, it digest.Item, links *link.Links) element {
	about := " · " + it.Severity
	if it.Privileged {
		about += " · privileged"
	}
	message := []run{{Text: it.Message}}
	if it.Goes {
		message = append(message, run{Text: " (goes on below)", Subtle: true})
	}
	e := element{Type: "Container", Style: "emphasis", Spacing: "Small", Items: []element{
		line("", run{Text: it.Title, Weight: "Bolder"}, run{Text: about, Subtle: true}), line("None", message...)}}
	if it.Goes {
		return e
	}
	for _, l := range []struct{ label, text string }{
		{"About ", it.Subject}, {"You are asked as: ", it.Why}, {"Since ", it.Since}, {"Costs ", it.Cost}, {"Was accepted: ", it.Accepted}, {"", it.Otherwise},
	} {
		if l.text != "" {
			e.Items = append(e.Items, line("None", run{Text: l.label + l.text, Subtle: true, Size: "Small"}))
		}
	}
	if it.Decided != "" {
		e.Items = append(e.Items, line("Small", run{Text: "Decided: ", Weight: "Bolder"}, run{Text: it.Decided}))
		return e
	}
	if a := actions(m, it, links); len(a) > 0 {
		e.Items = append(e.Items, element{Type: "ActionSet", Spacing: "Small", Actions: a})
	}
	return e
}

// actions are the links that answer an item.
func actions(m notify.Message, it digest.Item, links *link.Links) []action {
	var out []action
	for _, answer := range it.Answers {
		label, ok := digest.Labels[answer]
		to := links.URL(link.Offer{Channel: Name, Email: strings.TrimSpace(m.To.Email), Message: m.Key, Finding: it.Finding, Answer: answer})
		if !ok || to == "" {
			continue
		}
		a := action{Type: "Action.OpenUrl", Title: label, URL: to}
		if answer == notify.Revoke {
			a.Style = "destructive"
		}
		out = append(out, a)
	}
	return out
}

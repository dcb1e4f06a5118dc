package email

import (
	_ "embed"
	"errors"
	"fmt"
	htmltemplate "html/template"
	"io"
	"strings"
	texttemplate "text/template"

	"github.com/lapse-audit/lapse/internal/finding"
	"github.com/lapse-audit/lapse/internal/notify"
	"github.com/lapse-audit/lapse/internal/notify/digest"
	"github.com/lapse-audit/lapse/internal/notify/foreign"
	"github.com/lapse-audit/lapse/internal/notify/link"
)

// maxHTML is for the items of one letter. Gmail clips what is longer than 102 KB, and hides what is asked there.
const maxHTML = 80 << 10

// headHTML is for the heading of a group.
const headHTML = 2 << 10

// Rendered is one e-mail of the several that a message may need.
type Rendered struct {
	Part    int
	Subject string // no name, no finding: it stands on lock screens
	Text    string
	HTML    string
	Items   []finding.Fingerprint
}

//go:embed letter.html
var htmlText string

//go:embed letter.txt
var plainText string

var (
	htmlLetter  = htmltemplate.Must(htmltemplate.New("letter").Parse(htmlText))
	plainLetter = texttemplate.Must(texttemplate.New("letter").Parse(plainText))
)

// button is a link that answers.
type button struct {
	Label  string
	URL    string
	Danger bool
}

// shown is an item as it is drawn.
type shown struct {
	digest.Item
	Buttons []button
	HTML    htmltemplate.HTML // of the template "item", which has escaped all of it
}

type group struct {
	digest.Group
	Shown []shown
}

type view struct {
	digest.Digest
	Shown   []group
	Reply   bool   // no answer comes back by a link
	Heading string // as Title, with the part
}

// Render writes a message as letters. The same message has the same parts.
func Render(m notify.Message, links *link.Links) ([]Rendered, error) {
	var errs []error
	draw := func(t template, data any) string {
		var b strings.Builder
		if err := t.Execute(&b, data); err != nil {
			errs = append(errs, fmt.Errorf("email: message %s: %w", m.Key, err))
		}
		return b.String()
	}
	item := htmlLetter.Lookup("item")
	drawn := map[string]shown{} // each is weighed before it is placed
	show := func(it digest.Item) shown {
		key := string(it.Finding) + it.Message
		s, ok := drawn[key]
		if !ok {
			s = shown{Item: it, Buttons: buttons(m, it, links)}
			s.HTML = htmltemplate.HTML(draw(item, s))
			drawn[key] = s
		}
		return s
	}
	var out []Rendered
	for _, part := range digest.New(m).Split(maxHTML, headHTML, func(it digest.Item) int { return len(show(it).HTML) }) {
		v := view{Digest: part, Reply: links == nil && len(m.Items) > 0, Heading: part.Title}
		if part.Of > 1 {
			v.Heading += fmt.Sprintf(" (part %d of %d)", part.Part, part.Of)
		}
		for _, g := range part.Groups {
			one := group{Group: g}
			for _, it := range g.Items {
				one.Shown = append(one.Shown, show(it))
			}
			v.Shown = append(v.Shown, one)
		}
		out = append(out, Rendered{Part: part.Part, Subject: subject(m, part), Text: draw(plainLetter, v), HTML: draw(htmlLetter, v), Items: part.Findings()})
	}
	return out, errors.Join(errs...)
}

type template interface {
	Execute(w io.Writer, data any) error
}

func subject(m notify.Message, d digest.Digest) string {
	text := d.Title
	seen := map[finding.Fingerprint]bool{}
	for _, i := range m.Items {
		seen[i.Finding.Fingerprint] = true
	}
	switch n := len(seen); {
	case n == 1:
		text += " (1 item)"
	case n > 1:
		text += fmt.Sprintf(" (%d items)", n)
	}
	if d.Of > 1 {
		text += fmt.Sprintf(", part %d of %d", d.Part, d.Of)
	}
	return "Lapse: " + text
}

func buttons(m notify.Message, it digest.Item, links *link.Links) []button {
	if it.Decided != "" || it.Goes {
		return nil
	}
	var out []button
	for _, answer := range it.Answers {
		label, ok := digest.Labels[answer]
		if !ok {
			continue
		}
		to := links.URL(link.Offer{Channel: Name, Email: strings.TrimSpace(m.To.Email), Message: m.Key, Finding: it.Finding, Answer: answer})
		if to != "" {
			out = append(out, button{label, to, answer == notify.Revoke})
		}
	}
	return out
}

// plainName is a name for a header. What would be quoted there is left out, as an address that a name pretends to be.
func plainName(name string) string {
	name = strings.Map(func(r rune) rune {
		if strings.ContainsRune("<>@\"\\,;:()[]", r) {
			return -1
		}
		return r
	}, foreign.Line(name))
	runes := []rune(strings.TrimSpace(name))
	return string(runes[:min(len(runes), 100)])
}

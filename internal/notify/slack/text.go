package slack

import (
	"regexp"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/lapse-audit/lapse/internal/notify/foreign"
)

// clean makes a text of a foreign system safe to stand in mrkdwn and in plain text beside ours: one line, no markup, no
// mention, no emoji by name, no character that turns the text around it. &, < and > are escaped as Slack asks; for *, ~,
// ` and the underscores that could begin emphasis stand characters that look alike, since Slack knows no escape for them.
// A text that runs from right to left is isolated, so that it does not reorder what stands beside it.
func clean(s string) string {
	return foreign.Isolate(escaper.Replace(tame(s)))
}

// plain is clean for a plain_text object, in which Slack reads no markup. What mentions are made of is replaced all the same.
func plain(s string) string {
	return foreign.Isolate(strings.NewReplacer("<", "\u2039", ">", "\u203a").Replace(foreign.Line(s)))
}

const (
	fsi = "\u2068" // first strong isolate
	lri = "\u2066" // left to right isolate
	pdi = "\u2069" // pop directional isolate
)

// See https://docs.slack.dev/messaging/formatting-message-text/#escaping.
var escaper = strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;")

var emojiName = regexp.MustCompile(`:[\pL\pN_+'-]+:`)

func tame(s string) string {
	s = foreign.Line(s)
	s = emojiName.ReplaceAllStringFunc(s, func(name string) string { return strings.ReplaceAll(name, ":", "\ua789") })
	var b strings.Builder
	var before rune
	for i, r := range s {
		next, _ := utf8.DecodeRuneInString(s[i+utf8.RuneLen(r):])
		switch r {
		case '*':
			b.WriteRune('\u2217')
		case '~':
			b.WriteRune('\u223c')
		case '`':
			b.WriteRune('\u02cb')
		case '|':
			b.WriteRune('\u2223')
		case '_':
			if inWord(before) && inWord(next) {
				b.WriteRune('_') // svc_backup: it must stay what can be copied, and begins nothing
			} else {
				b.WriteRune('\uff3f')
			}
		case '>':
			if b.Len() == 0 {
				b.WriteRune('\u203a') // it would begin a quotation, escaped or not
			} else {
				b.WriteRune(r)
			}
		default:
			b.WriteRune(r)
		}
		before = r
	}
	return b.String()
}

func inWord(r rune) bool {
	return r != utf8.RuneError && (unicode.IsLetter(r) || unicode.IsDigit(r))
}

// length is how much of a limit a text takes. Slack does not say what it takes for a character: UTF-16 units are the
// most that it can mean, and what is escaped counts as written.
func length(s string) int {
	n := 0
	for _, r := range s {
		n++
		if r > 0xffff {
			n++
		}
	}
	return n
}

// split cuts a text into pieces of at most limit, after a line or a blank where there is one, and never within an
// escape. The pieces joined are the text.
func split(s string, limit int) []string {
	var out []string
	for at := prefix(s, limit); at < len(s); at = prefix(s, limit) {
		if i := strings.LastIndexByte(s[:at], '\n'); i > 0 {
			at = i + 1
		} else if i := strings.LastIndexByte(s[:at], ' '); i > 0 {
			at = i + 1
		} else if i := strings.LastIndexByte(s[:at], '&'); i > 0 && at-i < len("&amp;") && !strings.Contains(s[i:at], ";") {
			at = i
		}
		out = append(out, s[:at])
		s = s[at:]
	}
	return append(out, s)
}

// shorten cuts a text off at limit and shows it: for labels whose whole text stands beside them.
func shorten(s string, limit int) string {
	if length(s) <= limit {
		return s
	}
	s = s[:prefix(s, limit-1-length(pdi))]
	if strings.ContainsAny(s, fsi+lri) {
		return s + "…" + pdi
	}
	return s + "…"
}

// prefix is the number of bytes whose length is at most limit.
func prefix(s string, limit int) int {
	n := 0
	for i, r := range s {
		if n++; r > 0xffff {
			n++
		}
		if n > limit {
			return i
		}
	}
	return len(s)
}

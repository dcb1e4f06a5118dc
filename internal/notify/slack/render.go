package slack

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/slack-go/slack"

	"github.com/lapse-audit/lapse/internal/finding"
	"github.com/lapse-audit/lapse/internal/notify"
	"github.com/lapse-audit/lapse/internal/notify/digest"
)

// What Slack takes, see https://docs.slack.dev/reference/block-kit/blocks/ and …/composition-objects/.
const (
	maxBlocks  = 50
	maxSection = 3000
	maxHeader  = 150
	maxLabel   = 75 // of an option
	maxTitle   = 24 // of a modal
	// maxText is for all the texts of one message. Slack refuses what is longer (msg_blocks_too_long) and documents no
	// number; others met it from 11,300 on, what holds the blocks counted in (slackapi/bolt-js#2509, #2867).
	maxText = 9000
)

// maxOutcome is for how an item stands in the end. The room for it is kept when a message is laid out, so that an
// update can't push an item into another part. The whole of it is in the ledger.
const maxOutcome = 240

// buttonsText is the most that the texts of an item's buttons take, those that ask again included.
const buttonsText = 220

// bulkFrom is the number of items that one decision can be made for.
const bulkFrom = 4

// Part is one message to Slack of the several that a notify.Message may need.
type Part struct {
	Key    string // of the message, #, and the number of the part from 1
	Text   string // what a notification shows, and a screen reader: no name, no finding
	Blocks []slack.Block
	// Items are in this part, in order.
	Items []finding.Fingerprint
}

// Render lays a message out in Block Kit. The same message has the same parts, also when items of it are decided by
// now: those lose their buttons and say what became of them. Nothing is cut: what is too long for a block goes on in
// the next, and what is too long for a message in the next message.
func Render(m notify.Message) []Part {
	l := layout{m: m, zone: time.UTC}
	if m.To.Zone != nil {
		l.zone = m.To.Zone
	}
	l.plan()
	pages := l.pages()
	parts := make([]Part, len(pages))
	for i, p := range pages {
		parts[i] = l.draw(p, i, len(pages))
	}
	return parts
}

type layout struct {
	m     notify.Message
	zone  *time.Location
	items []notify.Item // each finding once
	units []unit
	bulk  []notify.Answer // what can be decided for several at once, nil for nothing
	// What is the same of all items is said once, at the top: "" where it isn't the same.
	why, unanswered string
}

// unit is what is not torn apart: a card with its buttons, unless it is too long for that.
type unit struct {
	item   int // of layout.items, -1 for none
	blocks func() []slack.Block
	size   size
}

type size struct{ blocks, text int }

func (s size) plus(o size) size { return size{s.blocks + o.blocks, s.text + o.text} }

func (s size) fits(o size) bool { return s.blocks <= o.blocks && s.text <= o.text }

type page struct{ units []unit }

// room is what units may take of a message: the rest is for the opening, the heading of a group that goes on, and the
// button for several.
var room = size{maxBlocks - 6, maxText - 1000}

func (l *layout) plan() {
	seen := map[finding.Fingerprint]bool{}
	for _, it := range l.m.Items {
		if fp := it.Finding.Fingerprint; !seen[fp] {
			seen[fp] = true
			l.items = append(l.items, it)
		}
	}
	l.bulk = bulkAnswers(l.items)
	l.why, l.unanswered = common(l.items, why), common(l.items, l.unless)
	var counts []string
	for _, c := range l.m.Counts {
		counts = append(counts, fmt.Sprintf("*%d*  %s", c.N, clean(c.Text)))
	}
	if counts != nil {
		l.add(-1, strings.Join(counts, "\n"))
	}
	for _, line := range l.m.Lines {
		l.add(-1, clean(line))
	}
	for i, it := range l.items {
		if i == 0 || group(it) != group(l.items[i-1]) {
			l.heading(i)
		}
		l.card(i)
	}
}

// add makes units of a text, one section each.
func (l *layout) add(item int, sections ...string) {
	for _, s := range sections {
		for _, piece := range split(s, maxSection) {
			l.units = append(l.units, unit{item: item, size: size{1, length(piece)}, blocks: func() []slack.Block {
				return []slack.Block{section("", piece)}
			}})
		}
	}
}

// heading names the group that begins with an item. The name of a source is somebody's text, of any length.
func (l *layout) heading(i int) {
	text := group(l.items[i])
	if length(text) <= maxHeader {
		l.units = append(l.units, unit{item: -1, size: size{1, length(text)}, blocks: func() []slack.Block {
			return []slack.Block{header(text)}
		}})
		return
	}
	name := clean(l.items[i].Finding.SourceName)
	long := name
	if u := l.items[i].Urgency; u != notify.Normal {
		long += " · " + urgency(u)
	}
	l.add(-1, "*"+shorten(name, maxHeader)+"*", long)
}

// card adds an item: one unit, or when no message could hold it a unit a section.
func (l *layout) card(i int) {
	it := l.items[i]
	fp := it.Finding.Fingerprint
	about := l.about(it)
	open := pieces(about, l.otherwise(it))
	// The longer of both forms, so that it stays in its place when it is decided.
	decided := size{len(pieces(about, strings.Repeat("x", maxOutcome))), length(about) + maxOutcome}
	need := size{max(len(open)+1, decided.blocks), max(length(about)+length(l.otherwise(it)), decided.text)}
	if len(it.Answers) > 0 {
		need.text = max(need.text, length(about)+length(l.otherwise(it))+buttonsText)
	}

	outcome, settled := l.m.Decided[fp]
	texts := open
	if settled {
		texts = pieces(about, "*Outcome:* "+shorten(clean(outcome), maxOutcome-20))
	}
	cards := func(from, to int) []slack.Block {
		var out []slack.Block
		for n, text := range texts {
			if n >= from && n < to {
				out = append(out, section(fmt.Sprintf("card/%s/%d", fp, n), text))
			}
		}
		return out
	}
	buttons := func() []slack.Block {
		if settled || len(it.Answers) == 0 {
			return nil
		}
		if b := buttons(fp, it.Answers); b != nil {
			return []slack.Block{b}
		}
		return nil
	}
	if need.fits(room) {
		l.units = append(l.units, unit{item: i, size: need, blocks: func() []slack.Block {
			return append(cards(0, need.blocks), buttons()...)
		}})
		return
	}
	last := need.blocks - 1
	for n := range last {
		l.units = append(l.units, unit{item: i, size: size{1, maxSection}, blocks: func() []slack.Block { return cards(n, n+1) }})
	}
	l.units = append(l.units, unit{item: i, size: size{2, maxSection}, blocks: func() []slack.Block {
		return append(cards(last, need.blocks), buttons()...)
	}})
}

// pages fills messages with units, in order.
func (l *layout) pages() []page {
	var out []page
	var p page
	var used size
	for i, u := range l.units {
		need := u.size
		if u.item < 0 && i+1 < len(l.units) && len(l.m.Items) > 0 {
			need = need.plus(l.units[i+1].size) // a heading stays with what it is above
			if !need.fits(room) {
				need = u.size
			}
		}
		if len(p.units) > 0 && !used.plus(need).fits(room) {
			out, p, used = append(out, p), page{}, size{}
		}
		p.units = append(p.units, u)
		used = used.plus(u.size)
	}
	return append(out, p)
}

// draw makes the blocks of a page.
func (l *layout) draw(p page, i, of int) Part {
	part := Part{Key: fmt.Sprintf("%s#%d", l.m.Key, i+1), Text: l.notification()}
	var opening []slack.Block
	if i == 0 {
		opening = append(opening, header(l.title()))
		if text := l.lead(); text != "" {
			opening = append(opening, section("", text))
		}
	}
	var about []string
	if of > 1 {
		about = append(about, fmt.Sprintf("part %d of %d", i+1, of))
		part.Text += fmt.Sprintf(" (%d of %d)", i+1, of)
	}
	if !l.m.AsOf.IsZero() {
		about = append(about, "as of "+l.moment(l.m.AsOf))
	}
	if l.m.Run != 0 {
		about = append(about, fmt.Sprintf("run %d", l.m.Run))
	}
	if len(about) > 0 {
		opening = append(opening, slack.NewContextBlock("", mrkdwnText(strings.Join(about, " · "))))
	}
	if i > 0 && len(p.units) > 0 && p.units[0].item >= 0 {
		opening = append(opening, header(shorten(group(l.items[p.units[0].item]), maxHeader)))
	}
	part.Blocks = opening
	var several []finding.Fingerprint
	for _, u := range p.units {
		part.Blocks = append(part.Blocks, u.blocks()...)
		if u.item < 0 {
			continue
		}
		it := l.items[u.item]
		if n := len(part.Items); n == 0 || part.Items[n-1] != it.Finding.Fingerprint {
			part.Items = append(part.Items, it.Finding.Fingerprint)
			if _, ok := l.m.Decided[it.Finding.Fingerprint]; !ok && inBulk(it) {
				several = append(several, it.Finding.Fingerprint)
			}
		}
	}
	if len(l.bulk) > 0 && len(several) > 1 {
		part.Blocks = append(part.Blocks, bulkButton(several, l.bulk))
	}
	return part
}

func (l *layout) title() string {
	if n := len(l.items); n > 0 && l.settled() == n {
		return "No decision is needed here any more"
	}
	if l.m.Kind == notify.Notice {
		return shorten(plain(l.m.Title), maxHeader)
	}
	return digest.Title(l.m)
}

// settled is how many items need no answer any more.
func (l *layout) settled() int {
	n := 0
	for _, it := range l.items {
		if _, ok := l.m.Decided[it.Finding.Fingerprint]; ok {
			n++
		}
	}
	return n
}

// notification is read on lock screens, and by whoever looks over a shoulder.
func (l *layout) notification() string {
	if l.m.Kind == notify.Summary || l.m.Kind == notify.Notice {
		return "Lapse: " + l.title()
	}
	return fmt.Sprintf("Lapse: %s (%s)", l.title(), count(len(l.items), "item"))
}

func (l *layout) lead() string {
	if (l.m.Kind == notify.Summary || l.m.Kind == notify.Notice) && len(l.items) == 0 {
		return ""
	}
	var overdue, soon int
	decided := l.settled()
	for _, it := range l.items {
		if _, ok := l.m.Decided[it.Finding.Fingerprint]; ok {
			continue
		}
		switch it.Urgency {
		case notify.Overdue:
			overdue++
		case notify.Soon:
			soon++
		}
	}
	parts := []string{count(len(l.items), "item")}
	for _, c := range []struct {
		n    int
		what string
	}{{overdue, "overdue"}, {soon, "due soon"}} {
		if c.n > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", c.n, c.what))
		}
	}
	switch {
	case decided == len(l.items):
		return strings.Join(parts, ", ")
	case decided > 0:
		parts = append(parts, fmt.Sprintf("%d no longer open", decided))
	}
	lines := []string{strings.Join(parts, ", ")}
	for _, same := range []string{l.why, l.unanswered} {
		if same != "" {
			lines = append(lines, same)
		}
	}
	return strings.Join(lines, "\n")
}

// common is what a text is of all items, "" where it differs or there is one item alone.
func common(items []notify.Item, text func(notify.Item) string) string {
	if len(items) < 2 {
		return ""
	}
	first := text(items[0])
	for _, it := range items[1:] {
		if text(it) != first {
			return ""
		}
	}
	if length(first) > maxCommon {
		return ""
	}
	return first
}

// maxCommon is for each text that is said at the top, where the room of the opening is.
const maxCommon = 200

// about is what is said of an item whatever becomes of it.
func (l *layout) about(it notify.Item) string {
	f := it.Finding
	var b strings.Builder
	title := clean(f.Title)
	if title != "" && length(title) <= 300 {
		title = "*" + title + "*" // emphasis doesn't reach from one block into the next
	}
	fmt.Fprintf(&b, "%s · %s", title, f.Severity)
	if it.Privileged {
		b.WriteString(" · privileged")
	}
	line := func(text string) {
		if text != "" {
			b.WriteString("\n" + text)
		}
	}
	line(clean(f.Message))
	facts := []string{subject(f)}
	if !f.FirstSeen.IsZero() {
		facts = append(facts, "since "+l.day(f.FirstSeen))
	}
	if f.CostMonth != "" {
		facts = append(facts, clean(strings.TrimSpace(f.CostMonth+" "+f.Currency))+" a month")
	}
	line(strings.Join(slices.DeleteFunc(facts, func(s string) bool { return s == "" }), " · "))
	if l.why == "" {
		line(why(it))
	}
	if f.ExceptionEnded != "" {
		line("*Was accepted:* " + clean(f.ExceptionEnded))
	}
	return b.String()
}

func why(it notify.Item) string {
	if it.Why == "" {
		return ""
	}
	return "*Why you:* " + clean(it.Why)
}

// otherwise says what happens by when if nobody answers, unless that is said at the top.
func (l *layout) otherwise(it notify.Item) string {
	if l.unanswered != "" {
		return ""
	}
	return l.unless(it)
}

func (l *layout) unless(it notify.Item) string {
	switch {
	case it.Otherwise != "" && !it.Due.IsZero():
		return fmt.Sprintf("*If nobody answers by %s:* %s", l.moment(it.Due), clean(it.Otherwise))
	case it.Otherwise != "":
		return "*If nobody answers:* " + clean(it.Otherwise)
	case !it.Due.IsZero():
		return "*Due:* " + l.moment(it.Due)
	}
	return "*If nobody answers:* nothing happens by itself"
}

func (l *layout) day(t time.Time) string { return t.In(l.zone).Format("2 Jan 2006") }

func (l *layout) moment(t time.Time) string { return t.In(l.zone).Format("2 Jan 2006 15:04 MST") }

// subject names what a finding is about, and whose it is where that says more.
func subject(f finding.Finding) string {
	name := clean(f.Name)
	var of []string
	for _, s := range []string{clean(f.PersonName), clean(f.Department)} {
		if s != "" && s != name {
			of = append(of, s)
		}
	}
	switch {
	case len(of) == 0:
		return name
	case name == "":
		return strings.Join(of, ", ")
	}
	return name + " (" + strings.Join(of, ", ") + ")"
}

func group(it notify.Item) string {
	name := plain(it.Finding.SourceName)
	if name == "" {
		name = "Across systems" // a finding about a person has no source of its own
	}
	if it.Urgency == notify.Normal {
		return name
	}
	return name + " · " + urgency(it.Urgency)
}

func urgency(u notify.Urgency) string {
	if u == notify.Overdue {
		return "overdue"
	}
	return "due soon"
}

// inBulk says whether an item may be decided together with others. A privileged one never is.
func inBulk(it notify.Item) bool { return !it.Privileged && len(it.Answers) > 0 }

// bulkAnswers are what every item that may be decided with others can be answered with; nil if there are too few.
func bulkAnswers(items []notify.Item) []notify.Answer {
	var out []notify.Answer
	n := 0
	for _, it := range items {
		if !inBulk(it) {
			continue
		}
		if n++; n == 1 {
			out = slices.Clone(it.Answers)
		}
		out = slices.DeleteFunc(out, func(a notify.Answer) bool { return !slices.Contains(it.Answers, a) })
	}
	if n < bulkFrom {
		return nil
	}
	return out
}

func pieces(about, last string) []string {
	if last != "" {
		about += "\n" + last
	}
	return split(about, maxSection)
}

func count(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}

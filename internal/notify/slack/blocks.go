package slack

import (
	"strings"

	"github.com/slack-go/slack"

	"github.com/lapse-audit/lapse/internal/finding"
	"github.com/lapse-audit/lapse/internal/notify"
)

// The ids by which an interaction says what was pressed. They are in messages that were sent long ago: what they mean
// may not change.
const (
	actionAnswer = "lapse.answer." // + a notify.Answer; the value is the fingerprint
	actionBulk   = "lapse.bulk"    // the value is that of bulkValue
	viewAnswer   = "lapse.answer"  // callback id of the modals
)

var answerLabels = map[notify.Answer]string{
	notify.Revoke: "Revoke", notify.Keep: "Keep", notify.NotMine: "Not mine", notify.Later: "Later",
}

// mrkdwnText is text that is already safe. Verbatim keeps Slack from making links of what looks like one.
func mrkdwnText(text string) *slack.TextBlockObject {
	return slack.NewTextBlockObject(slack.MarkdownType, text, false, true)
}

func plainText(text string) *slack.TextBlockObject {
	return slack.NewTextBlockObject(slack.PlainTextType, text, false, false)
}

func header(text string) slack.Block { return slack.NewHeaderBlock(plainText(text)) }

func section(id, text string) slack.Block {
	return slack.NewSectionBlock(mrkdwnText(text), nil, nil, slack.SectionBlockOptionBlockID(id))
}

func buttons(fp finding.Fingerprint, answers []notify.Answer) slack.Block {
	var elements []slack.BlockElement
	for _, a := range answers {
		label, ok := answerLabels[a]
		if !ok {
			continue // an answer that came after this was written can be given elsewhere
		}
		b := slack.NewButtonBlockElement(actionAnswer+string(a), string(fp), plainText(label))
		if a == notify.Revoke {
			b.WithStyle(slack.StyleDanger).WithConfirm(slack.NewConfirmationBlockObject(plainText("Take this access away?"),
				plainText("This approves a change that takes it away. Its guards still hold."), plainText("Revoke"), plainText("Back")))
		}
		elements = append(elements, b)
	}
	if elements == nil {
		return nil
	}
	return slack.NewActionBlock("answer/"+string(fp), elements...)
}

func bulkButton(items []finding.Fingerprint, answers []notify.Answer) slack.Block {
	return slack.NewActionBlock("several", slack.NewButtonBlockElement(actionBulk, bulkValue(items, answers), plainText("Decide several at once")))
}

// bulkValue is what a modal for several items is made of: answers, a bar, fingerprints.
func bulkValue(items []finding.Fingerprint, answers []notify.Answer) string {
	var b strings.Builder
	for i, a := range answers {
		if i > 0 {
			b.WriteByte(' ')
		}
		b.WriteString(string(a))
	}
	b.WriteByte('|')
	for i, fp := range items {
		if i > 0 {
			b.WriteByte(' ')
		}
		b.WriteString(string(fp))
	}
	return b.String()
}

func parseBulkValue(value string) (items []finding.Fingerprint, answers []notify.Answer) {
	left, right, _ := strings.Cut(value, "|")
	for a := range strings.FieldsSeq(left) {
		answers = append(answers, notify.Answer(a))
	}
	for fp := range strings.FieldsSeq(right) {
		items = append(items, finding.Fingerprint(fp))
	}
	return items, answers
}

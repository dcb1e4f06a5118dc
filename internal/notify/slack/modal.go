package slack

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/slack-go/slack"

	"github.com/lapse-audit/lapse/internal/finding"
	"github.com/lapse-audit/lapse/internal/notify"
)

// The inputs of the modals, by block id; the element in each has the id "v".
const (
	inputAnswer = "answer"
	inputItems  = "items"
	inputReason = "reason"
	inputUntil  = "until"
	inputTo     = "to"
	inputValue  = "v"
)

const maxReason = 1000

// keepDays is the expiry that the modal proposes.
const keepDays = 90

// asked is what a modal was opened for. It travels in the modal itself, so that a submission is understood by another
// process than the one that opened it.
type asked struct {
	Answer notify.Answer         `json:"a,omitempty"` // "" where the modal asks for it
	Among  []notify.Answer       `json:"m,omitempty"`
	Items  []finding.Fingerprint `json:"f"`
}

// answerModal asks for what an answer to one item needs. card is what the message said of it.
func answerModal(a notify.Answer, fp finding.Fingerprint, card []string, now time.Time) (slack.ModalViewRequest, error) {
	var blocks []slack.Block
	for _, text := range card {
		blocks = append(blocks, section("", text))
	}
	title, submit := "Keep this access", "Keep"
	switch a {
	case notify.Keep:
		blocks = append(blocks, reasonInput(false), untilInput(now, false))
	case notify.NotMine:
		title, submit = "Who should decide?", "Hand over"
		blocks = append(blocks, toInput(false))
	default:
		return slack.ModalViewRequest{}, fmt.Errorf("the answer %q needs no modal", a)
	}
	return modal(title, submit, asked{Answer: a, Items: []finding.Fingerprint{fp}}, blocks)
}

// bulkModal asks for one answer to several items. cards are what the message said of each.
func bulkModal(items []finding.Fingerprint, answers []notify.Answer, cards map[finding.Fingerprint][]string, now time.Time) (slack.ModalViewRequest, error) {
	var blocks []slack.Block
	var options []*slack.OptionBlockObject
	for i, fp := range items {
		for n, text := range cards[fp] {
			if n == 0 {
				text = fmt.Sprintf("%d. %s", i+1, text)
			}
			for _, piece := range split(text, maxSection) {
				blocks = append(blocks, section("", piece))
			}
		}
		options = append(options, slack.NewOptionBlockObject(strconv.Itoa(i), plainText(fmt.Sprintf("%d. %s", i+1, label(cards[fp]))), nil))
	}
	for i, o := range options {
		options[i].Text.Text = shorten(o.Text.Text, maxLabel)
	}
	pick := slack.NewOptionsMultiSelectBlockElement(slack.MultiOptTypeStatic, plainText("Choose items"), inputValue, options...)
	pick.InitialOptions = options
	blocks = append(blocks, slack.NewInputBlock(inputItems, plainText("Items"), nil, pick))

	var choices []*slack.OptionBlockObject
	for _, a := range answers {
		if l, ok := answerLabels[a]; ok {
			choices = append(choices, slack.NewOptionBlockObject(string(a), plainText(l), nil))
		}
	}
	if len(choices) == 0 {
		return slack.ModalViewRequest{}, errors.New("no answer can be given to all of the items")
	}
	blocks = append(blocks, slack.NewInputBlock(inputAnswer, plainText("Answer"), nil, slack.NewRadioButtonsBlockElement(inputValue, choices...)))
	if slices.Contains(answers, notify.Keep) {
		blocks = append(blocks, reasonInput(true), untilInput(now, true))
	}
	if slices.Contains(answers, notify.NotMine) {
		blocks = append(blocks, toInput(true))
	}
	return modal("Decide several", "Decide", asked{Among: answers, Items: items}, blocks)
}

func modal(title, submit string, a asked, blocks []slack.Block) (slack.ModalViewRequest, error) {
	meta, err := json.Marshal(a)
	if err != nil {
		return slack.ModalViewRequest{}, err
	}
	return slack.ModalViewRequest{
		Type: slack.VTModal, CallbackID: viewAnswer, PrivateMetadata: string(meta),
		Title: plainText(title), Submit: plainText(submit), Close: plainText("Back"),
		Blocks: slack.Blocks{BlockSet: blocks},
	}, nil
}

// doneModal takes the place of a modal that was sent, and says what came of it.
func doneModal(reply string) *slack.ModalViewRequest {
	return &slack.ModalViewRequest{Type: slack.VTModal, Title: plainText("Your answer"), Close: plainText("Close"), Blocks: slack.Blocks{BlockSet: replyBlocks(reply)}}
}

func reasonInput(optional bool) slack.Block {
	e := slack.NewPlainTextInputBlockElement(nil, inputValue)
	e.Multiline, e.MaxLength = true, maxReason
	b := slack.NewInputBlock(inputReason, plainText("Why is it needed?"), plainText("It is kept with the exception, for the auditor."), e)
	b.Optional = optional
	return b
}

func untilInput(now time.Time, optional bool) slack.Block {
	e := slack.NewDatePickerBlockElement(inputValue)
	e.InitialDate = now.AddDate(0, 0, keepDays).Format(time.DateOnly)
	b := slack.NewInputBlock(inputUntil, plainText("Until the end of"), plainText("Then it is asked again."), e)
	b.Optional = optional
	return b
}

func toInput(optional bool) slack.Block {
	e := slack.NewOptionsSelectBlockElement(slack.OptTypeUser, plainText("Choose a person"), inputValue)
	b := slack.NewInputBlock(inputTo, plainText("Who should decide instead?"), nil, e)
	b.Optional = optional
	return b
}

// maxReply is for the bytes of a reply. Slack drops what is longer than 20 KB over Socket Mode and says nothing.
const maxReply = 9000

// replyBlocks are a reply of the pipeline, as plain text. Of one that is too long it says how much is left out.
func replyBlocks(reply string) []slack.Block {
	var lines []string
	size, left := 0, 0
	for line := range strings.Lines(reply) {
		if line = shorten(clean(line), maxSection); line == "" {
			continue
		}
		if quoted, err := json.Marshal(line); left == 0 && err == nil && size+len(quoted) <= maxReply {
			lines, size = append(lines, line), size+len(quoted)
			continue
		}
		left++
	}
	if left > 0 {
		lines = append(lines, fmt.Sprintf("…and %s more", count(left, "line")))
	}
	if len(lines) == 0 {
		lines = []string{"Recorded."}
	}
	var blocks []slack.Block
	for _, piece := range split(strings.Join(lines, "\n"), maxSection) {
		blocks = append(blocks, section("", piece))
	}
	return blocks
}

// cards collects what a message said of its items.
func cards(m slack.Message) map[finding.Fingerprint][]string {
	out := map[finding.Fingerprint][]string{}
	for _, b := range m.Blocks.BlockSet {
		s, ok := b.(*slack.SectionBlock)
		if !ok || s.Text == nil {
			continue
		}
		if rest, ok := strings.CutPrefix(s.BlockID, "card/"); ok {
			fp, _, _ := strings.Cut(rest, "/")
			out[finding.Fingerprint(fp)] = append(out[finding.Fingerprint(fp)], s.Text.Text)
		}
	}
	return out
}

// unescape turns what stood in mrkdwn into what stands in plain text.
var unescape = strings.NewReplacer("&lt;", "<", "&gt;", ">", "&amp;", "&", "*", "")

// label is one line for a card whose whole text stands above: its message, or its title.
func label(card []string) string {
	if len(card) == 0 {
		return "item"
	}
	lines := strings.Split(card[0], "\n")
	line := lines[0]
	if len(lines) > 1 {
		line = lines[1]
	}
	return unescape.Replace(line)
}

// submitted reads a submission. faults say by the block id of an input what is wrong with it.
func submitted(v slack.View, now time.Time, zone *time.Location) (filled filled, faults map[string]string, err error) {
	var asked asked
	if err := json.Unmarshal([]byte(v.PrivateMetadata), &asked); err != nil || len(asked.Items) == 0 {
		return filled, nil, errors.New("the modal does not say what it was opened for")
	}
	value := func(input string) slack.BlockAction {
		if v.State == nil {
			return slack.BlockAction{}
		}
		return v.State.Values[input][inputValue]
	}
	faults = map[string]string{}
	filled.answer, filled.items = asked.Answer, asked.Items
	if asked.Answer == "" {
		filled.answer = notify.Answer(value(inputAnswer).SelectedOption.Value)
		if !slices.Contains(asked.Among, filled.answer) {
			faults[inputAnswer] = "Choose an answer."
		}
		filled.items = nil
		for _, o := range value(inputItems).SelectedOptions {
			// What was not offered, such as a privileged finding, can't be chosen.
			if i, err := strconv.Atoi(o.Value); err == nil && i >= 0 && i < len(asked.Items) && !slices.Contains(filled.items, asked.Items[i]) {
				filled.items = append(filled.items, asked.Items[i])
			}
		}
		if len(filled.items) == 0 {
			faults[inputItems] = "Choose at least one item."
		}
	}
	switch filled.answer {
	case notify.Keep:
		if filled.reason = strings.TrimSpace(value(inputReason).Value); filled.reason == "" {
			faults[inputReason] = "Say why it is needed."
		}
		day, err := time.ParseInLocation(time.DateOnly, value(inputUntil).SelectedDate, zone)
		switch filled.until = day.AddDate(0, 0, 1); {
		case err != nil:
			faults[inputUntil] = "Choose the day it ends."
		case !filled.until.After(now):
			faults[inputUntil] = "That day is past."
		}
	case notify.NotMine:
		if filled.to = value(inputTo).SelectedUser; filled.to == "" {
			faults[inputTo] = "Choose who should decide."
		}
	}
	return filled, faults, nil
}

// filled is what somebody wrote into a modal.
type filled struct {
	answer notify.Answer
	items  []finding.Fingerprint
	reason string
	until  time.Time
	to     string // Slack user id
}

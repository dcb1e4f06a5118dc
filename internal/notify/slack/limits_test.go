package slack

import (
	"strings"
	"testing"

	"github.com/slack-go/slack"

	"github.com/lapse-audit/lapse/internal/notify/slack/slacktest"
)

func checkPart(t *testing.T, p Part) {
	t.Helper()
	for _, f := range slacktest.Faults(p.Blocks, 50) {
		t.Errorf("%s: %s", p.Key, f)
	}
	if strings.TrimSpace(p.Text) == "" || len(p.Text) > 200 {
		t.Errorf("%s: a fallback of %d bytes", p.Key, len(p.Text))
	}
}

func checkModal(t *testing.T, v slack.ModalViewRequest) {
	t.Helper()
	for _, f := range slacktest.ModalFaults(v) {
		t.Errorf("modal: %s", f)
	}
}

// The check itself must not pass in silence.
func TestLimitsAreChecked(t *testing.T) {
	long := strings.Repeat("x", 3001)
	many := make([]slack.Block, 51)
	for i := range many {
		many[i] = section("", "x")
	}
	for name, blocks := range map[string][]slack.Block{
		"section":      {section("", long)},
		"empty text":   {section("", "")},
		"header":       {header(long[:151])},
		"blocks":       many,
		"none":         {},
		"block_id":     {section(long[:256], "x")},
		"twice":        {section("a", "x"), section("a", "x")},
		"value":        {slack.NewActionBlock("", slack.NewButtonBlockElement("a", long[:2001], plainText("x")))},
		"label":        {slack.NewActionBlock("", slack.NewButtonBlockElement("a", "v", plainText(long[:76])))},
		"actions":      {slack.NewActionBlock("")},
		"links":        {slack.NewSectionBlock(slack.NewTextBlockObject("mrkdwn", "http://x", false, false), nil, nil)},
		"unknown kind": {slack.NewDividerBlock()},
	} {
		if got := slacktest.Faults(blocks, 50); len(got) == 0 {
			t.Errorf("%s: nothing is found", name)
		}
	}
	if got := slacktest.Faults([]slack.Block{header("x"), section("a", "x")}, 50); got != nil {
		t.Errorf("faults of what is right: %q", got)
	}
}

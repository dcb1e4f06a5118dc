package slacktest

import (
	"encoding/json"
	"fmt"
	"unicode/utf16"

	"github.com/slack-go/slack"
)

// Faults holds a message or a modal against the documented limits, on the JSON that Slack gets. The numbers stand here
// once more, so that a slip in the code is no slip here.
// See https://docs.slack.dev/reference/block-kit/.
func Faults(blocks []slack.Block, most int) []string {
	data, err := json.Marshal(blocks)
	if err != nil {
		return []string{err.Error()}
	}
	var list []map[string]any
	if err := json.Unmarshal(data, &list); err != nil {
		return []string{err.Error()}
	}
	c := &checker{ids: map[string]bool{}}
	if len(list) == 0 || len(list) > most {
		c.fault("%d blocks, want 1 to %d", len(list), most)
	}
	for _, b := range list {
		c.block(b)
	}
	// Slack documents no limit for all the texts of a message; somebody's of 11,341 was refused.
	if most == 50 && c.total > 9500 {
		c.fault("texts of %d characters", c.total)
	}
	return c.faults
}

// checker is one message, or one modal.
type checker struct {
	faults []string
	ids    map[string]bool
	total  int
}

func (c *checker) fault(format string, args ...any) {
	c.faults = append(c.faults, fmt.Sprintf(format, args...))
}

func (c *checker) within(what string, v any, low, high int) {
	s, _ := v.(string)
	if n := len(utf16.Encode([]rune(s))); n < low || n > high {
		c.fault("%s has %d characters, want %d to %d: %.60q", what, n, low, high, s)
	}
}

func (c *checker) text(what string, v any, kind string, high int) {
	o, ok := v.(map[string]any)
	if !ok {
		c.fault("%s is missing", what)
		return
	}
	if kind != "" && o["type"] != kind {
		c.fault("%s is %v, want %s", what, o["type"], kind)
	}
	c.within(what, o["text"], 1, high)
	s, _ := o["text"].(string)
	c.total += len(utf16.Encode([]rune(s)))
	if o["type"] == "mrkdwn" && o["verbatim"] != true {
		c.fault("%s makes links of what looks like one", what)
	}
}

func (c *checker) block(b map[string]any) {
	if id, ok := b["block_id"].(string); ok {
		c.within("block_id", id, 1, 255)
		if c.ids[id] {
			c.fault("block_id %q twice", id)
		}
		c.ids[id] = true
	}
	elements, _ := b["elements"].([]any)
	switch b["type"] {
	case "header":
		c.text("header", b["text"], "plain_text", 150)
	case "section":
		c.text("section", b["text"], "", 3000)
		if fields, _ := b["fields"].([]any); len(fields) > 10 {
			c.fault("%d fields", len(fields))
		}
	case "context":
		if len(elements) == 0 || len(elements) > 10 {
			c.fault("context of %d elements", len(elements))
		}
		for _, e := range elements {
			c.text("context", e, "", 3000)
		}
	case "actions":
		if len(elements) == 0 || len(elements) > 25 {
			c.fault("actions of %d elements", len(elements))
		}
		seen := map[any]bool{}
		for _, e := range elements {
			e := e.(map[string]any)
			if seen[e["action_id"]] {
				c.fault("action_id %v twice in a block", e["action_id"])
			}
			seen[e["action_id"]] = true
			c.element(e)
		}
	case "input":
		c.text("label", b["label"], "plain_text", 2000)
		if h, ok := b["hint"]; ok {
			c.text("hint", h, "plain_text", 2000)
		}
		c.element(b["element"].(map[string]any))
	default:
		c.fault("a block of type %v", b["type"])
	}
}

func (c *checker) element(e map[string]any) {
	c.within("action_id", e["action_id"], 1, 255)
	options, _ := e["options"].([]any)
	for _, o := range options {
		o := o.(map[string]any)
		c.text("option", o["text"], "", 75)
		c.within("option value", o["value"], 1, 150)
	}
	if p, ok := e["placeholder"]; ok {
		c.text("placeholder", p, "plain_text", 150)
	}
	switch e["type"] {
	case "button":
		c.text("button", e["text"], "plain_text", 75)
		c.within("button value", e["value"], 1, 2000)
		if d, ok := e["confirm"].(map[string]any); ok {
			c.text("confirm title", d["title"], "plain_text", 100)
			c.text("confirm text", d["text"], "", 300)
			c.text("confirm", d["confirm"], "plain_text", 30)
			c.text("deny", d["deny"], "plain_text", 30)
		}
	case "multi_static_select":
		if len(options) == 0 || len(options) > 100 {
			c.fault("%d options", len(options))
		}
	case "radio_buttons":
		if len(options) == 0 || len(options) > 10 {
			c.fault("%d radio buttons", len(options))
		}
	case "plain_text_input", "datepicker", "users_select":
	default:
		c.fault("an element of type %v", e["type"])
	}
}

// ModalFaults is Faults for a modal.
func ModalFaults(v slack.ModalViewRequest) []string {
	c := &checker{faults: Faults(v.Blocks.BlockSet, 100)}
	for what, text := range map[string]*slack.TextBlockObject{"title": v.Title, "submit": v.Submit, "close": v.Close} {
		if text != nil {
			c.within(what, text.Text, 1, 24)
		}
	}
	c.within("private_metadata", v.PrivateMetadata, 0, 3000)
	c.within("callback_id", v.CallbackID, 0, 255)
	return c.faults
}

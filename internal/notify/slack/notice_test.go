package slack

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/lapse-audit/lapse/internal/notify"
)

// A notice has no buttons, keeps to the limits however long it is, and a name in it is no markup.
func TestNotice(t *testing.T) {
	m := notify.Message{Key: "k", Kind: notify.Notice, Title: "Access waits for your review", Lines: []string{"item 1: <@U1> *Ann* holds " + strings.Repeat("W", 4000)}}
	for i := range 200 {
		m.Lines = append(m.Lines, fmt.Sprintf("- item %d", i))
	}
	parts := Render(m)
	var all strings.Builder
	for _, p := range parts {
		for _, f := range faults(p.Blocks, maxBlocks) {
			t.Errorf("%s: %s", p.Key, f)
		}
		if !strings.HasPrefix(p.Text, "Lapse: Access waits for your review") || len(p.Items) > 0 {
			t.Errorf("%q, items %v", p.Text, p.Items)
		}
		b, err := json.Marshal(p.Blocks)
		if err != nil {
			t.Fatal(err)
		}
		all.Write(b)
	}
	if len(parts) < 4 || strings.Contains(all.String(), "<@U1>") || strings.Contains(all.String(), `"actions"`) {
		t.Errorf("%d parts: %.300s", len(parts), all.String())
	}
	if !strings.Contains(all.String(), "- item 199") {
		t.Error("the last line is cut")
	}
}

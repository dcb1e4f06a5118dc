package slack

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/lapse-audit/lapse/internal/notify/notifytest"
)

func TestContract(t *testing.T) {
	w := newWorkspace(t)
	w.User("U3MIA", "mia@example.com")
	notifytest.Run(t, notifytest.Suite{Channel: w.channel(Options{}), Repeats: true, Addressed: true, Received: func(t *testing.T) (out []notifytest.Delivery) {
		w.Mu.Lock()
		defer w.Mu.Unlock()
		for _, m := range w.Messages["DU3MIA"] {
			key, _ := m.Metadata.EventPayload["key"].(string)
			key, _, _ = strings.Cut(key, "#")
			var blocks any
			if err := json.Unmarshal([]byte(m.Blocks), &blocks); err != nil {
				t.Fatal(err)
			}
			out = append(out, notifytest.Delivery{Key: key, Text: m.Text + "\n" + wordsOf(blocks)})
		}
		return out
	}})
}

// wordsOf are all that people read of blocks.
func wordsOf(v any) string {
	var out strings.Builder
	switch v := v.(type) {
	case []any:
		for _, x := range v {
			out.WriteString(wordsOf(x))
		}
	case map[string]any:
		for key, x := range v {
			if s, ok := x.(string); ok && key == "text" {
				out.WriteString(s + "\n")
			} else {
				out.WriteString(wordsOf(x))
			}
		}
	}
	return out.String()
}

package tickets

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"strings"

	"github.com/lapse-audit/lapse/internal/notify/foreign"
)

// Task is work for a person that is about no finding.
type Task struct {
	Key     string // the same task has the same
	Summary string
	Lines   []string
	Source  string // where it is to be done
}

// Ask sees to it that there is an open ticket for a task, and gives its id. It can be repeated: it is looked for first.
func (c *Channel) Ask(ctx context.Context, t Task) (string, error) {
	it := ticket{document: t.document()}
	id, err := c.find(ctx, it)
	if err != nil || id != "" {
		return id, err
	}
	return c.create(ctx, it)
}

// Done says whether the ticket of a task was closed as done. With a recipe that can't tell it is not.
func (c *Channel) Done(ctx context.Context, t Task, id string) (bool, error) {
	if len(c.recipe.Done.Do) == 0 {
		return false, nil
	}
	out, err := c.run(ctx, "done", c.recipe.Done, ticket{document: t.document()}, id, "")
	return out == true, err
}

// document is a task as the expressions of a recipe see it: in the fields of a finding that it has.
func (t Task) document() map[string]any {
	sum := sha256.Sum256([]byte(t.Key))
	var lines []any
	var text strings.Builder
	for _, l := range t.Lines {
		if l = foreign.Line(l); l != "" {
			lines = append(lines, l)
			text.WriteString(l + "\n")
		}
	}
	summary := shorten(foreign.Line(t.Summary))
	return map[string]any{
		"label": "lapse-" + hex.EncodeToString(sum[:16]), "finding": "", "policy": "", "title": summary, "severity": "high", "privileged": false,
		"message": summary, "subject": "", "source": foreign.Line(t.Source), "why": "", "since": "", "cost": "", "otherwise": "", "kind": "task", "to": "",
		"summary": summary, "lines": lines, "text": text.String(),
	}
}

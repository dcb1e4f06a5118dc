package hook

import (
	"context"
	"os/exec"

	"github.com/lapse-audit/lapse/internal/collect"
)

// Diagnose implements collect.Doctor: whether the command is there. It isn't started.
func (c *Changer) Diagnose(ctx context.Context) ([]collect.Advice, error) {
	if _, err := exec.LookPath(c.path()); err != nil {
		return []collect.Advice{{What: "changes", Missing: true, Detail: err.Error()}}, ctx.Err()
	}
	_, err := c.environment(ctx)
	return []collect.Advice{{What: "changes", Detail: "by " + c.config.Exec[0]}}, err
}

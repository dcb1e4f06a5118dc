package rest

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/lapse-audit/lapse/internal/access"
	"github.com/lapse-audit/lapse/internal/collect"
)

// Diagnose implements collect.Doctor for the credentials that write: it signs in, and names the rights that each action needs.
// Whether they are there is only seen when it is done.
func (c *Changer) Diagnose(ctx context.Context) ([]collect.Advice, error) {
	able, err := c.Abilities()
	if err != nil {
		return nil, err
	}
	// Somebody who isn't there is looked for: it shows that the credentials are taken, and changes nothing.
	_, err = c.Look(ctx, access.Object{Kind: access.HolderAccount, ID: "lapse-doctor"})
	var out []collect.Advice
	for _, e := range []struct {
		status int
		mend   string
	}{{401, "the credentials under write.auth are refused"}, {403, "the credentials under write.auth may not look at accounts"}} {
		var status *statusError
		if errors.As(err, &status) && status.status == e.status {
			out = append(out, collect.Advice{What: "changes", Missing: true, Detail: fmt.Sprintf("%s: %v", e.mend, err)})
		}
	}
	for _, action := range access.Actions() {
		if a, ok := able[action]; ok {
			out = append(out, collect.Advice{What: strings.ReplaceAll(string(action), "_", " "), Detail: "needs " + a.Right})
		}
	}
	return out, ctx.Err()
}

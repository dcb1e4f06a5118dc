package scim

import (
	"context"

	"github.com/lapse-audit/lapse/internal/collect"
)

// Diagnose implements collect.Doctor for the credential that writes. Whether it may is only seen when it does.
func (c *Changer) Diagnose(ctx context.Context) ([]collect.Advice, error) {
	cl, caps, err := c.open(ctx)
	if err != nil {
		return nil, err
	}
	if _, err := cl.get(ctx, "Users", map[string][]string{"count": {"1"}}); err != nil {
		return []collect.Advice{{What: "changes", Missing: true, Detail: err.Error()}}, nil //nolint:nilerr // it is the advice
	}
	how := "by PATCH"
	r := &reading{caps: caps}
	switch {
	case !r.patches() && caps.etag != nil && *caps.etag:
		how = "by PUT of the whole resource, if nobody else has changed it"
	case !r.patches():
		how = "by PUT of the whole resource: the service knows no versions, so that what another changes in the same second is lost"
	}
	return []collect.Advice{{What: "changes", Detail: how}}, nil
}

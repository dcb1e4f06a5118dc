package collectors

import (
	"fmt"

	"github.com/lapse-audit/lapse/collectors/ldap"
	"github.com/lapse-audit/lapse/collectors/scim"
	"github.com/lapse-audit/lapse/collectors/sql"
	"github.com/lapse-audit/lapse/internal/access"
	"github.com/lapse-audit/lapse/internal/collect"
)

// Change returns what carries out changes in the source that a collector reads. It touches nothing yet.
func Change(c collect.Collector) (collect.Changer, error) {
	switch c := c.(type) {
	case *ldap.Collector:
		return c.Changer()
	case *scim.Collector:
		return c.Changer(), nil
	case *sql.Collector:
		return c.Changer(), nil
	}
	return nil, fmt.Errorf("it is read from exports: %w", access.ErrCannot)
}

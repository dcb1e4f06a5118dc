package collectors

import (
	"fmt"

	"github.com/lapse-audit/lapse/collectors/hook"
	"github.com/lapse-audit/lapse/collectors/ldap"
	"github.com/lapse-audit/lapse/collectors/rest"
	"github.com/lapse-audit/lapse/collectors/scim"
	"github.com/lapse-audit/lapse/collectors/sql"
	"github.com/lapse-audit/lapse/internal/access"
	"github.com/lapse-audit/lapse/internal/collect"
)

// ChangerOf returns what changes the source of a collector. It touches nothing. A type of source that can't be changed is
// access.ErrCannot.
func ChangerOf(c collect.Collector) (collect.Changer, error) {
	switch c := c.(type) {
	case *ldap.Collector:
		return c.Changer()
	case *rest.Collector:
		return c.Changer()
	case *scim.Collector:
		return c.Changer(), nil
	case *sql.Collector:
		return c.Changer(), nil
	}
	return nil, fmt.Errorf("%w: a source of this type is only read: set write.exec to a command that changes it", access.ErrCannot)
}

// Hook returns what changes a source of any type by a command: the section write that has exec. It starts nothing.
func Hook(decode func(any) error, env Env) (collect.Changer, error) {
	var c hook.Config
	if err := decode(&c); err != nil {
		return nil, err
	}
	return hook.New(c, hook.Options{Base: env.Base, Secret: env.Secret})
}

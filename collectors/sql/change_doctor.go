package sql

import (
	"context"
	dbsql "database/sql"
	"fmt"

	"github.com/lapse-audit/lapse/internal/collect"
)

// Diagnose implements collect.Doctor for the user that writes: what it can't change, and what to grant for it.
func (c *Changer) Diagnose(ctx context.Context) ([]collect.Advice, error) {
	var out []collect.Advice
	err := c.with(ctx, func(ctx context.Context, conn *dbsql.Conn) error {
		var err error
		out, err = c.engine.advise(ctx, conn)
		return err
	})
	return out, err
}

// granted is advice on one right.
func granted(what string, has bool, mend string) collect.Advice {
	if has {
		return collect.Advice{What: what, Detail: "may be changed"}
	}
	return collect.Advice{What: what, Missing: true, Detail: mend}
}

func (p *postgres) advise(ctx context.Context, conn *dbsql.Conn) ([]collect.Advice, error) {
	var user string
	var create, signal bool
	if err := conn.QueryRowContext(ctx, "SELECT quote_ident(rolname), rolcreaterole OR rolsuper, rolsuper OR pg_has_role(oid, 'pg_signal_backend', 'MEMBER') FROM pg_roles WHERE rolname = current_user").Scan(&user, &create, &signal); err != nil {
		return nil, explain(err)
	}
	out := []collect.Advice{
		granted("changes of roles", create, "ALTER ROLE "+user+" CREATEROLE"),
		granted("ending sessions", signal, "GRANT pg_signal_backend TO "+user),
	}
	if p.version >= 160000 && create && !p.super {
		out = append(out, collect.Advice{What: "changes of roles", Detail: "only of those that " + user + " has WITH ADMIN OPTION"})
	}
	if !p.super {
		out = append(out, collect.Advice{What: "superusers", Detail: "can only be changed by a superuser, which " + user + " is not: plans leave them to a person"})
	}
	return out, nil
}

func (m *mariadb) advise(ctx context.Context, conn *dbsql.Conn) ([]collect.Advice, error) {
	var user string
	if err := conn.QueryRowContext(ctx, "SELECT current_user()").Scan(&user); err != nil {
		return nil, explain(err)
	}
	var out []collect.Advice
	for _, r := range []struct {
		what, mend string
		rights     []string
	}{
		{"changes of accounts", "GRANT CREATE USER ON *.* TO " + user, []string{"CREATE USER"}},
		{"seeing sessions", "GRANT PROCESS ON *.* TO " + user, []string{"PROCESS", "SUPER"}},
		{"ending sessions", "GRANT CONNECTION ADMIN ON *.* TO " + user, []string{"CONNECTION ADMIN", "SUPER"}},
	} {
		has, err := m.has(ctx, conn, r.rights...)
		if err != nil {
			return out, explain(err)
		}
		out = append(out, granted(r.what, has, r.mend))
	}
	roles, err := texts(ctx, conn, "SELECT Role FROM mysql.roles_mapping WHERE CAST(concat(User, '@', Host) AS binary) = CAST(current_user() AS binary) AND Admin_option = 'Y' ORDER BY 1")
	if err != nil {
		return append(out, granted("roles", false, "GRANT SELECT on the tables that the preset reads TO "+user)), nil //nolint:nilerr // it is the advice
	}
	return append(out, collect.Advice{What: "roles", Detail: fmt.Sprintf("%d can be taken: those that %s has WITH ADMIN OPTION", len(roles), user)}), nil
}

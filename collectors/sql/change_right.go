package sql

import (
	"context"
	dbsql "database/sql"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/lapse-audit/lapse/internal/access"
)

// objectKind is a kind of object in a PostgreSQL database on which rights are granted.
type objectKind struct {
	from    string // a query for its oid, name, acl, owner and what the preset names it by
	keyword string
}

// objectKinds by the word with which the preset's entitlements begin. The rights on tables are those on all of a schema's.
var objectKinds = map[string]objectKind{
	"database": {"SELECT oid, quote_ident(datname) AS name, coalesce(datacl, acldefault('d', datdba)) AS acl, datdba AS owner, datname AS named FROM pg_database WHERE datname = current_database()", "DATABASE"},
	"schema":   {"SELECT oid, quote_ident(nspname) AS name, coalesce(nspacl, acldefault('n', nspowner)) AS acl, nspowner AS owner, nspname AS named FROM pg_namespace", "SCHEMA"},
	"tables": {"SELECT c.oid, format('%I.%I', n.nspname, c.relname) AS name, coalesce(c.relacl, acldefault('r', c.relowner)) AS acl, c.relowner AS owner, n.nspname AS named " +
		"FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f')", "TABLE"},
}

// right is one that a role holds on one object.
type right struct {
	Object  string `json:"object"` // oid
	Grant   bool   `json:"grant"`  // it may hand it on
	name    string
	byOwner bool
	isOwner bool
}

// rightOf parts the id of an entitlement that is a right.
func rightOf(id string) (kind objectKind, named, privilege string, ok bool) {
	word, rest, _ := strings.Cut(id, ":")
	i := strings.LastIndexByte(rest, ':')
	kind, ok = objectKinds[word]
	if !ok || i < 0 || !slices.Contains(privileges, rest[i+1:]) {
		return objectKind{}, "", "", false
	}
	return kind, rest[:i], rest[i+1:], true
}

// privileges are the words that may stand in a statement (PostgreSQL's manual, 5.7).
var privileges = []string{"SELECT", "INSERT", "UPDATE", "DELETE", "TRUNCATE", "REFERENCES", "TRIGGER", "CREATE", "CONNECT", "TEMPORARY", "USAGE", "MAINTAIN"}

// rights are those behind an entitlement that a role holds itself.
func (p *postgres) rights(ctx context.Context, q queryer, oid, entitlement string) ([]right, error) {
	kind, named, privilege, ok := rightOf(entitlement)
	if !ok {
		return nil, nil
	}
	rows, err := q.QueryContext(ctx, "SELECT o.oid::text, o.name, bool_or(a.is_grantable), bool_and(a.grantor = o.owner), bool_or(a.grantee = o.owner) FROM ("+kind.from+") AS o, aclexplode(o.acl) AS a "+
		"WHERE o.named = $1 AND a.privilege_type = $2 AND a.grantee = $3::text::oid GROUP BY 1, 2 ORDER BY 2", named, privilege, oid)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var out []right
	for rows.Next() {
		var r right
		if err := rows.Scan(&r.Object, &r.name, &r.Grant, &r.byOwner, &r.isOwner); err != nil {
			return nil, err
		}
		out = append(out, r)
	}
	return out, rows.Err()
}

// keepRights keeps what is needed to give rights back.
func (p *postgres) keepRights(ctx context.Context, tx *dbsql.Tx, oid string, into *access.Live) error {
	for _, g := range into.Grants {
		list, err := p.rights(ctx, tx, oid, g.EntitlementID)
		if err != nil {
			return err
		}
		for _, r := range list {
			text, err := json.Marshal(r)
			if err != nil {
				return err
			}
			into.Keep[g.EntitlementID] = append(into.Keep[g.EntitlementID], string(text))
		}
	}
	return nil
}

// revokeRight takes a right from a role on each object, or gives it back where it was. Objects that are gone are left out.
func (p *postgres) revokeRight(ctx context.Context, tx *dbsql.Tx, ch access.Change, name string) ([]string, error) {
	kind, named, privilege, ok := rightOf(ch.Entitlement)
	if !ok {
		return nil, fmt.Errorf("%w: %s is no right that is known here", access.ErrCannot, ch.Entitlement)
	}
	oid, _ := oidOf(ch.Object.ID)
	held, err := p.rights(ctx, tx, oid, ch.Entitlement)
	if err != nil {
		return nil, err
	}
	statement := func(verb, object, preposition string) string { // a name may hold anything: no format
		return verb + " " + privilege + " ON " + kind.keyword + " " + object + " " + preposition + " " + quote(name)
	}
	var out []string
	if !ch.Undo {
		for _, r := range held {
			switch {
			case r.isOwner:
				return nil, fmt.Errorf("%w: the role owns %s: hand it over", access.ErrCannot, r.name)
			case !r.byOwner:
				return nil, fmt.Errorf("%w: the right on %s was granted by another than its owner, who has to take it", access.ErrCannot, r.name)
			}
			out = append(out, statement("REVOKE", r.name, "FROM"))
		}
		return out, nil
	}
	kept, err := keptBefore(ch)
	if err != nil {
		return nil, err
	}
	for _, text := range kept {
		var r right
		if err := json.Unmarshal([]byte(text), &r); err != nil {
			return nil, fmt.Errorf("what it was before can't be read: %w", err)
		}
		if slices.ContainsFunc(held, func(h right) bool { return h.Object == r.Object }) {
			continue
		}
		names, err := texts(ctx, tx, "SELECT o.name FROM ("+kind.from+") AS o WHERE o.named = $1 AND o.oid::text = $2", named, r.Object)
		if err != nil {
			return nil, err
		}
		with := ""
		if r.Grant {
			with = " WITH GRANT OPTION"
		}
		for _, object := range names {
			out = append(out, statement("GRANT", object, "TO")+with)
		}
	}
	return out, nil
}

// nativeRight are queries whose results psql runs as statements.
func nativeRight(ch access.Change, oid string) []string {
	kind, named, privilege, ok := rightOf(ch.Entitlement)
	if !ok {
		return nil
	}
	query := func(verb, preposition, with, where string) string {
		return "SELECT format(" + literal(verb+" "+privilege+" ON "+kind.keyword+" %s "+preposition+" %I"+with) + ", o.name, r.rolname) FROM (" + kind.from + ") AS o, pg_roles r WHERE o.named = " +
			literal(named) + " AND r.oid = " + oid + " AND " + where + ` \gexec`
	}
	if !ch.Undo {
		return []string{query("REVOKE", "FROM", "", "EXISTS (SELECT FROM aclexplode(o.acl) a WHERE a.grantee = r.oid AND a.privilege_type = "+literal(privilege)+")")}
	}
	if ch.Before == nil {
		return nil
	}
	with := map[bool][]string{}
	for _, text := range ch.Before.Keep[ch.Entitlement] {
		var r right
		if json.Unmarshal([]byte(text), &r) == nil {
			with[r.Grant] = append(with[r.Grant], literal(r.Object))
		}
	}
	var out []string
	for grant, option := range map[bool]string{false: "", true: " WITH GRANT OPTION"} {
		if len(with[grant]) > 0 {
			out = append(out, query("GRANT", "TO", option, "o.oid::text IN ("+strings.Join(with[grant], ", ")+")"))
		}
	}
	slices.Sort(out)
	return out
}

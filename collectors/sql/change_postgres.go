package sql

import (
	"context"
	"crypto/rand"
	dbsql "database/sql"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/lapse-audit/lapse/internal/access"
	"github.com/lapse-audit/lapse/internal/collect"
)

// postgres changes roles, known by their oid: one that was dropped and made again has another. A change is one transaction,
// so that only an answer to COMMIT that doesn't come leaves open what happened.
type postgres struct {
	k       *Collector
	version int // server_version_num
	super   bool
}

const roleID = "role:"

func (p *postgres) abilities(drop bool) map[access.Action]access.Ability {
	const role = "CREATEROLE, and from PostgreSQL 16 on ADMIN OPTION on the role; for superusers SUPERUSER"
	out := map[access.Action]access.Ability{
		access.ActionDisable:       {Right: role, Undo: true, ReadBack: true},
		access.ActionExpire:        {Right: role + " (VALID UNTIL ends sign-in by password only)", Undo: true, ReadBack: true},
		access.ActionRevoke:        {Right: role + ", for memberships CREATEROLE or ADMIN OPTION on the role that is taken, for rights membership in the owner of each object", Undo: true, ReadBack: true},
		access.ActionResetPassword: {Right: role},
		access.ActionEndSessions:   {Right: "membership in pg_signal_backend; for superusers SUPERUSER", ReadBack: true},
		access.ActionHandover:      {Right: "membership in both roles, or SUPERUSER (what is in other databases stays)", ReadBack: true},
	}
	if drop {
		out[access.ActionDelete] = access.Ability{Right: role, ReadBack: true}
	}
	return out
}

func (p *postgres) ready(ctx context.Context, conn *dbsql.Conn) error {
	var standby bool
	var version string
	if err := conn.QueryRowContext(ctx, "SELECT pg_is_in_recovery(), current_setting('server_version_num'), rolsuper FROM pg_roles WHERE rolname = current_user").Scan(&standby, &version, &p.super); err != nil {
		return fmt.Errorf("ask who we are: %w", explain(err))
	}
	var err error
	if p.version, err = strconv.Atoi(version); err != nil {
		return fmt.Errorf("server_version_num %q is no number", version)
	}
	if standby {
		return fmt.Errorf("%w: the server is a standby: let url name the primary", access.ErrCannot)
	}
	return nil
}

// oidOf is the oid in the id of an object.
func oidOf(id string) (string, bool) {
	id = strings.TrimPrefix(id, roleID)
	n, err := strconv.ParseUint(id, 10, 32)
	return id, err == nil && n > 0 && strconv.FormatUint(n, 10) == id
}

// queryer is a transaction or a connection.
type queryer interface {
	QueryRowContext(context.Context, string, ...any) *dbsql.Row
	QueryContext(context.Context, string, ...any) (*dbsql.Rows, error)
}

// name is that of a role now.
func (p *postgres) name(ctx context.Context, q queryer, id string) (string, error) {
	oid, ok := oidOf(id)
	if !ok {
		return "", fmt.Errorf("role %q: %w", id, access.ErrGone)
	}
	var name string
	err := q.QueryRowContext(ctx, "SELECT rolname FROM pg_roles WHERE oid = $1::text::oid", oid).Scan(&name)
	if errors.Is(err, dbsql.ErrNoRows) {
		return "", fmt.Errorf("role %s: %w", oid, access.ErrGone)
	}
	return name, err
}

func quote(name string) string { return pgx.Identifier{name}.Sanitize() }

func (p *postgres) look(ctx context.Context, tx *dbsql.Tx, o access.Object, into *access.Live) error {
	name, err := p.name(ctx, tx, o.ID)
	if err != nil {
		return err
	}
	oid, _ := oidOf(o.ID)
	out := &found{into, o}
	read := func(kind collect.Kind, text string, args ...any) error {
		return p.k.query(ctx, tx, query{kind, text}, out, args...)
	}
	if o.Kind == access.HolderEntitlement {
		err = read(collect.Entitlements, "SELECT * FROM ("+presets["postgres"].Entitlements+") AS e WHERE id = $1", o.ID)
		if err == nil && into.Entitlement == nil { // it has no members and may sign in: an account only
			into.Entitlement = &access.Entitlement{ID: o.ID, Name: name, Kind: "role"}
		}
	} else {
		// A role that may sign in no more is an account to the preset only as long as it has no members. Here it stays one.
		all, _, _ := strings.Cut(presets["postgres"].Accounts, "\nWHERE ")
		err = read(collect.Accounts, all+"\nWHERE r.oid = $1::text::oid", oid)
	}
	if err != nil {
		return err
	}
	if err := read(collect.Grants, "SELECT * FROM ("+presets["postgres"].Grants+") AS g WHERE account_id = $1 OR holder_entitlement_id = $2", oid, roleID+oid); err != nil {
		return err
	}
	var ids []string
	for _, g := range into.Grants {
		ids = append(ids, g.EntitlementID)
	}
	if len(ids) > 0 {
		list, err := json.Marshal(ids)
		if err != nil {
			return err
		}
		if err := read(collect.Entitlements, "SELECT * FROM ("+presets["postgres"].Entitlements+") AS e WHERE id IN (SELECT jsonb_array_elements_text($1::text::jsonb))", string(list)); err != nil {
			return err
		}
	}
	if err := p.keepRights(ctx, tx, oid, into); err != nil {
		return err
	}
	return p.lookFurther(ctx, tx, oid, into)
}

// lookFurther reads what the preset has no column for.
func (p *postgres) lookFurther(ctx context.Context, tx *dbsql.Tx, oid string, into *access.Live) error {
	var until dbsql.NullString
	if err := tx.QueryRowContext(ctx, "SELECT (rolvaliduntil AT TIME ZONE 'UTC')::text FROM pg_roles WHERE oid = $1::text::oid", oid).Scan(&until); err != nil {
		return err
	}
	if into.Keep[keepUntil] = []string{}; until.Valid {
		into.Keep[keepUntil] = []string{until.String}
	}
	members, err := texts(ctx, tx, "SELECT roleid::text || ' ' || to_jsonb(m) FROM pg_auth_members m WHERE member = $1::text::oid ORDER BY 1", oid)
	if err != nil {
		return err
	}
	for _, line := range members {
		id, row, _ := strings.Cut(line, " ")
		into.Keep[roleID+id] = append(into.Keep[roleID+id], row)
	}
	if into.Account == nil {
		return nil
	}
	var sessions int64
	if err := tx.QueryRowContext(ctx, "SELECT count(*) FROM pg_stat_activity WHERE usesysid = $1::text::oid AND pid <> pg_backend_pid()", oid).Scan(&sessions); err != nil {
		return err
	}
	into.Account.ActiveSessions = &sessions
	owned, err := texts(ctx, tx, `
		SELECT pg_describe_object(classid, objid, objsubid) FROM pg_shdepend
		WHERE refclassid = 'pg_authid'::regclass AND refobjid = $1::text::oid AND deptype = 'o' AND dbid IN (0, (SELECT oid FROM pg_database WHERE datname = current_database()))
		UNION ALL
		SELECT count(*) || ' objects in database ' || d.datname FROM pg_shdepend s JOIN pg_database d ON d.oid = s.dbid
		WHERE refclassid = 'pg_authid'::regclass AND refobjid = $1::text::oid AND deptype = 'o' AND d.datname <> current_database() GROUP BY d.datname
		ORDER BY 1`, oid)
	if err != nil {
		return err
	}
	into.Keep[string(access.ActionHandover)] = owned
	return nil
}

// keepUntil is the time until which a role's password is good, as the server writes it.
const keepUntil = "valid_until"

func texts(ctx context.Context, q queryer, text string, args ...any) ([]string, error) {
	rows, err := q.QueryContext(ctx, text, args...)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	out := []string{}
	for rows.Next() {
		var s string
		if err := rows.Scan(&s); err != nil {
			return nil, err
		}
		out = append(out, s)
	}
	return out, rows.Err()
}

// may makes the change and takes it back: nothing else tells as well what a role may do. What would lock tables, or can't be
// taken back, is judged by memberships.
func (p *postgres) may(ctx context.Context, conn *dbsql.Conn, ch access.Change) error {
	name, err := p.name(ctx, conn, ch.Object.ID)
	if err != nil {
		return err
	}
	ask := func(text string, args ...any) error {
		var yes bool
		if err := conn.QueryRowContext(ctx, text, args...).Scan(&yes); err != nil {
			return err
		}
		if !yes {
			return fmt.Errorf("%w: write.user needs %s", access.ErrRefused, p.abilities(true)[ch.Action].Right)
		}
		return nil
	}
	switch ch.Action {
	case access.ActionEndSessions:
		return ask("SELECT u.rolsuper OR NOT r.rolsuper AND (pg_has_role(u.oid, r.oid, 'MEMBER') OR pg_has_role(u.oid, 'pg_signal_backend', 'MEMBER')) FROM pg_roles u, pg_roles r WHERE u.rolname = current_user AND r.rolname = $1", name)
	case access.ActionHandover:
		to, err := p.owner(ctx, conn, ch.To)
		if err != nil {
			return err
		}
		return ask("SELECT pg_has_role($1::text::name, 'MEMBER') AND pg_has_role($2::text::name, 'MEMBER')", name, to)
	}
	return p.transaction(ctx, conn, ch, false)
}

func (p *postgres) apply(ctx context.Context, conn *dbsql.Conn, ch access.Change) error {
	if ch.Action == access.ActionEndSessions {
		return p.endSessions(ctx, conn, ch)
	}
	err := p.transaction(ctx, conn, ch, true)
	if ch.Action == access.ActionDelete && errors.Is(err, access.ErrGone) {
		return nil
	}
	return err
}

func (p *postgres) transaction(ctx context.Context, conn *dbsql.Conn, ch access.Change, commit bool) error {
	tx, err := conn.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer tx.Rollback()
	name, err := p.name(ctx, tx, ch.Object.ID)
	if err != nil {
		return err
	}
	statements, err := p.statements(ctx, tx, ch, name)
	if err != nil || len(statements) == 0 {
		return err
	}
	for _, text := range statements {
		if _, err := tx.ExecContext(ctx, text); err != nil {
			if said(err) {
				return refusal(err)
			}
			return err // it ends without COMMIT
		}
	}
	// The statements went by name, and hold it now: it must still be that of the oid.
	if now, err := p.name(ctx, tx, ch.Object.ID); ch.Action != access.ActionDelete && (err != nil || now != name) {
		return fmt.Errorf("%w: the role was renamed at the same time", access.ErrRefused)
	}
	if !commit {
		return nil
	}
	switch err := tx.Commit(); {
	case err == nil:
		return nil
	case said(err):
		return refusal(err)
	default:
		return fmt.Errorf("%w: commit: %w", access.ErrUnsure, err)
	}
}

// statements are what makes the change, or nothing where it is made.
func (p *postgres) statements(ctx context.Context, tx *dbsql.Tx, ch access.Change, name string) ([]string, error) {
	role := "ALTER ROLE " + quote(name) + " "
	switch ch.Action {
	case access.ActionDisable:
		login := false
		if ch.Undo {
			if ch.Before.Account == nil || ch.Before.Account.Enabled == nil {
				return nil, fmt.Errorf("%w: what it was before is unknown", access.ErrCannot)
			}
			login = *ch.Before.Account.Enabled
		}
		return p.option(ctx, tx, ch.Object.ID, role, "LOGIN", login)
	case access.ActionExpire:
		return p.expire(ch, role)
	case access.ActionResetPassword:
		return []string{role + "PASSWORD " + literal(nobodys())}, nil
	case access.ActionHandover:
		to, err := p.owner(ctx, tx, ch.To)
		if err != nil {
			return nil, err
		}
		if to == name {
			return nil, fmt.Errorf("%w: %s is who owns it", access.ErrCannot, ch.To)
		}
		return []string{"REASSIGN OWNED BY " + quote(name) + " TO " + quote(to)}, nil
	case access.ActionDelete:
		return []string{"DROP ROLE " + quote(name)}, nil
	}
	switch kind, what, _ := strings.Cut(ch.Entitlement, ":"); kind {
	case "role":
		return p.membership(ctx, tx, ch, name)
	case "attribute":
		if _, ok := attributes[what]; !ok {
			break
		}
		if ch.Undo {
			if held, err := heldBefore(ch); err != nil || !held {
				return nil, err
			}
		}
		return p.option(ctx, tx, ch.Object.ID, role, what, ch.Undo)
	}
	return p.revokeRight(ctx, tx, ch, name)
}

// attributes are the columns of pg_roles for the options of a role.
var attributes = map[string]string{
	"LOGIN": "rolcanlogin", "SUPERUSER": "rolsuper", "CREATEROLE": "rolcreaterole", "CREATEDB": "rolcreatedb", "REPLICATION": "rolreplication", "BYPASSRLS": "rolbypassrls",
}

// option sets one of a role's options, which NO before it takes away.
func (p *postgres) option(ctx context.Context, tx *dbsql.Tx, id, role, option string, want bool) ([]string, error) {
	oid, _ := oidOf(id)
	var is bool
	if err := tx.QueryRowContext(ctx, "SELECT "+attributes[option]+" FROM pg_roles WHERE oid = $1::text::oid", oid).Scan(&is); err != nil {
		return nil, err
	}
	switch {
	case is == want:
		return nil, nil
	case want:
		return []string{role + option}, nil
	}
	return []string{role + "NO" + option}, nil
}

func (p *postgres) expire(ch access.Change, role string) ([]string, error) {
	if !ch.Undo {
		if ch.Until == nil {
			return nil, fmt.Errorf("%w: it has no time", access.ErrCannot)
		}
		return []string{role + "VALID UNTIL " + literal(ch.Until.UTC().Format(time.RFC3339Nano))}, nil
	}
	switch was := ch.Before.Keep[keepUntil]; {
	case was == nil:
		return nil, fmt.Errorf("%w: what it was before is unknown", access.ErrCannot)
	case len(was) == 0: // never set, to which there is no way back, but this means the same
		return []string{role + "VALID UNTIL 'infinity'"}, nil
	case strings.HasSuffix(was[0], "infinity"):
		return []string{role + "VALID UNTIL " + literal(was[0])}, nil
	default:
		return []string{role + "VALID UNTIL " + literal(was[0]+"+00")}, nil
	}
}

// member is a row of pg_auth_members.
type member struct {
	Grantor uint32 `json:"grantor,string"`
	Admin   bool   `json:"admin_option"`
	Inherit *bool  `json:"inherit_option"` // from PostgreSQL 16 on
	Set     *bool  `json:"set_option"`
}

// membership takes a role from another, or gives it back as it was given, by whom it was given.
func (p *postgres) membership(ctx context.Context, tx *dbsql.Tx, ch access.Change, name string) ([]string, error) {
	group, err := p.name(ctx, tx, ch.Entitlement)
	switch {
	case ch.Entitlement == roleID+"0":
		return nil, fmt.Errorf("%w: everybody is in PUBLIC", access.ErrCannot)
	case errors.Is(err, access.ErrGone) && !ch.Undo:
		return nil, nil
	case err != nil:
		return nil, err
	}
	oid, _ := oidOf(ch.Object.ID)
	of, _ := oidOf(ch.Entitlement)
	rows, err := texts(ctx, tx, "SELECT to_jsonb(m)::text FROM pg_auth_members m WHERE member = $1::text::oid AND roleid = $2::text::oid", oid, of)
	if err != nil {
		return nil, err
	}
	if ch.Undo {
		if len(rows) > 0 {
			return nil, nil
		}
		if rows, err = keptBefore(ch); err != nil {
			return nil, err
		}
	}
	var out []string
	for _, row := range rows {
		var m member
		if err := json.Unmarshal([]byte(row), &m); err != nil {
			return nil, fmt.Errorf("what it was before can't be read: %w", err)
		}
		by := ""
		if grantor, err := p.name(ctx, tx, strconv.FormatUint(uint64(m.Grantor), 10)); err == nil && (p.version >= 160000 || p.super && ch.Undo) {
			by = " GRANTED BY " + quote(grantor)
		}
		switch {
		case !ch.Undo:
			out = append(out, "REVOKE "+quote(group)+" FROM "+quote(name)+by)
		case p.version >= 160000 && m.Inherit != nil && m.Set != nil:
			out = append(out, fmt.Sprintf("GRANT %s TO %s WITH ADMIN %t, INHERIT %t, SET %t%s", quote(group), quote(name), m.Admin, *m.Inherit, *m.Set, by))
		case m.Admin:
			out = append(out, "GRANT "+quote(group)+" TO "+quote(name)+" WITH ADMIN OPTION"+by)
		default:
			out = append(out, "GRANT "+quote(group)+" TO "+quote(name)+by)
		}
	}
	return out, nil
}

// keptBefore is how what is given back was held.
func keptBefore(ch access.Change) ([]string, error) {
	kept := ch.Before.Keep[ch.Entitlement]
	held, err := heldBefore(ch)
	if err == nil && held && len(kept) == 0 {
		err = fmt.Errorf("%w: how it was held before is unknown", access.ErrCannot)
	}
	return kept, err
}

// owner is the role that is to own things: by its id, else by its name.
func (p *postgres) owner(ctx context.Context, q queryer, to string) (string, error) {
	if name, err := p.name(ctx, q, to); !errors.Is(err, access.ErrGone) {
		return name, err
	}
	var name string
	err := q.QueryRowContext(ctx, "SELECT rolname FROM pg_roles WHERE rolname = $1", to).Scan(&name)
	if errors.Is(err, dbsql.ErrNoRows) {
		return "", fmt.Errorf("%w: to whom it is handed over: there is no role %q", access.ErrCannot, to)
	}
	return name, err
}

// endSessions ends the backends of a role one by one, and waits for each.
func (p *postgres) endSessions(ctx context.Context, conn *dbsql.Conn, ch access.Change) error {
	if _, err := p.name(ctx, conn, ch.Object.ID); err != nil {
		return err
	}
	oid, _ := oidOf(ch.Object.ID)
	pids, err := texts(ctx, conn, "SELECT pid::text FROM pg_stat_activity WHERE usesysid = $1::text::oid AND pid <> pg_backend_pid() ORDER BY 1", oid)
	if err != nil {
		return err
	}
	end := "SELECT pg_terminate_backend($1::text::int)"
	if p.version >= 140000 {
		end = "SELECT pg_terminate_backend($1::text::int, 5000)"
	}
	for i, pid := range pids {
		var done bool
		switch err := conn.QueryRowContext(ctx, end, pid).Scan(&done); {
		case err == nil:
		case i > 0 || !said(err):
			return fmt.Errorf("%w: after %d of %d sessions: %w", access.ErrUnsure, i, len(pids), err)
		default:
			return refusal(err)
		}
	}
	return nil
}

// literal is a text in a statement. Of backslashes it has none.
func literal(s string) string { return "'" + strings.ReplaceAll(s, "'", "''") + "'" }

// nobodys is what a server keeps of a password, for one that nobody knows or can find: the keys are drawn by lot (RFC 5802).
func nobodys() string {
	draw := func(n int) string {
		b := make([]byte, n)
		_, _ = rand.Read(b) // never fails
		return base64.StdEncoding.EncodeToString(b)
	}
	return "SCRAM-SHA-256$4096:" + draw(16) + "$" + draw(32) + ":" + draw(32)
}

// native are calls of psql in which the server itself puts the names that go with the ids into statements.
func (p *postgres) native(ch access.Change) []string {
	oid, ok := oidOf(ch.Object.ID)
	if !ok {
		return nil
	}
	one := func(format string) string {
		return "SELECT format(" + literal(format) + ", rolname) FROM pg_roles WHERE oid = " + oid + ` \gexec`
	}
	no := "NO"
	if ch.Undo {
		no = ""
	}
	var text string
	var lines []string
	switch ch.Action {
	case access.ActionDisable:
		text = one("ALTER ROLE %I " + no + "LOGIN")
	case access.ActionExpire:
		list, err := (&postgres{}).expire(ch, "ALTER ROLE %I ")
		if err != nil {
			return nil
		}
		text = one(list[0])
	case access.ActionResetPassword:
		text = one("ALTER ROLE %I PASSWORD NULL")
	case access.ActionEndSessions:
		text = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usesysid = " + oid
	case access.ActionDelete:
		text = one("DROP ROLE %I")
	case access.ActionHandover:
		text = "SELECT format('REASSIGN OWNED BY %I TO %I', f.rolname, t.rolname) FROM pg_roles f, pg_roles t WHERE f.oid = " + oid + " AND " + literal(ch.To) + ` IN (t.oid::text, t.rolname) \gexec`
	case access.ActionRevoke:
		kind, what, _ := strings.Cut(ch.Entitlement, ":")
		of, isRole := oidOf(ch.Entitlement)
		switch {
		case kind == "attribute" && attributes[what] != "":
			text = one("ALTER ROLE %I " + no + what)
		case kind == "role" && isRole:
			verb, word, admin := "REVOKE", "FROM", ""
			if ch.Undo {
				verb, word = "GRANT", "TO"
				if ch.Before != nil && strings.Contains(strings.Join(ch.Before.Keep[ch.Entitlement], ""), `"admin_option": true`) {
					admin = " WITH ADMIN OPTION"
				}
			}
			text = fmt.Sprintf(`SELECT format('%s %%I %s %%I%s', g.rolname, m.rolname) FROM pg_roles g, pg_roles m WHERE g.oid = %s AND m.oid = %s \gexec`, verb, word, admin, of, oid)
		default:
			lines = nativeRight(ch, oid)
		}
	default:
		return nil
	}
	if text != "" {
		lines = []string{text}
	}
	a := p.k.address
	for i, text := range lines {
		lines[i] = fmt.Sprintf("printf '%%s\\n' %s | psql -X -v ON_ERROR_STOP=1 -h %s -p %d -U %s -d %s", shell(text), shell(a.host), a.port, shell(p.k.config.User), shell(a.database))
	}
	return lines
}

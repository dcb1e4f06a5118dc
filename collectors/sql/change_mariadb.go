package sql

import (
	"context"
	"crypto/rand"
	dbsql "database/sql"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/go-sql-driver/mysql"

	"github.com/lapse-audit/lapse/internal/access"
	"github.com/lapse-audit/lapse/internal/collect"
)

// mariadb changes accounts, known by user@host. MariaDB has no other id: who was dropped and made again is the same to it.
// Its statements end the transaction and can't be taken back, so that an answer that doesn't come leaves open what happened.
type mariadb struct{ k *Collector }

func (m *mariadb) abilities(drop bool) map[access.Action]access.Ability {
	out := map[access.Action]access.Ability{
		access.ActionDisable:       {Right: "CREATE USER, and SELECT on what the preset reads", Undo: true, ReadBack: true},
		access.ActionRevoke:        {Right: "the role WITH ADMIN OPTION; for rights on all databases or on one the right itself WITH GRANT OPTION", Undo: true, ReadBack: true},
		access.ActionResetPassword: {Right: "CREATE USER"},
		access.ActionEndSessions:   {Right: "PROCESS and CONNECTION ADMIN", ReadBack: true},
	}
	if drop {
		out[access.ActionDelete] = access.Ability{Right: "CREATE USER", ReadBack: true}
	}
	return out
}

func (m *mariadb) ready(ctx context.Context, conn *dbsql.Conn) error {
	var version string
	var readOnly bool
	if err := conn.QueryRowContext(ctx, "SELECT VERSION(), @@read_only").Scan(&version, &readOnly); err != nil {
		return fmt.Errorf("ask what it is: %w", explain(err))
	}
	if readOnly {
		return fmt.Errorf("%w: the server is read_only: let url name the primary", access.ErrCannot)
	}
	return m.k.fits(version)
}

// holder is an account or a role.
type holder struct {
	user, host string
	role       bool
}

func backtick(s string) string { return "`" + strings.ReplaceAll(s, "`", "``") + "`" }

func (h holder) String() string {
	if h.role {
		return backtick(h.user)
	}
	return backtick(h.user) + "@" + backtick(h.host)
}

// find is the account or role with an id.
func (m *mariadb) find(ctx context.Context, q queryer, o access.Object) (holder, error) {
	where, id := "coalesce(json_value(Priv, '$.is_role'), '') NOT IN ('1', 'true') AND CAST(concat(User, '@', Host) AS binary) = CAST(? AS binary)", o.ID
	if o.Kind == access.HolderEntitlement {
		name, ok := strings.CutPrefix(o.ID, roleID)
		if !ok {
			return holder{}, fmt.Errorf("%w: %s is no role", access.ErrCannot, o.ID)
		}
		where, id = "json_value(Priv, '$.is_role') IN ('1', 'true') AND CAST(User AS binary) = CAST(? AS binary)", name
	}
	rows, err := q.QueryContext(ctx, "SELECT User, Host FROM mysql.global_priv WHERE "+where, id)
	if err != nil {
		return holder{}, explain(err)
	}
	defer rows.Close()
	var found []holder
	for rows.Next() {
		h := holder{role: o.Kind == access.HolderEntitlement}
		if err := rows.Scan(&h.user, &h.host); err != nil {
			return holder{}, err
		}
		found = append(found, h)
	}
	switch {
	case rows.Err() != nil:
		return holder{}, rows.Err()
	case len(found) == 0:
		return holder{}, access.ErrGone
	case len(found) > 1:
		return holder{}, fmt.Errorf("%w: several accounts are written so", access.ErrCannot)
	}
	return found[0], nil
}

func (m *mariadb) look(ctx context.Context, tx *dbsql.Tx, o access.Object, into *access.Live) error {
	h, err := m.find(ctx, tx, o)
	if err != nil {
		return err
	}
	out := &found{into, o}
	read := func(kind collect.Kind, preset, where string, args ...any) error {
		return explain(m.k.query(ctx, tx, query{kind, "SELECT * FROM (" + preset + ") AS lapse WHERE " + where}, out, args...))
	}
	p, holds := presets["mariadb"], "account_id"
	if h.role {
		holds = "holder_entitlement_id"
	} else if err := read(collect.Accounts, p.Accounts, "CAST(id AS binary) = CAST(? AS binary)", o.ID); err != nil {
		return err
	}
	if err := read(collect.Grants, p.Grants, "CAST("+holds+" AS binary) = CAST(? AS binary)", o.ID); err != nil {
		return err
	}
	var ids []any
	if h.role {
		ids = append(ids, o.ID)
	}
	for _, g := range into.Grants {
		ids = append(ids, g.EntitlementID)
	}
	if len(ids) > 0 {
		in := strings.TrimSuffix(strings.Repeat("CAST(? AS binary), ", len(ids)), ", ")
		if err := read(collect.Entitlements, p.Entitlements, "CAST(id AS binary) IN ("+in+")", ids...); err != nil {
			return err
		}
	}
	admins, err := texts(ctx, tx, "SELECT Role FROM mysql.roles_mapping WHERE CAST(User AS binary) = CAST(? AS binary) AND CAST(Host AS binary) = CAST(? AS binary) AND Admin_option = 'Y'", h.user, h.host)
	if err != nil {
		return explain(err)
	}
	for _, role := range admins {
		into.Keep[roleID+role] = []string{withAdmin}
	}
	for _, g := range into.Grants {
		if name, _, ok := database(g.EntitlementID); ok {
			if into.Keep[g.EntitlementID], err = m.patterns(ctx, tx, h, name); err != nil {
				return err
			}
		}
	}
	if into.Account == nil {
		return nil
	}
	ids2, known, err := m.sessions(ctx, tx, h)
	if err != nil || !known {
		return err
	}
	n := int64(len(ids2))
	into.Account.ActiveSessions = &n
	return nil
}

// database parts the id of a right on one.
func database(id string) (name, right string, ok bool) {
	what, ok := strings.CutPrefix(id, "database:")
	i := strings.LastIndexByte(what, ':')
	if !ok || i < 0 {
		return "", "", false
	}
	return what[:i], what[i+1:], true
}

// patterns are the databases of a holder's rights as they are written, where _ and % stand for others unless they are escaped.
func (m *mariadb) patterns(ctx context.Context, q queryer, h holder, name string) ([]string, error) {
	list, err := texts(ctx, q, "SELECT Db FROM mysql.db WHERE CAST(User AS binary) = CAST(? AS binary) AND CAST(Host AS binary) = CAST(? AS binary) AND CAST(replace(Db, '\\\\', '') AS binary) = CAST(? AS binary)", h.user, h.host, name)
	return list, explain(err)
}

// withAdmin is kept of a role that its holder may hand on.
const withAdmin = "admin"

// sessions are the connections of an account, if they can be told: the list shows all only to who has PROCESS, and names
// users without the host that their account has.
func (m *mariadb) sessions(ctx context.Context, q queryer, h holder) (ids []string, known bool, err error) {
	process, err := m.has(ctx, q, "PROCESS", "SUPER")
	if err != nil || !process {
		return nil, false, err
	}
	var same int
	if err := q.QueryRowContext(ctx, "SELECT count(*) FROM mysql.global_priv WHERE CAST(User AS binary) = CAST(? AS binary) AND coalesce(json_value(Priv, '$.is_role'), '') NOT IN ('1', 'true')", h.user).Scan(&same); err != nil {
		return nil, false, explain(err)
	}
	if same != 1 {
		return nil, false, nil
	}
	ids, err = texts(ctx, q, "SELECT CAST(ID AS char) FROM information_schema.processlist WHERE CAST(User AS binary) = CAST(? AS binary) AND ID <> connection_id() ORDER BY ID", h.user)
	return ids, err == nil, err
}

// has reports whether we hold one of some rights on all databases, ourselves.
func (m *mariadb) has(ctx context.Context, q queryer, rights ...string) (bool, error) {
	list, err := texts(ctx, q, "SELECT privilege_type FROM information_schema.user_privileges WHERE grantee = concat(quote(substring_index(current_user(), '@', (length(current_user()) - length(replace(current_user(), '@', ''))))), '@', quote(substring_index(current_user(), '@', -1)))")
	if err != nil {
		return false, err
	}
	return slices.ContainsFunc(list, func(have string) bool { return slices.Contains(rights, have) }), nil
}

func (m *mariadb) may(ctx context.Context, conn *dbsql.Conn, ch access.Change) error {
	if _, err := m.find(ctx, conn, ch.Object); err != nil {
		return err
	}
	need := []string{"CREATE USER"}
	switch ch.Action {
	case access.ActionEndSessions:
		need = []string{"CONNECTION ADMIN", "SUPER"}
	case access.ActionRevoke:
		return nil // by a role of ours, too, and by GRANT OPTION on each level: only trying tells
	}
	ok, err := m.has(ctx, conn, need...)
	if err == nil && !ok {
		return fmt.Errorf("%w: write.user needs %s", access.ErrRefused, m.abilities(true)[ch.Action].Right)
	}
	return err
}

func (m *mariadb) apply(ctx context.Context, conn *dbsql.Conn, ch access.Change) error {
	h, err := m.find(ctx, conn, ch.Object)
	if errors.Is(err, access.ErrGone) && ch.Action == access.ActionDelete {
		return nil
	}
	if err != nil {
		return err
	}
	switch ch.Action {
	case access.ActionEndSessions:
		return m.endSessions(ctx, conn, h)
	case access.ActionResetPassword:
		var plugin dbsql.NullString
		var several bool
		if err := conn.QueryRowContext(ctx, "SELECT json_value(Priv, '$.plugin'), json_query(Priv, '$.auth_or') IS NOT NULL FROM mysql.global_priv WHERE CAST(User AS binary) = CAST(? AS binary) AND CAST(Host AS binary) = CAST(? AS binary)", h.user, h.host).Scan(&plugin, &several); err != nil {
			return explain(err)
		}
		if several || plugin.String != "" && plugin.String != "mysql_native_password" {
			return fmt.Errorf("%w: the account signs in by %s, and a password would take its place", access.ErrCannot, plugin.String)
		}
	}
	text, err := m.statement(ctx, conn, ch, h)
	if err != nil || text == "" {
		return err
	}
	return m.exec(ctx, conn, text)
}

// exec sends one statement.
func (m *mariadb) exec(ctx context.Context, conn *dbsql.Conn, text string) error {
	_, err := conn.ExecContext(ctx, text)
	var my *mysql.MySQLError
	switch {
	case err == nil:
		return nil
	case errors.As(err, &my) && !slices.Contains(broken, my.Number):
		return fmt.Errorf("%w: %w", access.ErrRefused, err)
	}
	return fmt.Errorf("%w: %w", access.ErrUnsure, err)
}

// broken are errors of a statement that was under way: shutdown, killed, interrupted, out of time.
var broken = []uint16{1053, 1077, 1078, 1079, 1317, 1927, 1969, 3024}

// statement makes the change; "" where it is made.
func (m *mariadb) statement(ctx context.Context, q queryer, ch access.Change, h holder) (string, error) {
	switch ch.Action {
	case access.ActionDisable:
		want := false
		if ch.Undo {
			if ch.Before.Account == nil || ch.Before.Account.Enabled == nil {
				return "", fmt.Errorf("%w: what it was before is unknown", access.ErrCannot)
			}
			want = *ch.Before.Account.Enabled
		}
		return lock(h, want), nil
	case access.ActionResetPassword:
		hash := make([]byte, 20) // of a password that nobody knows or can find
		_, _ = rand.Read(hash)   // never fails
		return "ALTER USER " + h.String() + " IDENTIFIED BY PASSWORD '*" + strings.ToUpper(hex.EncodeToString(hash)) + "'", nil
	case access.ActionDelete:
		return "DROP USER " + h.String(), nil
	}
	held, err := m.holds(ctx, q, ch)
	if err != nil || held == ch.Undo {
		return "", err
	}
	if ch.Undo {
		if was, err := heldBefore(ch); err != nil || !was {
			return "", err
		}
	}
	var on []string
	if name, _, ok := database(ch.Entitlement); ok {
		if on, err = m.patterns(ctx, q, h, name); err != nil {
			return "", err
		}
	}
	if ch.Undo {
		on = ch.Before.Keep[ch.Entitlement]
	}
	return grant(ch, h, on)
}

func lock(h holder, enabled bool) string {
	if enabled {
		return "ALTER USER " + h.String() + " ACCOUNT UNLOCK"
	}
	return "ALTER USER " + h.String() + " ACCOUNT LOCK"
}

// holds reports whether the object has the entitlement now.
func (m *mariadb) holds(ctx context.Context, q queryer, ch access.Change) (bool, error) {
	column := "account_id"
	if ch.Object.Kind == access.HolderEntitlement {
		column = "holder_entitlement_id"
	}
	var n int
	err := q.QueryRowContext(ctx, "SELECT count(*) FROM ("+presets["mariadb"].Grants+") AS lapse WHERE CAST("+column+" AS binary) = CAST(? AS binary) AND CAST(entitlement_id AS binary) = CAST(? AS binary)", ch.Object.ID, ch.Entitlement).Scan(&n)
	return n > 0, explain(err)
}

// grant is the statement that takes an entitlement, or gives it back. on is how the database is written, or whether a role was
// given with ADMIN OPTION.
func grant(ch access.Change, h holder, on []string) (string, error) {
	kind, what, _ := strings.Cut(ch.Entitlement, ":")
	of, right := "", what
	switch kind {
	case "role":
		if what == "PUBLIC" {
			return "", fmt.Errorf("%w: everybody has PUBLIC", access.ErrCannot)
		}
		if !ch.Undo {
			return "REVOKE " + backtick(what) + " FROM " + h.String(), nil
		}
		text := "GRANT " + backtick(what) + " TO " + h.String()
		if slices.Contains(on, withAdmin) {
			text += " WITH ADMIN OPTION"
		}
		return text, nil
	case "global":
		of = "*.*"
	case "database":
		if len(on) != 1 {
			return "", fmt.Errorf("%w: the right is held by %d patterns of databases", access.ErrCannot, len(on))
		}
		_, right, _ = database(ch.Entitlement)
		of = backtick(on[0]) + ".*"
	}
	if of == "" || !slices.Contains(rights(), right) {
		return "", fmt.Errorf("%w: rights on tables, routines and accounts (%s) are taken by REVOKE on each of them", access.ErrCannot, ch.Entitlement)
	}
	switch {
	case !ch.Undo:
		return "REVOKE " + right + " ON " + of + " FROM " + h.String(), nil
	case right == "GRANT OPTION":
		return "GRANT USAGE ON " + of + " TO " + h.String() + " WITH GRANT OPTION", nil
	}
	return "GRANT " + right + " ON " + of + " TO " + h.String(), nil
}

// rights are the words that MariaDB has for rights, as the preset lists them.
func rights() []string {
	var out []string
	text, _, _ := strings.Cut(presets["mariadb"].Grants, "), table_right")
	for _, part := range strings.Split(text, "(")[1:] {
		if name, ok := strings.CutSuffix(strings.TrimRight(part, ",\n\t "), "')"); ok {
			if _, name, ok = strings.Cut(name, "'"); ok {
				out = append(out, name)
			}
		}
	}
	return out
}

// endSessions ends connections one by one, and waits until they are gone.
func (m *mariadb) endSessions(ctx context.Context, conn *dbsql.Conn, h holder) error {
	ids, known, err := m.sessions(ctx, conn, h)
	switch {
	case err != nil:
		return err
	case !known:
		return fmt.Errorf("%w: its connections can't be told from others: write.user lacks PROCESS, or several accounts have its user name", access.ErrCannot)
	}
	for i, id := range ids {
		if _, err := strconv.ParseUint(id, 10, 64); err != nil {
			return fmt.Errorf("connection %q is no number", id)
		}
		err := m.exec(ctx, conn, "KILL CONNECTION "+id)
		var my *mysql.MySQLError
		switch {
		case err == nil, errors.As(err, &my) && my.Number == 1094: // it ended by itself
		case i > 0:
			return fmt.Errorf("%w: after %d of %d connections: %w", access.ErrUnsure, i, len(ids), errors.Unwrap(err))
		default:
			return err
		}
	}
	for end := time.Now().Add(5 * time.Second); len(ids) > 0 && time.Now().Before(end); {
		time.Sleep(20 * time.Millisecond)
		if ids, _, err = m.sessions(ctx, conn, h); err != nil {
			return fmt.Errorf("%w: %w", access.ErrUnsure, err)
		}
	}
	return nil
}

// native are calls of mariadb's own client, which asks for the password.
func (m *mariadb) native(ch access.Change) []string {
	h := holder{user: ch.Object.ID}
	if h.role = ch.Object.Kind == access.HolderEntitlement; h.role {
		h.user = strings.TrimPrefix(ch.Object.ID, roleID)
	} else if i := strings.LastIndexByte(ch.Object.ID, '@'); i >= 0 {
		h.user, h.host = ch.Object.ID[:i], ch.Object.ID[i+1:]
	}
	if ch.Undo && ch.Before == nil {
		return nil
	}
	var text string
	switch ch.Action {
	case access.ActionDisable:
		text = lock(h, ch.Undo && (ch.Before.Account == nil || ch.Before.Account.Enabled == nil || *ch.Before.Account.Enabled))
	case access.ActionResetPassword:
		text = "ALTER USER " + h.String() + " IDENTIFIED BY PASSWORD '*" + strings.Repeat("0", 40) + "'"
	case access.ActionDelete:
		text = "DROP USER " + h.String()
	case access.ActionEndSessions:
		text = "KILL CONNECTION USER " + backtick(h.user)
	case access.ActionRevoke:
		var err error
		var on []string
		if name, _, ok := database(ch.Entitlement); ok {
			on = []string{strings.NewReplacer("_", `\_`, "%", `\%`).Replace(name)}
		}
		if ch.Undo {
			on = ch.Before.Keep[ch.Entitlement]
		}
		if text, err = grant(ch, h, on); err != nil {
			return nil
		}
	default:
		return nil
	}
	a := m.k.address
	where := fmt.Sprintf("-h %s -P %d", shell(a.host), a.port)
	if strings.HasPrefix(a.host, "/") {
		where = "-S " + shell(a.host)
	}
	return []string{fmt.Sprintf("mariadb %s -u %s -p -e %s", where, shell(m.k.config.User), shell(text))}
}

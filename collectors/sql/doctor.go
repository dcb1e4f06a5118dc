package sql

import (
	"cmp"
	"context"
	dbsql "database/sql"
	"errors"
	"fmt"
	"regexp"
	"strings"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2"
	"github.com/go-sql-driver/mysql"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/lapse-audit/lapse/internal/collect"
)

// Diagnose implements collect.Doctor. It begins each query by itself, where reading ends with the first that is refused, and
// says what to grant for each.
func (k *Collector) Diagnose(ctx context.Context) ([]collect.Advice, error) {
	password, err := k.password(ctx)
	if err != nil {
		return nil, err
	}
	advice, err := k.diagnose(ctx, password)
	if err != nil {
		return advice, hide(err, password)
	}
	return advice, nil
}

func (k *Collector) diagnose(ctx context.Context, password string) (advice []collect.Advice, err error) {
	db, err := k.open(password)
	if err != nil {
		return nil, err
	}
	defer db.Close()
	db.SetMaxOpenConns(1)
	conn, err := db.Conn(ctx)
	if err != nil {
		return nil, fmt.Errorf("connect: %w", explain(err))
	}
	defer conn.Close()
	var user, version string
	if err := conn.QueryRowContext(k.within(ctx), k.whoAmI()).Scan(&user, &version); err != nil {
		return nil, fmt.Errorf("ask who we are: %w", explain(err))
	}
	user = cmp.Or(user, k.config.User)
	note := func(what string, missing bool, format string, args ...any) {
		advice = append(advice, collect.Advice{What: what, Missing: missing, Detail: fmt.Sprintf(format, args...)})
	}
	version, _, _ = strings.Cut(version, " on ") // PostgreSQL says by what it was compiled
	note("connection", false, "as %s to %s %s", user, k.address.driver, version)
	if ctx, err = k.limit(ctx, conn, version); err != nil {
		return advice, fmt.Errorf("limit the session: %w", explain(err))
	}
	for _, q := range k.config.Queries.list() {
		columns, err := k.begin(ctx, conn, q)
		switch {
		case ctx.Err() != nil:
			return advice, ctx.Err()
		case err == nil:
			note("queries."+string(q.kind), false, "may be read: %s", strings.Join(columns, " "))
		default:
			note("queries."+string(q.kind), true, "%v", hide(explain(err), password))
			if mend := k.grantFor(err, user); mend != "" {
				note("to read "+string(q.kind), false, "%s", mend)
			}
		}
	}
	return advice, nil
}

// begin runs a query to its first row, which checks all rights.
func (k *Collector) begin(ctx context.Context, conn *dbsql.Conn, q query) ([]string, error) {
	ctx, cancel := context.WithTimeout(ctx, time.Duration(k.config.Timeout)+grace)
	defer cancel()
	rows, err := conn.QueryContext(k.within(ctx), q.text)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	columns, err := rows.Columns()
	if err != nil {
		return nil, err
	}
	rows.Next()
	return columns, rows.Err()
}

var (
	// permission denied for table people
	postgresDenied = regexp.MustCompile(`permission denied for (table|view|materialized view|foreign table|schema|function|sequence|database) (.+)$`)
	// it's necessary to have the grant SHOW USERS, SHOW ROLES ON *.*. (ACCESS_DENIED)
	clickhouseDenied = regexp.MustCompile(`necessary to have the grant (.+? ON .+?)\.?(?: \(ACCESS_DENIED\))?$`)
	// SELECT command denied to user 'a'@'b' for table `db`.`t`, and for column 'c' in table 't'
	mysqlDenied = regexp.MustCompile("^([A-Z ]+) command denied to user .* for (?:column '([^']*)' in )?table [`']?(.+?)[`']?$")
)

// grantFor is the command that gives the right whose lack an error tells, "" where it tells none.
func (k *Collector) grantFor(err error, user string) string {
	var pg *pgconn.PgError
	var my *mysql.MySQLError
	var ch *clickhouse.Exception
	switch {
	case errors.As(err, &pg) && pg.Code == "42501":
		m := postgresDenied.FindStringSubmatch(pg.Message)
		if m == nil {
			return ""
		}
		who := pgIdent(user)
		switch m[1] {
		case "schema":
			return fmt.Sprintf("GRANT USAGE ON SCHEMA %s TO %s", pgIdent(m[2]), who)
		case "function":
			return fmt.Sprintf("GRANT EXECUTE ON FUNCTION %s TO %s", pgIdent(m[2]), who)
		case "database":
			return fmt.Sprintf("GRANT CONNECT ON DATABASE %s TO %s", pgIdent(m[2]), who)
		}
		return fmt.Sprintf("GRANT SELECT ON %s TO %s", pgIdent(m[2]), who)
	case errors.As(err, &ch) && ch.Code == 497:
		m := clickhouseDenied.FindStringSubmatch(ch.Message)
		if m == nil {
			return ""
		}
		return fmt.Sprintf("GRANT %s TO %s", m[1], "`"+strings.ReplaceAll(user, "`", "\\`")+"`")
	case errors.As(err, &my) && (my.Number == 1142 || my.Number == 1143 || my.Number == 1044):
		m := mysqlDenied.FindStringSubmatch(my.Message)
		if m == nil {
			return ""
		}
		table := m[3]
		if !strings.Contains(table, ".") && k.address.database != "" {
			table = k.address.database + "." + table
		}
		name, host, _ := strings.Cut(user, "@")
		return fmt.Sprintf("GRANT SELECT ON %s TO '%s'@'%s'", strings.ReplaceAll(table, "`", ""), name, host)
	}
	return ""
}

// pgIdent quotes a name where it must be.
func pgIdent(name string) string {
	if regexp.MustCompile(`^[a-z_][a-z0-9_]*$`).MatchString(name) {
		return name
	}
	return `"` + strings.ReplaceAll(name, `"`, `""`) + `"`
}

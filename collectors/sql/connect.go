package sql

import (
	"cmp"
	"context"
	"crypto/tls"
	"crypto/x509"
	dbsql "database/sql"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/url"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2"
	"github.com/go-sql-driver/mysql"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/stdlib"
)

const dialTimeout = 30 * time.Second

// open prepares connections.
func (k *Collector) open(password string) (*dbsql.DB, error) {
	secure, err := k.tls()
	if err != nil {
		return nil, err
	}
	switch k.address.driver {
	case "postgres":
		return k.openPostgres(password, secure)
	case "clickhouse":
		return k.openClickHouse(password, secure), nil
	}
	return k.openMySQL(password, secure)
}

func (k *Collector) openPostgres(password string, secure *tls.Config) (*dbsql.DB, error) {
	a := k.address
	// All that the parser would else take from the environment is given or set again.
	q := url.Values{"sslmode": {"disable"}, "host": {a.host}, "port": {strconv.Itoa(a.port)}, "user": {k.config.User}, "dbname": {a.database}}
	cfg, err := pgx.ParseConfig("postgres:///?" + q.Encode())
	if err != nil {
		return nil, errors.New("url: PostgreSQL's driver can't read it")
	}
	cfg.Password, cfg.TLSConfig, cfg.Fallbacks, cfg.ValidateConnect = password, secure, nil, nil
	cfg.ConnectTimeout = dialTimeout
	cfg.DefaultQueryExecMode = pgx.QueryExecModeDescribeExec
	cfg.RuntimeParams = map[string]string{"application_name": "lapse"}
	return stdlib.OpenDB(*cfg), nil
}

func (k *Collector) openMySQL(password string, secure *tls.Config) (*dbsql.DB, error) {
	a := k.address
	cfg := mysql.NewConfig()
	cfg.User, cfg.Passwd, cfg.DBName, cfg.TLS = k.config.User, password, a.database, secure
	cfg.Net, cfg.Addr = "tcp", net.JoinHostPort(a.host, strconv.Itoa(a.port))
	if strings.HasPrefix(a.host, "/") {
		cfg.Net, cfg.Addr = "unix", a.host
	}
	cfg.Timeout = dialTimeout
	cfg.ParseTime = true // of TIMESTAMP, which the server gives in the session's zone
	cfg.Params = map[string]string{"time_zone": "'+00:00'"}
	cfg.Logger = log.New(io.Discard, "", 0) // errors are returned
	c, err := mysql.NewConnector(cfg)
	if err != nil {
		return nil, fmt.Errorf("url: %w", err)
	}
	return dbsql.OpenDB(c), nil
}

// limit makes a session read-only, whatever the queries are, and has the server end a query that runs too long. It returns the
// context for what is asked in it.
func (k *Collector) limit(ctx context.Context, conn *dbsql.Conn, version string) (context.Context, error) {
	span := time.Duration(k.config.Timeout)
	if k.address.driver == "clickhouse" {
		return limitClickHouse(k.within(ctx), conn, span)
	}
	readOnly, timeout := "SET SESSION TRANSACTION READ ONLY", fmt.Sprintf("SET SESSION max_execution_time = %d", span.Milliseconds())
	switch {
	case k.address.driver == "postgres":
		readOnly, timeout = "SET default_transaction_read_only = on", fmt.Sprintf("SET statement_timeout = %d", span.Milliseconds())
	case strings.Contains(version, "MariaDB"):
		timeout = fmt.Sprintf("SET SESSION max_statement_time = %.3f", span.Seconds())
	}
	for _, text := range []string{readOnly, timeout} {
		if _, err := conn.ExecContext(ctx, text); err != nil {
			return ctx, err
		}
	}
	return ctx, nil
}

func (k *Collector) tls() (*tls.Config, error) {
	if k.config.TLS == Plain {
		return nil, nil
	}
	c := &tls.Config{ServerName: k.address.host, MinVersion: tls.VersionTLS12}
	if k.config.CA == "" {
		return c, nil
	}
	pem, err := os.ReadFile(k.path(k.config.CA))
	if err != nil {
		return nil, fmt.Errorf("ca: %w", err)
	}
	c.RootCAs = x509.NewCertPool()
	if !c.RootCAs.AppendCertsFromPEM(pem) {
		return nil, fmt.Errorf("ca: %s: holds no certificate in PEM", k.config.CA)
	}
	return c, nil
}

// explain says what to do about an error, where it is known.
func explain(err error) error {
	var pg *pgconn.PgError
	var my *mysql.MySQLError
	var ch *clickhouse.Exception
	var authority x509.UnknownAuthorityError
	code := ""
	switch {
	case errors.As(err, &pg):
		code = pg.Code
	case errors.As(err, &my):
		code = strconv.Itoa(int(my.Number))
	case errors.As(err, &ch):
		code = "clickhouse " + strconv.Itoa(int(ch.Code))
	case errors.As(err, &authority):
		return fmt.Errorf("nobody that is trusted signed the server's certificate: set ca: to the authority's PEM file: %w", err)
	}
	if what := mends[cmp.Or(mendClass(code), code)]; what != "" {
		return fmt.Errorf("%s: %w", what, err)
	}
	return err
}

// mendClass is the class of a code where all of it have one mend.
func mendClass(code string) string {
	if len(code) == 5 && strings.HasPrefix(code, "28") {
		return "28"
	}
	return ""
}

// mends by SQLSTATE of PostgreSQL and number of MySQL.
var mends = map[string]string{
	"28":             "the server refused the login: see user and password",
	"1045":           "the server refused the login: see user and password",
	"42501":          "the user lacks the right to read this: grant it SELECT",
	"1142":           "the user lacks the right to read this: grant it SELECT",
	"1143":           "the user lacks the right to read this: grant it SELECT",
	"1044":           "the user lacks the right to read this: grant it SELECT",
	"25006":          "the query changes something, and a source is only read",
	"1792":           "the query changes something, and a source is only read",
	"clickhouse 516": "the server refused the login: see user and password",
	"clickhouse 497": "the user lacks the right to read this: grant it SHOW USERS, SHOW ROLES, or SELECT on what a query of your own reads",
	"clickhouse 164": "the query changes something, and a source is only read",
	"clickhouse 159": "the server ended the query: make it faster, or set timeout: to more",
	"clickhouse 47":  "the server is older than what the preset is for (it must know valid_until of users and wildcards in grants), or the query is wrong: name queries: instead",
	"57014":          "the server ended the query: make it faster, or set timeout: to more",
	"1969":           "the server ended the query: make it faster, or set timeout: to more",
	"3024":           "the server ended the query: make it faster, or set timeout: to more",
}

// hide takes the password out of a message.
func hide(err error, password string) error {
	text := err.Error()
	if password == "" || !strings.Contains(text, password) {
		return err
	}
	return errors.New(strings.ReplaceAll(text, password, "<secret>"))
}

package state

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"io"
	"net"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/stdlib"
)

// advisoryKey is the key of the advisory lock that migrations take ("lapse" in ASCII).
const advisoryKey = 0x6c61707365

type postgresDialect struct{}

func (s *State) openPostgres(raw string) error {
	cfg, err := parsePostgres(raw)
	if err != nil {
		return err
	}
	open := func(conns int) *sql.DB {
		db := stdlib.OpenDB(*cfg, stdlib.OptionAfterConnect(func(ctx context.Context, c *pgx.Conn) error {
			// A replica that freezes in the middle of a decision must not keep the
			// others from deciding for ever.
			_, err := c.Exec(ctx, "SET idle_in_transaction_session_timeout = '60s'; SET lock_timeout = '"+writerWait.String()+"'")
			return err
		}))
		db.SetMaxOpenConns(conns)
		db.SetConnMaxIdleTime(5 * time.Minute)
		return db
	}
	s.w, s.r = open(4), open(4)
	s.l = s.r
	u := url.URL{Scheme: "postgres", User: url.User(cfg.User), Host: net.JoinHostPort(cfg.Host, strconv.Itoa(int(cfg.Port))), Path: "/" + cfg.Database}
	if strings.HasPrefix(cfg.Host, "/") {
		u.Host, u.RawQuery = "", "host="+cfg.Host
	}
	s.name = u.String()
	s.dialect = postgresDialect{}
	return nil
}

func parsePostgres(raw string) (*pgx.ConnConfig, error) {
	// The parser's own message can quote a piece of a malformed URL, which may be
	// the password, so it is not passed on.
	invalid := errors.New("the PostgreSQL URL is not valid: want postgres://USER:PASSWORD@HOST:PORT/DATABASE?sslmode=verify-full, " +
		"special characters in the password percent-encoded")
	if !strings.HasPrefix(raw, "postgres://") && !strings.HasPrefix(raw, "postgresql://") {
		return nil, invalid
	}
	cfg, err := pgx.ParseConfig(raw)
	if err != nil {
		return nil, invalid
	}
	if !strings.Contains(raw, "sslmode=") && remote(cfg) {
		// libpq's default, prefer, falls back to plain text and verifies nobody.
		sep := "?"
		if strings.Contains(raw, "?") {
			sep = "&"
		}
		if cfg, err = pgx.ParseConfig(raw + sep + "sslmode=verify-full"); err != nil {
			return nil, invalid
		}
	}
	if cfg.RuntimeParams["application_name"] == "" {
		cfg.RuntimeParams["application_name"] = "lapse"
	}
	return cfg, nil
}

func remote(cfg *pgx.ConnConfig) bool {
	away := func(host string) bool {
		ip := net.ParseIP(host)
		return !strings.HasPrefix(host, "/") && host != "localhost" && (ip == nil || !ip.IsLoopback())
	}
	for _, f := range cfg.Fallbacks {
		if away(f.Host) {
			return true
		}
	}
	return away(cfg.Host)
}

func (postgresDialect) migrationLock(ctx context.Context, tx *sql.Tx) error {
	_, err := tx.ExecContext(ctx, "SELECT pg_advisory_xact_lock($1)", int64(advisoryKey))
	return err
}

// sharedTime is the server's clock: replicas may disagree about the time, and a
// lease must not be stolen because one of them is ahead.
func (postgresDialect) sharedTime(ctx context.Context, tx *sql.Tx) (time.Time, error) {
	var us int64
	err := tx.QueryRowContext(ctx, "SELECT (extract(epoch FROM clock_timestamp()) * 1000000)::bigint").Scan(&us)
	return timeOf(us), err
}

func (postgresDialect) snapshot() sql.IsolationLevel { return sql.LevelRepeatableRead }

// forget does nothing: autovacuum removes dead rows in its own time.
func (postgresDialect) forget(context.Context) error { return nil }

func (postgresDialect) explain(err error) error {
	var pe *pgconn.PgError
	if errors.As(err, &pe) {
		switch {
		case pe.Code == "53100":
			return fmt.Errorf("the PostgreSQL server's disk is full: free space there and try again: %w", err)
		case pe.Code == "55P03":
			return fmt.Errorf("another process has kept the ledger locked for %s: try again when it is done: %w", writerWait, err)
		case pe.Code == "42501":
			return fmt.Errorf("the PostgreSQL user lacks a right on the database: grant it CREATE and USAGE on the schema: %w", err)
		case pe.Code == "25006":
			return fmt.Errorf("the PostgreSQL server is read-only: point the URL at the primary: %w", err)
		case strings.HasPrefix(pe.Code, "28"):
			return fmt.Errorf("the PostgreSQL server refused the login: %w", err)
		case pe.Code == "25P03", strings.HasPrefix(pe.Code, "57P"):
			return fmt.Errorf("the PostgreSQL server ended the connection: try again when it is back: %w", err)
		}
		return nil
	}
	var ce *pgconn.ConnectError
	if errors.As(err, &ce) {
		return fmt.Errorf("no connection to the PostgreSQL server: %w", err)
	}
	var ne net.Error
	if errors.As(err, &ne) || errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, net.ErrClosed) ||
		errors.Is(err, driver.ErrBadConn) || errors.Is(err, sql.ErrConnDone) || errors.Is(err, pgconn.ErrConnClosed) {
		return fmt.Errorf("the connection to the PostgreSQL server was lost: try again when it is back: %w", err)
	}
	return nil
}

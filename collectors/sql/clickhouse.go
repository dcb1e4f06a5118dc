package sql

import (
	"context"
	"crypto/tls"
	dbsql "database/sql"
	"net"
	"strconv"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2"
)

func (k *Collector) openClickHouse(password string, secure *tls.Config) *dbsql.DB {
	a := k.address
	if a.port == 0 {
		a.port = 9440
		if secure == nil {
			a.port = 9000
		}
	}
	o := &clickhouse.Options{
		Protocol: clickhouse.Native, Addr: []string{net.JoinHostPort(a.host, strconv.Itoa(a.port))}, TLS: secure, DialTimeout: dialTimeout,
		Auth: clickhouse.Auth{Database: a.database, Username: k.config.User, Password: password}, ReadTimeout: time.Duration(k.config.Timeout) + grace,
	}
	if a.http {
		o.Protocol = clickhouse.HTTP
	}
	return clickhouse.OpenDB(o)
}

// undated has the driver not see when a context ends: it would set max_execution_time by it, five seconds late, which the
// one that is set here would not survive, and which a user who is bound to reading may not set.
type undated struct{ context.Context }

// Deadline implements context.Context.
func (undated) Deadline() (time.Time, bool) { return time.Time{}, false }

// within is the context for one statement.
func (k *Collector) within(ctx context.Context) context.Context {
	if k.address.driver == "clickhouse" {
		return undated{ctx}
	}
	return ctx
}

// limitClickHouse sets the limits with each query: over HTTP there is no session. A user who is bound to reading may set nothing,
// and changes nothing either.
func limitClickHouse(ctx context.Context, conn *dbsql.Conn, span time.Duration) (context.Context, error) {
	var readOnly string
	if err := conn.QueryRowContext(ctx, "SELECT value FROM system.settings WHERE name = 'readonly'").Scan(&readOnly); err != nil {
		return ctx, err
	}
	if readOnly == "1" {
		return ctx, nil
	}
	const readingAndSettings = 2 // https://clickhouse.com/docs/operations/settings/permissions-for-queries
	return clickhouse.Context(ctx, clickhouse.WithSettings(clickhouse.Settings{
		"readonly": readingAndSettings, "max_execution_time": int(max(1, span.Seconds())),
	})), nil
}

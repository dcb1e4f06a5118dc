// Package sql collects from databases: the accounts of the database server itself, by a preset, or those of an application
// that keeps them in tables, by a SELECT for each kind of record. All is read in one read-only transaction, so that one
// moment is seen; ClickHouse has none.
package sql

import (
	"cmp"
	"context"
	"crypto/sha256"
	dbsql "database/sql"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"path"
	"path/filepath"
	"strings"
	"time"

	"github.com/lapse-audit/lapse/internal/access"
	"github.com/lapse-audit/lapse/internal/collect"
)

// Options are what a Collector needs beside its configuration.
type Options struct {
	// Base is the folder of lapse.yaml: relative paths start there.
	Base string
	// Roster says that the source is a roster: it must give people.
	Roster bool
	// UID names the source in messages.
	UID string
	// Secret resolves a reference to a secret.
	Secret func(context.Context, collect.Secret) (string, error)
}

// Collector reads a database. It implements collect.Collector.
type Collector struct {
	config  Config
	opt     Options
	address address
	clock   *collect.Clock
	zone    *time.Location
}

// New returns a collector, or all faults of its configuration. It opens no connection and no file.
func New(c Config, o Options) (*Collector, error) {
	if err := c.Validate(); err != nil {
		return nil, err
	}
	switch people := c.Queries.People != ""; {
	case o.Roster && !people:
		return nil, fmt.Errorf("queries.people: is missing: %s is a roster", o.UID)
	case people && c.Roster == nil:
		return nil, errors.New("roster: is missing: say what the dates of people mean, at least end_date: last_day or first_day_off")
	}
	k := &Collector{config: c.defaults(), opt: o}
	var err error
	if k.address, err = parseAddress(c.URL); err != nil {
		return nil, err
	}
	k.address.host = cmp.Or(c.Socket, k.address.host)
	calendar := collect.Calendar{}
	if c.Roster != nil {
		calendar = *c.Roster
	}
	if k.clock, err = calendar.Clock(); err != nil {
		return nil, err
	}
	if k.zone = k.clock.ZoneOf(""); c.Zone != "" {
		if k.zone, err = collect.LoadZone(c.Zone); err != nil {
			return nil, err
		}
	}
	return k, nil
}

// Collect implements collect.Collector.
func (k *Collector) Collect(ctx context.Context, out collect.Sink) (collect.Provenance, error) {
	prov := collect.Provenance{Request: k.config.URL, Mapping: k.mapping(), Identity: k.config.User}
	for _, q := range k.config.Queries.list() {
		prov.Reads = append(prov.Reads, string(q.kind))
	}
	if err := ctx.Err(); err != nil {
		return prov, err
	}
	password, err := k.password(ctx)
	if err != nil {
		return prov, err
	}
	err = k.read(ctx, password, &prov, out)
	var full *sinkError
	switch {
	case errors.As(err, &full):
		return prov, full.error
	case ctx.Err() != nil:
		return prov, ctx.Err()
	case err != nil:
		return prov, hide(err, password)
	}
	return prov, nil
}

// password resolves the reference to it; there need not be one.
func (k *Collector) password(ctx context.Context) (string, error) {
	switch {
	case !k.config.Password.IsSet():
		return "", nil
	case k.opt.Secret == nil:
		return "", errors.New("password: nothing here resolves secrets")
	}
	password, err := k.opt.Secret(ctx, k.config.Password)
	if err != nil {
		return "", fmt.Errorf("password: %w", err)
	}
	return password, nil
}

// sinkError is an error of the sink, which is returned as it is.
type sinkError struct{ error }

func (k *Collector) read(ctx context.Context, password string, prov *collect.Provenance, out collect.Sink) error {
	db, err := k.open(password)
	if err != nil {
		return err
	}
	defer db.Close()
	db.SetMaxOpenConns(1)
	conn, err := db.Conn(ctx)
	if err != nil {
		return fmt.Errorf("connect: %w", explain(err))
	}
	defer conn.Close()
	var user, version string
	if err := conn.QueryRowContext(k.within(ctx), k.whoAmI()).Scan(&user, &version); err != nil {
		return fmt.Errorf("ask who we are: %w", explain(err))
	}
	prov.Identity = cmp.Or(user, k.config.User)
	prov.Notes = k.notes()
	if err := k.fits(version); err != nil {
		return err
	}
	if ctx, err = k.limit(ctx, conn, version); err != nil {
		return fmt.Errorf("limit the session: %w", explain(err))
	}
	tx, err := conn.BeginTx(ctx, &dbsql.TxOptions{Isolation: dbsql.LevelRepeatableRead, ReadOnly: true})
	if err != nil {
		return fmt.Errorf("begin: %w", explain(err))
	}
	defer tx.Rollback()
	for _, q := range k.config.Queries.list() {
		if err := k.query(ctx, tx, q, out); err != nil {
			return fmt.Errorf("queries.%s: %w", q.kind, explain(err))
		}
	}
	return nil
}

// notes say what is to be known of how the source is read.
func (k *Collector) notes() []string {
	var out []string
	if k.config.TLS == Plain && !k.address.local() && k.config.Socket == "" {
		out = append(out, "the connection is not encrypted (tls: off)")
	}
	if k.address.driver == "clickhouse" {
		out = append(out, "ClickHouse has no transactions: what changes while it is read may show in part")
	}
	if k.config.Preset == "postgres" {
		out = append(out, fmt.Sprintf("logins and roles are those of the whole server, rights on schemas and tables those in the database %s only", k.address.database))
	}
	return out
}

// whoAmI asks for the user, where that can be another than who signed in, and the version.
func (k *Collector) whoAmI() string {
	if k.address.driver == "clickhouse" {
		return "SELECT '', version()"
	}
	return "SELECT CURRENT_USER, VERSION()"
}

// fits makes sure that a preset is asked of the server that it is for: MySQL speaks MariaDB's protocol.
func (k *Collector) fits(version string) error {
	maria := strings.Contains(version, "MariaDB")
	major, _, _ := strings.Cut(version, ".")
	switch {
	case k.config.Preset == "mariadb" && !maria:
		return errors.New("preset: the server is MySQL, not MariaDB: write preset: mysql")
	case k.config.Preset == "mysql" && maria:
		return errors.New("preset: the server is MariaDB, not MySQL: write preset: mariadb")
	case k.config.Preset == "mysql" && (major == "5" || major == "4"):
		return fmt.Errorf("preset: the server is MySQL %s, which has no roles: the preset is for 8.0 and later; name queries: instead", version)
	}
	return nil
}

// grace is how much longer than the server itself we wait for it to end a query: its connection may be dead.
const grace = 30 * time.Second

// query gives out what one SELECT yields.
func (k *Collector) query(ctx context.Context, tx *dbsql.Tx, q query, out collect.Sink, args ...any) error {
	ctx, cancel := context.WithTimeout(ctx, time.Duration(k.config.Timeout)+grace)
	defer cancel()
	rows, err := tx.QueryContext(k.within(ctx), q.text, args...)
	if err != nil {
		return err
	}
	defer rows.Close()
	types, err := rows.ColumnTypes()
	if err != nil {
		return err
	}
	var names []string
	zoned := make([]bool, len(types))
	for i, t := range types {
		names = append(names, t.Name())
		zoned[i] = k.address.driver == "clickhouse" && strings.Contains(t.DatabaseTypeName(), "DateTime") || t.DatabaseTypeName() == map[string]string{"postgres": "TIMESTAMPTZ", "mysql": "TIMESTAMP"}[k.address.driver]
	}
	r, err := newRecord(q.kind, names)
	if err != nil {
		return err
	}
	r.zone, r.clock, r.kinds = k.zone, k.clock, k.config.Kinds
	values := make([]any, len(names))
	into := make([]any, len(names))
	for i := range values {
		into[i] = &values[i]
	}
	place := "queries." + string(q.kind)
	for n := int64(1); rows.Next(); n++ {
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := rows.Scan(into...); err != nil {
			return fmt.Errorf("row %d: %w", n, err)
		}
		if l, ok := out.(collect.Locator); ok {
			l.Locate(place, n)
		}
		rec, column, reason, err := r.build(values, zoned)
		if err != nil {
			return fmt.Errorf("row %d: %w", n, err)
		}
		if reason != "" {
			err = out.Reject(collect.Rejection{File: place, Line: n, Column: column, Reason: reason})
		} else {
			err = out.Put(rec)
		}
		if err != nil {
			return &sinkError{err}
		}
	}
	return rows.Err()
}

func kindOf(kinds []Kind, username string) access.AccountKind {
	for _, k := range kinds {
		if ok, err := path.Match(strings.ToLower(k.Username), strings.ToLower(username)); err == nil && ok {
			return k.Kind
		}
	}
	return ""
}

// path of a file as configured.
func (k *Collector) path(name string) string {
	if filepath.IsAbs(name) {
		return name
	}
	return filepath.Join(k.opt.Base, name)
}

// mapping is a hash of the configuration, the text of the queries included. Secrets are no part of it.
func (k *Collector) mapping() string {
	text, err := json.Marshal(k.config)
	if err != nil { // it holds nothing that JSON can't
		panic(err)
	}
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:])
}

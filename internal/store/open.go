package store

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2"
	"github.com/ClickHouse/clickhouse-go/v2/lib/proto"

	"github.com/lapse-audit/lapse/internal/chdb"
)

// oldestServer is the first release that the schema and the queries are meant for.
var oldestServer = proto.Version{Major: 25, Minor: 8}

const (
	defaultConnections = 16
	bootstrapDatabase  = "default" // for statements before the store's own database is known to exist

	// holderWait is how long Open waits for a process that is just starting or ending to serve the folder or give it up.
	holderWait = 10 * time.Second
	holderPoll = 50 * time.Millisecond

	// statementWait is the longest wait for a statement's first row over HTTP. Contexts end statements earlier.
	statementWait = 7 * 24 * time.Hour
)

// Open connects to the store that o.URL names, creates its database and brings its schema up to date. An embedded store
// is opened in this process and served to others; if another process has it, that one serves this.
func Open(ctx context.Context, o Options) (*Store, error) {
	where, err := parseURL(o.URL)
	if err != nil {
		return nil, err
	}
	s := newStore(o, where)
	if err := s.open(ctx, o); err != nil {
		return nil, fmt.Errorf("open store %s: %w", where, errors.Join(s.fault(ctx, err), s.Close()))
	}
	s.logger.Debug("store opened", "store", where.String(), "engine", s.version, "holder", string(s.holder))
	return s, nil
}

func (s *Store) open(ctx context.Context, o Options) error {
	var err error
	if s.client, err = s.reach(ctx, o); err != nil {
		return err
	}
	if err := s.bootstrap(ctx); err != nil {
		return err
	}
	s.client.Auth.Database = s.where.database
	s.client.Settings = s.sessionSettings(o)
	if s.conn, err = clickhouse.Open(s.client); err != nil {
		return err
	}
	return s.migrate(ctx, o.Lock)
}

// sessionSettings apply to every statement. Batches are synchronous: an answer means that the rows are there.
func (s *Store) sessionSettings(o Options) clickhouse.Settings {
	m := clickhouse.Settings{
		"async_insert":                  0,
		"mutations_sync":                2,
		"lightweight_deletes_sync":      2,
		"select_sequential_consistency": 1, // ClickHouse Cloud: what one replica published, the others show
	}
	if o.Threads > 0 {
		m["max_threads"] = o.Threads
	}
	if o.MaxMemory > 0 && s.holder == HolderServer {
		m["max_memory_usage"] = o.MaxMemory
	}
	return m
}

// reach returns options that reach the engine, with no database chosen yet.
func (s *Store) reach(ctx context.Context, o Options) (*clickhouse.Options, error) {
	connections := o.Connections
	if connections <= 0 {
		connections = defaultConnections
	}
	var c *clickhouse.Options
	if s.where.scheme == "embedded" {
		var err error
		if c, err = s.embedded(ctx, o, connections); err != nil {
			return nil, err
		}
	} else {
		c = s.server(o)
	}
	c.MaxOpenConns, c.MaxIdleConns = connections, connections
	return c, nil
}

func (s *Store) server(o Options) *clickhouse.Options {
	s.holder = HolderServer
	c := &clickhouse.Options{
		Protocol:    clickhouse.Native,
		Addr:        []string{s.where.addr},
		Auth:        clickhouse.Auth{Username: o.Username, Password: o.Password},
		DialTimeout: s.where.dial,
		ReadTimeout: s.where.read,
		Compression: &clickhouse.Compression{Method: clickhouse.CompressionLZ4},
	}
	if s.where.scheme != "clickhouse" {
		c.Protocol = clickhouse.HTTP
		c.Compression = nil
		if c.ReadTimeout == 0 {
			c.ReadTimeout = statementWait
		}
	}
	if s.where.secure {
		c.TLS = o.TLS
		if c.TLS == nil {
			c.TLS = defaultTLS()
		}
	}
	return c
}

// embedded opens the folder, or finds the process that has it.
func (s *Store) embedded(ctx context.Context, o Options, connections int) (*clickhouse.Options, error) {
	t := &tenant{s: s, o: o, connections: connections}
	if err := t.find(ctx, o.Own); err != nil {
		return nil, err
	}
	return chdb.ClientOptions(t), nil
}

func ping(ctx context.Context, c *clickhouse.Options) error {
	conn, err := clickhouse.Open(c)
	if err != nil {
		return err
	}
	return errors.Join(conn.Ping(ctx), conn.Close())
}

// bootstrap checks the engine's version and makes sure that the database exists.
func (s *Store) bootstrap(ctx context.Context) (err error) {
	at := *s.client
	at.Auth.Database = bootstrapDatabase
	conn, err := clickhouse.Open(&at)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, conn.Close()) }()
	if err := conn.Ping(ctx); err != nil {
		return err
	}
	server, err := conn.ServerVersion()
	if err != nil {
		return err
	}
	v := server.Version
	s.version = fmt.Sprintf("%d.%d.%d", v.Major, v.Minor, v.Patch)
	if !proto.CheckMinVersion(oldestServer, v) {
		return &OldServerError{Store: s.where.String(), Have: s.version, Needed: fmt.Sprintf("%d.%d", oldestServer.Major, oldestServer.Minor)}
	}
	var exists uint64
	err = conn.QueryRow(ctx, "SELECT count() FROM system.databases WHERE name = {name:String}",
		clickhouse.Named("name", s.where.database)).Scan(&exists)
	if err != nil || exists > 0 {
		return err
	}
	create := "CREATE DATABASE IF NOT EXISTS " + s.where.database // matched databaseName
	if s.holder != HolderServer {
		create += " ENGINE = Atomic"
	}
	return conn.Exec(ctx, create)
}

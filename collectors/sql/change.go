package sql

import (
	"context"
	dbsql "database/sql"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/go-sql-driver/mysql"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/lapse-audit/lapse/internal/access"
	"github.com/lapse-audit/lapse/internal/collect"
)

// Changer carries out changes to the accounts of a database server, those that a preset reads. It keeps one connection, and
// is used from several goroutines, one after the other. It connects at the first look or change.
type Changer struct {
	k      *Collector // whose user is the one that writes
	engine engine

	mu       sync.Mutex
	db       *dbsql.DB
	password string
}

// engine is how one kind of server is changed.
type engine interface {
	abilities(drop bool) map[access.Action]access.Ability
	// ready refuses a server on which nothing can be changed.
	ready(ctx context.Context, conn *dbsql.Conn) error
	look(ctx context.Context, tx *dbsql.Tx, o access.Object, into *access.Live) error
	may(ctx context.Context, conn *dbsql.Conn, ch access.Change) error
	apply(ctx context.Context, conn *dbsql.Conn, ch access.Change) error
	native(ch access.Change) []string
	// advise says what the user lacks.
	advise(ctx context.Context, conn *dbsql.Conn) ([]collect.Advice, error)
}

// Changer returns what changes the server's accounts.
func (k *Collector) Changer() *Changer {
	w := *k
	if k.config.Write != nil {
		w.config.User, w.config.Password = k.config.Write.User, k.config.Write.Password
	}
	c := &Changer{k: &w}
	switch k.config.Preset {
	case "postgres":
		c.engine = &postgres{k: &w}
	case "mariadb":
		w.address.database = "" // its accounts are those of the whole server, and need no right in one
		c.engine = &mariadb{k: &w}
	}
	return c
}

// changeTime is how long one look or change may take where its context sets no limit.
const changeTime = time.Minute

// Abilities are the actions that the server knows.
func (c *Changer) Abilities() (map[access.Action]access.Ability, error) {
	switch {
	case c.k.config.Write == nil:
		return nil, fmt.Errorf("%w: there is no credential to change anything with: set write.user and write.password", access.ErrCannot)
	case c.engine == nil:
		return nil, fmt.Errorf("%w: how to change these accounts is not known here: set write.exec to a command that does", access.ErrCannot)
	}
	return c.engine.abilities(c.k.config.Write.Delete), nil
}

// Look reads one account or role now.
func (c *Changer) Look(ctx context.Context, o access.Object) (access.Live, error) {
	live := access.Live{Grants: []access.Grant{}, Keep: map[string][]string{}}
	err := c.with(ctx, func(ctx context.Context, conn *dbsql.Conn) error {
		live.At = time.Now().UTC()
		tx, err := conn.BeginTx(ctx, &dbsql.TxOptions{Isolation: dbsql.LevelRepeatableRead, ReadOnly: true})
		if err != nil {
			return err
		}
		defer tx.Rollback()
		return c.engine.look(ctx, tx, o, &live)
	})
	if err != nil {
		return access.Live{}, fmt.Errorf("look at %s: %w", o.ID, err)
	}
	return live, nil
}

// May says whether the user has the right to make a change.
func (c *Changer) May(ctx context.Context, ch access.Change) error {
	return c.change(ctx, ch, "may ", c.engineMay)
}

// Apply makes a change, or undoes it.
func (c *Changer) Apply(ctx context.Context, ch access.Change) error {
	return c.change(ctx, ch, "", c.engineApply)
}

func (c *Changer) engineMay(ctx context.Context, conn *dbsql.Conn, ch access.Change) error {
	return c.engine.may(ctx, conn, ch)
}

func (c *Changer) engineApply(ctx context.Context, conn *dbsql.Conn, ch access.Change) error {
	return c.engine.apply(ctx, conn, ch)
}

func (c *Changer) change(ctx context.Context, ch access.Change, what string, do func(context.Context, *dbsql.Conn, access.Change) error) error {
	able, err := c.Abilities()
	if err != nil {
		return err
	}
	ability, ok := able[ch.Action]
	switch {
	case !ok && ch.Action == access.ActionDelete:
		return fmt.Errorf("%w: to drop accounts set write.delete: true", access.ErrCannot)
	case !ok:
		return fmt.Errorf("%w: %s has no way to %s", access.ErrCannot, c.k.config.Preset, ch.Action)
	case ch.Undo && (!ability.Undo || ch.Before == nil):
		return fmt.Errorf("%w: %s can't be undone", access.ErrCannot, ch.Action)
	case ch.Object.Kind == access.HolderEntitlement && ch.Action != access.ActionRevoke:
		return fmt.Errorf("%w: %s is for accounts", access.ErrCannot, ch.Action)
	}
	err = c.with(ctx, func(ctx context.Context, conn *dbsql.Conn) error { return do(ctx, conn, ch) })
	if err != nil {
		return fmt.Errorf("%s%s %s: %w", what, ch.Action, ch.Object.ID, err)
	}
	return nil
}

// with lends the connection, and hides the password in what comes of it.
func (c *Changer) with(ctx context.Context, do func(context.Context, *dbsql.Conn) error) error {
	if _, err := c.Abilities(); err != nil {
		return err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if _, limited := ctx.Deadline(); !limited {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, changeTime)
		defer cancel()
	}
	if c.db == nil {
		if err := c.open(ctx); err != nil {
			return err
		}
	}
	conn, err := c.db.Conn(ctx)
	if err != nil {
		return hideKeeping(fmt.Errorf("connect: %w", explain(err)), c.password)
	}
	defer conn.Close()
	if err := c.engine.ready(ctx, conn); err != nil {
		return hideKeeping(err, c.password)
	}
	if err := do(ctx, conn); err != nil {
		return hideKeeping(err, c.password)
	}
	return nil
}

func (c *Changer) open(ctx context.Context) error {
	if c.k.config.Password.IsSet() {
		if c.k.opt.Secret == nil {
			return errors.New("write.password: nothing here resolves secrets")
		}
		var err error
		if c.password, err = c.k.opt.Secret(ctx, c.k.config.Password); err != nil {
			return fmt.Errorf("write.password: %w", err)
		}
	}
	db, err := c.k.open(c.password)
	if err != nil {
		return err
	}
	db.SetMaxOpenConns(1)
	c.db = db
	return nil
}

// Native are commands of the server's own client.
func (c *Changer) Native(ch access.Change) []string {
	if c.engine == nil {
		return nil
	}
	return c.engine.native(ch)
}

// Close ends the connection.
func (c *Changer) Close() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.db == nil {
		return nil
	}
	db := c.db
	c.db = nil
	return db.Close()
}

// hidden prints another text than the error it stands for.
type hidden struct {
	text string
	of   error
}

func (e *hidden) Error() string { return e.text }
func (e *hidden) Unwrap() error { return e.of }

func hideKeeping(err error, password string) error {
	if h := hide(err, password); h.Error() != err.Error() {
		return &hidden{h.Error(), err}
	}
	return err
}

// found is the sink for what a look reads.
type found struct {
	into *access.Live
	o    access.Object
}

// Put implements collect.Sink. A grant is the object's own, whether it holds it as an account or as a role.
func (f *found) Put(r access.Record) error {
	switch r := r.(type) {
	case access.Account:
		f.into.Account = &r
	case access.Entitlement:
		if f.o.Kind == access.HolderEntitlement && r.ID == f.o.ID {
			f.into.Entitlement = &r
			return nil
		}
		f.into.Entitlements = append(f.into.Entitlements, r)
	case access.Grant:
		r.HolderKind, r.HolderID = f.o.Kind, f.o.ID
		for _, g := range f.into.Grants {
			if g.EntitlementID == r.EntitlementID {
				return nil
			}
		}
		f.into.Grants = append(f.into.Grants, r)
	}
	return nil
}

// Reject implements collect.Sink.
func (f *found) Reject(r collect.Rejection) error { return errors.New(r.String()) }

// heldBefore reports whether an object had what is given back.
func heldBefore(ch access.Change) (bool, error) {
	if ch.Before.Grants == nil {
		return false, fmt.Errorf("%w: what it had before is unknown", access.ErrCannot)
	}
	return slices.ContainsFunc(ch.Before.Grants, func(g access.Grant) bool { return g.EntitlementID == ch.Entitlement }), nil
}

// said reports whether an error is the server's answer to a statement.
func said(err error) bool {
	var pg *pgconn.PgError
	var my *mysql.MySQLError
	return errors.As(err, &pg) || errors.As(err, &my)
}

// refusal says of an answer what is missing.
func refusal(err error) error {
	var pg *pgconn.PgError
	if errors.As(err, &pg) && pg.Code == "42501" {
		return fmt.Errorf("%w: %w (write.user lacks the right)", access.ErrRefused, err)
	}
	return fmt.Errorf("%w: %w", access.ErrRefused, err)
}

// shell quotes a word for a POSIX shell.
func shell(s string) string { return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'" }

package app

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"os"

	"github.com/lapse-audit/lapse/internal/config"
	"github.com/lapse-audit/lapse/internal/scan"
	"github.com/lapse-audit/lapse/internal/state"
	"github.com/lapse-audit/lapse/internal/store"
)

func rosterSource(s config.Source) bool { return s.Roster }

// Store opens the facts. While the schema is created or changed, the decisions' lease keeps other processes away.
func (a *App) Store(ctx context.Context) (*store.Store, error) {
	if a.store != nil {
		return a.store, nil
	}
	decisions, err := a.State(ctx)
	if err != nil {
		return nil, err
	}
	c := a.Config.Store
	o := store.Options{
		URL: a.Config.StoreURL(), Library: c.Library, Username: c.User,
		MaxMemory: int64(c.Memory), Threads: c.Threads, Own: a.Own, Logger: a.Log,
		Lock: func(ctx context.Context) (func(), error) {
			l, err := decisions.Acquire(ctx, "store.schema", holder("lapse"), 0)
			if err != nil {
				return nil, err
			}
			return func() { _ = l.Release(context.WithoutCancel(ctx)) }, nil
		},
	}
	if o.Library == "" {
		o.Library = a.Library
	}
	if o.Password, err = c.Password.Resolve(ctx, a.Config.Dir); err != nil {
		return nil, fmt.Errorf("store: password: %w", err)
	}
	if c.CA != "" {
		if o.TLS, err = trust(a.Config.Path(c.CA)); err != nil {
			return nil, fmt.Errorf("store: ca: %w", err)
		}
	}
	s, err := store.Open(ctx, o)
	if err != nil {
		return nil, err
	}
	a.store = s
	a.closes = append(a.closes, s.Close)
	return s, nil
}

// trust adds a PEM file of certificates to the system's.
func trust(path string) (*tls.Config, error) {
	pem, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	pool, err := x509.SystemCertPool()
	if err != nil {
		return nil, err
	}
	if !pool.AppendCertsFromPEM(pem) {
		return nil, errors.New(path + " holds no PEM certificate")
	}
	return &tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS12}, nil
}

// Prune takes away what retention doesn't keep.
func (a *App) Prune(ctx context.Context) (p store.Pruned, err error) {
	err = a.alone(ctx, "lapse store prune", func(ctx context.Context, s *store.Store) error {
		p, err = s.Prune(ctx, a.retention(), a.Now())
		return err
	})
	return p, err
}

// Backup copies the store to a new folder.
func (a *App) Backup(ctx context.Context, dir string) error {
	return a.alone(ctx, "lapse store backup", func(ctx context.Context, s *store.Store) error { return s.Backup(ctx, dir) })
}

// Restore brings a backup back into an empty store.
func (a *App) Restore(ctx context.Context, dir string) error {
	return a.alone(ctx, "lapse store restore", func(ctx context.Context, s *store.Store) error { return s.Restore(ctx, dir) })
}

// alone runs f while no other process writes facts.
func (a *App) alone(ctx context.Context, who string, f func(context.Context, *store.Store) error) error {
	decisions, err := a.State(ctx)
	if err != nil {
		return err
	}
	s, err := a.Store(ctx)
	if err != nil {
		return err
	}
	return scan.Writing(ctx, decisions, holder(who), a.Log, func(ctx context.Context, _ *state.Lease) error { return f(ctx, s) })
}

func (a *App) retention() store.Retention {
	c := a.Config.Retention
	return store.Retention{Nights: c.Nights, Months: c.Months, ChangesMonths: c.ChangesMonths, Zone: a.Config.Location}
}

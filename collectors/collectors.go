// Package collectors is the one list of source types. Nothing registers itself.
package collectors

import (
	"context"
	"time"

	"github.com/lapse-audit/lapse/collectors/baton"
	"github.com/lapse-audit/lapse/collectors/file"
	"github.com/lapse-audit/lapse/collectors/ldap"
	"github.com/lapse-audit/lapse/collectors/rest"
	"github.com/lapse-audit/lapse/collectors/scim"
	"github.com/lapse-audit/lapse/collectors/sql"
	"github.com/lapse-audit/lapse/internal/collect"
)

// Env is what a collector gets beside its section of lapse.yaml.
type Env struct {
	UID    string
	Roster bool             // the source says who the people are
	Base   string           // folder that relative paths are relative to
	Now    func() time.Time // the run's clock
	// Secret resolves a reference to a secret.
	Secret func(context.Context, collect.Secret) (string, error)
	// Private is a folder for what a collector keeps between two reads. It need not exist; who makes it lets nobody else in.
	Private string
}

// Type is a kind of source. New reads the type's own section with decode, which is strict, and validates it; it does
// not touch the source.
type Type struct {
	Name string
	New  func(decode func(any) error, env Env) (collect.Collector, error)
}

// All lists the types of source.
func All() []Type {
	return []Type{
		{"baton", newBaton},
		{"file", newFile},
		{"ldap", newLDAP},
		{"rest", newREST},
		{"scim", newSCIM},
		{"sql", newSQL},
	}
}

// List is a list that people keep by hand, in lapse.yaml or in a file beside it.
type List = file.List

// App is an app of the company, connected or not.
type App = file.App

// WithUsage adds to a source a file that says when its accounts were last used. decode reads the section of the file.
func WithUsage(source collect.Collector, decode func(any) error, env Env) (collect.Collector, error) {
	var b file.Beside
	if err := decode(&b); err != nil {
		return nil, err
	}
	return file.WithUsage(source, b, file.Options{Base: env.Base, Now: env.Now, UID: env.UID})
}

// ReadContracts reads what licenses cost. Places in lapse.yaml itself are named by env.UID.
func ReadContracts(ctx context.Context, l List, env Env) (collect.Contracts, error) {
	return file.ReadContracts(ctx, l, file.Options{Base: env.Base, Now: env.Now, UID: env.UID})
}

// ReadApps reads the inventory of apps. Places in lapse.yaml itself are named by env.UID.
func ReadApps(ctx context.Context, l List, env Env) ([]App, error) {
	return file.ReadApps(ctx, l, file.Options{Base: env.Base, Now: env.Now, UID: env.UID})
}

func newBaton(decode func(any) error, env Env) (collect.Collector, error) {
	var c baton.Config
	if err := decode(&c); err != nil {
		return nil, err
	}
	return baton.New(c, baton.Options{Base: env.Base, Now: env.Now, Roster: env.Roster, UID: env.UID, Private: env.Private})
}

func newFile(decode func(any) error, env Env) (collect.Collector, error) {
	var c file.Config
	if err := decode(&c); err != nil {
		return nil, err
	}
	return file.New(c, file.Options{Base: env.Base, Now: env.Now, Roster: env.Roster, UID: env.UID})
}

func newLDAP(decode func(any) error, env Env) (collect.Collector, error) {
	var c ldap.Config
	if err := decode(&c); err != nil {
		return nil, err
	}
	return ldap.New(c, ldap.Options{Base: env.Base, Now: env.Now, Roster: env.Roster, UID: env.UID, Secret: env.Secret, Private: env.Private})
}

func newSCIM(decode func(any) error, env Env) (collect.Collector, error) {
	var c scim.Config
	if err := decode(&c); err != nil {
		return nil, err
	}
	return scim.New(c, scim.Options{Base: env.Base, Roster: env.Roster, UID: env.UID, Secret: env.Secret})
}

func newSQL(decode func(any) error, env Env) (collect.Collector, error) {
	var c sql.Config
	if err := decode(&c); err != nil {
		return nil, err
	}
	return sql.New(c, sql.Options{Base: env.Base, Roster: env.Roster, UID: env.UID, Secret: env.Secret})
}

func newREST(decode func(any) error, env Env) (collect.Collector, error) {
	var c rest.Config
	if err := decode(&c); err != nil {
		return nil, err
	}
	return rest.New(c, rest.Options{Base: env.Base, Roster: env.Roster, UID: env.UID, Secret: env.Secret, Private: env.Private})
}

package sql

import (
	"embed"
	"maps"
	"slices"
)

// preset are the queries that read a database server's own accounts.
type preset struct {
	driver       string
	Accounts     string
	Entitlements string
	Grants       string
}

//go:embed presets
var files embed.FS

// presets by name. A role that nobody can log in with is an entitlement; one that is both, as PostgreSQL allows it, is both.
var presets = map[string]preset{
	"postgres":   read("postgres", "postgres"),
	"mariadb":    read("mariadb", "mysql"),
	"mysql":      read("mysql", "mysql"),
	"clickhouse": read("clickhouse", "clickhouse"),
}

func read(name, driver string) preset {
	file := func(kind string) string {
		text, err := files.ReadFile("presets/" + name + "/" + kind + ".sql")
		if err != nil { // it is built in
			panic(err)
		}
		return string(text)
	}
	return preset{driver: driver, Accounts: file("accounts"), Entitlements: file("entitlements"), Grants: file("grants")}
}

// Presets lists their names.
func Presets() []string { return slices.Sorted(maps.Keys(presets)) }

// Scheme is that of the URLs of a preset's servers.
func Scheme(preset string) string {
	if _, ok := schemes[preset]; ok {
		return preset
	}
	return presets[preset].driver
}

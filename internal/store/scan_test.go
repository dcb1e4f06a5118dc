package store

import (
	"github.com/ClickHouse/clickhouse-go/v2"
	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"
)

func scanNumber(r driver.Rows, n *uint64) error { return r.Scan(n) }

func (k snapshotKey) named(id string) []any { return []any{clickhouse.Named("snapshot", id)} }

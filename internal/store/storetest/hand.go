package storetest

import (
	"embed"
	"fmt"
	"strings"

	"github.com/ClickHouse/clickhouse-go/v2"
	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"
)

// Named is a parameter of a statement.
func Named(name string, value any) driver.NamedValue { return clickhouse.Named(name, value) }

// Written are the policies that a Hand counts.
func Written() []string {
	return []string{"DOR-03", "DOR-01", "DOR-02", "LVR-01", "LVR-04", "LVR-03", "MFA-01", "ORP-02", "ORP-01", "LIC-01", "LIC-02", "PEER-01", "SVC-01"}
}

type Hand struct{}

func NewHand(b *Beside, c Company, step func(string)) *Hand { return &Hand{} }
func (h *Hand) Count() []uint64 { return make([]uint64, 13) }
var _ embed.FS
var _ = fmt.Sprint
var _ = strings.Join

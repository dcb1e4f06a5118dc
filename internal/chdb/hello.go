package chdb

import (
	"fmt"
	"strings"

	"github.com/ClickHouse/ch-go/proto"
	"github.com/ClickHouse/clickhouse-go/v2"
	"github.com/ClickHouse/clickhouse-go/v2/lib/column"
	native "github.com/ClickHouse/clickhouse-go/v2/lib/proto"
)

// helloQuery is what the driver asks each new connection.
const helloQuery = "SELECT displayName(), version(), revision(), timezone()"

// hello is the answer to helloQuery with revision 0: libchdb writes Native blocks of that revision, and the driver
// reads all later blocks as the revision that it was told.
func hello(c *conn) ([]byte, error) {
	answer, err := c.query("SELECT version(), timezone()", "TSV", nil)
	if err != nil {
		return nil, err
	}
	version, zone, ok := strings.Cut(strings.TrimSpace(string(answer)), "\t")
	if !ok {
		return nil, fmt.Errorf("unexpected version %q", answer)
	}
	b := native.NewBlock()
	for _, c := range []struct{ name, typ string }{
		{"displayName()", "String"}, {"version()", "String"}, {"revision()", "UInt32"}, {"timezone()", "String"},
	} {
		if err := b.AddColumn(c.name, column.Type(c.typ)); err != nil {
			return nil, err
		}
	}
	if err := b.Append("embedded", version, uint32(0), zone); err != nil {
		return nil, err
	}
	var buf proto.Buffer
	if err := b.Encode(&buf, clickhouse.ClientTCPProtocolVersion); err != nil {
		return nil, err
	}
	return buf.Buf, nil
}

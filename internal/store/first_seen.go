package store

import (
	"context"
	"fmt"
	"math/big"

	"github.com/ClickHouse/clickhouse-go/v2"
)

// hashes says how first_seen.id_hash is made for each kind of id. Queries join on the same expressions.
var hashes = []struct{ kind, table, hash string }{
	{"account", KindAccounts, "reinterpretAsUInt128(sipHash128(id))"},
	{"entitlement", KindEntitlements, "reinterpretAsUInt128(sipHash128(id))"},
	{"grant", KindGrants, "reinterpretAsUInt128(sipHash128(holder_kind, holder_id, entitlement_id))"},
}

// sliceIDs is how many ids are compared with the known ones at a time.
const sliceIDs = 1_000_000

// rememberFirstSeen adds the ids that were not in the source at or before the snapshot's time. It runs before the
// snapshot is published; the rows carry the snapshot's number and go with it if that never happens. Running it twice
// adds nothing.
func (w *SnapshotWriter) rememberFirstSeen(ctx context.Context) error {
	for _, h := range hashes {
		slices := int64(w.counts.Records[h.table]/sliceIDs) + 1
		if w.counts.Records[h.table] == 0 {
			continue
		}
		for i := range slices {
			low, high := share(i, slices), share(i+1, slices)
			high.Sub(high, big.NewInt(1))
			args := append(w.args(), clickhouse.Named("kind", h.kind), clickhouse.Named("low", low.String()), clickhouse.Named("high", high.String()))
			err := w.s.exec(ctx, fmt.Sprintf(`INSERT INTO first_seen (source, kind, id_hash, first_seen, snapshot)
				SELECT {source:String}, {kind:String}, h, fromUnixTimestamp64Milli({taken:Int64}, 'UTC'), {snapshot:UInt64}
				FROM (SELECT %s AS h FROM %s WHERE source = {source:String} AND snapshot = {snapshot:UInt64})
				WHERE h BETWEEN {low:UInt128} AND {high:UInt128} AND h NOT IN (
					SELECT id_hash FROM first_seen
					WHERE source = {source:String} AND kind = {kind:String} AND id_hash BETWEEN {low:UInt128} AND {high:UInt128}
						AND first_seen <= fromUnixTimestamp64Milli({taken:Int64}, 'UTC'))`, h.hash, h.table), args...)
			if err != nil {
				return fmt.Errorf("remember first sight of %s: %w", h.table, err)
			}
		}
	}
	return nil
}

// share is the i-th of n equal steps through the 128-bit numbers.
func share(i, n int64) *big.Int {
	all := new(big.Int).Lsh(big.NewInt(1), 128)
	return all.Mul(all, big.NewInt(i)).Div(all, big.NewInt(n))
}
